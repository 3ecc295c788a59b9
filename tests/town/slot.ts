/** A place where an emulated card can be laid, and the reader command that a kiosk opens to see it. */
import type { Duplex } from 'node:stream';
import type { ReaderCommand } from '../../kiosk/reader.ts';

export interface Slot {
  /** For `openReader`. */
  readonly reader: ReaderCommand;
  /**
   * Lays a card down: gives a stream on which the card speaks vpicc (2-byte big-endian length, payload). Destroying the
   * stream takes the card away, also in the middle of a command. One card at a time; a second waits until the first
   * left.
   */
  connect(): Promise<Duplex>;
  close(): Promise<void>;
}
