/** The emulated card's open transaction: what waits for the commit, and its certificate's input (CARDS section 4). */
import { certificateKeys, concat, lsb, sealZeroIv, shortMac } from './cardcrypto.ts';
import { type CardMemory, type TmacFile, tmacFile } from './cardfiles.ts';

/** Lost at any error, abort, select or when the card leaves the field. */
export interface Transaction {
  /** The certificate's input so far. */
  tmi: Uint8Array;
  /** The reader id that becomes the previous one at the commit; null until CommitReaderID. */
  tmri: Uint8Array | null;
  /** CommitReaderID without a session enters the certificate, but is not remembered. */
  remembers: boolean;
  /** Value files as they will be. */
  readonly values: Map<number, number>;
  /** Backup files as they will be. */
  readonly backups: Map<number, Uint8Array>;
  /** Record files' next record. */
  readonly records: Map<number, Uint8Array>;
}

export function emptyTransaction(): Transaction {
  const waiting = { values: new Map(), backups: new Map(), records: new Map() };
  return { tmi: new Uint8Array(), tmri: null, remembers: false, ...waiting };
}

const filled = (bytes: Uint8Array): Uint8Array => concat(bytes, new Uint8Array((16 - (bytes.length % 16)) % 16));

/** Adds one command to the certificate's input: its head, then the plain data, each filled to whole blocks. */
export function cover(transaction: Transaction, head: Uint8Array, data: Uint8Array = new Uint8Array()): void {
  transaction.tmi = concat(transaction.tmi, filled(head), filled(data));
}

/** Whether the TMAC file demands a reader id: its ReadWrite nibble is anything but never. */
export const demandsReader = (file: TmacFile): boolean => file.access[0] >> 4 !== 0x0f;

/** CommitReaderID: the previous reader id under a key that only the holder of the TMAC key can derive. */
export function takeReader(
  memory: CardMemory,
  file: TmacFile,
  transaction: Transaction,
  tmri: Uint8Array,
  open: boolean,
) {
  const { enc } = certificateKeys(file.key, memory.uid, file.tmc + 1);
  const hidden = open ? sealZeroIv(enc, file.tmriPrev) : new Uint8Array();
  transaction.tmri = tmri;
  transaction.remembers = open;
  cover(transaction, concat([0xc8], tmri, hidden));
  return hidden;
}

const PERMISSION_DENIED = 0x9d;
const PARAMETER = 0x9e;
const NO_CHANGES = 0x0c;

/**
 * All or nothing, in one go: value, backup, record, counter, certificate and previous reader id.
 * @returns TMC ‖ TMV, nothing if it was not asked for, or an error byte
 */
export function commit(memory: CardMemory, transaction: Transaction, certify: boolean): Uint8Array | number {
  const file = tmacFile(memory);
  if (file === null && certify) return PARAMETER;
  const { values, backups, records } = transaction;
  if (file === null && values.size + backups.size + records.size === 0) return NO_CHANGES;
  if (file !== null && demandsReader(file) && transaction.tmri === null) return PERMISSION_DENIED;
  for (const [no, value] of values) {
    const target = memory.files.get(no);
    if (target?.kind === 'value') target.value = value;
  }
  for (const [no, content] of backups) {
    const target = memory.files.get(no);
    if (target?.kind === 'backup') target.content = content;
  }
  for (const [no, record] of records) {
    const target = memory.files.get(no);
    if (target?.kind === 'cyclic') target.records = [...target.records, record].slice(1 - target.slots);
  }
  if (file === null) return new Uint8Array();
  file.tmc += 1;
  file.tmv = shortMac(certificateKeys(file.key, memory.uid, file.tmc).mac, transaction.tmi);
  if (transaction.tmri !== null && transaction.remembers) file.tmriPrev = transaction.tmri;
  return certify ? concat(lsb(file.tmc, 4), file.tmv) : new Uint8Array();
}
