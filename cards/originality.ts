/** The maker's signature over a card's UID: it tells a genuine card before we give it keys (CARDS section 9). */
import { ecdsa, weierstrass } from '@noble/curves/abstract/weierstrass.js';
import { sha256 } from '@noble/hashes/sha2.js';

/**
 * The maker's public keys by kind of card: uncompressed points of secp224r1 as hex, 04 ‖ X ‖ Y. Real signatures are
 * published for Light and NTAG 424 only: check the other two keys on real cards first.
 */
export const MAKER_KEYS = {
  light:
    '040e98e117aaa36457f43173dc920a8757267f44ce4ec5add3c5407557' +
    '1aebbf7b942a9774a1d94ad02572427e5ae0a2dd36591b1fb34fcf3d',
  ntag424:
    '048a9b380af2ee1b98dc417fecc263f8449c7625cece82d9b916c992da' +
    '209d68422b81ec20b65a66b5102a61596af3379200599316a00a1410',
  ev2:
    '04b304dc4c615f5326fe9383ddec9aa892df3a57fa7ffb3276192bc0ea' +
    'a252ed45a865e3b093a3d0dce5be29e92f1392ce7de321e3e5c52b3a',
  ev3:
    '041db46c145d0a36539c6544bd6d9b0aa62ff91ec48cbc6abae36e0089' +
    'a46f0d08c8a715ea40a63313b92e90ddc1730230e0458a33276fb743',
} as const;

const UID_LENGTH = 7;
const SIGNATURE_LENGTH = 56;

/** secp224r1 (SEC 2), which node:crypto knows but never without hashing first. */
const Point = weierstrass({
  p: 0xffffffffffffffffffffffffffffffff000000000000000000000001n,
  n: 0xffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3dn,
  h: 1n,
  a: 0xfffffffffffffffffffffffffffffffefffffffffffffffffffffffen,
  b: 0xb4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4n,
  Gx: 0xb70e0cbd6bb4bf7f321390b94a03c1d356c21122343280d6115c1d21n,
  Gy: 0xbd376388b5f723fb4c22dfe6cd4375a05a07476444d5819985007e34n,
});
/** The hash is asked for and never used: the digest that the maker signs is the UID itself. */
const { verify } = ecdsa(Point, sha256);

/**
 * Whether the maker signed this UID. The signature is the same for ever: it proves a genuine UID, not a genuine chip,
 * so it belongs to `prepare`, once a card, and stands for no authentication.
 * @param uid 7 bytes; of any other length it is not genuine
 * @param signature r ‖ s as Read_Sig returns it, 56 bytes; of any other length it is not genuine
 * @param makerKey the key of one kind of card, as in `MAKER_KEYS`; left out: any of these
 * @throws Error for a key that is no point of the curve.
 */
export function genuine(uid: Uint8Array, signature: Uint8Array, makerKey?: string): boolean {
  const keys = makerKey === undefined ? Object.values(MAKER_KEYS) : [makerKey];
  const points = keys.map((key) => Point.fromHex(key).toBytes(false));
  if (uid.length !== UID_LENGTH || signature.length !== SIGNATURE_LENGTH) return false;
  return points.some((point) => verify(signature, uid, point, { prehash: false, lowS: false }));
}
