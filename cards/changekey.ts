/** The plain data of ChangeKey (CARDS section 3.7). */
import { xorInto } from './aes.ts';
import { little } from './commands.ts';

/** CRC-32 as cards want it: IEEE, reflected, without the final xor (JAMCRC), 4 bytes little-endian. */
export function crc32(data: Uint8Array): Uint8Array {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return little(crc >>> 0, 4);
}

/**
 * Data of ChangeKey.
 * @param oldKey the key now in that place, or null when it is the one the session was authenticated with
 */
export function changeKeyData(newKey: Uint8Array, version: number, oldKey: Uint8Array | null): Uint8Array {
  if (oldKey === null) return Uint8Array.of(...newKey, version);
  const mixed = newKey.slice();
  xorInto(mixed, oldKey);
  return Uint8Array.of(...mixed, version, ...crc32(newKey));
}
