/** A list of members who are to have cards, as officers bring it: a CSV file, every fault of it told. */
import { Compile } from 'typebox/compile';
import { type CooperativeId, CooperativeIdSchema, type MemberId, MemberIdSchema, PLATFORM } from '../protocol/ids.ts';
import { beginsAsFormula, type CsvRecord, readCsv, type Separator } from './csv.ts';
import { readBoundedBytes } from './files.ts';
import { isPrintable, quoted } from './printable.ts';
import type { Member } from './store/registry.ts';

const ROWS_MAX = 10_000;
const BYTES_MAX = 2 * 1024 * 1024;
const COLUMNS = ['cooperative', 'member', 'name'] as const;
/** The longest name that a town may give (town.ts). */
const NAME_MAX = 64;

const cooperative = Compile(CooperativeIdSchema);
const member = Compile(MemberIdSchema);

export interface Fault {
  /** Line of the file, from 1; null for the file as a whole. */
  readonly line: number | null;
  readonly error: string;
}

/** A row that is right in itself. */
export interface Listed {
  readonly line: number;
  readonly member: Member;
}

export interface MemberList {
  readonly rows: readonly Listed[];
  readonly faults: readonly Fault[];
}

function nameFault(name: string): string | null {
  if (name === '') return 'the name is empty';
  if ([...name].length > NAME_MAX) return `the name has more than ${NAME_MAX} characters`;
  if (!isPrintable(name)) return `the name ${quoted(name)} has characters that are not to be seen; type it anew`;
  if (beginsAsFormula(name)) return `the name ${quoted(name)} begins like a formula; it must begin with a letter`;
  return null;
}

function readRow({ line, fields, fault }: CsvRecord): Listed | Fault[] {
  if (fault !== null) return [{ line, error: `${fault}; put the whole field in quotes, and double those inside it` }];
  if (fields.length !== COLUMNS.length) {
    return [{ line, error: `${fields.length} fields instead of ${COLUMNS.length}: ${COLUMNS.join(', ')}` }];
  }
  const [home = '', id = '', name = ''] = fields.map((field) => field.trim().normalize('NFC'));
  const faults: (string | null)[] = [
    cooperative.Check(home) && home !== PLATFORM ? null : `${quoted(home)} names no cooperative`,
    member.Check(id)
      ? null
      : `${quoted(id)} is no member's id: a small letter, then small letters, digits and dashes, 32 at most`,
    nameFault(name),
  ];
  const told = faults.flatMap((error) => (error === null ? [] : [{ line, error }]));
  if (told.length > 0) return told;
  return { line, member: { id: id as MemberId, cooperative: home as CooperativeId, name } };
}

const whole = (error: string): MemberList => ({ rows: [], faults: [{ line: null, error }] });

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

function readText(text: string): MemberList {
  const header = /^[^\r\n]*/.exec(text)?.[0] ?? '';
  const separator: Separator = header.includes(';') ? ';' : ',';
  const expected = `"${COLUMNS.join(';')}" or "${COLUMNS.join(',')}"`;
  const names = header.split(separator).map((name) =>
    name
      .replace(/^"(.*)"$/, '$1')
      .trim()
      .toLowerCase(),
  );
  if (names.join() !== COLUMNS.join()) return whole(`the first line is ${quoted(header)}; it must be ${expected}`);
  const rows: Listed[] = [];
  const faults: Fault[] = [];
  const seen = new Map<string, number>();
  let count = 0;
  for (const record of readCsv(text, separator)) {
    if (record.line === 1) continue;
    count += 1;
    if (count > ROWS_MAX) return whole(`more than ${ROWS_MAX} rows; split it into several lists`);
    const row = readRow(record);
    if ('length' in row) {
      faults.push(...row);
      continue;
    }
    const before = seen.get(row.member.id);
    if (before === undefined) {
      seen.set(row.member.id, row.line);
      rows.push(row);
    } else faults.push({ line: row.line, error: `member ${row.member.id} stands on line ${before} already` });
  }
  return rows.length + faults.length === 0 ? whole('there is no member below the first line') : { rows, faults };
}

/** Reads a list: UTF-8, with or without a byte order mark; at most 10,000 rows and 2 MiB. */
export function readMemberList(path: string): MemberList {
  let bytes: Buffer | null;
  try {
    bytes = readBoundedBytes(path, BYTES_MAX);
  } catch (error) {
    return whole(`it cannot be read (${(error as NodeJS.ErrnoException).code}); check its name`);
  }
  if (bytes === null) return whole(`it has more than ${BYTES_MAX} bytes; split it into several lists`);
  const text = decode(bytes);
  return text === null ? whole('it is not UTF-8 text; save it as "CSV UTF-8"') : readText(text);
}
