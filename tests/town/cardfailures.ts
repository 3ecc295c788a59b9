/** How emulated cards slow down and lock after failed authentications (CARDS section 3.9, NT4H2421Gx table 50). */
import { STATUS } from './cardcore.ts';
import type { CardKey, CardMemory } from './cardfiles.ts';

/** As delivered: this many in all, and so many forgiven by each success. */
const DELIVERED = { limit: 1000, decrement: 10 } as const;

/**
 * Whether the card lets a reader try this key at all.
 * @returns null, or the second status byte: 9D for a key that is locked for ever, AD for a delay. This card has no
 * clock: the delay lasts until a test takes the consecutive failures back.
 */
export function lockedOut({ failures, failureLimit, failureTotal = DELIVERED }: CardMemory, key: CardKey) {
  if (failureTotal !== null && (key.failures ?? 0) >= failureTotal.limit) return STATUS.denied;
  return failures >= failureLimit ? STATUS.delay : null;
}

/** Counts a failure: in a row for the whole card, which is simpler than cards are, and in all for this key. */
export function countFailure(memory: CardMemory, key: CardKey): void {
  memory.failures += 1;
  key.failures = (key.failures ?? 0) + 1;
}

/** A key that was proven ends the row of failures, and forgives some of all. A new key begins with none. */
export function forgive(memory: CardMemory, key: CardKey): void {
  memory.failures = 0;
  if (key.failures === undefined) return;
  key.failures = Math.max(0, key.failures - (memory.failureTotal ?? DELIVERED).decrement);
}
