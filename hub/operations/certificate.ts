/** Certificate: verifies a claim against the card's key and the sender's witness key, and says what was found. */
import { timingSafeEqual } from 'node:crypto';
import { type CardRecord, parseRecord, parseTmri, proof, type Tmri } from '../../cards/record.ts';
import { tmv, transactionInput, transactionKeys } from '../../cards/tmac.ts';
import { type AccountParts, type Claim, readAccount } from '../../protocol/claim.ts';
import { BEACON_SECONDS, slotsOfMinute } from '../../protocol/status.ts';
import type { Slot } from '../rules/entries.ts';
import type { CertificateFacts } from '../rules/purchase.ts';
import type { Card, Kiosk } from '../store/registry.ts';
import type { Vault } from '../vault.ts';

/** What is known of a claim once it was verified. */
export interface Verified {
  readonly facts: CertificateFacts;
  /**
   * The slot it fills; null unless its certificate is valid, its list the account list, and its record names
   * this request.
   */
  readonly slot: Slot | null;
  /** Packed for the entry; null without a valid certificate. */
  readonly evidence: Uint8Array | null;
}

interface Sender {
  readonly kiosk: Kiosk;
  /** Seq of the request. */
  readonly seq: number;
}

const bytes = (hex: string) => Buffer.from(hex, 'hex');

/** What is known without a certificate, or of one that does not hold. */
export const NOTHING: Verified = {
  facts: { valid: false, wellFormed: false, recordAmount: null, sender: false, proven: false, beaconAgeSeconds: null },
  slot: null,
  evidence: null,
};

/** Verifies a claim for an account sale (TRUTH section 2). @param now milliseconds since 1970 UTC. */
export function verifyClaim(vault: Vault, card: Card, { kiosk, seq }: Sender, claim: Claim, now: number): Verified {
  // Old key versions still verify; a version the card never had cannot, and 0 is the factory's.
  const had = claim.keyVersion >= 1 && claim.keyVersion <= card.tmacKeyVersion;
  const key = had ? vault.tmacKey(card.issuer, card.uid, claim.keyVersion) : null;
  if (key === null) return NOTHING;
  const uid = bytes(card.uid);
  const keys = transactionKeys(key, uid, claim.tmc);
  if (!timingSafeEqual(tmv(keys, transactionInput(claim.commands)), bytes(claim.tmv))) return NOTHING;

  const parts = readAccount(claim.commands);
  const record = parts === null ? null : parseRecord(bytes(parts.record));
  const tmri = parts === null ? null : parseTmri(bytes(parts.tmri));
  if (parts === null || record?.kind !== 'account' || tmri === null) {
    return { ...NOTHING, facts: { ...NOTHING.facts, valid: true, recordAmount: record?.amount ?? null } };
  }
  const sender = [record, tmri].every(({ kioskNo, kioskSeq }) => kioskNo === kiosk.no && kioskSeq === seq);
  const beaconAge = sender ? provenAge(vault, uid, kiosk, record, tmri, now) : null;
  return {
    facts: {
      valid: true,
      wellFormed: true,
      recordAmount: record.amount,
      sender,
      proven: beaconAge !== null,
      beaconAgeSeconds: beaconAge === 'no-beacon' ? null : beaconAge,
    },
    // A certificate that names another request has another occupant: its slot is not this request's to fill.
    slot: sender ? { card: card.uid, keyVersion: claim.keyVersion, tmc: claim.tmc } : null,
    evidence: packEvidence(claim, parts),
  };
}

/** Seconds, with their fraction, since the proven beacon began; null if the proof holds for none of the minute. */
function provenAge(
  vault: Vault,
  uid: Uint8Array,
  kiosk: Kiosk,
  record: CardRecord,
  tmri: Tmri,
  now: number,
): number | 'no-beacon' | null {
  const witness = vault.unwrap(kiosk.witness);
  if (witness === null) throw new Error(`the witness key of kiosk ${kiosk.name} does not open`);
  const holds = (beacon: Uint8Array) => {
    const full = proof(witness, uid, record, beacon);
    return timingSafeEqual(full.subarray(0, 3), record.proof) && timingSafeEqual(full.subarray(0, 8), tmri.proof);
  };
  if (record.minute === 0) return holds(new Uint8Array(4)) ? 'no-beacon' : null;
  const current = Math.floor(now / 1000 / BEACON_SECONDS);
  // The newest beacon that can have been used comes first: a tap is mostly a second old.
  const slots = slotsOfMinute(record.minute).reverse();
  const used =
    slots.find((slot) => slot <= current && holds(vault.beacon(slot))) ??
    slots.find((slot) => slot > current && holds(vault.beacon(slot)));
  // To the millisecond: rounded to 60 s, a certificate would live on when the card's pause at this kiosk is over, and
  // one tap could be charged twice.
  return used === undefined ? null : now / 1000 - used * BEACON_SECONDS;
}

const EVIDENCE_VERSION = 1;

/**
 * Packs a verified claim: version 1 ‖ key version 1 ‖ TMC 4 ‖ TMV 8 ‖ records 64 ‖ opening 4 ‖ record 16 ‖ TMRI 16 ‖
 * EncTMRI 16 ‖ before 12, numbers big-endian: 142 bytes from which the whole command list follows.
 */
function packEvidence(claim: Claim, parts: AccountParts): Uint8Array {
  const numbers = Buffer.allocUnsafe(10);
  numbers[0] = EVIDENCE_VERSION;
  numbers[1] = claim.keyVersion;
  numbers.writeUInt32BE(claim.tmc, 2);
  numbers.writeUInt32BE(parts.opening, 6);
  const hex = numbers.toString('hex');
  const [head, opening] = [hex.slice(0, 12), hex.slice(12)];
  const { records, record, tmri, encTmri } = parts;
  return bytes(head + claim.tmv + records + opening + record + tmri + encTmri + claim.before);
}
