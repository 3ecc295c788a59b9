/** A card as it leaves the factory: keys of zeros, files empty, rights that are nobody's yet. */
import { type Card, createCard } from './card.ts';
import type { CardFile, CardMemory } from './cardfiles.ts';

export interface BlankCard {
  readonly uid: Uint8Array;
  /** Gives the card's challenges and transaction identifiers. */
  readonly random: (length: number) => Uint8Array;
  /** The maker's originality signature, 56 bytes; zeros, which no public key verifies, where none is given. */
  readonly signature?: Uint8Array;
  readonly failureLimit?: number;
}

/** The Light's DF name (CARDS section 3.5). */
export const FACTORY_NAME = Uint8Array.of(
  ...[0xa0, 0x00, 0x00, 0x03, 0x96, 0x56, 0x43, 0x41],
  ...[0x03, 0xf0, 0x15, 0x40, 0x00, 0x00, 0x00, 0x0b],
);
/** Consecutive failures before the card delays (CARDS section 3.9, from memory). */
export const FAILURE_LIMIT = 50;
const KEYS = 5;

/**
 * Rights and modes are assumed, no data sheet being at hand: key 0 may do everything and change every file's settings,
 * key 1 reads, key 2 writes, 1F is free to read. None of them is what TRUTH section 14 asks for, in any file, so that
 * a personaliser that leaves a file as it was is seen. The limits of the value file are the task of SetConfiguration.
 */
function files(): Map<number, CardFile> {
  const tmac = { key: new Uint8Array(16), keyVersion: 0, tmc: 0, tmv: new Uint8Array(8), tmriPrev: new Uint8Array(16) };
  return new Map<number, CardFile>([
    [0x00, { kind: 'standard', access: [0x00, 0x12], mode: 'full', content: new Uint8Array(256) }],
    [0x04, { kind: 'standard', access: [0x00, 0x12], mode: 'full', content: new Uint8Array(256) }],
    [0x1f, { kind: 'standard', access: [0x00, 0xe2], mode: 'mac', content: new Uint8Array(32) }],
    [0x01, { kind: 'cyclic', access: [0x00, 0x12], mode: 'mac', recordSize: 16, slots: 5, records: [] }],
    [0x03, { kind: 'value', access: [0x00, 0x12], mode: 'mac', lower: 0, upper: 2 ** 31 - 1, value: 0 }],
    [0x0f, { kind: 'tmac', access: [0x00, 0x1f], mode: 'plain', ...tmac }],
  ]);
}

/** The memory of a card that nobody has used: keys of zeros, no failures. */
export function blankMemory(
  { uid, signature, failureLimit = FAILURE_LIMIT }: BlankCard,
  dfName: Uint8Array,
  held: Map<number, CardFile>,
  keys = KEYS,
): CardMemory {
  return {
    uid,
    signature: signature ?? new Uint8Array(56),
    dfName,
    keys: Array.from({ length: keys }, () => ({ key: new Uint8Array(16), version: 0 })),
    files: held,
    failures: 0,
    failureLimit,
  };
}

/** Makes a card that nobody has touched since the factory (CARDS sections 3.6, 5.2 and 9). */
export function blankCard(blank: BlankCard): Card {
  return createCard(blankMemory(blank, FACTORY_NAME, files()), blank.random);
}
