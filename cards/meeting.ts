/** How every conversation of a payment begins: select, authenticate, read the counter file and the last records. */
import { commands, range } from './commands.ts';
import { KEY_NO, LIGHT, RECORDS_READ } from './layout.ts';
import { authenticate, selectOurs } from './opening.ts';
import { ask, type Failure, type Script } from './script.ts';
import type { Session } from './session.ts';

/** Session under one key of our application. */
export interface CardAccess {
  /** Key 1 of this card, 16 bytes. */
  readonly key1: Uint8Array;
  /** 16 random bytes, used once. */
  readonly rndA: Uint8Array;
}

/** What the card showed under its own MAC. */
export interface Meeting {
  readonly ok: true;
  readonly session: Session;
  /** File 0F: TMC (little-endian) ‖ TMV of the last commit, 12 bytes. */
  readonly before: Uint8Array;
  /** The last four records, oldest first, 64 bytes; now part of the transaction. */
  readonly records: Uint8Array;
}

const { counter, records: recordFile } = LIGHT.files;
const RECORDS_LENGTH = RECORDS_READ * recordFile.size;

/** Reads TMC (little-endian) ‖ TMV of the last commit; not part of the transaction. */
export function readCounter(session: Session) {
  return ask(session, {
    at: 'read counter',
    command: commands.readData,
    protection: counter.mode,
    header: range(counter.no, 0, counter.size),
    replyLength: counter.size,
    otherwise: 'not-executed',
  });
}

/** `Select · 71 key 1 · AF · AD 0F · AB 01 0 4`: nothing is changed on the card. */
export function* meet({ key1, rndA }: CardAccess): Script<Meeting | Failure> {
  const selected = yield* selectOurs();
  if (!selected.ok) return selected;
  const opened = yield* authenticate({ no: KEY_NO.debit, key: key1 }, rndA);
  if (!opened.ok) return opened;
  const before = yield* readCounter(opened.session);
  if (!before.ok) return before;
  const records = yield* ask(before.session, {
    at: 'read records',
    command: commands.readRecords,
    protection: recordFile.mode,
    header: range(recordFile.no, 0, RECORDS_READ),
    replyLength: RECORDS_LENGTH,
    otherwise: 'not-executed',
  });
  if (!records.ok) return records;
  return { ok: true, session: records.session, before: before.data, records: records.data };
}
