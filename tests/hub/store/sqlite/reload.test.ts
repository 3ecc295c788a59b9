/** A reload's money: from the account on its way, and from there to the purse or back, each once. */
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RELEASE_ORIGIN, RELOAD_ORIGIN } from '../../../../hub/store/ledger.ts';
import { auditFile } from '../../../../hub/store/sqlite/audit.ts';
import { newEngine, newFile } from './ledgerfile.ts';
import { CARD, I, KIOSK, member, NOON, purse, transit } from './town.ts';
import { cancel, opening, post, putCard, receiptOf, reload, sale, words } from './works.ts';

const release = (seq: number, more = {}) => reload('reload-release', { seq, ...more });
const proof = (seq: number, more = {}) => reload('reload', { seq, ...more });
const voided = (seq: number, more = {}) => reload('reload-void', { seq, ...more });

const where = [member(), transit, purse];

test('a reload of 50.000 waits in transit from its release to its proof, and lies in the purse after it', () => {
  const engine = newEngine();
  words(engine, putCard(), opening(120_000n));
  const [sent] = engine.apply([release(1)]);
  expect(engine.balances(where)).toEqual([70_000n, 50_000n, 0n]);
  expect(receiptOf(sent)).toMatchObject({ kiosk: KIOSK, seq: 1, outcome: 'approved', amount: 50_000, balance: 70_000 });
  const [loaded] = engine.apply([proof(1, { tmc: 5 })]);
  expect(engine.balances(where)).toEqual([70_000n, 0n, 50_000n]);
  expect(receiptOf(loaded)).toMatchObject({ kiosk: KIOSK, seq: 1, outcome: 'approved', card: CARD, balance: 70_000 });
  expect(words(engine, post(sale({ seq: 9, tmc: 5, amount: 1n })))).toEqual(['declined: slot-taken']);
});

test('a void reload is back on the account, and its slot stays for whoever used it', () => {
  const engine = newEngine();
  words(engine, putCard(), opening(120_000n), release(1));
  expect(words(engine, voided(1), post(sale({ seq: 9, tmc: 5, amount: 1n })))).toEqual(['approved', 'approved']);
  expect(engine.balances(where)).toEqual([119_999n, 0n, 0n]);
});

test('of two releases for a card in one batch the second is refused, and so is one before the first is proven', () => {
  const engine = newEngine();
  words(engine, putCard(), opening(200_000n));
  expect(words(engine, release(1), release(2))).toEqual(['approved', 'declined: reload-open']);
  expect(words(engine, release(3), proof(1, { tmc: 5 }), release(4))).toEqual([
    'declined: reload-open',
    'approved',
    'approved',
  ]);
  expect(engine.balances(where)).toEqual([100_000n, 50_000n, 50_000n]);
});

test('a release beyond the account’s balance is declined and sends nothing', () => {
  const engine = newEngine();
  expect(words(engine, putCard(), opening(49_999n), release(1))).toEqual([
    'done',
    'approved',
    'declined: insufficient-funds',
  ]);
  expect(engine.openReloads()).toEqual([]);
});

test('a reload ends once: a void after its proof, or a proof after its void, changes nothing', () => {
  const engine = newEngine();
  words(engine, putCard(), opening(200_000n), release(1), proof(1, { tmc: 5 }));
  const [again, other] = engine.apply([proof(1, { tmc: 5 }), voided(1)]);
  expect([again, other]).toMatchObject([{ duplicate: true }, { duplicate: true }]);
  expect(other).toEqual(again);
  words(engine, release(2), voided(2), proof(2, { tmc: 6 }));
  expect(engine.balances(where)).toEqual([150_000n, 0n, 50_000n]);
});

test('what was never released, or for another amount or card, is not booked from what another reload sent', () => {
  const engine = newEngine();
  words(engine, putCard(), opening(200_000n), release(1));
  expect(words(engine, proof(2), voided(3), proof(1, { amount: 49_999n }))).toEqual(
    Array(3).fill('declined: reload-unreleased'),
  );
  expect(engine.balances(where)).toEqual([150_000n, 50_000n, 0n]);
});

test('a proof is booked even if its slot was taken, with an alarm for the officers', () => {
  const engine = newEngine();
  words(engine, putCard(), opening(200_000n), release(1), post(sale({ seq: 9, tmc: 5, amount: 1n })));
  expect(words(engine, proof(1, { tmc: 5 }))).toEqual(['approved']);
  expect(engine.alarms(5)).toMatchObject([{ kind: 'slot-taken' }]);
});

test('a release for a counter that is used already, or under an older key version, is refused', () => {
  const engine = newEngine();
  const next = (tmc: number, keyVersion = 1) => [{ kind: 'next', card: CARD, keyVersion, tmc }] as const;
  words(engine, putCard(), opening(200_000n), post(sale({ seq: 9, tmc: 7, amount: 1n })));
  expect(
    words(
      engine,
      release(1, { guards: next(7) }),
      release(2, { guards: next(5) }),
      release(3, { guards: next(8, 2) }),
      release(4, { guards: next(8) }),
    ),
  ).toEqual([...Array(3).fill('declined: slot-taken'), 'approved']);
});

