/** Attacks on cash in the books: what is set aside must be there when it is booked, whatever came between. */
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { auditFile } from '../../../../hub/store/sqlite/audit.ts';
import { keyNumber } from '../../../../hub/store/sqlite/decisions.ts';
import type { Engine, Work } from '../../../../hub/store/sqlite/engine.ts';
import { chance } from '../../../town/chance.ts';
import {
  cashKey,
  deposit,
  expectBalanced,
  expire,
  funding,
  hold,
  OWN,
  ownOpening,
  release,
  settle,
  tell,
} from './counters.ts';
import { newFile } from './ledgerfile.ts';
import { A, CARD, I, KIOSK, NOON } from './town.ts';
import { cancel, opening, post, putCard, reload, sale } from './works.ts';

const OFFICERS = JSON.stringify({ officers: ['Ani', 'Budi'], counted: 1 });
const START = (): readonly Work[] => [putCard(), opening(150_000n), ownOpening(400_000n), funding(400_000n)];

/** No such number: a fault of the hub, alone among sound requests. */
const fault = (): Work => ({ do: 'cancel', key: { origin: KIOSK, seq: 2 ** 24 }, at: NOON });

const both = (engine: Engine) =>
  engine.balances([
    { cooperative: I, kind: 'position', owner: A },
    { cooperative: I, kind: 'position', owner: 'platform' },
  ]);

test('twelve days of a counter in any order, with faults and restarts: all that was released can be booked', () => {
  const { below, pick } = chance('cash in any order');
  for (let day = 0; day < 12; day++) {
    const [file, plain] = [newFile(), newFile()];
    const start = START();
    file.engine.apply(start);
    plain.engine.apply(start);
    const cap = BigInt(30_000 + below(120_000));
    const guards = [{ kind: 'cap', cooperative: I, max: cap }] as const;
    let [seq, now] = [0, NOON];
    const next = (): Work => {
      const home = below(3) === 0;
      const fee = BigInt(below(600)) * 3n;
      const who = { ...(home ? { issuer: A, owner: OWN } : { fee, cap }), amount: 1_800n + BigInt(below(150_000)) };
      const known = 1 + below(seq + 1);
      now += below(20_000);
      if (below(3) === 0) seq += 1;
      const makers: readonly [() => Work, ...(() => Work)[]] = [
        () => hold(seq, { ...who, at: now }),
        () => hold(seq + 1, { ...who, at: now }),
        () => deposit(seq, who),
        () => release(known, now),
        () => release(seq, now),
        () => settle(known, 'post', null, now),
        () => settle(known, 'void', null, now),
        () => settle(known, pick(['post', 'void']), OFFICERS, now),
        () => expire(now),
        () => post(sale({ seq, amount: who.amount, fee: fee / 3n, guards, at: now })),
        () => cancel(known, now),
        () => reload('reload-release', { seq, amount: who.amount, at: now }),
        () => reload('reload-void', { seq: known, amount: who.amount, at: now }),
        () => ({ do: 'card', card: { uid: CARD, status: pick(['active', 'frozen']), keyVersion: 1, tmc: 4 } }),
        fault,
      ];
      return pick(makers)();
    };
    for (let batch = 0; batch < 12; batch++) {
      const works = Array.from({ length: 1 + below(12) }, next);
      const answers = file.engine.apply(works);
      const alone = works.map((work) => plain.engine.apply([work])[0]);
      expect(answers).toEqual(alone);
      works.forEach((work, index) => {
        const bad = work.do === 'cancel' && work.key.seq === 2 ** 24;
        expect(answers[index]?.kind === 'fault', JSON.stringify(answers[index])).toBe(bad);
      });
      if (below(4) === 0) file.reopen();
      if (batch % 4 === 0) expectBalanced(file.path);
      expect(file.engine.holds()).toEqual(plain.engine.holds());
    }
    const ends = file.engine.holds().map(({ seq }) => settle(seq, 'post', OFFICERS, now));
    expect(new Set(tell(file.engine, ...ends))).toEqual(new Set(ends.length === 0 ? [] : ['approved']));
    const owed = both(file.engine).reduce((sum, balance) => sum + balance, 0n);
    expect(owed <= cap, `angkot owes ${owed}, at most ${cap}`).toBe(true);
    expectBalanced(file.path);
    file.close();
    plain.close();
  }
});

test('a hold made under a clock that ran a year ahead is void once it is right; a step of a second voids none', () => {
  const { engine, path } = newFile();
  engine.apply(START());
  const year = 365 * 86_400_000;
  tell(engine, hold(1, { amount: 10_000n, at: NOON + year }), hold(2, { amount: 10_000n, at: NOON + 1_000 }));
  tell(engine, hold(3, { amount: 10_000n, at: NOON + year }), hold(4, { amount: 10_000n, at: NOON + year }));
  tell(engine, release(4, NOON + year));
  expect(tell(engine, release(3))).toEqual(['expired: hold-expired']);
  engine.apply([expire(NOON)]);
  expect(engine.holds().map(({ seq, state }) => `${seq} ${state}`)).toEqual(['2 held', '4 released']);
  expectBalanced(path);
});

