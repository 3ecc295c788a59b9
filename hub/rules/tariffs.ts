/** Tariffs: what a payment costs, who pays it and who earns it, in exact rupiah. */
import { type CooperativeId, PLATFORM } from '../../protocol/ids.ts';
import type { EntryKind, FeeShare } from './entries.ts';

/** Parts of a fee by role; a part's weight over the sum of weights is its share. */
export type FeeRole = 'issuer' | 'acquirer' | 'platform';

export interface Tariff {
  /** Version named on receipts and signed for kiosks; never reused. */
  readonly version: number;
  readonly kind: EntryKind;
  /** Who pays: the outlet where left out, or the member's cooperative. Members pay no fee yet (DESIGN section 9). */
  readonly direction?: 'merchant' | 'issuer';
  /** Applies when issuer and acquirer are the same cooperative (`on-us`) or differ (`off-us`). */
  readonly reach: 'on-us' | 'off-us';
  /** In rupiah. */
  readonly fixed: bigint;
  /** Hundredths of a percent of the amount. */
  readonly basisPoints: number;
  readonly min: bigint;
  readonly max: bigint;
  readonly shares: readonly { readonly to: FeeRole; readonly weight: number }[];
  /** First business date it applies to, `YYYY-MM-DD`. */
  readonly from: string;
}

/** What a payment is priced by. */
export interface PricedSale {
  readonly kind: EntryKind;
  readonly issuer: CooperativeId;
  readonly acquirer: CooperativeId;
  /** In rupiah, above zero. */
  readonly amount: bigint;
  /** Business date, `YYYY-MM-DD`. */
  readonly date: string;
}

export interface Quote {
  /** Version of the tariff applied; null when none applies and the payment is free. */
  readonly version: number | null;
  readonly fee: bigint;
  /** Parts of the fee, one a cooperative, none zero; they sum to the fee. */
  readonly shares: readonly FeeShare[];
}

/**
 * Says what is wrong with a tariff, in words for the officer who typed it; null if it can price any payment.
 */
export function tariffFault(tariff: Tariff): string | null {
  const { version, kind, direction = 'merchant', fixed, basisPoints, min, max, shares, from } = tariff;
  if (!Number.isSafeInteger(version) || version < 1) return 'the version must be a whole number from 1';
  if (!Number.isSafeInteger(basisPoints) || basisPoints < 0) return 'basis points must be a whole number, not negative';
  if (fixed < 0n || min < 0n) return 'the fixed part and the minimum must not be negative';
  if (max < min) return 'the maximum must not be below the minimum';
  if (shares.some((share) => !Number.isSafeInteger(share.weight) || share.weight < 0)) {
    return 'each weight must be a whole number, not negative';
  }
  if (max > 0n && shares.every((share) => share.weight === 0)) return 'a fee needs at least one share with a weight';
  if (new Set(shares.map((share) => share.to)).size !== shares.length) return 'each role may have one share only';
  // The postings of a kind take the fee from one pocket; a tariff that names another would never be what is booked.
  if (kind === 'purchase' ? direction === 'issuer' : direction !== 'issuer') {
    return `a ${kind} cannot be paid for by the ${direction}`;
  }
  if (!/^\d{4}-\d{2}-\d{2}$/.test(from)) return 'the first date must read YYYY-MM-DD';
  return null;
}

/**
 * The tariff in force: of this kind and reach the one with the latest first date, the higher version if two
 * share it.
 */
function inForce(tariffs: readonly Tariff[], sale: PricedSale): Tariff | null {
  const reach = sale.issuer === sale.acquirer ? 'on-us' : 'off-us';
  let best: Tariff | null = null;
  for (const tariff of tariffs) {
    if (tariff.kind !== sale.kind || tariff.reach !== reach || tariff.from > sale.date) continue;
    if (best === null || tariff.from > best.from || (tariff.from === best.from && tariff.version > best.version)) {
      best = tariff;
    }
  }
  return best;
}

/**
 * Fee of an amount: fixed + basis points, rounded down so that nobody pays above the advertised rate, then held within
 * min and max, and never above the amount itself.
 */
function feeOf(tariff: Tariff, amount: bigint): bigint {
  let fee = tariff.fixed + (amount * BigInt(tariff.basisPoints)) / 10_000n;
  if (fee < tariff.min) fee = tariff.min;
  if (fee > tariff.max) fee = tariff.max;
  return fee > amount ? amount : fee;
}

/**
 * Splits a total by weights with the largest remainder method: each part is the exact share rounded down, and the
 * rupiah left over go one each to the largest remainders, the earlier part first among equals.
 * @returns parts in the order of the weights; they sum to the total.
 * @throws RangeError if the total or a weight is negative, or if there is a total and no weight.
 */
export function splitByWeight(total: bigint, weights: readonly number[]): bigint[] {
  const exact = weights.map(BigInt);
  const sum = exact.reduce((a, b) => a + b, 0n);
  if (total < 0n || exact.some((weight) => weight < 0n))
    throw new RangeError('a split needs amounts that are not negative');
  if (total === 0n) return exact.map(() => 0n);
  if (sum === 0n) throw new RangeError('a split needs at least one weight above zero');
  const parts = exact.map((weight) => (total * weight) / sum);
  const order = exact.map((weight, index) => ({ index, rest: (total * weight) % sum }));
  order.sort((a, b) => (a.rest === b.rest ? a.index - b.index : a.rest > b.rest ? -1 : 1));
  let left = total - parts.reduce((a, b) => a + b, 0n);
  for (const { index } of order) {
    if (left === 0n) break;
    parts[index] = (parts[index] ?? 0n) + 1n;
    left -= 1n;
  }
  return parts;
}

/** Weights by cooperative: roles that fall to the same cooperative earn one part, so its rounding happens once. */
function weightsOf(tariff: Tariff, sale: PricedSale): Map<CooperativeId, number> {
  const party: Record<FeeRole, CooperativeId> = { issuer: sale.issuer, acquirer: sale.acquirer, platform: PLATFORM };
  const weights = new Map<CooperativeId, number>();
  for (const { to, weight } of tariff.shares) weights.set(party[to], (weights.get(party[to]) ?? 0) + weight);
  return weights;
}

/** Prices a payment by the tariff in force on its date; without one it is free. */
export function quote(tariffs: readonly Tariff[], sale: PricedSale): Quote {
  const tariff = inForce(tariffs, sale);
  if (tariff === null) return { version: null, fee: 0n, shares: [] };
  const fee = feeOf(tariff, sale.amount);
  const weights = weightsOf(tariff, sale);
  const parts = splitByWeight(fee, [...weights.values()]);
  const shares: FeeShare[] = [];
  [...weights.keys()].forEach((to, index) => {
    const amount = parts[index] ?? 0n;
    if (amount > 0n) shares.push({ to, amount });
  });
  return { version: tariff.version, fee, shares };
}
