/** Chance that can be played again: everything random follows from one number, which is printed. */
import { randomInt } from 'node:crypto';

export interface Chance {
  readonly seed: number;
  /** A whole number from 0 up to, but not including, `limit`. */
  below(limit: number): number;
  pick<T>(list: readonly [T, ...T[]]): T;
  shuffled<T>(list: readonly T[]): T[];
}

/**
 * Starts from SIMPUL_SEED where it is set, else anew.
 * @param who is named where the seed is printed. @param seed where a test plays the same twice
 */
export function chance(who: string, seed = Number(process.env.SIMPUL_SEED ?? randomInt(2 ** 32))): Chance {
  process.stdout.write(`${who}: SIMPUL_SEED=${seed} plays this again\n`);
  let state = seed >>> 0;
  // Mulberry32, by Tommy Ettinger: 32 bits of state are plenty for a plan.
  const fraction = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(fraction() * limit);
  return {
    seed,
    below,
    pick: (list) => list[below(list.length)] ?? list[0],
    shuffled(list) {
      const left = [...list];
      return list.flatMap(() => left.splice(below(left.length), 1));
    },
  };
}
