/** Prices: what the tariff book on the kiosk's disk says of an amount, for cards of here and of elsewhere. */
import { businessDate } from '../../protocol/dates.ts';
import { type CooperativeId, PLATFORM } from '../../protocol/ids.ts';
import { BEACON_SECONDS } from '../../protocol/status.ts';
import { type Quote, quote, type Tariff } from '../../protocol/tariffs.ts';
import type { Till } from './sale.ts';

/** What prices are made of at this kiosk. */
export interface Prices {
  /** Number of the tariff book: a sale names it. */
  readonly book: number;
  readonly tariffs: readonly Tariff[];
  /** The outlet's cooperative and class. */
  readonly cooperative: CooperativeId;
  readonly class: string;
}

/** Whose card pays: one of the outlet's cooperative, or of another. */
export const whose = ['own', 'other'] as const;
type Whose = (typeof whose)[number];

/**
 * Prices an amount today, by the date of the hub's beacon: the kiosk's clock proves nothing.
 * @returns null without a book or a beacon: the hub prices then, and nothing is shown before.
 */
export function priceOf({ prices, beacon }: Pick<Till, 'prices' | 'beacon'>, of: Whose, amount: bigint): Quote | null {
  if (prices === null || beacon === null) return null;
  const { tariffs, cooperative, class: named } = prices;
  // Off-us is the same whoever the issuer is: any other name stands for all of them.
  const issuer = of === 'own' ? cooperative : PLATFORM;
  const date = businessDate(beacon.slot * BEACON_SECONDS * 1000);
  return quote(tariffs, { kind: 'purchase', issuer, acquirer: cooperative, class: named, amount, date });
}
