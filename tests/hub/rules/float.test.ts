/** Whether the money of a cooperative's customers is there: a treasurer's sums, and no kind of account left out. */
import { expect, test } from 'vitest';
import { accountKinds } from '../../../hub/rules/accounts.ts';
import { floatOf, type KindSum } from '../../../hub/rules/float.ts';

const sum = (kind: string, balance: bigint, bound = 'free'): KindSum => ({ kind, bound, balance });

test('a market’s books: 900.000 are held and 940.000 cover them, its own fees being the difference', () => {
  const report = floatOf([
    sum('member', 600_000n, 'credit'),
    sum('purse', 150_000n, 'credit'),
    sum('in-transit', 50_000n, 'credit'),
    sum('payout', 100_000n, 'credit'),
    sum('bank', -700_000n, 'debit'),
    sum('drawer', -200_000n, 'debit'),
    sum('position', -40_000n),
    sum('fee-income', 45_000n),
    sum('fee-expense', -5_000n),
  ]);
  expect(report).toMatchObject({ held: 900_000n, covering: 940_000n, difference: 40_000n, covered: true });
  expect(report).toMatchObject({ bank: 700_000n, drawers: 200_000n, position: 40_000n, assets: 0n });
});

test('a rupiah that is missing is not covered, one that is exactly there is', () => {
  const bank = (balance: bigint) => floatOf([sum('member', 100n, 'credit'), sum('bank', balance, 'debit')]);
  expect([bank(-100n), bank(-99n)].map(({ covered, difference }) => [covered, difference])).toEqual([
    [true, 0n],
    [false, -1n],
  ]);
});

test('what is owed to other cooperatives covers nobody: 80.000 at the bank less 30.000 do not cover 60.000', () => {
  const report = floatOf([sum('member', 60_000n, 'credit'), sum('bank', -80_000n, 'debit'), sum('position', 30_000n)]);
  expect(report).toMatchObject({ position: -30_000n, covering: 50_000n, difference: -10_000n, covered: false });
});

test('money in suspense is others’ money; a loss or an own budget covers nothing and owes nothing', () => {
  const report = floatOf([
    sum('suspense', 7_000n, 'credit'),
    sum('shu-payable', 2_000n, 'credit'),
    sum('receivable', -5_000n, 'debit'),
    sum('biller-deposit', -4_000n, 'debit'),
    sum('guarantee-loss', -3_000n, 'debit'),
    sum('incentive-budget', 1_000n, 'credit'),
    sum('equity', 9_000n),
  ]);
  expect(report).toMatchObject({ owed: 9_000n, assets: 9_000n, held: 9_000n, difference: 0n, covered: true });
});

test('every kind of account with a bound counts, and each on its own side of the balance', () => {
  for (const [kind, { bound }] of Object.entries(accountKinds)) {
    const { held, covering } = floatOf([sum(kind, bound === 'debit' ? -1n : 1n, bound)]);
    if (bound === 'credit') expect([kind, covering]).toEqual([kind, 0n]);
    if (bound === 'debit') expect([kind, held]).toEqual([kind, 0n]);
  }
});
