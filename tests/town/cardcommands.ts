/** What the emulated card does for each command once access and protection have been checked. */
import { concat, fromLsb, lsb } from './cardcrypto.ts';
import { type CardFile, type CardMemory, type CardMode, type Deed, settingsOf, tmacFile } from './cardfiles.ts';
import { commit, cover, demandsReader, emptyTransaction, type Transaction, takeReader } from './cardtransaction.ts';

/** What a command works on. */
export interface Workplace {
  readonly memory: CardMemory;
  transaction: Transaction;
  readonly authenticated: boolean;
  /** The protection that was in force for this command. */
  readonly mode: CardMode;
}

export interface CardCommand {
  /** Bytes of parameters in clear. */
  readonly header: number;
  /** Bytes of data that follow: a number, what the header announces (`range`), or for the command to judge (`any`). */
  readonly data: number | 'range' | 'any';
  /** Protection in a session, or what must be permitted on the file named by the first header byte. */
  readonly guard: CardMode | Deed;
  /** Whether it needs a session: always, or by the settings of what is selected. */
  readonly session?: true | ((memory: CardMemory) => boolean);
  /** Where only key 0's session will do: the second status byte for every other session. */
  readonly otherKey?: number;
  /** Second status byte of success, if it is not 00. */
  readonly status?: number;
  /** Whether a success leaves no session to protect its reply with. */
  readonly endsSession?: (header: Uint8Array) => boolean;
  /** @returns the answer's plain data, or the second status byte of an error. */
  readonly run: (place: Workplace, header: Uint8Array, data: Uint8Array) => Uint8Array | number;
}

const BOUNDARY = 0xbe;
const PARAMETER = 0x9e;
const PERMISSION_DENIED = 0x9d;
const NO_SUCH_KEY = 0x40;
const NO_SUCH_FILE = 0xf0;
const DONE = new Uint8Array();

const first3 = (header: Uint8Array): number => fromLsb(header.subarray(1, 4));
const second3 = (header: Uint8Array): number => fromLsb(header.subarray(4, 7));
const fileOf = (place: Workplace, header: Uint8Array): CardFile | undefined => place.memory.files.get(header[0] ?? 0);

function readData(place: Workplace, header: Uint8Array): Uint8Array | number {
  const file = fileOf(place, header);
  if (file?.kind !== 'standard' && file?.kind !== 'backup' && file?.kind !== 'tmac') return PERMISSION_DENIED;
  const content = file.kind === 'tmac' ? concat(lsb(file.tmc, 4), file.tmv) : file.content;
  const from = first3(header);
  const length = second3(header) === 0 ? content.length - from : second3(header);
  if (length <= 0 || from + length > content.length) return BOUNDARY;
  const data = content.slice(from, from + length);
  // Reading the TMAC file itself leaves no trace in the certificate.
  if (file.kind !== 'tmac') {
    cover(place.transaction, concat([0xad], header.subarray(0, 4), lsb(length, 3), new Uint8Array(8)), data);
  }
  return data;
}

/**
 * A standard file is written at once, whatever becomes of the transaction; the certificate covers it all the same. A
 * backup file waits for the commit.
 */
function writeData(place: Workplace, header: Uint8Array, data: Uint8Array): Uint8Array | number {
  const file = fileOf(place, header);
  if (file?.kind !== 'standard' && file?.kind !== 'backup') return PERMISSION_DENIED;
  if (file.kind === 'backup' && plainChange(place)) return PERMISSION_DENIED;
  const from = first3(header);
  if (data.length === 0 || from + data.length > file.content.length) return BOUNDARY;
  const { backups } = place.transaction;
  const no = header[0] ?? 0;
  const content = (backups.get(no) ?? file.content).slice();
  content.set(data, from);
  if (file.kind === 'backup') backups.set(no, content);
  else file.content = content;
  cover(place.transaction, concat([0x8d], header, new Uint8Array(8)), data);
  return DONE;
}

/** With a reader id demanded, changes in plain mode are refused (CARDS section 4.3). */
function plainChange(place: Workplace): boolean {
  const file = tmacFile(place.memory);
  return place.mode === 'plain' && file !== null && demandsReader(file);
}

function getValue(place: Workplace, header: Uint8Array): Uint8Array | number {
  const file = fileOf(place, header);
  if (file?.kind !== 'value') return PERMISSION_DENIED;
  // The committed value: what waits for a commit does not show yet.
  const value = lsb(file.value, 4);
  cover(place.transaction, concat([0x6c], header, value));
  return value;
}

