/** Limits of members, judged inside the post: what was used and what is held never exceed them together. */
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import type { Guard } from '../../../../hub/rules/entries.ts';
import { REFUND_ORIGIN } from '../../../../hub/store/ledger.ts';
import { auditFile } from '../../../../hub/store/sqlite/audit.ts';
import type { Engine, Work } from '../../../../hub/store/sqlite/engine.ts';
import { deposit, expire, funding, hold, ownOpening, release, settle, tell, UNTIL } from './counters.ts';
import { newEngine, newFile } from './ledgerfile.ts';
import { A, CARD, I, KIOSK, member, NOON, OUTLET, payout, purse } from './town.ts';
import { cancel, opening, post, putCard, reload, type SaleChanges, sale, words } from './works.ts';

const AMOUNT = 50_000n;
const DAY_MS = 86_400_000;
const NEVER = 10n ** 12n;
/** 17:00 UTC: a new day begins in Jakarta; the second also begins a month. */
const MIDNIGHT = Date.parse('2026-11-24T17:00:00Z');
const NEW_MONTH = Date.parse('2026-11-30T17:00:00Z');

const spend = (day: bigint, month = NEVER, amount = AMOUNT): Guard => ({
  kind: 'spend',
  account: member(),
  amount,
  day,
  month,
});
const noPin = (max: bigint): Guard => ({ kind: 'no-pin', card: CARD, amount: AMOUNT, max });
const PIN: Guard = { kind: 'pin', card: CARD };

let seqs = 0;
/** A sale of 50.000 under these guards, and its seq. */
const sold = (guards: readonly Guard[], changes: Partial<SaleChanges> = {}): Work =>
  post(sale({ seq: ++seqs, amount: AMOUNT, guards, ...changes }));
const last = () => seqs;

function rich(): { readonly engine: Engine; readonly path: string } {
  const file = newFile();
  words(file.engine, putCard(), opening(10_000_000n), opening(10_000_000n, 'budi'));
  return file;
}

function expectSound(path: string): void {
  expect(auditFile(path)).toMatchObject({ total: 0n, brokenPairs: [], brokenAccounts: [], brokenEntries: [] });
}

const usage = (path: string, owner = 'siti') => {
  const db = new Database(path, { readonly: true });
  const row = db.prepare("SELECT day, day_out, month_out, month_in FROM account WHERE kind = 'member' AND owner = ?");
  const found = row.raw().get(owner);
  db.close();
  return found;
};

const limits: readonly (readonly [string, Guard, string])[] = [
  ['the day of the member', spend(99_999n), 'spend-day'],
  ['the month of the member', spend(NEVER, 99_999n), 'spend-month'],
  ['the sum without PIN', noPin(99_999n), 'pin-due'],
  ['the cap', { kind: 'cap', cooperative: I, max: 99_999n }, 'debit-cap'],
];

test.each(
  limits,
)('of two sales in one batch that together break %s the second is refused alone', (_what, guard, why) => {
  const { engine, path } = rich();
  const others = sold([], { owner: 'budi' });
  expect(words(engine, sold([guard]), sold([guard]), sold([]), others)).toEqual([
    'approved',
    `declined: ${why}`,
    'approved',
    'approved',
  ]);
  expectSound(path);
});

test('a refused sale changes nothing: what was left for the day is still there', () => {
  const { engine, path } = rich();
  words(engine, sold([spend(60_000n)]));
  const before = usage(path);
  expect(words(engine, sold([spend(60_000n), noPin(NEVER)]))).toEqual(['declined: spend-day']);
  expect(usage(path)).toEqual(before);
  expect(words(engine, sold([spend(60_000n, NEVER, 10_000n)], { amount: 10_000n }))).toEqual(['approved']);
});

