/** Drives a till by hand: one event at a time, with everything it asked for at hand. */

import type { Intent } from '../../../kiosk/rules/doubt.ts';
import {
  type Effect,
  newTill,
  type PanelKey,
  type Sealed,
  type Till,
  type TillEvent,
} from '../../../kiosk/rules/sale.ts';
import { type Screen, view } from '../../../kiosk/rules/screens.ts';
import { step } from '../../../kiosk/rules/till.ts';
import type { KioskNo, KioskSeq } from '../../../protocol/ids.ts';
import type { Receipt } from '../../../protocol/receipt.ts';

export const KIOSK = 7 as KioskNo;
export const UID = '04a1b2c3d4e5f6';
export const OTHER = '04ffffffffffff';
export const seqOf = (seq: number): KioskSeq => seq as KioskSeq;

export const INTENT: Intent = {
  uid: UID,
  keyVersion: 1,
  tmc: 258,
  tmv: '1122334455667788',
  records: '0'.repeat(96) + 'a'.repeat(32),
  opening: 0,
  record: '2'.repeat(32),
  tmri: '3'.repeat(32),
  encTmri: '4'.repeat(32),
};
export const CERTIFICATE = { tmc: 259, tmv: '8877665544332211' };

/** A receipt as the hub would seal it. */
export function sealed(seq: number, changes: Partial<Receipt> = {}): Sealed {
  const receipt: Receipt = {
    kiosk: KIOSK,
    seq,
    hash: '0'.repeat(32),
    outcome: 'approved',
    reason: null,
    at: 0,
    date: '2026-01-01',
    window: 1,
    amount: 25_000,
    fee: 0,
    shares: [],
    card: UID,
    issuer: 'pasar',
    acquirer: 'taksi',
    outlet: 'lapak-1',
    balance: 75_000,
    ...changes,
  };
  return { receipt, mac: '5'.repeat(32) };
}

export const declined = (seq: number, reason: Receipt['reason'] = 'insufficient-funds'): Sealed =>
  sealed(seq, { outcome: 'declined', reason, balance: null, window: 0 });
export const cancelled = (seq: number): Sealed =>
  sealed(seq, { outcome: 'cancelled', reason: 'cancelled', amount: 0, card: null, issuer: null, balance: null });

export interface Drill {
  till: Till;
  /** The kiosk's monotonic clock, milliseconds. */
  at: number;
  /** Takes one event and gives what the till asked for. */
  on(event: TillEvent): readonly Effect[];
  press(...keys: PanelKey[]): readonly Effect[];
  screen(): Screen;
}

/** A till that has booted, is online, has a reader and a fresh beacon. */
export function drill(
  recovered: TillEvent & { type: 'booted' } = { type: 'booted', recovered: [], unshown: [] },
): Drill {
  const made: Drill = {
    till: newTill(KIOSK),
    at: 1_000_000,
    on(event) {
      const { till, effects } = step(made.till, event, made.at);
      made.till = till;
      return effects;
    },
    press: (...keys) => keys.flatMap((key) => made.on({ type: 'pressed', key })),
    screen: () => view(made.till, made.at),
  };
  made.on(recovered);
  made.on({ type: 'reader-ready' });
  made.on({ type: 'link', online: true });
  made.on({ type: 'beacon', slot: 6_000, value: 'deadbeef' });
  return made;
}

/** Rp 25.000 typed, confirmed and minted as seq 1. */
export function armed(from: Drill = drill(), seq = 1): Drill {
  from.press('2', '5', '0', '0', '0', 'enter', 'enter');
  from.on({ type: 'minted', seq: seqOf(seq) });
  return from;
}

/** A card on the reader with its key held: the card is being spoken with. */
export function reading(from: Drill = armed(), presence = 1, uid = UID): Drill {
  from.on({ type: 'card', presence, uid });
  from.on({ type: 'card-key', uid, state: 'held' });
  return from;
}

/** Certified, card gone, request sent. */
export function waiting(from: Drill = reading(), seq = 1): Drill {
  from.on({
    type: 'paid',
    seq: seqOf(seq),
    presence: 1,
    paid: { kind: 'committed', intent: INTENT, certificate: CERTIFICATE },
  });
  from.on({ type: 'gone', presence: 1 });
  return from;
}

/** Torn after the commit was sent, card gone. */
export function doubtful(from: Drill = reading()): Drill {
  from.on({ type: 'paid', seq: seqOf(1), presence: 1, paid: { kind: 'doubt', intent: INTENT } });
  from.on({ type: 'gone', presence: 1 });
  return from;
}

/** The card of a doubt is back and shows this counter and these newest records. */
export function lookedAt(from: Drill, tmc: number, records: string, presence = 2): readonly Effect[] {
  from.on({ type: 'card', presence, uid: UID });
  from.on({ type: 'card-key', uid: UID, state: 'held' });
  const sight = { keyVersion: 1, tmc, tmv: CERTIFICATE.tmv, records };
  return from.on({ type: 'looked', seq: seqOf(1), presence, looked: { kind: 'seen', sight } });
}

export const typesOf = (effects: readonly Effect[]): string[] => effects.map(({ type }) => type);