test('a load counts for the card’s day, and no longer once it is void', () => {
  const engine = newEngine();
  const guards = [{ kind: 'day', card: CARD, amount: 50_000n, max: 50_000n }] as const;
  words(engine, putCard(), opening(300_000n), release(1, { guards }));
  expect(words(engine, post(sale({ seq: 9, guards })))).toEqual(['declined: day-limit']);
  expect(words(engine, voided(1), post(sale({ seq: 10, guards })))).toEqual(['approved', 'approved']);
});

test('a purse is never filled beyond what the card may hold', () => {
  const engine = newEngine();
  const room = (max: bigint) => ({ guards: [{ kind: 'room', account: purse, amount: 50_000n, max }] as const });
  words(engine, putCard(), opening(300_000n), release(1), proof(1, { tmc: 5 }));
  expect(words(engine, release(2, room(99_999n)), release(3, room(100_000n)))).toEqual([
    'declined: purse-full',
    'approved',
  ]);
});

test('cancelling an account sale of the same number touches no reload', () => {
  const engine = newEngine();
  words(engine, putCard(), opening(200_000n), release(1), cancel(1));
  expect(words(engine, proof(1, { tmc: 5 }), cancel(1))).toEqual(['approved', 'cancelled: cancelled']);
  expect(engine.balances(where)).toEqual([150_000n, 0n, 50_000n]);
});

test('a hub that stops between release and proof finds the reload open again, with all it was released by', () => {
  const file = newFile();
  words(file.engine, putCard(), opening(200_000n), release(1), voided(1), post(sale({ seq: 8, tmc: 6, amount: 1n })));
  words(file.engine, release(2, { at: NOON + 5 }), post(sale({ seq: 9, tmc: 8, amount: 1n })), cancel(7));
  file.reopen();
  const key = { origin: RELEASE_ORIGIN + KIOSK, seq: 2 };
  expect(file.engine.openReloads()).toEqual([
    {
      key,
      card: CARD,
      issuer: I,
      amount: 50_000n,
      at: NOON + 5,
      evidence: Buffer.of(2),
      filled: [{ keyVersion: 1, tmc: 8 }],
    },
  ]);
  expect(words(file.engine, release(3), proof(2, { tmc: 5 }))).toEqual(['declined: reload-open', 'approved']);
  expect(file.engine.openReloads()).toEqual([]);
  const end = { origin: RELOAD_ORIGIN + KIOSK, seq: 2 };
  expect(file.engine.standing(end)).toMatchObject({ kind: 'reload' });
  expect(file.engine.standing({ ...end, seq: 9 })).toBeNull();
});

test('the audit names an end without its release, or of another amount', () => {
  const breaks = [
    "UPDATE entry SET kind = 'purchase' WHERE kind = 'reload-release'",
    "UPDATE entry SET amount = 1 WHERE kind = 'reload'",
    "UPDATE entry SET key = key + 1 WHERE kind = 'reload'",
  ];
  for (const statement of [null, ...breaks]) {
    const file = newFile();
    words(file.engine, putCard(), opening(200_000n), release(1), proof(1, { tmc: 5 }));
    file.close();
    const db = new Database(file.path);
    db.exec('DROP TRIGGER entry_final; DROP TRIGGER entry_noted');
    if (statement !== null) db.exec(statement);
    db.close();
    expect(auditFile(file.path).brokenEntries, String(statement)).toHaveLength(statement === null ? 0 : 1);
  }
});

test('after any row of releases, proofs, voids and sales, in any batches, all the money is there once', () => {
  const step = fc.record({
    seq: fc.integer({ min: 1, max: 6 }),
    kind: fc.constantFrom('release', 'proof', 'void', 'sale', 'cancel'),
    amount: fc.constantFrom(1_000n, 40_000n, 90_000n),
    tmc: fc.option(fc.integer({ min: 5, max: 9 })),
    size: fc.integer({ min: 1, max: 4 }),
    reopen: fc.boolean(),
  });
  const made = ({ kind, seq, amount, tmc }: { kind: string; seq: number; amount: bigint; tmc: number | null }) => {
    if (kind === 'release') return release(seq, { amount });
    if (kind === 'proof') return proof(seq, { amount, tmc });
    if (kind === 'void') return voided(seq, { amount });
    return kind === 'sale' ? post(sale({ seq, amount, tmc })) : cancel(seq);
  };
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
      const file = newFile();
      file.engine.apply([putCard(), opening(150_000n)]);
      for (let from = 0; from < steps.length; ) {
        const { size = 1, reopen } = steps[from] ?? {};
        file.engine.apply(steps.slice(from, from + size).map(made));
        from += size;
        if (reopen) file.reopen();
        const [, waiting = 0n] = file.engine.balances(where);
        const open = file.engine.openReloads();
        expect(open.reduce((sum, { amount }) => sum + amount, 0n)).toBe(waiting);
        expect(open.length).toBeLessThanOrEqual(1);
      }
      const balances = file.engine.balances(where);
      const payout = file.engine.balances([{ cooperative: I, kind: 'position', owner: 'pasar' }])[0] ?? 0n;
      expect(balances.reduce((sum, balance) => sum + balance, payout)).toBe(150_000n);
      file.close();
      const { total, brokenPairs, brokenAccounts, brokenEntries } = auditFile(file.path);
      expect([total, brokenPairs, brokenAccounts, brokenEntries]).toEqual([0n, [], [], []]);
    }),
    { numRuns: 60 },
  );
});
