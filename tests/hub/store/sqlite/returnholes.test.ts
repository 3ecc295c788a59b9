/** What could go wrong with refunds, voids and disputes: losses, shortages, refused steps, and who learns what. */
import { expect, test } from 'vitest';
import type { PaymentFigures, ReturnKind } from '../../../../hub/rules/entries.ts';
import {
  CASH_ORIGIN,
  DISPUTE_END_ORIGIN,
  DISPUTE_ORIGIN,
  OFFICE_ORIGIN,
  REFUND_ORIGIN,
} from '../../../../hub/store/ledger.ts';
import type { Engine, Work } from '../../../../hub/store/sqlite/engine.ts';
import type { MemberId } from '../../../../protocol/ids.ts';
import { expectBalanced, ownOpening } from './counters.ts';
import { newFile } from './ledgerfile.ts';
import { A, CARD, I, KIOSK, MEMBER, member, NOON, OUTLET, payout, purse } from './town.ts';
import { cancel, opening, post, receiptOf, reload, sale, words } from './works.ts';

const DAY = 86_400_000;
const original = `${KIOSK}/1`;
const provisional = { cooperative: I, kind: 'provisional', owner: original } as const;
const loss = { cooperative: I, kind: 'guarantee-loss', owner: CARD } as const;
const owed = (owner: string) => ({ cooperative: A, kind: 'receivable', owner }) as const;

interface Step {
  readonly kind: ReturnKind;
  readonly amount?: bigint;
  readonly seq?: number;
  readonly credit?: bigint;
  readonly hash?: string;
}

const origins = { refund: REFUND_ORIGIN, dispute: DISPUTE_ORIGIN } as const;

/** A step about payment 1 of the kiosk; a dispute is due a day later. */
function step({ kind, amount = 0n, seq = 1, credit = amount, hash }: Step): Work {
  const until = kind === 'dispute' ? { provisional: credit, until: String(NOON + DAY) } : {};
  const figures = { original, member: member(), amount, authority: 'mirror' as const, ...until };
  const origin = kind === 'refund' || kind === 'dispute' ? origins[kind] : DISPUTE_END_ORIGIN;
  return post({
    key: { origin: origin + KIOSK, seq },
    hash: hash ?? `${kind.length}${amount}`.padStart(32, 'b'),
    at: NOON,
    verdict: { approve: { kind, figures }, guards: [] },
    slot: null,
    facts: { amount, card: CARD, issuer: I, acquirer: A, outlet: OUTLET },
    evidence: null,
  });
}

function purseSale(amount: bigint): Work {
  const figures: PaymentFigures = {
    issuer: I,
    acquirer: A,
    from: [{ account: purse, amount }],
    to: [{ account: payout, amount }],
    amount,
    fee: 0n,
    shares: [],
    authority: 'card-certificate',
  };
  return post({
    key: { origin: KIOSK, seq: 1 },
    hash: 'f'.repeat(32),
    at: NOON,
    verdict: { approve: { kind: 'purse-sale', figures }, guards: [] },
    slot: null,
    facts: { amount, card: CARD, issuer: I, acquirer: A, outlet: OUTLET },
    evidence: null,
  });
}

const settled = (engine: Engine) => engine.balances([member(), payout, provisional]).map(Number);

/** 30,000 of a purse that paid 50,000: the rest was the issuer's loss. */
function lossy() {
  const file = newFile();
  const loads = [reload('reload-release', { seq: 1, amount: 30_000n }), reload('reload', { seq: 1, amount: 30_000n })];
  expect(words(file.engine, opening(30_000n), ...loads, purseSale(50_000n))).toEqual(Array(4).fill('approved'));
  expect(file.engine.balances([member(), purse, payout, loss]).map(Number)).toEqual([0, 0, 50_000, -20_000]);
  return file;
}

test('a refund of a sale whose loss the issuer bore gives the member what the purse had, the loss the rest', () => {
  const { engine, path } = lossy();
  words(engine, step({ kind: 'refund', amount: 25_000n, seq: 10 }));
  expect(engine.balances([member(), loss]).map(Number)).toEqual([25_000, -20_000]);
  words(engine, step({ kind: 'refund', amount: 25_000n, seq: 11 }));
  expect(engine.balances([member(), payout, loss]).map(Number)).toEqual([30_000, 0, 0]);
  expectBalanced(path);
});

