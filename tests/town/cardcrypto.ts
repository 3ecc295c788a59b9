/** The emulated card's own arithmetic: only AES and CMAC are shared, so that no error can hide in card and reader. */
import { cmac, decrypt, encrypt } from '../../cards/aes.ts';

const ZEROS = new Uint8Array(16);

export function concat(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const out: number[] = [];
  for (const part of parts) out.push(...part);
  return Uint8Array.from(out);
}

export function lsb(value: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => Math.floor(value / 256 ** i) % 256);
}

export function fromLsb(bytes: Uint8Array): number {
  return bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Bytes 1, 3, 5 … 15 of the CMAC. */
export function shortMac(key: Uint8Array, message: Uint8Array): Uint8Array {
  return cmac(key, message).filter((_, i) => i % 2 === 1);
}

export const sealZeroIv = (key: Uint8Array, plain: Uint8Array): Uint8Array => encrypt(key, ZEROS, plain);
export const openZeroIv = (key: Uint8Array, cipher: Uint8Array): Uint8Array => decrypt(key, ZEROS, cipher);

export const turned = (bytes: Uint8Array): Uint8Array => concat(bytes.subarray(1), bytes.subarray(0, 1));

/** What the card keeps of one authenticated session. */
export interface CardSession {
  readonly keyNo: number;
  readonly enc: Uint8Array;
  readonly mac: Uint8Array;
  readonly ti: Uint8Array;
  ctr: number;
}

/** CARDS section 3.3: both vectors share their last 26 bytes. */
export function cardSessionKeys(key: Uint8Array, a: Uint8Array, b: Uint8Array): { enc: Uint8Array; mac: Uint8Array } {
  const mixed = [2, 3, 4, 5, 6, 7].map((i) => (a[i] ?? 0) ^ (b[i - 2] ?? 0));
  const shared = concat([0, 1, 0, 0x80], a.subarray(0, 2), mixed, b.subarray(6, 16), a.subarray(8, 16));
  return { enc: cmac(key, concat([0xa5, 0x5a], shared)), mac: cmac(key, concat([0x5a, 0xa5], shared)) };
}

function ivOf(session: CardSession, label: readonly [number, number], ctr: number): Uint8Array {
  return sealZeroIv(session.enc, concat(label, session.ti, lsb(ctr, 2), new Uint8Array(8)));
}

/** MAC of the command now at hand. */
export function commandMac(session: CardSession, ins: number, body: Uint8Array): Uint8Array {
  return shortMac(session.mac, concat([ins], lsb(session.ctr, 2), session.ti, body));
}

/** Plain data of a command in full mode, or null when they are not whole blocks or not padded. */
export function openCommand(session: CardSession, cipher: Uint8Array): Uint8Array | null {
  if (cipher.length === 0) return cipher;
  if (cipher.length % 16 !== 0) return null;
  const plain = decrypt(session.enc, ivOf(session, [0xa5, 0x5a], session.ctr), cipher);
  const end = plain.lastIndexOf(0x80);
  return end >= 0 && plain.subarray(end + 1).every((byte) => byte === 0) ? plain.subarray(0, end) : null;
}

/** Body of a reply with this second status byte, MAC included; the session's counter has been raised already. */
export function sealReply(session: CardSession, mode: 'mac' | 'full', data: Uint8Array, status = 0): Uint8Array {
  let body = data;
  if (mode === 'full' && data.length > 0) {
    const filled = concat(data, [0x80], new Uint8Array(15 - (data.length % 16)));
    body = encrypt(session.enc, ivOf(session, [0x5a, 0xa5], session.ctr), filled);
  }
  return concat(body, shortMac(session.mac, concat([status], lsb(session.ctr, 2), session.ti, body)));
}

/** CARDS section 4.1, from the counter that this transaction gets. */
export function certificateKeys(key: Uint8Array, uid: Uint8Array, tmc: number): { mac: Uint8Array; enc: Uint8Array } {
  const shared = concat([0, 1, 0, 0x80], lsb(tmc, 4), uid);
  return { mac: cmac(key, concat([0x5a], shared)), enc: cmac(key, concat([0xa5], shared)) };
}
