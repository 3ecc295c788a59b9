/** Cash over a counter as the books have it: who, what, before, after; and what holds keep others from using. */
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { auditFile } from '../../../../hub/store/sqlite/audit.ts';
import {
  cashKey,
  deposit,
  expectBalanced,
  expire,
  funding,
  hold,
  OWN,
  ownOpening,
  page,
  release,
  settle,
  tell,
  UNTIL,
} from './counters.ts';
import { newFile } from './ledgerfile.ts';
import { A, CARD, I, KIOSK, NOON, OUTLET } from './town.ts';
import { opening, post, putCard, receiptOf, reload, sale } from './works.ts';

/** Siti of angkot has 500.000, Budi of pasar 300.000; the counter of pasar 300.000 in its drawer, all of it float. */
function counter() {
  const file = newFile();
  tell(file.engine, putCard(), opening(500_000n), ownOpening(300_000n), funding(300_000n));
  return file;
}

const START = {
  'angkot/member/siti': 500_000,
  'pasar/member/budi': 300_000,
  'pasar/drawer/lapak-12': -300_000,
  float: 300_000,
};

test('before anything: 300.000 from the bank lie in the drawer', () => {
  const { engine, path } = counter();
  expect(page(engine)).toEqual(START);
  expectBalanced(path);
});

test('Siti of angkot deposits 100.000 at pasar and gets 100.000; angkot pays pasar 1.000 and Simpul 500', () => {
  const { engine, path } = counter();
  const [answer] = engine.apply([deposit(1)]);
  expect(receiptOf(answer)).toMatchObject({
    kiosk: KIOSK,
    seq: 1,
    outcome: 'approved',
    amount: 100_000,
    fee: 1_500,
    balance: 600_000,
    shares: [
      { to: 'pasar', amount: 1_000 },
      { to: 'platform', amount: 500 },
    ],
  });
  expect(page(engine)).toEqual({
    ...START,
    'angkot/member/siti': 600_000,
    'angkot/position/pasar': -99_000,
    'angkot/position/platform': 500,
    'angkot/fee-expense/-': -1_500,
    'pasar/drawer/lapak-12': -400_000,
    'pasar/position/angkot': 99_000,
    'pasar/fee-income/-': 1_000,
    'platform/position/angkot': -500,
    'platform/fee-income/-': 500,
    float: 400_000,
  });
  expectBalanced(path);
});

test('Siti withdraws 200.000 at pasar: held, released, paid; only then the books move, the float at once', () => {
  const { engine, path } = counter();
  expect(tell(engine, hold(1, { amount: 200_000n }))).toEqual(['held']);
  expect(page(engine)).toEqual({ ...START, float: 100_000 });
  expectBalanced(path);
  expect(tell(engine, release(1))).toEqual(['released']);
  expect(page(engine)).toEqual({ ...START, float: 100_000 });
  expectBalanced(path);
  const [paid] = engine.apply([settle(1, 'post')]);
  expect(receiptOf(paid)).toMatchObject({ outcome: 'approved', amount: 200_000, fee: 1_500, balance: 300_000 });
  expect(page(engine)).toEqual({
    ...START,
    'angkot/member/siti': 300_000,
    'angkot/position/pasar': 201_000,
    'angkot/position/platform': 500,
    'angkot/fee-expense/-': -1_500,
    'pasar/drawer/lapak-12': -100_000,
    'pasar/position/angkot': -201_000,
    'pasar/fee-income/-': 1_000,
    'platform/position/angkot': -500,
    'platform/fee-income/-': 500,
    float: 100_000,
  });
  expectBalanced(path);
});

test('Budi of pasar deposits 100.000 and withdraws 50.000 at his own cooperative: drawer and account only', () => {
  const { engine, path } = counter();
  const own = { issuer: A, owner: OWN };
  expect(tell(engine, deposit(1, own), hold(2, { ...own, amount: 50_000n }), release(2), settle(2, 'post'))).toEqual([
    'approved',
    'held',
    'released',
    'approved',
  ]);
  const after = { 'pasar/member/budi': 350_000, 'pasar/drawer/lapak-12': -350_000, float: 350_000 };
  expect(page(engine)).toEqual({ ...START, ...after });
  expectBalanced(path);
});

