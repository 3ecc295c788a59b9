/** The ledger as the hub uses it: through its port, with the engine in the real worker. */
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { type Ledger, LedgerFault, type PostRequest } from '../../../../hub/store/ledger.ts';
import { auditFile } from '../../../../hub/store/sqlite/audit.ts';
import { openEngine, type Work } from '../../../../hub/store/sqlite/engine.ts';
import { openLedger } from '../../../../hub/store/sqlite/ledger.ts';
import { cashKey, deposit, expire, funding, hold, ownOpening, release, settle, UNTIL } from './counters.ts';
import { ledgerPath } from './ledgerfile.ts';
import { A, CARD, I, member, NOON, OUTLET, payout, purse, transit } from './town.ts';
import { cancel, opening, post, putCard, reload, sale, word } from './works.ts';

async function newLedger(path = ledgerPath(tmpdir())): Promise<Ledger> {
  const ledger = await openLedger({ path });
  let open = true;
  const close = ledger.close;
  onTestFinished(async () => {
    if (open) await close();
  });
  return {
    ...ledger,
    close: () => {
      open = false;
      return close();
    },
  };
}

const requestOf = (work: Work): PostRequest => {
  if (work.do !== 'post') throw new Error('not a post');
  return work.request;
};

/** Asks the port what the engine would be asked. */
async function through(ledger: Ledger, work: Work): Promise<unknown> {
  if (work.do === 'post') return ledger.post(work.request).catch(() => ({ kind: 'fault' }));
  if (work.do === 'cancel') return ledger.cancel(work.key, work.at);
  if (work.do === 'hold') return ledger.hold(work.request, work.until);
  if (work.do === 'release') return ledger.release(work.key, work.at, work.claim);
  if (work.do === 'settle') return ledger.settle(work.settlement);
  if (work.do === 'expire') await ledger.expire(work.at);
  else await (work.do === 'card' ? ledger.putCard(work.card) : ledger.alarm(work.alarm));
  return { kind: 'done' };
}

const day = (): Work[] => {
  const guards = [
    { kind: 'card-active', card: CARD },
    { kind: 'pause', card: CARD, kiosk: 8, seconds: 60 },
    { kind: 'day', card: CARD, amount: 1_000n, max: 1_500n },
    { kind: 'no-pin', card: CARD, amount: 1_000n, max: 1_500n },
    { kind: 'spend', account: member(), amount: 1_000n, day: 200_000n, month: 300_000n },
    { kind: 'cap', cooperative: I, max: 10n ** 12n, alert: 10n ** 12n },
  ] as const;
  const pin = [
    { kind: 'pin', card: CARD },
    { kind: 'cap', cooperative: I, max: 10n ** 12n, alert: 1_500n },
  ] as const;
  const income = [{ kind: 'income', account: member(), amount: 40_000n, month: 50_000n }] as const;
  return [
    putCard(),
    opening(200_000n),
    post(sale({ seq: 1, fee: 350n, tmc: 5 })),
    post(sale({ seq: 1, fee: 350n, tmc: 5 })),
    post(sale({ seq: 1, hash: 'b'.repeat(32) })),
    post(sale({ seq: 2, tmc: 5 })),
    post(sale({ seq: 3, amount: 900_000n, tmc: 9 })),
    cancel(1),
    cancel(4),
    post(sale({ seq: 4, tmc: 7 })),
    reload('reload-release', {
      seq: 5,
      amount: 700n,
      guards: [
        { kind: 'idle', account: transit },
        { kind: 'room', account: purse, amount: 700n, max: 700n },
        { kind: 'next', card: CARD, keyVersion: 1, tmc: 10 },
      ],
    }),
    reload('reload', { seq: 5, amount: 700n, tmc: 10 }),
    reload('reload-release', { seq: 6, amount: 800n }),
    reload('reload-void', { seq: 6, amount: 800n }),
    post(sale({ seq: 1, kiosk: 8, amount: 1_000n, guards, tmc: 10 })),
    post(sale({ seq: 2, kiosk: 8, amount: 1_000n, guards, tmc: 11 })),
    post(sale({ seq: 3, kiosk: 8, amount: 1_000n, guards: pin, tmc: 12 })),
    post({ ...sale({ seq: 5, refuse: { refuse: 'expired', outcome: 'expired' } }), evidence: null }),
    post({ ...sale({ seq: 6 }), key: { origin: -1, seq: 1 } }),
    ownOpening(600_000n),
    funding(600_000n, 300_000n),
    deposit(1, { amount: 40_000n, guards: income }),
    deposit(6, { amount: 40_000n, guards: income }),
    hold(2, { amount: 30_000n }),
    hold(2, { amount: 30_000n }),
    settle(2, 'post'),
    release(2),
    hold(3, { amount: 20_000n }),
    release(3),
    settle(3, 'void', '{"officers":["Ani","Budi"]}'),
    settle(2, 'post'),
    settle(9, 'post'),
    hold(4, { amount: 10_000n }),
    hold(5, { amount: 10_000n, at: NOON + 1 }),
    expire(UNTIL),
    { do: 'alarm', alarm: { at: NOON, kind: 'topic-foreign', kiosk: 'kios-7', detail: 'tried another’s topic' } },
  ];
};

