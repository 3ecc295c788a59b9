/** An MQTT client made of raw packets, so that tests can also say what no client library would. */
import { connect as connectTcp, type Socket, type TcpSocketConnectOpts } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import mqtt, { type Packet } from 'mqtt-packet';
import { onTestFinished } from 'vitest';
import { encode } from '../../protocol/envelope.ts';
import type { TestKiosk } from './world.ts';

export interface Wire {
  readonly socket: Socket;
  readonly packets: Packet[];
  readonly closed: boolean;
  send(packet: Packet): void;
  raw(bytes: Uint8Array): void;
  /** The first packet, old or new, for which `wanted` holds; fails when the socket closes or after 5 s. */
  find(wanted: (packet: Packet) => boolean): Promise<Packet>;
  /** Resolves when the hub has closed the socket. */
  gone(): Promise<void>;
}

type Finally = (clean: () => void) => void;

/** Where the hub listens. */
export interface Door {
  readonly hub: { readonly port: number };
}

function wrap(socket: Socket, whenDone: Finally = onTestFinished): Wire {
  const parser = mqtt.parser();
  const packets: Packet[] = [];
  const listeners = new Set<() => void>();
  const stir = () => {
    for (const listener of listeners) listener();
  };
  let closed = false;
  parser.on('packet', (packet) => {
    packets.push(packet);
    stir();
  });
  socket.on('data', (bytes) => parser.parse(bytes));
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed = true;
    stir();
  });
  whenDone(() => void socket.destroy());
  const until = <T>(what: string, look: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        listeners.delete(listener);
      };
      const listener = () => {
        const found = look();
        if (found !== undefined) {
          end();
          resolve(found);
        } else if (closed) {
          end();
          reject(new Error(`the socket closed before ${what}`));
        }
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`waited 5 s for ${what}; got ${JSON.stringify(packets)}`));
      }, 5000);
      listeners.add(listener);
      listener();
    });
  return {
    socket,
    packets,
    get closed() {
      return closed;
    },
    send: (packet) => void socket.write(mqtt.generate(packet)),
    raw: (bytes) => void socket.write(bytes),
    find: (wanted) => until('the packet came', () => packets.find(wanted)),
    gone: async () => void (await until('it closed', () => (closed ? true : undefined))),
  };
}

export interface Dialling {
  /** A TLS session to resume. */
  readonly session?: Buffer | undefined;
  /** The address to come from, of the loopback network. */
  readonly from?: string;
  readonly whenDone?: Finally | undefined;
}

/** Opens a TLS socket to the hub, with a kiosk's certificate or without one; resolves when it is open or has failed. */
export async function dial(
  door: Door,
  kiosk: Pick<TestKiosk, 'key' | 'grant'> | null,
  { session, from = '127.0.0.1', whenDone }: Dialling = {},
): Promise<Wire> {
  const ca = kiosk?.grant.ca;
  // Node hands `localAddress` on to the TCP socket; its type file leaves it out.
  const options: ConnectionOptions & Pick<TcpSocketConnectOpts, 'localAddress'> = {
    host: '127.0.0.1',
    port: door.hub.port,
    localAddress: from,
    servername: 'localhost',
    ...(kiosk === null ? { rejectUnauthorized: false } : { ca, key: kiosk.key, cert: kiosk.grant.certificate }),
    ...(session === undefined ? {} : { session }),
  };
  const socket = connectTls(options);
  const wire = wrap(socket, whenDone);
  await new Promise<void>((resolve) => socket.once('secureConnect', resolve).once('close', () => resolve()));
  return wire;
}

/** Opens a bare socket, to TLS or to the measuring port alike. */
export async function dialBare(port: number): Promise<Wire> {
  const socket = connectTcp(port, '127.0.0.1');
  const wire = wrap(socket);
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  return wire;
}

export const connectPacket = (clientId: string, more: object = {}): Packet => ({
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 4,
  clean: true,
  clientId,
  keepalive: 30,
  ...more,
});

/** Dials, connects and subscribes as a good kiosk does. */
export async function join(
  door: Door,
  kiosk: Pick<TestKiosk, 'name' | 'key' | 'grant'>,
  more: object = {},
  whenDone?: Finally,
): Promise<Wire> {
  const wire = await dial(door, kiosk, { whenDone });
  wire.send(connectPacket(kiosk.name, more));
  const connack = await wire.find(({ cmd }) => cmd === 'connack');
  if (connack.cmd !== 'connack' || connack.returnCode !== 0) throw new Error(`not let in: ${JSON.stringify(connack)}`);
  subscribe(wire, 1, `simpul/v1/${kiosk.name}/dn/+`, 'simpul/v1/hub/+');
  await wire.find(({ cmd }) => cmd === 'suback');
  return wire;
}

export function subscribe(wire: Wire, messageId: number, ...topics: string[]): void {
  wire.send({ cmd: 'subscribe', messageId, subscriptions: topics.map((topic) => ({ topic, qos: 1 })) });
}

export function publish(wire: Wire, topic: string, payload: string, more: object = {}): void {
  wire.send({ cmd: 'publish', topic, payload, qos: 1, messageId: 7, dup: false, retain: false, ...more });
}

/** Sends one message and gives the body of what answers it, with the topic's last part. */
export async function ask(wire: Wire, kiosk: string, conversation: string, body: unknown, n: number, id = `m${n}`) {
  publish(wire, `simpul/v1/${kiosk}/up/${conversation}`, encode({ id, at: 0, n, body }), { messageId: n });
  return answerTo(wire, id);
}

export async function answerTo(wire: Wire, id: string) {
  const packet = await wire.find((packet) => packet.cmd === 'publish' && read(packet).replyTo === id);
  if (packet.cmd !== 'publish') throw new Error('not a publish');
  return { name: packet.topic.split('/').at(-1), text: packet.payload.toString(), ...read(packet) };
}

export function read(packet: Packet): { replyTo?: string; n?: number; body: Record<string, unknown> } {
  return packet.cmd === 'publish' ? JSON.parse(packet.payload.toString()) : { body: {} };
}