test('of two deposits in one batch that together break balance or income the second is refused', () => {
  const room: Guard = { kind: 'room', account: member(), amount: 100_000n, max: 250_000n };
  const income: Guard = { kind: 'income', account: member(), amount: 100_000n, month: 150_000n };
  for (const [guard, why] of [
    [room, 'balance-limit'],
    [income, 'income-month'],
  ] as const) {
    const { engine, path } = newFile();
    words(engine, putCard(), opening(60_000n));
    expect(tell(engine, deposit(1, { guards: [guard] }), deposit(2, { guards: [guard] }))).toEqual([
      'approved',
      `declined: ${why}`,
    ]);
    expect(usage(path)).toEqual(['2026-11-24', 0, 0, 100_000]);
    expectSound(path);
  }
});

test('the day turns at midnight in Jakarta, 17:00 UTC, and the month with its last day', () => {
  const { engine, path } = rich();
  const both = [spend(60_000n, 160_000n)];
  const at = (time: number) => words(engine, sold(both, { at: time }))[0];
  expect(at(MIDNIGHT - 1)).toBe('approved');
  expect(at(MIDNIGHT - 1)).toBe('declined: spend-day');
  expect(at(MIDNIGHT)).toBe('approved');
  expect(usage(path)).toEqual(['2026-11-25', 50_000, 100_000, 0]);
  expect(at(NEW_MONTH - 1)).toBe('approved');
  expect(at(NEW_MONTH - 1 - DAY_MS)).toBe('declined: spend-day');
  expect(words(engine, sold([spend(NEVER, 160_000n)], { at: NEW_MONTH - 1 }))).toEqual(['declined: spend-month']);
  expect(at(NEW_MONTH)).toBe('approved');
  expect(usage(path)).toEqual(['2026-12-01', 50_000, 50_000, 0]);
  expectSound(path);
});

test('a clock that goes back over midnight opens neither the day nor the month again', () => {
  const { engine, path } = rich();
  words(engine, sold([], { at: NEW_MONTH }));
  const back = NEW_MONTH - 1;
  expect(words(engine, sold([spend(60_000n)], { at: back }))).toEqual(['declined: spend-day']);
  expect(words(engine, sold([spend(NEVER, 60_000n)], { at: back }))).toEqual(['declined: spend-month']);
  expect(words(engine, sold([spend(100_000n, 100_000n)], { at: back }))).toEqual(['approved']);
  expect(usage(path)).toEqual(['2026-12-01', 100_000, 100_000, 0]);
  expectSound(path);
});

test('a void gives back day and month on the day of the sale, later the month, in another month nothing', () => {
  const { engine, path } = rich();
  const voidAt = (at: number) => {
    words(engine, sold([]));
    const seq = last();
    if (at !== NOON) words(engine, sold([], { at }));
    expect(words(engine, cancel(seq, at))).toEqual(['approved']);
    expectSound(path);
    return usage(path);
  };
  expect(voidAt(NOON)).toEqual(['2026-11-24', 0, 0, 0]);
  expect(voidAt(NOON + DAY_MS)).toEqual(['2026-11-25', 50_000, 50_000, 0]);
  // Its sale was noon of the 24th again, counted on the 25th by a clock that went back.
  expect(voidAt(NEW_MONTH)).toEqual(['2026-12-01', 50_000, 50_000, 0]);
});

/** Gives part of a payment back to a member's account. */
function refund(seq: number, original: number, amount: bigint, at = NOON, owner = 'siti'): Work {
  const figures = { original: `${KIOSK}/${original}`, member: member(owner), amount, authority: 'mirror' } as const;
  return post({
    key: { origin: REFUND_ORIGIN + KIOSK, seq },
    hash: seq.toString(16).padStart(32, 'f'),
    at,
    verdict: { approve: { kind: 'refund', figures }, guards: [] },
    slot: null,
    facts: { amount, card: CARD, issuer: I, acquirer: A, outlet: OUTLET },
    evidence: null,
  });
}

test('a refund gives back its part; one that goes to another account takes nothing from what that one used', () => {
  const { engine, path } = rich();
  words(engine, sold([]), sold([], { amount: 10_000n, owner: 'budi' }));
  const paid = last() - 1;
  expect(words(engine, refund(1, paid, 20_000n), refund(2, paid, 5_000n, NOON, 'budi'))).toEqual([
    'approved',
    'approved',
  ]);
  expect(usage(path)).toEqual(['2026-11-24', 30_000, 30_000, 0]);
  expect(words(engine, refund(3, paid, 10_000n, NOON, 'budi'))).toEqual(['approved']);
  expect(usage(path, 'budi')).toEqual(['2026-11-24', 0, 0, 0]);
  expectSound(path);
});

