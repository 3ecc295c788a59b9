/** The words of the till: its states, what can happen to it, and what it asks to be done. */
import type { KioskNo, KioskSeq } from '../../protocol/ids.ts';
import type { PurchaseRequest } from '../../protocol/purchase.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import type { Intent, Sight } from './doubt.ts';
import type { NoteName } from './notes.ts';
import type { Prices } from './prices.ts';
import type { Certificate } from './request.ts';

/** How a sale is paid. Frozen when the sale is armed, because the card certifies it. */
export type Mode = 'account';

/** One armed sale. Its seq names it for ever (TRUTH section 1). */
export interface Sale {
  readonly seq: KioskSeq;
  /** All that leaves the member, in rupiah; known when it is known whose card pays, and the price until then. */
  readonly amount: bigint;
  /** What the trader typed, in rupiah. */
  readonly price: bigint;
  readonly mode: Mode;
  /** What fees are shown and charged by: as at the trader's confirmation, whatever comes meanwhile. */
  readonly prices: Prices | null;
}

/** How a closed sale is asked about: after a doubt or a restart, or because the trader gave it up. */
export type Ask = 'resolve' | 'cancel';

/** Words shown with a state: one of the till's own, or the hub's reason. */
export type Note = NoteName | Refusal;

export type Phase =
  /** The disk has not been read yet. */
  | { readonly name: 'booting' }
  | { readonly name: 'idle'; readonly note: Note | null }
  | { readonly name: 'typing'; readonly digits: string; readonly note: Note | null }
  | { readonly name: 'confirm'; readonly amount: bigint; readonly note: Note | null }
  | { readonly name: 'minting'; readonly amount: bigint; readonly mode: Mode }
  /** Waits for a card. */
  | { readonly name: 'armed'; readonly sale: Sale; readonly note: Note | null }
  /** The card lies on the reader; its key is being fetched. */
  | { readonly name: 'keying'; readonly sale: Sale; readonly card: Present }
  /** The card is being spoken with; it must stay. */
  | { readonly name: 'reading'; readonly sale: Sale; readonly card: Present }
  /** Certified; the hub decides. The card may leave. */
  | {
      readonly name: 'waiting';
      readonly sale: Sale;
      readonly uid: string;
      readonly body: PurchaseRequest;
      readonly tries: number;
      readonly slow: boolean;
    }
  /** The commit was sent and no proven answer came. */
  | { readonly name: 'doubt'; readonly sale: Sale; readonly intent: Intent; readonly note: Note | null }
  /** The card of a doubt is back and its key is being fetched, then it is looked at. */
  | { readonly name: 'finding'; readonly sale: Sale; readonly intent: Intent; readonly card: Present }
  | { readonly name: 'looking'; readonly sale: Sale; readonly intent: Intent; readonly card: Present }
  /** Closed here and being asked about; with `again`, the same amount is armed anew once the old sale is ended. */
  | {
      readonly name: 'closing';
      readonly sale: Sale;
      readonly ask: Ask;
      readonly again: boolean;
      readonly slow: boolean;
    }
  | { readonly name: 'done'; readonly result: Result };

export interface Present {
  readonly presence: number;
  readonly uid: string;
}

/** What the last screen of a sale says. */
export type Result =
  | {
      readonly kind: 'approved';
      readonly seq: KioskSeq;
      readonly amount: bigint;
      readonly fee: bigint;
      readonly balance: bigint | null;
      /** True when it was decided earlier and is only shown now. */
      readonly late: boolean;
      /** Amount of a new sale that showing this one has ended, or null. */
      readonly ended: bigint | null;
    }
  | Declined;

export interface Declined {
  readonly kind: 'declined';
  readonly seq: KioskSeq;
  readonly amount: bigint;
  readonly reason: Refusal;
  /** True when others were served since. */
  readonly late: boolean;
}

