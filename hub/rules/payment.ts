/** Payment: the legs of money from one pocket to others, at home or across cooperatives (TRUTH section 11). */
import { type CooperativeId, PLATFORM } from '../../protocol/ids.ts';
import { type Account, incomeOf, memberOf, payoutOf, positionOf } from './accounts.ts';
import type { FeeShare, Leg, Paid, Part, PaymentFigures, PurchaseFigures } from './entries.ts';

export const credit = (account: Account, amount: bigint): Leg => ({ account, amount });
export const debit = (account: Account, amount: bigint): Leg => ({ account, amount: -amount });

/** The part of a fee that a cooperative earns. */
export const shareOf = (shares: readonly FeeShare[], to: CooperativeId) =>
  shares.find((share) => share.to === to)?.amount ?? 0n;

/** A payee at another cooperative is credited there, by way of both positions. */
function paid(acquirer: CooperativeId, { account, amount }: Part): readonly Leg[] {
  const home = account.cooperative;
  if (home === acquirer) return [credit(account, amount)];
  return [
    credit(positionOf(acquirer, home), amount),
    debit(positionOf(home, acquirer), amount),
    credit(account, amount),
  ];
}

/**
 * Legs in the order of TRUTH's table, the acquirer's books first where there are two; the same account may stand twice,
 * and legs of zero are not left out.
 */
export function paymentLegs({ issuer, acquirer, from, to, amount, shares }: PaymentFigures): Leg[] {
  const platform = shareOf(shares, PLATFORM);
  const issuers = shareOf(shares, issuer);
  const out = from.map((part) => debit(part.account, part.amount));
  const inwards = to.flatMap((part) => paid(acquirer, part));
  const atPlatform = [debit(positionOf(PLATFORM, acquirer), platform), credit(incomeOf(PLATFORM), platform)];
  if (issuer === acquirer) {
    const own = [credit(incomeOf(issuer), issuers), credit(positionOf(issuer, PLATFORM), platform)];
    return [...out, ...inwards, ...own, ...atPlatform];
  }
  return [
    debit(positionOf(acquirer, issuer), amount),
    ...inwards,
    credit(incomeOf(acquirer), shareOf(shares, acquirer)),
    credit(positionOf(acquirer, issuer), issuers),
    credit(positionOf(acquirer, PLATFORM), platform),
    ...out,
    credit(positionOf(issuer, acquirer), amount),
    debit(positionOf(issuer, acquirer), issuers),
    credit(incomeOf(issuer), issuers),
    ...atPlatform,
  ];
}

/** A purchase from a member's account as the payment it is. */
export function purchasePayment(sale: PurchaseFigures): PaymentFigures {
  const { issuer, member, acquirer, outlet, amount, fee, shares, authority = 'card-certificate' } = sale;
  const from = [{ account: memberOf(issuer, member), amount }];
  const to = sale.to ?? [{ account: payoutOf(acquirer, outlet), amount: amount - fee }];
  return { issuer, acquirer, from, to, amount, fee, shares, authority };
}

const sum = (parts: readonly { readonly amount: bigint }[]) => parts.reduce((total, part) => total + part.amount, 0n);

/** @throws RangeError if the parts of a fee do not fit: a bug of the caller, which would break the books. */
export function mustShare({ issuer, acquirer, amount, fee, shares }: Omit<Paid, 'to'>) {
  const known = shares.every(({ to }) => to === issuer || to === acquirer || to === PLATFORM);
  if (sum(shares) !== fee || !known || fee > amount || fee < 0n) {
    throw new RangeError('the parts do not make up the fee');
  }
  if (issuer === PLATFORM || acquirer === PLATFORM) throw new RangeError('the platform has no members and no outlets');
}

/** @throws RangeError if what is paid, earned and shared do not fit each other: a bug of the caller. */
export function mustFit(payment: PaymentFigures): void {
  const { issuer, from, to, amount, fee } = payment;
  mustShare(payment);
  if (from.some((part) => part.account.cooperative !== issuer)) {
    throw new RangeError('what pays is not in the books of the issuer');
  }
  if (to.some((part) => part.account.cooperative === PLATFORM || part.account.kind === 'position')) {
    throw new RangeError('a payee is neither the platform nor a position');
  }
  if ([...from, ...to].some((part) => part.amount < 0n) || sum(from) !== amount || sum(to) !== amount - fee) {
    throw new RangeError('what is paid and what is earned differ');
  }
}