test('a refund of a payment from the purse, which used up no limit, gives none back', () => {
  const { engine, path } = rich();
  words(engine, reload('reload-release', { seq: 1 }), reload('reload', { seq: 1 }));
  const from = [{ account: purse, amount: 40_000n }];
  const figures = { issuer: I, acquirer: A, from, to: [{ account: payout, amount: 40_000n }], amount: 40_000n };
  const paid = sale({ seq: ++seqs, amount: 40_000n });
  const approve = {
    kind: 'purse-sale',
    figures: { ...figures, fee: 0n, shares: [], authority: 'card-certificate' },
  } as const;
  const claimed = post({ ...paid, verdict: { approve, guards: [] } });
  expect(words(engine, claimed, refund(1, last(), 40_000n))).toEqual(['approved', 'approved']);
  expect(usage(path)).toEqual(['2026-11-24', 50_000, 50_000, 0]);
  expectSound(path);
});

test('a load counts like a payment, and no more once it is void; what comes back is no income', () => {
  const { engine, path } = rich();
  const guards = [spend(60_000n)];
  expect(words(engine, reload('reload-release', { seq: 1, guards }))).toEqual(['approved']);
  expect(words(engine, sold(guards))).toEqual(['declined: spend-day']);
  expect(words(engine, reload('reload-void', { seq: 1 }), sold(guards))).toEqual(['approved', 'approved']);
  expect(words(engine, reload('reload-release', { seq: 2 }), reload('reload', { seq: 2 }))).toEqual([
    'approved',
    'approved',
  ]);
  expect(usage(path)).toEqual(['2026-11-24', 100_000, 100_000, 0]);
  expectSound(path);
});

test('what is held counts at once and on every day until it ends; two holds never exceed a limit', () => {
  const { engine, path } = newFile();
  tell(engine, putCard(), opening(500_000n), ownOpening(300_000n), funding(300_000n));
  const guards = [spend(150_000n, NEVER, 100_000n)];
  expect(tell(engine, hold(1, { guards }), hold(2, { guards }))).toEqual(['held', 'declined: spend-day']);
  expect(words(engine, sold([spend(149_999n)]))).toEqual(['declined: spend-day']);
  expect(usage(path)).toEqual(['', 0, 0, 0]);
  // Over midnight it still waits: what is held may yet be paid out on the new day.
  tell(engine, release(1));
  const tomorrow = { at: NOON + DAY_MS };
  expect(words(engine, sold([spend(149_999n)], tomorrow), sold([spend(150_000n)], tomorrow))).toEqual([
    'declined: spend-day',
    'approved',
  ]);
  expect(tell(engine, settle(1, 'post', null, NOON + DAY_MS))).toEqual(['approved']);
  expect(usage(path)).toEqual(['2026-11-25', 150_000, 150_000, 0]);
  expectSound(path);
});

test('a hold that ends void gives all back, also after the engine was opened again', () => {
  const { engine, path } = newFile();
  tell(engine, putCard(), opening(500_000n), ownOpening(300_000n), funding(300_000n));
  const guards = [spend(100_000n, 100_000n, 100_000n)];
  expect(tell(engine, hold(1, { guards }))).toEqual(['held']);
  engine.close();
  const again = newEngine(path);
  expect(tell(again, hold(2, { guards }))).toEqual(['declined: spend-day']);
  again.apply([expire(UNTIL)]);
  expect(tell(again, hold(3, { guards }))).toEqual(['held']);
  expect(usage(path)).toEqual(['', 0, 0, 0]);
});

