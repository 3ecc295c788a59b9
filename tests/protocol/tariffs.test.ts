/** Tariffs: fees in exact rupiah, and parts that always make up the fee. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CooperativeId, PLATFORM } from '../../protocol/ids.ts';
import {
  type PricedSale,
  quote,
  quoteTotal,
  shareOut,
  splitByWeight,
  stillCounts,
  type Tariff,
  type TariffKind,
  tariffFault,
} from '../../protocol/tariffs.ts';

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
  class: 'retail',
  amount,
  date: '2026-06-01',
  ...changes,
});

test('0.7% of Rp 50.000 is Rp 350, split 150, 150 and 50', () => {
  expect(quote([merchant], sale(50_000n))).toEqual({
    version: 1,
    direction: 'merchant',
    fee: 350n,
    shares: [
      { to: I, amount: 150n },
      { to: A, amount: 150n },
      { to: PLATFORM, amount: 50n },
    ],
    total: 50_000n,
  });
});

test('without a tariff a payment is free', () => {
  expect(quote([], sale(50_000n))).toEqual({ version: null, direction: null, fee: 0n, shares: [], total: 50_000n });
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
  ['a day that no month has', { from: '2026-02-29' }],
  ['a last date in words', { until: 'some day' }],
  ['a last date before the first', { until: '2025-12-31' }],
  ['a class in capitals', { class: 'Micro' }],
  ['more than the whole amount by its rate', { basisPoints: 10_001 }],
  ['a maximum that no message can carry', { max: 2n ** 53n }],
  ['a part for a biller in a purchase', { shares: [{ to: 'biller', weight: 1 }] }],
];

test.each(faulty)('a tariff with %s is refused in words', (_name, change) => {
  expect(tariffFault({ ...merchant, ...change })).toMatch(/./);
});

test('a sound tariff has no fault, a free one needs no shares', () => {
  expect(tariffFault(merchant)).toBeNull();
  expect(tariffFault({ ...merchant, basisPoints: 0, max: 0n, shares: [] })).toBeNull();
});

test.each<[TariffKind, string]>([
  ['purchase', 'merchant member'],
  ['deposit', 'issuer'],
  ['withdrawal', 'issuer'],
  ['transfer', 'member issuer'],
  ['payout', 'member issuer'],
  ['bill', 'nobody'],
])('a %s may be paid for by: %s', (kind, allowed) => {
  const sound = (['merchant', 'member', 'issuer'] as const).filter(
    (direction) => tariffFault({ ...merchant, kind, direction }) === null,
  );
  expect(sound.length === 0 ? ['nobody'] : sound.sort()).toEqual(allowed.split(' ').sort());
});

test('a tariff of the outlet’s class goes before one that names none, whatever their dates', () => {
  const micro: Tariff = { ...merchant, version: 2, class: 'micro', basisPoints: 0, max: 0n };
  const later: Tariff = { ...merchant, version: 3, basisPoints: 100, from: '2026-05-01' };
  const versionFor = (of: string) => quote([later, micro, merchant], sale(50_000n, { class: of })).version;
  expect([versionFor('micro'), versionFor('retail'), versionFor('counter')]).toEqual([2, 3, 3]);
});

test('a tariff that ends applies on its last day, and the one before it is in force again on the next', () => {
  const promotion: Tariff = { ...merchant, version: 2, basisPoints: 0, from: '2026-06-01', until: '2026-06-30' };
  const on = (date: string) => quote([merchant, promotion], sale(50_000n, { date })).version;
  expect(['2026-05-31', '2026-06-01', '2026-06-30', '2026-07-01'].map(on)).toEqual([1, 2, 2, 1]);
});

test('a sale from the purse costs what a purchase costs; other kinds have their own price', () => {
  expect(quote([merchant], sale(50_000n, { kind: 'purse-sale' })).fee).toBe(350n);
  expect(quote([merchant], sale(50_000n, { kind: 'transfer' })).version).toBeNull();
});

const onTop: Tariff = { ...merchant, direction: 'member', fixed: 500n, min: 0n, max: 3_000n };

test('a fee that the member pays comes on top: Rp 50.000 cost Rp 50.850, and that total contains Rp 850', () => {
  expect(quote([onTop], sale(50_000n))).toMatchObject({ direction: 'member', fee: 850n, total: 50_850n });
  expect(quoteTotal([onTop], sale(50_850n))).toEqual(quote([onTop], sale(50_000n)));
  expect(quoteTotal([merchant], sale(50_000n))).toEqual(quote([merchant], sale(50_000n)));
  expect(quoteTotal([], sale(50_000n))).toEqual(quote([], sale(50_000n)));
});

test('the administration fee of a small bill is charged in full, and its biller has a part', () => {
  const bill: Tariff = {
    ...onTop,
    kind: 'bill',
    fixed: 3_000n,
    basisPoints: 0,
    shares: [
      { to: 'biller', weight: 12 },
      { to: 'acquirer', weight: 9 },
      { to: 'issuer', weight: 6 },
      { to: 'platform', weight: 3 },
    ],
  };
  const { total, shares } = quote([bill], sale(2_000n, { kind: 'bill' }));
  expect([total, ...shares.map(({ to, amount }) => `${to} ${amount}`)]).toEqual([
    5_000n,
    'biller 1200',
    `${A} 900`,
    `${I} 600`,
    `${PLATFORM} 300`,
  ]);
});

test('a total is one of this tariff only if the price in it is the one that was asked', () => {
  const [paid, asked] = [50_850n, 50_000n];
  expect(quoteTotal([onTop], sale(paid), asked)?.fee).toBe(850n);
  expect(quoteTotal([onTop], sale(paid), paid)).toBeNull();
  expect(quoteTotal([onTop], sale(asked), asked)).toBeNull();
  expect(quoteTotal([merchant], sale(paid), asked)).toBeNull();
  expect(quoteTotal([merchant], sale(asked), asked)?.fee).toBe(350n);
  expect(quoteTotal([], sale(paid), asked)).toBeNull();
});

test('a total that no price and its fee make up is no total of this tariff', () => {
  // By 0.7% the fee gains a rupiah at Rp 143: 142 costs 142, 143 costs 144, and nothing costs 143.
  const rate: Tariff = { ...merchant, direction: 'member' };
  expect([142n, 143n, 144n].map((total) => quoteTotal([rate], sale(total))?.fee)).toEqual([0n, undefined, 1n]);
  expect(quoteTotal([onTop], sale(500n))).toBeNull();
  expect(quoteTotal([onTop], sale(1n))).toBeNull();
});

const SEED = Number(process.env.SIMPUL_SEED ?? 20_261_124);

test('of any tariff on top, each price is found again from its total, and every other total is refused', () => {
  process.stdout.write(`seed ${SEED}\n`);
  const some = (max: bigint) => fc.bigInt({ min: 0n, max });
  const tariffs = fc.record({
    fixed: some(5_000n),
    basisPoints: fc.nat(10_000),
    min: some(9_000n),
    span: some(9_000n),
  });
  fc.assert(
    fc.property(tariffs, some(60_000n), ({ fixed, basisPoints, min, span }, from) => {
      const tariff: Tariff = { ...onTop, fixed, basisPoints, min, max: min + span };
      expect(tariffFault(tariff)).toBeNull();
      const totals = new Map<bigint, bigint>();
      const first = from > 18_100n ? from - 18_100n : 1n;
      for (let price = first; price <= from + 100n; price++) totals.set(quote([tariff], sale(price)).total, price);
      for (let total = from; total <= from + 100n; total++) {
        if (total === 0n) continue;
        const found = quoteTotal([tariff], sale(total));
        expect(found === null ? undefined : found.total - found.fee).toBe(totals.get(total));
      }
    }),
    { seed: SEED, numRuns: 25 },
  );
});

test('every fee from Rp 0 to Rp 10.000 is split to the rupiah under any table of up to six parts', () => {
  process.stdout.write(`seed ${SEED}\n`);
  const weight = fc.oneof(fc.constant(0), fc.nat(10), fc.nat(10_000), fc.maxSafeNat());
  const party = fc.constantFrom(A, I, 'kud' as CooperativeId, PLATFORM);
  const table = fc
    .array(fc.record({ to: party, weight }), { minLength: 1, maxLength: 6 })
    .filter((parts) => parts.some((part) => part.weight > 0));
  const tables = fc.sample(table, { seed: SEED, numRuns: 40 });
  const wrong: string[] = [];
  for (const parts of tables) {
    const parties = new Set(parts.map(({ to }) => to)).size;
    for (let fee = 0n; fee <= 10_000n; fee++) {
      const shares = shareOut(fee, parts);
      const sum = shares.reduce((total, { amount }) => total + amount, 0n);
      const once = new Set(shares.map(({ to }) => to)).size === shares.length && shares.length <= parties;
      if (sum !== fee || !once || shares.some(({ amount }) => amount <= 0n)) wrong.push(`${fee} ${parts}`);
    }
  }
  expect(wrong).toEqual([]);
});

test('two roles of one cooperative earn what their weights together earn, however large the weights are', () => {
  const huge = Number.MAX_SAFE_INTEGER;
  const parts = [
    { to: A, weight: huge },
    { to: I, weight: huge },
    { to: A, weight: huge - 1 },
  ];
  expect(shareOut(9_999n, parts)).toEqual([
    { to: A, amount: 6_666n },
    { to: I, amount: 3_333n },
  ]);
});

test('a tariff counts no more once another replaces it for good or its last day is over', () => {
  const later: Tariff = { ...merchant, version: 2, from: '2026-06-01' };
  const passing: Tariff = { ...merchant, version: 3, from: '2026-06-02', until: '2026-06-03' };
  const all = [merchant, later, passing];
  const on = (date: string) => all.filter((one) => stillCounts(one, all, date)).map(({ version }) => version);
  expect(on('2026-05-31')).toEqual([1, 2, 3]);
  expect(on('2026-06-01')).toEqual([2, 3]);
  expect(on('2026-06-04')).toEqual([2]);
});
