/** The steps that all transactions share: balance, record, reader id, and the commit that gives the certificate. */
import { commands, range } from './commands.ts';
import { LIGHT } from './layout.ts';
import { type Answer, ask, type Failure, failure, type Script } from './script.ts';
import type { Session } from './session.ts';

/** Record and reader id of one deed, 16 bytes each (TRUTH section 2). */
export interface Marks {
  readonly record: Uint8Array;
  readonly tmri: Uint8Array;
}

/** The card's certificate of one transaction. */
export interface Certificate {
  readonly ok: true;
  /** The counter this transaction got. */
  readonly tmc: number;
  /** Transaction MAC value, 8 bytes. */
  readonly tmv: Uint8Array;
  readonly session: Session;
}

const { records: recordFile, purse } = LIGHT.files;
const TMRI_LENGTH = 16;
const RETURN_CERTIFICATE = 0x01;
const CERTIFICATE_LENGTH = 12;
const NONE = new Uint8Array();

/** `C8`. @returns with the previous reader id, enciphered by the card, as data. */
export function identify(session: Session, tmri: Uint8Array) {
  return ask(session, {
    at: 'commit reader id',
    command: commands.commitReaderId,
    protection: 'mac',
    header: NONE,
    data: tmri,
    replyLength: TMRI_LENGTH,
    otherwise: 'not-executed',
  });
}

/** `8B 01 · C8`. @returns with the previous reader id, enciphered by the card, as data. */
export function* mark(before: Session, { record, tmri }: Marks): Script<Answer | Failure> {
  const written = yield* ask(before, { ...recordQuestion(record), otherwise: 'not-executed' });
  return written.ok ? yield* identify(written.session, tmri) : written;
}

/** GetValue of the purse: the opening balance, under the certificate. */
export const balanceQuestion = {
  at: 'read purse',
  command: commands.getValue,
  protection: purse.mode,
  header: Uint8Array.of(purse.no),
  replyLength: purse.size,
} as const;

/** WriteRecord of a whole record. */
export const recordQuestion = (record: Uint8Array) => ({
  at: 'write record',
  command: commands.writeRecord,
  protection: recordFile.mode,
  header: range(recordFile.no, 0, recordFile.size),
  data: record,
  replyLength: 0,
});

/** CommitTransaction that asks for the certificate. */
export const commitQuestion = {
  at: 'commit',
  command: commands.commitTransaction,
  protection: 'mac',
  header: Uint8Array.of(RETURN_CERTIFICATE),
  replyLength: CERTIFICATE_LENGTH,
} as const;

/**
 * `C7 01`. Anything but a reply with a valid MAC leaves it `unknown`, error statuses too: they carry no MAC, and
 * readers give such bytes for a torn card (CARDS section 6).
 * @param before counter that the card had shown
 */
export function* certify(session: Session, before: number): Script<Certificate | Failure> {
  const committed = yield* ask(session, { ...commitQuestion, otherwise: 'unknown', proven: 'executed' });
  if (!committed.ok) return committed;
  const tmc = readLittle(committed.data, 0);
  if (tmc !== before + 1) return failure('commit', 'garbled', 'executed', null);
  return { ok: true, tmc, tmv: committed.data.slice(4), session: committed.session };
}

/** Four bytes as the card writes numbers. */
export function readLittle(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(at, true);
}
