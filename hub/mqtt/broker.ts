/** The embedded broker: aedes behind mutual TLS, with the door, the byte guard and the access rules in front of it. */
import type { KeyObject } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { Aedes, type AuthenticateError, type Client, type ConnectPacket, type PublishPacket } from 'aedes';
import type { Logger } from 'pino';
import { decode } from '../../protocol/envelope.ts';
import type { KioskName } from '../../protocol/ids.ts';
import type { KioskState } from '../../protocol/status.ts';
import { notices, stateTopic } from '../../protocol/topics.ts';
import type { RaiseAlarm } from '../alarms.ts';
import { makeAllowance } from '../allowance.ts';
import type { HubMetrics } from '../metrics.ts';
import type { Kiosk, Registry } from '../store/registry.ts';
import { type ConnectVerdict, judgeConnect, judgePublish, mayHear, maySubscribe } from './access.ts';
import { BadVisits } from './door.ts';
import type { Ack } from './frames.ts';
import { guardSocket } from './guard.ts';
import { type Incoming, listenTcp, listenTls } from './listeners.ts';
import { idOf, type Receive, refusalAnswer } from './router.ts';
import { type BrokerClient, Session } from './session.ts';

export interface BrokerDeps {
  readonly registry: Pick<Registry, 'kiosk'>;
  readonly receive: Receive;
  readonly alarm: RaiseAlarm;
  readonly metrics: HubMetrics;
  readonly log: Logger;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  /** Runs something after so many milliseconds; returns how to call it off. */
  readonly later: (run: () => void, ms: number) => () => void;
}

export interface BrokerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly key: KeyObject; readonly certificate: string; readonly ca: string };
  /** Port of a listener without TLS on the loopback address, where a client is who it says: for measurements only. */
  readonly benchTcpPort?: number | undefined;
  /** Connections without a finished handshake at once; beyond, the oldest is let go. */
  readonly unfinishedMax?: number;
}

export interface Broker {
  readonly port: number;
  readonly benchTcpPort: number | undefined;
  /** Publishes a retained message of the hub; resolves when every kiosk that listens has been written to. */
  retain(topic: string, text: string): Promise<void>;
  /** Closes the live connection of a kiosk, if there is one. */
  drop(name: KioskName): void;
  /** Names of the kiosks connected now with the serial of the certificate each came with. */
  online(): ReadonlyMap<KioskName, string>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5000;

/** MQTT 3.1.1 table 3.1: 2 = identifier rejected, 5 = not authorised. */
function refusalOf(verdict: ConnectVerdict): AuthenticateError {
  return Object.assign(new Error(`refused at the door: ${verdict}`), {
    returnCode: verdict === 'name-differs' ? 2 : 5,
  }) as AuthenticateError;
}

/** Everything the hooks of one broker share. */
class Hooks {
  readonly deps: BrokerDeps;
  readonly visits: BadVisits;
  readonly sessions = new WeakMap<Client, Session>();
  /**
   * The one open connection of each kiosk, kept here and not read from aedes: when two come at once with one client
   * id, the end of the one before makes aedes (1.2.0, lib/client.js) forget a live one, which no revocation finds.
   */
  readonly open = new Map<KioskName, BrokerClient>();
  /** How each connection that is still open came in, and what its CONNECT was found to be. */
  readonly incoming = new WeakMap<object, Incoming>();
  readonly #mayLog = makeAllowance();
  readonly #verdicts = new WeakMap<Client, { verdict: ConnectVerdict; kiosk: Kiosk | undefined }>();

  constructor(deps: BrokerDeps) {
    this.deps = deps;
    this.visits = new BadVisits(deps.now);
  }

  preConnect(client: BrokerClient, packet: ConnectPacket): void {
    // Nothing more is read before the verdict: aedes would handle what comes in the meantime as a kiosk's.
    client.pause();
    const incoming = this.incoming.get(client.conn);
    const kiosk = this.deps.registry.kiosk(packet.clientId as KioskName);
    // The measuring listener has no certificates: there a client is the kiosk that it names.
    const identity = incoming?.identity ?? { name: packet.clientId, serial: kiosk?.serial ?? '' };
    const { clientId, clean = false, protocolVersion = 0, will } = packet;
    const facts = { clientId, clean, protocolVersion, will: will ? { topic: will.topic, qos: will.qos ?? 0 } : null };
    this.#verdicts.set(client, { verdict: judgeConnect(facts, identity, kiosk), kiosk });
  }

