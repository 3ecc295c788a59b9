/** A maker of chips, with a key of its own in place of the real one's: signs UIDs as CARDS section 9 says. */
import { createECDH, randomBytes } from 'node:crypto';

export interface Maker {
  /** Uncompressed point as hex. */
  readonly publicKey: string;
  /** r ‖ s, 56 bytes: ECDSA over secp224r1 with the UID itself as the digest. */
  sign(uid: Uint8Array): Uint8Array;
}

const CURVE = 'secp224r1';
/** Order of its group (SEC 2). */
const N = 0xffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3dn;
const BYTES = 28;

const number = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const spelled = (value: bigint) => Buffer.from(value.toString(16).padStart(2 * BYTES, '0'), 'hex');
const mod = (value: bigint) => ((value % N) + N) % N;

/** Euclid's algorithm, extended. */
function inverse(value: bigint): bigint {
  let [a, b, x, y] = [mod(value), N, 1n, 0n];
  while (a > 1n) {
    const q = b / a;
    [a, b, x, y] = [b % a, a, y - q * x, x];
  }
  return mod(x);
}

/** A secret number and its point, x ‖ y behind one byte. */
function pair(): { readonly secret: bigint; readonly point: Buffer } {
  const curve = createECDH(CURVE);
  const point = curve.generateKeys();
  return { secret: number(curve.getPrivateKey()), point };
}

export function makeMaker(): Maker {
  const { secret, point } = pair();
  return {
    publicKey: point.toString('hex'),
    sign(uid) {
      const once = pair();
      const r = mod(number(once.point.subarray(1, 1 + BYTES)));
      const s = mod(inverse(once.secret) * (number(uid) + r * secret));
      return Uint8Array.from(Buffer.concat([spelled(r), spelled(s)]));
    },
  };
}

/** A UID that no chip of this run has yet, as this maker numbers them. */
export const newUid = (): Uint8Array => Uint8Array.of(0x04, ...randomBytes(6));
