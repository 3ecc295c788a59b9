/** The card statement: what the hub signs about a card in its file 00, for kiosks without a signal (TRUTH 14). */
import { RECORD_EPOCH_MINUTES } from './status.ts';

export interface CardStatement {
  /** 14 hex digits. */
  readonly uid: string;
  /** Printed on the card, 4 to 19 digits. */
  readonly number: string;
  /** Issuing cooperative, at most 16 ASCII letters. */
  readonly issuer: string;
  /** Version of the counter file's key, which claims must name. */
  readonly tmacKeyVersion: number;
  /** Most that the purse may hold, in rupiah. */
  readonly ceiling: number;
  /** Minutes since 2020-01-01 UTC at which the card is no longer served offline. */
  readonly expires: number;
}

const VERSION = 1;
const AT = { uid: 1, number: 8, issuer: 28, tmac: 44, ceiling: 45, expires: 49 } as const;
/**
 * Bytes that are signed: version 1 ‖ UID 7 ‖ number 20 ‖ issuer 16 ‖ counter key 1 ‖ ceiling 4 ‖
 * expiry 4.
 */
export const STATEMENT_BYTES = 53;

/** Ed25519 (RFC 8032 section 5.1.6). */
export const SIGNATURE_BYTES = 64;

/** What is signed along with the statement, so that the key's signature over anything else is none over this. */
export const STATEMENT_CONTEXT = 'simpul-1 card statement';

/** Minutes of a record for a time, milliseconds since 1970 UTC. */
export const minuteOf = (ms: number): number => Math.floor(ms / 60_000) - RECORD_EPOCH_MINUTES;

function put(bytes: Uint8Array, at: number, length: number, text: string): void {
  if (text.length > length) throw new RangeError(`${text} is longer than ${length}`);
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index);
}

function text(bytes: Uint8Array, at: number, length: number): string {
  let out = '';
  for (const code of bytes.subarray(at, at + length)) {
    if (code === 0) break;
    out += String.fromCharCode(code);
  }
  return out;
}

/** Writes a statement, numbers big-endian. @throws RangeError for what does not fit. */
export function writeStatement(statement: CardStatement): Uint8Array {
  const { uid, number, issuer, tmacKeyVersion, ceiling, expires } = statement;
  const bytes = new Uint8Array(STATEMENT_BYTES);
  const view = new DataView(bytes.buffer);
  bytes[0] = VERSION;
  if (!/^[0-9a-f]{14}$/.test(uid)) throw new RangeError(`no UID: ${uid}`);
  for (let at = 0; at < 7; at++) bytes[AT.uid + at] = Number.parseInt(uid.slice(2 * at, 2 * at + 2), 16);
  put(bytes, AT.number, AT.issuer - AT.number, number);
  put(bytes, AT.issuer, AT.tmac - AT.issuer, issuer);
  view.setUint8(AT.tmac, tmacKeyVersion);
  view.setUint32(AT.ceiling, ceiling);
  view.setUint32(AT.expires, expires);
  return bytes;
}

/** Reads a statement; its signature must have been checked. @returns null for another version or form. */
export function readStatement(bytes: Uint8Array): CardStatement | null {
  if (bytes.length !== STATEMENT_BYTES || bytes[0] !== VERSION) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const uid = [...bytes.subarray(AT.uid, AT.number)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const number = text(bytes, AT.number, AT.issuer - AT.number);
  const issuer = text(bytes, AT.issuer, AT.tmac - AT.issuer);
  if (!/^[0-9]{4,19}$/.test(number) || !/^[a-z][a-z0-9-]*$/.test(issuer)) return null;
  const [ceiling, expires] = [view.getUint32(AT.ceiling), view.getUint32(AT.expires)];
  return { uid, number, issuer, tmacKeyVersion: view.getUint8(AT.tmac), ceiling, expires };
}
