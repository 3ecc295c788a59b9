/** A drain without an answer is void only when the card certifies that it never was. */
import { expect, test } from 'vitest';
import { isVoid } from '../../../hub/rules/drain.ts';

const open = { keyVersion: 1, tmc: 10 };

test.each([
  ['another transaction in its place', { tmc: 11, holdsRecord: false }, true],
  ['another in its place, whatever record was there before', { tmc: 11, holdsRecord: true }, true],
  ['one before its place', { tmc: 10, holdsRecord: false }, false],
  ['the next one, that shows four records without its own', { tmc: 12, holdsRecord: false }, true],
  ['the last one that shows its place, without its record', { tmc: 15, holdsRecord: false }, true],
  ['the first one that shows its place no more', { tmc: 16, holdsRecord: false }, false],
  ['its record, which whoever relayed it knows', { tmc: 12, holdsRecord: true }, false],
])('%s', (_name, later, expected) => {
  expect(isVoid(open, { keyVersion: 1, ...later })).toBe(expected);
});

test('a chain under another key of the counter file tells nothing', () => {
  expect(isVoid(open, { keyVersion: 2, tmc: 11, holdsRecord: false })).toBe(false);
});
