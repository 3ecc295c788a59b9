/** A card's slots fill once each, and its no-PIN limits are counted inside the post. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ALARMS_A_MINUTE } from '../../../../hub/allowance.ts';
import type { Guard } from '../../../../hub/rules/entries.ts';
import { GAPS_MAX } from '../../../../hub/store/sqlite/cards.ts';
import type { CardUid } from '../../../../protocol/ids.ts';
import { newEngine, newFile } from './ledgerfile.ts';
import { CARD, KIOSK, member, NOON } from './town.ts';
import { cancel, opening, post, putCard, sale, words } from './works.ts';

const tiny = (seq: number, tmc: number, more = {}) => post(sale({ seq, tmc, amount: 1n, ...more }));

test('a slot used before declines the second sale, with an alarm', () => {
  const engine = newEngine();
  expect(words(engine, putCard(), opening(100n), tiny(1, 5), tiny(2, 5))).toEqual([
    'done',
    'approved',
    'approved',
    'declined: slot-taken',
  ]);
  expect(words(engine, tiny(3, 5), tiny(4, 4), tiny(5, 6))).toEqual([
    'declined: slot-taken',
    'declined: slot-taken',
    'approved',
  ]);
  expect(engine.alarms(10).map(({ kind }) => kind)).toEqual(Array(3).fill('slot-taken'));
});

test('a kiosk that uses one tap again and again fills no disk with alarms, and hides nobody else’s', () => {
  const engine = newEngine();
  words(engine, putCard(), opening(100n), tiny(1, 5));
  const again = Array.from({ length: 3 * ALARMS_A_MINUTE }, (_, at) => tiny(2 + at, 5));
  expect(words(engine, ...again)).toEqual(again.map(() => 'declined: slot-taken'));
  words(engine, tiny(1, 5, { kiosk: KIOSK + 1 }), tiny(1, 6, { hash: 'b'.repeat(32) }));
  expect(engine.alarms(3).map(({ kind, kiosk }) => `${kind} ${kiosk}`)).toEqual([
    `body-differs ${KIOSK}`,
    `slot-taken ${KIOSK + 1}`,
    `slot-taken ${KIOSK}`,
  ]);
  words(engine, tiny(100, 5, { at: NOON + 60_000 }));
  expect(engine.alarms(1000)).toHaveLength(ALARMS_A_MINUTE + 3);
});

test('a retry of the sale that holds the slot is a duplicate, not a second use', () => {
  const engine = newEngine();
  expect(words(engine, putCard(), opening(100n), tiny(1, 5), tiny(1, 5), tiny(1, 5))).toEqual([
    'done',
    ...Array(4).fill('approved'),
  ]);
  expect(engine.alarms(10)).toEqual([]);
});

test('a declined sale fills its slot too', () => {
  const engine = newEngine();
  const refuse = { refuse: 'expired', outcome: 'expired' } as const;
  expect(words(engine, putCard(), opening(9n), tiny(1, 5, { refuse }), tiny(2, 5))).toEqual([
    'done',
    'approved',
    'expired: expired',
    'declined: slot-taken',
  ]);
});

test('a sale that comes after its cancel fills its slot once, however often it is sent', () => {
  const file = newFile();
  words(file.engine, putCard(), opening(100n), cancel(1), tiny(1, 5));
  for (const _ of [1, 2]) {
    expect(words(file.engine, tiny(1, 5), tiny(1, 5))).toEqual(Array(2).fill('cancelled: cancelled'));
    file.reopen();
  }
  expect(file.engine.alarms(10)).toEqual([]);
  expect(words(file.engine, tiny(2, 5))).toEqual(['declined: slot-taken']);
  expect(words(file.engine, tiny(1, 6, { hash: 'b'.repeat(32) }), tiny(3, 6))).toEqual(['body-differs', 'approved']);
  file.close();
});

test('a tap that is late as well as used before is known as used before', () => {
  const engine = newEngine();
  const refuse = { refuse: 'expired', outcome: 'expired' } as const;
  words(engine, putCard(), opening(9n), tiny(1, 5));
  expect(words(engine, tiny(2, 5, { refuse }))).toEqual(['declined: slot-taken']);
});

test('what came after a cancel decided earlier is remembered when the hub starts again', () => {
  const file = newFile();
  words(file.engine, putCard(), opening(100n), cancel(1));
  words(file.engine, tiny(1, 5));
  file.reopen();
  expect(words(file.engine, tiny(1, 5), tiny(1, 6, { hash: 'b'.repeat(32) }))).toEqual([
    'cancelled: cancelled',
    'body-differs',
  ]);
  expect(file.engine.alarms(10).map(({ kind }) => kind)).toEqual(['body-differs']);
});

test('a body that differs fills no slot', () => {
  const engine = newEngine();
  words(engine, putCard(), opening(100n), tiny(1, 5), tiny(1, 6, { hash: 'b'.repeat(32) }));
  expect(words(engine, tiny(2, 6))).toEqual(['approved']);
});

test('slots that a jump of the counter left open are filled in any order, each once, also after reopening', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([6, 7, 8, 9, 10, 11], { minLength: 1 }), fc.boolean(), (late, reopen) => {
      const file = newFile();
      words(file.engine, putCard(), opening(100n), tiny(1, 5), tiny(2, 12));
      late.forEach((tmc, index) => {
        expect(words(file.engine, tiny(10 + index, tmc), tiny(50 + index, tmc))).toEqual([
          'approved',
          'declined: slot-taken',
        ]);
        if (!reopen) return;
        file.reopen();
      });
      file.close();
    }),
    { numRuns: 20 },
  );
});

test('slots agree with a plain set of numbers under any sequence of counters', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 9 }),
      (counters, size) => {
        const engine = newEngine();
        const used = new Set([1, 2, 3, 4]);
        words(engine, putCard(), opening(1_000n));
        for (let from = 0; from < counters.length; from += size) {
          const part = counters.slice(from, from + size);
          const expected = part.map((tmc) => {
            if (used.has(tmc)) return 'declined: slot-taken';
            used.add(tmc);
            return 'approved';
          });
          expect(words(engine, ...part.map((tmc, index) => tiny(from + index + 1, tmc)))).toEqual(expected);
        }
      },
    ),
    { numRuns: 40 },
  );
});

test('a chain keeps a bounded number of open ranges; slots of a range given up pay nobody', () => {
  const engine = newEngine();
  words(engine, putCard(), opening(10_000n));
  const jumps = Array.from({ length: GAPS_MAX + 1 }, (_, index) => tiny(index + 1, 6 + 2 * index));
  expect(new Set(words(engine, ...jumps))).toEqual(new Set(['approved']));
  expect(engine.alarms(5)).toMatchObject([{ kind: 'gap-dropped' }]);
  expect(words(engine, tiny(5_000, 5), tiny(5_001, 7))).toEqual(['declined: slot-taken', 'approved']);
});

test('a new key version starts its own chain, the old one still fills its open slots', () => {
  const file = newFile();
  words(file.engine, putCard(), opening(100n), tiny(1, 5), tiny(2, 8), putCard(CARD, 4, 2));
  const batch = [tiny(3, 5, { keyVersion: 2 }), tiny(4, 6), tiny(5, 8)];
  expect(words(file.engine, ...batch)).toEqual(['approved', 'approved', 'declined: slot-taken']);
  file.reopen();
  expect(words(file.engine, tiny(6, 7), tiny(7, 6), tiny(8, 5, { keyVersion: 2 }))).toEqual([
    'approved',
    'declined: slot-taken',
    'declined: slot-taken',
  ]);
});

test('a key version never comes back, and a counter never goes back', () => {
  const engine = newEngine();
  words(engine, putCard(CARD, 9, 1), putCard(CARD, 4, 2), opening(100n));
  expect(words(engine, putCard(CARD, 4, 1))).toEqual(['fault']);
  expect(words(engine, putCard(CARD, 0, 2), tiny(1, 3, { keyVersion: 2 }))).toEqual(['done', 'declined: slot-taken']);
});

test('a chain the ledger was never told of approves nothing, and raises an alarm', () => {
  const engine = newEngine();
  words(engine, putCard(), opening(100n));
  const stranger = '04ffffffffffff' as CardUid;
  const refuse = { refuse: 'tap-limit', outcome: 'declined' } as const;
  expect(
    words(engine, tiny(1, 5, { keyVersion: 9 }), tiny(2, 5, { card: stranger }), tiny(3, 5, { keyVersion: 9, refuse })),
  ).toEqual(['declined: certificate-invalid', 'declined: certificate-invalid', 'declined: tap-limit']);
  expect(engine.alarms(5).map(({ kind }) => kind)).toEqual(Array(3).fill('chain-unknown'));
});

test('only an active card pays', () => {
  const engine = newEngine();
  const guards: Guard[] = [{ kind: 'card-active', card: CARD }];
  expect(words(engine, opening(100n), tiny(1, 5, { tmc: null, guards }))).toEqual([
    'approved',
    'declined: card-unknown',
  ]);
  for (const [seq, status] of (['frozen', 'replaced', 'retired'] as const).entries()) {
    const put = { do: 'card', card: { uid: CARD, status, keyVersion: 1, tmc: 4 } } as const;
    expect(words(engine, put, tiny(10 + seq, 5 + seq, { guards }))).toEqual(['done', 'declined: card-blocked']);
  }
  expect(words(engine, putCard(), tiny(20, 20, { guards }))).toEqual(['done', 'approved']);
});

const pause = (kiosk: number): Guard => ({ kind: 'pause', card: CARD, kiosk, seconds: 60 });
const paused = (seq: number, kiosk: number, at: number) =>
  post(sale({ seq, kiosk, at, amount: 1n, guards: [pause(kiosk)] }));

test('a second sale at the same kiosk within 60 seconds is too soon, at another kiosk or after them it is not', () => {
  const file = newFile();
  const batch = [paused(1, 7, NOON), paused(2, 7, NOON), paused(1, 8, NOON)];
  expect(words(file.engine, putCard(), opening(100n), ...batch)).toEqual([
    'done',
    'approved',
    'approved',
    'declined: too-soon',
    'approved',
  ]);
  file.reopen();
  expect(words(file.engine, paused(3, 7, NOON + 59_999), paused(4, 7, NOON + 60_000))).toEqual([
    'declined: too-soon',
    'approved',
  ]);
});

test('a declined sale starts no pause', () => {
  const engine = newEngine();
  const big = post(sale({ seq: 1, guards: [pause(KIOSK)] }));
  expect(words(engine, putCard(), opening(100n), big, paused(2, KIOSK, NOON))).toEqual([
    'done',
    'approved',
    'declined: insufficient-funds',
    'approved',
  ]);
});

test('a card that paid at many kiosks within a minute waits before the next, so that none is forgotten', () => {
  const engine = newEngine();
  const taps = Array.from({ length: 9 }, (_, index) => paused(1, 100 + index, NOON + index));
  expect(words(engine, putCard(), opening(100n), ...taps).slice(2)).toEqual([
    ...Array(8).fill('approved'),
    'declined: too-soon',
  ]);
  expect(words(engine, paused(2, 108, NOON + 60_000))).toEqual(['approved']);
});

const daily = (seq: number, amount: bigint, at: number) =>
  post(sale({ seq, at, amount, guards: [{ kind: 'day', card: CARD, amount, max: 100n }] }));

test('sales of a business day stay within the day limit, counted anew from midnight in Jakarta', () => {
  const file = newFile();
  const batch = [daily(1, 60n, NOON), daily(2, 41n, NOON), daily(3, 40n, NOON), daily(4, 1n, NOON)];
  expect(words(file.engine, putCard(), opening(1_000n), ...batch).slice(2)).toEqual([
    'approved',
    'declined: day-limit',
    'approved',
    'declined: day-limit',
  ]);
  file.reopen();
  const midnight = Date.parse('2026-11-25T00:00:00+07:00');
  expect(words(file.engine, daily(5, 1n, midnight - 1), daily(6, 100n, midnight), daily(7, 1n, midnight - 1))).toEqual([
    'declined: day-limit',
    'approved',
    'declined: day-limit',
  ]);
  expect(file.engine.balances([member()])).toEqual([800n]);
});
