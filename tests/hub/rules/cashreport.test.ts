/** Cash of one person on one day against the marks of a licence: what is reported, by whom, and what is not. */
import { expect, test } from 'vitest';
import { type CashMovement, cashLines } from '../../../hub/rules/cashreport.ts';
import { DEMO_LICENCE, type Licence } from '../../../hub/rules/licence.ts';
import type { CooperativeId } from '../../../protocol/ids.ts';

const HOME = 'pasar' as CooperativeId;
const AWAY = 'kud' as CooperativeId;
const million = (n: number) => BigInt(n) * 1_000_000n;

const moved = (amount: bigint, more: Partial<CashMovement> = {}): CashMovement => ({
  date: '2026-11-24',
  home: HOME,
  person: 'ps-0001',
  counter: HOME,
  direction: 'in',
  amount,
  ...more,
});

const lines = (movements: readonly CashMovement[], marks: Partial<Licence> = {}) =>
  cashLines(movements, () => ({ ...DEMO_LICENCE, ...marks })).map(
    ({ date, cooperative, person, direction, movements, sum, mark }) =>
      `${date} ${cooperative} ${person} ${direction} ${sum / 1_000_000n} in ${movements} ${mark}`,
  );

test('200 and 300 million on one day are 500 and are reported; a rupiah less is not', () => {
  const one = moved(million(200));
  expect(lines([one, moved(million(300))])).toEqual(['2026-11-24 pasar ps-0001 in 500 in 2 report']);
  expect(lines([one, moved(million(300) - 1n)])).toEqual([]);
});

test('deposits and withdrawals, days and persons are summed apart', () => {
  const part = million(300);
  expect(
    lines([
      moved(part),
      moved(part, { direction: 'out' }),
      moved(part, { date: '2026-11-25' }),
      moved(part, { person: 'ps-0002' }),
    ]),
  ).toEqual([]);
});

test('cash of one person over counters of two cooperatives is one sum at home, and its part at the other', () => {
  const movements = [moved(million(300)), moved(million(250), { counter: AWAY })];
  expect(lines(movements, { cashNotice: million(250) })).toEqual([
    '2026-11-24 kud ps-0001 in 250 in 1 notice',
    '2026-11-24 pasar ps-0001 in 550 in 2 report',
  ]);
});

test('each cooperative has its own marks; without any nothing is shown', () => {
  const movements = [moved(million(100)), moved(million(100), { home: AWAY, person: 'kd-0001', counter: AWAY })];
  const marks = (id: CooperativeId): Licence => ({
    ...DEMO_LICENCE,
    ...(id === HOME ? { cashNotice: million(100) } : { cashThreshold: null }),
  });
  expect(cashLines(movements, marks)).toMatchObject([{ cooperative: HOME, sum: million(100), mark: 'notice' }]);
  expect(lines(movements)).toEqual([]);
});
