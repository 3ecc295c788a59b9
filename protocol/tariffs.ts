/** Tariffs: what a payment costs, who pays it and who earns it, in exact rupiah; applied by kiosk and hub alike. */
import { Type } from 'typebox';
import { type CooperativeId, PLATFORM } from './ids.ts';
import { WIRE_MAX } from './money.ts';

/** What can have a price; a sale from the purse costs what a purchase costs. */
export type PricedKind = TariffKind | 'purse-sale';
export const TARIFF_KINDS = ['purchase', 'deposit', 'withdrawal', 'transfer', 'payout', 'bill'] as const;
export type TariffKind = (typeof TARIFF_KINDS)[number];

/** The tariff that prices each kind: the one place where the two are mapped. */
const pricedBy: { readonly [Kind in PricedKind]: TariffKind } = {
  purchase: 'purchase',
  'purse-sale': 'purchase',
  deposit: 'deposit',
  withdrawal: 'withdrawal',
  transfer: 'transfer',
  payout: 'payout',
  bill: 'bill',
};

/** Who pays a fee: the outlet out of its takings, the member's cooperative, or the member on top of the amount. */
export const DIRECTIONS = ['merchant', 'issuer', 'member'] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** Who may pay for each kind: the postings of a kind take the fee from these pockets and from no other. */
const payers: { readonly [Kind in TariffKind]: readonly Direction[] } = {
  purchase: ['merchant', 'member'],
  deposit: ['issuer'],
  withdrawal: ['issuer'],
  transfer: ['member', 'issuer'],
  payout: ['member', 'issuer'],
  // What a bill costs stands in its biller's settings.
  bill: [],
};

/** Who may pay for a kind of payment, the usual payer first. */
export const payersOf = (kind: PricedKind): readonly Direction[] => payers[pricedBy[kind]];

/** Whether a kind of entry is one that has a price. */
export const isPricedKind = (kind: string): kind is PricedKind => Object.hasOwn(pricedBy, kind);

export const REACHES = ['on-us', 'off-us'] as const;
export type Reach = (typeof REACHES)[number];

/** Parts of a fee by role; a part's weight over the sum of weights is its share. `biller`: who takes a bill's money. */
export const FEE_ROLES = ['issuer', 'acquirer', 'platform', 'biller'] as const;
export type FeeRole = (typeof FEE_ROLES)[number];

/** The biller's part of a bill's fee among the cooperatives' parts; no cooperative has this name. */
export const BILLER = 'biller' as CooperativeId;

/** Class of an outlet: `micro`, `retail`, `counter`, `biller`, or another short name that officers choose. */
export const OutletClassSchema = Type.String({ pattern: '^[a-z][a-z0-9-]{0,15}$' });
export const DEFAULT_CLASS = 'retail';

export interface Tariff {
  /** Names these terms for ever: never reused, and the terms never change. */
  readonly version: number;
  readonly kind: TariffKind;
  /** Who pays; the outlet where left out. */
  readonly direction?: Direction;
  /** Applies when issuer and acquirer are the same cooperative (`on-us`) or differ (`off-us`). */
  readonly reach: Reach;
  /** Applies to outlets of this class only, and there before a tariff that names none. */
  readonly class?: string;
  /** In rupiah. */
  readonly fixed: bigint;
  /** Hundredths of a percent of the amount. */
  readonly basisPoints: number;
  readonly min: bigint;
  readonly max: bigint;
  readonly shares: readonly { readonly to: FeeRole; readonly weight: number }[];
  /** First business date it applies to, `YYYY-MM-DD`. */
  readonly from: string;
  /** Last business date it applies to; for good where left out. */
  readonly until?: string;
}

/** What a payment is priced by. */
export interface PricedSale {
  readonly kind: PricedKind;
  readonly issuer: CooperativeId;
  readonly acquirer: CooperativeId;
  /** Class of the outlet. */
  readonly class: string;
  /** In rupiah, above zero. */
  readonly amount: bigint;
  /** Business date, `YYYY-MM-DD`. */
  readonly date: string;
}

export interface FeeShare {
  readonly to: CooperativeId;
  /** In rupiah. */
  readonly amount: bigint;
}

