/** Refunds, voids and disputes of one payment, in every order: together never more than it (TRUTH section 9). */
import { expect, test } from 'vitest';
import type { ReturnKind } from '../../../../hub/rules/entries.ts';
import { DISPUTE_END_ORIGIN, DISPUTE_ORIGIN, REFUND_ORIGIN } from '../../../../hub/store/ledger.ts';
import type { Engine, Work } from '../../../../hub/store/sqlite/engine.ts';
import { chance } from '../../../town/chance.ts';
import { expectBalanced } from './counters.ts';
import { newFile } from './ledgerfile.ts';
import { A, CARD, I, KIOSK, member, NOON, OUTLET, payout } from './town.ts';
import { cancel, opening, post, sale, words } from './works.ts';

const DAY = 86_400_000;
const PAID = 50_000n;
const FEE = 350n;

/** Who may have money of the payment: whatever comes back to the member came from these. */
const accounts = (seq: number) =>
  [
    member(),
    payout,
    { cooperative: I, kind: 'provisional', owner: `${KIOSK}/${seq}` },
    { cooperative: I, kind: 'suspense', owner: `dispute ${KIOSK}/${seq}` },
    { cooperative: A, kind: 'receivable', owner: OUTLET },
    { cooperative: I, kind: 'receivable', owner: member().owner },
    { cooperative: I, kind: 'guarantee-loss', owner: `${KIOSK}/${seq}` },
  ] as const;

function step(kind: ReturnKind, of: number, seq: number, amount: bigint, credit = amount): Work {
  const term = kind === 'dispute' ? { provisional: credit, until: String(NOON + DAY) } : {};
  const figures = { original: `${KIOSK}/${of}`, member: member(), amount, authority: 'mirror' as const, ...term };
  const origin = kind === 'refund' ? REFUND_ORIGIN : kind === 'dispute' ? DISPUTE_ORIGIN : DISPUTE_END_ORIGIN;
  return post({
    key: { origin: origin + KIOSK, seq },
    hash: `${kind.length}${amount}`.padStart(32, 'b'),
    at: NOON,
    verdict: { approve: { kind, figures }, guards: [] },
    slot: null,
    facts: { amount, card: CARD, issuer: I, acquirer: A, outlet: OUTLET },
    evidence: null,
  });
}

type Named = readonly [string, Work];
const lapse: Named = ['lapse', { do: 'expire', at: NOON + 2 * DAY }];

/** The set whose every order is tried: more is asked than was paid, in each way there is. */
const fixed = (of: number): readonly Named[] => [
  ['refund 30,000', step('refund', of, 2 * of + 10, 30_000n)],
  ['refund 20,001', step('refund', of, 2 * of + 11, 20_001n)],
  ['void', cancel(of)],
  ['dispute 25,000', step('dispute', of, of, 25_000n, 10_000n)],
  ['won', step('dispute-won', of, of, 0n)],
  ['lost', step('dispute-lost', of, of, 0n)],
];

function* orders<T>(items: readonly T[]): Generator<readonly T[]> {
  if (items.length === 0) yield [];
  for (const [at, item] of items.entries()) {
    for (const rest of orders(items.filter((_, other) => other !== at))) yield [item, ...rest];
  }
}

/** What the member has of the payment again must never be more than it, and somebody must have given it. */
function never(engine: Engine, seq: number, spent: bigint, what: string) {
  const [has = 0n, ...others] = engine.balances(accounts(seq));
  const ready = others[2] ?? 0n;
  const back = has + spent;
  expect(back >= 0n && back + ready <= PAID, `${what}: the member has ${back} and waits for ${ready}`).toBe(true);
  const [taken = 0n, laid = 0n] = others;
  expect(taken >= 0n && laid <= 0n && laid >= -PAID, `${what}: payout ${taken}, laid out ${laid}`).toBe(true);
}

test('every order of refunds, a void, a dispute and both its ends, in one batch and one by one', {
  timeout: 120_000,
}, () => {
  for (const apart of [true, false]) {
    const { engine, path } = newFile();
    let seq = 0;
    for (const order of orders([0, 1, 2, 3, 4, 5])) {
      seq += 1;
      words(engine, opening(PAID), post(sale({ seq, amount: PAID, fee: FEE })));
      const before = engine.balances([member()])[0] ?? 0n;
      const named = order.flatMap((at) => [fixed(seq)[at]]).filter((one) => one !== undefined);
      const works = named.map(([, work]) => work);
      const what = named.map(([name]) => name).join(', ');
      for (const batch of apart ? works.map((work) => [work]) : [works]) {
        engine.apply(batch);
        never(engine, seq, -before, what);
      }
    }
    expect(seq).toBe(720);
    expectBalanced(path);
  }
});

test('random rows of returns, with terms that run out, in batches of any size: the audit is sound after each batch', {
  timeout: 120_000,
}, () => {
  const { below, pick, shuffled } = chance('returns never exceed');
  for (let round = 0; round < 40; round += 1) {
    const { engine, path } = newFile();
    const fee = BigInt(below(500));
    const amount = BigInt(1 + below(50_000));
    words(engine, opening(amount), post(sale({ seq: 1, amount, fee: fee > amount ? 0n : fee })));
    const part = () => BigInt(1 + below(Number(amount)));
    const named: Named[] = [['void', cancel(1)], lapse];
    for (let seq = 10; seq < 16; seq += 1) named.push(['refund', step('refund', 1, seq, part())]);
    for (let n = 0; n < 3; n += 1) {
      const disputed = part();
      named.push(['dispute', step('dispute', 1, 1, disputed, BigInt(below(Number(disputed) + 1)))]);
      named.push(['end', step(pick(['dispute-won', 'dispute-lost']), 1, 1, 0n)]);
    }
    const row = shuffled(named);
    while (row.length > 0) {
      const batch = row.splice(0, 1 + below(4));
      engine.apply(batch.map(([, work]) => work));
      const [has = 0n, , laid = 0n, ready = 0n] = engine.balances(accounts(1));
      expect(has + ready <= amount && laid >= -amount, batch.map(([name]) => name).join(', ')).toBe(true);
      expectBalanced(path);
    }
  }
});
