/** Secrets between kiosk and hub that no broker or log may see: HPKE (RFC 9180), P-256, HKDF-SHA-256, AES-256-GCM. */
import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256 } from '@hpke/core';

const suite = new CipherSuite({ kem: new DhkemP256HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

/** Bytes of a P-256 public key (uncompressed point) and of the encapsulated key in front of every sealed box. */
const POINT_BYTES = 65;

export interface SealingKeyPair {
  /** Uncompressed P-256 point, 65 bytes. */
  readonly publicKey: Uint8Array;
  /** P-256 scalar, 32 bytes. */
  readonly privateKey: Uint8Array;
}

// HPKE contexts take `info` as bytes; contexts here are ASCII sentences.
const ascii = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0)).buffer as ArrayBuffer;
const exact = (bytes: Uint8Array) => Uint8Array.from(bytes).buffer as ArrayBuffer;

/** Makes a new pair of sealing keys. */
export async function makeSealingKeys(): Promise<SealingKeyPair> {
  const pair = await suite.kem.generateKeyPair();
  return {
    publicKey: new Uint8Array(await suite.kem.serializePublicKey(pair.publicKey)),
    privateKey: new Uint8Array(await suite.kem.serializePrivateKey(pair.privateKey)),
  };
}

/**
 * Seals bytes to a public key, bound to a context that opening must repeat.
 * @returns the encapsulated key (65 bytes) followed by the ciphertext and its tag.
 * @throws if the public key is not a P-256 point.
 */
export async function seal(publicKey: Uint8Array, context: string, plain: Uint8Array): Promise<Uint8Array> {
  const recipientPublicKey = await suite.kem.deserializePublicKey(exact(publicKey));
  const sender = await suite.createSenderContext({ recipientPublicKey, info: ascii(context) });
  const cipher = new Uint8Array(await sender.seal(exact(plain)));
  const box = new Uint8Array(POINT_BYTES + cipher.length);
  box.set(new Uint8Array(sender.enc), 0);
  box.set(cipher, POINT_BYTES);
  return box;
}

/**
 * Opens a sealed box.
 * @returns null if it was not sealed to this key under this context, or was changed.
 */
export async function open(privateKey: Uint8Array, context: string, box: Uint8Array): Promise<Uint8Array | null> {
  try {
    const recipientKey = await suite.kem.deserializePrivateKey(exact(privateKey));
    const enc = exact(box.subarray(0, POINT_BYTES));
    const recipient = await suite.createRecipientContext({ recipientKey, enc, info: ascii(context) });
    return new Uint8Array(await recipient.open(exact(box.subarray(POINT_BYTES))));
  } catch {
    return null;
  }
}
