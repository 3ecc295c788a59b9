/** The ledger's port: its verbs, and nothing of the engine below it. */
import type { HoldSlip } from '../../protocol/cash.ts';
import type { CardUid, CooperativeId, OutletId } from '../../protocol/ids.ts';
import type { Account } from '../rules/accounts.ts';
import type { EntryKind, ReceiptFacts, Slot, Verdict } from '../rules/entries.ts';
import type { CardStatus } from '../rules/lifecycle.ts';

/**
 * Names one decision for ever. Origins below 2^24 are kiosk numbers; origin 2^24 + kiosk number holds the voids of that
 * kiosk's sales under the same seq; 2^25 is the hub itself (opening balances). A kiosk's reloads have origins of their
 * own, so that closing an account sale never touches one (TRUTH section 1): 2^25 + kiosk number holds their releases,
 * 3 · 2^24 + kiosk number what became of each, under the same seq. So has whatever else it asks for, each kind 2^24
 * above the last: cash, refunds, bills, transfers, payouts. What follows from a payment has its seq in an origin above
 * its kiosk's: its reward, its dispute and that one's end. Kiosk numbers start at 1.
 */
export interface DecisionKey {
  readonly origin: number;
  /** Below 2^24. */
  readonly seq: number;
}

export const VOID_ORIGIN = 2 ** 24;
export const HUB_ORIGIN = 2 ** 25;
export const RELEASE_ORIGIN = 2 ** 25;
export const RELOAD_ORIGIN = 3 * 2 ** 24;
export const CASH_ORIGIN = 2 ** 26;
export const REFUND_ORIGIN = 5 * 2 ** 24;
export const BILL_ORIGIN = 6 * 2 ** 24;
export const TRANSFER_ORIGIN = 7 * 2 ** 24;
export const PAYOUT_ORIGIN = 8 * 2 ** 24;
/** Of the payment it rewards; its return has that of the refund. */
export const REWARD_ORIGIN = 9 * 2 ** 24;
export const REWARD_RETURN_ORIGIN = 10 * 2 ** 24;
export const DISPUTE_ORIGIN = 11 * 2 ** 24;
export const DISPUTE_END_ORIGIN = 12 * 2 ** 24;
/** What takings pay of a debt, before they are paid out under the same seq. */
export const COLLECT_ORIGIN = 13 * 2 ** 24;
/** Two officers at the hub itself. */
export const OFFICE_ORIGIN = 14 * 2 ** 24;
/** What a won dispute takes back of a reward, under the seq of the dispute's end. */
export const REWARD_DISPUTE_ORIGIN = 15 * 2 ** 24;

/** Asks for one decision. */
export interface PostRequest {
  readonly key: DecisionKey;
  /** 32 hex digits over the request body; empty for a question without one (resolve, hub-made entries). */
  readonly hash: string;
  /** Hub time, milliseconds since 1970 UTC. */
  readonly at: number;
  readonly verdict: Verdict;
  /** The card slot that a valid certificate proves; filled whatever the verdict. Null without a valid certificate. */
  readonly slot: Slot | null;
  readonly facts: ReceiptFacts;
  /** The claim as verified, packed; kept with the entry. */
  readonly evidence: Uint8Array | null;
  /**
   * Decided in the same commit if this request is approved now, and not again by a repetition; whatever becomes of
   * them, the approval stands. Only of a `post`.
   */
  readonly follows?: readonly PostRequest[] | undefined;
}

export type Posting =
  | {
      readonly kind: 'decided';
      /** JSON text of the Receipt, to the byte what the first answer was. */
      readonly receipt: string;
      /** True when the decision stood before this request. */
      readonly duplicate: boolean;
      /** True when a void of this sale stands. */
      readonly voided: boolean;
    }
  /** The pair was decided for another body: nothing written but an alarm. */
  | { readonly kind: 'body-differs' };

/** What is said of a hold: its decision, if it has ended. */
export type HoldAnswer =
  | Posting
  /** JSON text of the HoldSlip: held or released, undecided. */
  | { readonly kind: 'open'; readonly slip: string }
  /** Nothing was ever held or decided under the key, and nothing is now. */
  | { readonly kind: 'absent' };

/** How a hold is to end. */
export interface Settlement {
  readonly key: DecisionKey;
  readonly word: 'post' | 'void';
  /** Hub time, milliseconds since 1970 UTC. */
  readonly at: number;
  /** Two officers after a count of the drawer, JSON text kept with the hold; null: the holding kiosk, or a biller. */
  readonly officers: string | null;
  /** What a biller answered, JSON text kept with the hold: it may post or void what is released. */
  readonly answer?: string | null;
}

/** A hold that has not ended. */
export interface OpenHold extends HoldSlip {
  readonly key: DecisionKey;
  /** What was said at its release, JSON text; null before. */
  readonly claim: string | null;
}

/** A dispute that is not decided, with the payment it is about. */
export interface OpenDispute {
  /** Of the payment. */
  readonly key: DecisionKey;
  /** Whose account the money is for. */
  readonly member: Account;
  /** In rupiah: what is disputed, what of it the member has in hand, what of the payment came back before. */
  readonly disputed: bigint;
  readonly provisional: bigint;
  readonly refunded: bigint;
  /** Hub time by which it must be decided, milliseconds since 1970 UTC. */
  readonly until: number;
  /** JSON text of the payment's Receipt. */
  readonly receipt: string;
}

export interface Alarm {
  readonly at: number;
  /** A short fixed name, for example `body-differs`, `slot-taken`, `topic-foreign`. */
  readonly kind: string;
  readonly kiosk: string;
  /** A sentence for the operator. */
  readonly detail: string;
}

