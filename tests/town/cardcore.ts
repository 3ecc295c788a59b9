/** What the emulated card holds while it is in the field, and how it says no. */
import type { CardCommand } from './cardcommands.ts';
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

/** How cards of before AES know their reader (DESFire only, under the factory's DES key). */
export interface LegacySession {
  readonly scheme: 'native' | 'iso';
  /** The card's challenge, in plain. */
  readonly rndB: Uint8Array;
  /** Last block of ciphertext, which the next one is chained to. */
  readonly chain: Uint8Array;
  /** The session's DES key, or null until the reader has proven itself. */
  readonly key: Uint8Array | null;
}

/** Gone when the card leaves the field. */
interface Live {
  /** Whether the application is selected. */
  selected: boolean;
  /** The number of the file that ISO commands work on. */
  file: number | null;
  /** What the reads of one file by one command show until another command comes. */
  reading: { readonly ins: number; readonly no: number; readonly content: Uint8Array } | null;
  /** The identifier of this presence, where it is a random one. */
  nuid: Uint8Array | null;
  session: CardSession | null;
  challenge: Challenge | null;
  /** Rest of an answer that comes in several frames. */
  frames: { readonly sent: Uint8Array; readonly rest: readonly Uint8Array[] } | null;
  transaction: Transaction;
  /** A session of the kind before AES, or one that is beginning. */
  legacy: LegacySession | null;
}

/** What one kind of card does in its own way. */
export interface Profile {
  /** The commands of class 90, by INS; authentication, frames and version are the processor's own. */
  readonly commands: (core: Core) => Readonly<Record<number, CardCommand>>;
  /** The commands of class 00, by INS. */
  readonly iso: Readonly<Record<number, (core: Core, apdu: Uint8Array) => Uint8Array>>;
  /** Hardware and software, 7 bytes each, and what follows the UID in the production's. */
  readonly made: readonly [hardware: Uint8Array, software: Uint8Array, production: Uint8Array];
  /** Second status byte where another key would have been the right one. */
  readonly wrongKey: number;
  /** Whether something is selected as soon as the card wakes. */
  readonly awake?: true;
  /** Commands of class 90 that are answered before all others are looked at; null for what it leaves to them. */
  readonly before?: (core: Core, ins: number, data: Uint8Array) => Uint8Array | null;
}

export interface Core {
  /** Of what is selected, where a card has several. */
  memory: CardMemory;
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
  denied: 0x9d,
  parameter: 0x9e,
  noApplication: 0xa0,
  delay: 0xad,
  authentication: 0xae,
  aborted: 0xca,
  noFile: 0xf0,
} as const;

export const MAC_LENGTH = 8;

export function asleep(selected = false): Live {
  const open = { session: null, legacy: null, challenge: null, frames: null, transaction: emptyTransaction() };
  return { selected, file: null, reading: null, nuid: null, ...open };
}

/** An answer and its second status byte. */
export const answer = (data: Uint8Array, status: number): Uint8Array => concat(data, [0x91, status]);

/** Ends the session and the open transaction. */
export function forget(core: Core): void {
  const { selected, file, nuid } = core.live;
  core.live = { ...asleep(), selected, file, nuid };
}

/** Any error ends the session and the open transaction (CARDS section 2). */
export function refuse(core: Core, status: number): Uint8Array {
  forget(core);
  return answer(new Uint8Array(), status);
}
