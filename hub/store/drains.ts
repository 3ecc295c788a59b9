/** The drains' port: what the hub is about to take out of purses, on the disk before the card is told to commit it. */
import type { CardUid } from '../../protocol/ids.ts';

/** One drain as the card was asked for it. */
export interface Drain {
  /** Under the hub's own number; with it the decision's key. */
  readonly seq: number;
  readonly uid: CardUid;
  /** Hub time when the conversation began, milliseconds since 1970 UTC. */
  readonly at: number;
  /** All that the purse held, in rupiah; may be 0. */
  readonly amount: bigint;
  /** What the card was asked to certify; all of it but the amount. */
  readonly evidence: Uint8Array;
  /** `proven`: its certificate was seen, and the ledger may not have it yet. */
  readonly state: 'open' | 'proven';
}

export interface Drains {
  /** The next seq under the hub's own number, never given before. */
  takeHubSeq(): number;
  /** Notes a drain, open; on the disk when this returns, and so before its commit is sent (TRUTH section 4). */
  putDrain(drain: Omit<Drain, 'state'>): void;
  /** Drains of a card that are not settled, oldest first; answered from memory. */
  drainsOf(uid: CardUid): readonly Drain[];
  /** What the card has shown: these drains were committed, and those were not; all at once. */
  judgeDrains(uid: CardUid, judged: { readonly proven: readonly number[]; readonly void: readonly number[] }): void;
  /**
   * The ledger has a proven drain on its disk; done twice, the second time changes nothing.
   * @param ended whether the card was replaced or retired by then
   */
  bookDrain(uid: CardUid, seq: number, ended: boolean): void;
  /** What came back from a card once it had ended, in rupiah. */
  returnedSinceEnd(uid: CardUid): bigint;
}
