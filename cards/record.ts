/** What a transaction leaves on the card: 16-byte record and 16-byte reader id, with their proof (TRUTH section 2). */
import { bare } from './aes.ts';
import { hmac } from './hmac.ts';

export const RECORD_KINDS = {
  purse: 1,
  account: 2,
  reload: 3,
  drain: 4,
  personalise: 5,
  /** A purse sale in place of the account sale one seq before. */
  insteadOfAccount: 6,
  heal: 7,
} as const;
export type RecordKind = keyof typeof RECORD_KINDS;

/** One transaction as its record names it. */
export interface Deed {
  readonly kind: RecordKind;
  /** Rupiah, 0 to 2^28 − 1. */
  readonly amount: bigint;
  /** Below 2^24, as is `kioskSeq`. */
  readonly kioskNo: number;
  readonly kioskSeq: number;
  /** Minutes since 2020-01-01 UTC of the beacon used; 0 if the kiosk never had one. */
  readonly minute: number;
}

/** A record as read back: 3 bytes of its proof come with it. */
export interface CardRecord extends Deed {
  readonly proof: Uint8Array;
}

/** A reader id as read back: 8 bytes of its proof come with it. */
export interface Tmri {
  readonly kioskNo: number;
  readonly kioskSeq: number;
  readonly proof: Uint8Array;
}

const AMOUNT_LIMIT = 1n << 28n;
const NUMBER_LIMIT = 1 << 24;
const RECORD_LENGTH = 16;
const CONTEXT = new TextEncoder().encode('simpul-1');
const kindNames = new Map<number, RecordKind>(
  Object.entries(RECORD_KINDS).map(([name, code]) => [code, name as RecordKind]),
);

function mustFit(deed: Deed): void {
  if (deed.amount < 0n || deed.amount >= AMOUNT_LIMIT) throw new RangeError(`a record cannot hold Rp ${deed.amount}`);
  for (const number of [deed.kioskNo, deed.kioskSeq, deed.minute]) {
    if (!Number.isInteger(number) || number < 0 || number >= NUMBER_LIMIT) {
      throw new RangeError(`a record cannot hold the number ${number}`);
    }
  }
}

/**
 * The proof that a kiosk did this deed: HMAC-SHA-256 under its witness key, 32 bytes.
 * @param witnessKey 32 bytes, known to the kiosk and the hub only
 * @param uid 7 bytes
 * @param beacon 4 bytes, zeros if the kiosk never had one
 * @throws RangeError for numbers that the record cannot hold.
 */
export function proof(witnessKey: Uint8Array, uid: Uint8Array, deed: Deed, beacon: Uint8Array): Uint8Array {
  mustFit(deed);
  if (uid.length !== 7 || beacon.length !== 4) throw new RangeError('a proof needs a UID of 7 and a beacon of 4 bytes');
  const message = Buffer.alloc(36);
  message.set(CONTEXT);
  message.set(uid, 8);
  message[15] = RECORD_KINDS[deed.kind];
  message.writeUInt32BE(Number(deed.amount), 16);
  message.writeUInt32BE(deed.kioskNo, 20);
  message.writeUInt32BE(deed.kioskSeq, 24);
  message.writeUInt32BE(deed.minute, 28);
  message.set(beacon, 32);
  return hmac(witnessKey, message);
}

/** Builds the record of a deed from the whole proof. @throws RangeError for numbers that do not fit. */
export function buildRecord(deed: Deed, proof: Uint8Array): Uint8Array {
  mustFit(deed);
  const out = Buffer.alloc(RECORD_LENGTH);
  out.writeUInt32BE(RECORD_KINDS[deed.kind] * 2 ** 28 + Number(deed.amount), 0);
  out.writeUIntBE(deed.kioskNo, 4, 3);
  out.writeUIntBE(deed.kioskSeq, 7, 3);
  out.writeUIntBE(deed.minute, 10, 3);
  out.set(proof.subarray(0, 3), 13);
  return bare(out);
}

/** Builds the reader id of a deed from the whole proof. @throws RangeError for numbers that do not fit. */
export function buildTmri(deed: Deed, proof: Uint8Array): Uint8Array {
  mustFit(deed);
  const out = Buffer.alloc(RECORD_LENGTH);
  out.writeUInt32BE(deed.kioskNo, 0);
  out.writeUInt32BE(deed.kioskSeq, 4);
  out.set(proof.subarray(0, 8), 8);
  return bare(out);
}

/** Reads a record. @returns null for another length or a kind that does not exist; the proof is not checked. */
export function parseRecord(bytes: Uint8Array): CardRecord | null {
  if (bytes.length !== RECORD_LENGTH) return null;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const head = view.readUInt32BE(0);
  const kind = kindNames.get(head >>> 28);
  if (kind === undefined) return null;
  return {
    kind,
    amount: BigInt(head % 2 ** 28),
    kioskNo: view.readUIntBE(4, 3),
    kioskSeq: view.readUIntBE(7, 3),
    minute: view.readUIntBE(10, 3),
    proof: new Uint8Array(bytes.subarray(13)),
  };
}

/** Reads a reader id. @returns null for another length or numbers of more than 24 bits; the proof is not checked. */
export function parseTmri(bytes: Uint8Array): Tmri | null {
  if (bytes.length !== RECORD_LENGTH) return null;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const kioskNo = view.readUInt32BE(0);
  const kioskSeq = view.readUInt32BE(4);
  if (kioskNo >= NUMBER_LIMIT || kioskSeq >= NUMBER_LIMIT) return null;
  return { kioskNo, kioskSeq, proof: new Uint8Array(bytes.subarray(8)) };
}
