/** A fleet of chips on their way to their members: what befalls each, drawn from one seed, and what did befall it. */
import { randomBytes } from 'node:crypto';
import type { CardUid } from '../../protocol/ids.ts';
import { blankCard } from './blank.ts';
import { type Card, createCard } from './card.ts';
import type { CardImage } from './cardimage.ts';
import { hexUid } from './cardstock.ts';
import type { Chance } from './chance.ts';
import { type CountedCard, counted } from './counted.ts';
import type { Trouble } from './field.ts';
import type { Maker } from './maker.ts';

export type Tear = NonNullable<Trouble['tear']>;

/** What was done to a card in the middle of a conversation. */
type Hurt = 'torn' | 'card killed' | 'kiosk killed' | 'hub killed' | 'vault host killed';

export class FleetCard {
  readonly uid: CardUid;
  readonly hurts: Hurt[] = [];
  #card: CountedCard;
  readonly #told: () => void;

  /** @param told after each command that the card executes in this process */
  constructor(card: Card, told: () => void) {
    this.uid = hexUid(card);
    this.#told = told;
    this.#card = counted(card, told);
  }

  get card(): CountedCard {
    return this.#card;
  }

  image(): CardImage {
    return { memory: this.#card.memory, denied: this.#card.denied };
  }

  /** Whether something befell it other than a death of the hub, which may have come between two commands. */
  get hurt(): boolean {
    return this.hurts.some((each) => each !== 'hub killed');
  }

  /** Goes on with what a process of its own has left of it. */
  become({ memory, denied }: CardImage): void {
    this.#card = counted(createCard(memory, randomBytes), this.#told, denied);
  }
}

/** A blank chip with a UID of its own and this maker's signature over it. */
export function chipOf(maker: Maker, told: () => void): FleetCard {
  const uid = Uint8Array.of(0x04, ...randomBytes(6));
  return new FleetCard(blankCard({ uid, signature: maker.sign(uid), random: randomBytes }), told);
}

/** Every way to be torn at one command. */
const waysAt = (apdu: number): readonly [Tear, ...Tear[]] => [
  { apdu, when: 'before' },
  { apdu, when: 'after' },
  { apdu, when: 'during', executed: true },
  { apdu, when: 'during', executed: false, written: 7 },
];

/** Tears that are still to come; one that did not happen, because something else came first, is drawn again. */
export class Tears {
  readonly #waiting: Tear[];
  readonly #hit = new Set<number>();
  readonly #chance: Chance;
  readonly #commands: number;

  /** @param commands of a whole conversation: each is torn at, in one of the ways or in `all` of them */
  constructor(chance: Chance, commands: number, all = false) {
    this.#chance = chance;
    this.#commands = commands;
    const every = Array.from({ length: commands }, (_, apdu) => waysAt(apdu));
    this.#waiting = chance.shuffled(every.flatMap((ways) => (all ? ways : [chance.pick(ways)])));
  }

  /** The next one that must come, or any when all have. */
  draw(): Tear {
    return this.#waiting.shift() ?? this.any();
  }

  any(): Tear {
    return this.#chance.pick(waysAt(this.#chance.below(this.#commands)));
  }

  happened({ apdu }: Tear): void {
    this.#hit.add(apdu);
  }

  /** It did not happen. */
  again(tear: Tear): void {
    this.#waiting.unshift(tear);
  }

  /** How many must still come. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Commands at which no card was torn. */
  missed(): number[] {
    return Array.from({ length: this.#commands }, (_, apdu) => apdu).filter((apdu) => !this.#hit.has(apdu));
  }
}
