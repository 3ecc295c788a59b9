/** Incentives: which reward an approved payment earns, out of whose budget, and what of it goes back with a refund. */
import { type CooperativeId, type MemberId, type OutletId, PLATFORM } from '../../protocol/ids.ts';
import { type Account, budgetOf, memberOf, pointsOf } from './accounts.ts';
import type { Instruction, Leg, PaymentFigures } from './entries.ts';
import { isLicensed, type LicenceOf } from './licence.ts';

export const REWARD_FORMS = ['cashback', 'points'] as const;

/** A rule by which a cooperative rewards purchases. */
export interface Incentive {
  /** Small letters, digits and dashes; never used twice. */
  readonly id: string;
  /** Who pays. */
  readonly cooperative: CooperativeId;
  /** Of that cooperative; several rules may share one. */
  readonly budget: string;
  readonly kind: 'purchase';
  readonly form: (typeof REWARD_FORMS)[number];
  /** Where it is paid; null: anywhere. */
  readonly outlet: OutletId | null;
  /** Whose outlet it is paid at; null: anyone's. */
  readonly acquirer: CooperativeId | null;
  /** Whose members are rewarded; null: everybody's. */
  readonly members: CooperativeId | null;
  /** In rupiah, and on top of it basis points of the payment, rounded down. */
  readonly fixed: bigint;
  readonly basisPoints: number;
  /** Most for one payment, in rupiah. */
  readonly most: bigint;
  /** Smallest payment that is rewarded, in rupiah. */
  readonly least: bigint;
  /** First and last business date; null: until it is ended. */
  readonly from: string;
  readonly until: string | null;
}

/** The payment that may earn a reward. */
export interface Rewarded {
  readonly date: string;
  readonly amount: bigint;
  readonly member: MemberId;
  /** The member's cooperative. */
  readonly issuer: CooperativeId;
  readonly acquirer: CooperativeId;
  readonly outlet: OutletId;
}

const NAME = /^[a-z][a-z0-9-]{0,31}$/;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const BASIS_POINTS = 10_000;

const isDate = (text: string) => DATE.test(text) && !Number.isNaN(Date.parse(text));

/** What is wrong with an incentive, in words for the officer who typed it; null if it can be applied. */
export function incentiveFault(rule: Incentive): string | null {
  const { id, cooperative, budget, fixed, basisPoints, most, least, from, until } = rule;
  if (cooperative === PLATFORM) return 'the platform rewards nobody: it has no members';
  if (!NAME.test(id) || !NAME.test(budget)) return 'a name has 1 to 32 small letters, digits and hyphens';
  const points = Number.isInteger(basisPoints) && basisPoints >= 0 && basisPoints <= BASIS_POINTS;
  if (!points) return 'basis points are a whole number from 0 to 10000';
  if (fixed < 0n || least < 0n || (fixed === 0n && basisPoints === 0)) return 'a reward is more than nothing';
  if (most < 1n) return 'the most for one payment must be above zero';
  if (!isDate(from) || (until !== null && !isDate(until))) return 'a date is written YYYY-MM-DD';
  return until !== null && until < from ? 'it must not end before it begins' : null;
}

const least = (a: bigint, b: bigint) => (a < b ? a : b);

/** What a rule gives for a payment, in rupiah: never more than was paid. */
const rewardBy = ({ fixed, basisPoints, most }: Incentive, amount: bigint): bigint =>
  least(amount, least(most, fixed + (amount * BigInt(basisPoints)) / BigInt(BASIS_POINTS)));

function applies(rule: Incentive, sale: Rewarded): boolean {
  const { outlet, acquirer, members, from, until } = rule;
  if (sale.amount < rule.least || sale.date < from || (until !== null && sale.date > until)) return false;
  if (outlet !== null && outlet !== sale.outlet) return false;
  if (acquirer !== null && acquirer !== sale.acquirer) return false;
  return members === null || members === sale.issuer;
}

/**
 * The reward of a payment, or null. Of several rules the one that gives most applies, and no other; of equals the first
 * by id: a payment has one reward, so that its refund takes back one. Points cost as much as money.
 */
export function rewardFor(
  rules: Iterable<Incentive>,
  sale: Rewarded,
  licenceOf: LicenceOf,
): { readonly rule: Incentive; readonly amount: bigint } | null {
  let best: { readonly rule: Incentive; readonly amount: bigint } | null = null;
  for (const rule of rules) {
    if (!applies(rule, sale) || !isLicensed(rule.form, licenceOf, rule.cooperative, sale.issuer)) continue;
    const amount = rewardBy(rule, sale.amount);
    if (amount <= 0n || (best !== null && amount < best.amount)) continue;
    if (best === null || amount > best.amount || rule.id < best.rule.id) best = { rule, amount };
  }
  return best;
}

/** Moves all of an amount between two accounts without a fee, by the same table as any payment. */
function moved(from: Account, to: Account, amount: bigint, authority: PaymentFigures['authority']): PaymentFigures {
  const parts = { from: [{ account: from, amount }], to: [{ account: to, amount }] };
  const [issuer, acquirer] = [from.cooperative, to.cooperative];
  return { issuer, acquirer, ...parts, amount, fee: 0n, shares: [], authority };
}

/** What gives the reward: money at the member's own cooperative, points at the one that pays. */
export function rewardInstruction(
  { form, cooperative, budget }: Incentive,
  { issuer, member }: Rewarded,
  amount: bigint,
): Instruction {
  const to = form === 'cashback' ? memberOf(issuer, member) : pointsOf(cooperative, member);
  return { kind: form, figures: moved(budgetOf(cooperative, budget), to, amount, 'rule') };
}

/** What spends points: they become money in the member's account, wherever that is. */
export function redeemFigures(from: Account, home: Account, amount: bigint): PaymentFigures {
  return moved(from, home, amount, 'two-officers');
}

/**
 * What of a reward is due back once `returned` rupiah of its payment were: in proportion, rounded down, so that all
 * returns together take all of it and none more than its part.
 */
export const rewardOfReturned = (reward: bigint, paid: bigint, returned: bigint): bigint => (reward * returned) / paid;

/**
 * Who gives a reward back: where it came to, as far as that goes; of points that were spent the rest comes from the
 * account which they were redeemed to. What neither has is left out.
 * @param legs of the reward as it was posted
 * @param payer the member's account that the payment came from
 * @param free what an account may still give
 */
export function rewardBack(
  legs: readonly Leg[],
  payer: Account | null,
  due: bigint,
  free: (account: Account) => bigint,
): readonly PaymentFigures[] {
  const budget = legs.find(({ account, amount }) => account.kind === 'incentive-budget' && amount < 0n)?.account;
  const given = legs.find(({ account, amount }) => account.kind !== 'position' && amount > 0n)?.account;
  if (budget === undefined || given === undefined) return [];
  let rest = due;
  return [given, ...(given.kind === 'points' && payer !== null ? [payer] : [])].flatMap((account) => {
    const left = free(account);
    const amount = least(rest, left < 0n ? 0n : left);
    rest -= amount;
    return amount > 0n ? [moved(account, budget, amount, 'rule')] : [];
  });
}
