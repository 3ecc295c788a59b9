/** The registry's port: cooperatives, members, cards, outlets, kiosks, tariffs, licences; read from memory. */
import type { KioskRole } from '../../protocol/enrolment.ts';
import type { CardUid, CooperativeId, KioskName, KioskNo, MemberId, OutletId } from '../../protocol/ids.ts';
import type { Tariff } from '../../protocol/tariffs.ts';
import type { CardStatus } from '../rules/lifecycle.ts';
import type { Payee, Takings } from '../rules/payees.ts';
import type { CardStock } from './cardstock.ts';
import type { DisputeNotes } from './disputenotes.ts';
import type { Drains } from './drains.ts';
import type { Incentives } from './incentives.ts';
import type { Licences } from './licences.ts';
import type { LimitBook } from './limits.ts';
import type { TariffBooks } from './tariffbooks.ts';

export interface Cooperative {
  readonly id: CooperativeId;
  readonly name: string;
  /** Most that its positions may sum to: what it may owe the others before settlement, in rupiah. */
  readonly netDebitCap: bigint;
  /** Basis points of the cap at which its officers are warned; CAP_ALERT where left out. */
  readonly capAlert?: number;
}

export interface Member {
  readonly id: MemberId;
  readonly cooperative: CooperativeId;
  readonly name: string;
}

export interface Card {
  readonly uid: CardUid;
  /** Printed on the card. */
  readonly number: string;
  readonly issuer: CooperativeId;
  readonly member: MemberId;
  /** Version of key 1 on the card. */
  readonly keyVersion: number;
  readonly tmacKeyVersion: number;
  readonly status: CardStatus;
  /** How the hub marked the card's first records; null for a card that was made elsewhere. */
  readonly made: Making | null;
}

/** What stays fixed from the first try to personalise a card to the last. */
export interface Making {
  /** First of four seqs under the hub's own number. */
  readonly seq: number;
  /** Beacon slot of the records. */
  readonly slot: number;
  /** Hub time when the chip was bound to its member, milliseconds since 1970 UTC. */
  readonly at: number;
}

export interface Outlet {
  readonly id: OutletId;
  readonly cooperative: CooperativeId;
  readonly name: string;
  /** What tariffs may tell outlets apart by: `micro`, `retail`, `counter`, `biller`, or another short name. */
  readonly class: string;
  readonly open: boolean;
  /** The member it belongs to; left out: the cooperative itself. */
  readonly owner?: MemberId;
  /** Who earns what it takes; left out: the outlet earns it all. */
  readonly payees?: readonly Payee[];
}

export interface Kiosk {
  readonly no: KioskNo;
  readonly name: KioskName;
  readonly outlet: OutletId;
  /** Serial number of its certificate, lower-case hex; a connection with another is refused. */
  readonly serial: string;
  /** Public sealing key (P-256 point, 65 bytes): card keys are sealed to it. */
  readonly sealingKey: Uint8Array;
  /** Witness key, wrapped by the vault. */
  readonly witness: Uint8Array;
  readonly role: KioskRole;
  /** Whether it may hold the debit masters, and so read cards without the hub (TRUTH section 14). */
  readonly offline: boolean;
  readonly revoked: boolean;
}

export interface Registry extends CardStock, DisputeNotes, Drains, Incentives, Licences, LimitBook, TariffBooks {
  cooperatives(): readonly Cooperative[];
  cooperative(id: CooperativeId): Cooperative | undefined;
  member(id: MemberId): Member | undefined;
  members(): readonly Member[];
  cards(): readonly Card[];
  card(uid: CardUid): Card | undefined;
  cardByNumber(number: string): Card | undefined;
  /** Every card a member ever had. */
  cardsOf(member: MemberId): readonly Card[];
  outlet(id: OutletId): Outlet | undefined;
  /** Takings that an outlet of the cooperative holds or names, and whose they are; looks through all outlets. */
  takings(cooperative: CooperativeId, name: string): Takings | null;
  /** The kiosk that holds this name now; earlier enrolments of the name are found by number only. */
  kiosk(name: KioskName): Kiosk | undefined;
  kioskByNo(no: KioskNo): Kiosk | undefined;
  kiosks(): readonly Kiosk[];
  tariffs(): readonly Tariff[];
  putCooperative(cooperative: Cooperative): void;
  putMember(member: Member): void;
  /** @throws RangeError if its status cannot follow the one it had, Error if another process has just changed that. */
  putCard(card: Card): void;
  /** Cards whose status or counter key the ledger was not told of yet. */
  untold(): readonly Card[];
  /** The ledger has it on its disk. */
  told(card: Card): void;
  /** @throws RangeError if those it names as owner and payees cannot be. */
  putOutlet(outlet: Outlet): void;
  /** @throws RangeError if the tariff cannot price payments, Error if its version is taken. */
  putTariff(tariff: Tariff): void;
  /**
   * Adds tariffs that two officers decided on, all or none, under the next versions.
   * @param at hub time, milliseconds since 1970 UTC.
   * @throws RangeError if one cannot price payments.
   */
  addTariffs(terms: readonly Omit<Tariff, 'version'>[], officers: readonly string[], at: number): readonly Tariff[];
  /** Who added a tariff and when, milliseconds since 1970 UTC; null for one of the town's first. */
  tariffAdded(version: number): { readonly officers: readonly string[]; readonly at: number } | null;
  /**
   * Takes the next kiosk number, never given before, and stores the kiosk under it; the name moves to the new
   * number.
   */
  enrol(kiosk: Omit<Kiosk, 'no' | 'revoked'>): Kiosk;
  revoke(no: KioskNo): void;
  /**
   * Reads again what another process (`simpul-hub sign`) has written since; true if there was anything. Cheap
   * when not.
   */
  refresh(): boolean;
  close(): void;
}
