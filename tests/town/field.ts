/** The reader's field without a reader: a card laid on it, taken away, torn at any command, or answering wrongly. */
import type { Card } from './card.ts';

/** What goes wrong during one presence of a card. APDUs count from 0 as the card sees them, the reader's own not. */
export interface Trouble {
  /** The card leaves `before` it executes this APDU, or `after` it did, with the reply lost. */
  readonly tear?: { readonly apdu: number; readonly when: 'before' | 'after' };
  /** The reply to this APDU arrives changed. */
  readonly wrong?: { readonly apdu: number; readonly change: (reply: Uint8Array) => Uint8Array };
}

/** One presence: executes APDUs until the plan tears it. @returns null once the card has left. */
export type Presence = (apdu: Uint8Array) => Uint8Array | null;

const READER_CLASS = 0xff;

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