test.each([
  ['the member gives it up', () => [settle(1, 'void')], 'cancelled: cancelled'],
  ['nobody comes back in time, and the sweeper comes', () => [expire(), settle(1, 'void')], 'expired: hold-expired'],
  ['the release comes too late, before any sweeper', () => [release(1, UNTIL)], 'expired: hold-expired'],
  [
    'the card is frozen before the release',
    () => [{ do: 'card', card: { uid: CARD, status: 'frozen', keyVersion: 1, tmc: 4 } } as const, release(1)],
    'declined: card-blocked',
  ],
] as const)('a hold of 200.000, and %s: all is as before, and it stays so', (_what, end, decided) => {
  const { engine, path } = counter();
  tell(engine, hold(1, { amount: 200_000n }));
  expect(tell(engine, ...end()).at(-1)).toBe(decided);
  expect(tell(engine, release(1), hold(1, { amount: 200_000n }))).toEqual([decided, decided]);
  expect(page(engine)).toEqual(START);
  expectBalanced(path);
});

test('the sweeper takes what was held too long, nothing younger, and never what was released', () => {
  const { engine, path } = counter();
  tell(
    engine,
    hold(1, { amount: 2_000n }),
    hold(2, { amount: 2_000n, at: NOON + 1 }),
    hold(3, { amount: 4_000n }),
    release(3),
  );
  engine.apply([expire(UNTIL - 1)]);
  expect(engine.holds().map(({ seq }) => seq)).toEqual([1, 2, 3]);
  engine.apply([expire(UNTIL), expire(UNTIL)]);
  expect(engine.holds().map(({ seq, state }) => `${seq} ${state}`)).toEqual(['2 held', '3 released']);
  engine.apply([expire(UNTIL + 10 ** 12)]);
  expect(engine.holds().map(({ seq }) => seq)).toEqual([3]);
  expect(page(engine)).toEqual({ ...START, float: 296_000 });
  expectBalanced(path);
});

test('what is released ends by the word of the kiosk that the cash is out, or by two officers; not otherwise', () => {
  const { engine, path } = counter();
  tell(engine, hold(1, { amount: 200_000n }), release(1));
  expect(tell(engine, settle(1, 'void'), expire(UNTIL * 2), release(1, UNTIL * 2))).toEqual([
    'released',
    'done',
    'released',
  ]);
  const officers = JSON.stringify({ officers: ['Ani', 'Budi'], counted: 300_000 });
  expect(tell(engine, settle(1, 'void', officers))).toEqual(['cancelled: cancelled']);
  expect(page(engine)).toEqual(START);
  tell(engine, hold(2, { amount: 200_000n }), release(2));
  expect(tell(engine, settle(2, 'post', officers))).toEqual(['approved']);
  expect(page(engine)).toMatchObject({
    'angkot/member/siti': 300_000,
    'pasar/drawer/lapak-12': -100_000,
    float: 100_000,
  });
  expectBalanced(path);
  const db = new Database(path, { readonly: true });
  const rows = db.prepare('SELECT state, officers FROM hold ORDER BY key').all();
  const authority = db.prepare("SELECT authority FROM entry WHERE kind = 'withdrawal'").pluck().all();
  db.close();
  expect(rows).toEqual([
    { state: 'voided', officers },
    { state: 'posted', officers },
  ]);
  expect(authority).toEqual(['two-officers']);
});

test('cash that a kiosk says it handed out before the release is not booked, and an alarm tells', () => {
  const { engine, path } = counter();
  tell(engine, hold(1));
  expect(tell(engine, settle(1, 'post'), settle(2, 'post'))).toEqual(['held', 'absent']);
  expect(engine.alarms(5)).toMatchObject([{ kind: 'hold-unreleased' }]);
  expectBalanced(path);
});