/** A sale closed here whose decision is not known yet. */
export interface Pending {
  readonly seq: KioskSeq;
  readonly amount: bigint;
  /** Null when no card was bound to it. */
  readonly uid: string | null;
  readonly ask: Ask;
  readonly tries: number;
}

/** An approved sale whose green light nobody saw (TRUTH section 4). */
export interface Unshown {
  readonly seq: KioskSeq;
  readonly amount: bigint;
  readonly fee: bigint;
  readonly balance: bigint | null;
  readonly uid: string;
}

export interface Till {
  readonly kiosk: KioskNo;
  readonly phase: Phase;
  readonly online: boolean;
  /**
   * When the link last changed or spoke, on the kiosk's monotonic clock, milliseconds; null before the first
   * contact.
   */
  readonly contactAt: number | null;
  /** False when the hub said that it is leaving. */
  readonly hubOpen: boolean;
  /** What fees are made of; null before the first tariff book. */
  readonly prices: Prices | null;
  readonly beacon: { readonly slot: number; readonly value: string; readonly at: number } | null;
  /** Why the reader cannot be used, or null when it can. */
  readonly readerFault: string | null;
  /** Why the disk cannot be written, or null when it can. */
  readonly diskFault: string | null;
  readonly card: Present | null;
  /** The presence that has had its turn: this card must leave before anything else is asked of it. */
  readonly spent: number | null;
  readonly pending: readonly Pending[];
  readonly unshown: readonly Unshown[];
  /** Sales closed here that were not paid: the trader is told as soon as nobody is being served. */
  readonly untold: readonly Declined[];
  readonly help: boolean;
}

/** What a conversation with the card came to. */
export type Paid =
  | { readonly kind: 'committed'; readonly intent: Intent; readonly certificate: Certificate }
  /** The commit was sent; nothing proven came back. */
  | { readonly kind: 'doubt'; readonly intent: Intent }
  /** A tag proved itself, and the hub has decided. */
  | { readonly kind: 'decided'; readonly uid: string; readonly sealed: Sealed }
  /** A tag was asked to prove itself, and the hub's word on it did not come; `again` if the card left before. */
  | { readonly kind: 'unanswered'; readonly uid: string; readonly again: boolean }
  /** The hub did not begin with this tag. */
  | { readonly kind: 'turned-away'; readonly code: Refusal }
  | CardTrouble;

/** The card did nothing: the commit was never sent, and no hub has decided. */
export type CardTrouble =
  | { readonly kind: 'torn' | 'stopped' | 'foreign' | 'wrong-key' | 'delay' | 'no-key' | 'refused' }
  | { readonly kind: 'disk'; readonly why: string };

export type Looked = { readonly kind: 'seen'; readonly sight: Sight } | CardTrouble;

/** A sale found on disk at the start. */
export interface Recovered {
  readonly seq: KioskSeq;
  readonly amount: bigint;
  readonly uid: string | null;
  readonly ask: Ask;
}

/** The hub's answer as it is kept: receipt and the hub's MAC over it. */
export interface Sealed {
  readonly receipt: Receipt;
  readonly mac: string;
}

export type PanelKey = '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '9' | 'enter' | 'cancel' | 'back' | 'help';

/** Names of the till's timers; retries of closed sales carry the seq. */
export type TimerId = 'tick' | 'key' | 'slow' | 'doubt' | 'shown' | 'forgotten' | 'retry' | `ask ${number}`;

