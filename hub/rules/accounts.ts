/** The kinds of account in a cooperative's books and the bound each must keep (TRUTH section 7). */
import type { CardUid, CooperativeId, MemberId, OutletId } from '../../protocol/ids.ts';
import type { Refusal } from '../../protocol/refusals.ts';

interface KindRule {
  /** `credit`: balance ≥ 0, `debit`: balance ≤ 0, `free`: no bound of its own. balance = credits − debits. */
  readonly bound: 'credit' | 'debit' | 'free';
  /** Why an entry that would break the bound is refused. */
  readonly refusal: Refusal;
}

export const accountKinds = {
  /** A member's spending balance at the home cooperative; owner = member id. */
  member: { bound: 'credit', refusal: 'insufficient-funds' },
  /** What lies in the purse of a card, as far as it was proven; owner = card UID. */
  purse: { bound: 'credit', refusal: 'insufficient-funds' },
  /** A reload on its way from the member's account to the purse; owner = card UID, at most one at a time. */
  'in-transit': { bound: 'credit', refusal: 'reload-unreleased' },
  /** An outlet's takings; owner = outlet id. */
  payout: { bound: 'credit', refusal: 'payout-short' },
  /** What this cooperative owes (positive) or is owed (negative) toward another; owner = the other's id. */
  position: { bound: 'free', refusal: 'debit-cap' },
  'fee-income': { bound: 'free', refusal: 'debit-cap' },
  /** What this cooperative paid others for serving its members. */
  'fee-expense': { bound: 'free', refusal: 'debit-cap' },
  /** Cash that lies in a counter's drawer, a debit balance; owner = outlet id. */
  drawer: { bound: 'debit', refusal: 'drawer-short' },
  /** Money at the bank that backs members' balances: a debit balance. */
  bank: { bound: 'debit', refusal: 'bank-short' },
  /** Prepaid at a biller, a debit balance; owner = biller id. */
  'biller-deposit': { bound: 'debit', refusal: 'biller-short' },
  /** What an outlet or a member owes the cooperative, a debit balance; owner = outlet or member id. */
  receivable: { bound: 'debit', refusal: 'nothing-owed' },
  /**
   * What green lights cost the issuer beyond the purse that the books know, a debit balance; owner = card UID, or
   * the payment whose dispute was not decided in time.
   */
  'guarantee-loss': { bound: 'debit', refusal: 'nothing-owed' },
  /** Given to a member, or kept ready, while a dispute is open, a debit balance; owner = the disputed entry. */
  provisional: { bound: 'debit', refusal: 'nothing-owed' },
  /** Money whose owner is not decided yet; owner = what it waits for. */
  suspense: { bound: 'credit', refusal: 'nothing-waits' },
  /** What a cooperative set aside to reward members; owner = budget id. */
  'incentive-budget': { bound: 'credit', refusal: 'budget-spent' },
  /** A member's points in rupiah, worth that much at the cooperative that gave them; owner = member id. */
  points: { bound: 'credit', refusal: 'insufficient-funds' },
  /** The cooperative's own capital. */
  equity: { bound: 'free', refusal: 'debit-cap' },
} as const satisfies Record<string, KindRule>;

export type AccountKind = keyof typeof accountKinds;

/** An account is named by whose books it is in, what it is, and for whom; `-` where it is the cooperative's own. */
export interface Account {
  readonly cooperative: CooperativeId;
  readonly kind: AccountKind;
  readonly owner: string;
}

/** The one spelling of an account: `cooperative/kind/owner`. */
export function accountName(account: Account): string {
  return `${account.cooperative}/${account.kind}/${account.owner}`;
}

const own =
  (kind: AccountKind) =>
  (cooperative: CooperativeId): Account => ({ cooperative, kind, owner: '-' });
const owned =
  <Owner extends string>(kind: AccountKind) =>
  (cooperative: CooperativeId, owner: Owner): Account => ({ cooperative, kind, owner });

export const memberOf = owned<MemberId>('member');
/** What lies in a card's purse. */
export const purseOf = owned<CardUid>('purse');
/** Where the one reload of a card waits until it is proven or void. */
export const transitOf = owned<CardUid>('in-transit');
/** Takings, by the outlet or by whom it names as a payee. */
export const payoutOf = owned<string>('payout');
export const drawerOf = owned<OutletId>('drawer');
export const billerOf = owned<string>('biller-deposit');
export const receivableOf = owned<string>('receivable');
export const lossOf = owned<string>('guarantee-loss');
/** Owner: the disputed entry's key, `origin/seq`. */
export const provisionalOf = owned<string>('provisional');
export const suspenseOf = owned<string>('suspense');
const DISPUTED = 'dispute ';
/** What is kept ready for the member while a payment is in dispute; only the dispute's end moves it. */
export const readyOf = (cooperative: CooperativeId, original: string) =>
  suspenseOf(cooperative, `${DISPUTED}${original}`);
/** Whether an account is one of `readyOf`. */
export const isReady = ({ kind, owner }: Account) => kind === 'suspense' && owner.startsWith(DISPUTED);
export const budgetOf = owned<string>('incentive-budget');
export const pointsOf = owned<MemberId>('points');
/** What the cooperative `books` owes (credit) or is owed (debit) toward another. */
export const positionOf = owned<CooperativeId>('position');
export const incomeOf = own('fee-income');
export const expenseOf = own('fee-expense');
export const bankOf = own('bank');
export const equityOf = own('equity');
