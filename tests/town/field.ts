/** The reader's field without a reader: a card laid on it, taken away, torn at any command, or answering wrongly. */
import type { Card } from './card.ts';
import { fromLsb } from './cardcrypto.ts';
import type { Chance } from './chance.ts';

/** The card leaves `before` it executes this APDU, or `after` it did, with the reply lost. */
interface CleanTear {
  readonly apdu: number;
  readonly when: 'before' | 'after';
}

/** The card leaves while it executes this APDU, and the reply is lost. */
interface TearInTheMiddle {
  readonly apdu: number;
  readonly when: 'during';
  /** Whether the card got through with it: what it changes in one go is there whole or not at all. */
  readonly executed: boolean;
  /** A write to a standard file is never whole: how many bytes of it reached the file; half unless told otherwise. */
  readonly written?: number;
}

/** What goes wrong during one presence of a card. APDUs count from 0 as the card sees them, the reader's own not. */
export interface Trouble {
  readonly tear?: CleanTear | TearInTheMiddle;
  /** The reply to this APDU arrives changed. */
  readonly wrong?: { readonly apdu: number; readonly change: (reply: Uint8Array) => Uint8Array };
  /** The card leaves before each of these APDUs and is back for it, without the reader's noticing. */
  readonly flicker?: readonly number[];
  /** One bit of about one reply in so many arrives turned, the reader's own answers not among them. */
  readonly flips?: { readonly oneIn: number; readonly below: Chance['below'] };
}

/** One presence: executes APDUs until the plan tears it. @returns null once the card has left. */
export type Presence = (apdu: Uint8Array) => Uint8Array | null;

const READER_CLASS = 0xff;
const ISO_CLASS = 0x00;
const WRITE_DATA = 0x8d;
const UPDATE_BINARY = 0xd6;
const SHORT_ID = 0x80;

/** Where a write puts its data, which it says in clear in every mode; null for every other command. */
function writes(apdu: Uint8Array): { readonly from: number; readonly length: number } | null {
  const [cla, ins, p1 = 0, p2 = 0, length = 0] = apdu;
  if (ins === WRITE_DATA) return { from: fromLsb(apdu.subarray(6, 9)), length: fromLsb(apdu.subarray(9, 12)) };
  if (cla !== ISO_CLASS || ins !== UPDATE_BINARY) return null;
  return { from: p1 < SHORT_ID ? p1 * 256 + p2 : p2, length };
}

/** Executes a write up to so many bytes. */
function writePart(card: Card, apdu: Uint8Array, end: number): void {
  const files = [...card.memory.files.values()].filter((file) => file.kind === 'standard');
  const before = files.map(({ content }) => content);
  card.process(apdu);
  files.forEach((file, at) => {
    file.content = file.content.map((byte, i) => (i < end ? byte : (before[at]?.[i] ?? 0)));
  });
}

function tearInTheMiddle(card: Card, apdu: Uint8Array, { executed, written }: TearInTheMiddle): void {
  const place = writes(apdu);
  if (place !== null) writePart(card, apdu, place.from + (written ?? Math.floor(place.length / 2)));
  else if (executed) card.process(apdu);
}

function turnOneBit(reply: Uint8Array, { oneIn, below }: NonNullable<Trouble['flips']>): Uint8Array {
  if (below(oneIn) !== 0) return reply;
  const bit = below(reply.length * 8);
  return reply.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
}

/** Lays the card down under a plan of trouble. */
export function present(card: Card, { tear, wrong, flicker, flips }: Trouble = {}): Presence {
  let count = 0;
  let there = true;
  card.reset();
  const leave = () => {
    there = false;
    card.reset();
    return null;
  };
  return (apdu) => {
    if (!there) return null;
    if (apdu[0] === READER_CLASS) return card.process(apdu);
    const number = count++;
    if (flicker?.includes(number)) card.reset();
    if (tear?.apdu === number && tear.when === 'before') return leave();
    if (tear?.apdu === number && tear.when === 'during') {
      tearInTheMiddle(card, apdu, tear);
      return leave();
    }
    const reply = card.process(apdu);
    if (tear?.apdu === number) return leave();
    if (wrong?.apdu === number) return wrong.change(reply);
    return flips === undefined ? reply : turnOneBit(reply, flips);
  };
}

export interface Field {
  /** Resolves with the reply, or with an empty array when no card is there, as readers do under pcscd. */
  transmit(apdu: Uint8Array): Promise<Uint8Array>;
  insert(trouble?: Trouble): void;
  remove(): void;
}

/** A field for one card, which is not on it yet. */
export function field(card: Card): Field {
  let presence: Presence | null = null;
  return {
    transmit: async (apdu) => presence?.(apdu) ?? new Uint8Array(),
    insert: (trouble) => {
      presence = present(card, trouble);
    },
    remove: () => {
      presence = null;
      card.reset();
    },
  };
}
