/** What a decision may write: balanced entries of legs, and the guards judged with them inside the post. */
import type { CardUid, CooperativeId, MemberId, OutletId } from '../../protocol/ids.ts';
import type { Outcome } from '../../protocol/receipt.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import type { FeeShare } from '../../protocol/tariffs.ts';
import type { Account } from './accounts.ts';

/** One line of an entry. Positive amounts are credits, negative ones debits, in rupiah. */
export interface Leg {
  readonly account: Account;
  readonly amount: bigint;
}

/** What moved the money (TRUTH section 11, last line); later kinds of work add theirs. */
export type Authority =
  | 'card-certificate'
  | 'hub-relayed-session'
  | 'hub-session'
  | 'mirror'
  | 'pin'
  | 'rule'
  | 'teller-card'
  | 'two-officers';

/** `reload-release` sends money on its way to a card's purse; `reload` proves that it came, `reload-void` that not. */
export type EntryKind =
  | 'opening'
  | 'purchase'
  | 'void'
  | CardMoneyKind
  | CashKind
  | 'funding'
  | PaymentKind
  | ReturnKind
  | OwnKind
  | 'collect';
export type ReloadKind = 'reload-release' | 'reload' | 'reload-void';
/**
 * Between a member's account and a card's purse; `drain` brings all that the purse held back to the account, and
 * `purse-return` what the books know of it once the card can pay no more (TRUTH section 8).
 */
export type CardMoneyKind = ReloadKind | 'drain' | 'purse-return';
/** Cash over a counter; a withdrawal is posted only as the end of a hold. */
export type CashKind = 'deposit' | 'withdrawal';
/**
 * Money from one pocket to others, across cooperatives or not, with or without a fee: a proven payment from a purse;
 * to another member; takings to their payee; a bill (only as the end of a hold); rewards from a budget as money or
 * points, points spent, a reward given back with the sale it was for.
 */
export type PaymentKind = 'purse-sale' | 'transfer' | 'payout' | 'bill' | RewardKind;
export type RewardKind = 'cashback' | 'points' | 'redeem' | 'reward-return';
/** What takes back a payment, or part of it (TRUTH section 9). */
export type ReturnKind = 'refund' | 'dispute' | 'dispute-won' | 'dispute-lost' | 'dispute-lapsed';
/** Within one cooperative's own books, by two officers: money set aside or prepaid, and corrections. */
export type OwnKind = 'provision' | 'adjustment';

export type { FeeShare };

export interface Entry {
  readonly kind: EntryKind;
  readonly authority: Authority;
  readonly legs: readonly Leg[];
  /** Whose balance the receipt shows; null where it is nobody's business. */
  readonly payer: Account | null;
  readonly fee: bigint;
  readonly shares: readonly FeeShare[];
}

/** A purchase from a member's account. */
export interface PurchaseFigures {
  readonly issuer: CooperativeId;
  readonly member: MemberId;
  readonly acquirer: CooperativeId;
  readonly outlet: OutletId;
  readonly amount: bigint;
  readonly fee: bigint;
  /** Parts of the fee, one a cooperative; they sum to the fee. */
  readonly shares: readonly FeeShare[];
  /** A tag proved its key to the hub; left out: the card certified the sale. */
  readonly authority?: 'hub-relayed-session';
  /** Who earns what of the amount less the fee; left out: the outlet earns it all. */
  readonly to?: readonly Part[];
}

/** A part of what is paid, by the account it leaves or comes to; never negative in what a caller asks for. */
export interface Part {
  readonly account: Account;
  readonly amount: bigint;
}

/** What a payment is, whatever it leaves from. */
export interface Paid {
  readonly issuer: CooperativeId;
  readonly acquirer: CooperativeId;
  /** In anybody's books: what is not in the acquirer's goes on from there at once (TRUTH section 11). */
  readonly to: readonly Part[];
  readonly amount: bigint;
  readonly fee: bigint;
  /** Parts of the fee, one a cooperative; they sum to the fee. */
  readonly shares: readonly FeeShare[];
}

/** A payment in general: `amount` leaves `from`, all of it in the issuer's books; less the fee it comes to `to`. */
export interface PaymentFigures extends Paid {
  readonly from: readonly Part[];
  readonly authority: Authority;
}

/** A payment as it was posted, for what may take it back. */
export interface ReturnFigures {
  /** The payment's key, `origin/seq`. */
  readonly original: string;
  /** The member's account that the money comes back to: never a card (TRUTH section 9). */
  readonly member: Account;
  /** In rupiah; for the end of a dispute what it was opened for. */
  readonly amount: bigint;
  /** Only when a dispute opens: what of it the member gets at once, and the hub time it must be decided by. */
  readonly provisional?: bigint;
  readonly until?: string;
  readonly authority: Authority;
}

/** Between two accounts of one cooperative. */
export interface OwnFigures {
  readonly debit: Account;
  readonly credit: Account;
  readonly amount: bigint;
  /** In the officers' words. */
  readonly reason: string;
}

/** Takings pay what their owner owes the cooperative: as much as both allow at the post. */
export interface CollectFigures {
  readonly takings: Account;
  readonly owed: Account;
  readonly amount: bigint;
}

/** A member's opening balance: money that already lies at the cooperative's bank. */
export interface OpeningFigures {
  readonly cooperative: CooperativeId;
  readonly member: MemberId;
  readonly amount: bigint;
}

/** A reload of a card's purse from its member's account, at any of its three steps, or its drain. */
export interface CardMoneyFigures {
  readonly issuer: CooperativeId;
  readonly member: MemberId;
  readonly card: CardUid;
  readonly amount: bigint;
}

