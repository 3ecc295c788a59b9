/** The card stock's port: chips from the box, every change of their keys, and the cards that are to be made. */
import type { CardUid, CooperativeId, MemberId } from '../../protocol/ids.ts';
import type { Card, Member } from './registry.ts';

export type Profile = 'desfire-light' | 'desfire-ev' | 'ntag424';

/** A chip that was laid on the vault's reader. It is never forgotten: a second one of its UID is a copy. */
export interface Chip {
  readonly uid: CardUid;
  readonly profile: Profile;
  /** Version of key 0 that it last proved; 0 while it never proved one of ours. */
  readonly keyVersion: number;
}

/** An intended change of one key. Until the card has shown which it holds, both versions count (TRUTH section 14). */
export interface KeyChange {
  readonly uid: CardUid;
  /** 0 to 4, TMAC_KEY_NO for the counter file's key, or PICC_KEY_NO for the master key of an EV2 or EV3. */
  readonly no: number;
  readonly from: number;
  readonly to: number;
  /** Hub time, milliseconds since 1970 UTC. */
  readonly at: number;
}

/** A card that is to be made for a member; its number is printed and never given again. */
export interface CardOrder {
  readonly number: string;
  readonly member: MemberId;
  /** Name of the list it came with. */
  readonly batch: string;
  readonly at: number;
}

export interface PlacedOrder extends CardOrder {
  /** The chip that became this card; null while none was laid down. */
  readonly uid: CardUid | null;
}

/** Members who are to have a card each. */
export interface CardList {
  readonly members: readonly Member[];
  /** Name of the list. */
  readonly batch: string;
  /** Hub time, milliseconds since 1970 UTC. */
  readonly at: number;
  /** Draws a card number; asked again when that one was given before. */
  readonly draw: () => string;
  /** Judges only. */
  readonly dry: boolean;
}

/** What a list means for one of its members. */
export type Fate =
  | { readonly kind: 'ordered'; readonly registered: boolean }
  /** Of a card that may still pay, or of an order without a chip. */
  | { readonly kind: 'has-card' | 'waits'; readonly number: string }
  | { readonly kind: 'no-cooperative' }
  | { readonly kind: 'differs'; readonly known: Member };

/** What a new card is made with. */
export interface Binding {
  readonly uid: CardUid;
  readonly keyVersion: number;
  /** Version of the counter file's key by issuer. */
  readonly tmacKeyVersions: ReadonlyMap<CooperativeId, number>;
  /** Beacon slot of its first records. */
  readonly slot: number;
  readonly at: number;
}

/** A reading of a tag by a phone, proven by its MAC (CARDS section 7). */
export interface Reading {
  readonly uid: CardUid;
  /** Of the key that made its MAC: the tag counts anew under each. */
  readonly keyVersion: number;
  /** SDMReadCtr, below 2^24. */
  readonly counter: number;
}

export interface CardStock {
  chip(uid: CardUid): Chip | undefined;
  chips(): { readonly blank: number; readonly prepared: number };
  putChip(chip: Chip): void;
  /**
   * Notes a change; on the disk when this returns, and so before it is sent to the card.
   * @throws if the chip is unknown, or a version of the counter file's key was given to it before (TRUTH section 8).
   */
  journalKey(change: KeyChange): void;
  /** Changes that the card has not proven yet, oldest first. */
  openChanges(uid: CardUid): readonly KeyChange[];
  /** Every change ever intended for a card, oldest first. */
  keyHistory(uid: CardUid): readonly (KeyChange & { readonly proven: boolean })[];
  /** The card proved its keys 0 to 4 at this version: closes its open changes and notes the version. */
  proveKeys(uid: CardUid, version: number): void;
  /**
   * Takes a reading if its counter is above every one taken of this tag and key version, in one atomic step for all
   * processes; false if not. @throws if the chip is unknown.
   */
  takeReading(reading: Reading): boolean;
  /**
   * Orders a card for each member of a list who neither has one nor waits for one, and registers those who are new; in
   * one transaction that sees what other processes wrote until now, so that nobody is ordered two. Nothing is written
   * if one of them is `no-cooperative` or `differs`.
   * @returns a fate for each member, in their order. @throws if all numbers that are drawn were given before.
   */
  orderCards(list: CardList): readonly Fate[];
  /**
   * Writes that a card has ended, and orders another for its member, both or neither.
   * @returns the order; the one that waits already, if there is one. @throws as `putCard` and `orderCards` do.
   */
  redoCard(ended: Card, how: Pick<CardList, 'at' | 'draw'>): PlacedOrder;
  /** Places orders, all or none. @throws if a number was given before, a member is unknown or waits for one already. */
  placeOrders(orders: readonly CardOrder[]): void;
  /** Orders of a list, or of all lists, in the order in which they were placed. */
  orders(batch?: string): readonly PlacedOrder[];
  /** Takes back an order that has no chip yet; false if it has one, or there is none. */
  withdrawOrder(number: string): boolean;
  /**
   * Binds a prepared chip to the oldest order that waits: from here on it is this member's card, `personalising`.
   * @returns null when nothing waits. @throws if the chip is a card already, or is not prepared, or if no version is
   * known for the issuer.
   */
  bindCard(binding: Binding): Card | null;
}
