/** A false maker of DESFire EV2 and EV3: signs UIDs under a key of its own, for no real signature is published. */
import { createECDH } from 'node:crypto';

/** Order of secp224r1 (SEC 2, 2.6.2). */
const ORDER = BigInt('0xffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3d');
const BYTES = 28;

export interface Maker {
  /** Uncompressed point as hex. */
  readonly publicKey: string;
  /** @returns r ‖ s, 56 bytes, over the UID itself (CARDS section 9). */
  sign(uid: Uint8Array): Uint8Array;
}

const number = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const wide = (value: bigint): Buffer => Buffer.from(value.toString(16).padStart(2 * BYTES, '0'), 'hex');

/** The point that a secret number leads to. */
function point(secret: Uint8Array): Buffer {
  const curve = createECDH('secp224r1');
  curve.setPrivateKey(secret);
  return curve.getPublicKey();
}

/** By Fermat, the order being a prime. */
function inverse(value: bigint): bigint {
  let [power, base] = [1n, value % ORDER];
  for (let rest = ORDER - 2n; rest > 0n; rest >>= 1n) {
    if (rest & 1n) power = (power * base) % ORDER;
    base = (base * base) % ORDER;
  }
  return power;
}

/** @param seed tells makers apart, 1 to 127 */
export function falseMaker(seed: number): Maker {
  const secret = new Uint8Array(BYTES).fill(seed);
  return {
    publicKey: point(secret).toString('hex'),
    sign(uid) {
      // One nonce for all: this maker has no secrets.
      const nonce = new Uint8Array(BYTES).fill(0x5a);
      const r = number(point(nonce).subarray(1, 1 + BYTES)) % ORDER;
      const s = (inverse(number(nonce)) * (number(uid) + r * number(secret))) % ORDER;
      return Uint8Array.from(Buffer.concat([wide(r), wide(s)]));
    },
  };
}