/** Cash over a counter, for a member of this cooperative or another. */
export interface CashFigures {
  /** The member's cooperative: it pays the fee. */
  readonly issuer: CooperativeId;
  readonly member: MemberId;
  /** The counter's cooperative, and the counter. */
  readonly acquirer: CooperativeId;
  readonly outlet: OutletId;
  readonly amount: bigint;
  readonly fee: bigint;
  /** Parts of the fee, one a cooperative; they sum to the fee. */
  readonly shares: readonly FeeShare[];
  /** A withdrawal of takings: whose at the issuer; left out: it is the member's account that pays. */
  readonly payee?: string;
}

/** Cash from the cooperative's bank account into a counter's drawer. */
export interface FundingFigures {
  readonly cooperative: CooperativeId;
  readonly outlet: OutletId;
  readonly amount: bigint;
}

/** What is to be posted. Its legs come from the table of postings and from nowhere else. */
export type Instruction =
  | { readonly kind: 'opening'; readonly figures: OpeningFigures }
  | { readonly kind: 'purchase'; readonly figures: PurchaseFigures }
  | CashInstruction
  | { readonly kind: 'funding'; readonly figures: FundingFigures }
  | { readonly kind: CardMoneyKind; readonly figures: CardMoneyFigures }
  | { readonly kind: PaymentKind; readonly figures: PaymentFigures }
  | { readonly kind: ReturnKind; readonly figures: ReturnFigures }
  | { readonly kind: OwnKind; readonly figures: OwnFigures }
  | { readonly kind: 'collect'; readonly figures: CollectFigures };

/** What may wait as a hold: cash out of a drawer, or a bill at its biller. */
export type HoldInstruction =
  | { readonly kind: 'withdrawal'; readonly figures: CashFigures }
  | { readonly kind: 'bill'; readonly figures: PaymentFigures };

export type CashInstruction =
  | { readonly kind: 'deposit'; readonly figures: CashFigures }
  | { readonly kind: 'withdrawal'; readonly figures: CashFigures };

/** Conditions judged in array order together with the entry; the bounds of accountKinds are always judged. */
export type Guard =
  /** The card must be active in the ledger's own card table. */
  | { readonly kind: 'card-active'; readonly card: CardUid }
  /** No other approved account sale of this card at this kiosk within `seconds` before the post. */
  | { readonly kind: 'pause'; readonly card: CardUid; readonly kiosk: number; readonly seconds: number }
  /** Counter `tmc` of this card's newest key version, and all above it, are still unused as far as is known. */
  | { readonly kind: 'next'; readonly card: CardUid; readonly keyVersion: number; readonly tmc: number }
  /** The account's balance is zero before the post: no reload is on its way (TRUTH section 6), no debt is left. */
  | { readonly kind: 'idle'; readonly account: Account }
  /** The account's balance and `amount` together stay within `max`: what a purse or a member's account may hold. */
  | { readonly kind: 'room'; readonly account: Account; readonly amount: bigint; readonly max: bigint }
  /** Sales and loads of this card without PIN on this business date, this one included, stay within `max`. */
  | { readonly kind: 'day'; readonly card: CardUid; readonly amount: bigint; readonly max: bigint }
  /**
   * Sales and loads of this card without PIN since its last PIN, this one included, stay within `max`. Stands beside a
   * `day` of the same amount.
   */
  | { readonly kind: 'no-pin'; readonly card: CardUid; readonly amount: bigint; readonly max: bigint }
  /** Refuses nothing: the PIN was verified, and with the approval the card's sum without PIN starts anew. */
  | { readonly kind: 'pin'; readonly card: CardUid }
  /**
   * What leaves the member's account on this business date and in its month, this one and every open hold included,
   * stays within `day` and `month`.
   */
  | {
      readonly kind: 'spend';
      readonly account: Account;
      readonly amount: bigint;
      readonly day: bigint;
      readonly month: bigint;
    }
  /** What comes into the member's account in this month, this one included, stays within `month`. */
  | { readonly kind: 'income'; readonly account: Account; readonly amount: bigint; readonly month: bigint }
  /** Refuses nothing: an approval that takes this budget down to `low` rupiah writes an alarm. */
  | { readonly kind: 'budget'; readonly account: Account; readonly low: bigint }
  /** The counter's float does not fall below zero; with the approval it moves by `delta` (TRUTH section 7). */
  | { readonly kind: 'float'; readonly outlet: OutletId; readonly delta: bigint }
  /**
   * The entry leaves the sum of this cooperative's positions within its net debit cap, or does not raise it. An
   * approval that takes it above `alert`, where given, writes an alarm.
   */
  | { readonly kind: 'cap'; readonly cooperative: CooperativeId; readonly max: bigint; readonly alert?: bigint };

/** A rule's word on a request, before the guards. */
export type Verdict =
  | { readonly approve: Instruction; readonly guards: readonly Guard[] }
  | { readonly refuse: Refusal; readonly outcome: Exclude<Outcome, 'approved'> };

/** One place in a card's chain: filled once, by one occupant (TRUTH section 2). */
export interface Slot {
  readonly card: CardUid;
  readonly keyVersion: number;
  readonly tmc: number;
}

/** What a receipt says beside the decision itself. */
export interface ReceiptFacts {
  readonly amount: bigint;
  readonly card: CardUid | null;
  readonly issuer: CooperativeId | null;
  readonly acquirer: CooperativeId | null;
  readonly outlet: OutletId | null;
  /** How many rode for the amount; left out: one. */
  readonly passengers?: number | undefined;
}
