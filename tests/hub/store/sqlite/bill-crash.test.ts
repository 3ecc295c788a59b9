/** Must show: a hub that dies between any two steps of a bill leaves neither member nor biller deposit wrong. */
import { copyFileSync, existsSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import {
  type Account,
  accountName,
  bankOf,
  billerOf,
  drawerOf,
  incomeOf,
  positionOf,
} from '../../../../hub/rules/accounts.ts';
import { judgeCashBill } from '../../../../hub/rules/bill.ts';
import type { Guard, PaymentFigures, Verdict } from '../../../../hub/rules/entries.ts';
import { BILL_ORIGIN, HUB_ORIGIN } from '../../../../hub/store/ledger.ts';
import { type Engine, openEngine, type Work } from '../../../../hub/store/sqlite/engine.ts';
import type { MemberId } from '../../../../protocol/ids.ts';
import { PLATFORM } from '../../../../protocol/ids.ts';
import { expectBalanced, expire, said, tell, UNTIL } from './counters.ts';
import { ledgerPath, newFile } from './ledgerfile.ts';
import { A, CARD, I, KIOSK, member, NOON, OUTLET } from './town.ts';
import { opening, post, putCard } from './works.ts';

const key = (seq: number) => ({ origin: BILL_ORIGIN + KIOSK, seq });
const SHARES = { aggregator: 1_200n, acquirer: 900n, issuer: 600n, platform: 300n };
const TOTAL = 103_000n;

/** Prepaid at the biller: enough for two bills. */
function prepaid(): Work {
  const figures = { debit: billerOf(A, 'ppob'), credit: bankOf(A), amount: 250_000n, reason: 'deposit' };
  const facts = { amount: 250_000n, card: null, issuer: A, acquirer: A, outlet: null };
  const verdict: Verdict = { approve: { kind: 'provision', figures }, guards: [] };
  return post({
    key: { origin: HUB_ORIGIN, seq: 2 ** 21 },
    hash: '',
    at: NOON,
    verdict,
    slot: null,
    facts,
    evidence: null,
  });
}

const FROM_ACCOUNT: PaymentFigures = {
  issuer: I,
  acquirer: A,
  from: [{ account: member(), amount: TOTAL }],
  to: [{ account: billerOf(A, 'ppob'), amount: 101_200n }],
  amount: TOTAL,
  fee: 1_800n,
  shares: [
    { to: A, amount: 900n },
    { to: I, amount: 600n },
    { to: PLATFORM, amount: 300n },
  ],
  authority: 'card-certificate',
};

const inCash = judgeCashBill({
  amount: 100_000n,
  admin: 3_000n,
  product: { biller: 'ppob', shares: SHARES },
  outlet: { id: OUTLET, cooperative: A, class: 'biller', open: true },
  capOf: () => ({ netDebitCap: 10n ** 9n, capAlert: 10n ** 9n }),
  teller: { member: 'ani' as MemberId, cooperative: A, active: true },
  approver: null,
});

interface Way {
  readonly verdict: Verdict;
  readonly card: typeof CARD | null;
}

const guards: readonly Guard[] = [
  { kind: 'card-active', card: CARD },
  { kind: 'pause', card: CARD, kiosk: KIOSK, seconds: 60 },
  { kind: 'day', card: CARD, amount: TOTAL, max: 150_000n },
  { kind: 'cap', cooperative: I, max: 10n ** 9n },
];
const ways: Readonly<Record<'account' | 'cash', Way>> = {
  account: { verdict: { approve: { kind: 'bill', figures: FROM_ACCOUNT }, guards }, card: CARD },
  cash: { verdict: inCash, card: null },
};

function hold(seq: number, { verdict, card }: Way, at = NOON): Work {
  const request = {
    key: key(seq),
    hash: seq.toString(16).padStart(32, 'b'),
    at,
    verdict,
    slot: card === null ? null : { card, keyVersion: 1, tmc: 4 + seq },
    facts: { amount: TOTAL, card, issuer: card === null ? A : I, acquirer: A, outlet: OUTLET },
    evidence: Uint8Array.of(seq),
  };
  return { do: 'hold', request, until: at + 60_000 };
}
const release = (seq: number, at = NOON): Work => ({ do: 'release', key: key(seq), at, claim: '{"biller":"ppob"}' });
/** The end by the biller's word, or by two officers. */
const settle = (seq: number, word: 'post' | 'void', officers: string | null = null): Work => ({
  do: 'settle',
  settlement: { key: key(seq), word, at: NOON, officers, answer: officers === null ? `{"said":"${word}"}` : null },
});
const OFFICERS = JSON.stringify({ officers: ['Ani', 'Budi'] });

const PAGE: readonly Account[] = [
  member(),
  billerOf(A, 'ppob'),
  drawerOf(A, OUTLET),
  positionOf(A, I),
  positionOf(A, PLATFORM),
  incomeOf(A),
  positionOf(I, A),
  incomeOf(I),
  positionOf(PLATFORM, A),
  incomeOf(PLATFORM),
];

function page(engine: Engine): Record<string, number> {
  const balances = engine.balances(PAGE).map(Number);
  const named = PAGE.map((account, at) => [accountName(account), balances[at] ?? 0] as const);
  return Object.fromEntries(
    [...named, ['float', Number(engine.float(OUTLET))] as const].filter(([, sum]) => sum !== 0),
  );
}

const BEFORE = { 'angkot/member/siti': 300_000, 'pasar/biller-deposit/ppob': -250_000 };
/** TRUTH section 11, row "bill"; in cash the counter's cooperative earns what a member's would. */
const PAID = {
  account: {
    'angkot/member/siti': 197_000,
    'pasar/biller-deposit/ppob': -148_800,
    'pasar/position/angkot': -102_400,
    'pasar/position/platform': 300,
    'pasar/fee-income/-': 900,
    'angkot/position/pasar': 102_400,
    'angkot/fee-income/-': 600,
    'platform/position/pasar': -300,
    'platform/fee-income/-': 300,
  },
  cash: {
    'angkot/member/siti': 300_000,
    'pasar/biller-deposit/ppob': -148_800,
    'pasar/drawer/lapak-12': -103_000,
    'pasar/position/platform': 300,
    'pasar/fee-income/-': 1_500,
    'platform/position/pasar': -300,
    'platform/fee-income/-': 300,
    float: 103_000,
  },
};

/** What a power cut leaves: the files as they are on the disk while the engine still runs, opened by another engine. */
function killed(path: string): { readonly engine: Engine; readonly path: string } {
  const image = ledgerPath();
  for (const part of ['', '-wal']) if (existsSync(path + part)) copyFileSync(path + part, image + part);
  const engine = openEngine({ path: image });
  onTestFinished(() => engine.close());
  return { engine, path: image };
}

function start() {
  const file = newFile();
  const own = { cooperative: A, member: 'budi' as MemberId, amount: 500_000n };
  const facts = { amount: own.amount, card: null, issuer: A, acquirer: null, outlet: null };
  const verdict: Verdict = { approve: { kind: 'opening', figures: own }, guards: [] };
  const funds = post({
    key: { origin: HUB_ORIGIN, seq: 2 ** 22 },
    hash: '',
    at: NOON,
    verdict,
    slot: null,
    facts,
    evidence: null,
  });
  expect(tell(file.engine, putCard(), opening(300_000n), funds, prepaid())).toEqual([
    'done',
    ...Array(3).fill('approved'),
  ]);
  return file;
}

const ends: Readonly<Record<string, { readonly steps: readonly Work[]; readonly paid: boolean }>> = {
  'that the biller pays': { steps: [release(1), settle(1, 'post')], paid: true },
  'that the biller refuses': { steps: [release(1), settle(1, 'void')], paid: false },
  'that was never released': { steps: [expire(NOON + 60_000)], paid: false },
  'that waits long for the biller': { steps: [release(1), expire(UNTIL * 2), settle(1, 'post')], paid: true },
  'that two officers find paid': { steps: [release(1), settle(1, 'post', OFFICERS)], paid: true },
  'that two officers find not paid': { steps: [release(1), settle(1, 'void', OFFICERS)], paid: false },
};
const cases = Object.entries(ends).flatMap(([what, end]) =>
  (['account', 'cash'] as const).map((from) => [from, what, end] as const),
);

test.each(cases)('a bill from %s %s: killed between any two steps, it ends the same way', (from, _what, end) => {
  const steps = [hold(1, ways[from]), ...end.steps];
  for (let done = 0; done <= steps.length; done++) {
    const file = start();
    const answers = steps.slice(0, done).map((step) => file.engine.apply([step])[0]);
    const image = killed(file.path);
    expectBalanced(image.path);
    expect([page(image.engine), image.engine.holds()]).toEqual([page(file.engine), file.engine.holds()]);
    const last = steps[done - 1];
    if (last !== undefined) expect(image.engine.apply([last]).map(said)).toEqual(answers.slice(-1).map(said));
    for (const step of steps.slice(done)) image.engine.apply([step]);
    const after = end.paid ? PAID[from] : BEFORE;
    expect(page(image.engine), `${done} steps done`).toEqual(after);
    // And whoever says it all again changes nothing.
    image.engine.apply(steps);
    expect([page(image.engine), image.engine.holds()]).toEqual([after, []]);
    expectBalanced(image.path);
  }
});

test('what waits for the biller is set aside: of the member, of the deposit, and of the day without PIN', () => {
  const { engine, path } = start();
  expect(tell(engine, hold(1, ways.account), release(1))).toEqual(['held', 'released']);
  const again = killed(path).engine;
  const later = NOON + 61_000;
  expect(tell(again, hold(2, ways.account, later))).toEqual(['declined: day-limit']);
  expect(tell(again, hold(3, ways.cash, later), hold(4, ways.cash, later))).toEqual(['held', 'declined: biller-short']);
  // Once the biller has refused it the day is free again, in memory and on the disk.
  expect(tell(again, settle(1, 'void'))).toEqual(['declined: bill-refused']);
  expect(tell(again, hold(5, ways.account, later))).toEqual(['held']);
  expect(again.ending(key(1))).toBe('{"said":"void"}');
});