  authenticate(client: BrokerClient): AuthenticateError | null {
    const judged = this.#verdicts.get(client);
    if (judged === undefined) throw new Error('authenticate before preConnect');
    const { verdict, kiosk } = judged;
    const incoming = this.incoming.get(client.conn);
    if (verdict !== 'welcome' || kiosk === undefined) {
      this.deps.metrics.refusedConnections.inc({ why: verdict });
      this.deps.log.warn({ certificate: incoming?.identity?.name, clientId: client.id, why: verdict }, 'kiosk refused');
      if (verdict === 'name-differs') {
        const claimed = client.id.slice(0, 120);
        this.deps.alarm('name-foreign', incoming?.identity?.name ?? '-', `came with the client id ${claimed}`);
      }
      this.blame(client);
      return refusalOf(verdict);
    }
    incoming?.guard.accept();
    const mark = Buffer.from(this.deps.random(6)).toString('base64url');
    this.sessions.set(client, new Session(client, kiosk, mark, this.deps.now));
    this.#enter(kiosk.name, client);
    return null;
  }

  /** The newest connection of a kiosk is the only one: the one before ends here. */
  #enter(name: KioskName, client: BrokerClient): void {
    const { open, deps } = this;
    if (client.conn.destroyed) return;
    const before = open.get(name);
    open.set(name, client);
    before?.close();
    deps.metrics.kiosksOnline.set(open.size);
    client.conn.once('close', () => {
      if (open.get(name) === client) open.delete(name);
      deps.metrics.kiosksOnline.set(open.size);
    });
  }

  /** Notes a bad visit of the certificate that this connection came with. */
  blame(client: Client): void {
    const identity = this.incoming.get(client.conn)?.identity;
    if (identity) this.visits.note(identity.serial);
  }

  /** True when aedes may route the packet; otherwise it was taken over here, answer and acknowledgement included. */
  publish(client: Client, packet: PublishPacket): boolean {
    const session = this.sessions.get(client);
    if (session === undefined) {
      // Nobody is let in without a session; should aedes ever hand on what a stranger said, only the stranger falls.
      client.close();
      return false;
    }
    const { name } = session.kiosk;
    const ack: Ack | null =
      packet.qos === 0 ? null : { type: packet.qos === 1 ? 'puback' : 'pubrec', packetId: packet.messageId ?? 0 };
    const verdict = judgePublish(name, packet);
    const text = packet.payload.toString();
    if (verdict.kind === 'conversation') {
      this.deps.receive(session, verdict.conversation, text, (answer) => session.answer(ack, answer));
      return false;
    }
    if (verdict.kind === 'state' && packet.retain) {
      const state = decode(notices.kioskState.message, text);
      if (state.ok) {
        session.hear(state.message.n);
        this.#note(name, state.message.body, packet);
        return true;
      }
    }
    const why = verdict.kind === 'refused' ? verdict.why : 'state-malformed';
    this.deps.alarm(why, name, `published to ${packet.topic.slice(0, 120)} with quality ${packet.qos}`);
    const code = why === 'state-malformed' ? 'message-malformed' : 'topic-unknown';
    const answer = refusalAnswer(code, `${why}: ${packet.topic}`, idOf(text));
    // Later, because the parser that is being called from here must not be entered again.
    queueMicrotask(() => session.answer(ack, answer));
    return false;
  }

  /** A will may speak only for its own kiosk's state; one whose client is gone must name a kiosk that exists. */
  will(client: Client | null, packet: PublishPacket): boolean {
    const name = (client?.id ?? packet.topic.split('/')[2] ?? '') as KioskName;
    if (packet.topic !== stateTopic(name)) return false;
    const state = decode(notices.kioskState.message, packet.payload.toString());
    if (!state.ok || (client === null && this.deps.registry.kiosk(name) === undefined)) return false;
    this.#note(name, state.message.body, packet);
    return true;
  }

  /**
   * The hub itself takes the state; aedes keeps it for nobody. No kiosk may subscribe to it, and at each SUBSCRIBE
   * aedes goes through all that is retained: with the states of 10,000 kiosks that is 20 ms.
   */
  #note(kiosk: KioskName, { online, waiting, software, clock }: KioskState, packet: PublishPacket): void {
    packet.retain = false;
    if (!this.#mayLog({ at: this.deps.now(), kind: 'state', kiosk })) return;
    const skewMs = clock - this.deps.now();
    this.deps.log.info({ kiosk, online, waiting, software, skewMs }, 'kiosk state');
  }
}

