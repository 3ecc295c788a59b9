/** HMAC-SHA-256 by two plain hashes: no stream object, and no array outside of V8's heap. */
import { hash } from 'node:crypto';
import { bare, borrow } from './aes.ts';

const BLOCK = 64;
const DIGEST = 32;

/** The hash of the key's block, each byte against the pad, with the message behind it; as latin-1 text. */
function padded(key: Uint8Array, pad: number, length: number, write: (input: Buffer) => void): string {
  const input = borrow(BLOCK + length);
  input.fill(pad, key.length, BLOCK);
  for (let at = 0; at < key.length; at++) input[at] = (key[at] ?? 0) ^ pad;
  write(input);
  return hash('sha256', input, 'binary');
}

/**
 * HMAC-SHA-256 (RFC 2104), 32 bytes.
 * @param key at most 64 bytes; all of ours have 32.
 * @throws RangeError for a longer key.
 */
export function hmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  if (key.length > BLOCK) throw new RangeError(`an HMAC key of ${key.length} bytes`);
  const inner = padded(key, 0x36, message.length, (input) => input.set(message, BLOCK));
  const outer = padded(key, 0x5c, DIGEST, (input) => input.write(inner, BLOCK, 'latin1'));
  return bare(Buffer.from(outer, 'latin1'));
}
