/** The model's arithmetic: who loses and who gains by each kind of work, in plain sums (TRUTH sections 7 and 11). */
import type { Account } from '../../../../hub/rules/accounts.ts';
import type { Instruction, Part as Share } from '../../../../hub/rules/entries.ts';

/** An account's name, `cooperative/kind/owner`, and what it gains (below zero: loses), in rupiah. */
export type Part = readonly [name: string, amount: bigint];
export type Sums = Map<string, bigint>;

export const sumOf = (sums: ReadonlyMap<string, bigint>, name: string): bigint => sums.get(name) ?? 0n;
export const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
export const nameOf = ({ cooperative, kind, owner }: Account): string => `${cooperative}/${kind}/${owner}`;
export function named(name: string): Account {
  const [cooperative = '', kind = '', ...owner] = name.split('/');
  return { cooperative, kind, owner: owner.join('/') } as Account;
}

/** Which way an account must not go, and what is said if it would: 1 never below zero, -1 never above. */
export const WALLS: Readonly<Record<string, readonly [1n | -1n, string]>> = {
  member: [1n, 'insufficient-funds'],
  purse: [1n, 'insufficient-funds'],
  points: [1n, 'insufficient-funds'],
  'in-transit': [1n, 'reload-unreleased'],
  payout: [1n, 'payout-short'],
  suspense: [1n, 'nothing-waits'],
  'incentive-budget': [1n, 'budget-spent'],
  drawer: [-1n, 'drawer-short'],
  bank: [-1n, 'bank-short'],
  'biller-deposit': [-1n, 'biller-short'],
  receivable: [-1n, 'nothing-owed'],
  'guarantee-loss': [-1n, 'nothing-owed'],
  provisional: [-1n, 'nothing-owed'],
};

/** What each book is off by is owed to, or by, the one in the middle: so all books and all pairs are even. */
export function evened(parts: readonly Part[], middle: string): Sums {
  const [legs, books]: [Sums, Sums] = [new Map(), new Map()];
  for (const [name, amount] of parts) {
    const { cooperative } = named(name);
    legs.set(name, sumOf(legs, name) + amount);
    books.set(cooperative, sumOf(books, cooperative) + amount);
  }
  for (const [book, off] of books) {
    if (book === middle) continue;
    legs.set(`${book}/position/${middle}`, -off);
    legs.set(`${middle}/position/${book}`, off);
  }
  return new Map([...legs].filter(([, amount]) => amount !== 0n));
}

/** A sum in parts by weight: rounded down, then a rupiah each to the largest remainders, the earlier first. */
export function split(total: bigint, weights: readonly bigint[]): bigint[] {
  const all = weights.reduce((sum, weight) => sum + weight, 0n);
  if (all === 0n) return weights.map(() => 0n);
  const parts = weights.map((weight) => (total * weight) / all);
  let left = total - parts.reduce((sum, part) => sum + part, 0n);
  const order = weights.map((weight, index) => ({ index, rest: (total * weight) % all }));
  for (const { index } of order.sort((a, b) => Number(b.rest - a.rest) || a.index - b.index)) {
    if (left <= 0n) break;
    parts[index] = (parts[index] ?? 0n) + 1n;
    left -= 1n;
  }
  return parts;
}

const gains = (parts: readonly Share[], sign: 1n | -1n): Part[] =>
  parts.map(({ account, amount }) => [nameOf(account), sign * amount]);
const earned = (shares: readonly { readonly to: string; readonly amount: bigint }[]): Part[] =>
  shares.map(({ to, amount }) => [`${to}/fee-income/-`, amount]);

/** From one account to another of the same books. */
const ways: Readonly<Record<string, readonly [string, string]>> = {
  'reload-release': ['member', 'in-transit'],
  reload: ['in-transit', 'purse'],
  'reload-void': ['in-transit', 'member'],
  drain: ['purse', 'member'],
  'purse-return': ['purse', 'member'],
};

/** What an instruction moves whose sums follow from its figures alone. */
export function moved({ kind, figures }: Instruction): Sums {
  if (kind === 'opening') {
    const { cooperative: home, member, amount } = figures;
    return new Map([
      [`${home}/bank/-`, -amount],
      [`${home}/member/${member}`, amount],
    ]);
  }
  if (kind === 'funding') {
    const { cooperative: home, outlet, amount } = figures;
    return new Map([
      [`${home}/bank/-`, amount],
      [`${home}/drawer/${outlet}`, -amount],
    ]);
  }
  if ('debit' in figures) {
    return new Map([
      [nameOf(figures.debit), -figures.amount],
      [nameOf(figures.credit), figures.amount],
    ]);
  }
  if ('card' in figures) {
    const { issuer, member, card, amount } = figures;
    const [from, to] = (ways[kind] ?? ['', '']).map((pocket) => {
      return `${issuer}/${pocket}/${pocket === 'member' ? member : card}`;
    });
    return new Map([
      [from ?? '', -amount],
      [to ?? '', amount],
    ]);
  }
  if (kind === 'deposit' || kind === 'withdrawal') {
    const { issuer, member, acquirer, outlet, fee, shares, payee } = figures;
    const cash = kind === 'deposit' ? figures.amount : -figures.amount;
    const account = payee === undefined ? `member/${member}` : `payout/${payee}`;
    const parts: Part[] = [
      [`${acquirer}/drawer/${outlet}`, -cash],
      [`${issuer}/${account}`, cash],
    ];
    // The member's cooperative pays the fee, and owes it to whoever earned it.
    return evened([...parts, [`${issuer}/fee-expense/-`, -fee], ...earned(shares)], issuer);
  }
  if (kind === 'purchase') {
    const { issuer, member, acquirer, outlet, amount, fee, shares, to } = figures;
    const takings: Part[] = to ? gains(to, 1n) : [[`${acquirer}/payout/${outlet}`, amount - fee]];
    return evened([[`${issuer}/member/${member}`, -amount], ...takings, ...earned(shares)], acquirer);
  }
  if (!('from' in figures)) throw new Error(`what a ${kind} moves hangs on the books`);
  const { from, to, shares, acquirer } = figures;
  return evened([...gains(from, -1n), ...gains(to, 1n), ...earned(shares)], acquirer);
}
