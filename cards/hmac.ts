/** HMAC-SHA-256 without a stream object: two plain hashes, which leave the collector less to do than `createHmac`. */
import { hash } from 'node:crypto';
import { bare } from './aes.ts';

const BLOCK = 64;
const DIGEST = 32;

/**
 * HMAC-SHA-256 (RFC 2104), 32 bytes.
 * @param key at most 64 bytes; all of ours have 32.
 * @throws RangeError for a longer key.
 */
export function hmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  if (key.length > BLOCK) throw new RangeError(`an HMAC key of ${key.length} bytes`);
  const inner = Buffer.alloc(BLOCK + message.length, 0x36);
  const outer = Buffer.alloc(BLOCK + DIGEST, 0x5c);
  for (let at = 0; at < key.length; at++) {
    const byte = key[at] ?? 0;
    inner[at] = byte ^ 0x36;
    outer[at] = byte ^ 0x5c;
  }
  inner.set(message, BLOCK);
  outer.set(hash('sha256', inner, 'buffer'), BLOCK);
  return bare(hash('sha256', outer, 'buffer'));
}
