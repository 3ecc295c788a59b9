/** Cancel, resolve and void: a sale is never both cancelled and paid. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OFFICE_ORIGIN } from '../../../../hub/store/ledger.ts';
import { auditFile } from '../../../../hub/store/sqlite/audit.ts';
import type { Work } from '../../../../hub/store/sqlite/engine.ts';
import { newEngine, newFile } from './ledgerfile.ts';
import { CARD, KIOSK, member, NOON, payout } from './town.ts';
import { cancel, opening, post, putCard, receiptOf, sale, word, words } from './works.ts';

/** What the hub writes for a `resolve`: a question without a body, whose only own word is `cancelled`. */
const resolve = (seq: number): Work => {
  const question = sale({ seq, hash: '', refuse: { refuse: 'cancelled', outcome: 'cancelled' } });
  const facts = { amount: 0n, card: null, issuer: null, acquirer: null, outlet: null };
  return post({ ...question, facts, evidence: null });
};

test('a sale cancelled before its request arrives is closed for good', () => {
  for (const ask of [cancel(1), resolve(1)]) {
    const engine = newEngine();
    const [, closed, late] = engine.apply([opening(100_000n), ask, post(sale({ seq: 1 }))]);
    expect(word(closed)).toBe('cancelled: cancelled');
    expect(receiptOf(closed)).toMatchObject({ kiosk: KIOSK, seq: 1, hash: '', amount: 0, card: null, window: 0 });
    expect(late).toEqual({ ...closed, duplicate: true });
    expect(engine.balances([member()])).toEqual([100_000n]);
  }
});

test('resolve of an approved sale answers its receipt and moves nothing', () => {
  const engine = newEngine();
  const [, paid, asked] = engine.apply([opening(100_000n), post(sale({ seq: 1 })), resolve(1)]);
  expect(asked).toEqual({ ...paid, duplicate: true });
  expect(engine.balances([member()])).toEqual([50_000n]);
});

test('resolve of a declined sale answers the decline', () => {
  const engine = newEngine();
  expect(words(engine, post(sale({ seq: 1 })), resolve(1), cancel(1))).toEqual(
    Array(3).fill('declined: insufficient-funds'),
  );
});

test('cancel of an approved sale gives everything back once, fees too, and the decision stays approved', () => {
  const engine = newEngine();
  const [, paid] = engine.apply([opening(100_000n), post(sale({ seq: 1, fee: 350n }))]);
  for (const _ of [1, 2, 3]) {
    const [first, second] = engine.apply([cancel(1), cancel(1)]);
    expect(first).toEqual({ ...paid, duplicate: true, voided: true });
    expect(second).toEqual(first);
  }
  expect(
    engine.balances([member(), payout, { cooperative: member().cooperative, kind: 'fee-income', owner: '-' }]),
  ).toEqual([100_000n, 0n, 0n]);
  expect(engine.lines(payout, null, 10).map(({ kind, amount }) => [kind, amount])).toEqual([
    ['void', -49_650n],
    ['purchase', 49_650n],
  ]);
});

test('from the void on, resolve and a retry of the sale say that it was voided', () => {
  const file = newFile();
  file.engine.apply([opening(100_000n), post(sale({ seq: 1 })), cancel(1)]);
  expect(file.engine.apply([resolve(1), post(sale({ seq: 1 }))])).toMatchObject([{ voided: true }, { voided: true }]);
  file.reopen();
  expect(file.engine.apply([resolve(1)])).toMatchObject([{ voided: true, duplicate: true }]);
});

test('a sale and its cancel in one batch end in money given back, in the other order in nothing moved', () => {
  const engine = newEngine();
  expect(words(engine, opening(50_000n), post(sale({ seq: 1 })), cancel(1), cancel(2), post(sale({ seq: 2 })))).toEqual(
    ['approved', 'approved', 'approved', 'cancelled: cancelled', 'cancelled: cancelled'],
  );
  expect(engine.balances([member(), payout])).toEqual([50_000n, 0n]);
});

test('sale, cancel and resolve racing in any order and any batches never leave a sale both cancelled and paid', () => {
  const works = fc.array(fc.constantFrom<'sale' | 'cancel' | 'resolve'>('sale', 'cancel', 'resolve'), {
    minLength: 2,
    maxLength: 12,
  });
  fc.assert(
    fc.property(works, fc.integer({ min: 1, max: 4 }), fc.boolean(), (order, size, reopen) => {
      const file = newFile();
      file.engine.apply([opening(50_000n)]);
      const made = { sale: () => post(sale({ seq: 1 })), cancel: () => cancel(1), resolve: () => resolve(1) };
      const receipts = new Set<string>();
      for (let from = 0; from < order.length; from += size) {
        for (const answer of file.engine.apply(order.slice(from, from + size).map((name) => made[name]()))) {
          if (answer.kind === 'decided') receipts.add(answer.receipt);
        }
        if (reopen) file.reopen();
      }
      expect(receipts.size).toBe(1);
      const paid = order[0] === 'sale' && !order.includes('cancel');
      expect(file.engine.balances([member(), payout])).toEqual(paid ? [0n, 50_000n] : [50_000n, 0n]);
      file.close();
    }),
    { numRuns: 60 },
  );
});

test('a void that the outlet’s takings no longer cover still pays the member; the outlet owes the rest', () => {
  const file = newFile();
  const owed = { cooperative: payout.cooperative, kind: 'receivable', owner: payout.owner } as const;
  expect(words(file.engine, opening(50_000n), post(sale({ seq: 1 })), takeOut(20_000n))).toEqual(
    Array(3).fill('approved'),
  );
  for (let times = 2; times > 0; times -= 1) {
    expect(file.engine.apply([cancel(1)])).toMatchObject([{ kind: 'decided', voided: true }]);
  }
  expect(file.engine.balances([member(), payout, owed])).toEqual([50_000n, 0n, -20_000n]);
  expect(auditFile(file.path)).toMatchObject({ total: 0n, brokenAccounts: [], brokenEntries: [] });
});

/** Two officers move takings of the outlet to another one. */
function takeOut(amount: bigint): Work {
  const figures = { debit: payout, credit: { ...payout, owner: 'other' }, amount, reason: 'wrong outlet' };
  return post({
    key: { origin: OFFICE_ORIGIN, seq: 1 },
    hash: '',
    at: NOON,
    verdict: { approve: { kind: 'adjustment', figures }, guards: [] },
    slot: null,
    facts: { amount, card: null, issuer: null, acquirer: null, outlet: null },
    evidence: null,
  });
}

test('a voided sale no longer counts for the pause at the kiosk and the day of the card', () => {
  const engine = newEngine();
  const guards = [
    { kind: 'pause', card: CARD, kiosk: KIOSK, seconds: 60 },
    { kind: 'day', card: CARD, amount: 50_000n, max: 50_000n },
  ] as const;
  words(engine, putCard(), opening(100_000n), post(sale({ seq: 1, guards })));
  expect(words(engine, post(sale({ seq: 2, guards })))).toEqual(['declined: too-soon']);
  expect(words(engine, cancel(1), post(sale({ seq: 3, guards, at: NOON + 1 })))).toEqual(['approved', 'approved']);
});

test('only a kiosk’s sale can be cancelled', () => {
  const engine = newEngine();
  expect(words(engine, { do: 'cancel', key: { origin: 2 ** 25, seq: 1 }, at: NOON })).toEqual(['fault']);
  expect(words(engine, { do: 'cancel', key: { origin: 2 ** 24 + KIOSK, seq: 1 }, at: NOON })).toEqual(['fault']);
});
