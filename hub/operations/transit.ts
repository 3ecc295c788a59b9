/** Transit: the reloads on their way, in memory beside the ledger, each with all that its certificate follows from. */
import { reloadCommands } from '../../cards/reload.ts';
import { tmv, transactionInput, transactionKeys } from '../../cards/tmac.ts';
import type { CardUid } from '../../protocol/ids.ts';
import type { OnItsWay } from '../rules/reload.ts';
import type { Ledger, OpenReload } from '../store/ledger.ts';

/** What the card was asked to certify; only its opening balance is not known before it answers. */
export interface Asked {
  /** Version of the counter file's key. */
  readonly keyVersion: number;
  /** Counter file as the kiosk read it: TMC₀ (little-endian) ‖ TMV, 12 bytes. */
  readonly before: Uint8Array;
  /** The last four records, 64 bytes. */
  readonly records: Uint8Array;
  /** Record and reader id of the reload, and the reader id before as the card enciphered it: 16 bytes each. */
  readonly record: Uint8Array;
  readonly tmri: Uint8Array;
  readonly encTmri: Uint8Array;
}

/** A reload that was released and has no end yet. */
export interface Carried extends OpenReload, OnItsWay {
  readonly asked: Asked;
}

export interface Transit {
  /** The one reload of this card that is on its way. */
  of(card: CardUid): Carried | undefined;
  /** Keeps a reload whose release is on disk. */
  put(reload: Carried): void;
  /** This reload has ended; another of its card may be on its way already. */
  end(reload: Pick<Carried, 'card' | 'key'>): void;
}

const EVIDENCE_VERSION = 2;
/** Where each part lies in the evidence, behind its version and the key version, one byte each. */
const PLACES = { before: [2, 14], records: [14, 78], record: [78, 94], tmri: [94, 110], encTmri: [110, 126] } as const;
const EVIDENCE_BYTES = 126;

/** Packs what was asked as evidence of a release or a drain, 126 bytes; see `PLACES`. */
export function packAsked({ keyVersion, before, records, record, tmri, encTmri }: Asked): Uint8Array {
  return Buffer.concat([Uint8Array.of(EVIDENCE_VERSION, keyVersion), before, records, record, tmri, encTmri]);
}

/** @throws Error for what `packAsked` did not make: the file it comes from was changed by hand. */
export function unpackAsked(evidence: Uint8Array | null): Asked {
  const [version, keyVersion = 0] = evidence ?? [];
  if (evidence?.length !== EVIDENCE_BYTES || version !== EVIDENCE_VERSION) {
    throw new Error('a release or drain is kept without its evidence');
  }
  const part = (name: keyof typeof PLACES) => new Uint8Array(evidence.subarray(...PLACES[name]));
  const [before, records, record] = [part('before'), part('records'), part('record')];
  return { keyVersion, before, records, record, tmri: part('tmri'), encTmri: part('encTmri') };
}

/** The counter of a counter file's content. */
export function counterOf(before: Uint8Array): number {
  return Buffer.from(before.buffer, before.byteOffset, before.length).readUInt32LE(0);
}

/** A release as it is carried, with what the claims since then have told. */
export function carry(open: OpenReload, asked: Asked): Carried {
  const { keyVersion } = asked;
  const tmc = counterOf(asked.before);
  const filled = new Set(open.filled.flatMap((slot) => (slot.keyVersion === keyVersion ? [slot.tmc] : [])));
  let othersUpTo = tmc;
  while (filled.has(othersUpTo + 1)) othersUpTo += 1;
  return { ...open, asked, keyVersion, tmc, releasedAt: open.at, othersUpTo };
}

/** Reads every open reload from the ledger. */
export async function openTransit(ledger: Pick<Ledger, 'openReloads'>): Promise<Transit> {
  const carried = new Map<CardUid, Carried>();
  for (const open of await ledger.openReloads()) carried.set(open.card, carry(open, unpackAsked(open.evidence)));
  return {
    of: (card) => carried.get(card),
    put: (reload) => void carried.set(reload.card, reload),
    end({ card, key }) {
      const known = carried.get(card)?.key;
      if (known?.origin === key.origin && known.seq === key.seq) carried.delete(card);
    },
  };
}

/**
 * The certificate that a card gives for a reload in the slot after TMC₀, 8 bytes.
 * @param tmacKey of the version that was asked
 * @param opening purse balance before, in rupiah
 */
export function reloadCertificate(
  tmacKey: Uint8Array,
  { card, amount, asked, tmc }: Pick<Carried, 'card' | 'amount' | 'asked' | 'tmc'>,
  opening: bigint,
): Uint8Array {
  const keys = transactionKeys(tmacKey, Buffer.from(card, 'hex'), tmc + 1);
  return tmv(keys, transactionInput(reloadCommands({ ...asked, amount }, asked, opening)));
}
