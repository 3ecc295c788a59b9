/** What a card that comes back says about a sale left in doubt (TRUTH section 4). */

/** What was journaled before the commit was sent; with the card's answer it is a whole claim. Hex in lower case. */
export interface Intent {
  readonly uid: string;
  /** Version of the card's TMAC key. */
  readonly keyVersion: number;
  /** TMC₀ and its certificate (8 bytes), as read from file 0F before the transaction. */
  readonly tmc: number;
  readonly tmv: string;
  /** The last four records, oldest first, 64 bytes. */
  readonly records: string;
  /** Purse balance, in rupiah. */
  readonly opening: number;
  /** The record written, the reader id, and the reader id before as the card enciphered it: 16 bytes each. */
  readonly record: string;
  readonly tmri: string;
  readonly encTmri: string;
}

/** What the card says now, under its own MAC. */
export interface Sight {
  readonly keyVersion: number;
  readonly tmc: number;
  readonly tmv: string;
  /** The last four records, oldest first, 64 bytes as hex. */
  readonly records: string;
}

export type Finding =
  | { readonly kind: 'not-committed' }
  /** The card holds the certificate that the torn answer lost. */
  | { readonly kind: 'committed'; readonly tmc: number; readonly tmv: string }
  /** Committed, but later commits have overwritten its certificate. */
  | { readonly kind: 'committed-unproven' }
  | { readonly kind: 'still-in-doubt' };

const RECORD_HEX = 32;
const RECORDS_READ = 4;

/** The table of TRUTH section 4, row by row. */
export function judge(intent: Intent, sight: Sight): Finding {
  const since = sight.tmc - intent.tmc;
  if (sight.keyVersion !== intent.keyVersion || since < 0) return { kind: 'still-in-doubt' };
  if (since === 0) return { kind: 'not-committed' };
  const records = Array.from({ length: RECORDS_READ }, (_, i) =>
    sight.records.slice(i * RECORD_HEX, (i + 1) * RECORD_HEX),
  );
  if (since === 1) {
    const ours = records[RECORDS_READ - 1] === intent.record;
    return ours ? { kind: 'committed', tmc: sight.tmc, tmv: sight.tmv } : { kind: 'not-committed' };
  }
  if (records.includes(intent.record)) return { kind: 'committed-unproven' };
  return { kind: since <= RECORDS_READ ? 'not-committed' : 'still-in-doubt' };
}
