/** The tariff books' port: every table that was signed for kiosks, and which kiosk holds which since which sale. */
import type { KioskNo } from '../../protocol/ids.ts';
import type { Tariff } from '../../protocol/tariffs.ts';

/** A book as it was signed. */
export interface SignedBook {
  readonly book: number;
  /** Highest version of a tariff when it was made. */
  readonly upto: number;
  /** See `writeBook`. */
  readonly text: string;
  /** Base64. */
  readonly signature: string;
}

/** What a kiosk has on its disk, and so what it shows. */
export interface Shown {
  readonly book: number;
  /** Class of its outlet. */
  readonly class: string;
  /** First sale of the kiosk that these are for. */
  readonly from: number;
  readonly tariffs: readonly Tariff[];
}

export interface TariffBooks {
  /** Any book that was ever signed; answered from memory. */
  tariffBook(book: number): SignedBook | undefined;
  newestTariffBook(): SignedBook | undefined;
  /** @param at hub time, milliseconds since 1970 UTC. @throws Error if its number is not above all others. */
  putTariffBook(book: SignedBook, at: number): void;
  /**
   * What a kiosk showed at a sale: what it last acknowledged for that seq or one before; null if it had acknowledged
   * nothing by then. Answered from memory, and makes nothing.
   */
  shownTariffs(kiosk: KioskNo, seq: number): Shown | null;
  /**
   * Notes what a kiosk holds; on the disk when this returns.
   * @param at hub time, milliseconds since 1970 UTC.
   * @throws Error if it goes behind what the kiosk acknowledged before, or there is no such book.
   */
  acknowledgeTariffs(kiosk: KioskNo, shown: Omit<Shown, 'tariffs'>, at: number): void;
  /** The last acknowledgement of a kiosk. */
  heldTariffs(kiosk: KioskNo): Shown | null;
}
