/** A look at a card after a doubt: its counter, its last certificate and its last records, without a transaction. */
import { type CardAccess, meet } from './meeting.ts';
import type { Failure, Script } from './script.ts';

/** What the card says of itself, proven by its MAC. */
export interface Look {
  readonly ok: true;
  /** File 0F: TMC (little-endian) ‖ TMV of the last commit, 12 bytes. */
  readonly before: Uint8Array;
  /** The last four records, oldest first, 64 bytes. */
  readonly records: Uint8Array;
}

/** `Select · 71 key 1 · AF · AD 0F · AB 01 0 4` (TRUTH section 4). Nothing is committed: leaving the card clears it. */
export function* look(access: CardAccess): Script<Look | Failure> {
  const met = yield* meet(access);
  return met.ok ? { ok: true, before: met.before, records: met.records } : met;
}
