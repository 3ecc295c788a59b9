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

/** What every kind of card of ours has: the name that our application is selected by, and five keys. */
export interface Profile {
  readonly kind: 'light' | 'ntag424';
  readonly dfName: Uint8Array;
}

/** MIFARE DESFire Light under its factory DF name. */
export const LIGHT = {
  kind: 'light',
  dfName: Uint8Array.of(0xa0, 0x00, 0x00, 0x03, 0x96, 0x56, 0x43, 0x41, 0x03, 0xf0, 0x15, 0x40, 0x00, 0x00, 0x00, 0x0b),
  files: {
    statement: { no: 0x00, kind: 'standard', access: [0x30, 0x1f], mode: 'mac', size: 256 },
    spare: { no: 0x04, kind: 'standard', access: [0x30, 0x1f], mode: 'mac', size: 256 },
    profile: { no: 0x1f, kind: 'standard', access: [0x30, 0xef], mode: 'plain', size: 32 },
    records: { no: 0x01, kind: 'cyclic', access: [0x30, 0x11], mode: 'full', size: 16 },
    purse: { no: 0x03, kind: 'value', access: [0x30, 0x1f], mode: 'full', size: 4 },
    counter: { no: 0x0f, kind: 'tmac', access: [0x10, 0x1f], mode: 'mac', size: 12 },
  },
} as const satisfies Profile & { files: Record<string, FileLayout> };

/**
 * Numbers of the keys on an NTAG 424. Key 1 pays and is the hub's alone; key 2 makes the MAC that a phone shows and is
 * this card's own; key 3 hides the UID and is common to all cards, for with it the hub learns whose card it is: its
 * leak costs privacy, nothing else (CARDS section 7). Key 4 opens nothing.
 */
export const TAG_KEY_NO = { app: 0, pay: 1, fileRead: 2, metaRead: 3, spare4: 4 } as const;

/** A standard file of an NTAG 424; rights as in `FileLayout`. */
export interface TagFile {
  readonly no: number;
  readonly access: readonly [number, number];
  readonly mode: Protection;
  readonly size: number;
}

/**
 * NTAG 424 DNA under the name of its NFC Forum application. Anybody reads files 01 and 02, as phones must; everything
 * else takes key 0. The factory lets key 3 write file 03, which here all cards share, and anybody write file 02.
 */
export const NTAG = {
  kind: 'ntag424',
  dfName: Uint8Array.of(0xd2, 0x76, 0x00, 0x00, 0x85, 0x01, 0x01),
  files: {
    capabilities: { no: 0x01, access: [0x00, 0xe0], mode: 'plain', size: 32 },
    ndef: { no: 0x02, access: [0x00, 0xe0], mode: 'plain', size: 256 },
    proprietary: { no: 0x03, access: [0x00, 0x00], mode: 'full', size: 128 },
  },
} as const satisfies Profile & { files: Record<string, TagFile> };

/**
 * Number under which the master key of a DESFire EV2 or EV3 itself is derived and journaled: none of our application
 * has it, nor any other master's key.
 */
export const PICC_KEY_NO = 0x10;

/**
 * MIFARE DESFire EV2 and EV3, which leave the factory without an application: ours is made there under the Light's name
 * and with the Light's files, so that whoever converses with a Light converses with them too. Only its making differs.
 */
export const EV = {
  /** Number of the application, and its file id DF01 as on a Light, as they are sent: last byte first. */
  aid: Uint8Array.of(0x50, 0x4d, 0x53),
  isoId: Uint8Array.of(0x01, 0xdf),
  /** Nothing is listed, made or deleted without the master key, which may be changed, and these settings with it. */
  piccSettings: 0x09,
  /** The same of key 0 in our application, except that anybody may list; key 0 changes all keys (TRUTH section 14). */
  settings: 0x0b,
  /** Five keys, AES; files have ids of ISO 7816 too. */
  keys: 0xa5,
  /** Slots of the record file as on a Light: one is always the one being written. */
  recordSlots: 5,
} as const;

/** Each transaction reads this many of the card's last records into its certificate. */
export const RECORDS_READ = 4;
