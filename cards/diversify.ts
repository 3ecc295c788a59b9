/** Card keys from masters: AN10922 for AES-128, and what Simpul feeds it (CARDS section 8). */
import { createCipheriv } from 'node:crypto';
import { BLOCK, bare, double, xorInto } from './aes.ts';

const INPUT_MAX = 31;
const MARK = 0x01;
const SYSTEM = new TextEncoder().encode('SIMPUL');

/** The key of file 0F has no number on the card; this one stands for it in the diversification input. */
export const TMAC_KEY_NO = 0x0f;

/** Derives the AES-128 key for a diversification input of 1 to 31 bytes. */
export type Diversifier = (input: Uint8Array) => Uint8Array;

/**
 * Prepares one master for many derivations (NXP AN10922 section 2.2).
 *
 * The cipher is made once, because making it costs more than a derivation; CBC's chaining value after each derivation
 * is known (it is the key just derived) and is undone in the next input. The input is always padded to two blocks, a
 * short one too: a plain CMAC would give another key.
 */
export function diversifier(master: Uint8Array): Diversifier {
  const cipher = createCipheriv('aes-128-cbc', master, new Uint8Array(BLOCK));
  let chain: Uint8Array = cipher.update(new Uint8Array(BLOCK));
  const k1 = double(chain);
  const k2 = double(k1);
  return (input) => {
    if (input.length < 1 || input.length > INPUT_MAX)
      throw new RangeError(`diversification input of ${input.length} bytes`);
    const blocks = new Uint8Array(2 * BLOCK);
    blocks[0] = MARK;
    blocks.set(input, 1);
    const short = input.length < INPUT_MAX;
    if (short) blocks[input.length + 1] = 0x80;
    xorInto(blocks, short ? k2 : k1, BLOCK);
    xorInto(blocks, chain);
    chain = bare(cipher.update(blocks).subarray(BLOCK));
    return chain.slice();
  };
}

/**
 * Simpul's diversification input, 15 bytes: UID 7 ‖ key number ‖ key version ‖ "SIMPUL" (CARDS section 8).
 * @param keyNo 0 to 4, or `TMAC_KEY_NO`
 */
export function diversification(uid: Uint8Array, keyNo: number, keyVersion: number): Uint8Array {
  if (uid.length !== 7) throw new RangeError(`a UID has 7 bytes, not ${uid.length}`);
  const out = new Uint8Array(15);
  out.set(uid);
  out[7] = keyNo;
  out[8] = keyVersion;
  out.set(SYSTEM, 9);
  return out;
}
