/** AES-128 as cards use it: CMAC and its truncation, CBC without library padding, and comparison in constant time. */
import { createCipheriv, createDecipheriv, timingSafeEqual } from 'node:crypto';

export const BLOCK = 16;
const ZERO = new Uint8Array(BLOCK);

/**
 * Room for one message while it is worked on, of this room alone. An array above 64 bytes lies outside V8's heap, and
 * making one costs more than the AES or SHA-256 over it. Buffer's shared pool is as quick, but keys pass here.
 */
const scratch = Buffer.allocUnsafeSlow(512);

/**
 * An array of this length with any content, to be filled, used and forgotten before this is called again.
 * @returns the first bytes of the one scratch array where they suffice.
 */
export function borrow(length: number): Buffer {
  return length <= scratch.length ? scratch.subarray(0, length) : Buffer.allocUnsafeSlow(length);
}

/** Doubles in GF(2^128): CMAC's subkey K1 is the double of E(K, 0), K2 that of K1 (RFC 4493 section 2.3). */
export function double(block: Uint8Array): Uint8Array {
  const out = new Uint8Array(BLOCK);
  let carry = 0;
  for (let i = BLOCK - 1; i >= 0; i--) {
    const byte = block[i] ?? 0;
    out[i] = (byte << 1) | carry;
    carry = byte >> 7;
  }
  out[BLOCK - 1] = (out[BLOCK - 1] ?? 0) ^ (carry * 0x87);
  return out;
}

/**
 * The same bytes as a plain Uint8Array: a Buffer's `slice` shares its bytes where every other array's copies them, so
 * none leaves this room.
 */
export function bare(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

/** Xors `from` into `into`, starting at `at`, for as many bytes as `from` has. */
export function xorInto(into: Uint8Array, from: Uint8Array, at = 0): void {
  for (let i = 0; i < from.length; i++) into[at + i] = (into[at + i] ?? 0) ^ (from[i] ?? 0);
}

/**
 * AES-128 CMAC (RFC 4493), 16 bytes.
 *
 * One cipher object a message, because making one costs more than all its blocks: a zero block goes first, and its
 * ciphertext is both E(K, 0), from which the subkeys follow, and CBC's chaining value, undone in the first block.
 */
export function cmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  const whole = message.length > 0 && message.length % BLOCK === 0;
  const padded = borrow(whole ? message.length : message.length + BLOCK - (message.length % BLOCK));
  padded.set(message);
  if (!whole) padded.fill(0, message.length)[message.length] = 0x80;
  const cipher = createCipheriv('aes-128-cbc', key, ZERO);
  const zero = cipher.update(ZERO);
  const k1 = double(zero);
  xorInto(padded, whole ? k1 : double(k1), padded.length - BLOCK);
  xorInto(padded, zero);
  return bare(cipher.update(padded).subarray(-BLOCK));
}

/** The 8 bytes of a CMAC that cards send: those at odd places (CARDS section 2). */
export function truncate(mac: Uint8Array): Uint8Array {
  const out = new Uint8Array(8);
  for (let i = 0; i < 8; i++) out[i] = mac[2 * i + 1] ?? 0;
  return out;
}

/** AES-128-CBC over whole blocks, no padding added. */
export function encrypt(key: Uint8Array, iv: Uint8Array, blocks: Uint8Array): Uint8Array {
  mustBeWhole(blocks);
  return bare(createCipheriv('aes-128-cbc', key, iv).update(blocks));
}

/** Undoes `encrypt`; padding, where there is any, is left in place. */
export function decrypt(key: Uint8Array, iv: Uint8Array, blocks: Uint8Array): Uint8Array {
  mustBeWhole(blocks);
  return bare(createDecipheriv('aes-128-cbc', key, iv).setAutoPadding(false).update(blocks));
}

/** ISO/IEC 9797-1 padding method 2: 80 00…, always added, a whole block when the data are aligned. */
export function pad2(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(data.length + BLOCK - (data.length % BLOCK));
  out.set(data);
  out[data.length] = 0x80;
  return out;
}

/** Removes what `pad2` added. @returns null if there is no such padding. */
export function unpad2(padded: Uint8Array): Uint8Array | null {
  let end = padded.length - 1;
  while (end >= 0 && padded[end] === 0) end--;
  return end >= 0 && padded[end] === 0x80 && padded.length - end <= BLOCK ? padded.subarray(0, end) : null;
}

/** Compares in time that depends on the lengths only. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function mustBeWhole(blocks: Uint8Array): void {
  if (blocks.length % BLOCK !== 0) throw new RangeError(`${blocks.length} bytes are not whole AES blocks`);
}