export interface Quote {
  /** Version of the tariff applied; null when none applies and the payment is free. */
  readonly version: number | null;
  /** Who pays the fee; null when none applies. */
  readonly direction: Direction | null;
  readonly fee: bigint;
  /** Parts of the fee, one a cooperative, none zero; they sum to the fee. */
  readonly shares: readonly FeeShare[];
  /** All that leaves the member, in rupiah: with the fee where the member pays it (TRUTH section 10). */
  readonly total: bigint;
}

const dayOf = (text: string): boolean => {
  const [, year, month, day] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text)?.map(Number) ?? [];
  if (year === undefined || month === undefined || day === undefined || month < 1 || month > 12) return false;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const last = month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
  return day >= 1 && day <= last;
};

function priceFault({ fixed, basisPoints, min, max }: Tariff): string | null {
  if (!Number.isSafeInteger(basisPoints) || basisPoints < 0 || basisPoints > 10_000) {
    return 'basis points must be a whole number from 0 to 10000';
  }
  if (fixed < 0n || min < 0n) return 'the fixed part and the minimum must not be negative';
  if (max < min) return 'the maximum must not be below the minimum';
  if (fixed > WIRE_MAX || max > WIRE_MAX) return `no part of a fee may be above ${WIRE_MAX}`;
  return null;
}

function sharesFault({ kind, max, shares }: Tariff): string | null {
  if (shares.some((share) => !Number.isSafeInteger(share.weight) || share.weight < 0)) {
    return 'each weight must be a whole number, not negative';
  }
  if (max > 0n && shares.every((share) => share.weight === 0)) return 'a fee needs at least one share with a weight';
  if (new Set(shares.map((share) => share.to)).size !== shares.length) return 'each role may have one share only';
  if (kind !== 'bill' && shares.some((share) => share.to === 'biller')) return `a ${kind} has no biller`;
  return null;
}

/**
 * Says what is wrong with a tariff, in words for the officer who typed it; null if it can price any payment.
 */
export function tariffFault(tariff: Tariff): string | null {
  const { version, kind, direction = 'merchant', from, until } = tariff;
  if (!Number.isSafeInteger(version) || version < 1) return 'the version must be a whole number from 1';
  const fault = priceFault(tariff) ?? sharesFault(tariff);
  if (fault !== null) return fault;
  // A tariff that names another pocket would never be what is booked.
  if (!payers[kind].includes(direction)) {
    return `a ${kind} cannot be paid for by the ${direction}, only by: ${payers[kind].join(', ')}`;
  }
  if (tariff.class !== undefined && !/^[a-z][a-z0-9-]{0,15}$/.test(tariff.class)) {
    return 'the class is a short name of lower-case letters, for example micro';
  }
  if (!dayOf(from)) return 'the first date must read YYYY-MM-DD';
  if (until !== undefined && !dayOf(until)) return 'the last date must read YYYY-MM-DD';
  if (until !== undefined && until < from) return 'the last date must not be before the first';
  return null;
}

/** Whether a tariff goes before another, both being in force: the outlet's own class, the later date, the version. */
function beats(tariff: Tariff, other: Tariff): boolean {
  if ((tariff.class === undefined) !== (other.class === undefined)) return tariff.class !== undefined;
  return tariff.from > other.from || (tariff.from === other.from && tariff.version > other.version);
}

/**
 * The tariff in force: of this kind and reach, of those that name the outlet's class before those that name none, the
 * one with the latest first date, the higher version if two share it. One that has ended gives way to the one before.
 */
function inForce(tariffs: readonly Tariff[], sale: PricedSale): Tariff | null {
  const { date } = sale;
  const kind = pricedBy[sale.kind];
  const reach = sale.issuer === sale.acquirer ? 'on-us' : 'off-us';
  let best: Tariff | null = null;
  for (const tariff of tariffs) {
    if (tariff.kind !== kind || tariff.reach !== reach || tariff.from > date) continue;
    if (tariff.until !== undefined && tariff.until < date) continue;
    if (tariff.class !== undefined && tariff.class !== sale.class) continue;
    if (best === null || beats(tariff, best)) best = tariff;
  }
  return best;
}

/** Whether a tariff can apply on this date or a later one: no other of the same kind, reach and class supersedes it. */
export function stillCounts(tariff: Tariff, among: readonly Tariff[], date: string): boolean {
  if (tariff.until !== undefined && tariff.until < date) return false;
  return !among.some((other) => {
    const alike = other.kind === tariff.kind && other.reach === tariff.reach && other.class === tariff.class;
    return alike && other.from <= date && other.until === undefined && beats(other, tariff);
  });
}