export type TillEvent =
  | { readonly type: 'booted'; readonly recovered: readonly Recovered[]; readonly unshown: readonly Unshown[] }
  | { readonly type: 'pressed'; readonly key: PanelKey }
  | { readonly type: 'reader-ready' }
  | { readonly type: 'reader-fault'; readonly why: string }
  | { readonly type: 'card'; readonly presence: number; readonly uid: string }
  | { readonly type: 'gone'; readonly presence: number }
  | { readonly type: 'minted'; readonly seq: KioskSeq }
  | {
      readonly type: 'card-key';
      readonly uid: string;
      readonly state: 'held' | 'stopped' | Refusal;
      /** Cooperative of the card, with its key. */
      readonly issuer?: string;
    }
  /** A tariff book is on the disk. */
  | { readonly type: 'prices'; readonly prices: Prices }
  | { readonly type: 'paid'; readonly seq: KioskSeq; readonly presence: number; readonly paid: Paid }
  | { readonly type: 'looked'; readonly seq: KioskSeq; readonly presence: number; readonly looked: Looked }
  | { readonly type: 'receipt'; readonly sealed: Sealed }
  | { readonly type: 'answer'; readonly ask: Ask; readonly sealed: Sealed; readonly voided: boolean }
  /** The hub could not decide: `about` is the request or the question it could not take. */
  | { readonly type: 'refused'; readonly seq: KioskSeq; readonly about: 'purchase' | Ask; readonly code: Refusal }
  | { readonly type: 'link'; readonly online: boolean }
  | { readonly type: 'hub'; readonly open: boolean }
  | { readonly type: 'beacon'; readonly slot: number; readonly value: string }
  | { readonly type: 'timer'; readonly id: TimerId }
  /** The disk refused a write (`why`), or takes writes again (null). */
  | { readonly type: 'disk'; readonly why: string | null };

export type Effect =
  /** Takes the next seq and puts it on disk; answered by `minted`. */
  | { readonly type: 'mint'; readonly amount: bigint; readonly mode: Mode }
  /** Ends a sale that no card can have committed: nothing was sent and nobody need be asked. */
  | { readonly type: 'drop'; readonly seq: KioskSeq }
  /** Finds or fetches key 1 of a card; answered by `card-key`. */
  | { readonly type: 'fetch-key'; readonly card: Present }
  /** The card does not take the key that is held. */
  | { readonly type: 'forget-key'; readonly uid: string }
  | {
      readonly type: 'pay';
      readonly sale: Sale;
      readonly card: Present;
      readonly slot: number;
      /** Value of the beacon, 4 bytes as hex. */
      readonly beacon: string;
    }
  | { readonly type: 'look'; readonly seq: KioskSeq; readonly card: Present }
  /** Puts the request on disk. */
  | { readonly type: 'save'; readonly seq: KioskSeq; readonly body: PurchaseRequest }
  | { readonly type: 'send'; readonly body: PurchaseRequest }
  /** Puts on disk that the sale is closed here and how it is asked about. */
  | { readonly type: 'close'; readonly seq: KioskSeq; readonly ask: Ask }
  | { readonly type: 'ask'; readonly seq: KioskSeq; readonly ask: Ask }
  /** Keeps the final answer; the sale is finished. */
  | { readonly type: 'keep'; readonly seq: KioskSeq; readonly sealed: Sealed; readonly voided: boolean }
  /** Journals that the green light was shown. */
  | { readonly type: 'green'; readonly seq: KioskSeq }
  | { readonly type: 'timer'; readonly id: TimerId; readonly afterMs: number }
  | { readonly type: 'stop'; readonly id: TimerId }
  /** Tries a write, when an earlier one failed. */
  | { readonly type: 'probe' }
  | { readonly type: 'log'; readonly what: string; readonly detail: string };

export interface Step {
  readonly till: Till;
  readonly effects: readonly Effect[];
}

/** The reader has not spoken yet: no fault, only a beginning. */
export const READER_STARTING = 'starting';

/** A till before its disk was read. */
export function newTill(kiosk: KioskNo): Till {
  return {
    kiosk,
    phase: { name: 'booting' },
    online: false,
    contactAt: null,
    hubOpen: true,
    prices: null,
    beacon: null,
    readerFault: READER_STARTING,
    diskFault: null,
    card: null,
    spent: null,
    pending: [],
    unshown: [],
    untold: [],
    help: false,
  };
}
