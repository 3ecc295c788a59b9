/** The kinds of account in a cooperative's books and the bound each must keep (TRUTH section 7). */
import type { CooperativeId } from '../../protocol/ids.ts';
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
  bank: { bound: 'debit', refusal: 'debit-cap' },
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
