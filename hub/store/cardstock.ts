/** The card stock's port: chips from the box, every change of their keys, and the cards that are to be made. */
import type { CardUid, CooperativeId, MemberId } from '../../protocol/ids.ts';
import type { Card } from './registry.ts';

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
  /** Places orders, all or none. @throws if a number was given before or a member is unknown. */
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
