/** What a vault holds: its form, what belongs in every vault, and what may be told of each key. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { makeSealingKeys } from '../protocol/sealed.ts';
import { ALL_ISSUERS, keyCheck, Master } from './vaultmasters.ts';

const Secret = Type.Object({
  purpose: Type.Enum(['wrap', 'beacon', 'receipt', 'witness', 'release']),
  version: Type.Integer({ minimum: 1, maximum: 255 }),
  key: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  check: Type.String({ pattern: '^[0-9a-f]{6}$' }),
});
type Secret = Static<typeof Secret>;

const Contents = Type.Object({
  v: Type.Literal(1),
  masters: Type.Array(Master, { minItems: 2, maxItems: 4096 }),
  secrets: Type.Array(Secret, { minItems: 3, maxItems: 256 }),
  /** PKCS #8 private keys, ECDSA P-256. */
  ca: Type.String({ maxLength: 1024 }),
  tls: Type.String({ maxLength: 1024 }),
  sealing: Type.Object({
    publicKey: Type.String({ pattern: '^[0-9a-f]{130}$' }),
    privateKey: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  }),
  /** PKCS #8 private key, Ed25519: signs card statements. Vaults of an older make have none. */
  statement: Type.Optional(Type.String({ maxLength: 1024 })),
});
export type Contents = Static<typeof Contents>;
const contentsCheck = Compile(Contents);

/** What may be told of a key: everything but the key. */
export interface KeyDescription {
  readonly kind: 'master' | 'secret' | 'pair';
  readonly purpose: Master['purpose'] | Secret['purpose'] | 'ca' | 'tls' | 'sealing' | 'statement';
  /** Cooperative whose cards a master serves; null for a master that serves all, and for the hub's own keys. */
  readonly issuer: string | null;
  /** First card key version that a master serves; the version of a secret; 1 for a pair. */
  readonly from: number;
  /**
   * Key check value, 3 bytes as hex: equal for equal keys, and of no use for anything else. For a pair, the first of
   * SHA-256 over the public key (DER), which is no secret.
   */
  readonly check: string;
}

/** Reads what a vault file held; null if it is no vault's contents, or a key does not match its check value. */
export function parseContents(text: string): Contents | null {
  const value: unknown = JSON.parse(text);
  if (!contentsCheck.Check(value)) return null;
  const broken = [...value.masters, ...value.secrets].some(({ key, check }) => keyCheck(key) !== check);
  return broken ? null : value;
}

/** Spells contents for the file. @throws RangeError for what `parseContents` would not take back. */
export function spellContents(contents: Contents): string {
  const text = JSON.stringify(contents);
  if (parseContents(text) === null) throw new RangeError('the vault would not open again with these contents');
  return text;
}

const SECRETS = ['wrap', 'beacon', 'receipt', 'witness', 'release'] as const;
const COMMON_MASTERS = ['app', 'debit', 'spare', 'sun'] as const;
const ISSUER_MASTERS = ['tmac', 'credit'] as const;

const pkcs8 = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const newEcKey = () => pkcs8(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);

type Random = (bytes: number) => Uint8Array;

/** A fresh master, 16 bytes. @param from first card key version that it serves */
export function freshMaster(random: Random, purpose: Master['purpose'], issuer: string, from: number): Master {
  const key = Buffer.from(random(16)).toString('hex');
  return { purpose, issuer, from, key, check: keyCheck(key) };
}

function freshSecret(random: Random, purpose: Secret['purpose']): Secret {
  const key = Buffer.from(random(32)).toString('hex');
  return { purpose, version: 1, key, check: keyCheck(key) };
}

/** Contents of a new vault, with the masters of these issuers. */
export async function freshContents(random: Random, issuers: readonly string[]): Promise<Contents> {
  const { publicKey, privateKey } = await makeSealingKeys();
  const sealing = {
    publicKey: Buffer.from(publicKey).toString('hex'),
    privateKey: Buffer.from(privateKey).toString('hex'),
  };
  return completed(random, { v: 1, masters: [], secrets: [], ca: newEcKey(), tls: newEcKey(), sealing }, issuers);
}

