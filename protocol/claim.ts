/** A claim: a card's certificate, the typed commands it covers, and the one list each kind of sale allows. */
import { type Static, Type } from 'typebox';
import { CardUidSchema, hexSchema } from './ids.ts';

const byte = Type.Integer({ minimum: 0, maximum: 255 });
const u24 = Type.Integer({ minimum: 0, maximum: 2 ** 24 - 1 });
const u32 = Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 });

/** ReadRecords: file, first record (0 = newest), count, and the records as read, oldest first. */
const ReadRecords = Type.Object({
  ins: Type.Literal('AB'),
  file: byte,
  from: u24,
  count: u24,
  data: Type.String({ pattern: '^([0-9a-f]{2}){1,256}$' }),
});
/** GetValue: file and the value read, in rupiah. */
const GetValue = Type.Object({ ins: Type.Literal('6C'), file: byte, value: u32 });
/** Debit: file and amount, in rupiah. */
const Debit = Type.Object({ ins: Type.Literal('DC'), file: byte, value: u32 });
/** Credit: file and amount, in rupiah. */
const Credit = Type.Object({ ins: Type.Literal('0C'), file: byte, value: u32 });
/** WriteRecord: file, offset, and the bytes written. */
const WriteRecord = Type.Object({
  ins: Type.Literal('8B'),
  file: byte,
  offset: u24,
  data: Type.String({ pattern: '^([0-9a-f]{2}){1,256}$' }),
});
/** CommitReaderID: our reader id, and the previous one as the card enciphered it. */
const CommitReaderId = Type.Object({ ins: Type.Literal('C8'), tmri: hexSchema(16), encTmri: hexSchema(16) });

/** One command inside a card transaction, with plain data, as the Transaction MAC covers it. */
export const CardCommand = Type.Union([ReadRecords, GetValue, Debit, Credit, WriteRecord, CommitReaderId]);
export type CardCommand = Static<typeof CardCommand>;

export const Claim = Type.Object({
  uid: CardUidSchema,
  /** Version of the TMAC key the certificate was made under. */
  keyVersion: byte,
  /** The counter the card reported with the certificate. */
  tmc: Type.Integer({ minimum: 1, maximum: 2 ** 32 - 1 }),
  /** The certificate (Transaction MAC value). */
  tmv: hexSchema(8),
  commands: Type.Array(CardCommand, { minItems: 1, maxItems: 8 }),
  /** File 0F as read before, TMC (little-endian) ‖ TMV: evidence about the slot before (TRUTH section 2). */
  before: hexSchema(12),
});
export type Claim = Static<typeof Claim>;

/** What the grammar of an account sale leaves over once its fixed parts are checked. */
export interface AccountParts {
  /** The card's last four records, oldest first: 64 bytes as hex. */
  readonly records: string;
  /** Purse balance before, in rupiah. */
  readonly opening: number;
  /** The 16-byte record written, as hex. */
  readonly record: string;
  readonly tmri: string;
  readonly encTmri: string;
}

/**
 * Reads `AB 01 0 4 · 6C 03 · 8B 01 · C8` (TRUTH section 2): the only list that authorises an account sale.
 * @returns null for any other list, file, offset or length.
 */
export function readAccount(commands: readonly CardCommand[]): AccountParts | null {
  if (commands.length !== 4) return null;
  const [read, value, write, reader] = commands;
  if (read?.ins !== 'AB' || read.file !== 1 || read.from !== 0 || read.count !== 4 || read.data.length !== 128)
    return null;
  if (value?.ins !== '6C' || value.file !== 3) return null;
  if (write?.ins !== '8B' || write.file !== 1 || write.offset !== 0 || write.data.length !== 32) return null;
  if (reader?.ins !== 'C8') return null;
  return { records: read.data, opening: value.value, record: write.data, tmri: reader.tmri, encTmri: reader.encTmri };
}
