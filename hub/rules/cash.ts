/** Cash over a counter, judged: who may deposit or withdraw what, and what each must keep within (TRUTH section 7). */
import type { CardUid, CooperativeId, MemberId, OutletId } from '../../protocol/ids.ts';
import { counterLimits, type LimitProfile } from '../../protocol/limits.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import { quote, type Tariff } from '../../protocol/tariffs.ts';
import { type Account, memberOf } from './accounts.ts';
import type { CashKind, Guard, Verdict } from './entries.ts';
import { type Holder, isLicensed, type LicenceOf, mayHold } from './licence.ts';

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

const licensed = ({ kind, card, outlet, licenceOf }: CashFacts) =>
  card !== null && outlet !== null && isLicensed(kind, licenceOf, card.issuer, outlet.cooperative);

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
  return [
    { kind: 'income', account, amount, month: limits.perMonthIn },
    { kind: 'room', account, amount, max: limits.maxBalance },
  ];
}

/**
 * Judges a deposit, or whether money may be held for a withdrawal. Funds, drawer, float, cap, the member's limits and
 * the card's status are judged by guards and bounds inside the ledger. The cap is that of the cooperative which comes
 * to owe: the counter's owes for a deposit, the member's for a withdrawal and its fee.
 */
export function judgeCash(facts: CashFacts): Verdict {
  for (const [refuse, fails] of checks) if (fails(facts)) return { refuse, outcome: 'declined' };
  const { kind, card, outlet, amount, date } = facts;
  if (card === null || outlet === null) throw new Error('the checks let an unknown card or outlet through');
  const { issuer, member, uid } = card;
  const acquirer = outlet.cooperative;
  const { fee, shares } = quote(facts.tariffs, { kind, issuer, acquirer, class: outlet.class, amount, date });
  const [owing, delta] = kind === 'deposit' ? [acquirer, amount] : [issuer, -amount];
  const guards: Guard[] = [
    { kind: 'card-active', card: uid },
    { kind: 'float', outlet: outlet.id, delta },
    ...memberGuards(facts, memberOf(issuer, member)),
    { kind: 'cap', cooperative: owing, max: facts.netDebitCap(owing), alert: facts.capAlert(owing) },
  ];
  const figures = { issuer, member, acquirer, outlet: outlet.id, amount, fee, shares };
  return { approve: { kind, figures }, guards };
}