test('what the issuer bore of a sale is not disputed by the member', () => {
  const { engine, path } = lossy();
  expect(words(engine, step({ kind: 'dispute', amount: 30_001n }))).toEqual(['declined: refund-exceeds']);
  expect(words(engine, step({ kind: 'dispute', amount: 30_000n }))).toEqual(['approved']);
  words(engine, step({ kind: 'refund', amount: 50_000n, seq: 10 }));
  expect(engine.balances([member(), payout, loss, provisional]).map(Number)).toEqual([30_000, 0, 0, 0]);
  expectBalanced(path);
});

test('a loss that was written off meanwhile holds up no refund: what comes back of it is the cooperative’s own', () => {
  const { engine, path } = lossy();
  const equity = { cooperative: I, kind: 'equity', owner: '-' } as const;
  const figures = { debit: equity, credit: loss, amount: 15_000n, reason: 'year end' };
  const closed = post({
    key: { origin: OFFICE_ORIGIN, seq: 1 },
    hash: '',
    at: NOON,
    verdict: { approve: { kind: 'adjustment', figures }, guards: [] },
    slot: null,
    facts: { amount: 15_000n, card: null, issuer: I, acquirer: null, outlet: null },
    evidence: null,
  });
  expect(words(engine, closed, step({ kind: 'refund', amount: 50_000n, seq: 10 }))).toEqual(['approved', 'approved']);
  expect(engine.balances([member(), payout, loss, equity]).map(Number)).toEqual([30_000, 0, 0, 0]);
  expectBalanced(path);
});

test('a dispute that was refused may be opened again with the right amount, under the same key', () => {
  const { engine, path } = newFile();
  words(engine, opening(50_000n), post(sale({ seq: 1 })));
  const [first] = engine.apply([step({ kind: 'dispute', amount: 50_001n })]);
  expect(receiptOf(first)).toMatchObject({ outcome: 'declined', reason: 'refund-exceeds' });
  expect(words(engine, step({ kind: 'dispute', amount: 50_000n }))).toEqual(['approved']);
  expectBalanced(path);
});

test('a decision before there was a dispute does not stand in the way of the one that it needs later', () => {
  const { engine, path } = newFile();
  words(engine, opening(50_000n), post(sale({ seq: 1 })));
  expect(words(engine, step({ kind: 'dispute-won' }))).toEqual(['declined: dispute-none']);
  words(engine, step({ kind: 'dispute', amount: 50_000n }));
  expect(words(engine, step({ kind: 'dispute-won' }))).toEqual(['approved']);
  expect(settled(engine)).toEqual([50_000, 0, 0]);
  expectBalanced(path);
});

test('a decision and the end of the term in one batch: the first of the two stands, and is told by its kind', () => {
  for (const decidedFirst of [true, false]) {
    const { engine, path } = newFile();
    words(engine, opening(50_000n), post(sale({ seq: 1 })), step({ kind: 'dispute', amount: 20_000n }));
    const expire: Work = { do: 'expire', at: NOON + DAY };
    const won = step({ kind: 'dispute-won' });
    engine.apply(decidedFirst ? [won, expire] : [expire, won]);
    const kind = engine.standing({ origin: DISPUTE_END_ORIGIN + KIOSK, seq: 1 })?.kind;
    expect(kind).toBe(decidedFirst ? 'dispute-won' : 'dispute-lapsed');
    expect(settled(engine)).toEqual([20_000, decidedFirst ? 30_000 : 50_000, 0]);
    expectBalanced(path);
  }
});

test('the outlet that refunds a sale is not told what the member has', () => {
  const { engine } = newFile();
  words(engine, opening(90_000n), post(sale({ seq: 1 })));
  const [refunded] = engine.apply([step({ kind: 'refund', amount: 1n, seq: 10 })]);
  expect(receiptOf(refunded)).toMatchObject({ outcome: 'approved', amount: 1, balance: null });
});