/**
 * Fee of a price: fixed + basis points, rounded down so that nobody pays above the advertised rate, then held within
 * min and max. What is taken out of the amount never exceeds it; what comes on top is not bound by it.
 */
function feeOf(tariff: Tariff, price: bigint): bigint {
  let fee = tariff.fixed + (price * BigInt(tariff.basisPoints)) / 10_000n;
  if (fee < tariff.min) fee = tariff.min;
  if (fee > tariff.max) fee = tariff.max;
  return fee > price && tariff.direction !== 'member' ? price : fee;
}

/**
 * The one price whose price and fee make up a total, or null if there is none: a fee never falls with the price, so
 * that the sum rises with it, but where the fee gains a rupiah the sum leaves one out. The price is the total less the
 * minimum, less the maximum, or by the rate, rounded up; whichever fits.
 */
function priceIn(tariff: Tariff, total: bigint): bigint | null {
  const { fixed, basisPoints, min, max } = tariff;
  const parts = 10_000n + BigInt(basisPoints);
  const byRate = ((total - fixed) * 10_000n + parts - 1n) / parts;
  for (const price of [byRate, total - min, total - max]) {
    if (price > 0n && price + feeOf(tariff, price) === total) return price;
  }
  return null;
}

/**
 * Splits a total by weights with the largest remainder method: each part is the exact share rounded down, and the
 * rupiah left over go one each to the largest remainders, the earlier part first among equals.
 * @param weights whole numbers.
 * @returns parts in the order of the weights; they sum to the total.
 * @throws RangeError if the total or a weight is negative, or if there is a total and no weight.
 */
export function splitByWeight(total: bigint, weights: readonly (number | bigint)[]): bigint[] {
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

/**
 * Splits a fee among cooperatives: roles that fall to the same cooperative earn one part, so its rounding happens once.
 * @throws RangeError as `splitByWeight`.
 */
export function shareOut(
  fee: bigint,
  table: readonly { readonly to: CooperativeId; readonly weight: number }[],
): FeeShare[] {
  // Whole numbers near 2^53 do not add up exactly as numbers do.
  const weights = new Map<CooperativeId, bigint>();
  for (const { to, weight } of table) weights.set(to, (weights.get(to) ?? 0n) + BigInt(weight));
  const parts = splitByWeight(fee, [...weights.values()]);
  const shares: FeeShare[] = [];
  [...weights.keys()].forEach((to, index) => {
    const amount = parts[index] ?? 0n;
    if (amount > 0n) shares.push({ to, amount });
  });
  return shares;
}

function priced(tariff: Tariff, sale: PricedSale, price: bigint): Quote {
  const { version, direction = 'merchant' } = tariff;
  const fee = feeOf(tariff, price);
  const { issuer, acquirer } = sale;
  const party: Record<FeeRole, CooperativeId> = { issuer, acquirer, platform: PLATFORM, biller: BILLER };
  const table = tariff.shares.map(({ to, weight }) => ({ to: party[to], weight }));
  const total = direction === 'member' ? price + fee : price;
  return { version, direction, fee, shares: shareOut(fee, table), total };
}

const free = (total: bigint): Quote => ({ version: null, direction: null, fee: 0n, shares: [], total });

/** Prices a payment by the tariff in force on its date; without one it is free. `amount` is the price asked. */
export function quote(tariffs: readonly Tariff[], sale: PricedSale): Quote {
  const tariff = inForce(tariffs, sale);
  return tariff === null ? free(sale.amount) : priced(tariff, sale, sale.amount);
}

/**
 * Prices a payment of which the total is known: `amount` is all that leaves the member, as the card certified it (TRUTH
 * section 10). It is the price unless the member pays the fee; then the price is the one that this total contains.
 * @param asked what the outlet asked, if it is known. Almost every total contains some price, so that only this tells
 * for certain that the payer was shown this tariff.
 * @returns null if no price has this total, or another than the outlet asked: the payer was shown another tariff.
 */
export function quoteTotal(tariffs: readonly Tariff[], sale: PricedSale, asked?: bigint): Quote | null {
  const tariff = inForce(tariffs, sale);
  const price = tariff?.direction === 'member' ? priceIn(tariff, sale.amount) : sale.amount;
  if (price === null || (asked !== undefined && asked !== price)) return null;
  return tariff === null ? free(price) : priced(tariff, sale, price);
}
