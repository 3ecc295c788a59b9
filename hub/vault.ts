/** The vault: every secret of the hub in one sealed file, given to the rest as uses, not as keys. */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import type { Marks } from '../cards/closing.ts';
import { hmac } from '../cards/hmac.ts';
import type { Keyring } from '../cards/keyring.ts';
import { buildRecord, buildTmri, type Deed, proof } from '../cards/record.ts';
import type { CardUid, CooperativeId, KioskNo } from '../protocol/ids.ts';
import type { MasterBox } from '../protocol/masterbox.ts';
import { open } from '../protocol/sealed.ts';
import { BOOK_CONTEXT } from '../protocol/tariffbook.ts';
import { releasing, wrapping } from './vaultboxes.ts';
import { cardUses } from './vaultcards.ts';
import {
  type Contents,
  describe,
  freshContents,
  type KeyDescription,
  namesOfLacking,
  newestSecret,
} from './vaultcontents.ts';
import { readContents, writeContents } from './vaultfile.ts';
import { sealMasters } from './vaultmasters.ts';
import { rememberedBeacons } from './vaultmemory.ts';

/** A card's keys as the card takes them when it is personalised, 16 bytes each: hub-run only. */
export interface CardKeys {
  readonly app: Uint8Array;
  readonly debit: Uint8Array;
  readonly credit: Uint8Array;
  readonly spare2: Uint8Array;
  readonly spare4: Uint8Array;
  readonly tmac: Uint8Array;
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
  /**
   * Keys 0 to 4 of a card, and the master key of an EV2 or EV3 as PICC_KEY_NO, by number and version (1 to 255), 16
   * bytes each; null for any other, and for key 3 if no master serves this issuer. It knows no journal: who rolls keys
   * over lets only proven and journaled versions pass.
   */
  keyring(issuer: CooperativeId, uid: CardUid): Keyring;
  /**
   * The same for an NTAG 424 (TRUTH section 14). Its key 1 pays and must be nobody's but the hub's: it comes from the
   * issuer's `credit` master, which no kiosk ever gets, and never from the debit master. Keys 2 and 3 are the SUN keys.
   */
  tagKeyring(issuer: CooperativeId, uid: CardUid): Keyring;
  /**
   * Versions that new cards get: `keyVersion` of the keys 0 to 4, and of each issuer's TMAC key. The highest `from` of
   * the masters, at least 1.
   */
  versions(): { readonly keyVersion: number; readonly tmacKeyVersions: ReadonlyMap<CooperativeId, number> };
  /**
   * SDMMetaReadKey, key 3 of every NTAG 424 of this version, 16 bytes: common, because it opens the UID (CARDS section
   * 7). One for all versions that one `sun` master serves.
   */
  sunMetaKey(keyVersion: number): Uint8Array;
  /** Every SDMMetaReadKey there is, newest first: a reading does not say which of them hides its UID. */
  sunMetaKeys(): readonly Uint8Array[];
  /** SDMFileReadKey, key 2 of one NTAG 424, 16 bytes (CARDS sections 7 and 8). */
  sunFileKey(uid: CardUid, keyVersion: number): Uint8Array;
  /** Wraps a kiosk's witness key for the registry: version 1 ‖ nonce 12 ‖ ciphertext ‖ tag 16. */
  wrap(key: Uint8Array): Uint8Array;
  /** Undoes `wrap`; null if it was not wrapped here. The same array object is opened once and then remembered. */
  unwrap(box: Uint8Array): Uint8Array | null;
  /** Beacon of a slot, 4 bytes (TRUTH section 3). */
  beacon(slot: number): Uint8Array;
  /** MAC over the JSON text of a receipt: 16 bytes as hex. */
  receiptMac(receipt: string): string;
  /**
   * Record and reader id of what the hub itself does to a card (personalise, drain), proven with the hub's own witness
   * key (TRUTH section 2).
   * @param beacon 4 bytes
   * @throws RangeError for numbers that the record cannot hold.
   */
  signDeed(uid: CardUid, deed: Deed, beacon: Uint8Array): Marks;
  /**
   * Key that opens a kiosk's box of debit masters, 32 bytes: HMAC-SHA-256 over "simpul-1 release key" ‖ kiosk number 4
   * ‖ version 1, big-endian. Only for a kiosk with the `offline` grant, at its hello.
   * @param version of the box, 0 to 255. @throws RangeError for numbers out of range.
   */
  releaseKey(kiosk: KioskNo, version: number): Uint8Array;
  /** All debit masters sealed for one kiosk's disk, under its release key of the version that the box names. */
  sealDebitMasters(kiosk: KioskNo): MasterBox;
  /** Public half of the key for card statements: Ed25519, 32 bytes. */
  readonly statementKey: Uint8Array;
  /** Signs a card statement: Ed25519, 64 bytes. */
  signStatement(statement: Uint8Array): Uint8Array;
  /** Signs the text of a tariff book with the same key, under its own context: 64 bytes, base64. */
  signTariffs(book: string): string;
  /** Opens what a kiosk sealed to the hub; null if it was not. */
  openSealed(context: string, box: Uint8Array): Promise<Uint8Array | null>;
  /** Every card master, secret and key pair, described. */
  descriptions(): readonly KeyDescription[];
  /** An issuer's `tmac` masters, sealed for it under its own passphrase (TRUTH section 12); null if it has none. */
  handOver(issuer: string, passphrase: Uint8Array, cost?: number): string | null;
}

