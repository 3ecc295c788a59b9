/** Postings compared with the treasurer's tables, to the rupiah. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accountName } from '../../../hub/rules/accounts.ts';
import type { CardMoneyKind, CashKind, Leg, PurchaseFigures } from '../../../hub/rules/entries.ts';
import { entryOf, imbalance } from '../../../hub/rules/postings.ts';
import { type CardUid, type CooperativeId, type MemberId, type OutletId, PLATFORM } from '../../../protocol/ids.ts';
import { type FeeRole, quote, type Tariff } from '../../../protocol/tariffs.ts';

const A = 'pasar' as CooperativeId;
const I = 'angkot' as CooperativeId;
const member = 'siti' as MemberId;
const outlet = 'lapak-12' as OutletId;

/** Legs as a treasurer writes them: `Dr account amount` or `Cr account amount`. */
const written = (legs: readonly Leg[]) =>
  legs.map(
    ({ account, amount }) => `${amount < 0n ? 'Dr' : 'Cr'} ${accountName(account)} ${amount < 0n ? -amount : amount}`,
  );

/** Sums that must be zero: the whole entry, each cooperative's books, each pair of positions. */
function sums(legs: readonly Leg[]): Record<string, bigint> {
  const found: Record<string, bigint> = { total: 0n };
  const add = (name: string, amount: bigint) => {
    found[name] = (found[name] ?? 0n) + amount;
  };
  for (const { account, amount } of legs) {
    add('total', amount);
    add(`books of ${account.cooperative}`, amount);
    if (account.kind === 'position') add(`pair ${[account.cooperative, account.owner].sort().join(' and ')}`, amount);
  }
  return found;
}

const balanced = (legs: readonly Leg[]) =>
  expect(Object.entries(sums(legs)).filter(([, sum]) => sum !== 0n)).toEqual([]);

const purchaseEntry = (figures: PurchaseFigures) => entryOf({ kind: 'purchase', figures });

const offUs = purchaseEntry({
  issuer: I,
  member,
  acquirer: A,
  outlet,
  amount: 50_000n,
  fee: 350n,
  shares: [
    { to: I, amount: 150n },
    { to: A, amount: 150n },
    { to: PLATFORM, amount: 50n },
  ],
});

test('an on-us purchase of 50.000 without fee moves 50.000 from the member to the outlet', () => {
  const { legs } = purchaseEntry({ issuer: A, member, acquirer: A, outlet, amount: 50_000n, fee: 0n, shares: [] });
  expect(written(legs)).toEqual(['Dr pasar/member/siti 50000', 'Cr pasar/payout/lapak-12 50000']);
});

test('an on-us purchase with a fee pays the cooperative and, through its position, the platform', () => {
  const shares = [
    { to: A, amount: 300n },
    { to: PLATFORM, amount: 50n },
  ];
  const { legs } = purchaseEntry({ issuer: A, member, acquirer: A, outlet, amount: 50_000n, fee: 350n, shares });
  expect(written(legs)).toEqual([
    'Dr pasar/member/siti 50000',
    'Cr pasar/payout/lapak-12 49650',
    'Cr pasar/fee-income/- 300',
    'Cr pasar/position/platform 50',
    'Dr platform/position/pasar 50',
    'Cr platform/fee-income/- 50',
  ]);
  balanced(legs);
});

test('an off-us purchase of 50.000 with merchant fee 350 stands in three books as in the treasurer’s table', () => {
  expect(written(offUs.legs)).toEqual([
    'Dr pasar/position/angkot 50000',
    'Cr pasar/payout/lapak-12 49650',
    'Cr pasar/fee-income/- 150',
    'Cr pasar/position/angkot 150',
    'Cr pasar/position/platform 50',
    'Dr angkot/member/siti 50000',
    'Cr angkot/position/pasar 50000',
    'Dr angkot/position/pasar 150',
    'Cr angkot/fee-income/- 150',
    'Dr platform/position/pasar 50',
    'Cr platform/fee-income/- 50',
  ]);
  balanced(offUs.legs);
});

test('an off-us purchase without fee has no legs of zero', () => {
  const { legs } = purchaseEntry({ issuer: I, member, acquirer: A, outlet, amount: 1n, fee: 0n, shares: [] });
  expect(written(legs)).toEqual([
    'Dr pasar/position/angkot 1',
    'Cr pasar/payout/lapak-12 1',
    'Dr angkot/member/siti 1',
    'Cr angkot/position/pasar 1',
  ]);
});

