/** The load: kiosks as raw MQTT sockets, one request in flight each, in a process of its own. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { generate, type IPublishPacket, type Packet } from 'mqtt-packet';

/** Everything one kiosk needs to join and what it will say, in order. */
export interface LoadKiosk {
  readonly name: string;
  /** Topics this kiosk subscribes to. */
  readonly filters: readonly string[];
  /** Whole PUBLISH packets, QoS 1. */
  readonly packets: readonly Buffer[];
  readonly tls: { readonly key: string; readonly cert: string } | null;
}

export interface LoadResult {
  readonly answered: number;
  readonly seconds: number;
  /** Milliseconds from request to answer, sorted. */
  readonly latencies: Float64Array;
  /** CPU time of this process per answer, in microseconds. */
  readonly cpuUs: number;
  /** The first answer of each kind of ending, for a look. */
  readonly samples: ReadonlyMap<string, string>;
  readonly outcomes: ReadonlyMap<string, number>;
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
  /** Called with each answer's payload. */
  answer: (payload: Buffer) => void;
}

async function join(port: number, kiosk: LoadKiosk, ca: string): Promise<Runner> {
  const socket =
    kiosk.tls === null
      ? connectTcp({ port, host: '127.0.0.1', noDelay: true })
      : connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca, ...kiosk.tls, minVersion: 'TLSv1.3' });
  socket.setNoDelay(true);
  const runner: Runner = { kiosk, socket, next: 0, sentAt: 0, answer: () => undefined };
  const frames = new Frames();
  await new Promise<void>((resolve, reject) => {
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
          resolve();
        } else if (type === PUBLISH) {
          const topicLength = body.readUInt16BE(0);
          const qos = (flags >> 1) & 3;
          if (qos > 0) socket.write(Buffer.from([0x40, 2, body[2 + topicLength] ?? 0, body[3 + topicLength] ?? 0]));
          runner.answer(body.subarray(2 + topicLength + (qos > 0 ? 2 : 0)));
        }
      }),
    );
  });
  return runner;
}

/**
 * Joins all kiosks, then lets each ask its requests one after another until `seconds` are over or its packets are used up.
 * @param ending names how an answer ended, or null if it is not an answer (a beacon, say).
 */
export async function runLoad(
  target: { readonly port: number; readonly ca: string; readonly seconds: number; readonly warmSeconds: number },
  kiosks: readonly LoadKiosk[],
  ending: (payload: Buffer) => string | null,
): Promise<LoadResult> {
  const runners: Runner[] = [];
  for (let at = 0; at < kiosks.length; at += 50) {
    runners.push(...(await Promise.all(kiosks.slice(at, at + 50).map((kiosk) => join(target.port, kiosk, target.ca)))));
  }
  const latencies: number[] = [];
  const samples = new Map<string, string>();
  const outcomes = new Map<string, number>();
  const begin = performance.now();
  const from = begin + target.warmSeconds * 1000;
  const until = from + target.seconds * 1000;
  let cpu = process.cpuUsage();
  let measuring = false;
  await Promise.all(
    runners.map(
      (runner) =>
        new Promise<void>((done) => {
          const send = () => {
            const packet = runner.kiosk.packets[runner.next];
            const now = performance.now();
            if (packet === undefined || now >= until) return done();
            runner.next += 1;
            runner.sentAt = now;
            runner.socket.write(packet);
          };
          runner.answer = (payload) => {
            const name = ending(payload);
            if (name === null) return;
            const now = performance.now();
            if (!measuring && now >= from) {
              measuring = true;
              cpu = process.cpuUsage();
            }
            if (now >= from && now < until) {
              latencies.push(now - runner.sentAt);
              outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
              if (!samples.has(name)) samples.set(name, payload.toString());
            }
            send();
          };
          send();
        }),
    ),
  );
  const ended = Math.min(performance.now(), until);
  const used = process.cpuUsage(cpu);
  for (const { socket } of runners) {
    socket.removeAllListeners('close');
    socket.on('error', () => undefined);
    socket.destroy();
  }
  return {
    answered: latencies.length,
    seconds: (ended - from) / 1000,
    latencies: Float64Array.from(latencies).sort(),
    cpuUs: (used.user + used.system) / Math.max(1, latencies.length),
    samples,
    outcomes,
  };
}
