/** The card reader as the kiosk sees it: events in, APDUs out; the reader itself lives in a child process. */

export type ReaderEvent =
  | { readonly type: 'ready'; readonly name: string }
  /** A card is in the field. `presence` counts cards; everything about this card names it. */
  | { readonly type: 'card'; readonly presence: number; readonly uid: string; readonly atr: string }
  | { readonly type: 'gone'; readonly presence: number }
  /** The reader cannot be used until the next `ready`; `why` is a sentence for the technician. */
  | { readonly type: 'fault'; readonly why: string };

export interface Reader {
  /** Registers the one listener; events before it are kept and delivered in order. */
  listen(listener: (event: ReaderEvent) => void): void;
  /**
   * Sends one command APDU to the card of this presence.
   * @returns the response with its status word, or an empty array when the card, reader or child was lost: the outcome is
   * then unknown. Never rejects.
   */
  transmit(presence: number, apdu: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}