test('takings that wait for a withdrawal are not given back: what is short is owed', () => {
  const { engine, path } = newFile();
  const takings = { cooperative: A, kind: 'payout', owner: OUTLET } as const;
  const figures = { issuer: A, member: 'x' as MemberId, acquirer: A, outlet: OUTLET, amount: 40_000n, fee: 0n };
  const cashOut: Work = {
    do: 'hold',
    request: {
      key: { origin: CASH_ORIGIN + KIOSK, seq: 5 },
      hash: 'c'.repeat(32),
      at: NOON,
      verdict: { approve: { kind: 'withdrawal', figures: { ...figures, shares: [], payee: OUTLET } }, guards: [] },
      slot: null,
      facts: { amount: 40_000n, card: null, issuer: A, acquirer: A, outlet: OUTLET },
      evidence: null,
    },
    until: NOON + 180_000,
  };
  const cash = post({
    key: { origin: CASH_ORIGIN, seq: 1 },
    hash: '',
    at: NOON,
    verdict: {
      approve: { kind: 'funding', figures: { cooperative: A, outlet: OUTLET, amount: 60_000n } },
      guards: [{ kind: 'float', outlet: OUTLET, delta: 60_000n }],
    },
    slot: null,
    facts: { amount: 60_000n, card: null, issuer: null, acquirer: A, outlet: OUTLET },
    evidence: null,
  });
  words(engine, ownOpening(60_000n), opening(50_000n), cash, post(sale({ seq: 1 })));
  expect(engine.apply([cashOut])).toMatchObject([{ kind: 'open' }]);
  expect(words(engine, step({ kind: 'refund', amount: 50_000n, seq: 10 }))).toEqual(['approved']);
  expect(engine.balances([member(), takings, owed(OUTLET)]).map(Number)).toEqual([50_000, 40_000, -40_000]);
  expectBalanced(path);
});

test('money kept ready for a disputing member is not moved by hand, so that each dispute can end', () => {
  const { engine } = newFile();
  words(engine, opening(50_000n), post(sale({ seq: 1 })), step({ kind: 'dispute', amount: 20_000n, credit: 0n }));
  const ready = { cooperative: I, kind: 'suspense', owner: `dispute ${original}` } as const;
  expect(engine.balances([ready])).toEqual([20_000n]);
  const figures = { debit: ready, credit: member(), amount: 20_000n, reason: 'by hand' };
  const [answer] = engine.apply([
    post({
      key: { origin: OFFICE_ORIGIN, seq: 1 },
      hash: '',
      at: NOON,
      verdict: { approve: { kind: 'adjustment', figures }, guards: [] },
      slot: null,
      facts: { amount: 20_000n, card: null, issuer: I, acquirer: null, outlet: null },
      evidence: null,
    }),
  ]);
  expect(answer).toMatchObject({ kind: 'fault', message: expect.stringContaining('not moved by hand') });
});

test('a payment is named in one spelling only', () => {
  const { engine } = newFile();
  words(engine, opening(50_000n), post(sale({ seq: 1 })));
  const odd = step({ kind: 'refund', amount: 1n, seq: 10 });
  if (odd.do !== 'post' || !('approve' in odd.request.verdict)) throw new Error('a refund is a post');
  const { approve } = odd.request.verdict;
  if (approve.kind !== 'refund') throw new Error('a refund is a refund');
  const figures = { ...approve.figures, original: `${KIOSK}/01` };
  const verdict = { approve: { kind: 'refund' as const, figures }, guards: [] };
  expect(engine.apply([post({ ...odd.request, verdict })])).toMatchObject([{ kind: 'fault' }]);
  expect(MEMBER).toBe(member().owner);
});

test('a void after a partial refund gives the rest back, once', () => {
  const { engine, path } = newFile();
  words(engine, opening(50_000n), post(sale({ seq: 1, fee: 350n })), step({ kind: 'refund', amount: 123n, seq: 10 }));
  engine.apply([cancel(1), cancel(1)]);
  expect(settled(engine)).toEqual([50_000, 0, 0]);
  expectBalanced(path);
});