/** What the ledger itself must know of a card to judge it inside the post. */
export interface LedgerCard {
  readonly uid: CardUid;
  readonly status: CardStatus;
  /** Version of the counter file's key. */
  readonly keyVersion: number;
  /** Highest counter seen; 4 after personalising. */
  readonly tmc: number;
}

/** A reload that was released and has no end yet: its money waits in transit. */
export interface OpenReload {
  /** The release's key: RELEASE_ORIGIN + kiosk number, and the kiosk's seq. */
  readonly key: DecisionKey;
  readonly card: CardUid;
  readonly issuer: CooperativeId;
  readonly amount: bigint;
  /** Hub time of the release, milliseconds since 1970 UTC. */
  readonly at: number;
  /** As it was posted with the release. */
  readonly evidence: Uint8Array | null;
  /** Slots of this card that claims decided since the release have filled, in no order. */
  readonly filled: readonly Pick<Slot, 'keyVersion' | 'tmc'>[];
}

/** What stands under a key. */
export interface Standing {
  /** JSON text of the Receipt. */
  readonly receipt: string;
  /** null where no entry was posted. */
  readonly kind: EntryKind | null;
}

export interface Line {
  readonly id: number;
  readonly key: DecisionKey;
  readonly kind: EntryKind;
  readonly at: number;
  readonly amount: bigint;
  readonly balance: bigint;
}

export interface TrialBalance {
  readonly entries: number;
  /** Sum of all legs: zero, or the books are broken. */
  readonly total: bigint;
  readonly cooperatives: ReadonlyMap<CooperativeId, bigint>;
  /** Pairs whose two positions do not cancel; empty, or the books are broken. */
  readonly brokenPairs: readonly string[];
  /** Accounts whose balance differs from their legs or breaks its bound; empty, or the books are broken. */
  readonly brokenAccounts: readonly string[];
  /**
   * Entries whose legs are not those they name, or do not balance in each cooperative; empty, or the books are
   * broken.
   */
  readonly brokenEntries: readonly string[];
}

/** The engine failed or was too busy: the request may or may not have been decided, and only asking again will tell. */
export class LedgerFault extends Error {
  /** True if the request never reached the engine: nothing was decided. */
  readonly refusedAtDoor: boolean;

  constructor(message: string, refusedAtDoor = false) {
    super(message);
    this.name = 'LedgerFault';
    this.refusedAtDoor = refusedAtDoor;
  }
}

export interface Ledger {
  /**
   * Decides requests that arrive together in one durable commit, in the order of the calls. The same key and hash get
   * the same answer; a failed guard declines that request only. A step of a dispute that is refused is told, and not
   * kept: the same key may be asked again. Resolves after the commit reached the disk.
   * @throws LedgerFault when the engine failed: nothing is known about the request then.
   */
  post(request: PostRequest): Promise<Posting>;
  /**
   * Cancels an account sale: without a decision it becomes `cancelled`; an approved one gets its void posted once, its
   * decision stays (TRUTH section 1). Anything else is answered as it stands.
   */
  cancel(key: DecisionKey, at: number): Promise<Posting>;
  /**
   * Sets money aside for a withdrawal against every bound its posting will touch: funds, drawer, float, cap (TRUTH
   * section 6). A refusal is a decision, as in `post`; an approval is none yet: the key stays open until the hold ends.
   * @param until hub time from which a hold that was not released is void.
   */
  hold(request: PostRequest, until: number): Promise<HoldAnswer>;
  /**
   * Commits that cash may be handed out, or the biller asked; from then on only `settle` ends the hold. One that is too
   * old, or whose card no longer pays, ends void instead.
   * @param claim what the kiosk said of the member, or what the biller is asked for, JSON text; kept with the hold.
   */
  release(key: DecisionKey, at: number, claim: string): Promise<HoldAnswer>;
  /**
   * Ends a hold, with its decision. A kiosk may post what is released and void what is held, or a key that nothing
   * stands under; two officers may do either with any hold. Anything else is answered as it stands.
   */
  settle(settlement: Settlement): Promise<HoldAnswer>;
  /** Makes every hold void that was not released in time; again and again with the same effect. */
  expire(at: number): Promise<void>;
  /** JSON text of the slip of an open hold, or null: asks, and decides nothing. */
  openHold(key: DecisionKey): Promise<string | null>;
  /** What a biller said that ended the hold under this key, JSON text; null where none did. */
  ending(key: DecisionKey): Promise<string | null>;
  /** Every open hold, the oldest first. */
  holds(): Promise<readonly OpenHold[]>;
  /** Every open dispute, the one due first first. */
  disputes(): Promise<readonly OpenDispute[]>;
  /** What is left of a counter's float, in rupiah. */
  float(outlet: OutletId): Promise<bigint>;
  putCard(card: LedgerCard): Promise<void>;
  alarm(alarm: Alarm): Promise<void>;
  alarms(limit: number): Promise<readonly Alarm[]>;
  balances(accounts: readonly Account[]): Promise<readonly bigint[]>;
  /** Newest first, walking the account's chain from `after` (a line id) or from its head (null). */
  lines(account: Account, after: number | null, limit: number): Promise<readonly Line[]>;
  /** What stands under a key, or null: asks, and decides nothing. */
  standing(key: DecisionKey): Promise<Standing | null>;
  /** Every open reload; reads all accounts and decisions since the oldest: meant for the start of a hub. */
  openReloads(): Promise<readonly OpenReload[]>;
  trialBalance(): Promise<TrialBalance>;
  close(): Promise<void>;
}