test('a cooperative above its cap still serves its own members in cash: only what makes it owe more is refused', () => {
  const { engine, path } = newFile();
  engine.apply([putCard(), opening(500_000n), ownOpening(900_000n), funding(400_000n)]);
  expect(tell(engine, deposit(1, { amount: 200_000n }))).toEqual(['approved']);
  // Officers have lowered the cap of pasar since, below what it owes.
  const own = { issuer: A, owner: OWN, cap: 100_000n };
  expect(tell(engine, hold(2, own), release(2), settle(2, 'post'), deposit(3, own))).toEqual([
    'held',
    'released',
    'approved',
    'approved',
  ]);
  expect(tell(engine, deposit(4, { amount: 1_500n, fee: 1_500n, cap: 100_000n }))).toEqual(['declined: debit-cap']);
  expectBalanced(path);
});

/** Seq of each withdrawal: 1 paid, 2 given up, 3 held, 4 released, 5 found not paid, 6 found paid unreleased. */
const TAMPERED: readonly (readonly [string, 'brokenEntries' | 'brokenAccounts', number])[] = [
  ['UPDATE hold SET released = NULL WHERE rowid = :1', 'brokenEntries', 1],
  ['UPDATE hold SET released = at WHERE rowid = :2', 'brokenEntries', 1],
  ['UPDATE hold SET released = at WHERE rowid = :3', 'brokenEntries', 1],
  ['UPDATE hold SET released = NULL WHERE rowid = :4', 'brokenEntries', 1],
  ['UPDATE hold SET officers = NULL WHERE rowid = :5', 'brokenEntries', 1],
  ['UPDATE hold SET officers = NULL WHERE rowid = :6', 'brokenEntries', 1],
  ["UPDATE hold SET hash = 'x' WHERE rowid = :1", 'brokenEntries', 1],
  ["UPDATE hold SET instruction = replace(instruction, 'siti', 'ani') WHERE rowid = :1", 'brokenEntries', 1],
  ["UPDATE hold SET instruction = replace(instruction, 'angkot', 'ojek') WHERE rowid = :1", 'brokenEntries', 1],
  ["UPDATE hold SET instruction = replace(instruction, 'lapak-12', 'lapak-1') WHERE rowid = :1", 'brokenEntries', 1],
  // The deposit stands under the key of what was given up.
  [
    'UPDATE entry SET key = -1 WHERE key = :2; UPDATE entry SET key = :2, amount = 10000 WHERE key = :7',
    'brokenEntries',
    1,
  ],
  ["UPDATE hold SET instruction = replace(instruction, '10000,', '900000,') WHERE rowid = :3", 'brokenAccounts', 2],
  [
    "DELETE FROM float; UPDATE hold SET instruction = replace(instruction, '-12', '-13') WHERE rowid = :4",
    'brokenAccounts',
    1,
  ],
];

test.each(TAMPERED)('the audit sees what a hand has changed: %s', (statement, where, faults) => {
  const { engine, path, ...file } = newFile();
  engine.apply([putCard(), opening(500_000n), ownOpening(900_000n), funding(400_000n)]);
  for (const seq of [1, 2, 3, 4, 5, 6]) tell(engine, hold(seq, { amount: 10_000n, hash: String(seq).repeat(32) }));
  tell(engine, release(1), settle(1, 'post'), settle(2, 'void'), release(4), release(5), settle(5, 'void', OFFICERS));
  tell(engine, settle(6, 'post', OFFICERS), deposit(7, { hash: '2'.repeat(32) }));
  expectBalanced(path);
  file.close();
  const db = new Database(path);
  for (const wall of ['hold_final', 'hold_forward', 'hold_kept', 'entry_final', 'entry_noted', 'entry_kept']) {
    db.exec(`DROP TRIGGER ${wall}`);
  }
  db.exec(statement.replaceAll(/:(\d)/g, (_all, seq) => String(keyNumber(cashKey(Number(seq))))));
  db.close();
  expect(auditFile(path)[where]).toHaveLength(faults);
});

test('a kiosk that closes a deposit whose answer it lost learns that it stands: that is no alarm', () => {
  const { engine } = newFile();
  engine.apply(START());
  expect(tell(engine, deposit(1), settle(1, 'void'))).toEqual(['approved', 'approved']);
  expect(engine.alarms(5)).toEqual([]);
  expect(tell(engine, hold(2), release(2), settle(2, 'post'), settle(2, 'void')).at(-1)).toBe('approved');
  expect(engine.alarms(5)).toMatchObject([{ kind: 'hold-ended' }]);
});