test('an opening balance is money at the bank owed to the member', () => {
  const { legs } = entryOf({ kind: 'opening', figures: { cooperative: I, member, amount: 200_000n } });
  expect(written(legs)).toEqual(['Dr angkot/bank/- 200000', 'Cr angkot/member/siti 200000']);
});

test('a reload of 50.000 leaves the account and lies in the purse once it is proven; a drain brings it back', () => {
  const figures = { issuer: I, member, card: '04a1b2c3d4e5f6' as CardUid, amount: 50_000n };
  const of = (kind: CardMoneyKind) => {
    const { legs, authority, payer } = entryOf({ kind, figures });
    balanced(legs);
    return [authority, payer && accountName(payer), ...written(legs)];
  };
  expect(of('reload-release')).toEqual([
    'hub-session',
    'angkot/member/siti',
    'Dr angkot/member/siti 50000',
    'Cr angkot/in-transit/04a1b2c3d4e5f6 50000',
  ]);
  expect(of('reload')).toEqual([
    'card-certificate',
    'angkot/member/siti',
    'Dr angkot/in-transit/04a1b2c3d4e5f6 50000',
    'Cr angkot/purse/04a1b2c3d4e5f6 50000',
  ]);
  expect(of('reload-void')).toEqual([
    'rule',
    'angkot/member/siti',
    'Dr angkot/in-transit/04a1b2c3d4e5f6 50000',
    'Cr angkot/member/siti 50000',
  ]);
  expect(of('drain')).toEqual([
    'card-certificate',
    'angkot/member/siti',
    'Dr angkot/purse/04a1b2c3d4e5f6 50000',
    'Cr angkot/member/siti 50000',
  ]);
});

const overCounter = (kind: CashKind, home: CooperativeId, amount: bigint, fee: bigint) => {
  const shares = [
    { to: A, amount: (fee / 3n) * 2n },
    { to: PLATFORM, amount: fee - (fee / 3n) * 2n },
  ].filter((share) => share.amount > 0n);
  const { legs, authority, payer } = entryOf({
    kind,
    figures: { issuer: home, member, acquirer: A, outlet, amount, fee, shares },
  });
  balanced(legs);
  expect(imbalance(legs)).toBeNull();
  return [authority, payer && accountName(payer), ...written(legs)];
};

test('a deposit of 100.000 of another cooperative’s member, whose cooperative pays 1.500, as in the table', () => {
  expect(overCounter('deposit', I, 100_000n, 1_500n)).toEqual([
    'teller-card',
    'angkot/member/siti',
    'Dr pasar/drawer/lapak-12 100000',
    'Cr pasar/position/angkot 100000',
    'Dr pasar/position/angkot 1000',
    'Cr pasar/fee-income/- 1000',
    'Dr angkot/position/pasar 100000',
    'Cr angkot/member/siti 100000',
    'Dr angkot/fee-expense/- 1500',
    'Cr angkot/position/pasar 1000',
    'Cr angkot/position/platform 500',
    'Dr platform/position/angkot 500',
    'Cr platform/fee-income/- 500',
  ]);
});

test('a withdrawal of 200.000 of another cooperative’s member, likewise', () => {
  expect(overCounter('withdrawal', I, 200_000n, 1_500n)).toEqual([
    'pin',
    'angkot/member/siti',
    'Dr angkot/member/siti 200000',
    'Cr angkot/position/pasar 200000',
    'Dr angkot/fee-expense/- 1500',
    'Cr angkot/position/pasar 1000',
    'Cr angkot/position/platform 500',
    'Dr pasar/position/angkot 200000',
    'Cr pasar/drawer/lapak-12 200000',
    'Dr pasar/position/angkot 1000',
    'Cr pasar/fee-income/- 1000',
    'Dr platform/position/angkot 500',
    'Cr platform/fee-income/- 500',
  ]);
});

test('at the member’s own cooperative cash moves between account and drawer; only Simpul’s fee leaves', () => {
  expect(overCounter('deposit', A, 100_000n, 0n).slice(2)).toEqual([
    'Dr pasar/drawer/lapak-12 100000',
    'Cr pasar/member/siti 100000',
  ]);
  expect(overCounter('withdrawal', A, 100_000n, 1_500n).slice(2)).toEqual([
    'Dr pasar/member/siti 100000',
    'Dr pasar/fee-expense/- 1500',
    'Cr pasar/fee-income/- 1000',
    'Cr pasar/position/platform 500',
    'Cr pasar/drawer/lapak-12 100000',
    'Dr platform/position/pasar 500',
    'Cr platform/fee-income/- 500',
  ]);
});

