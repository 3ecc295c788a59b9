/** Payments of every kind compared with the treasurer's tables, to the rupiah (TRUTH section 11). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Account,
  accountName,
  billerOf,
  budgetOf,
  drawerOf,
  incomeOf,
  memberOf,
  payoutOf,
  pointsOf,
  purseOf,
} from '../../../hub/rules/accounts.ts';
import type { Leg, Part, PaymentFigures, PaymentKind } from '../../../hub/rules/entries.ts';
import { entryOf, imbalance } from '../../../hub/rules/postings.ts';
import { type CardUid, type CooperativeId, type MemberId, type OutletId, PLATFORM } from '../../../protocol/ids.ts';
import { splitByWeight } from '../../../protocol/tariffs.ts';

const A = 'kud' as CooperativeId;
const I = 'pasar' as CooperativeId;
const H = 'simpan' as CooperativeId;
const siti = memberOf(I, 'siti' as MemberId);
const SEED = Number(process.env.SIMPUL_SEED ?? 20_261_124);

const part = (account: Account, amount: bigint): Part => ({ account, amount });

const written = (legs: readonly Leg[]) =>
  legs.map(
    ({ account, amount }) => `${amount < 0n ? 'Dr' : 'Cr'} ${accountName(account)} ${amount < 0n ? -amount : amount}`,
  );

function posted(kind: PaymentKind, figures: Omit<PaymentFigures, 'authority'>): string[] {
  const { legs } = entryOf({ kind, figures: { ...figures, authority: 'card-certificate' } });
  expect(imbalance(legs)).toBeNull();
  return written(legs);
}

const free = { fee: 0n, shares: [] };
const angkot = [part(payoutOf(A, 'supir'), 3_500n), part(payoutOf(A, 'pemilik'), 1_200n), part(incomeOf(A), 300n)];

test('an off-us fare of 5.000 from a purse is split between driver, owner and cooperative', () => {
  const from = [part(purseOf(I, '04a1b2c3d4e5f6' as CardUid), 5_000n)];
  const figures = { issuer: I, acquirer: A, from, to: angkot, amount: 5_000n, ...free };
  expect(posted('purse-sale', figures)).toEqual([
    'Dr kud/position/pasar 5000',
    'Cr kud/payout/supir 3500',
    'Cr kud/payout/pemilik 1200',
    'Cr kud/fee-income/- 300',
    'Dr pasar/purse/04a1b2c3d4e5f6 5000',
    'Cr pasar/position/kud 5000',
  ]);
});

const billed = {
  acquirer: A,
  to: [part(billerOf(A, 'pln'), 101_200n)],
  amount: 103_000n,
  fee: 1_800n,
};

test('a bill of 100.000 with 3.000 admin paid from an account at another cooperative stands in three books', () => {
  const shares = [
    { to: A, amount: 900n },
    { to: I, amount: 600n },
    { to: PLATFORM, amount: 300n },
  ];
  expect(posted('bill', { ...billed, issuer: I, from: [part(siti, 103_000n)], shares })).toEqual([
    'Dr kud/position/pasar 103000',
    'Cr kud/biller-deposit/pln 101200',
    'Cr kud/fee-income/- 900',
    'Cr kud/position/pasar 600',
    'Cr kud/position/platform 300',
    'Dr pasar/member/siti 103000',
    'Cr pasar/position/kud 103000',
    'Dr pasar/position/kud 600',
    'Cr pasar/fee-income/- 600',
    'Dr platform/position/kud 300',
    'Cr platform/fee-income/- 300',
  ]);
});

test('the same bill in cash comes out of the drawer, and the home’s part stays with the counter’s cooperative', () => {
  const from = [part(drawerOf(A, 'loket' as OutletId), 103_000n)];
  const shares = [
    { to: A, amount: 1_500n },
    { to: PLATFORM, amount: 300n },
  ];
  expect(posted('bill', { ...billed, issuer: A, from, shares })).toEqual([
    'Dr kud/drawer/loket 103000',
    'Cr kud/biller-deposit/pln 101200',
    'Cr kud/fee-income/- 1500',
    'Cr kud/position/platform 300',
    'Dr platform/position/kud 300',
    'Cr platform/fee-income/- 300',
  ]);
});

test('takings of an outlet whose payee is a member elsewhere go on there at once', () => {
  const to = [part(memberOf(H, 'budi' as MemberId), 20_000n)];
  expect(
    posted('transfer', { issuer: I, acquirer: A, from: [part(siti, 20_000n)], to, amount: 20_000n, ...free }),
  ).toEqual([
    'Dr kud/position/pasar 20000',
    'Cr kud/position/simpan 20000',
    'Dr simpan/position/kud 20000',
    'Cr simpan/member/budi 20000',
    'Dr pasar/member/siti 20000',
    'Cr pasar/position/kud 20000',
  ]);
});

test('takings paid out to their owner elsewhere, and a transfer to a member there, cross between books once', () => {
  const budi = [part(memberOf(H, 'budi' as MemberId), 75_000n)];
  const takings = { issuer: A, acquirer: H, to: budi, amount: 75_000n, ...free };
  expect(posted('payout', { ...takings, from: [part(payoutOf(A, 'supir'), 75_000n)] })).toEqual([
    'Dr simpan/position/kud 75000',
    'Cr simpan/member/budi 75000',
    'Dr kud/payout/supir 75000',
    'Cr kud/position/simpan 75000',
  ]);
  expect(posted('transfer', { ...takings, issuer: I, from: [part(siti, 75_000n)] })).toEqual([
    'Dr simpan/position/pasar 75000',
    'Cr simpan/member/budi 75000',
    'Dr pasar/member/siti 75000',
    'Cr pasar/position/simpan 75000',
  ]);
});

test('a reward leaves its budget as money or as points, and points become money where they were given', () => {
  const budget = [part(budgetOf(A, 'lebaran'), 500n)];
  const reward = { issuer: A, amount: 500n, ...free };
  expect(posted('cashback', { ...reward, acquirer: I, from: budget, to: [part(siti, 500n)] })).toEqual([
    'Dr pasar/position/kud 500',
    'Cr pasar/member/siti 500',
    'Dr kud/incentive-budget/lebaran 500',
    'Cr kud/position/pasar 500',
  ]);
  const points = [part(pointsOf(A, 'siti' as MemberId), 500n)];
  expect(posted('points', { ...reward, acquirer: A, from: budget, to: points })).toEqual([
    'Dr kud/incentive-budget/lebaran 500',
    'Cr kud/points/siti 500',
  ]);
  expect(posted('redeem', { ...reward, acquirer: I, from: points, to: [part(siti, 500n)] })).toEqual([
    'Dr pasar/position/kud 500',
    'Cr pasar/member/siti 500',
    'Dr kud/points/siti 500',
    'Cr kud/position/pasar 500',
  ]);
});

test('parts that do not make up what is paid, or stand in the wrong books, are a bug and throw', () => {
  const sound = {
    issuer: I,
    acquirer: A,
    from: [part(siti, 10n)],
    to: [part(payoutOf(A, 'x'), 10n)],
    amount: 10n,
    ...free,
  };
  const wrong = [
    { ...sound, amount: 11n },
    { ...sound, to: [part(payoutOf(A, 'x'), 9n)] },
    { ...sound, from: [part(memberOf(A, 'siti' as MemberId), 10n)] },
    { ...sound, to: [part(payoutOf(A, 'x'), 11n), part(payoutOf(A, 'y'), -1n)] },
    { ...sound, to: [part(incomeOf(PLATFORM), 10n)] },
  ];
  expect(() => posted('purse-sale', sound)).not.toThrow();
  for (const figures of wrong) expect(() => posted('purse-sale', figures)).toThrow(RangeError);
});

test('any payment to up to six payees at any cooperatives balances in all, by cooperative and by pair', () => {
  const homes = [A, I, H];
  const places = fc.array(fc.tuple(fc.nat(2), fc.integer({ min: 0, max: 1_000 })), { minLength: 1, maxLength: 6 });
  const check = fc.property(
    fc.bigInt(1n, 10_000_000n),
    fc.nat(2),
    fc.nat(2),
    fc.nat(100),
    places,
    (amount, i, a, cut, rows) => {
      const [issuer, acquirer] = [homes[i] ?? A, homes[a] ?? A];
      const fee = (amount * BigInt(cut)) / 100n;
      const shares = [...new Set([issuer, acquirer, PLATFORM])].map((to) => ({ to, amount: 0n }));
      const parts = splitByWeight(
        fee,
        shares.map(() => 1),
      );
      const weights = rows.map(([, weight]) => weight + 1);
      const takings = splitByWeight(amount - fee, weights);
      const legs = entryOf({
        kind: 'purse-sale',
        figures: {
          issuer,
          acquirer,
          amount,
          fee,
          from: [part(memberOf(issuer, 'siti' as MemberId), amount)],
          to: rows.map(([home], index) => part(payoutOf(homes[home] ?? A, `p${index}`), takings[index] ?? 0n)),
          shares: shares.map(({ to }, index) => ({ to, amount: parts[index] ?? 0n })),
          authority: 'card-certificate',
        },
      }).legs;
      expect(imbalance(legs)).toBeNull();
    },
  );
  fc.assert(check, { numRuns: 2_000, seed: SEED });
});