test('an ended withdrawal ends once: the other word later changes nothing, and an alarm tells', () => {
  const { engine, path } = counter();
  tell(engine, hold(1), release(1), settle(1, 'post'), hold(2), settle(2, 'void'));
  const before = page(engine);
  expect(tell(engine, settle(1, 'void'), settle(2, 'post'), settle(1, 'post'), settle(2, 'void'))).toEqual([
    'approved',
    'cancelled: cancelled',
    'approved',
    'cancelled: cancelled',
  ]);
  expect(page(engine)).toEqual(before);
  expect(engine.alarms(5).map(({ kind }) => kind)).toEqual(['hold-ended', 'hold-ended']);
  expectBalanced(path);
});

test('a hold keeps the member from spending the money twice: sale, reload and second hold are refused', () => {
  const { engine, path } = counter();
  tell(engine, ownOpening(200_000n), funding(200_000n), hold(1, { amount: 300_000n, fee: 0n }));
  expect(
    tell(
      engine,
      post(sale({ seq: 1, amount: 200_001n })),
      reload('reload-release', { seq: 2, amount: 200_001n }),
      post(sale({ seq: 3, amount: 200_000n })),
    ),
  ).toEqual(['declined: insufficient-funds', 'declined: insufficient-funds', 'approved']);
  expect(tell(engine, deposit(4), hold(5, { amount: 100_001n }), hold(6, { amount: 100_000n }))).toEqual([
    'approved',
    'declined: insufficient-funds',
    'held',
  ]);
  expectBalanced(path);
  expect(tell(engine, settle(1, 'void'), post(sale({ seq: 7, amount: 300_000n })))).toEqual([
    'cancelled: cancelled',
    'approved',
  ]);
});

test('a hold keeps the drawer’s cash and the float for its member: of two in one batch the second is refused', () => {
  const { engine } = counter();
  expect(tell(engine, hold(1, { amount: 200_000n }), hold(2, { amount: 100_001n, issuer: A, owner: OWN }))).toEqual([
    'held',
    'declined: float-short',
  ]);
  const poor = newFile();
  tell(poor.engine, putCard(), opening(500_000n), ownOpening(300_000n), funding(300_000n, 50_000n));
  expect(tell(poor.engine, hold(1, { amount: 50_001n }), hold(2, { amount: 50_000n }))).toEqual([
    'declined: float-short',
    'held',
  ]);
  expectBalanced(poor.path);
});

test('without cash in the drawer nothing is held, whatever its float might say', () => {
  const { engine } = newFile();
  tell(engine, putCard(), opening(500_000n));
  const request = hold(1);
  if (request.do !== 'hold' || !('approve' in request.request.verdict)) throw new Error('no hold');
  const verdict = { ...request.request.verdict, guards: [] };
  expect(tell(engine, { ...request, request: { ...request.request, verdict } })).toEqual(['declined: drawer-short']);
});

test('a hold counts in the cap of the cooperative that will owe, fee included, and only for a rise', () => {
  const { engine } = counter();
  expect(
    tell(
      engine,
      hold(1, { cap: 101_499n }),
      hold(2, { cap: 101_500n }),
      hold(3, { amount: 1_000n, fee: 0n, cap: 101_500n }),
    ),
  ).toEqual(['declined: debit-cap', 'held', 'declined: debit-cap']);
  const cap = { kind: 'cap', cooperative: I, max: 101_500n } as const;
  expect(tell(engine, post(sale({ seq: 9, amount: 1n, guards: [cap] })))).toEqual(['declined: debit-cap']);
  // Pasar is to be owed 101.000 by it, and may not count on that.
  expect(tell(engine, deposit(4, { cap: 98_999n }), deposit(5, { cap: 99_000n }))).toEqual([
    'declined: debit-cap',
    'approved',
  ]);
});

