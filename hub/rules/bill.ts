/** Bill, judged: who may have a biller asked for what, from an account or in cash (TRUTH sections 6, 7 and 11). */
import { type CooperativeId, PLATFORM } from '../../protocol/ids.ts';
import { counterLimits } from '../../protocol/limits.ts';
import { billerOf, drawerOf, memberOf } from './accounts.ts';
import type { Staff } from './cash.ts';
import type { FeeShare, Guard, PaymentFigures, Verdict } from './entries.ts';
import { judgePurchase, type PurchaseFacts } from './purchase.ts';

/** Who earns what of the admin of one bill, in rupiah. */
export interface BillShares {
  readonly aggregator: bigint;
  readonly acquirer: bigint;
  readonly issuer: bigint;
  readonly platform: bigint;
}

/** What a cooperative sells of a biller. */
export interface BillProduct {
  /** Owner of the deposit that it is paid from. */
  readonly biller: string;
  readonly shares: BillShares;
}

interface Wanted {
  /** The biller's own part, in rupiah. */
  readonly amount: bigint;
  /** What the kiosk showed the payer on top of it. */
  readonly admin: bigint;
  /** null: nobody sells it at this outlet. */
  readonly product: BillProduct | null;
  readonly outlet: PurchaseFacts['outlet'];
  /** Net debit cap of a cooperative, in rupiah, and the sum at which its officers are warned. */
  readonly capOf: (cooperative: CooperativeId) => { readonly netDebitCap: bigint; readonly capAlert: bigint };
}

/** The account sale that the card has certified, for amount and admin together. */
export interface AccountBillFacts extends Wanted {
  readonly sale: Pick<
    PurchaseFacts,
    'date' | 'kiosk' | 'card' | 'certificate' | 'limits' | 'pinVerified' | 'licenceOf'
  >;
}

export interface CashBillFacts extends Wanted {
  readonly teller: Staff | null;
  /** The second person; null where nobody was asked, or an unknown card was laid down. */
  readonly approver: Staff | null;
}

/** What the payer pays on top of a bill. */
export const adminOf = ({ aggregator, acquirer, issuer, platform }: BillShares) =>
  aggregator + acquirer + issuer + platform;

const declined = (refuse: Extract<Verdict, { refuse: unknown }>['refuse']): Verdict => ({
  refuse,
  outcome: 'declined',
});

/** Why the bill itself is refused, or null. */
function unfit({ product, admin, outlet }: Wanted): Verdict | null {
  if (outlet?.open !== true) return declined('outlet-closed');
  if (product === null) return declined('product-unknown');
  return adminOf(product.shares) === admin ? null : declined('bill-changed');
}

/** Parts by cooperative in the order of TRUTH's row: roles that fall to the same one earn one part. */
function parts(acquirer: CooperativeId, issuer: CooperativeId, shares: BillShares): FeeShare[] {
  const earned = new Map<CooperativeId, bigint>();
  const roles = [
    [acquirer, shares.acquirer],
    [issuer, shares.issuer],
    [PLATFORM, shares.platform],
  ] as const;
  for (const [to, amount] of roles) earned.set(to, (earned.get(to) ?? 0n) + amount);
  return [...earned].filter(([, amount]) => amount > 0n).map(([to, amount]) => ({ to, amount }));
}

/** The legs' figures: what is not the biller's and the aggregator's is fee. */
function priced(
  { amount, admin, product }: Wanted,
  acquirer: CooperativeId,
  issuer: CooperativeId,
): Pick<PaymentFigures, 'issuer' | 'acquirer' | 'amount' | 'to' | 'fee' | 'shares'> {
  if (product === null) throw new Error('the checks let an unknown product through');
  const shares = parts(acquirer, issuer, product.shares);
  const fee = shares.reduce((sum, share) => sum + share.amount, 0n);
  const total = amount + admin;
  const to = [{ account: billerOf(acquirer, product.biller), amount: total - fee }];
  return { issuer, acquirer, amount: total, to, fee, shares };
}

/**
 * Judges a bill from an account: first as the account sale that the card has certified, by all its checks, limits and
 * guards, so that an unproven tap learns nothing; then the bill. Funds, deposit and guards are judged in the ledger.
 */
export function judgeAccountBill(facts: AccountBillFacts): Verdict {
  const { sale, amount, admin } = facts;
  // The biller is paid, and not who earns the outlet's sales: nothing goes on to them.
  const outlet = facts.outlet && { ...facts.outlet, payees: [] };
  const cap = sale.card === null ? { netDebitCap: 0n, capAlert: 0n } : facts.capOf(sale.card.issuer);
  const judged = judgePurchase({ ...sale, amount: amount + admin, outlet, tariffs: [], price: undefined, ...cap });
  if ('refuse' in judged) return judged;
  const refused = unfit(facts);
  if (refused !== null) return refused;
  if (judged.approve.kind !== 'purchase') throw new Error('an account sale was judged as something else');
  const { issuer, member, acquirer } = judged.approve.figures;
  const from = [{ account: memberOf(issuer, member), amount: amount + admin }];
  const figures = { ...priced(facts, acquirer, issuer), from, authority: 'card-certificate' as const };
  return { approve: { kind: 'bill', figures }, guards: judged.guards };
}

/** Judges a bill in cash: the counter's cooperative is issuer too, and earns the part that a member's would. */
export function judgeCashBill(facts: CashBillFacts): Verdict {
  const refused = unfit(facts);
  if (refused !== null) return refused;
  const { outlet, teller, approver, amount, admin } = facts;
  if (outlet === null) throw new Error('the checks let an unknown outlet through');
  const { cooperative, id } = outlet;
  const serves = (staff: Staff | null) => staff?.active === true && staff.cooperative === cooperative;
  if (!serves(teller)) return declined('teller-unknown');
  const approved = serves(approver) && approver?.member !== teller?.member;
  if (amount + admin > counterLimits.approvalAbove && !approved) return declined('approval-needed');
  const from = [{ account: drawerOf(cooperative, id), amount: amount + admin }];
  const figures = { ...priced(facts, cooperative, cooperative), from, authority: 'teller-card' as const };
  const { netDebitCap, capAlert } = facts.capOf(cooperative);
  const guards: Guard[] = [{ kind: 'cap', cooperative, max: netDebitCap, alert: capAlert }];
  return { approve: { kind: 'bill', figures }, guards };
}
