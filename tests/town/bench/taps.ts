/** Taps for the card bench: the kiosk's own parts at private pcscds, each tap timed from the card event to the end. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { coveredCommands, type PaymentIntent, purchaseFromPurse } from '../../../cards/payment.ts';
import { play } from '../../../cards/script.ts';
import { tmv, transactionInput, transactionKeys } from '../../../cards/tmac.ts';
import { type CardKeys, makeCardKeys } from '../../../kiosk/cardkeys.ts';
import { type Outbox, openOutbox } from '../../../kiosk/outbox.ts';
import { openReader, type Reader, type ReaderEvent } from '../../../kiosk/reader.ts';
import type { Intent } from '../../../kiosk/rules/doubt.ts';
import { pay, type TapDeps } from '../../../kiosk/tap.ts';
import { cardKeyContext } from '../../../protocol/cardkey.ts';
import type { KioskNo } from '../../../protocol/ids.ts';
import { makeSealingKeys, seal } from '../../../protocol/sealed.ts';
import { minuteOfSlot } from '../../../protocol/status.ts';
import type { Pace } from '../airtime.ts';
import type { Card } from '../card.ts';
import { anyCard, KEYS } from '../deck.ts';
import { layEchoCard } from '../echocard.ts';
import { openPcscd, type Pcscd } from '../pcscd.ts';
import { lay } from '../vpicc.ts';

export type TapKind = 'account' | 'purse';

/** One tap, in milliseconds. */
export interface TapTime {
  /** From the reader's card event to the script's end. */
  readonly wholeMs: number;
  /** Of that, while a command was on its way to the card and back. */
  readonly insideMs: number;
  /** Lengths of commands and replies, in bytes, and the commands. */
  readonly exchanges: readonly { readonly apdu: Uint8Array; readonly replyBytes: number }[];
}

export type Transmit = (apdu: Uint8Array) => Promise<Uint8Array>;
type CardEvent = ReaderEvent & { type: 'card' };

const KIOSK = 9 as KioskNo;
/** Any beacon: here no hub dates the tap. */
const SLOT = 180_000_000;
const BEACON = 'deadbeef';
const AMOUNT = 1_000n;
/** More than all taps of a run take. */
const PURSE = { value: 100_000_000, ceiling: 100_000_000 };
/** Counter of a card that was personalised and never used. */
const FRESH_TMC = 4;
const CARD_PATIENCE_MS = 20_000;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Where cards are laid; one card after another. */
export interface Station {
  /** Lays a card, has `conversation` run from its card event on, takes it away. Fails when no card event comes. */
  tap(
    put: (pcscd: Pcscd) => Promise<() => void>,
    conversation: (transmit: Transmit) => Promise<void>,
  ): Promise<TapTime>;
  close(): Promise<void>;
}

/** Opens a private pcscd and the kiosk's reader client at it. */
export async function openStation(): Promise<Station> {
  const pcscd = await openPcscd();
  const reader = openReader({ timers: globalThis, random: Math.random }, pcscd.reader);
  let onCard: (event: CardEvent) => void = () => undefined;
  let onGone: () => void = () => undefined;
  let empty: Promise<void> = Promise.resolve();
  reader.listen((event) => {
    if (event.type === 'card') onCard(event);
    if (event.type === 'gone') onGone();
  });
  return {
    async tap(put, conversation) {
      await empty;
      empty = new Promise((resolve) => {
        onGone = resolve;
      });
      const timed = new Promise<TapTime>((resolve, reject) => {
        const late = setTimeout(() => reject(new Error('the reader did not tell of a card')), CARD_PATIENCE_MS);
        onCard = ({ presence }) => {
          clearTimeout(late);
          // Within the event itself, as the till does it: the clock runs from here.
          time(reader, presence, conversation).then(resolve, reject);
        };
      });
      // Said when it is waited for, at the latest when no card can be put down.
      timed.catch(() => undefined);
      const take = await put(pcscd);
      return timed.finally(take);
    },
    close: async () => {
      await reader.close();
      await pcscd.close();
    },
  };
}

async function time(
  reader: Reader,
  presence: number,
  conversation: (transmit: Transmit) => Promise<void>,
): Promise<TapTime> {
  const start = performance.now();
  let insideMs = 0;
  const exchanges: TapTime['exchanges'][number][] = [];
  await conversation(async (apdu) => {
    const from = performance.now();
    const reply = await reader.transmit(presence, apdu);
    insideMs += performance.now() - from;
    exchanges.push({ apdu, replyBytes: reply.length });
    return reply;
  });
  return { wholeMs: performance.now() - start, insideMs, exchanges };
}

/** Says as many commands of these lengths to the empty card, and hears each back. */
export async function tapEcho(station: Station, lengths: readonly number[]): Promise<TapTime> {
  const put = async (pcscd: Pcscd) => {
    const slot = await pcscd.connect();
    layEchoCard(slot);
    return () => void slot.destroy();
  };
  return station.tap(put, async (transmit) => {
    for (const length of lengths) {
      const reply = await transmit(new Uint8Array(length).fill(0x90));
      if (reply.length !== length + 2) throw new Error('the empty card did not say a command back');
    }
  });
}

/** What a card proved: its certificate and what it is over. */
interface Proven {
  readonly intent: Intent;
  readonly tmc: number;
  readonly tmv: string;
  readonly debit: bigint;
}

/** The kiosk's side of a tap; its outbox lies on a real disk and is written through. */
export interface Till {
  readonly outbox: Outbox;
  readonly cardKeys: CardKeys;
  /** Makes a card that this till holds the key of. */
  card(index: number): Promise<Card>;
  close(): void;
}

