/** SUN: what a phone read from an NTAG 424 or EV3 without any kiosk, opened and verified (CARDS section 7). */
import { BLOCK, cmac, decrypt, encrypt, equal, truncate } from './aes.ts';
import { little } from './commands.ts';

const ZERO = new Uint8Array(BLOCK);
/** UID mirrored, counter mirrored, UID of 7 bytes: the only PICCData our cards are set up to give. */
const PICC_DATA_TAG = 0xc7;
const UID_LENGTH = 7;
const COUNTER_LENGTH = 3;
/** A URL that a tag gives is no longer than its NDEF file, 256 bytes. */
const MAC_INPUT_MAX = 256;

/** What a tag says of itself. */
export interface SunTap {
  /** 7 bytes. */
  readonly uid: Uint8Array;
  /** SDMReadCtr: how often the tag was read, below 2^24. */
  readonly counter: number;
}

/** The keys of one read of a tag, 16 bytes each. */
export interface SunKeys {
  /** SesSDMFileReadENCKey: hides file data. */
  readonly encKey: Uint8Array;
  /** SesSDMFileReadMACKey: proves the tag. */
  readonly macKey: Uint8Array;
}

/** What a phone sent: the parts of the URL that it read from the tag. */
export interface SunParts {
  /** PICCENCData: 32 hex digits. */
  readonly encPicc: string;
  /** What the MAC is over: the file from SDMMACInputOffset up to SDMMACOffset, every character as it was received. */
  readonly macInput: string;
  /** SDMMAC: 16 hex digits. */
  readonly mac: string;
  /** SDMENCFileData, if the tag mirrors any: hex of whole blocks, at the very start of `macInput`. */
  readonly encFile?: string;
}

/** `file` is the enciphered file data opened, its padding left in place; null if none were sent. */
export type SunReading =
  | { readonly ok: true; readonly tap: SunTap; readonly file: Uint8Array | null }
  | { readonly ok: false; readonly why: 'malformed' | 'unknown-card' | 'wrong-mac' };

/**
 * Opens enciphered PICCData. The meta key is common to all cards, so this proves nothing: only the MAC does.
 * @param metaKey SDMMetaReadKey, 16 bytes
 * @param encPicc 16 bytes
 * @returns null for another length, or any tag byte but C7.
 */
export function openPiccData(metaKey: Uint8Array, encPicc: Uint8Array): SunTap | null {
  if (encPicc.length !== BLOCK) return null;
  const plain = decrypt(metaKey, ZERO, encPicc);
  if (plain[0] !== PICC_DATA_TAG) return null;
  const [low = 0, middle = 0, high = 0] = plain.subarray(1 + UID_LENGTH);
  return { uid: plain.slice(1, 1 + UID_LENGTH), counter: low | (middle << 8) | (high << 16) };
}

/**
 * Session keys of one read of the tag.
 * @param fileKey SDMFileReadKey of this tag, 16 bytes
 * @throws RangeError for a UID that has not 7 bytes.
 */
export function sunKeys(fileKey: Uint8Array, { uid, counter }: SunTap): SunKeys {
  if (uid.length !== UID_LENGTH) throw new RangeError(`a UID has ${UID_LENGTH} bytes, not ${uid.length}`);
  const tail = [0x00, 0x01, 0x00, 0x80, ...uid, ...little(counter, COUNTER_LENGTH)];
  return {
    encKey: cmac(fileKey, Uint8Array.of(0xc3, 0x3c, ...tail)),
    macKey: cmac(fileKey, Uint8Array.of(0x3c, 0xc3, ...tail)),
  };
}

/**
 * Whether the tag made this MAC, compared in constant time.
 * @param macInput the ASCII bytes as received: hex is not re-encoded, for the tag's own case is part of the input
 * @param mac 8 bytes; of any other length it is wrong
 */
export function sunHolds({ macKey }: SunKeys, macInput: Uint8Array, mac: Uint8Array): boolean {
  return equal(truncate(cmac(macKey, macInput)), mac);
}

/** Opens enciphered file data, whole blocks without padding. @throws RangeError for a broken block. */
export function openFileData({ encKey }: SunKeys, counter: number, encFile: Uint8Array): Uint8Array {
  const start = new Uint8Array(BLOCK);
  start.set(little(counter, COUNTER_LENGTH));
  return decrypt(encKey, encrypt(encKey, ZERO, start), encFile);
}

const isHex = (text: string, digits: number) => text.length === digits && /^[0-9A-Fa-f]*$/.test(text);
const unhex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));

/** File data are the whole run of hex digits that the MAC input begins with, so that nobody can cut a piece out. */
function isFileData(encFile: string, macInput: string): boolean {
  return encFile.length > 0 && encFile.length % (2 * BLOCK) === 0 && /^[0-9A-Fa-f]*/.exec(macInput)?.[0] === encFile;
}

/**
 * Reads a tap of a card on a phone.
 *
 * It proves only that the tag was read at some time, by anybody: a URL that was harvested and never opened stays valid.
 * Whoever calls must then accept the counter in one atomic step, only if it is above the highest seen for this UID. And
 * even that opens a page and no more: it pays nothing (TRUTH section 14).
 *
 * @param parts text from anywhere; every length and character is checked here
 * @param metaKey SDMMetaReadKey, 16 bytes
 * @param fileKeyOf SDMFileReadKey of the card with this UID, 16 bytes; null if there is no such card
 * @returns the reason is for the hub's log: a phone that learns it could ask which cards exist.
 */
export function readSun(
  { encPicc, macInput, mac, encFile }: SunParts,
  metaKey: Uint8Array,
  fileKeyOf: (uid: Uint8Array) => Uint8Array | null,
): SunReading {
  const malformed = { ok: false, why: 'malformed' } as const;
  if (!isHex(encPicc, 2 * BLOCK) || !isHex(mac, BLOCK)) return malformed;
  if (macInput.length > MAC_INPUT_MAX || !/^[\x20-\x7e]*$/.test(macInput)) return malformed;
  if (encFile !== undefined && !isFileData(encFile, macInput)) return malformed;
  const tap = openPiccData(metaKey, unhex(encPicc));
  if (tap === null) return malformed;
  const fileKey = fileKeyOf(tap.uid);
  if (fileKey === null) return { ok: false, why: 'unknown-card' };
  const keys = sunKeys(fileKey, tap);
  if (!sunHolds(keys, new Uint8Array(Buffer.from(macInput, 'latin1')), unhex(mac))) {
    return { ok: false, why: 'wrong-mac' };
  }
  return { ok: true, tap, file: encFile === undefined ? null : openFileData(keys, tap.counter, unhex(encFile)) };
}
