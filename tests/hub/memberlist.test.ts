/** Lists of members are read strictly: every fault of every row is told with its line. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readCsv, type Separator, writeCsvRecord } from '../../hub/csv.ts';
import { readMemberList } from '../../hub/memberlist.ts';
import { isPrintable } from '../../hub/printable.ts';
import { temporary } from './world.ts';

const HEADER = 'cooperative;member;name';

function read(text: string | Uint8Array) {
  const path = join(temporary(), 'members.csv');
  writeFileSync(path, text);
  return readMemberList(path);
}

const names = (text: string | Uint8Array) => read(text).rows.map(({ line, member }) => [line, member.name]);
const faults = (text: string | Uint8Array) => read(text).faults.map(({ line, error }) => `${line}: ${error}`);

test('semicolons and commas, byte order marks, quotes, and every way to end a line are read', () => {
  expect(read('cooperative,member,name\npasar,siti,Siti').rows).toEqual([
    { line: 2, member: { cooperative: 'pasar', id: 'siti', name: 'Siti' } },
  ]);
  expect(names(`\ufeff${HEADER}\r\npasar;siti;"Siti ""Ayu""; ibu"\r\n\r\npasar;budi; Budi \r\n`)).toEqual([
    [2, 'Siti "Ayu"; ibu'],
    [4, 'Budi'],
  ]);
  expect(names(`"Cooperative";"Member";"Name"\rpasar;siti;Siti\rpasar;budi;Budi`)).toEqual([
    [2, 'Siti'],
    [3, 'Budi'],
  ]);
  expect(names(`${HEADER}\npasar;e;Jose\u0301`)).toEqual([[2, 'José']]);
  expect(names(`${HEADER}\npasar;x;<script>alert(1)</script>`)).toEqual([[2, '<script>alert(1)</script>']]);
});

test('every fault of every row is told, also behind a field that spans lines', () => {
  const text = [
    HEADER,
    'pasar;siti;Siti',
    'Pasar;BUDI;',
    'pasar;tini',
    'pasar;siti;Siti lagi',
    'platform;joko;Joko',
    'pasar;a;"two\nlines"',
    'pasar;b;=HYPERLINK("x")',
    'pasar;c;"C"x',
    `pasar;d;${'n'.repeat(65)}`,
    'pasar;e;Evil\u202ename',
    'pasar;f;a\u0000b',
    'pasar;g;"never closed',
    'pasar;h;H',
  ].join('\n');
  const told = faults(text);
  expect(told.map((one) => one.split(':')[0])).toEqual([
    '3',
    '3',
    '3',
    '4',
    '5',
    '6',
    '7',
    '9',
    '10',
    '11',
    '12',
    '13',
    '14',
  ]);
  expect(told[4]).toBe('5: member siti stands on line 2 already');
  expect(told[12]).toMatch(/never closed/);
  expect(isPrintable(told.join(' '))).toBe(true);
});

test('what is no list at all is refused as a whole', () => {
  expect(faults('')).toEqual([expect.stringMatching(/^null: the first line is "".*must be/)]);
  expect(faults(HEADER)).toEqual([expect.stringMatching(/no member/)]);
  expect(faults('name;member;cooperative\nx;y;z')).toEqual([expect.stringMatching(/must be/)]);
  expect(faults(Buffer.from(`${HEADER}\npasar;siti;Siti`, 'utf16le'))).toEqual([expect.stringMatching(/first line/)]);
  expect(faults(Buffer.from(`${HEADER}\npasar;siti;Andr\xe9`, 'latin1'))).toEqual([expect.stringMatching(/UTF-8/)]);
  expect(faults(new Uint8Array(2 ** 21 + 1))).toEqual([expect.stringMatching(/more than 2097152 bytes/)]);
  const rows = (count: number) => Array.from({ length: count }, (_, at) => `pasar;m${at};M`).join('\n');
  expect(read(`${HEADER}\n${rows(10_000)}`).rows).toHaveLength(10_000);
  expect(faults(`${HEADER}\n${rows(10_001)}`)).toEqual([expect.stringMatching(/more than 10000 rows/)]);
  expect(readMemberList('/nowhere/list.csv').faults[0]?.error).toMatch(/ENOENT/);
  expect(readMemberList(temporary()).faults[0]?.error).toMatch(/EISDIR/);
  expect(faults(`${HEADER}\n${'"'.repeat(2 ** 20)}`)).toHaveLength(1);
});

test('what is written as CSV is read back the same, but for what a spreadsheet would compute', () => {
  const field = fc.string({ unit: 'grapheme' });
  const separator = fc.constantFrom<Separator>(';', ',');
  const roundTrip = fc.property(fc.array(field, { minLength: 2, maxLength: 5 }), separator, (fields, by) => {
    const [record, ...more] = readCsv(writeCsvRecord(fields, by), by);
    const kept = fields.map((text) => (/^[=+\-@\t\r＝＋－＠]/.test(text) ? `'${text}` : text));
    expect(record).toEqual({ line: 1, fields: kept, fault: null });
    expect(more).toEqual([]);
  });
  fc.assert(roundTrip);
  expect(writeCsvRecord(['=1+1', '-2', 'a'], ';')).toBe("'=1+1;'-2;a\r\n");
});