test('a retry of any step is answered as it stands, to the byte; another body of the same pair moves nothing', () => {
  const { engine, path } = counter();
  const [held] = engine.apply([hold(1)]);
  expect(engine.apply([hold(1)])).toEqual([held]);
  expect(engine.openHold(cashKey(1))).toBe(held?.kind === 'open' ? held.slip : null);
  expect(tell(engine, hold(1, { amount: 99_999n, hash: 'f'.repeat(32) }), deposit(1))).toEqual([
    'body-differs',
    'body-differs',
  ]);
  const [released] = engine.apply([release(1)]);
  expect(engine.apply([release(1, NOON + 9), hold(1)])).toEqual([released, released]);
  const [paid] = engine.apply([settle(1, 'post')]);
  const again = engine.apply([settle(1, 'post', null, NOON + 9), release(1), hold(1)]);
  expect(again.map((answer) => receiptOf(answer))).toEqual(Array(3).fill(receiptOf(paid)));
  expect(tell(engine, hold(1, { hash: 'f'.repeat(32) }), deposit(1))).toEqual(['body-differs', 'body-differs']);
  expect(engine.standing(cashKey(1))).toMatchObject({ kind: 'withdrawal' });
  expect(engine.openHold(cashKey(1))).toBeNull();
  tell(engine, deposit(2));
  const before = page(engine);
  expect(tell(engine, deposit(2), deposit(2, { amount: 1n, hash: 'f'.repeat(32) }), hold(2))).toEqual([
    'approved',
    'body-differs',
    'body-differs',
  ]);
  expect(page(engine)).toEqual(before);
  expectBalanced(path);
});

test('a withdrawal that was given up before its hold came is closed: the late hold sets nothing aside', () => {
  const { engine } = counter();
  expect(tell(engine, settle(1, 'void'), hold(1), release(1))).toEqual(Array(3).fill('cancelled: cancelled'));
  expect(tell(engine, hold(1, { hash: 'f'.repeat(32) }))).toEqual(['body-differs']);
  expect(page(engine)).toEqual(START);
});

test('no withdrawal is posted without its hold', () => {
  const { engine } = counter();
  const made = hold(1);
  if (made.do !== 'hold') throw new Error('no hold');
  expect(tell(engine, post(made.request), hold(2))).toEqual(['fault', 'held']);
});

test('the rows of a hold go forward only, and stay', () => {
  const { engine, path, ...file } = counter();
  tell(engine, hold(1), release(1), settle(1, 'post'), hold(2), release(2), hold(3));
  file.close();
  const db = new Database(path);
  const refused = [
    "UPDATE hold SET state = 'voided' WHERE state = 'posted'",
    "UPDATE hold SET state = 'held' WHERE state = 'released'",
    "UPDATE hold SET instruction = '{}' WHERE state = 'held'",
    'UPDATE hold SET until = until + 1',
    'DELETE FROM hold',
  ];
  for (const statement of refused) expect(() => db.exec(statement), statement).toThrow();
  db.close();
});

test('the audit names a withdrawal without its hold, an open hold that is decided, and a float beyond the cash', () => {
  const breaks: readonly [string, 'brokenEntries' | 'brokenAccounts'][] = [
    ["UPDATE hold SET state = 'voided' WHERE state = 'posted'", 'brokenEntries'],
    ["UPDATE hold SET state = 'held' WHERE state = 'voided'", 'brokenEntries'],
    ["UPDATE hold SET state = 'posted' WHERE state = 'held'", 'brokenEntries'],
    ["DELETE FROM hold WHERE state = 'posted'", 'brokenEntries'],
    ['UPDATE float SET value = value + 1', 'brokenAccounts'],
  ];
  for (const [statement, where] of breaks) {
    const { engine, path, ...file } = counter();
    tell(engine, hold(1), release(1), settle(1, 'post'), hold(2, { amount: 2_000n }), settle(2, 'void'), hold(3));
    expectBalanced(path);
    file.close();
    const db = new Database(path);
    db.exec('DROP TRIGGER hold_final; DROP TRIGGER hold_forward; DROP TRIGGER hold_kept');
    db.exec(statement);
    db.close();
    expect(auditFile(path)[where], statement).toHaveLength(1);
  }
});

test('the card that is served, the counter and its outlet stand on the slip', () => {
  const { engine } = counter();
  tell(engine, hold(1));
  expect(engine.holds()).toMatchObject([
    {
      state: 'held',
      kiosk: KIOSK,
      seq: 1,
      amount: 100_000,
      fee: 1_500,
      card: CARD,
      issuer: I,
      acquirer: A,
      outlet: OUTLET,
    },
  ]);
});
