/** Rewards at the engine: in the commit of their payment, out of a budget, and back with the payment. */
import { expect, test } from 'vitest';
import { rewardOf } from '../../../../hub/operations/reward.ts';
import type { Account } from '../../../../hub/rules/accounts.ts';
import type { Guard, Instruction } from '../../../../hub/rules/entries.ts';
import { type Incentive, redeemFigures } from '../../../../hub/rules/incentives.ts';
import { DEMO_LICENCE } from '../../../../hub/rules/licence.ts';
import { DISPUTE_END_ORIGIN, DISPUTE_ORIGIN, OFFICE_ORIGIN, REFUND_ORIGIN } from '../../../../hub/store/ledger.ts';
import { auditFile } from '../../../../hub/store/sqlite/audit.ts';
import { Packer, unpack } from '../../../../hub/store/sqlite/batch.ts';
import type { Engine, Work } from '../../../../hub/store/sqlite/engine.ts';
import type { CooperativeId } from '../../../../protocol/ids.ts';
import { chance } from '../../../town/chance.ts';
import { newFile } from './ledgerfile.ts';
import { A, CARD, I, KIOSK, member, NOON, OUTLET, payout } from './town.ts';
import { cancel, opening, post, type SaleChanges, sale, words } from './works.ts';

/** A third cooperative, which has neither the member nor the outlet. */
const C = 'tani' as CooperativeId;
const budget = (cooperative: CooperativeId): Account => ({ cooperative, kind: 'incentive-budget', owner: 'hari-raya' });
const points = (cooperative: CooperativeId): Account => ({ cooperative, kind: 'points', owner: 'siti' });
const position = (cooperative: CooperativeId, owner: CooperativeId): Account => ({
  cooperative,
  kind: 'position',
  owner,
});

/** Five percent, up to Rp 5.000, out of a budget of the cooperative named. */
const rule = (cooperative: CooperativeId, changes: Partial<Incentive> = {}): Incentive => ({
  id: `hadiah-${cooperative}`,
  cooperative,
  budget: 'hari-raya',
  kind: 'purchase',
  form: 'cashback',
  outlet: null,
  acquirer: null,
  members: null,
  fixed: 0n,
  basisPoints: 500,
  most: 5_000n,
  least: 0n,
  from: '2026-11-01',
  until: null,
  ...changes,
});

const CAP = 1_000_000n;

/** A sale of the town with what the rules add to it, as it crosses to the engine's thread. */
function rewarded(rules: readonly Incentive[], changes: SaleChanges, mark = 0n): Work {
  const known = {
    incentives: () => new Map(rules.map((one) => [one.id, one])),
    budgetMark: () => mark,
    cooperative: (id: CooperativeId) => ({ id, name: id, netDebitCap: CAP }),
    licence: () => DEMO_LICENCE,
  };
  const request = sale(changes);
  const packer = new Packer();
  packer.add(post({ ...request, follows: rewardOf(known, request.key, request.at, request.verdict, CARD) }));
  const [work] = unpack(packer.batch());
  if (work === undefined) throw new Error('a batch of one is empty');
  return work;
}

let deeds = 0;

function deed(approve: Instruction, amount: bigint, guards: readonly Guard[] = []): Work {
  deeds += 1;
  return post({
    key: { origin: OFFICE_ORIGIN, seq: deeds },
    hash: '',
    at: NOON,
    verdict: { approve, guards },
    slot: null,
    facts: { amount, card: null, issuer: null, acquirer: null, outlet: null },
    evidence: null,
  });
}

function fund(cooperative: CooperativeId, amount: bigint): Work {
  const equity: Account = { cooperative, kind: 'equity', owner: '-' };
  const figures = { debit: equity, credit: budget(cooperative), amount, reason: 'hari raya' };
  return deed({ kind: 'provision', figures }, amount);
}

function refund(seq: number, amount: bigint, of = 1): Work {
  const figures = { original: `${KIOSK}/${of}`, member: member(), amount, authority: 'mirror' as const };
  return post({
    key: { origin: REFUND_ORIGIN + KIOSK, seq },
    hash: seq.toString(16).padStart(32, 'e'),
    at: NOON,
    verdict: { approve: { kind: 'refund', figures }, guards: [] },
    slot: null,
    facts: { amount, card: CARD, issuer: I, acquirer: A, outlet: OUTLET },
    evidence: null,
  });
}

const sound = (path: string) =>
  expect(auditFile(path)).toMatchObject({ total: 0n, brokenPairs: [], brokenAccounts: [], brokenEntries: [] });

const kinds = (engine: Engine) => engine.alarms(20).map(({ kind }) => kind);

