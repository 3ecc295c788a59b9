/** An issuing kiosk's line and reader in hand: the hub's own relay behind it, prepared cards that really compute. */
import { randomBytes } from 'node:crypto';
import type { Keyring } from '../../cards/keyring.ts';
import { personalise } from '../../cards/personalise.ts';
import { buildRecord, buildTmri, type Deed, proof } from '../../cards/record.ts';
import type { Reply } from '../../hub/mqtt/router.ts';
import { begun, failed, makeRelay as makeHubRelay } from '../../hub/operations/relay.ts';
import type { Kiosk } from '../../hub/store/registry.ts';
import type { Link, LinkEvent } from '../../kiosk/link.ts';
import { decode, encode } from '../../protocol/envelope.ts';
import type { RelayAnswer, RelayRequest } from '../../protocol/relay.ts';
import { conversations } from '../../protocol/topics.ts';
import type { Card } from '../town/card.ts';
import { noReload, noTagSale } from '../town/cardstock.ts';
import { anyBlankCard, UID, WITNESS } from '../town/deck.ts';
import { type Presence, present, type Trouble } from '../town/field.ts';

export const NUMBER = '603400000017';
export const HOLDER = 'Siti Aminah';
const VERSION = 1;
const key = (no: number): Uint8Array => new Uint8Array(16).fill(0xb0 + no);
const ring: Keyring = (no, version) => (version === VERSION ? key(no) : null);

/** A card whose key 0 is the hub's already, all else the factory's. */
export function preparedCard(): Card {
  const card = anyBlankCard();
  card.memory.keys.splice(0, 1, { key: key(0), version: VERSION });
  return card;
}

function marks(seq: number) {
  const deed: Deed = { kind: 'personalise', amount: 0n, kioskNo: 3, kioskSeq: seq, minute: 0 };
  const signed = proof(WITNESS, UID, deed, new Uint8Array(4));
  return { record: buildRecord(deed, signed), tmri: buildTmri(deed, signed) };
}

const script = () =>
  personalise({
    ring,
    version: VERSION,
    tmac: { key: new Uint8Array(16).fill(0xbf), version: VERSION },
    ceiling: 200_000,
    statement: new Uint8Array(100).fill(1),
    profile: new Uint8Array(32).fill(2),
    marks: [marks(1), marks(2), marks(3), marks(4)],
    random: randomBytes,
    journal: () => undefined,
  });

const KIOSK = { no: 7, name: 'meja-1', role: 'issuing' } as unknown as Kiosk;

/** The hub at the end of the line. */
export class HubEnd {
  /** What left the kiosk, in order. */
  readonly asked: RelayRequest[] = [];
  /** What the hub answered, in order; also what was kept back. */
  readonly answered: RelayAnswer[] = [];
  /** Answers from this turn on are kept back. */
  muteFrom = Number.POSITIVE_INFINITY;
  /** The test speaks for the hub. */
  byHand = false;
  /** Each answer comes twice, and the one before comes again with it. */
  echo = false;
  up = true;
  listener: (event: LinkEvent) => void = () => undefined;
  #sent = 0;
  #relay = this.#makeRelay();

  #makeRelay() {
    return makeHubRelay({
      'tag-sale': noTagSale,
      reload: noReload,
      service: () =>
        begun(script(), async (result) =>
          result.ok ? { done: 'personalise', number: NUMBER, holder: HOLDER, left: 2 } : failed(result),
        ),
    });
  }

  /** The hub starts anew and knows no conversation. */
  restart(): void {
    this.#relay = this.#makeRelay();
  }

  readonly link: Link = {
    listen: (listener) => {
      this.listener = listener;
    },
    send: (conversation, body) => {
      if (!this.up || conversation !== 'relay') return null;
      this.#sent += 1;
      const id = `m${this.#sent}`;
      void this.#serve(id, encode({ id, at: 0, n: this.#sent, body }));
      return id;
    },
    close: async () => undefined,
  };

  async #serve(id: string, text: string): Promise<void> {
    const message = decode(conversations.relay.up, text);
    if (!message.ok) throw new Error(`no message of this protocol: ${text}`);
    const { body } = message.message;
    this.asked.push(body);
    if (this.byHand) return;
    const reply = await this.#relay({ kiosk: KIOSK, body, hash: '' });
    for (const event of this.#events(id, reply)) if (this.up && body.turn < this.muteFrom) this.listener(event);
  }

  #events(replyTo: string, reply: Reply): LinkEvent[] {
    if ('refusal' in reply) return [{ type: 'refusal', replyTo, code: reply.refusal, detail: reply.detail }];
    const body = JSON.parse(reply.body) as RelayAnswer;
    const before = this.answered.at(-1);
    this.answered.push(body);
    const heard = (answer: RelayAnswer): LinkEvent => ({ type: 'heard', conversation: 'relay', replyTo, body: answer });
    return this.echo ? [...(before ? [heard(before)] : []), heard(body), heard(body)] : [heard(body)];
  }
}

/** A reader on which one card lies at a time; it counts what the card got. */
export class Plate {
  presence = 0;
  readonly sent: string[] = [];
  #card: Presence = () => null;

  lay(card: Card, trouble: Trouble = {}): number {
    this.presence += 1;
    this.#card = present(card, trouble);
    return this.presence;
  }

  lift(): void {
    this.#card = () => null;
  }

  readonly transmit = async (presence: number, apdu: Uint8Array): Promise<Uint8Array> => {
    if (presence !== this.presence) return new Uint8Array();
    this.sent.push(Buffer.from(apdu).toString('hex'));
    return this.#card(apdu) ?? new Uint8Array();
  };
}
