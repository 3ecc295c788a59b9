/** The sealed file: a readable header with its key derivation, and AES-256-GCM over everything else. */
import { createCipheriv, createDecipheriv, scryptSync } from 'node:crypto';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';

const hex = (bytes: number) => Type.String({ pattern: `^[0-9a-f]{${bytes * 2}}$` });

/** Bounds keep a hostile header from asking for gigabytes. */
const Sealed = Type.Object({
  v: Type.Literal(1),
  holds: Type.String({ maxLength: 64 }),
  scrypt: Type.Object({
    N: Type.Integer({ minimum: 2 ** 10, maximum: 2 ** 18 }),
    r: Type.Integer({ minimum: 1, maximum: 16 }),
    p: Type.Integer({ minimum: 1, maximum: 8 }),
    salt: hex(16),
  }),
  nonce: hex(12),
  sealed: Type.String({ pattern: '^[A-Za-z0-9+/]+={0,2}$', maxLength: 4_194_304 }),
});
type Sealed = Static<typeof Sealed>;
const sealedCheck = Compile(Sealed);

const TAG_BYTES = 16;

export type Unsealed =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly why: 'not-a-sealed-file' | 'wrong-secret' };

// The header is authenticated with the contents: a weaker derivation cannot be slipped in.
function additional(header: Pick<Sealed, 'v' | 'holds' | 'scrypt'>): Buffer {
  const { v, holds, scrypt } = header;
  return Buffer.from(JSON.stringify([v, holds, scrypt.N, scrypt.r, scrypt.p, scrypt.salt]));
}

function derive(secret: Uint8Array, { N, r, p, salt }: Sealed['scrypt']): Buffer {
  return scryptSync(secret, Buffer.from(salt, 'hex'), 32, { N, r, p, maxmem: 256 * N * r });
}

/**
 * Seals text under a secret (a passphrase or the bytes of a key file).
 * @param cost scrypt's N, a power of two; 2^15 takes about 0.1 s and 32 MiB.
 */
export function sealText(
  random: (bytes: number) => Uint8Array,
  holds: string,
  secret: Uint8Array,
  text: string,
  cost = 2 ** 15,
): string {
  const scrypt = { N: cost, r: 8, p: 1, salt: Buffer.from(random(16)).toString('hex') };
  const nonce = random(12);
  const cipher = createCipheriv('aes-256-gcm', derive(secret, scrypt), nonce);
  cipher.setAAD(additional({ v: 1, holds, scrypt }));
  const box = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  const file: Sealed = {
    v: 1,
    holds,
    scrypt,
    nonce: Buffer.from(nonce).toString('hex'),
    sealed: box.toString('base64'),
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

/** Opens what `sealText` made. */
export function unsealText(holds: string, secret: Uint8Array, file: string): Unsealed {
  let value: unknown;
  try {
    value = JSON.parse(file);
  } catch {
    return { ok: false, why: 'not-a-sealed-file' };
  }
  if (!sealedCheck.Check(value) || value.holds !== holds) return { ok: false, why: 'not-a-sealed-file' };
  const box = Buffer.from(value.sealed, 'base64');
  if (box.length <= TAG_BYTES || (value.scrypt.N & (value.scrypt.N - 1)) !== 0)
    return { ok: false, why: 'not-a-sealed-file' };
  const decipher = createDecipheriv('aes-256-gcm', derive(secret, value.scrypt), Buffer.from(value.nonce, 'hex'));
  decipher.setAAD(additional(value));
  decipher.setAuthTag(box.subarray(box.length - TAG_BYTES));
  try {
    const text = Buffer.concat([decipher.update(box.subarray(0, box.length - TAG_BYTES)), decipher.final()]);
    return { ok: true, text: text.toString('utf8') };
  } catch {
    return { ok: false, why: 'wrong-secret' };
  }
}