test('a purchase of Rp 50.000 brings 5% from the budget of the member’s cooperative, once however often asked', () => {
  const file = newFile();
  const { path } = file;
  words(file.engine, opening(80_000n), fund(I, 10_000n));
  const bought = rewarded([rule(I)], { seq: 1 });
  expect(words(file.engine, bought, bought)).toEqual(['approved', 'approved']);
  expect(words(file.engine, bought)).toEqual(['approved']);
  file.reopen();
  expect(words(file.engine, bought)).toEqual(['approved']);
  expect(file.engine.balances([member(), payout, budget(I)])).toEqual([32_500n, 50_000n, 7_500n]);
  sound(path);
});

test('a sale and its reward are one commit: where the second breaks off, the first is not in the file either', () => {
  const file = newFile();
  const { path } = file;
  words(file.engine, opening(80_000n), fund(I, 10_000n));
  const bought = rewarded([rule(I)], { seq: 1 });
  if (bought.do !== 'post') throw new Error('a sale is posted');
  // A kiosk number beyond all: the engine breaks off with the sale judged already.
  const follows = bought.request.follows?.map((next) => ({ ...next, key: { origin: -1, seq: 1 } }));
  expect(file.engine.apply([post({ ...bought.request, follows })])).toMatchObject([{ kind: 'fault' }]);
  file.reopen();
  expect(file.engine.balances([member(), payout, budget(I)])).toEqual([80_000n, 0n, 10_000n]);
  expect(words(file.engine, bought)).toEqual(['approved']);
  expect(file.engine.balances([member(), payout, budget(I)])).toEqual([32_500n, 50_000n, 7_500n]);
  sound(path);
});

test('a third cooperative pays Rp 2.500 to a member elsewhere, and owes it to that member’s cooperative', () => {
  const { engine, path } = newFile();
  words(engine, opening(80_000n), fund(C, 10_000n));
  expect(words(engine, rewarded([rule(C)], { seq: 1 }))).toEqual(['approved']);
  const accounts = [member(), budget(C), position(C, I), position(I, C), payout];
  expect(engine.balances(accounts)).toEqual([32_500n, 7_500n, 2_500n, -2_500n, 50_000n]);
  sound(path);
});

test('a cooperative at its net debit cap gives no reward elsewhere, and the purchase stands', () => {
  const { engine, path } = newFile();
  words(engine, opening(5_000_000n), fund(C, CAP + 5_000n));
  const most = { most: CAP };
  expect(words(engine, rewarded([rule(C, { ...most, basisPoints: 10_000 })], { seq: 1, amount: CAP }))).toEqual([
    'approved',
  ]);
  expect(words(engine, rewarded([rule(C)], { seq: 2 }))).toEqual(['approved']);
  expect(engine.balances([position(C, I), budget(C), member()])).toEqual([CAP, 5_000n, 4_950_000n]);
  sound(path);
});

test('of two purchases in one batch the budget lasts for one: both stand, one is rewarded, one alarm that day', () => {
  const { engine, path } = newFile();
  words(engine, opening(500_000n), fund(I, 2_600n));
  const batch = [1, 2, 3].map((seq) => rewarded([rule(I)], { seq }, 260n));
  expect(words(engine, ...batch)).toEqual(['approved', 'approved', 'approved']);
  expect(engine.balances([member(), budget(I)])).toEqual([352_500n, 100n]);
  expect(kinds(engine)).toEqual(['budget-spent', 'budget-low']);
  words(engine, rewarded([rule(I)], { seq: 4, at: NOON + 86_400_000 }));
  expect(kinds(engine)).toEqual(['budget-spent', 'budget-spent', 'budget-low']);
  // What was refused stays refused, also once there is money again.
  words(engine, fund(I, 10_000n), ...batch);
  expect(engine.balances([budget(I)])).toEqual([10_100n]);
  sound(path);
});

test('a refused purchase brings nothing, nor does one that was cancelled before it came', () => {
  const { engine, path } = newFile();
  words(engine, opening(10_000n), fund(I, 10_000n), cancel(2));
  const bought = [rewarded([rule(I)], { seq: 1 }), rewarded([rule(I)], { seq: 2, amount: 1_000n })];
  expect(words(engine, ...bought)[0]).toBe('declined: insufficient-funds');
  expect(engine.balances([member(), budget(I)])).toEqual([10_000n, 10_000n]);
  sound(path);
});

