/** Reload at the kiosk: opens the card with key 1, and the hub ends the transaction in one batch (TRUTH section 14). */
import { startReload } from '../cards/reload.ts';
import { play } from '../cards/script.ts';
import type { KioskNo } from '../protocol/ids.ts';
import { FRESH_SECONDS } from '../protocol/limits.ts';
import { toWire } from '../protocol/money.ts';
import type { Receipt } from '../protocol/receipt.ts';
import type { Refusal } from '../protocol/refusals.ts';
import type { ReloadAsked } from '../protocol/relay.ts';
import { BEACON_SECONDS, minuteOfSlot } from '../protocol/status.ts';
import type { CardKeys } from './cardkeys.ts';
import { type Outbox, OutboxFault } from './outbox.ts';
import type { Reader } from './reader.ts';
import type { Relay } from './relay.ts';
import type { Relayed } from './rules/relayed.ts';
import type { CardTrouble } from './rules/sale.ts';
import { trouble } from './tap.ts';

export interface ReloadDeps {
  readonly kiosk: KioskNo;
  readonly reader: Pick<Reader, 'transmit'>;
  readonly cardKeys: CardKeys;
  readonly outbox: Pick<Outbox, 'mint' | 'journalReload' | 'drop' | 'keep'>;
  readonly relay: Pick<Relay, 'talk'>;
  readonly randomBytes: (length: number) => Uint8Array;
}

/** A load that was asked for, and the card that lies on the reader. */
export interface ReloadOrder {
  readonly card: { readonly presence: number; readonly uid: string };
  /** In rupiah. */
  readonly amount: bigint;
  /** The latest beacon: its slot, and its value as hex. */
  readonly slot: number;
  readonly beacon: string;
}

export type Reloaded =
  /** In the purse, by the card's own certificate. */
  | { readonly kind: 'loaded'; readonly receipt: Receipt }
  /** Nothing is in the purse, and nothing is gone from the account. */
  | { readonly kind: 'not-loaded'; readonly reason: Refusal | null }
  /** The hub may have sent the money on its way: "sedang dicek" until it is asked again or the card's next tap. */
  | { readonly kind: 'checking' }
  | CardTrouble;

const CHALLENGE_BYTES = 16;

const hex = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');

/** What the kiosk found on the card, as the hub is told: nothing of it opens anything without key 3. */
async function begin(deps: ReloadDeps, order: ReloadOrder): Promise<ReloadAsked | CardTrouble> {
  const { kiosk, reader, cardKeys, outbox, randomBytes } = deps;
  const { card, amount, slot, beacon } = order;
  const key = cardKeys.find(card.uid);
  if (key === null) return { kind: 'no-key' };
  const seq = outbox.mint(amount, 'reload');
  const deed = { kind: 'reload', amount, kioskNo: kiosk, kioskSeq: seq, minute: minuteOfSlot(slot) } as const;
  const { tmri } = cardKeys.sign(card.uid, deed, beacon);
  const script = startReload({ key1: key.key1, rndA: randomBytes(CHALLENGE_BYTES), tmri });
  const begun = await play(script, (apdu) => reader.transmit(card.presence, apdu));
  if (!begun.ok) {
    outbox.drop(seq);
    return trouble(begun);
  }
  const start: ReloadAsked = {
    deed: 'reload',
    uid: card.uid,
    seq,
    amount: toWire(amount),
    slot,
    keyVersion: key.keyVersion,
    tmacKeyVersion: key.tmacKeyVersion,
    before: hex(begun.before),
    records: hex(begun.records),
    encTmri: hex(begun.encTmri),
    ti: hex(begun.ti),
    ctr: begun.ctr,
    challenge: hex(begun.challenge),
  };
  outbox.journalReload(start);
  return start;
}

/** Keeps the hub's final word. Anything but that leaves it open: the hub may hold money in transit. */
function conclude({ outbox }: Pick<ReloadDeps, 'outbox'>, { seq }: ReloadAsked, relayed: Relayed): Reloaded {
  if (relayed.kind !== 'ended' || relayed.end.done !== 'reload') return { kind: 'checking' };
  const { receipt, mac, voided } = relayed.end;
  outbox.keep(seq as Parameters<Outbox['keep']>[0], { receipt, mac }, voided);
  if (receipt.outcome === 'approved' && !voided) return { kind: 'loaded', receipt };
  return { kind: 'not-loaded', reason: receipt.reason };
}

/** Disk trouble as the till knows it. A start that is on disk stays open there and is asked about again. */
async function guarded(work: () => Promise<Reloaded>): Promise<Reloaded> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof OutboxFault) return { kind: 'disk', why: error.message };
    throw error;
  }
}

/** Loads the purse of the card on the reader, with one wait for the hub in the field. Rejects only for bugs. */
export function reload(deps: ReloadDeps, order: ReloadOrder): Promise<Reloaded> {
  return guarded(async () => {
    const start = await begin(deps, order);
    if (!('deed' in start)) return start;
    return conclude(deps, start, await deps.relay.talk(order.card.presence, start, () => undefined));
  });
}

/** No card is there to be spoken with: a reader knows no presence of this number. */
const NOBODY = 0;

/**
 * Asks again what became of a reload, by its start repeated to the byte. Not before its beacon is too old for the hub
 * to release it: a start that never arrived would be released now, for a card that left.
 * @param slot of the latest beacon. @returns `checking` without asking while it is too early.
 */
export function askReload(
  deps: Pick<ReloadDeps, 'outbox' | 'relay'>,
  start: ReloadAsked,
  slot: number,
): Promise<Reloaded> {
  return guarded(async () => {
    if ((slot - start.slot) * BEACON_SECONDS <= FRESH_SECONDS) return { kind: 'checking' };
    return conclude(deps, start, await deps.relay.talk(NOBODY, start, () => undefined));
  });
}