test('cash from the bank into a drawer is a matter of two officers', () => {
  const { legs, authority } = entryOf({ kind: 'funding', figures: { cooperative: A, outlet, amount: 500_000n } });
  expect([authority, ...written(legs)]).toEqual([
    'two-officers',
    'Dr pasar/drawer/lapak-12 500000',
    'Cr pasar/bank/- 500000',
  ]);
});

test('fee parts that do not make up the fee, or go to a stranger, are a bug and throw', () => {
  const figures = { issuer: I, member, acquirer: A, outlet, amount: 100n };
  expect(() => purchaseEntry({ ...figures, fee: 2n, shares: [{ to: A, amount: 1n }] })).toThrow(RangeError);
  const stranger = 'toko' as CooperativeId;
  expect(() => purchaseEntry({ ...figures, fee: 1n, shares: [{ to: stranger, amount: 1n }] })).toThrow(RangeError);
  expect(() => purchaseEntry({ ...figures, fee: 101n, shares: [{ to: A, amount: 101n }] })).toThrow(RangeError);
  expect(() => purchaseEntry({ ...figures, issuer: PLATFORM, fee: 0n, shares: [] })).toThrow(RangeError);
});

test('legs that fail in total, in one cooperative or between a pair are told apart from balanced ones', () => {
  const account = (cooperative: string, kind: 'member' | 'position', owner: string) =>
    ({ cooperative: cooperative as CooperativeId, kind, owner }) as const;
  expect(imbalance(offUs.legs)).toBeNull();
  expect(imbalance([])).toMatch(/needs legs/);
  expect(imbalance([{ account: account('a', 'member', 'x'), amount: 0n }])).toMatch(/zero/);
  expect(imbalance([{ account: account('a', 'member', 'x'), amount: 1n }])).toMatch(/books of a/);
  const acrossBooks = [
    { account: account('a', 'member', 'x'), amount: 1n },
    { account: account('b', 'member', 'y'), amount: -1n },
  ];
  expect(imbalance(acrossBooks)).toMatch(/books of a/);
  const brokenPair = [
    { account: account('a', 'member', 'x'), amount: -1n },
    { account: account('a', 'position', 'b'), amount: 1n },
  ];
  expect(imbalance(brokenPair)).toMatch(/pair a\/b/);
});

const tariffs = fc.record({
  fixed: fc.bigInt({ min: 0n, max: 5_000n }),
  basisPoints: fc.integer({ min: 0, max: 10_000 }),
  min: fc.bigInt({ min: 0n, max: 2_000n }),
  span: fc.bigInt({ min: 0n, max: 1_000_000n }),
  weights: fc
    .tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 100 }))
    .filter((weights) => weights.some((weight) => weight > 0)),
  order: fc.shuffledSubarray<FeeRole>(['issuer', 'acquirer', 'platform'], { minLength: 3 }),
});

test('any purchase under any tariff balances in all, by cooperative and by pair; its parts make up the fee', () => {
  const cooperatives = fc.constantFrom('pasar', 'angkot', 'taksi', 'toko', 'simpan', 'kud');
  const amounts = fc.oneof(fc.bigInt({ min: 1n, max: 100n }), fc.bigInt({ min: 1n, max: 2n ** 28n - 1n }));
  fc.assert(
    fc.property(cooperatives, cooperatives, amounts, tariffs, (issuer, acquirer, amount, made) => {
      const [i, a] = [issuer as CooperativeId, acquirer as CooperativeId];
      const shares = made.order.map((to, index) => ({ to, weight: made.weights[index] ?? 0 }));
      const reach = i === a ? 'on-us' : 'off-us';
      const { fixed, basisPoints, min, span } = made;
      const tariff: Tariff = {
        version: 1,
        kind: 'purchase',
        reach,
        fixed,
        basisPoints,
        min,
        max: min + span,
        shares,
        from: '2026-01-01',
      };
      const priced = quote([tariff], {
        kind: 'purchase',
        issuer: i,
        acquirer: a,
        class: 'retail',
        amount,
        date: '2026-01-01',
      });
      expect(priced.shares.reduce((sum, share) => sum + share.amount, 0n)).toBe(priced.fee);
      expect(priced.shares.every((share) => share.amount > 0n)).toBe(true);
      expect(priced.fee >= 0n && priced.fee <= amount).toBe(true);
      const { fee } = priced;
      const entry = purchaseEntry({ issuer: i, member, acquirer: a, outlet, amount, fee, shares: priced.shares });
      balanced(entry.legs);
      expect(imbalance(entry.legs)).toBeNull();
      const out = entry.legs.filter((leg) => leg.account.kind === 'member').reduce((sum, leg) => sum + leg.amount, 0n);
      expect(out).toBe(-amount);
    }),
    { numRuns: 2000 },
  );
});
