/** Money that waits: its age is on the metrics page, and what should have ended is told, once. */
import { expect, test } from 'vitest';
import { makeLog } from '../../hub/edges.ts';
import { startHoldWatch } from '../../hub/holdwatch.ts';
import { makeMetrics } from '../../hub/metrics.ts';
import { expire, funding, hold, ownOpening, release, settle, UNTIL } from './store/sqlite/counters.ts';
import { newFile } from './store/sqlite/ledgerfile.ts';
import { NOON } from './store/sqlite/town.ts';
import { opening, putCard } from './store/sqlite/works.ts';

const MINUTE = 60_000;

function watched() {
  const { engine } = newFile();
  engine.apply([putCard(), opening(500_000n), ownOpening(300_000n), funding(300_000n)]);
  const metrics = makeMetrics();
  const alarms: string[] = [];
  let at = NOON;
  let next = () => {};
  const stop = startHoldWatch({
    ledger: { holds: async () => engine.holds() },
    metrics,
    alarm: (kind, _kiosk, detail) => void alarms.push(`${kind} ${detail.split(':')[0]}`),
    now: () => at,
    later: (run) => {
      next = run;
      return () => {
        next = () => {};
      };
    },
    log: makeLog('silent'),
  });
  return {
    engine,
    alarms,
    stop,
    /** The watch looks again at this time; then the page is read. */
    async look(now: number) {
      at = now;
      next();
      await new Promise((resolve) => setImmediate(resolve));
      const text = await metrics.registry.metrics();
      return text.split('\n').filter((line) => /^simpul_(holds|oldest)/.test(line));
    },
  };
}

test('the page says how many withdrawals and bills wait, and since when', async () => {
  const { engine, look } = watched();
  engine.apply([hold(1), hold(2), release(2, NOON + MINUTE)]);
  expect(await look(NOON + 2 * MINUTE)).toEqual([
    'simpul_holds{state="held"} 1',
    'simpul_holds{state="released"} 1',
    'simpul_oldest_hold_seconds{state="held"} 120',
    'simpul_oldest_hold_seconds{state="released"} 60',
  ]);
  engine.apply([settle(1, 'void'), settle(2, 'post')]);
  expect(await look(NOON + 2 * MINUTE)).toEqual([
    'simpul_holds{state="held"} 0',
    'simpul_holds{state="released"} 0',
    'simpul_oldest_hold_seconds{state="held"} 0',
    'simpul_oldest_hold_seconds{state="released"} 0',
  ]);
});

test('a hold that nobody swept for a minute is told of once', async () => {
  const { engine, look, alarms } = watched();
  engine.apply([hold(1)]);
  await look(UNTIL + MINUTE - 1);
  expect(alarms).toEqual([]);
  await look(UNTIL + MINUTE);
  await look(UNTIL + 2 * MINUTE);
  expect(alarms).toEqual(['hold-unswept 7/1']);
  engine.apply([expire(UNTIL + 2 * MINUTE)]);
  expect((await look(UNTIL + 3 * MINUTE))[0]).toBe('simpul_holds{state="held"} 0');
});

test('what was released an hour ago and has no end is told of once, and no more after its end', async () => {
  const { engine, look, alarms, stop } = watched();
  engine.apply([hold(1), release(1)]);
  await look(NOON + 60 * MINUTE - 1);
  expect(alarms).toEqual([]);
  await look(NOON + 60 * MINUTE);
  await look(NOON + 120 * MINUTE);
  expect(alarms).toEqual(['hold-waits 7/1']);
  engine.apply([settle(1, 'post')]);
  await look(NOON + 180 * MINUTE);
  stop();
  expect(alarms).toEqual(['hold-waits 7/1']);
});
