/** What the emulated card holds while it is in the field, and how it says no. */
import { type CardSession, concat } from './cardcrypto.ts';
import type { CardMemory } from './cardfiles.ts';
import { emptyTransaction, type Transaction } from './cardtransaction.ts';

/** An authentication that waits for its second half. */
interface Challenge {
  readonly keyNo: number;
  readonly rndB: Uint8Array;
  readonly capabilities: Uint8Array;
  /** The session that NonFirst carries on, or null for First. */
  readonly carried: CardSession | null;
}

/** Gone when the card leaves the field. */
interface Live {
  selected: boolean;
  session: CardSession | null;
  challenge: Challenge | null;
  /** Rest of an answer that comes in several frames. */
  frames: { readonly sent: Uint8Array; readonly rest: readonly Uint8Array[] } | null;
  transaction: Transaction;
}

export interface Core {
  readonly memory: CardMemory;
  readonly random: (length: number) => Uint8Array;
  live: Live;
}

/** Second status bytes. */
export const STATUS = {
  ok: 0x00,
  more: 0xaf,
  illegal: 0x1c,
  integrity: 0x1e,
  noKey: 0x40,
  length: 0x7e,
  noApplication: 0xa0,
  delay: 0xad,
  authentication: 0xae,
  aborted: 0xca,
  noFile: 0xf0,
} as const;

export const MAC_LENGTH = 8;

export function asleep(): Live {
  return { selected: false, session: null, challenge: null, frames: null, transaction: emptyTransaction() };
}

/** An answer and its second status byte. */
export const answer = (data: Uint8Array, status: number): Uint8Array => concat(data, [0x91, status]);

/** Ends the session and the open transaction. */
export function forget(core: Core): void {
  core.live = { ...asleep(), selected: core.live.selected };
}

/** Any error ends the session and the open transaction (CARDS section 2). */
export function refuse(core: Core, status: number): Uint8Array {
  forget(core);
  return answer(new Uint8Array(), status);
}
