/** The part of nfc-pcsc 0.8.1 that the kiosk uses; the package has no types of its own. */
declare module 'nfc-pcsc' {
  import type { EventEmitter } from 'node:events';

  /** What PC/SC says of a reader: bits of SCARD_READERSTATE (pcsclite.h). */
  interface PcscReader extends EventEmitter {
    readonly SCARD_STATE_PRESENT: number;
    on(event: 'status', listener: (status: { readonly state: number }) => void): this;
  }

  export interface Reader extends EventEmitter {
    readonly name: string;
    readonly reader: PcscReader;
    autoProcessing: boolean;
    /** Throws when no card is connected; rejects when PC/SC does; resolves empty when a virtual card was torn. */
    transmit(command: Buffer, responseBytesMax: number): Promise<Buffer>;
    close(): void;
    on(event: 'card', listener: (card: { readonly atr?: Buffer }) => void): this;
    on(event: 'card.off' | 'end', listener: () => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
  }

  export class NFC extends EventEmitter {
    on(event: 'reader', listener: (reader: Reader) => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
    close(): void;
  }
}
