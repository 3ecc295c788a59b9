/** The load: kiosks as raw MQTT sockets, one request in flight each, in a process of its own. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { generate, type IPublishPacket, type Packet } from 'mqtt-packet';

/** One PUBLISH, QoS 1, and what it carries. */
export interface LoadPacket {
  readonly bytes: Buffer;
  /** The request before once more: its answer counts in the rate, not among the outcomes. */
  readonly repeat: boolean;
}

/** Everything one kiosk needs to join and what it will say, in order. */
export interface LoadKiosk {
  readonly name: string;
  /** Topics this kiosk subscribes to. */
  readonly filters: readonly string[];
  readonly packets: readonly LoadPacket[];
  readonly tls: { readonly key: string; readonly cert: string } | null;
}

export interface LoadResult {
  /** Answers within the measured time. */
  readonly answered: number;
  readonly seconds: number;
  /** Milliseconds from request to answer, sorted. */
  readonly latencies: Float64Array;
  /** CPU time of this process per answer, in microseconds. */
  readonly cpuUs: number;
  /** How first requests ended, over the whole run, warming up included. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly repeats: number;
}

interface Target {
  readonly port: number;
  readonly ca: string;
}

const PUBLISH = 3;
const CONNACK = 2;
const SUBACK = 9;

/** Makes a QoS 1 PUBLISH packet. */
export function publishPacket(topic: string, payload: string, messageId: number): Buffer {
  const packet: IPublishPacket = { cmd: 'publish', topic, payload, qos: 1, messageId, dup: false, retain: false };
  return generate(packet);
}

/** Splits a stream into whole MQTT packets without copying more than the tail. */
class Frames {
  private rest: Buffer = Buffer.alloc(0);

  feed(chunk: Buffer, each: (type: number, body: Buffer, flags: number) => void): void {
    let data = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    for (;;) {
      let length = 0;
      let at = 1;
      for (let shift = 0; ; shift += 7, at += 1) {
        const byte = data[at];
        if (byte === undefined) {
          this.rest = data;
          return;
        }
        length |= (byte & 127) << shift;
        if (byte < 128) break;
      }
      const start = at + 1;
      if (data.length < start + length) {
        this.rest = data;
        return;
      }
      const first = data[0] ?? 0;
      each(first >> 4, data.subarray(start, start + length), first & 15);
      data = data.subarray(start + length);
    }
  }
}

interface Runner {
  readonly kiosk: LoadKiosk;
  readonly socket: Socket;
  next: number;
  sentAt: number;
  hear: (topic: string, payload: Buffer) => void;
}

function dial({ port, ca }: Target, { tls }: LoadKiosk): Socket {
  const place = { port, host: '127.0.0.1' };
  if (tls === null) return connectTcp({ ...place, noDelay: true });
  const socket = connectTls({ ...place, servername: 'localhost', ca, ...tls, minVersion: 'TLSv1.3' });
  socket.setNoDelay(true);
  return socket;
}

/** Connects and subscribes one kiosk. */
function join(target: Target, kiosk: LoadKiosk, hear: Runner['hear'] = () => undefined): Promise<Runner> {
  const socket = dial(target, kiosk);
  const runner: Runner = { kiosk, socket, next: 0, sentAt: 0, hear };
  const frames = new Frames();
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`${kiosk.name} was refused`)));
    const say = (packet: Packet) => socket.write(generate(packet));
    socket.once(kiosk.tls === null ? 'connect' : 'secureConnect', () =>
      say({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clientId: kiosk.name, clean: true, keepalive: 0 }),
    );
    socket.on('data', (chunk: Buffer) =>
      frames.feed(chunk, (type, body, flags) => {
        if (type === CONNACK) {
          const subscriptions = kiosk.filters.map((topic) => ({ topic, qos: 1 as const }));
          say({ cmd: 'subscribe', messageId: 1, subscriptions });
        } else if (type === SUBACK) {
          resolve(runner);
        } else if (type === PUBLISH) {
          const from = 2 + body.readUInt16BE(0);
          const qos = (flags >> 1) & 3;
          if (qos > 0) socket.write(Buffer.from([0x40, 2, body[from] ?? 0, body[from + 1] ?? 0]));
          runner.hear(body.toString('latin1', 2, from), body.subarray(from + (qos > 0 ? 2 : 0)));
        }
      }),
    );
  });
}

function leave({ socket }: Runner): void {
  socket.removeAllListeners('close');
  socket.on('error', () => undefined);
  socket.destroy();
}

/** Joins as this kiosk until the first message of a topic arrives; returns its text. */
export async function firstMessage(target: Target, kiosk: LoadKiosk, topic: string): Promise<string> {
  let found: (text: string) => void = () => undefined;
  const message = new Promise<string>((resolve) => {
    found = resolve;
  });
  const runner = await join(target, kiosk, (name, payload) => {
    if (name === topic) found(payload.toString());
  });
  const text = await message;
  leave(runner);
  return text;
}

