/** Payees: parts that add up to the rupiah, and names that cannot be two people's. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accountName } from '../../../hub/rules/accounts.ts';
import {
  type Earner,
  holdsTakings,
  PAYEES_MAX,
  type Payee,
  partsOf,
  payeesFault,
  takingsOf,
} from '../../../hub/rules/payees.ts';
import type { CooperativeId, MemberId, OutletId } from '../../../protocol/ids.ts';

const ANGKOT = 'angkot' as CooperativeId;
const KSP = 'simpan-pinjam' as CooperativeId;
const DRIVER = 'ak-0001' as MemberId;
const OWNER = 'sp-0001' as MemberId;
const homes: Readonly<Record<string, CooperativeId>> = { [DRIVER]: ANGKOT, [OWNER]: KSP };

const driver = (weight = 70, name = 'sopir', owner = DRIVER): Payee => ({ to: 'payout', name, owner, weight });
const outlet = (payees: readonly Payee[], id = 'angkot-07'): Earner => ({
  id: id as OutletId,
  cooperative: ANGKOT,
  owner: OWNER,
  payees,
});
const fault = (one: Earner, ...others: Earner[]) =>
  payeesFault(one, { homeOf: (member) => homes[member], others: [one, ...others] });

const split = (one: Earner, amount: bigint) =>
  partsOf(one, amount)?.map(({ account, amount }) => `${accountName(account)} ${amount}`);

test('5.000 go to driver, owner’s account at the savings cooperative and the cooperative by 70, 24 and 6', () => {
  const payees: Payee[] = [
    driver(),
    { to: 'member', cooperative: KSP, member: OWNER, weight: 24 },
    { to: 'cooperative', weight: 6 },
  ];
  expect(fault(outlet(payees))).toBeNull();
  expect(split(outlet(payees), 5_000n)).toEqual([
    'angkot/payout/sopir 3500',
    'simpan-pinjam/member/sp-0001 1200',
    'angkot/fee-income/- 300',
  ]);
  expect(split(outlet([driver(), { to: 'payout', weight: 30 }]), 1n)).toEqual([
    'angkot/payout/sopir 1',
    'angkot/payout/angkot-07 0',
  ]);
});

test('an outlet that names nobody earns it all, by the shorter way', () => {
  expect(partsOf(outlet([]), 5_000n)).toBeUndefined();
  expect(partsOf({ id: 'x' as OutletId, cooperative: ANGKOT }, 5_000n)).toBeUndefined();
});

test('the parts add up to the amount, and none is a rupiah off its exact share', () => {
  const weights = fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: PAYEES_MAX });
  fc.assert(
    fc.property(weights, fc.bigInt({ min: 0n, max: 2n ** 28n }), (weights, amount) => {
      const total = BigInt(weights.reduce((a, b) => a + b, 0));
      const parts = partsOf(outlet(weights.map((weight, at) => driver(weight, `p-${at}`))), amount) ?? [];
      expect(parts.reduce((sum, part) => sum + part.amount, 0n)).toBe(amount);
      parts.forEach((part, at) => {
        const off = part.amount * total - amount * BigInt(weights[at] ?? 0);
        expect(off < total && off > -total).toBe(true);
      });
    }),
    { seed: 20261124 },
  );
});

test.each<readonly [string, Earner]>([
  ['each weight must be a whole number from 1 to 10000', outlet([driver(0)])],
  ['each weight must be a whole number from 1 to 10000', outlet([driver(0.5)])],
  ['no member nobody is known at angkot', outlet([member('nobody')])],
  ['no member sp-0001 is known at angkot', outlet([member(OWNER)])],
  ['the owner nobody of sopir is not known', outlet([driver(1, 'sopir', 'nobody' as MemberId)])],
  ['its own takings have no name: leave the name out', outlet([driver(1, 'angkot-07')])],
  ['angkot/payout/sopir is named twice', outlet([driver(), driver()])],
  ['its own takings belong to its owner', outlet([{ to: 'payout', owner: DRIVER, weight: 1 }])],
  ['more than 6 payees', outlet([1, 2, 3, 4, 5, 6, 7].map((at) => driver(1, `p-${at}`)))],
  ['its owner nobody is not known', { ...outlet([]), owner: 'nobody' as MemberId }],
])('refuses payees: %s', (words, one) => {
  expect(fault(one)).toContain(words);
});

function member(member: string): Payee {
  return { to: 'member', cooperative: ANGKOT, member: member as MemberId, weight: 1 };
}

test('two vehicles may share a driver’s takings, but takings of one name have one owner', () => {
  const other = outlet([driver()], 'angkot-09');
  expect(fault(outlet([driver()]), other)).toBeNull();
  expect(fault(outlet([driver(1, 'sopir', OWNER)]), other)).toBe(
    'takings called sopir have another owner at angkot-09',
  );
  expect(fault(outlet([driver(1, 'angkot-09')]), other)).toBe(
    'takings called angkot-09 are those of the outlet angkot-09',
  );
  expect(fault(outlet([], 'sopir'), other)).toBe('the outlet angkot-09 has takings of this name');
  expect(fault({ ...outlet([], 'sopir'), cooperative: KSP }, other)).toBeNull();
});

test('takings are found by outlet or name, at their own cooperative only, with their owner', () => {
  const outlets = [outlet([driver(), { to: 'payout', name: 'kas', weight: 1 }])];
  expect(takingsOf(outlets, ANGKOT, 'sopir')).toMatchObject({ owner: DRIVER });
  expect(takingsOf(outlets, ANGKOT, 'angkot-07')).toMatchObject({ owner: OWNER });
  expect(takingsOf(outlets, ANGKOT, 'kas')).toMatchObject({ owner: null });
  expect([takingsOf(outlets, KSP, 'sopir'), takingsOf(outlets, ANGKOT, 'toko')]).toEqual([null, null]);
  const [one] = outlets;
  if (one === undefined) throw new Error('no outlet');
  const asked = ['sopir', 'angkot-07', 'toko'].map((name) => holdsTakings(one, { cooperative: ANGKOT, name }));
  expect([...asked, holdsTakings(one, { cooperative: KSP, name: 'sopir' })]).toEqual([true, true, false, false]);
});
