/** Cash over a counter, judged: who may deposit or withdraw what, and what each must keep within (TRUTH section 7). */
import type { CardUid, CooperativeId, MemberId, OutletId } from '../../protocol/ids.ts';
import { counterLimits, type LimitProfile } from '../../protocol/limits.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import { quote, type Tariff } from '../../protocol/tariffs.ts';
import { type Account, memberOf } from './accounts.ts';
import type { CashKind, Guard, Verdict } from './entries.ts';
import { type Holder, isLicensed, type LicenceOf, mayHold } from './licence.ts';
import { incomeGuards } from './limits.ts';
import { debtFree, type Takings } from './payees.ts';
import { takingsRefusal } from './payout.ts';

/** Someone of the staff, by the card laid down. */
export interface Staff {
  readonly member: MemberId;
  readonly cooperative: CooperativeId;
  readonly active: boolean;
}

export interface CashFacts {
  readonly kind: CashKind;
  /** Business date now, `YYYY-MM-DD` (Asia/Jakarta). */
  readonly date: string;
  /** In rupiah, above zero. */
  readonly amount: bigint;
  readonly card: {
    readonly uid: CardUid;
    readonly issuer: CooperativeId;
    readonly member: MemberId;
    readonly active: boolean;
  } | null;
  readonly outlet: {
    readonly id: OutletId;
    readonly cooperative: CooperativeId;
    readonly class: string;
    readonly open: boolean;
  } | null;
  readonly teller: Staff | null;
  /** The second person; null where nobody was asked, or an unknown card was laid down. */
  readonly approver: Staff | null;
  /** What a withdrawal is paid out of, null if no such are known; left out: the member's account. */
  readonly takings?: Takings | null | undefined;
  readonly tariffs: readonly Tariff[];
  /** The member's. */
  readonly limits: LimitProfile;
  /** Net debit cap of a cooperative, in rupiah, and the sum at which its officers are warned. */
  readonly netDebitCap: (cooperative: CooperativeId) => bigint;
  readonly licenceOf: LicenceOf;
  readonly holderOf: (member: MemberId) => Holder;
  readonly capAlert: (cooperative: CooperativeId) => bigint;
}

/** Whether someone may serve this customer at this counter. */
function serves(staff: Staff | null, { outlet, card }: CashFacts): boolean {
  return staff?.active === true && staff.cooperative === outlet?.cooperative && staff.member !== card?.member;
}

const approved = (facts: CashFacts) => serves(facts.approver, facts) && facts.approver?.member !== facts.teller?.member;

/** Whose cooperative has the money: that of the takings, if such are asked for. */
const payingAt = (card: { readonly issuer: CooperativeId }, takings: CashFacts['takings']) =>
  takings?.cooperative ?? card.issuer;

const licensed = ({ kind, card, outlet, takings, licenceOf }: CashFacts) =>
  card !== null && outlet !== null && isLicensed(kind, licenceOf, payingAt(card, takings), outlet.cooperative);

/** Who may hold no account any more may still have its money: only new money is refused. */
const takesIn = ({ kind, card, licenceOf, holderOf }: CashFacts) =>
  kind === 'withdrawal' || (card !== null && mayHold(licenceOf(card.issuer), holderOf(card.member)));

const checks: readonly (readonly [Refusal, (facts: CashFacts) => boolean])[] = [
  ['card-unknown', ({ card }) => card === null],
  ['card-blocked', ({ card }) => card?.active !== true],
  ['outlet-closed', ({ outlet }) => outlet?.open !== true],
  ['not-licensed', (facts) => !licensed(facts)],
  ['members-only', (facts) => !takesIn(facts)],
  ['teller-unknown', (facts) => !serves(facts.teller, facts)],
  ['approval-needed', (facts) => facts.amount > counterLimits.approvalAbove && !approved(facts)],
];

/** What a deposit must leave room for, or what a withdrawal draws from its day and month. */
function memberGuards({ kind, amount, limits }: CashFacts, account: Account): readonly Guard[] {
  if (kind === 'withdrawal') {
    return [{ kind: 'spend', account, amount, day: limits.perDay, month: limits.perMonth }];
  }
  return incomeGuards(account, amount, limits);
}

/**
 * Judges a deposit, or whether money may be held for a withdrawal. Funds, drawer, float, cap, the member's limits and
 * the card's status are judged by guards and bounds inside the ledger. The cap is that of the cooperative which comes
 * to owe: the counter's owes for a deposit, the member's for a withdrawal and its fee, or that of the takings which are
 * withdrawn: these draw nothing from the member's day and month.
 */
export function judgeCash(facts: CashFacts): Verdict {
  for (const [refuse, fails] of checks) if (fails(facts)) return { refuse, outcome: 'declined' };
  const { kind, card, outlet, amount, date, takings = null } = facts;
  if (card === null || outlet === null) throw new Error('the checks let an unknown card or outlet through');
  const refuse = facts.takings === undefined ? null : takingsRefusal(takings, card.member);
  if (refuse !== null) return { refuse, outcome: 'declined' };
  const { member, uid } = card;
  const issuer = payingAt(card, takings);
  const acquirer = outlet.cooperative;
  const { fee, shares } = quote(facts.tariffs, { kind, issuer, acquirer, class: outlet.class, amount, date });
  const [owing, delta] = kind === 'deposit' ? [acquirer, amount] : [issuer, -amount];
  const guards: Guard[] = [
    { kind: 'card-active', card: uid },
    { kind: 'float', outlet: outlet.id, delta },
    ...(takings === null ? memberGuards(facts, memberOf(issuer, member)) : [debtFree(takings)]),
    { kind: 'cap', cooperative: owing, max: facts.netDebitCap(owing), alert: facts.capAlert(owing) },
  ];
  const figures = { issuer, member, acquirer, outlet: outlet.id, amount, fee, shares };
  if (takings === null) return { approve: { kind, figures }, guards };
  return { approve: { kind, figures: { ...figures, payee: takings.name } }, guards };
}