const change = (ins: 0xdc | 0x0c) => (place: Workplace, header: Uint8Array, data: Uint8Array) => {
  const file = fileOf(place, header);
  const no = header[0] ?? 0;
  if (file?.kind !== 'value' || plainChange(place)) return PERMISSION_DENIED;
  const amount = fromLsb(data);
  if (amount >= 2 ** 31) return PARAMETER;
  const next = (place.transaction.values.get(no) ?? file.value) + (ins === 0xdc ? -amount : amount);
  if (next < file.lower || next > file.upper) return BOUNDARY;
  place.transaction.values.set(no, next);
  cover(place.transaction, concat([ins], header, data));
  return DONE;
};

function readRecords(place: Workplace, header: Uint8Array): Uint8Array | number {
  const file = fileOf(place, header);
  if (file?.kind !== 'cyclic') return PERMISSION_DENIED;
  const skip = first3(header);
  const there = file.records.length;
  const count = second3(header) === 0 ? there - skip : second3(header);
  if (count <= 0 || skip + count > there) return BOUNDARY;
  // Number 0 is the newest; a span comes oldest first.
  const data = concat(...file.records.slice(there - skip - count, there - skip));
  cover(place.transaction, concat([0xab], header.subarray(0, 4), lsb(count, 3), new Uint8Array(8)), data);
  return data;
}

function writeRecord(place: Workplace, header: Uint8Array, data: Uint8Array): Uint8Array | number {
  const file = fileOf(place, header);
  const no = header[0] ?? 0;
  if (file?.kind !== 'cyclic' || plainChange(place)) return PERMISSION_DENIED;
  const from = first3(header);
  if (data.length === 0 || from + data.length > file.recordSize) return BOUNDARY;
  // A second write in the same transaction goes into the same waiting record.
  const record = (place.transaction.records.get(no) ?? new Uint8Array(file.recordSize)).slice();
  record.set(data, from);
  place.transaction.records.set(no, record);
  cover(place.transaction, concat([0x8b], header, new Uint8Array(8)), data);
  return DONE;
}

function commitReader(place: Workplace, _: Uint8Array, data: Uint8Array): Uint8Array | number {
  const file = tmacFile(place.memory);
  if (file === null || place.transaction.tmri !== null) return PERMISSION_DENIED;
  return takeReader(place.memory, file, place.transaction, data, place.authenticated);
}

function commitTransaction(place: Workplace, header: Uint8Array): Uint8Array | number {
  const option = header[0] ?? 0;
  if (option > 1) return PARAMETER;
  const answer = commit(place.memory, place.transaction, option === 1);
  place.transaction = emptyTransaction();
  return answer;
}

/** The commands of the card, by INS; authentication, frames and select are the processor's own. */
export const cardCommands: Readonly<Record<number, CardCommand>> = {
  81: { header: 0, data: 0, guard: 'full', session: true, run: ({ memory }) => memory.uid },
  100: {
    header: 1,
    data: 0,
    guard: 'mac',
    run: ({ memory }, header) => {
      const key = memory.keys[header[0] ?? 0xff];
      return key === undefined ? NO_SUCH_KEY : Uint8Array.of(key.version);
    },
  },
  245: {
    header: 1,
    data: 0,
    guard: 'mac',
    run: (place, header) => {
      const file = fileOf(place, header);
      return file === undefined ? NO_SUCH_FILE : settingsOf(file);
    },
  },
  60: {
    header: 1,
    data: 0,
    guard: 'full',
    status: 0x90,
    run: ({ memory }, header) => (header[0] === 0 ? (memory.signature ?? new Uint8Array(56)) : PARAMETER),
  },
  111: { header: 0, data: 0, guard: 'mac', run: ({ memory }) => Uint8Array.from(memory.files.keys()) },
  173: { header: 7, data: 0, guard: 'read', run: readData },
  141: { header: 7, data: 'range', guard: 'write', run: writeData },
  108: { header: 1, data: 0, guard: 'take', run: getValue },
  220: { header: 1, data: 4, guard: 'take', run: change(0xdc) },
  12: { header: 1, data: 4, guard: 'add', run: change(0x0c) },
  171: { header: 7, data: 0, guard: 'read', run: readRecords },
  139: { header: 7, data: 'range', guard: 'write', run: writeRecord },
  200: { header: 0, data: 16, guard: 'reader id', run: commitReader },
  199: { header: 1, data: 0, guard: 'mac', run: commitTransaction },
  167: {
    header: 0,
    data: 0,
    guard: 'mac',
    run: (place) => {
      place.transaction = emptyTransaction();
      return DONE;
    },
  },
};
