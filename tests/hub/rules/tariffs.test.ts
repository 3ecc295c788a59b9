/** Tariffs: fees in exact rupiah, and parts that always make up the fee. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type PricedSale, quote, splitByWeight, type Tariff, tariffFault } from '../../../hub/rules/tariffs.ts';
import { type CooperativeId, PLATFORM } from '../../../protocol/ids.ts';

const A = 'pasar' as CooperativeId;
const I = 'angkot' as CooperativeId;

const merchant: Tariff = {
  version: 1,
  kind: 'purchase',
  reach: 'off-us',
  fixed: 0n,
  basisPoints: 70,
  min: 0n,
  max: 10_000n,
  shares: [
    { to: 'issuer', weight: 3 },
    { to: 'acquirer', weight: 3 },
    { to: 'platform', weight: 1 },
  ],
  from: '2026-01-01',
};

const sale = (amount: bigint, changes: Partial<PricedSale> = {}): PricedSale => ({
  kind: 'purchase',
  issuer: I,
  acquirer: A,
  amount,
  date: '2026-06-01',
  ...changes,
});

test('0.7% of Rp 50.000 is Rp 350, split 150, 150 and 50', () => {
  expect(quote([merchant], sale(50_000n))).toEqual({
    version: 1,
    fee: 350n,
    shares: [
      { to: I, amount: 150n },
      { to: A, amount: 150n },
      { to: PLATFORM, amount: 50n },
    ],
  });
});

test('without a tariff a payment is free', () => {
  expect(quote([], sale(50_000n))).toEqual({ version: null, fee: 0n, shares: [] });
  expect(quote([merchant], sale(50_000n, { date: '2025-12-31' })).fee).toBe(0n);
  expect(quote([merchant], sale(50_000n, { acquirer: I })).fee).toBe(0n);
});

test('the tariff with the latest first date applies, and of two on one date the higher version', () => {
  const later: Tariff = { ...merchant, version: 2, basisPoints: 100, from: '2026-06-01' };
  const corrected: Tariff = { ...later, version: 3, basisPoints: 80 };
  expect(quote([corrected, later, merchant], sale(50_000n)).version).toBe(3);
  expect(quote([merchant, later, corrected], sale(50_000n)).version).toBe(3);
  expect(quote([later, merchant], sale(50_000n, { date: '2026-05-31' })).version).toBe(1);
});

test('a fraction of a rupiah is never charged', () => {
  expect(quote([merchant], sale(142n)).fee).toBe(0n);
  expect(quote([merchant], sale(143n)).fee).toBe(1n);
});

test('a fee keeps its minimum and maximum and never exceeds the amount', () => {
  const bounded: Tariff = { ...merchant, fixed: 100n, min: 500n, max: 1_000n };
  expect(quote([bounded], sale(10_000n)).fee).toBe(500n);
  expect(quote([bounded], sale(100_000n)).fee).toBe(800n);
  expect(quote([bounded], sale(1_000_000n)).fee).toBe(1_000n);
  expect(quote([bounded], sale(1n)).fee).toBe(1n);
});

test('issuer and acquirer that are the same cooperative earn one part', () => {
  const onUs: Tariff = { ...merchant, reach: 'on-us' };
  expect(quote([onUs], sale(50_000n, { acquirer: I })).shares).toEqual([
    { to: I, amount: 300n },
    { to: PLATFORM, amount: 50n },
  ]);
});

test('left-over rupiah go to the largest remainders, the earlier part first among equals', () => {
  expect(splitByWeight(2n, [1, 1, 1])).toEqual([1n, 1n, 0n]);
  expect(splitByWeight(10n, [1, 1, 1])).toEqual([4n, 3n, 3n]);
  expect(splitByWeight(5n, [1, 2])).toEqual([2n, 3n]);
  expect(splitByWeight(1n, [0, 1])).toEqual([0n, 1n]);
  expect(splitByWeight(0n, [0, 0])).toEqual([0n, 0n]);
});

test('a split without weights, or of a negative total, is a bug and throws', () => {
  expect(() => splitByWeight(1n, [0, 0])).toThrow(RangeError);
  expect(() => splitByWeight(-1n, [1])).toThrow(RangeError);
  expect(() => splitByWeight(1n, [-1, 2])).toThrow(RangeError);
});

test('the parts of any split sum to the total, none negative, none a rupiah away from its exact share', () => {
  const weights = fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 53n }), weights, (total, parts) => {
      const sum = parts.reduce((a, b) => a + b, 0);
      fc.pre(sum > 0);
      const split = splitByWeight(total, parts);
      expect(split.reduce((a, b) => a + b, 0n)).toBe(total);
      split.forEach((part, index) => {
        const exact = total * BigInt(parts[index] ?? 0);
        expect(part >= 0n).toBe(true);
        expect(part * BigInt(sum) - exact < BigInt(sum) && exact - part * BigInt(sum) < BigInt(sum)).toBe(true);
      });
    }),
    { numRuns: 1000 },
  );
});

const faulty: readonly (readonly [string, Partial<Tariff>])[] = [
  ['version 0', { version: 0 }],
  ['half a basis point', { basisPoints: 0.5 }],
  ['negative basis points', { basisPoints: -1 }],
  ['a negative fixed part', { fixed: -1n }],
  ['a negative minimum', { min: -1n }],
  ['a maximum below the minimum', { min: 2n, max: 1n }],
  ['no share at all', { shares: [] }],
  ['only shares of nothing', { shares: [{ to: 'issuer', weight: 0 }] }],
  ['a negative weight', { shares: [{ to: 'issuer', weight: -1 }] }],
  [
    'one role twice',
    {
      shares: [
        { to: 'issuer', weight: 1 },
        { to: 'issuer', weight: 1 },
      ],
    },
  ],
  ['a date in words', { from: 'tomorrow' }],
];

test.each(faulty)('a tariff with %s is refused in words', (_name, change) => {
  expect(tariffFault({ ...merchant, ...change })).toMatch(/./);
});

test('a sound tariff has no fault, a free one needs no shares', () => {
  expect(tariffFault(merchant)).toBeNull();
  expect(tariffFault({ ...merchant, basisPoints: 0, max: 0n, shares: [] })).toBeNull();
});
