/** A stall around the real loop: real outbox and card keys, an emulated card, a hub that decides, time in hand. */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { join } from 'node:path';
import { proof, type RecordKind } from '../../cards/record.ts';
import { tmv, transactionInput, transactionKeys } from '../../cards/tmac.ts';
import { makeCardKeys } from '../../kiosk/cardkeys.ts';
import type { Link, LinkEvent } from '../../kiosk/link.ts';
import { openOutbox } from '../../kiosk/outbox.ts';
import type { Panel } from '../../kiosk/panel.ts';
import type { Reader, ReaderEvent } from '../../kiosk/reader.ts';
import type { PanelKey } from '../../kiosk/rules/sale.ts';
import type { Screen } from '../../kiosk/rules/screens.ts';
import { type Running, run } from '../../kiosk/run.ts';
import { openTariffShelf } from '../../kiosk/tariffs.ts';
import { cardKeyContext } from '../../protocol/cardkey.ts';
import { readAccount } from '../../protocol/claim.ts';
import type { CooperativeId } from '../../protocol/ids.ts';
import type { PurchaseRequest } from '../../protocol/purchase.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import type { ResolveRequest } from '../../protocol/resolve.ts';
import { makeSealingKeys, seal } from '../../protocol/sealed.ts';
import { minuteOfSlot } from '../../protocol/status.ts';
import { BOOK_CONTEXT, type TariffsAnswer, type TariffsRequest, writeBook } from '../../protocol/tariffbook.ts';
import type { Tariff } from '../../protocol/tariffs.ts';
import type { Conversation, UpBody } from '../../protocol/topics.ts';
import type { Card } from '../town/card.ts';
import { KEYS, UID } from '../town/deck.ts';
import { type Presence, present, type Trouble } from '../town/field.ts';
import { KIOSK, sealed as receiptOf } from './rules/drill.ts';

