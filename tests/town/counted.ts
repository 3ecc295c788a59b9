/** A card whose commands are counted, with what it refused: a key that was not its own costs a card its life. */
import type { Card } from './card.ts';

export interface CountedCard extends Card {
  /** Commands it executed since it was made, the reader's own not among them. */
  readonly commands: number;
  /** Times that it answered 91AE: an authentication that failed, or a command without one. */
  readonly denied: number;
}

const READER_CLASS = 0xff;
const AUTHENTICATION_ERROR = '91ae';

/** @param told after each command @param denied how often it has been refused before */
export function counted(card: Card, told: () => void = () => undefined, denied = 0): CountedCard {
  const counts = { commands: 0, denied };
  return {
    memory: card.memory,
    reset: card.reset,
    process(apdu) {
      const reply = card.process(apdu);
      if (apdu[0] === READER_CLASS) return reply;
      counts.commands += 1;
      if (Buffer.from(reply.subarray(-2)).toString('hex') === AUTHENTICATION_ERROR) counts.denied += 1;
      told();
      return reply;
    },
    get commands() {
      return counts.commands;
    },
    get denied() {
      return counts.denied;
    },
  };
}
