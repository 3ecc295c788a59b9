/** Simulation: a month under proposed tariffs, to the rupiah by hand. */
import { expect, test } from 'vitest';
import { type BookedSale, type Effect, simulate } from '../../../hub/rules/simulation.ts';
import { type CooperativeId, PLATFORM } from '../../../protocol/ids.ts';
import { quote, type Tariff } from '../../../protocol/tariffs.ts';

const A = 'pasar' as CooperativeId;
const I = 'angkot' as CooperativeId;

const merchant: Tariff = {
  version: 1,
  kind: 'purchase',
  reach: 'off-us',
  fixed: 0n,
  basisPoints: 70,
  min: 0n,
  max: 50_000n,
  shares: [
    { to: 'issuer', weight: 3 },
    { to: 'acquirer', weight: 3 },
    { to: 'platform', weight: 1 },
  ],
  from: '2020-01-01',
};
const onTop: Tariff = { ...merchant, version: 2, direction: 'member', basisPoints: 0, fixed: 700n, min: 700n };

/** A sale as it was booked under these tariffs. */
function sale(tariffs: readonly Tariff[], price: bigint, changes: Partial<BookedSale> = {}): BookedSale {
  const at = { kind: 'purchase', issuer: I, acquirer: A, class: 'retail', date: '2026-10-05' } as const;
  const priced = quote(tariffs, { ...at, ...changes, amount: price });
  return { ...at, amount: priced.total, fee: priced.fee, shares: priced.shares, voids: false, ...changes };
}

const written = (effects: readonly Effect[]) =>
  effects.map(({ cooperative, sales, earned, merchants, own, members }) => {
    const pairs = { earned, merchants, own, members };
    const moved = Object.entries(pairs).filter(([, { was, would }]) => was !== 0n || would !== 0n);
    return [cooperative, sales, ...moved.map(([name, { was, would }]) => `${name} ${was} > ${would}`)].join(' ');
  });

test('a proposal goes before the tariffs there are, also before one that began within the month', () => {
  const mid: Tariff = { ...merchant, version: 2, basisPoints: 140, from: '2026-10-15' };
  const table = [merchant, mid];
  const sales = [sale(table, 50_000n), sale(table, 50_000n, { date: '2026-10-20' })];
  const { version: _, ...terms } = { ...merchant, basisPoints: 35, from: '2027-01-01', until: '2027-12-31' };
  expect(written(simulate(table, [terms], sales))).toEqual([
    'angkot 0 earned 450 > 150',
    'pasar 2 earned 450 > 150 merchants 1050 > 350',
    'platform 0 earned 150 > 50',
  ]);
});

test('what a proposal does not name stays as it is: other kinds, reaches and classes', () => {
  const sales = [sale([merchant], 50_000n), sale([merchant], 10_000n, { class: 'micro' })];
  const { version: _, ...terms } = { ...merchant, class: 'micro', basisPoints: 0, max: 0n };
  expect(written(simulate([merchant], [terms], sales))).toEqual([
    'angkot 0 earned 180 > 150',
    'pasar 2 earned 180 > 150 merchants 420 > 350',
    'platform 0 earned 60 > 50',
  ]);
});

test('a fee moved from the outlets to the members is priced from what the outlets asked, and back', () => {
  const { version: _v, ...toMembers } = onTop;
  expect(written(simulate([merchant], [toMembers], [sale([merchant], 50_000n)]))).toEqual([
    'angkot 0 earned 150 > 300 members 0 > 700',
    'pasar 1 earned 150 > 300 merchants 350 > 0',
    'platform 0 earned 50 > 100',
  ]);
  const { version: _m, ...toOutlets } = merchant;
  const paid = sale([onTop], 50_000n);
  expect(paid.amount).toBe(50_700n);
  expect(written(simulate([onTop], [toOutlets], [paid]))).toEqual([
    'angkot 0 earned 300 > 150 members 700 > 0',
    'pasar 1 earned 300 > 150 merchants 0 > 350',
    'platform 0 earned 100 > 50',
  ]);
});

test('a void takes back the fee of its sale on both sides, and the sale from the count', () => {
  const sales = [sale([merchant], 50_000n), sale([merchant], 50_000n, { voids: true })];
  const { version: _, ...terms } = { ...merchant, basisPoints: 100 };
  expect(written(simulate([merchant], [terms], sales))).toEqual([`${I} 0`, `${A} 0`, `${PLATFORM} 0`]);
});