const WITNESS = randomBytes(32);
const SLOT = 180_000_000;
const BEACON = 'deadbeef';
const sealing = await makeSealingKeys();
const statement = generateKeyPairSync('ed25519');
const statementKey = Buffer.from(statement.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');

/** A book as the hub of these stalls signs it. */
export function signedBook(book: number, tariffs: readonly Tariff[], key = statement.privateKey) {
  const text = writeBook({ book, tariffs });
  return { text, signature: sign(null, Buffer.from(BOOK_CONTEXT + text), key).toString('base64') };
}

export const UID_HEX = Buffer.from(UID).toString('hex');

/** Where a stall keeps its sales. */
export const outboxOf = (dir: string): string => join(dir, 'outbox.sqlite');

/** Time that moves only when told. */
export class Clock {
  at = 0;
  readonly #timers = new Map<number, { due: number; callback: () => void }>();
  #next = 1;
  readonly timers = {
    setTimeout: (callback: () => void, ms: number): unknown => {
      this.#timers.set(this.#next, { due: this.at + ms, callback });
      return this.#next++;
    },
    clearTimeout: (timer: unknown): void => void this.#timers.delete(timer as number),
  };
  pass(ms: number): void {
    const until = this.at + ms;
    for (;;) {
      const next = [...this.#timers].filter(([, { due }]) => due <= until).sort(([, a], [, b]) => a.due - b.due)[0];
      if (next === undefined) break;
      this.#timers.delete(next[0]);
      this.at = Math.max(this.at, next[1].due);
      next[1].callback();
    }
    this.at = until;
  }
}

/** Decides as TRUTH section 1 says: one decision per seq, the same answer to every retry. */
export class Decider {
  /** When set, requests and questions arrive and no answer leaves; card keys still do. */
  silent = false;
  /** The key 1 it grants. */
  key1: Uint8Array = KEYS.debit;
  balance = 100_000;
  readonly receipts = new Map<number, Receipt>();
  readonly bodies: string[] = [];
  readonly asks: string[] = [];
  keysAsked = 0;
  /** What it says of tariffs, and what it heard of them. */
  book: TariffsAnswer['book'] = null;
  outletClass = 'retail';
  /** Cooperative of the card. */
  issuer = 'pasar';
  readonly tariffsAsked: TariffsRequest[] = [];

  purchase(body: PurchaseRequest): Receipt {
    this.bodies.push(JSON.stringify(body));
    const known = this.receipts.get(body.seq);
    if (known !== undefined) return known;
    const reason = this.#wrong(body) ?? (body.amount > this.balance ? 'insufficient-funds' : null);
    if (reason === null) this.balance -= body.amount;
    const outcome = reason === null ? 'approved' : 'declined';
    const { receipt } = receiptOf(body.seq, {
      outcome,
      reason,
      amount: body.amount,
      card: UID_HEX,
      balance: this.balance,
    });
    this.receipts.set(body.seq, receipt);
    return receipt;
  }

  resolve({ seq, ask }: ResolveRequest): Receipt {
    this.asks.push(`${ask} ${seq}`);
    const { receipt } = receiptOf(seq, { outcome: 'cancelled', reason: 'cancelled', balance: null });
    const decided = this.receipts.get(seq) ?? receipt;
    this.receipts.set(seq, decided);
    return decided;
  }

  /** The card's certificate, the record and the reader id, checked as the hub does. */
  #wrong({ claim, amount, seq }: PurchaseRequest): Receipt['reason'] {
    const parts = readAccount(claim.commands);
    if (parts === null) return 'certificate-malformed';
    const keys = transactionKeys(KEYS.tmac, UID, claim.tmc);
    const made = Buffer.from(tmv(keys, transactionInput(claim.commands))).toString('hex');
    const deed = {
      kind: 'account' as RecordKind,
      amount: BigInt(amount),
      kioskNo: KIOSK,
      kioskSeq: seq,
      minute: minuteOfSlot(SLOT),
    };
    const proven = Buffer.from(proof(WITNESS, UID, deed, Buffer.from(BEACON, 'hex'))).toString('hex');
    const ours = parts.record.endsWith(proven.slice(0, 6)) && parts.tmri.endsWith(proven.slice(0, 16));
    return made === claim.tmv && ours ? null : 'certificate-invalid';
  }
}

/** One power-on of the kiosk; `again` is the next one, on the same disk, with the same hub and card. */
export class Stall {
  readonly clock = new Clock();
  readonly screens: Screen[] = [];
  readonly log: string[] = [];
  failure: unknown = null;
  readonly #running: Running;
  readonly #outbox: ReturnType<typeof openOutbox>;
  #key: (key: PanelKey) => void = () => undefined;
  #reader: (event: ReaderEvent) => void = () => undefined;
  #link: (event: LinkEvent) => void = () => undefined;
  #up = false;
  #sent = 0;
  #presence = 0;
  #card: Presence = () => null;

  readonly #dir: string;
  readonly decider: Decider;

  constructor(dir: string, decider: Decider, bytesMax = 10_000_000) {
    this.#dir = dir;
    this.decider = decider;
    this.#outbox = openOutbox({ path: outboxOf(dir), kiosk: KIOSK, now: () => 0, bytesMax, patienceMs: 0 });
    const monotonic = (): number => this.clock.at;
    this.#running = run({
      kiosk: KIOSK,
      reader: this.#makeReader(),
      link: this.#makeLink(),
      outbox: this.#outbox,
      panel: this.#makePanel(),
      cardKeys: makeCardKeys({ monotonic, sealingKey: sealing.privateKey, witness: WITNESS }),
      masters: null,
      greeting: null,
      tariffs: openTariffShelf({
        dir,
        kiosk: KIOSK,
        cooperative: 'pasar' as CooperativeId,
        statementKey,
        log: (what, detail) => void this.log.push(`${what}: ${detail}`),
      }),
      monotonic,
      random: () => 0,
      randomBytes,
      timers: this.clock.timers,
      log: (what, detail) => void this.log.push(`${what}: ${detail}`),
      failed: (error) => {
        this.failure = error;
      },
    });
    this.#reader({ type: 'ready', name: 'emulated' });
    this.online(true);
  }

  /** The power goes: nothing is said or closed in good order. */
  again(): Stall {
    this.off();
    return new Stall(this.#dir, this.decider);
  }

  off(): void {
    this.#running.stop();
    this.#outbox.end();
  }

  get phase() {
    return this.#running.till().phase;
  }

  get screen(): Screen {
    const screen = this.screens.at(-1);
    if (screen === undefined) throw new Error('nothing was shown');
    return screen;
  }

  get waiting(): number {
    return this.#outbox.waiting();
  }

  press(...keys: PanelKey[]): void {
    for (const key of keys) this.#key(key);
  }

  arm(): void {
    this.press('2', '5', '0', '0', '0', 'enter', 'enter');
  }

  online(up: boolean): void {
    this.#up = up;
    this.#link(up ? { type: 'up' } : { type: 'down', why: 'pulled' });
    if (up) this.#link({ type: 'beacon', slot: SLOT, value: BEACON });
  }

  /** The hub's beacon, which names the newest book. */
  beacon(tariffs: number): void {
    this.#link({ type: 'beacon', slot: SLOT, value: BEACON, tariffs });
  }

  /** Lays the card down, waits until the kiosk has done with it, and takes it away. */
  async tap(card: Card, trouble: Trouble = {}): Promise<void> {
    this.#presence += 1;
    this.#card = present(card, trouble);
    this.#reader({ type: 'card', presence: this.#presence, uid: UID_HEX, atr: '' });
    await this.settled();
    this.#card = () => null;
    this.#reader({ type: 'gone', presence: this.#presence });
    await this.settled();
  }

  /**
   * Waits until the card and the key have been spoken for: neither waits for time, only for turns of the event
   * loop.
   */
  async settled(): Promise<void> {
    const busy = ['keying', 'reading', 'finding', 'looking'];
    for (let turn = 0; turn < 6 || busy.includes(this.phase.name); turn++) {
      await new Promise((done) => setImmediate(done));
    }
  }

  #makeReader(): Reader {
    return {
      listen: (listener) => {
        this.#reader = listener;
      },
      transmit: async (presence, apdu) => (presence === this.#presence ? this.#card(apdu) : null) ?? new Uint8Array(),
      close: async () => undefined,
    };
  }

  #makePanel(): Panel {
    return {
      listen: (listener) => {
        this.#key = listener;
      },
      show: (screen) => void this.screens.push(screen),
      close: () => undefined,
    };
  }

  #makeLink(): Link {
    return {
      listen: (listener) => {
        this.#link = listener;
      },
      send: (conversation, body) => {
        if (!this.#up) return null;
        this.#sent += 1;
        const id = `m${this.#sent}`;
        void this.#serve(conversation, body as unknown as UpBody<Conversation>, id);
        return id;
      },
      close: async () => undefined,
    };
  }

  async #serve(conversation: Conversation, body: UpBody<Conversation>, replyTo: string): Promise<void> {
    const { decider } = this;
    const mac = '5'.repeat(32);
    const answer = (event: LinkEvent): void => {
      if (!decider.silent && this.#up) this.#link(event);
    };
    await Promise.resolve();
    if (conversation === 'purchase') {
      const receipt = decider.purchase(body as PurchaseRequest);
      answer({ type: 'heard', conversation, replyTo, body: { receipt, mac } });
    } else if (conversation === 'resolve') {
      const receipt = decider.resolve(body as ResolveRequest);
      answer({ type: 'heard', conversation, replyTo, body: { receipt, mac, voided: false } });
    } else if (conversation === 'tariffs') {
      decider.tariffsAsked.push(body as TariffsRequest);
      answer({ type: 'heard', conversation, replyTo, body: { book: decider.book, class: decider.outletClass } });
    } else if (conversation === 'cardkey') {
      decider.keysAsked += 1;
      const { uid } = body as { uid: string };
      const box = Buffer.from(await seal(sealing.publicKey, cardKeyContext(uid, 1), decider.key1)).toString('base64');
      this.#link({
        type: 'heard',
        conversation,
        replyTo,
        body: { uid, keyVersion: 1, tmacKeyVersion: 1, issuer: decider.issuer, sealed: box },
      });
    }
  }
}
