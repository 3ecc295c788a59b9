/** Business dates change at midnight in Jakarta, in every year. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { businessDate } from '../../protocol/dates.ts';

test('a sale one millisecond before midnight in Jakarta belongs to the old day, at midnight to the new one', () => {
  const midnight = Date.parse('2026-11-24T00:00:00+07:00');
  expect(businessDate(midnight - 1)).toBe('2026-11-23');
  expect(businessDate(midnight)).toBe('2026-11-24');
});

test('29 February exists in 2028 and not in 2100', () => {
  expect(businessDate(Date.parse('2028-02-29T12:00:00+07:00'))).toBe('2028-02-29');
  expect(businessDate(Date.parse('2100-03-01T00:00:00+07:00') - 1)).toBe('2100-02-28');
});

test('the date agrees with the calendar of the runtime from 1600 to 2600', () => {
  const from = Date.parse('1600-01-01T00:00:00Z');
  const to = Date.parse('2600-01-01T00:00:00Z');
  fc.assert(
    fc.property(fc.integer({ min: from, max: to }), (at) => {
      expect(businessDate(at)).toBe(new Date(at + 7 * 3_600_000).toISOString().slice(0, 10));
    }),
    { numRuns: 2000 },
  );
});