test('a payment with PIN starts the sum without PIN anew; a void gives back only what was drawn since', () => {
  const { engine } = rich();
  const free = [noPin(100_000n)];
  expect(words(engine, sold(free), sold(free), sold(free))).toEqual(['approved', 'approved', 'declined: pin-due']);
  const early = last() - 2;
  expect(words(engine, sold([PIN]), sold(free))).toEqual(['approved', 'approved']);
  const late = last();
  expect(words(engine, cancel(early), sold(free), sold(free))).toEqual(['approved', 'approved', 'declined: pin-due']);
  expect(words(engine, cancel(late), sold(free), sold(free))).toEqual(['approved', 'approved', 'declined: pin-due']);
});

test('a refused payment with PIN leaves the sum without PIN as it was', () => {
  const { engine } = rich();
  const free = [noPin(50_000n)];
  expect(words(engine, sold(free), sold([PIN, spend(1n)]), sold(free))).toEqual([
    'approved',
    'declined: spend-day',
    'declined: pin-due',
  ]);
});

test('the PIN at a counter starts the sum without PIN anew too', () => {
  const { engine } = newFile();
  tell(engine, putCard(), opening(500_000n), ownOpening(300_000n), funding(300_000n));
  const free = [noPin(50_000n)];
  expect(words(engine, sold(free), sold(free))).toEqual(['approved', 'declined: pin-due']);
  tell(engine, hold(1), release(1));
  expect(words(engine, sold(free))).toEqual(['approved']);
});

test('sums are kept over a restart of the engine', () => {
  const { engine, path } = rich();
  words(engine, sold([noPin(NEVER)]));
  engine.close();
  const again = newEngine(path);
  expect(words(again, sold([spend(99_999n)]), sold([noPin(99_999n)]))).toEqual([
    'declined: spend-day',
    'declined: pin-due',
  ]);
});

test('crossing the alert level of a cap writes one alarm a crossing, and none for a refused sale', () => {
  const { engine } = rich();
  const cap = (max = NEVER): Guard => ({ kind: 'cap', cooperative: I, max, alert: 120_000n });
  const near = () => engine.alarms(50).filter(({ kind }) => kind === 'cap-near');
  words(engine, sold([cap()]), sold([cap()]));
  expect(near()).toEqual([]);
  expect(words(engine, sold([cap(149_999n)]))).toEqual(['declined: debit-cap']);
  expect(near()).toEqual([]);
  words(engine, sold([cap()]), sold([cap()]));
  expect(near()).toMatchObject([
    { kiosk: String(KIOSK), detail: expect.stringContaining('angkot comes to owe Rp 150.000') },
  ]);
  words(engine, cancel(last()), cancel(last() - 1), sold([cap()]));
  expect(near()).toHaveLength(2);
});

test('a withdrawal that is only held crosses the alert level as well, and its posting does not cross it again', () => {
  const { engine } = newFile();
  tell(engine, putCard(), opening(500_000n), ownOpening(300_000n), funding(300_000n));
  const guards: readonly Guard[] = [{ kind: 'cap', cooperative: I, max: NEVER, alert: 100_000n }];
  expect(tell(engine, hold(1, { guards }), release(1), settle(1, 'post'))).toEqual(['held', 'released', 'approved']);
  expect(engine.alarms(50).map(({ kind }) => kind)).toEqual(['cap-near']);
});

test('what a member used is proven from the entries: a figure changed by hand shows in the audit', () => {
  const { engine, path } = rich();
  words(engine, sold([]));
  engine.close();
  expectSound(path);
  for (const change of ['day_out = day_out - 1', 'month_out = month_out + 1', "day = '2026-11-25'", 'month_in = 1']) {
    const db = new Database(path);
    const [figures] = db.prepare("SELECT * FROM account WHERE owner = 'siti'").all() as { day: string }[];
    db.exec(`UPDATE account SET ${change} WHERE owner = 'siti'`);
    db.close();
    expect(auditFile(path).brokenAccounts, change).toEqual(['angkot/member/siti']);
    const undo = new Database(path);
    const { day, day_out, month_out, month_in } = figures as unknown as Record<string, string>;
    undo
      .prepare("UPDATE account SET day = ?, day_out = ?, month_out = ?, month_in = ? WHERE owner = 'siti'")
      .run(day, day_out, month_out, month_in);
    undo.close();
  }
});
