/** Incentives as a treasurer reckons them: which rule applies, what it gives, and what goes back. */
import { expect, test } from 'vitest';
import {
  type Incentive,
  incentiveFault,
  type Rewarded,
  rewardFor,
  rewardOfReturned,
} from '../../../hub/rules/incentives.ts';
import { DEMO_LICENCE, NO_LICENCE } from '../../../hub/rules/licence.ts';
import { type CooperativeId, type MemberId, type OutletId, PLATFORM } from '../../../protocol/ids.ts';

const [TOKO, PASAR] = ['toko', 'pasar'] as CooperativeId[] as [CooperativeId, CooperativeId];
const STALL = 'stall-12' as OutletId;

const lima: Incentive = {
  id: 'lima',
  cooperative: PASAR,
  budget: 'ramadan',
  kind: 'purchase',
  form: 'cashback',
  outlet: null,
  acquirer: null,
  members: null,
  fixed: 100n,
  basisPoints: 500,
  most: 5_000n,
  least: 1_000n,
  from: '2026-11-01',
  until: '2026-11-30',
};

const sale = (amount: bigint, more: Partial<Rewarded> = {}): Rewarded => ({
  date: '2026-11-24',
  amount,
  member: 'siti' as MemberId,
  issuer: TOKO,
  acquirer: PASAR,
  outlet: STALL,
  ...more,
});

const given = (rules: readonly Incentive[], paid: Rewarded, licence = DEMO_LICENCE) => {
  const reward = rewardFor(rules, paid, () => licence);
  return reward && [reward.rule.id, reward.amount];
};

test.each([
  ['Rp 999 is below the least', 999n, {}, null],
  ['Rp 1.000 earn 100 and 5%', 1_000n, {}, 150n],
  ['Rp 1.019 earn 5% rounded down', 1_019n, {}, 150n],
  ['Rp 200.000 earn no more than the most', 200_000n, {}, 5_000n],
  ['the first day counts', 1_000n, { date: '2026-11-01' }, 150n],
  ['the last day counts', 1_000n, { date: '2026-11-30' }, 150n],
  ['the day before does not', 1_000n, { date: '2026-10-31' }, null],
  ['the day after does not', 1_000n, { date: '2026-12-01' }, null],
])('%s', (_, amount, more, reward) => {
  expect(given([lima], sale(amount, more))).toEqual(reward && ['lima', reward]);
});

test('a rule for an outlet, for outlets of a cooperative or for its members gives to no others', () => {
  const narrow = { ...lima, outlet: STALL, acquirer: PASAR, members: TOKO };
  expect(given([narrow], sale(1_000n))).toEqual(['lima', 150n]);
  expect(given([narrow], sale(1_000n, { outlet: 'stall-31' as OutletId }))).toBeNull();
  expect(given([narrow], sale(1_000n, { acquirer: TOKO }))).toBeNull();
  expect(given([narrow], sale(1_000n, { issuer: PASAR }))).toBeNull();
});

test('of several rules the one that gives most applies, of equals the first by name, whatever their order', () => {
  const rules = [lima, { ...lima, id: 'besar', fixed: 101n }, { ...lima, id: 'abc', fixed: 101n }];
  expect(given(rules, sale(1_000n))).toEqual(['abc', 151n]);
  expect(given([...rules].reverse(), sale(1_000n))).toEqual(['abc', 151n]);
});

test('a reward is never more than was paid', () => {
  expect(given([{ ...lima, fixed: 4_000n, least: 0n }], sale(1_000n))).toEqual(['lima', 1_000n]);
});

test('a cooperative without a licence for others’ members rewards only its own', () => {
  expect(given([lima], sale(1_000n), NO_LICENCE)).toBeNull();
  expect(given([lima], sale(1_000n, { issuer: PASAR }), NO_LICENCE)).toEqual(['lima', 150n]);
});

test('a rule that cannot be applied is refused: the platform’s, one that gives nothing, one that ends too soon', () => {
  expect(incentiveFault(lima)).toBeNull();
  const wrong: Partial<Incentive>[] = [
    { cooperative: PLATFORM },
    { id: 'Lima!' },
    { budget: '' },
    { fixed: 0n, basisPoints: 0 },
    { basisPoints: 10_001 },
    { most: 0n },
    { from: '24-11-2026' },
    { until: '2026-10-31' },
  ];
  for (const change of wrong) expect(incentiveFault({ ...lima, ...change })).not.toBeNull();
});

test('returns in any steps take back the reward to the rupiah', () => {
  const steps = [0n, 1n, 333n, 334n, 777n, 1_000n];
  const taken = steps.slice(1).map((until, at) => {
    return rewardOfReturned(50n, 1_000n, until) - rewardOfReturned(50n, 1_000n, steps[at] ?? 0n);
  });
  expect(taken).toEqual([0n, 16n, 0n, 22n, 12n]);
  expect(taken.reduce((sum, one) => sum + one, 0n)).toBe(50n);
});