/** Opens a till that keeps its sales in this directory. */
export async function openTill(directory: string): Promise<Till> {
  const sealing = await makeSealingKeys();
  const cardKeys = makeCardKeys({
    monotonic: () => performance.now(),
    sealingKey: sealing.privateKey,
    witness: randomBytes(32),
  });
  const outbox = openOutbox({ path: join(directory, 'outbox.sqlite'), kiosk: KIOSK, now: Date.now });
  return {
    outbox,
    cardKeys,
    async card(index) {
      const bytes = Uint8Array.of(0x04, 0xbe, 0xc4, 0, 0, index, 0x80);
      const uid = hex(bytes);
      const box = await seal(sealing.publicKey, cardKeyContext(uid, 1), KEYS.debit);
      const sealed = Buffer.from(box).toString('base64');
      const accepted = await cardKeys.accept({ uid, keyVersion: 1, tmacKeyVersion: 1, issuer: 'pasar', sealed });
      if (accepted !== 'held') throw new Error(`the key of a card was not held: ${accepted}`);
      return anyCard({ uid: bytes, purse: PURSE, random: randomBytes });
    },
    close: () => outbox.end(),
  };
}

/** Plays one tap on a station. Fails unless the card certified it. */
export async function tapCard(
  station: Station,
  till: Till,
  kind: TapKind,
  card: Card,
  pace: Pace | null,
): Promise<TapTime> {
  // The sale was armed before the card came.
  const seq = till.outbox.mint(AMOUNT, 'account');
  let proven: Proven | string = 'nothing was played';
  const put = async (pcscd: Pcscd) => {
    const offer = lay(card, await pcscd.connect(), {}, pace);
    return () => void offer.remove();
  };
  const took = await station.tap(put, async (transmit) => {
    const deps: TapDeps = {
      kiosk: KIOSK,
      reader: { transmit: (_presence, apdu) => transmit(apdu) },
      cardKeys: till.cardKeys,
      relay: { talk: () => Promise.reject(new Error('only tags are relayed')) },
      journal: (...what) => till.outbox.journal(...what),
      randomBytes,
    };
    const uid = hex(card.memory.uid);
    proven = await (kind === 'account' ? sellFromAccount(deps, uid, seq) : sellFromPurse(deps, uid, seq));
  });
  mustBeCertified(kind, card, proven);
  return took;
}

type Seq = ReturnType<Outbox['mint']>;

async function sellFromAccount(deps: TapDeps, uid: string, seq: Seq): Promise<Proven | string> {
  const sale = { seq, amount: AMOUNT, price: AMOUNT, mode: 'account', prices: null } as const;
  const paid = await pay(deps, { type: 'pay', sale, card: { presence: 0, uid }, slot: SLOT, beacon: BEACON });
  return paid.kind === 'committed' ? { intent: paid.intent, ...paid.certificate, debit: 0n } : paid.kind;
}

/** The purse sale with the journal of the account sale: what a purse tap costs, before the till can sell from one. */
async function sellFromPurse(deps: TapDeps, uid: string, seq: Seq): Promise<Proven | string> {
  const key = deps.cardKeys.find(uid);
  if (key === null) return 'no-key';
  const minute = minuteOfSlot(SLOT);
  const deed = { kind: 'purse', amount: AMOUNT, kioskNo: KIOSK, kioskSeq: seq, minute } as const;
  const marks = deps.cardKeys.sign(uid, deed, BEACON);
  let intent: Intent | null = null;
  const journal = (seen: PaymentIntent) => {
    const before = Buffer.from(seen.before);
    intent = {
      uid,
      keyVersion: key.tmacKeyVersion,
      tmc: before.readUInt32LE(0),
      tmv: hex(before.subarray(4)),
      records: hex(seen.records),
      opening: Number(seen.opening),
      record: hex(marks.record),
      tmri: hex(marks.tmri),
      encTmri: hex(seen.encTmri),
    };
    deps.journal(seq, intent, AMOUNT);
  };
  const order = { key1: key.key1, rndA: deps.randomBytes(16), ...marks, amount: AMOUNT, journal };
  const done = await play(purchaseFromPurse(order), (apdu) => deps.reader.transmit(0, apdu));
  if (!done.ok) return `${done.reason} at ${done.at}`;
  if (intent === null) return 'not journaled';
  return { intent, tmc: done.tmc, tmv: hex(done.tmv), debit: AMOUNT };
}

/** Rebuilds the list from what was journaled, as the hub does, and has the certificate prove it. */
function mustBeCertified(kind: TapKind, card: Card, proven: Proven | string): void {
  if (typeof proven === 'string') throw new Error(`a tap (${kind}) was not certified: ${proven}`);
  const { intent, tmc, debit } = proven;
  const bytes = (text: string) => Buffer.from(text, 'hex');
  const seen = {
    records: bytes(intent.records),
    opening: BigInt(intent.opening),
    encTmri: bytes(intent.encTmri),
  };
  const list = coveredCommands({ record: bytes(intent.record), tmri: bytes(intent.tmri) }, seen, debit);
  const made = hex(tmv(transactionKeys(KEYS.tmac, card.memory.uid, tmc), transactionInput(list)));
  if (made !== proven.tmv) throw new Error(`a tap (${kind}) was not certified: its certificate does not fit its list`);
}

/** Fails unless the card's counter went up by exactly this many taps. */
export function mustHaveCounted(card: Card, taps: number): void {
  const file = card.memory.files.get(0x0f);
  const counted = file?.kind === 'tmac' ? file.tmc - FRESH_TMC : Number.NaN;
  if (counted !== taps) throw new Error(`a card that was tapped ${taps} times counted ${counted}`);
}
