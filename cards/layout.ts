/** Our application on each card profile: name, keys, files, access rights (TRUTH section 14). */
import type { Protection } from './session.ts';

/** Numbers of the keys on the card, by purpose. Keys 2 and 4 open nothing and are random per card. */
export const KEY_NO = { app: 0, debit: 1, spare2: 2, credit: 3, spare4: 4 } as const;

interface FileLayout {
  readonly no: number;
  readonly kind: 'standard' | 'cyclic' | 'value' | 'tmac';
  /** Access rights on the wire: ReadWrite‖Change, Read‖Write; nibble E is free, F is never (CARDS section 3.6). */
  readonly access: readonly [number, number];
  readonly mode: Protection;
  /** Bytes of the whole file, or of one record, value, or TMC ‖ TMV. */
  readonly size: number;
}

/** MIFARE DESFire Light under its factory DF name. */
export const LIGHT = {
  dfName: Uint8Array.of(0xa0, 0x00, 0x00, 0x03, 0x96, 0x56, 0x43, 0x41, 0x03, 0xf0, 0x15, 0x40, 0x00, 0x00, 0x00, 0x0b),
  files: {
    statement: { no: 0x00, kind: 'standard', access: [0x30, 0x1f], mode: 'mac', size: 256 },
    spare: { no: 0x04, kind: 'standard', access: [0x30, 0x1f], mode: 'mac', size: 256 },
    profile: { no: 0x1f, kind: 'standard', access: [0x30, 0xef], mode: 'plain', size: 32 },
    records: { no: 0x01, kind: 'cyclic', access: [0x30, 0x11], mode: 'full', size: 16 },
    purse: { no: 0x03, kind: 'value', access: [0x30, 0x1f], mode: 'full', size: 4 },
    counter: { no: 0x0f, kind: 'tmac', access: [0x10, 0x1f], mode: 'mac', size: 12 },
  },
} as const satisfies { dfName: Uint8Array; files: Record<string, FileLayout> };

/** Each transaction reads this many of the card's last records into its certificate. */
export const RECORDS_READ = 4;
