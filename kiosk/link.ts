/** The kiosk's line to its hub: MQTT over mutual TLS, one clean session at a time, with its own back-off. */
import type { Duplex } from 'node:stream';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { decode, encode, type MessageKind } from '../protocol/envelope.ts';
import type { KioskName } from '../protocol/ids.ts';
import type { Refusal } from '../protocol/refusals.ts';
import type { KioskState } from '../protocol/status.ts';
import {
  BEACON_TOPIC,
  type Conversation,
  conversations,
  type DnBody,
  dnTopic,
  HUB_STATE_TOPIC,
  kioskFilters,
  notices,
  stateTopic,
  type UpBody,
  upTopic,
} from '../protocol/topics.ts';

/** An answer of the hub in one conversation; `replyTo` names the message it answers. */
type Heard = {
  [C in Conversation]: {
    readonly type: 'heard';
    readonly conversation: C;
    readonly replyTo: string | undefined;
    readonly body: DnBody<C>;
  };
}[Conversation];

export type LinkEvent =
  /** Subscribed and announced: messages go through from here on. */
  | { readonly type: 'up' }
  | { readonly type: 'down'; readonly why: string }
  | { readonly type: 'hub'; readonly open: boolean }
  | { readonly type: 'beacon'; readonly slot: number; readonly value: string; readonly tariffs?: number }
  | { readonly type: 'refusal'; readonly replyTo: string | undefined; readonly code: Refusal; readonly detail: string }
  | Heard;

export interface Link {
  /** Registers the one listener and starts connecting. */
  listen(listener: (event: LinkEvent) => void): void;
  /**
   * Sends one message of a conversation.
   * @returns its id, or null when it was not sent: offline, or too many messages are on their way. Ask again later.
   * Being sent proves nothing; only the hub's answer does.
   */
  send<C extends Conversation>(conversation: C, body: UpBody<C>): string | null;
  close(): Promise<void>;
}

export interface LinkDeps {
  /** Opens a byte stream to the hub, TLS included. */
  readonly dial: () => Duplex;
  readonly timers: { setTimeout(callback: () => void, ms: number): unknown; clearTimeout(timer: unknown): void };
  /** A fraction from 0 up to, but not including, 1. */
  readonly random: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  /** Wall clock, milliseconds since 1970 UTC: told to the hub, trusted by nobody. */
  readonly now: () => number;
  /** Sales without an answer, told at each connect. */
  readonly waiting: () => number;
  readonly log: (what: string, detail: string) => void;
}

export interface LinkSettings {
  readonly name: KioskName;
  readonly software: string;
  readonly connectMs?: number;
}

const CONNECT_MS = 15_000;
const KEEPALIVE_S = 20;
const BACK_OFF_MS_FIRST = 500;
const BACK_OFF_MS_MAX = 60_000;
/** A connection that lived this long has worked; the next failure is a first one. */
const TRUSTED_MS = 30_000;
/** Publishes without PUBACK; a till has one sale at a time and few questions. */
const IN_FLIGHT_MAX = 16;
const GOODBYE_MS = 500;
const SESSION_BYTES = 8;
const ID_BYTES = 12;

/** Starts nothing yet: see `listen`. */
export function openLink(deps: LinkDeps, settings: LinkSettings): Link {
  return new MqttLink(deps, settings);
}

/** Wait before the next connect: full jitter between half a second and a minute. */
export function backOffMs(failures: number, random: number): number {
  const ceiling = Math.min(BACK_OFF_MS_MAX, BACK_OFF_MS_FIRST * 2 ** Math.min(failures, 10));
  return BACK_OFF_MS_FIRST + Math.floor(random * (ceiling - BACK_OFF_MS_FIRST));
}

class MqttLink implements Link {
  readonly #deps: LinkDeps;
  readonly #settings: LinkSettings;
  #listener: (event: LinkEvent) => void = () => undefined;
  #client: MqttClient | undefined;
  #up = false;
  #sent = 0;
  #inFlight = 0;
  #failures = 0;
  #timer: unknown;
  #trust: unknown;
  #closed = false;

  constructor(deps: LinkDeps, settings: LinkSettings) {
    this.#deps = deps;
    this.#settings = settings;
  }

  listen(listener: (event: LinkEvent) => void): void {
    this.#listener = listener;
    this.#connect();
  }