/** Joins the kiosks, a few at a time: a listener's backlog is short. */
async function joinAll(target: Target, kiosks: readonly LoadKiosk[]): Promise<Runner[]> {
  const runners: Runner[] = [];
  for (let at = 0; at < kiosks.length; at += 50) {
    runners.push(...(await Promise.all(kiosks.slice(at, at + 50).map((kiosk) => join(target, kiosk)))));
  }
  return runners;
}

interface LoadPlan extends Target {
  readonly seconds: number;
  readonly warmSeconds: number;
  /** Called when measuring begins and when it has ended. */
  readonly phase: (phase: 'measuring' | 'measured') => void;
}

/** The clock and the counts of one run. */
class Watch {
  readonly #plan: LoadPlan;
  readonly #begin = performance.now();
  #from = Number.POSITIVE_INFINITY;
  #until = Number.POSITIVE_INFINITY;
  #cpu = process.cpuUsage();
  cpuUs = 0;
  readonly latencies: number[] = [];

  constructor(plan: LoadPlan) {
    this.#plan = plan;
  }

  /** Notes an answer; false once the time is over. */
  note(sentAt: number): boolean {
    const now = performance.now();
    if (this.#until <= now) return false;
    if (now >= this.#from + this.#plan.seconds * 1000) {
      this.stop();
      return false;
    }
    if (this.#from < now) this.latencies.push(now - sentAt);
    else if (now >= this.#begin + this.#plan.warmSeconds * 1000) {
      this.#from = now;
      this.#cpu = process.cpuUsage();
      this.#plan.phase('measuring');
    }
    return true;
  }

  /** Ends measuring, also when the first kiosk has nothing left to say: with fewer kiosks it would be another case. */
  stop(): void {
    if (this.#until < Number.POSITIVE_INFINITY) return;
    this.#until = performance.now();
    const { user, system } = process.cpuUsage(this.#cpu);
    this.cpuUs = (user + system) / Math.max(1, this.latencies.length);
    this.#plan.phase('measured');
  }

  get seconds(): number {
    return (this.#until - this.#from) / 1000;
  }
}

/**
 * Joins all kiosks, then lets each ask its requests one after another until the time is over or one has asked all
 * its own.
 * Every request is answered before this ends.
 * @param ending names how an answer ended, or null if it is not an answer (a beacon, say).
 */
export async function runLoad(
  plan: LoadPlan,
  kiosks: readonly LoadKiosk[],
  ending: (topic: string, payload: Buffer) => string | null,
): Promise<LoadResult> {
  const runners = await joinAll(plan, kiosks);
  const outcomes = new Map<string, number>();
  let repeats = 0;
  const watch = new Watch(plan);
  const ask = (runner: Runner) =>
    new Promise<void>((done, fail) => {
      runner.socket.removeAllListeners('close');
      runner.socket.once('close', () => fail(new Error(`${runner.kiosk.name} lost its connection`)));
      const { packets } = runner.kiosk;
      const send = () => {
        const packet = packets[runner.next];
        if (packet === undefined) {
          watch.stop();
          return done();
        }
        runner.next += 1;
        runner.sentAt = performance.now();
        runner.socket.write(packet.bytes);
      };
      runner.hear = (topic, payload) => {
        const name = ending(topic, payload);
        if (name === null) return;
        if (packets[runner.next - 1]?.repeat === true) repeats += 1;
        else outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
        if (watch.note(runner.sentAt)) send();
        else done();
      };
      send();
    });
  await Promise.all(runners.map(ask));
  for (const runner of runners) leave(runner);
  const { latencies, seconds, cpuUs } = watch;
  return {
    answered: latencies.length,
    seconds,
    latencies: Float64Array.from(latencies).sort(),
    cpuUs,
    outcomes,
    repeats,
  };
}

/**
 * Joins as this kiosk and repeats its first packet, so many under way at once, then hangs up; a lost connection
 * ends it too.
 */
export async function flood(
  target: Target,
  kiosk: LoadKiosk,
  { unanswered, messages }: { readonly unanswered: number; readonly messages: number },
): Promise<void> {
  const [packet] = kiosk.packets;
  if (packet === undefined) throw new Error(`${kiosk.name} has nothing to say`);
  let left = messages;
  let over: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    over = resolve;
  });
  const runner = await join(target, kiosk, (topic) => {
    if (!topic.includes('/dn/')) return;
    left -= 1;
    if (left > 0) runner.socket.write(packet.bytes);
    else over();
  });
  runner.socket.removeAllListeners('close');
  runner.socket.once('close', over);
  for (let sent = 0; sent < unanswered; sent += 1) runner.socket.write(packet.bytes);
  await ended;
  leave(runner);
}
