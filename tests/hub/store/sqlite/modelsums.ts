/** Sums by account name, and how a sum is split: the arithmetic of the model of the books. */
import type { Account } from '../../../../hub/rules/accounts.ts';

/** An account's name, `cooperative/kind/owner`, and what it gains (below zero: loses), in rupiah. */
export type Part = readonly [name: string, amount: bigint];
export type Sums = Map<string, bigint>;

export const part = (name: string, amount: bigint): Part => [name, amount];
export const sumOf = (sums: ReadonlyMap<string, bigint>, name: string): bigint => sums.get(name) ?? 0n;
/** Returns the new sum. */
export function add(sums: Sums, name: string, amount: bigint): bigint {
  const sum = sumOf(sums, name) + amount;
  sums.set(name, sum);
  return sum;
}
export const total = (parts: readonly Part[]): bigint => parts.reduce((sum, [, amount]) => sum + amount, 0n);
export const amounts = (parts: readonly Part[]): bigint[] => parts.map(([, amount]) => amount);
export const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
export const nameOf = ({ cooperative, kind, owner }: Account): string => `${cooperative}/${kind}/${owner}`;
export function named(name: string): Account {
  const [cooperative = '', kind = '', ...owner] = name.split('/');
  return { cooperative, kind, owner: owner.join('/') } as Account;
}

/** Each book is evened by its position toward the one in the middle: so all books and all pairs are even. */
export function evened(parts: readonly Part[], middle: string): Sums {
  const legs: Sums = new Map();
  for (const [name, amount] of parts) {
    const [book, back] = [named(name).cooperative, `${middle}/position/${named(name).cooperative}`];
    const all = [part(name, amount), part(`${book}/position/${middle}`, -amount), part(back, amount)];
    for (const [leg, sum] of book === middle ? all.slice(0, 1) : all) add(legs, leg, sum);
  }
  return new Map([...legs].filter(([, amount]) => amount !== 0n));
}
/** From one account to another of the same books. */
export const passed = (from: string, to: string, amount: bigint) => evened([part(from, -amount), part(to, amount)], '');

/** A sum in parts by weight: rounded down, then a rupiah each to the largest remainders, the earlier first. */
export function split(sum: bigint, weights: readonly bigint[]): bigint[] {
  const all = weights.reduce((whole, weight) => whole + weight, 0n) || 1n;
  const rest = weights.map((weight) => (sum * weight) % all);
  const order = [...rest.keys()].sort((a, b) => Number((rest[b] ?? 0n) - (rest[a] ?? 0n)) || a - b);
  const more = order.slice(0, Number(rest.reduce((left, one) => left + one, 0n) / all));
  return weights.map((weight, index) => (sum * weight) / all + (more.includes(index) ? 1n : 0n));
}
