/** The vault: every secret of the hub in one sealed file, given to the rest as uses, not as keys. */
import { createCipheriv, createDecipheriv, createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { TMAC_KEY_NO } from '../cards/diversify.ts';
import { hmac } from '../cards/hmac.ts';
import { KEY_NO } from '../cards/layout.ts';
import type { CardUid, CooperativeId } from '../protocol/ids.ts';
import { makeSealingKeys, open } from '../protocol/sealed.ts';
import { writeAtomic } from './files.ts';
import { sealText, unsealText } from './sealedfile.ts';
import { cardKeyFinder, keyCheck, Master, sealMasters } from './vaultmasters.ts';

const HOLDS = 'simpul-1 vault';

const Secret = Type.Object({
  purpose: Type.Union([Type.Literal('wrap'), Type.Literal('beacon'), Type.Literal('receipt')]),
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
});
type Contents = Static<typeof Contents>;
const contentsCheck = Compile(Contents);

const CACHED_KEYS = 20_000;
const CACHED_BEACONS = 64;

/** A card's keys as the card takes them when it is personalised: hub-run only. */
export interface CardKeys {
  readonly app: Uint8Array;
  readonly debit: Uint8Array;
  readonly credit: Uint8Array;
  readonly tmac: Uint8Array;
}

/** What may be told of a key: everything but the key. */
export interface KeyDescription {
  readonly kind: 'master' | 'secret';
  readonly purpose: Master['purpose'] | Secret['purpose'];
  /** Cooperative whose cards a master serves; null for a master that serves all, and for the hub's secrets. */
  readonly issuer: string | null;
  /** First card key version that a master serves; the version of a secret. */
  readonly from: number;
  /** Key check value, 3 bytes as hex: equal for equal keys, and of no use for anything else. */
  readonly check: string;
}

export interface Vault {
  /** Public half of the hub's sealing key: P-256 point, 65 bytes. */
  readonly sealingKey: Uint8Array;
  /** Public halves of the CA's and the TLS server's keys with their signing handles. */
  readonly caKey: KeyObject;
  readonly tlsKey: KeyObject;
  /** Key 1 of a card, 16 bytes. */
  cardKey1(uid: CardUid, keyVersion: number): Uint8Array;
  /** TMAC key of a card, 16 bytes; null if no master serves this issuer and version. */
  tmacKey(issuer: CooperativeId, uid: CardUid, keyVersion: number): Uint8Array | null;
  /** All keys of a new card; null if no master serves this issuer. */
  cardKeys(
    issuer: CooperativeId,
    uid: CardUid,
    versions: { keyVersion: number; tmacKeyVersion: number },
  ): CardKeys | null;
  /** Wraps a kiosk's witness key for the registry: version 1 ‖ nonce 12 ‖ ciphertext ‖ tag 16. */
  wrap(key: Uint8Array): Uint8Array;
  /** Undoes `wrap`; null if it was not wrapped here. The same array object is opened once and then remembered. */
  unwrap(box: Uint8Array): Uint8Array | null;
  /** Beacon of a slot, 4 bytes (TRUTH section 3). */
  beacon(slot: number): Uint8Array;
  /** MAC over the JSON text of a receipt: 16 bytes as hex. */
  receiptMac(receipt: string): string;
  /** Opens what a kiosk sealed to the hub; null if it was not. */
  openSealed(context: string, box: Uint8Array): Promise<Uint8Array | null>;
  /** Every card master and every secret, described. */
  descriptions(): readonly KeyDescription[];
  /** An issuer's `tmac` masters, sealed for it under its own passphrase (TRUTH section 12); null if it has none. */
  handOver(issuer: string, passphrase: Uint8Array, cost?: number): string | null;
}

export type OpenedVault = { readonly ok: true; readonly vault: Vault } | { readonly ok: false; readonly error: string };

interface VaultDeps {
  readonly random: (bytes: number) => Uint8Array;
}

const pkcs8 = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const newKey = () => pkcs8(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);

/**
 * Makes a vault file with fresh keys, mode 0600.
 * @param secret passphrase or key file contents that will open it.
 * @param cost scrypt's N; leave it out in production.
 * @throws the system's error when it cannot be written.
 */
export async function createVault(
  deps: VaultDeps,
  path: string,
  secret: Uint8Array,
  issuers: readonly CooperativeId[],
  cost?: number,
): Promise<void> {
  const fresh = (bytes: number) => Buffer.from(deps.random(bytes)).toString('hex');
  const master = (purpose: Master['purpose'], issuer: string): Master => {
    const key = fresh(16);
    return { purpose, issuer, from: 0, key, check: keyCheck(key) };
  };
  const makeSecret = (purpose: Secret['purpose']): Secret => {
    const key = fresh(32);
    return { purpose, version: 1, key, check: keyCheck(key) };
  };
  const sealing = await makeSealingKeys();
  const contents: Contents = {
    v: 1,
    masters: [
      master('app', '-'),
      master('debit', '-'),
      ...issuers.flatMap((issuer) => [master('tmac', issuer), master('credit', issuer)]),
    ],
    secrets: [makeSecret('wrap'), makeSecret('beacon'), makeSecret('receipt')],
    ca: newKey(),
    tls: newKey(),
    sealing: {
      publicKey: Buffer.from(sealing.publicKey).toString('hex'),
      privateKey: Buffer.from(sealing.privateKey).toString('hex'),
    },
  };
  writeAtomic(path, sealText(deps.random, HOLDS, secret, JSON.stringify(contents), cost), 0o600);
}

function readContents(path: string, secret: Uint8Array): Contents | string {
  let file: string;
  try {
    file = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return `vault ${path} cannot be read (${code}); run simpul-hub init, or restore it`;
  }
  const opened = unsealText(HOLDS, secret, file);
  if (!opened.ok && opened.why === 'wrong-secret') {
    return `vault ${path} does not open with this passphrase or key file; give the one it was made with`;
  }
  const damaged = `vault ${path} is damaged or not a vault; restore it from the backup`;
  if (!opened.ok) return damaged;
  const value: unknown = JSON.parse(opened.text);
  if (!contentsCheck.Check(value)) return damaged;
  const broken = [...value.masters, ...value.secrets].some(({ key, check }) => keyCheck(key) !== check);
  return broken ? damaged : value;
}

/** Opens a vault file; the error is one line that says what to do. */
export function openVault(deps: VaultDeps, path: string, secret: Uint8Array): OpenedVault {
  const contents = readContents(path, secret);
  return typeof contents === 'string' ? { ok: false, error: contents } : { ok: true, vault: useVault(deps, contents) };
}

function newestSecret(contents: Contents, purpose: Secret['purpose']): Secret {
  const rows = contents.secrets.filter((row) => row.purpose === purpose);
  const newest = rows.reduce<Secret | undefined>(
    (best, row) => (best && best.version > row.version ? best : row),
    undefined,
  );
  if (newest === undefined) throw new Error(`vault holds no ${purpose} key`);
  return newest;
}

function useVault(deps: VaultDeps, contents: Contents): Vault {
  const beaconKey = Buffer.from(newestSecret(contents, 'beacon').key, 'hex');
  const receiptKey = Buffer.from(newestSecret(contents, 'receipt').key, 'hex');
  const sealingPrivate = Buffer.from(contents.sealing.privateKey, 'hex');
  const cardKey = cardKeyFinder(contents.masters);
  return {
    sealingKey: Buffer.from(contents.sealing.publicKey, 'hex'),
    caKey: createPrivateKey(contents.ca),
    tlsKey: createPrivateKey(contents.tls),
    cardKey1(uid, keyVersion) {
      const key = cardKey('debit', '-', uid, KEY_NO.debit, keyVersion);
      if (key === null) throw new Error(`vault holds no debit master for card key version ${keyVersion}`);
      return key;
    },
    tmacKey: remembered((issuer, uid, version) => cardKey('tmac', issuer, uid, TMAC_KEY_NO, version)),
    cardKeys(issuer, uid, { keyVersion, tmacKeyVersion }) {
      const app = cardKey('app', '-', uid, KEY_NO.app, keyVersion);
      const debit = cardKey('debit', '-', uid, KEY_NO.debit, keyVersion);
      const credit = cardKey('credit', issuer, uid, KEY_NO.credit, keyVersion);
      const tmac = cardKey('tmac', issuer, uid, TMAC_KEY_NO, tmacKeyVersion);
      return app && debit && credit && tmac && { app, debit, credit, tmac };
    },
    ...wrapping(deps, contents),
    beacon: rememberedBeacons((slot) => hmac(beaconKey, Buffer.from(String(slot))).subarray(0, 4)),
    receiptMac(receipt) {
      return Buffer.from(hmac(receiptKey, Buffer.from(receipt))).toString('hex', 0, 16);
    },
    openSealed: (context, box) => open(sealingPrivate, context, box),
    descriptions: () => describe(contents),
    handOver(issuer, passphrase, cost) {
      return sealMasters(contents.masters, issuer, { random: deps.random, passphrase, cost });
    },
  };
}

function describe({ masters, secrets }: Contents): KeyDescription[] {
  return [
    ...masters.map(({ purpose, issuer, from, check }) => {
      return { kind: 'master' as const, purpose, issuer: issuer === '-' ? null : issuer, from, check };
    }),
    ...secrets.map(({ purpose, version, check }) => {
      return { kind: 'secret' as const, purpose, issuer: null, from: version, check };
    }),
  ];
}

/** Keeps the beacons of the last minutes: every claim asks for one or a few of them. */
function rememberedBeacons(make: (slot: number) => Uint8Array): (slot: number) => Uint8Array {
  const known = new Map<number, Uint8Array>();
  return (slot) => {
    let beacon = known.get(slot);
    if (beacon === undefined) {
      beacon = make(slot);
      if (known.size >= CACHED_BEACONS) known.clear();
      known.set(slot, beacon);
    }
    return beacon;
  };
}

/**
 * Keeps the keys of the cards in daily use, in two halves: when the younger is full it becomes the elder, and the elder
 * is forgotten but for what was asked for since. (Taken out of one map one by one, each key would cost a walk over the
 * holes that the others left.)
 */
function remembered(derive: Vault['tmacKey']): Vault['tmacKey'] {
  interface Known {
    readonly issuer: CooperativeId;
    readonly version: number;
    readonly key: Uint8Array;
  }
  let elder = new Map<CardUid, Known>();
  let younger = new Map<CardUid, Known>();
  return (issuer, uid, version) => {
    const fits = (known: Known | undefined) => known?.issuer === issuer && known.version === version;
    const young = younger.get(uid);
    if (young !== undefined && fits(young)) return young.key;
    const old = elder.get(uid);
    const key = old !== undefined && fits(old) ? old.key : derive(issuer, uid, version);
    if (key === null) return null;
    if (younger.size >= CACHED_KEYS / 2) {
      elder = younger;
      younger = new Map();
    }
    younger.set(uid, { issuer, version, key });
    return key;
  };
}

function wrapping(deps: VaultDeps, contents: Contents): Pick<Vault, 'wrap' | 'unwrap'> {
  const keys = new Map(
    contents.secrets.filter((row) => row.purpose === 'wrap').map((row) => [row.version, Buffer.from(row.key, 'hex')]),
  );
  const newest = newestSecret(contents, 'wrap').version;
  // The registry hands out the same array as long as a kiosk's row stands, so its opened key lives as long as the row.
  const opened = new WeakMap<Uint8Array, Uint8Array>();
  return {
    wrap(key) {
      const nonce = deps.random(12);
      const cipher = createCipheriv('aes-256-gcm', keys.get(newest) ?? Buffer.alloc(0), nonce);
      return Buffer.concat([Buffer.of(newest), nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()]);
    },
    unwrap(box) {
      const known = opened.get(box);
      if (known !== undefined) return known;
      const key = keys.get(box[0] ?? 0);
      if (key === undefined || box.length < 29) return null;
      const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(1, 13));
      decipher.setAuthTag(box.subarray(box.length - 16));
      try {
        const plain = Buffer.concat([decipher.update(box.subarray(13, box.length - 16)), decipher.final()]);
        opened.set(box, plain);
        return plain;
      } catch {
        return null;
      }
    },
  };
}
