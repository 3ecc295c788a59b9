/** One kiosk's connection as router and broker share it: who it is, what it may still send, and how it is answered. */
import type { Client } from 'aedes';
import { encodeAround } from '../../protocol/envelope.ts';
import { type Conversation, dnTopic, kioskFilters } from '../../protocol/topics.ts';
import type { Kiosk } from '../store/registry.ts';
import { type Ack, ackFrame, answerFrame } from './frames.ts';

/** The parts of aedes' client (1.2.0, lib/client.js) that its type file leaves out. */
export interface BrokerClient extends Client {
  /** Next packet id of what the broker sends with quality 1. */
  _nextId: number;
  /** Tells that one packet is done; reads on when none is left. */
  readonly _nextBatch: () => void;
  readonly subscriptions: Readonly<Record<string, { readonly qos: number }>>;
  /** Calls back when the socket has drained, or after `drainTimeout`, when it is destroyed. */
  waitForDrain(callback: () => void): void;
  /** Reads nothing more until the connection has been let in. */
  pause(): void;
}

/** What the hub says to one kiosk. */
export interface Answer {
  readonly name: Conversation | 'refusal';
  readonly replyTo: string | undefined;
  /** JSON text of the body. */
  readonly body: string;
}

export class Session {
  readonly kiosk: Kiosk;
  /** Requests handed on and not yet answered. */
  waiting = 0;
  readonly #client: BrokerClient;
  readonly #now: () => number;
  readonly #mark: string;
  readonly #filter: string;
  readonly #topics = new Map<string, Uint8Array>();
  #heard = 0;
  #said = 0;

  /** @param mark short random text, so that message ids differ between connections. */
  constructor(client: BrokerClient, kiosk: Kiosk, mark: string, now: () => number) {
    this.kiosk = kiosk;
    this.#client = client;
    this.#mark = mark;
    this.#now = now;
    this.#filter = kioskFilters(kiosk.name)[0] ?? '';
  }

  /** Takes the number of a message that arrived; returns how many were skipped before it, 0 when none. */
  hear(n: number): number {
    const missing = n - this.#heard - 1;
    this.#heard = n;
    return missing > 0 ? missing : 0;
  }

  /**
   * Acknowledges one publish and answers it in one write; reads on only when the socket could take it, so that a kiosk
   * that does not listen stalls itself and nobody else. The receipt is not kept for the kiosk: sessions are clean, and
   * the kiosk asks again. Its PUBACK then finds nothing in the broker's store, which is no error there.
   */
  answer(ack: Ack | null, answer: Answer | null): void {
    const client = this.#client;
    const frame = answer === null ? null : this.#frame(ack, answer);
    const bytes = frame ?? (ack === null ? null : ackFrame(ack));
    if (bytes === null || client.closed || client.conn.destroyed) client._nextBatch();
    else if (client.conn.write(bytes)) client._nextBatch();
    else client.waitForDrain(() => client._nextBatch());
  }

  #frame(ack: Ack | null, { name, replyTo, body }: Answer): Buffer | null {
    const subscription = this.#client.subscriptions[this.#filter];
    if (subscription === undefined) return null;
    this.#said++;
    const id = `${this.#mark}-${this.#said.toString(36)}`;
    const payload = encodeAround({ id, at: this.#now(), n: this.#said, replyTo }, body);
    return answerFrame(ack, this.#topic(name), payload, subscription.qos === 0 ? null : this.#packetId());
  }

  #topic(name: Answer['name']): Uint8Array {
    let bytes = this.#topics.get(name);
    if (bytes === undefined) {
      bytes = Buffer.from(dnTopic(this.kiosk.name, name));
      this.#topics.set(name, bytes);
    }
    return bytes;
  }

  #packetId(): number {
    const id = this.#client._nextId;
    this.#client._nextId = id >= 65_535 ? 1 : id + 1;
    return id;
  }
}
