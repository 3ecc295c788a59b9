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

/** Everything one kiosk needs to join. */
export interface LoadKiosk {
  readonly name: string;
  /** Topics this kiosk subscribes to. */
  readonly filters: readonly string[];
  readonly tls: { readonly key: string; readonly cert: string } | null;
}

/** What came of one slice of time. */
export interface Slice {
  /** Answers until the pause. */
  readonly answered: number;
  readonly seconds: number;
  /** CPU time of this process, in microseconds. */
  readonly cpu: number;
  /** A kiosk has said all it had: the load cannot go on as it was. */
  readonly spent: boolean;
}

export interface Load {
  /** Gives each kiosk, in their order, what it will say. */
  supply(packets: readonly (readonly LoadPacket[])[]): void;
  /** Lets every kiosk ask one request after another until `pause`. @param measured whether its latencies count. */
  go(measured: boolean): void;
  /** Asks nothing more; resolves when everything under way was answered. */
  pause(): Promise<Slice>;
  /** Milliseconds from request to answer in measured slices, sorted. */
  latencies(): Float64Array;
  /** How first requests ended, over all slices. */
  readonly outcomes: ReadonlyMap<string, number>;
  /** Answers to requests that came again. */
  repeats(): number;
  close(): void;
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
  packets: readonly LoadPacket[];
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
function join(target: Target, kiosk: LoadKiosk, hear: Runner['hear']): Promise<Runner> {
  const socket = dial(target, kiosk);
  const runner: Runner = { kiosk, socket, packets: [], next: 0, sentAt: 0, hear };
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

/** Joins the kiosks, a few at a time: a listener's backlog is short. */
async function joinAll(target: Target, kiosks: readonly LoadKiosk[], hear: Runner['hear']): Promise<Runner[]> {
  const runners: Runner[] = [];
  for (let at = 0; at < kiosks.length; at += 50) {
    runners.push(...(await Promise.all(kiosks.slice(at, at + 50).map((kiosk) => join(target, kiosk, hear)))));
  }
  return runners;
}

/**
 * Joins all kiosks; then each has one request under way at a time, while the load is let go.
 * @param ending names how an answer ended, or null if it is not an answer (a beacon, say).
 */
export async function openLoad(
  target: Target,
  kiosks: readonly LoadKiosk[],
  ending: (topic: string, payload: Buffer) => string | null,
): Promise<Load> {
  // What comes while they join, the beacon, answers nothing.
  const runners = await joinAll(target, kiosks, ending);
  const outcomes = new Map<string, number>();
  const latencies: number[] = [];
  let repeats = 0;
  let going = false;
  let measured = false;
  let under = 0;
  let answered = 0;
  let since = { at: 0, cpu: process.cpuUsage() };
  let slice: Slice = { answered: 0, seconds: 0, cpu: 0, spent: false };
  let quiet: () => void = () => undefined;

  /** Takes the slice's figures; what is answered later belongs to no slice. */
  function stop(spent: boolean): void {
    if (!going) return;
    going = false;
    const { user, system } = process.cpuUsage(since.cpu);
    slice = { answered, seconds: (performance.now() - since.at) / 1000, cpu: user + system, spent };
  }

  function send(runner: Runner): void {
    const packet = runner.packets[runner.next];
    // With one kiosk fewer it would be another load.
    if (packet === undefined) {
      stop(true);
      return;
    }
    runner.next += 1;
    runner.sentAt = performance.now();
    under += 1;
    runner.socket.write(packet.bytes);
  }

  function hear(runner: Runner, topic: string, payload: Buffer): void {
    const name = ending(topic, payload);
    if (name === null) return;
    under -= 1;
    if (runner.packets[runner.next - 1]?.repeat === true) repeats += 1;
    else outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
    if (going) {
      answered += 1;
      if (measured) latencies.push(performance.now() - runner.sentAt);
      send(runner);
    }
    if (under === 0) quiet();
  }

  for (const runner of runners) {
    const { socket, kiosk } = runner;
    socket.removeAllListeners('close');
    socket.once('close', () => socket.emit('error', new Error(`${kiosk.name} lost its connection`)));
    socket.removeAllListeners('error');
    runner.hear = (topic, payload) => hear(runner, topic, payload);
  }
  return {
    supply(packets) {
      for (const [index, runner] of runners.entries()) runner.packets = packets[index] ?? [];
    },
    go(counts) {
      going = true;
      measured = counts;
      answered = 0;
      since = { at: performance.now(), cpu: process.cpuUsage() };
      for (const runner of runners) send(runner);
    },
    async pause() {
      stop(false);
      await new Promise<void>((resolve) => {
        quiet = resolve;
        if (under === 0) resolve();
      });
      return slice;
    },
    latencies: () => Float64Array.from(latencies).sort(),
    outcomes,
    repeats: () => repeats,
    close() {
      for (const runner of runners) leave(runner);
    },
  };
}

/** Joins as this kiosk, repeats a packet, so many under way at once, and hangs up or is hung up on. */
export async function flood(
  target: Target,
  kiosk: LoadKiosk,
  packet: Buffer,
  { unanswered, messages }: { readonly unanswered: number; readonly messages: number },
): Promise<void> {
  let left = messages;
  let over: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    over = resolve;
  });
  const runner = await join(target, kiosk, (topic) => {
    if (!topic.includes('/dn/')) return;
    left -= 1;
    if (left > 0) runner.socket.write(packet);
    else over();
  });
  runner.socket.removeAllListeners('close');
  runner.socket.once('close', over);
  for (let sent = 0; sent < unanswered; sent += 1) runner.socket.write(packet);
  await ended;
  leave(runner);
}
