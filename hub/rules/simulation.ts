/** Simulation: what the payments of a month would have cost under tariffs that are only proposed. */
import type { CooperativeId } from '../../protocol/ids.ts';
import {
  type Direction,
  type FeeShare,
  type PricedKind,
  payersOf,
  quote,
  quoteTotal,
  type Tariff,
} from '../../protocol/tariffs.ts';

/** A payment as it stands in the books. */
export interface BookedSale {
  readonly kind: PricedKind;
  readonly issuer: CooperativeId;
  readonly acquirer: CooperativeId;
  /** Class of the outlet. */
  readonly class: string;
  /** All that left the member, or was paid in, in rupiah. */
  readonly amount: bigint;
  readonly fee: bigint;
  readonly shares: readonly FeeShare[];
  /** Business date it was priced on, `YYYY-MM-DD`. */
  readonly date: string;
  /** A void gives its sale's fee back. */
  readonly voids: boolean;
}

/** Rupiah as they were booked, and as they would be. */
export interface Change {
  was: bigint;
  would: bigint;
}

/** What the proposal means for one cooperative. */
export interface Effect {
  readonly cooperative: CooperativeId;
  /** Payments at its outlets, less those that were voided. */
  sales: number;
  /** Its parts of fees. */
  readonly earned: Change;
  /** Fees that its outlets pay out of their takings. */
  readonly merchants: Change;
  /** Fees that it pays itself, for its members. */
  readonly own: Change;
  /** Fees that its members pay on top. */
  readonly members: Change;
}

const costs = { merchant: 'merchants', issuer: 'own', member: 'members' } as const satisfies Record<Direction, string>;

/** Who paid a fee: the tariff in force then tells, if its fee is the one booked; else whoever pays for this kind. */
function paidBy(tariffs: readonly Tariff[], sale: BookedSale): Direction {
  const priced = quoteTotal(tariffs, sale);
  const usual = payersOf(sale.kind)[0] ?? 'merchant';
  return priced !== null && priced.fee === sale.fee ? (priced.direction ?? usual) : usual;
}

/**
 * Prices payments again as if the proposal had been in force on the day of each, and laid over the tariffs that there
 * are: it goes before them as it will when it is added, and what it does not name stays as it is. A price stays what
 * the outlet asked; that people would pay elsewhere or not at all is beyond it.
 * @returns one row a cooperative that took part or earns, by name.
 */
export function simulate(
  tariffs: readonly Tariff[],
  proposed: readonly Omit<Tariff, 'version'>[],
  sales: Iterable<BookedSale>,
): readonly Effect[] {
  const effects = new Map<CooperativeId, Effect>();
  const tables = new Map<string, readonly Tariff[]>();
  const newest = tariffs.reduce((most, { version }) => Math.max(most, version), 0);

  function on(date: string): readonly Tariff[] {
    const laid = proposed.map((terms, at) => ({ ...terms, version: newest + 1 + at, from: date, until: date }));
    const table = tables.get(date) ?? [...tariffs, ...laid];
    tables.set(date, table);
    return table;
  }

  function of(cooperative: CooperativeId): Effect {
    const none = (): Change => ({ was: 0n, would: 0n });
    const fresh = { earned: none(), merchants: none(), own: none(), members: none() };
    const effect = effects.get(cooperative) ?? { cooperative, sales: 0, ...fresh };
    effects.set(cooperative, effect);
    return effect;
  }

  const payer = (sale: BookedSale, direction: Direction) =>
    of(direction === 'merchant' ? sale.acquirer : sale.issuer)[costs[direction]];

  for (const sale of sales) {
    const sign = sale.voids ? -1n : 1n;
    const direction = paidBy(tariffs, sale);
    const price = direction === 'member' ? sale.amount - sale.fee : sale.amount;
    const would = quote(on(sale.date), { ...sale, amount: price });
    of(sale.acquirer).sales += Number(sign);
    for (const { to, amount } of sale.shares) of(to).earned.was += sign * amount;
    for (const { to, amount } of would.shares) of(to).earned.would += sign * amount;
    payer(sale, direction).was += sign * sale.fee;
    payer(sale, would.direction ?? direction).would += sign * would.fee;
  }
  return [...effects.values()].sort((a, b) => (a.cooperative < b.cooperative ? -1 : 1));
}
