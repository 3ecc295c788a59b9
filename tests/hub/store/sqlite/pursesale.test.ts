/** Payments from a purse, proven later: always booked, split among the payees, at the issuer's loss where they must. */
import { expect, test } from 'vitest';
import { accountName, incomeOf, lossOf, payoutOf, positionOf } from '../../../../hub/rules/accounts.ts';
import { judgePurseSale } from '../../../../hub/rules/pursesale.ts';
import { auditFile } from '../../../../hub/store/sqlite/audit.ts';
import type { Work } from '../../../../hub/store/sqlite/engine.ts';
import type { MemberId } from '../../../../protocol/ids.ts';
import { type LedgerFile, newFile } from './ledgerfile.ts';
import { A, CARD, I, KIOSK, NOON, OUTLET, purse } from './town.ts';
import { opening, post, putCard, receiptOf, reload, words } from './works.ts';

/** An angkot of cooperative A: driver 70, owner 24, the cooperative 6. */
const angkot = {
  id: OUTLET,
  cooperative: A,
  class: 'micro',
  owner: 'owner' as MemberId,
  payees: [
    { to: 'payout', name: 'sopir', owner: 'driver' as MemberId, weight: 70 },
    { to: 'payout', weight: 24 },
    { to: 'cooperative', weight: 6 },
  ],
} as const;

const books = [
  purse,
  lossOf(I, CARD),
  positionOf(I, A),
  positionOf(A, I),
  payoutOf(A, 'sopir'),
  payoutOf(A, OUTLET),
  incomeOf(A),
];

/** A claim of the card that it paid a fare, in the slot that it filled. */
function fare(seq: number, amount: bigint, tmc: number): Work {
  const verdict = judgePurseSale({
    date: '2026-11-24',
    amount,
    card: { uid: CARD, issuer: I },
    outlet: angkot,
    tariffs: [],
  });
  return post({
    key: { origin: KIOSK, seq },
    hash: seq.toString(16).padStart(32, 'f'),
    at: NOON,
    verdict,
    slot: { card: CARD, keyVersion: 1, tmc },
    facts: { amount, card: CARD, issuer: I, acquirer: A, outlet: OUTLET },
    evidence: Uint8Array.of(seq),
  });
}

/** A purse that was loaded in slot 5, as far as the books know. */
function loaded(amount: bigint): LedgerFile {
  const file = newFile();
  const steps = [reload('reload-release', { seq: 1, amount }), reload('reload', { seq: 1, amount, tmc: 5 })];
  const said = amount === 0n ? words(file.engine, putCard()) : words(file.engine, putCard(), opening(amount), ...steps);
  expect(said.at(-1)).toBe(amount === 0n ? 'done' : 'approved');
  return file;
}

function page({ engine, path }: LedgerFile): Record<string, number> {
  expect(auditFile(path)).toMatchObject({ total: 0n, brokenPairs: [], brokenAccounts: [], brokenEntries: [] });
  const balances = engine.balances(books);
  return Object.fromEntries(books.map((account, at) => [accountName(account), Number(balances[at])]));
}

const alarms = ({ engine }: LedgerFile) => engine.alarms(5).map(({ kind }) => kind);

test('an offline fare of 5.000 stands in both books as in the treasurer’s table', () => {
  const file = loaded(50_000n);
  const [answer] = file.engine.apply([fare(1, 5_000n, 6)]);
  expect(receiptOf(answer)).toMatchObject({ outcome: 'approved', amount: 5_000, fee: 0, balance: 45_000 });
  expect(page(file)).toEqual({
    'angkot/purse/04a1b2c3d4e5f6': 45_000,
    'angkot/guarantee-loss/04a1b2c3d4e5f6': 0,
    'angkot/position/pasar': 5_000,
    'pasar/position/angkot': -5_000,
    'pasar/payout/sopir': 3_500,
    'pasar/payout/lapak-12': 1_200,
    'pasar/fee-income/-': 300,
  });
  expect(alarms(file)).toEqual([]);
});

test('of a fare of 5.000 from a purse with 2.000 by the books, 3.000 are the issuer’s loss, with an alarm', () => {
  const file = loaded(2_000n);
  expect(words(file.engine, fare(1, 5_000n, 6))).toEqual(['approved']);
  expect(page(file)).toMatchObject({
    'angkot/purse/04a1b2c3d4e5f6': 0,
    'angkot/guarantee-loss/04a1b2c3d4e5f6': -3_000,
    'angkot/position/pasar': 5_000,
    'pasar/payout/sopir': 3_500,
  });
  expect(alarms(file)).toEqual(['guarantee-loss']);
});

test('a fare from a purse that is empty by the books is paid all the same, all of it at the issuer’s loss', () => {
  const file = loaded(0n);
  expect(words(file.engine, fare(1, 5_000n, 5))).toEqual(['approved']);
  expect(page(file)).toMatchObject({
    'angkot/purse/04a1b2c3d4e5f6': 0,
    'angkot/guarantee-loss/04a1b2c3d4e5f6': -5_000,
    'pasar/payout/sopir': 3_500,
    'pasar/payout/lapak-12': 1_200,
    'pasar/fee-income/-': 300,
  });
  expect(alarms(file)).toEqual(['guarantee-loss']);
});

test('of two fares of one batch the second falls short, and each is booked once', () => {
  const file = loaded(7_000n);
  const batch = [fare(1, 5_000n, 6), fare(2, 5_000n, 7)];
  expect(words(file.engine, ...batch)).toEqual(['approved', 'approved']);
  expect(words(file.engine, ...batch)).toEqual(['approved', 'approved']);
  expect(page(file)).toEqual({
    'angkot/purse/04a1b2c3d4e5f6': 0,
    'angkot/guarantee-loss/04a1b2c3d4e5f6': -3_000,
    'angkot/position/pasar': 10_000,
    'pasar/position/angkot': -10_000,
    'pasar/payout/sopir': 7_000,
    'pasar/payout/lapak-12': 2_400,
    'pasar/fee-income/-': 600,
  });
  expect(alarms(file)).toEqual(['guarantee-loss']);
});