async function makeAedes(hooks: Hooks): Promise<Aedes> {
  const { deps, sessions } = hooks;
  const aedes = await Aedes.createBroker({
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxTopicLevels: 8,
    drainTimeout: 10_000,
    queueLimit: 16,
    maxClientsIdLength: 23,
    preConnect(client, packet, callback) {
      hooks.preConnect(client as BrokerClient, packet);
      callback(null, true);
    },
    authenticate(client, _username, _password, callback) {
      const error = hooks.authenticate(client as BrokerClient);
      callback(error, error === null);
    },
    authorizePublish(client, packet, callback) {
      if (client === null || client.closed || packet.cmd !== 'publish') {
        return callback(hooks.will(client, packet) ? null : new Error('a will may speak only for its own kiosk'));
      }
      if (hooks.publish(client, packet)) callback(null);
    },
    authorizeSubscribe(client, subscription, callback) {
      const may = sessions.has(client) && maySubscribe(client.id as KioskName, subscription.topic);
      const allowed = may && subscription.qos < 2;
      if (!allowed) deps.alarm('filter-foreign', client.id, `subscribed to ${subscription.topic.slice(0, 120)}`);
      callback(null, allowed ? subscription : null);
    },
    authorizeForward(client, packet) {
      return mayHear(client.id as KioskName, packet.topic) ? packet : null;
    },
  });
  // The enrolment may have ended between the verdict and now, while there was nothing to drop yet.
  aedes.on('clientReady', (client) => {
    const session = sessions.get(client);
    const current = session && deps.registry.kiosk(session.kiosk.name);
    if (current === undefined || current.revoked || current.serial !== session?.kiosk.serial) client.close();
  });
  const onError = (client: Client, error: Error) => {
    deps.log.info({ clientId: client.id, why: error.message }, 'connection failed');
    if (sessions.has(client) && isProtocolError(error)) hooks.blame(client);
  };
  // For example a will that may not be published, found by aedes' sweep after the clock was set; nobody else listens.
  const faults: EventEmitter = aedes;
  faults.on('error', (err: Error) => deps.log.error({ err }, 'the broker failed at something'));
  aedes.on('clientError', onError);
  aedes.on('connectionError', onError);
  return aedes;
}

/** A lost network is nobody's fault; a broken frame is the sender's. */
function isProtocolError(error: Error): boolean {
  return !('syscall' in error) && !/timeout|not arrive in time|closed/i.test(error.message);
}

/** Opens the listeners and the broker behind them. */
export async function openBroker(deps: BrokerDeps, options: BrokerOptions): Promise<Broker> {
  const hooks = new Hooks(deps);
  const aedes = await makeAedes(hooks);
  const admit = (incoming: Incoming) => {
    hooks.incoming.set(incoming.socket, incoming);
    guardSocket(incoming.socket, incoming.guard, (verdict) => {
      deps.metrics.refusedConnections.inc({ why: verdict });
      if (incoming.identity !== null) hooks.visits.note(incoming.identity.serial);
      incoming.socket.destroy();
    });
    aedes.handle(incoming.socket);
  };
  const tls = await listenTls(deps, hooks.visits, options, admit);
  const tcp = options.benchTcpPort === undefined ? undefined : await listenTcp(options.benchTcpPort, admit);
  return {
    port: tls.port,
    benchTcpPort: tcp?.port,
    retain: (topic, text) =>
      new Promise((resolve) => {
        const packet = { cmd: 'publish', topic, payload: Buffer.from(text), qos: 1, retain: true, dup: false } as const;
        aedes.publish(packet, (error) => {
          if (error) deps.log.error({ err: error, topic }, 'retained message not published');
          resolve();
        });
      }),
    drop: (name) => hooks.open.get(name)?.close(),
    online: () =>
      new Map([...hooks.open].map(([name, client]) => [name, hooks.sessions.get(client)?.kiosk.serial ?? ''])),
    async close() {
      const closed = [tls.close(), tcp?.close()];
      await new Promise<void>((resolve) => aedes.close(resolve));
      await Promise.all(closed);
    },
  };
}