export type OpenedVault = { readonly ok: true; readonly vault: Vault } | { readonly ok: false; readonly error: string };

interface VaultDeps {
  readonly random: (bytes: number) => Uint8Array;
}

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
  writeContents(deps, { path, secret, cost }, await freshContents(deps.random, issuers));
}

/** Opens a vault file; the error is one line that says what to do. */
export function openVault(deps: VaultDeps, path: string, secret: Uint8Array): OpenedVault {
  const read = readContents(path, secret);
  if (!read.ok) return read;
  const lacks = namesOfLacking(read.contents);
  if (lacks.length > 0) {
    const what = `vault ${path} is of an older make and lacks: ${lacks.join(', ')}`;
    return { ok: false, error: `${what}; run simpul-hub keys init to add it` };
  }
  return { ok: true, vault: useVault(deps, read.contents) };
}

function useVault(deps: VaultDeps, contents: Contents): Vault {
  const beaconKey = newestSecret(contents, 'beacon').key;
  const receiptKey = newestSecret(contents, 'receipt').key;
  const witnessKey = newestSecret(contents, 'witness').key;
  const sealingPrivate = Buffer.from(contents.sealing.privateKey, 'hex');
  return {
    sealingKey: Buffer.from(contents.sealing.publicKey, 'hex'),
    caKey: createPrivateKey(contents.ca),
    tlsKey: createPrivateKey(contents.tls),
    ...cardUses(contents.masters),
    ...wrapping(deps, contents),
    ...releasing(deps, contents),
    ...stating(contents),
    beacon: rememberedBeacons((slot) => hmac(beaconKey, Buffer.from(String(slot))).subarray(0, 4)),
    receiptMac(receipt) {
      return Buffer.from(hmac(receiptKey, Buffer.from(receipt))).toString('hex', 0, 16);
    },
    signDeed(uid, deed, beacon) {
      const proven = proof(witnessKey, Buffer.from(uid, 'hex'), deed, beacon);
      return { record: buildRecord(deed, proven), tmri: buildTmri(deed, proven) };
    },
    openSealed: (context, box) => open(sealingPrivate, context, box),
    descriptions: () => describe(contents),
    handOver(issuer, passphrase, cost) {
      return sealMasters(contents.masters, issuer, { random: deps.random, passphrase, cost });
    },
  };
}

function stating({ statement }: Contents): Pick<Vault, 'statementKey' | 'signStatement' | 'signTariffs'> {
  if (statement === undefined) throw new Error('vault holds no statement key');
  const key = createPrivateKey(statement);
  const { x } = createPublicKey(key).export({ format: 'jwk' });
  return {
    statementKey: Buffer.from(x ?? '', 'base64url'),
    signStatement: (bytes) => sign(null, bytes, key),
    signTariffs: (book) => sign(null, Buffer.from(BOOK_CONTEXT + book), key).toString('base64'),
  };
}
