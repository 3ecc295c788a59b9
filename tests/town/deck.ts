/** One blank card, and one ready card with known keys, for tests that need any card. */
import { type BlankCard, blankCard } from './blank.ts';
import type { Card } from './card.ts';
import { type BlankDesfire, blankDesfire, type DesfireCard } from './desfire.ts';
import { blankNtag } from './ntag.ts';
import { type ReadyCard, readyCard } from './ready.ts';

const key = (fill: number): Uint8Array => new Uint8Array(16).fill(fill);

export const UID = Uint8Array.of(0x04, 0x5a, 0x11, 0x5a, 0x34, 0x61, 0x80);
export const KEYS = {
  app: key(0xa0),
  debit: key(0xa1),
  k2: key(0xa2),
  credit: key(0xa3),
  k4: key(0xa4),
  tmac: key(0xaf),
};
export const WITNESS = new Uint8Array(32).fill(0x77);

/** Challenges that differ from each other and are the same in every run. */
export function countingRandom(): (length: number) => Uint8Array {
  let calls = 0;
  return (length) => {
    calls += 1;
    return Uint8Array.from({ length }, (_, i) => (calls * 31 + i * 7) & 0xff);
  };
}

export function anyCard(change: Partial<ReadyCard> = {}): Card {
  return readyCard({
    uid: UID,
    keys: KEYS,
    personaliser: { witnessKey: WITNESS, kioskNo: 1, kioskSeq: 1 },
    purse: { value: 75_000, ceiling: 200_000 },
    random: countingRandom(),
    ...change,
  });
}

export function anyBlankCard(change: Partial<BlankCard> = {}): Card {
  return blankCard({ uid: UID, random: countingRandom(), ...change });
}

export function anyNtag(change: Partial<BlankCard> = {}): Card {
  return blankNtag({ uid: UID, random: countingRandom(), ...change });
}

export function anyDesfire(change: Partial<BlankDesfire> = {}): DesfireCard {
  return blankDesfire({ uid: UID, generation: 'EV3', random: countingRandom(), ...change });
}
