/** Refunds, voids and disputes at the engine: inside one batch, over several, and by the clock (TRUTH section 9). */
import { expect, test } from 'vitest';
import type { ReturnKind } from '../../../../hub/rules/entries.ts';
import { DISPUTE_END_ORIGIN, DISPUTE_ORIGIN, REFUND_ORIGIN } from '../../../../hub/store/ledger.ts';
import { auditFile } from '../../../../hub/store/sqlite/audit.ts';
import type { Work } from '../../../../hub/store/sqlite/engine.ts';
import { newFile } from './ledgerfile.ts';
import { A, CARD, I, KIOSK, member, NOON, OUTLET, payout } from './town.ts';
import { cancel, opening, post, receiptOf, sale, words } from './works.ts';

const DAY = 86_400_000;
const original = `${KIOSK}/1`;
const provisional = { cooperative: I, kind: 'provisional', owner: original } as const;
const loss = { cooperative: I, kind: 'guarantee-loss', owner: original } as const;

function back(kind: ReturnKind, origin: number, seq: number, amount: bigint, until?: number, whose = member()): Work {
  const dispute = until === undefined ? {} : { provisional: amount, until: String(until) };
  const figures = { original, member: whose, amount, authority: 'mirror' as const, ...dispute };
  return post({
    key: { origin: origin + KIOSK, seq },
    hash: seq.toString(16).padStart(32, kind === 'refund' ? 'e' : 'd'),
    at: NOON,
    verdict: { approve: { kind, figures }, guards: [] },
    slot: null,
    facts: { amount, card: CARD, issuer: I, acquirer: A, outlet: OUTLET },
    evidence: null,
  });
}

const refund = (seq: number, amount: bigint) => back('refund', REFUND_ORIGIN, seq, amount);
const dispute = (amount: bigint, until = NOON + DAY) => back('dispute', DISPUTE_ORIGIN, 1, amount, until);
const decide = (kind: ReturnKind) => back(kind, DISPUTE_END_ORIGIN, 1, 0n);

const sound = (path: string) =>
  expect(auditFile(path)).toMatchObject({ total: 0n, brokenPairs: [], brokenAccounts: [], brokenEntries: [] });

test('two refunds of one batch that together exceed the payment: the second is refused, the rest goes on', () => {
  const { engine, path } = newFile();
  const batch = [
    opening(80_000n),
    post(sale({ seq: 1 })),
    refund(10, 30_000n),
    refund(11, 20_001n),
    refund(12, 20_000n),
  ];
  const said = ['approved', 'approved', 'approved', 'declined: refund-exceeds', 'approved'];
  expect(words(engine, ...batch)).toEqual(said);
  expect(engine.balances([member(), payout])).toEqual([80_000n, 0n]);
  expect(words(engine, refund(10, 30_000n), refund(13, 1n))).toEqual(['approved', 'declined: refund-exceeds']);
  expect(engine.apply([cancel(1)])).toMatchObject([{ voided: false }]);
  sound(path);
});

test('a refund, a dispute and a void of one payment never take more than it, over several batches', () => {
  const { engine, path } = newFile();
  words(engine, opening(50_000n), post(sale({ seq: 1 })));
  expect(words(engine, refund(10, 5_000n))).toEqual(['approved']);
  expect(words(engine, dispute(45_001n))).toEqual(['declined: refund-exceeds']);
  // What was refused is not kept: a dispute of what is left is asked for under the same key.
  expect(words(engine, dispute(45_000n))).toEqual(['approved']);
  expect(engine.balances([member(), payout, provisional])).toEqual([50_000n, 45_000n, -45_000n]);
  expect(engine.apply([cancel(1)])).toMatchObject([{ kind: 'decided' }]);
  expect(engine.balances([member(), payout, provisional])).toEqual([50_000n, 0n, 0n]);
  expect(words(engine, decide('dispute-won'))).toEqual(['declined: dispute-none']);
  sound(path);
});

test('the receipt of a decided dispute names what it was about, whatever was asked', () => {
  const { engine, path } = newFile();
  words(engine, opening(50_000n), post(sale({ seq: 1 })), dispute(20_000n));
  const [won] = engine.apply([decide('dispute-won')]);
  expect(receiptOf(won)).toMatchObject({ outcome: 'approved', amount: 20_000, balance: 20_000 });
  sound(path);
});

test('a dispute nobody decides in time ends at the cost of the card’s cooperative, once, with an alarm', () => {
  const { engine, path } = newFile();
  words(engine, opening(50_000n), post(sale({ seq: 1 })), dispute(20_000n));
  engine.apply([{ do: 'expire', at: NOON + DAY - 1 }]);
  expect(engine.balances([loss])).toEqual([0n]);
  engine.apply([
    { do: 'expire', at: NOON + DAY },
    { do: 'expire', at: NOON + 2 * DAY },
  ]);
  expect(engine.balances([member(), payout, provisional, loss])).toEqual([20_000n, 50_000n, 0n, -20_000n]);
  expect(engine.alarms(5)).toMatchObject([{ kind: 'dispute-lapsed' }]);
  sound(path);
});

test('a dispute is of the member it was opened for, also where an earlier refund went to another', () => {
  const { engine, path } = newFile();
  const ani = member('ani');
  words(engine, opening(50_000n), post(sale({ seq: 1 })), refund(10, 5_000n));
  const opened = back('dispute', DISPUTE_ORIGIN, 1, 20_000n, NOON + DAY, ani);
  expect(words(engine, opened)).toEqual(['approved']);
  expect(engine.balances([member(), ani])).toEqual([5_000n, 20_000n]);
  expect(words(engine, decide('dispute-lost'))).toEqual(['approved']);
  expect(engine.balances([member(), ani, provisional])).toEqual([5_000n, 0n, 0n]);
  sound(path);
});