/** What belongs in a vault that serves these issuers, and any that it serves already, and is not there. */
function lacking({ masters, secrets, statement }: Contents, issuers: readonly string[]) {
  const served = masters.map(({ issuer }) => issuer).filter((issuer) => issuer !== ALL_ISSUERS);
  const wanted = [
    ...COMMON_MASTERS.map((purpose) => ({ purpose, issuer: ALL_ISSUERS })),
    ...[...new Set([...served, ...issuers])].flatMap((issuer) =>
      ISSUER_MASTERS.map((purpose) => ({ purpose, issuer })),
    ),
  ];
  const held = new Set(masters.map(({ purpose, issuer }) => `${purpose}/${issuer}`));
  return {
    masters: wanted.filter(({ purpose, issuer }) => !held.has(`${purpose}/${issuer}`)),
    secrets: SECRETS.filter((purpose) => !secrets.some((row) => row.purpose === purpose)),
    statement: statement === undefined,
  };
}

/** Names what these contents lack, for people; empty when nothing. */
export function namesOfLacking(contents: Contents, issuers: readonly string[] = []): string[] {
  const { masters, secrets, statement } = lacking(contents, issuers);
  return [
    ...masters.map(({ purpose, issuer }) => `${purpose} master${issuer === ALL_ISSUERS ? '' : ` of ${issuer}`}`),
    ...secrets.map((purpose) => `${purpose} secret`),
    ...(statement ? ['statement key'] : []),
  ];
}

/** The same contents with what they lacked behind it; no key that was there is touched. */
export function completed(random: Random, contents: Contents, issuers: readonly string[]): Contents {
  const { masters, secrets, statement } = lacking(contents, issuers);
  return {
    ...contents,
    masters: [...contents.masters, ...masters.map((row) => freshMaster(random, row.purpose, row.issuer, 0))],
    secrets: [...contents.secrets, ...secrets.map((purpose) => freshSecret(random, purpose))],
    ...(statement ? { statement: pkcs8(generateKeyPairSync('ed25519').privateKey) } : {}),
  };
}

/** The newest secret of a purpose, with its key as bytes. @throws Error if there is none. */
export function newestSecret({ secrets }: Contents, purpose: Secret['purpose']): { version: number; key: Buffer } {
  const [newest] = secrets.filter((row) => row.purpose === purpose).sort((a, b) => b.version - a.version);
  if (newest === undefined) throw new Error(`vault holds no ${purpose} key`);
  return { version: newest.version, key: Buffer.from(newest.key, 'hex') };
}

/** Describes one master. */
export function describeMaster({ purpose, issuer, from, check }: Master): KeyDescription {
  return { kind: 'master', purpose, issuer: issuer === ALL_ISSUERS ? null : issuer, from, check };
}

function describePair(purpose: KeyDescription['purpose'], publicKey: Uint8Array): KeyDescription {
  const check = createHash('sha256').update(publicKey).digest('hex').slice(0, 6);
  return { kind: 'pair', purpose, issuer: null, from: 1, check };
}

const publicHalf = (pem: string) => createPublicKey(createPrivateKey(pem)).export({ type: 'spki', format: 'der' });

/** Describes every key: masters, secrets, pairs. */
export function describe({ masters, secrets, ca, tls, sealing, statement }: Contents): KeyDescription[] {
  return [
    ...masters.map(describeMaster),
    ...secrets.map(({ purpose, version, check }) => {
      return { kind: 'secret' as const, purpose, issuer: null, from: version, check };
    }),
    describePair('ca', publicHalf(ca)),
    describePair('tls', publicHalf(tls)),
    describePair('sealing', Buffer.from(sealing.publicKey, 'hex')),
    ...(statement === undefined ? [] : [describePair('statement', publicHalf(statement))]),
  ];
}