/** Every row of every table of the ledger. */
function rows(path: string): unknown {
  const db = new Database(path, { readonly: true });
  const tables = ['settlement_window', 'account', 'entry', 'leg', 'card', 'chain', 'gap', 'hold', 'float', 'alarm'];
  const all = Object.fromEntries(tables.map((table) => [table, db.prepare(`SELECT * FROM ${table}`).all()]));
  db.close();
  return all;
}

test('through the port and its worker everything is answered and written as by the engine itself', async () => {
  const works = day();
  const [path, direct] = [ledgerPath(), ledgerPath()];
  const [ledger, engine] = [await newLedger(path), openEngine({ path: direct })];
  onTestFinished(() => engine.close());
  const answers = await Promise.all(works.map((work) => through(ledger, work)));
  const expected = engine.apply(works).map((answer) => (answer.kind === 'fault' ? { kind: 'fault' } : answer));
  expect(answers).toEqual(expected);
  expect(rows(path)).toEqual(rows(direct));
  const accounts = [member(), payout, { cooperative: A, kind: 'position', owner: I } as const];
  expect(await ledger.balances(accounts)).toEqual(engine.balances(accounts));
  expect(await ledger.lines(member(), null, 10)).toEqual(engine.lines(member(), null, 10));
  expect(await ledger.alarms(10)).toEqual(engine.alarms(10));
  expect(await ledger.holds()).toEqual(engine.holds());
  expect([await ledger.openHold(cashKey(5)), await ledger.openHold(cashKey(4))]).toEqual([
    engine.openHold(cashKey(5)),
    null,
  ]);
  expect(await ledger.float(OUTLET)).toBe(engine.float(OUTLET));
});

test('requests of one moment share a commit and are decided in the order of the calls', async () => {
  const ledger = await newLedger();
  await ledger.post(requestOf(opening(250_000n)));
  const sales = Array.from({ length: 300 }, (_, index) => ledger.post(sale({ seq: index + 1, amount: 1_000n })));
  const outcomes = (await Promise.all(sales)).map(word);
  expect(outcomes).toEqual([...Array(250).fill('approved'), ...Array(50).fill('declined: insufficient-funds')]);
  expect(await ledger.balances([member(), payout])).toEqual([0n, 250_000n]);
});