  send<C extends Conversation>(conversation: C, body: UpBody<C>): string | null {
    const client = this.#client;
    if (!this.#up || client === undefined || this.#inFlight >= IN_FLIGHT_MAX) return null;
    const id = this.#id();
    const { qos } = conversations[conversation];
    this.#inFlight += 1;
    client.publish(upTopic(this.#settings.name, conversation), this.#envelope(id, body), { qos }, () => {
      if (this.#client === client) this.#inFlight -= 1;
    });
    return id;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#deps.timers.clearTimeout(this.#timer);
    this.#deps.timers.clearTimeout(this.#trust);
    const client = this.#client;
    this.#client = undefined;
    if (client === undefined) return;
    if (!this.#up) return client.endAsync(true);
    // After a DISCONNECT the broker sends no will, so it is said here; a hub that hears neither is not waited for.
    await new Promise<void>((done) => {
      this.#timer = this.#deps.timers.setTimeout(done, GOODBYE_MS);
      this.#announce(client, false, () => client.end(false, () => done()));
    });
    this.#deps.timers.clearTimeout(this.#timer);
    await client.endAsync(true);
  }

  #connect(): void {
    const { timers, randomBytes } = this.#deps;
    const session = hex(randomBytes(SESSION_BYTES));
    this.#sent = 0;
    this.#inFlight = 0;
    let words = 'the hub closed the connection';
    const dial = (): Duplex =>
      this.#deps.dial().on('error', (error: Error) => {
        words = error.message;
      });
    const client = new mqtt.MqttClient(() => dial(), this.#options(session));
    this.#client = client;
    // mqtt.js leaves a connect open for ever when the broker closes before CONNACK: this end is ours.
    const patience = timers.setTimeout(
      () => fail('the hub did not answer in time'),
      this.#settings.connectMs ?? CONNECT_MS,
    );
    const fail = (why: string): void => {
      timers.clearTimeout(patience);
      if (this.#client === client) this.#lost(client, why);
    };
    client.on('error', (error) => {
      words = error.message;
    });
    client.on('close', () => fail(words));
    client.on('message', (topic, payload) => {
      if (this.#client === client) this.#hear(topic, payload.toString('utf8'));
    });
    client.on('connect', () => {
      client.subscribe([...kioskFilters(this.#settings.name)], { qos: 1 }, (error, granted) => {
        if (this.#client !== client) return;
        if (error !== null || granted?.some(({ qos }) => qos > 2)) return fail('the hub refused our subscriptions');
        timers.clearTimeout(patience);
        this.#announce(client, true, () => undefined, session);
        this.#trust = timers.setTimeout(() => {
          this.#failures = 0;
        }, TRUSTED_MS);
        this.#up = true;
        this.#listener({ type: 'up' });
      });
    });
  }

  #options(session: string): IClientOptions {
    const { name } = this.#settings;
    const will = encode({ id: this.#id(), at: this.#deps.now(), n: 1, body: this.#state(false, session) });
    return {
      clientId: name,
      clean: true,
      protocolVersion: 4,
      keepalive: KEEPALIVE_S,
      reconnectPeriod: 0,
      connectTimeout: this.#settings.connectMs ?? CONNECT_MS,
      // Nothing is kept while offline: what must be sent again comes from the till.
      queueQoSZero: false,
      resubscribe: false,
      will: { topic: stateTopic(name), payload: Buffer.from(will), qos: 1, retain: true },
    };
  }

  #session = '';

  #announce(client: MqttClient, online: boolean, done: () => void, session = this.#session): void {
    this.#session = session;
    const { qos, retain } = notices.kioskState;
    const text = this.#envelope(this.#id(), this.#state(online, session));
    client.publish(stateTopic(this.#settings.name), text, { qos, retain }, done);
  }

  #state(online: boolean, session: string): KioskState {
    const { software } = this.#settings;
    return { session, online, software, waiting: this.#deps.waiting(), clock: this.#deps.now() };
  }

  #envelope(id: string, body: unknown): string {
    this.#sent += 1;
    return encode({ id, at: this.#deps.now(), n: this.#sent, body });
  }

  #id(): string {
    return hex(this.#deps.randomBytes(ID_BYTES));
  }

  #lost(client: MqttClient, why: string): void {
    const { timers, random } = this.#deps;
    this.#client = undefined;
    timers.clearTimeout(this.#trust);
    client.end(true);
    const wasUp = this.#up;
    this.#up = false;
    if (this.#closed) return;
    if (wasUp) this.#listener({ type: 'down', why });
    else this.#deps.log('connect failed', why);
    this.#timer = timers.setTimeout(() => this.#connect(), backOffMs(this.#failures, random()));
    this.#failures += 1;
  }

  #hear(topic: string, text: string): void {
    const event = this.#read(topic, text);
    if (event !== null) this.#listener(event);
  }

  #read(topic: string, text: string): LinkEvent | null {
    const { name } = this.#settings;
    if (topic === BEACON_TOPIC) {
      const message = this.#decode(topic, notices.beacon.message, text);
      return message && { type: 'beacon', ...message.body };
    }
    if (topic === HUB_STATE_TOPIC) {
      const message = this.#decode(topic, notices.hubState.message, text);
      return message && { type: 'hub', open: message.body.online };
    }
    if (topic === dnTopic(name, 'refusal')) {
      const message = this.#decode(topic, notices.refusal.message, text);
      return message && { type: 'refusal', replyTo: message.replyTo, ...message.body };
    }
    for (const conversation of Object.keys(conversations) as Conversation[]) {
      if (topic !== dnTopic(name, conversation)) continue;
      const kind: MessageKind<DnBody<Conversation>> = conversations[conversation].dn;
      const message = this.#decode(topic, kind, text);
      return message && ({ type: 'heard', conversation, replyTo: message.replyTo, body: message.body } as Heard);
    }
    this.#deps.log('message to an unknown topic', topic);
    return null;
  }

  #decode<Body>(topic: string, kind: MessageKind<Body>, text: string) {
    const decoded = decode(kind, text);
    if (decoded.ok) return decoded.message;
    this.#deps.log(`message refused: ${decoded.refusal}`, topic);
    return null;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
