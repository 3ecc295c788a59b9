/** The tariff book: one text for one table, and nothing else is read as a book. */
import { expect, test } from 'vitest';
import { BOOK_CHARS_MAX, readBook, writeBook } from '../../protocol/tariffbook.ts';
import type { Tariff } from '../../protocol/tariffs.ts';

const merchant: Tariff = {
  version: 2,
  kind: 'purchase',
  direction: 'merchant',
  reach: 'off-us',
  fixed: 0n,
  basisPoints: 70,
  min: 0n,
  max: 50_000n,
  shares: [
    { to: 'issuer', weight: 3 },
    { to: 'platform', weight: 1 },
  ],
  from: '2020-01-01',
};
const micro: Tariff = {
  ...merchant,
  version: 5,
  class: 'micro',
  basisPoints: 0,
  max: 0n,
  shares: [],
  until: '2026-12-31',
};
const TEXT = `book 7
2 purchase merchant off-us - 0 70 0 50000 2020-01-01 - issuer:3,platform:1
5 purchase merchant off-us micro 0 0 0 0 2020-01-01 2026-12-31 -`;

test('a book is a line for each tariff, and reads back to the same table', () => {
  const book = { book: 7, tariffs: [merchant, micro] };
  expect(writeBook(book)).toBe(TEXT);
  expect(readBook(TEXT)).toEqual(book);
  expect(readBook('book 1')).toEqual({ book: 1, tariffs: [] });
});

test('a text that is not to the letter a book, or prices nothing, is none', () => {
  const wrong = [
    '',
    'book',
    'book 07',
    'book 7\n',
    ` ${TEXT}`,
    `${TEXT} `,
    TEXT.replace('book', 'Book'),
    TEXT.replace('off-us -', 'off-us  -'),
    TEXT.replace('70', '070'),
    TEXT.replace('70', '-70'),
    TEXT.replace('70', '7e1'),
    TEXT.replace('70', '10001'),
    TEXT.replace('merchant', 'issuer'),
    TEXT.replace('purchase', 'gift'),
    TEXT.replace('issuer:3', 'issuer:3.5'),
    TEXT.replace('issuer:3', 'everybody:3'),
    TEXT.replace('2020-01-01', '2020-02-30'),
    TEXT.replace('\n5', '\n2'),
    TEXT.replace('\n5', '\n1'),
    `${TEXT}\n6 ${'9'.repeat(BOOK_CHARS_MAX)}`,
  ];
  for (const text of wrong) expect(readBook(text), text.slice(0, 100)).toBeNull();
});
