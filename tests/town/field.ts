/** The reader's field without a reader: a card laid on it, taken away, torn at any command, or answering wrongly. */
import type { Card } from './card.ts';
import { fromLsb } from './cardcrypto.ts';

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
  /** WriteData is never whole: how many bytes of its data reached the file; half of them unless told otherwise. */
  readonly written?: number;
}

/** What goes wrong during one presence of a card. APDUs count from 0 as the card sees them, the reader's own not. */
export interface Trouble {
  readonly tear?: CleanTear | TearInTheMiddle;
  /** The reply to this APDU arrives changed. */
  readonly wrong?: { readonly apdu: number; readonly change: (reply: Uint8Array) => Uint8Array };
}

/** One presence: executes APDUs until the plan tears it. @returns null once the card has left. */
export type Presence = (apdu: Uint8Array) => Uint8Array | null;

const READER_CLASS = 0xff;
const WRITE_DATA = 0x8d;

/** Executes a WriteData up to so many bytes: its header says in clear where they go, in every mode. */
function writePart(card: Card, apdu: Uint8Array, written: number | undefined): void {
  const file = card.memory.files.get(apdu[5] ?? 0);
  const before = file?.kind === 'standard' ? file.content : new Uint8Array();
  card.process(apdu);
  const [from, length] = [fromLsb(apdu.subarray(6, 9)), fromLsb(apdu.subarray(9, 12))];
  const end = from + (written ?? Math.floor(length / 2));
  if (file?.kind === 'standard') file.content = file.content.map((byte, i) => (i < end ? byte : (before[i] ?? 0)));
}

function tearInTheMiddle(card: Card, apdu: Uint8Array, { executed, written }: TearInTheMiddle): void {
  if (apdu[1] === WRITE_DATA) writePart(card, apdu, written);
  else if (executed) card.process(apdu);
}

/** Lays the card down under a plan of trouble. */
export function present(card: Card, { tear, wrong }: Trouble = {}): Presence {
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
    if (tear?.apdu === number && tear.when === 'before') return leave();
    if (tear?.apdu === number && tear.when === 'during') {
      tearInTheMiddle(card, apdu, tear);
      return leave();
    }
    const reply = card.process(apdu);
    if (tear?.apdu === number) return leave();
    return wrong?.apdu === number ? wrong.change(reply) : reply;
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
