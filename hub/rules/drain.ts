/** Drain, judged: what a later look at the card says of a drain whose answer was lost (TRUTH sections 2, 4 and 5). */

/** A drain that was begun and whose end is not known. */
export interface OpenDrain {
  /** Version of the counter file's key. */
  readonly keyVersion: number;
  /** TMC₀: the drain can have filled the slot after it, and no other. */
  readonly tmc: number;
}

/** A later transaction of the card, under its valid certificate. */
export interface LaterCommit {
  readonly keyVersion: number;
  readonly tmc: number;
  /** The last four records, which it certifies, hold the drain's in all 16 bytes. */
  readonly holdsRecord: boolean;
}

/** Slots before a commit whose records it certifies. */
const RECORDS_SHOWN = 4;

/**
 * Whether a drain was never committed. A commit that fills its slot is another's; and since every commit writes its
 * record, a drain whose record is not among those of the slots that are shown never came to pass. That a record is
 * there proves nothing: whoever relays the hub's script knows it. Only the certificate in the counter file does.
 */
export function isVoid({ keyVersion, tmc }: OpenDrain, later: LaterCommit): boolean {
  const slot = tmc + 1;
  if (later.keyVersion !== keyVersion || later.tmc < slot) return false;
  return later.tmc === slot || (later.tmc - slot <= RECORDS_SHOWN && !later.holdsRecord);
}