test('refunds of Rp 20.000, 10.001 and 19.999 take back Rp 1.000, 500 and 1.000: in the end all of it', () => {
  const { engine, path } = newFile();
  words(engine, opening(80_000n), fund(C, 10_000n), rewarded([rule(C)], { seq: 1 }));
  const left = () => engine.balances([member(), budget(C), position(C, I)]);
  expect(words(engine, refund(10, 20_000n), refund(10, 20_000n))).toEqual(['approved', 'approved']);
  expect(left()).toEqual([51_500n, 8_500n, 1_500n]);
  expect(words(engine, refund(11, 10_001n), refund(12, 20_000n))).toEqual(['approved', 'declined: refund-exceeds']);
  expect(left()).toEqual([61_001n, 9_000n, 1_000n]);
  expect(words(engine, refund(13, 19_999n))).toEqual(['approved']);
  expect(left()).toEqual([80_000n, 10_000n, 0n]);
  expect(kinds(engine)).toEqual([]);
  sound(path);
});

test('a void takes all that is left of the reward, once, also after a refund of part', () => {
  const { engine, path } = newFile();
  words(engine, opening(80_000n), fund(I, 10_000n), rewarded([rule(I)], { seq: 1 }), refund(10, 20_000n));
  engine.apply([cancel(1), cancel(1)]);
  expect(engine.balances([member(), payout, budget(I)])).toEqual([80_000n, 0n, 10_000n]);
  sound(path);
});

test('a won dispute of part and a void of the rest each take back their part of the reward', () => {
  const { engine, path } = newFile();
  words(engine, opening(80_000n), fund(I, 10_000n), rewarded([rule(I)], { seq: 1 }));
  const step = (kind: 'dispute' | 'dispute-won', origin: number, more: object) => {
    const figures = { original: `${KIOSK}/1`, member: member(), amount: 20_000n, authority: 'mirror' as const };
    const { verdict: _, ...request } = sale({ seq: 1 });
    const approve: Instruction = { kind, figures: { ...figures, ...more } };
    return post({ ...request, key: { origin: origin + KIOSK, seq: 1 }, verdict: { approve, guards: [] } });
  };
  const opened = step('dispute', DISPUTE_ORIGIN, { provisional: 20_000n, until: String(NOON + 86_400_000) });
  expect(words(engine, opened, step('dispute-won', DISPUTE_END_ORIGIN, {}))).toEqual(['approved', 'approved']);
  expect(engine.balances([member(), budget(I)])).toEqual([51_500n, 8_500n]);
  engine.apply([cancel(1)]);
  expect(engine.balances([member(), payout, budget(I)])).toEqual([80_000n, 0n, 10_000n]);
  sound(path);
});

test('points lie at the cooperative that gave them, and become money of the member in whole or in part', () => {
  const { engine, path } = newFile();
  words(engine, opening(80_000n), fund(C, 10_000n), rewarded([rule(C, { form: 'points' })], { seq: 1 }));
  const all = () => engine.balances([points(C), member(), budget(C), position(C, I)]);
  expect(all()).toEqual([2_500n, 30_000n, 7_500n, 0n]);
  const redeem = (amount: bigint) =>
    deed({ kind: 'redeem', figures: redeemFigures(points(C), member(), amount) }, amount);
  expect(words(engine, redeem(1_000n), redeem(1_501n))).toEqual(['approved', 'declined: insufficient-funds']);
  expect(all()).toEqual([1_500n, 31_000n, 7_500n, 1_000n]);
  // Of Rp 2.000 due Rp 1.500 are points still; the rest comes from the account that the points went to.
  expect(words(engine, refund(10, 40_000n))).toEqual(['approved']);
  expect(all()).toEqual([0n, 70_500n, 9_500n, 500n]);
  expect(kinds(engine)).toEqual([]);
  sound(path);
});

test('whatever is bought, refunded and voided: no budget below zero, and what it lost is what members have', () => {
  const { below, pick } = chance('rewards');
  const { engine, path } = newFile();
  const opened = 2_000_000n;
  words(engine, opening(opened), fund(I, 20_000n), fund(C, 15_000n));
  const rules = [rule(I, { basisPoints: 333 }), rule(C, { form: 'points', fixed: 777n, basisPoints: 100 })];
  let seq = 0;
  for (let round = 0; round < 40; round += 1) {
    const batch = Array.from({ length: 1 + below(6) }, (): Work => {
      seq += 1;
      const of = 1 + below(seq);
      const bought = rewarded([pick([rules[0] ?? rule(I), rules[1] ?? rule(C)])], {
        seq,
        amount: BigInt(1 + below(60_000)),
      });
      return pick([bought, bought, bought, refund(seq, BigInt(1 + below(30_000)), of), cancel(of)]);
    });
    words(engine, ...batch);
    const [own = 0n, other = 0n, given = 0n] = engine.balances([budget(I), budget(C), points(C)]);
    const [money = 0n, takings = 0n] = engine.balances([member(), payout]);
    expect(own >= 0n && other >= 0n).toBe(true);
    expect(given).toBe(15_000n - other);
    // Members and outlet together have what was opened, and what the own budget gave.
    expect(money + takings).toBe(opened + 20_000n - own);
  }
  sound(path);
});