test('the trial balance is taken while the ledger goes on posting, and is always zero', async () => {
  const ledger = await newLedger();
  await ledger.post(requestOf(opening(100_000n)));
  const posts = Array.from({ length: 50 }, (_, index) => ledger.post(sale({ seq: index + 1, amount: 100n, fee: 10n })));
  const during = await ledger.trialBalance();
  await Promise.all(posts);
  for (const found of [during, await ledger.trialBalance()]) {
    expect(found).toMatchObject({ total: 0n, brokenPairs: [], brokenAccounts: [], brokenEntries: [] });
    expect([...found.cooperatives.values()].every((sum) => sum === 0n)).toBe(true);
  }
});

test('after closing and reopening a retry gets its receipt to the byte and the closed file audits clean', async () => {
  const path = ledgerPath(tmpdir());
  const first = await newLedger(path);
  await first.post(requestOf(opening(60_000n)));
  const before = await first.post(sale({ seq: 1 }));
  await first.close();
  expect(auditFile(path)).toMatchObject({ entries: 2, total: 0n, brokenAccounts: [], brokenEntries: [] });
  const again = await (await newLedger(path)).post(sale({ seq: 1 }));
  expect(again).toEqual({ ...before, duplicate: true });
});

test('an amount that no receipt could say never reaches the engine, and harms no other request', async () => {
  const ledger = await newLedger();
  const huge = { ...sale({ seq: 1 }), facts: { ...sale({ seq: 1 }).facts, amount: 2n ** 53n } };
  const [refused, paid] = await Promise.allSettled([ledger.post(huge), ledger.post(requestOf(opening(5n)))]);
  expect(refused).toMatchObject({ status: 'rejected', reason: { name: 'RangeError' } });
  expect(paid.status).toBe('fulfilled');
});

test('a closed ledger decides nothing and says so', async () => {
  const ledger = await newLedger();
  await ledger.close();
  await expect(ledger.post(sale({ seq: 1 }))).rejects.toMatchObject({ name: 'LedgerFault', refusedAtDoor: true });
});

test('a ledger that cannot be opened is a fault, not a hub without books', async () => {
  await expect(openLedger({ path: '/nonexistent/ledger.db' })).rejects.toThrow(LedgerFault);
});

test('when the engine dies every waiting request gets a fault and no decision, and the hub is told once', async () => {
  const path = ledgerPath(tmpdir());
  const faults: LedgerFault[] = [];
  const ledger = await openLedger({ path, onFault: (fault) => faults.push(fault) });
  await ledger.post(requestOf(opening(100_000n)));
  // Another writer on the file is what the engine must not survive.
  const intruder = openEngine({ path });
  intruder.apply([opening(1n)]);
  intruder.close();
  const waiting = await Promise.allSettled([1, 2, 3].map((seq) => ledger.post(sale({ seq }))));
  expect(waiting.map(({ status }) => status)).toEqual(Array(3).fill('rejected'));
  await expect(ledger.balances([member()])).rejects.toThrow(LedgerFault);
  expect(faults).toHaveLength(1);
  const fresh = await newLedger(path);
  expect(word(await fresh.post(sale({ seq: 1 })))).toBe('approved');
});

test('a full queue turns requests away undecided, and those that waited are decided', async () => {
  const ledger = await openLedger({ path: ledgerPath(tmpdir()), queueMax: 2 });
  onTestFinished(() => ledger.close());
  const results = await Promise.allSettled([1, 2, 3].map((seq) => ledger.post(sale({ seq }))));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  expect(results[2]).toMatchObject({ reason: { refusedAtDoor: true } });
});

test('a question the ledger cannot answer is refused without harm', async () => {
  const ledger = await newLedger();
  await expect(ledger.lines(member(), 12, 5)).rejects.toThrow(/line 12/);
  expect(await ledger.balances([member()])).toEqual([0n]);
});

test('a file that is no ledger is refused with the reason in words', async () => {
  const path = ledgerPath(tmpdir());
  writeFileSync(path, 'x'.repeat(9000));
  await expect(openLedger({ path })).rejects.toThrow('file is not a database');
});
