/** The account sale on the card: nine commands that end in the card's certificate (TRUTH section 2). */
import { commands, range } from './commands.ts';
import { LIGHT, RECORDS_READ } from './layout.ts';
import { type CardAccess, meet } from './meeting.ts';
import { ask, type Failure, failure, type Script } from './script.ts';
import type { CoveredCommand } from './tmac.ts';

export interface AccountOrder extends CardAccess {
  /** The 16-byte record to write and the reader id of the same deed. */
  readonly record: Uint8Array;
  readonly tmri: Uint8Array;
  /**
   * Makes the intent durable. Called once, when nothing but the commit is left; it returns when the intent is on disk.
   * If it throws, the commit is never sent (TRUTH section 4).
   */
  readonly journal: (intent: AccountIntent) => void;
}

/** What the card has shown before the commit: enough to rebuild the claim later. */
export interface AccountIntent {
  /** File 0F as read: TMC (little-endian) ‖ TMV of the last commit, 12 bytes. */
  readonly before: Uint8Array;
  /** The last four records, oldest first, 64 bytes. */
  readonly records: Uint8Array;
  /** Purse balance, in rupiah. */
  readonly opening: bigint;
  /** The previous reader id, enciphered by the card, 16 bytes. */
  readonly encTmri: Uint8Array;
}

/** The sale is committed and certified. */
export interface AccountDone extends AccountIntent {
  readonly ok: true;
  /** The counter this transaction got. */
  readonly tmc: number;
  /** The certificate, 8 bytes. */
  readonly tmv: Uint8Array;
}

const { records: recordFile, purse } = LIGHT.files;
const TMRI_LENGTH = 16;
const RETURN_CERTIFICATE = 0x01;
const CERTIFICATE_LENGTH = 12;
const NONE = new Uint8Array();
const BEFORE_COMMIT = { otherwise: 'not-executed' } as const;

/**
 * `Select · 71 key 1 · AF · AD 0F · AB 01 0 4 · 6C 03 · 8B 01 · C8 · C7 01`, one command at a time.
 *
 * Until the commit is sent nothing has happened (`not-executed`). Once it was sent, anything but a reply with a valid
 * MAC leaves it `unknown`, error statuses too: they carry no MAC, and readers give such bytes for a torn card (CARDS
 * section 6).
 */
export function* account(order: AccountOrder): Script<AccountDone | Failure> {
  const met = yield* meet(order);
  if (!met.ok) return met;
  const value = yield* ask(met.session, {
    at: 'read purse',
    command: commands.getValue,
    protection: purse.mode,
    header: Uint8Array.of(purse.no),
    replyLength: purse.size,
    ...BEFORE_COMMIT,
  });
  if (!value.ok) return value;
  const written = yield* ask(value.session, {
    at: 'write record',
    command: commands.writeRecord,
    protection: recordFile.mode,
    header: range(recordFile.no, 0, recordFile.size),
    data: order.record,
    replyLength: 0,
    ...BEFORE_COMMIT,
  });
  if (!written.ok) return written;
  const reader = yield* ask(written.session, {
    at: 'commit reader id',
    command: commands.commitReaderId,
    protection: 'mac',
    header: NONE,
    data: order.tmri,
    replyLength: TMRI_LENGTH,
    ...BEFORE_COMMIT,
  });
  if (!reader.ok) return reader;
  const opening = BigInt(readLittle(value.data, 0));
  const intent = { before: met.before, records: met.records, opening, encTmri: reader.data };
  order.journal(intent);
  const committed = yield* ask(reader.session, {
    at: 'commit',
    command: commands.commitTransaction,
    protection: 'mac',
    header: Uint8Array.of(RETURN_CERTIFICATE),
    replyLength: CERTIFICATE_LENGTH,
    otherwise: 'unknown',
    proven: 'executed',
  });
  if (!committed.ok) return committed;
  const tmc = readLittle(committed.data, 0);
  if (tmc !== readLittle(met.before, 0) + 1) return failure('commit', 'garbled', 'executed', null);
  return { ok: true, ...intent, tmc, tmv: committed.data.slice(4) };
}

/** The typed command list of an account sale (or heal) as claims carry it, hex in lower case. */
export function accountCommands(
  order: Pick<AccountOrder, 'record' | 'tmri'>,
  intent: AccountIntent,
): [CoveredCommand, CoveredCommand, CoveredCommand, CoveredCommand] {
  return [
    { ins: 'AB', file: recordFile.no, from: 0, count: RECORDS_READ, data: hex(intent.records) },
    { ins: '6C', file: purse.no, value: Number(intent.opening) },
    { ins: '8B', file: recordFile.no, offset: 0, data: hex(order.record) },
    { ins: 'C8', tmri: hex(order.tmri), encTmri: hex(intent.encTmri) },
  ];
}

function readLittle(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(at, true);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
