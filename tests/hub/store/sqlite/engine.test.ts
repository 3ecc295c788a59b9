/** The engine decides each request once, alone and for ever, in the order of the batch. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Account } from '../../../../hub/rules/accounts.ts';
import { auditFile } from '../../../../hub/store/sqlite/audit.ts';
import type { CooperativeId } from '../../../../protocol/ids.ts';
import { newEngine, newFile } from './ledgerfile.ts';
import { A, CARD, I, KIOSK, member, NOON, payout } from './town.ts';
import { opening, post, putCard, receiptOf, sale, words } from './works.ts';

const position = (books: string, owner: string): Account => ({
  cooperative: books as CooperativeId,
  kind: 'position',
  owner,
});

test('a sale moves the money and its receipt tells window, date, fee, shares and the balance left', () => {
  const engine = newEngine();
  const [, answer] = engine.apply([opening(120_000n), post(sale({ seq: 1, fee: 350n }))]);
  expect(receiptOf(answer)).toEqual({
    kiosk: KIOSK,
    seq: 1,
    hash: '1'.padStart(32, 'a'),
    outcome: 'approved',
    reason: null,
    at: NOON,
    date: '2026-11-24',
    window: 1,
    amount: 50_000,
    fee: 350,
    shares: [
      { to: 'angkot', amount: 116 },
      { to: 'pasar', amount: 116 },
      { to: 'platform', amount: 118 },
    ],
    card: CARD,
    issuer: 'angkot',
    acquirer: 'pasar',
    outlet: 'lapak-12',
    balance: 70_000,
  });
  expect(engine.balances([member(), payout, position('pasar', 'angkot'), position('angkot', 'pasar')])).toEqual([
    70_000n,
    49_650n,
    -49_884n,
    49_884n,
  ]);
});

test('of two sales in one batch that together exceed the balance the second is declined, others stay untouched', () => {
  const engine = newEngine();
  words(engine, opening(80_000n), opening(60_000n, 'budi'));
  const answers = words(
    engine,
    post(sale({ seq: 1 })),
    post(sale({ seq: 2 })),
    post(sale({ seq: 3, owner: 'budi' })),
    post(sale({ seq: 4, amount: 30_000n })),
  );
  expect(answers).toEqual(['approved', 'declined: insufficient-funds', 'approved', 'approved']);
  expect(engine.balances([member(), member('budi'), payout])).toEqual([0n, 10_000n, 130_000n]);
});

test('a declined sale says so with no entry, no window and no balance', () => {
  const engine = newEngine();
  const [answer] = engine.apply([post(sale({ seq: 1 }))]);
  expect(receiptOf(answer)).toMatchObject({
    outcome: 'declined',
    reason: 'insufficient-funds',
    window: 0,
    fee: 0,
    shares: [],
    balance: null,
  });
});

test('a declined sale stays declined after a top-up', () => {
  const engine = newEngine();
  const first = engine.apply([post(sale({ seq: 1 }))]);
  words(engine, opening(500_000n));
  const again = engine.apply([post(sale({ seq: 1 }))]);
  expect(receiptOf(again[0])).toEqual(receiptOf(first[0]));
  expect(engine.balances([member()])).toEqual([500_000n]);
});

test('the same request up to 50 times, in one batch, in many, after reopening: one receipt to the byte', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 10 }), (batches) => {
      const file = newFile();
      file.engine.apply([opening(60_000n)]);
      const receipts = new Set<string>();
      let sent = 0;
      for (const size of batches) {
        for (const answer of file.engine.apply(Array.from({ length: size }, () => post(sale({ seq: 1, fee: 7n }))))) {
          if (answer.kind !== 'decided') throw new Error(answer.kind);
          receipts.add(answer.receipt);
          expect(answer.duplicate).toBe(sent > 0);
          sent += 1;
        }
        file.reopen();
      }
      expect(receipts.size).toBe(1);
      expect(file.engine.balances([member()])).toEqual([10_000n]);
      expect(file.engine.lines(member(), null, 10)).toHaveLength(2);
      file.close();
    }),
    { numRuns: 8 },
  );
});

test('the same pair with another body pays nobody and raises an alarm', () => {
  const engine = newEngine();
  words(engine, opening(200_000n), post(sale({ seq: 1 })));
  const other = post(sale({ seq: 1, amount: 60_000n, hash: 'b'.repeat(32) }));
  expect(words(engine, other, post(sale({ seq: 2, amount: 1n })))).toEqual(['body-differs', 'approved']);
  expect(engine.alarms(10)).toMatchObject([{ at: NOON, kind: 'body-differs', kiosk: '7' }]);
  expect(engine.balances([member()])).toEqual([149_999n]);
  expect(words(engine, post(sale({ seq: 1 })))).toEqual(['approved']);
});

test('another body within one batch is told apart as well', () => {
  const engine = newEngine();
  const batch = [opening(200_000n), post(sale({ seq: 1 })), post(sale({ seq: 1, hash: 'b'.repeat(32) }))];
  expect(words(engine, ...batch)).toEqual(['approved', 'approved', 'body-differs']);
});

test('figures that would break the books are a fault of that request only, and leave no trace', () => {
  const engine = newEngine();
  const sound = sale({ seq: 2 });
  const broken = sale({ seq: 1, fee: 9n });
  if (!('approve' in broken.verdict) || broken.verdict.approve.kind !== 'purchase') throw new Error('not approved');
  const figures = { ...broken.verdict.approve.figures, fee: 10n };
  const batch = [post({ ...broken, verdict: { approve: { kind: 'purchase', figures }, guards: [] } }), post(sound)];
  expect(words(engine, opening(50_000n), ...batch)).toEqual(['approved', 'fault', 'approved']);
  expect(engine.balances([member(), payout])).toEqual([0n, 50_000n]);
  expect(words(engine, post(sale({ seq: 1, amount: 1n })))).toEqual(['declined: insufficient-funds']);
});

test('a fault in a batch counts no slot and no day twice for the requests beside it', () => {
  const engine = newEngine();
  const guards = [{ kind: 'day', card: CARD, amount: 60n, max: 100n }] as const;
  const broken = { ...sale({ seq: 9 }), key: { origin: -1, seq: 9 } };
  const batch = [post(sale({ seq: 1, amount: 60n, tmc: 5, guards })), post(broken)];
  expect(words(engine, putCard(), opening(100n))).toEqual(['done', 'approved']);
  expect(words(engine, ...batch)).toEqual(['approved', 'fault']);
  expect(engine.alarms(5)).toEqual([]);
});

test('a key outside its numbers is a fault, not a decision', () => {
  const engine = newEngine();
  const keys = [
    { origin: 2 ** 29, seq: 1 },
    { origin: 1, seq: 2 ** 24 },
    { origin: -1, seq: 1 },
    { origin: 1.5, seq: 1 },
  ];
  expect(words(engine, ...keys.map((key) => post({ ...sale({ seq: 1 }), key })))).toEqual(keys.map(() => 'fault'));
});

test('a cooperative never owes more than its net debit cap, to the rupiah and within one batch', () => {
  const engine = newEngine();
  const cap = [{ kind: 'cap', cooperative: I, max: 100_000n }] as const;
  const batch = [
    post(sale({ seq: 1, guards: cap })),
    post(sale({ seq: 2, guards: cap })),
    post(sale({ seq: 3, amount: 1n, guards: cap })),
  ];
  expect(words(engine, opening(500_000n), ...batch)).toEqual([
    'approved',
    'approved',
    'approved',
    'declined: debit-cap',
  ]);
});

test('the cap counts what was owed before the ledger was reopened', () => {
  const file = newFile();
  words(file.engine, opening(500_000n), post(sale({ seq: 1 })));
  file.reopen();
  const cap = [{ kind: 'cap', cooperative: I, max: 99_999n }] as const;
  expect(words(file.engine, post(sale({ seq: 2, guards: cap })))).toEqual(['declined: debit-cap']);
});

test('an account’s lines walk back from the newest, page by page', () => {
  const engine = newEngine();
  words(engine, opening(100_000n), ...[1, 2, 3].map((seq) => post(sale({ seq, amount: BigInt(seq) * 1_000n }))));
  const [newest, second, ...none] = engine.lines(member(), null, 2);
  expect(none).toEqual([]);
  expect(newest).toMatchObject({
    key: { origin: KIOSK, seq: 3 },
    kind: 'purchase',
    at: NOON,
    amount: -3_000n,
    balance: 94_000n,
  });
  const rest = engine.lines(member(), second?.id ?? 0, 10);
  expect(rest.map(({ amount, balance }) => [amount, balance])).toEqual([
    [-1_000n, 99_000n],
    [100_000n, 100_000n],
  ]);
  expect(engine.lines(member('nobody'), null, 10)).toEqual([]);
  expect(() => engine.lines(payout, newest?.id ?? 0, 10)).toThrow(RangeError);
});

test('an account that stands twice in an entry has both legs in its chain', () => {
  const engine = newEngine();
  words(engine, opening(50_000n), post(sale({ seq: 1, fee: 300n })));
  const lines = engine.lines(position('angkot', 'pasar'), null, 5);
  expect(lines.map(({ amount, balance }) => [amount, balance])).toEqual([
    [-100n, 49_900n],
    [50_000n, 50_000n],
  ]);
});

test('after any mix of sales, retries and cancels every sum of the books is zero and every chain whole', () => {
  const step = fc.record({
    seq: fc.integer({ min: 1, max: 12 }),
    kiosk: fc.integer({ min: 1, max: 3 }),
    owner: fc.constantFrom('siti', 'budi'),
    amount: fc.bigInt({ min: 1n, max: 60_000n }),
    cancel: fc.boolean(),
    fee: fc.bigInt({ min: 0n, max: 9n }),
  });
  fc.assert(
    fc.property(
      fc.array(fc.array(step, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 8 }),
      (batches) => {
        const file = newFile();
        file.engine.apply([opening(100_000n), opening(70_000n, 'budi'), putCard()]);
        for (const batch of batches) {
          file.engine.apply(
            batch.map(({ seq, kiosk, owner, amount, cancel, fee }) => {
              if (cancel) return { do: 'cancel', key: { origin: kiosk, seq }, at: NOON };
              return post(sale({ seq, kiosk, owner, amount, fee: fee < amount ? fee : 0n }));
            }),
          );
        }
        file.close();
        const { total, cooperatives, brokenPairs, brokenAccounts, brokenEntries } = auditFile(file.path);
        expect(total).toBe(0n);
        expect([...cooperatives.values()].every((sum) => sum === 0n)).toBe(true);
        expect([brokenPairs, brokenAccounts, brokenEntries]).toEqual([[], [], []]);
      },
    ),
    { numRuns: 25 },
  );
});

test('what the second cooperative is owed shows in its own books only', () => {
  const engine = newEngine();
  words(engine, opening(50_000n), post(sale({ seq: 1 })));
  expect(engine.balances([position(A, I), position(I, A), position(A, A)])).toEqual([-50_000n, 50_000n, 0n]);
});

test('a pair decided in a batch is known to its end, however many kiosks the batch has met', () => {
  const engine = newEngine();
  const met = Array.from({ length: 100_001 }, (_, kiosk) =>
    post(sale({ seq: 1, kiosk: kiosk + 100, refuse: { refuse: 'card-unknown', outcome: 'declined' } })),
  );
  const answers = engine.apply([opening(200_000n), post(sale({ seq: 1 })), ...met, post(sale({ seq: 1 }))]);
  expect(answers.at(-1)).toMatchObject({ kind: 'decided', duplicate: true });
  expect(engine.balances([member(), payout])).toEqual([150_000n, 50_000n]);
});

test('a kiosk that repeats a pair with ever other bodies gets twenty alarm rows a minute and no more', () => {
  const engine = newEngine();
  words(engine, opening(100_000n), post(sale({ seq: 1 })));
  const other = (n: number, at: number) => post(sale({ seq: 1, hash: n.toString(16).padStart(32, 'c'), at }));
  for (const minute of [0, 1]) {
    const batch = Array.from({ length: 50 }, (_, n) => other(n, NOON + minute * 60_000));
    expect(new Set(words(engine, ...batch))).toEqual(new Set(['body-differs']));
  }
  expect(engine.alarms(1000)).toHaveLength(40);
});
