/** The ledger bench at its smallest: every case is measured and said, over books that balance. */
import { beforeAll, expect, test } from 'vitest';
import { jsonOf, type LedgerPlan, type LedgerResult, runLedger } from './ledger.ts';

const CELLS = ['town', 'hot', 'town-sync2ms', 'hot-sync2ms'];
const SMALL: LedgerPlan = {
  cards: 360,
  sizes: [1000, 2000],
  warm: 200,
  cells: CELLS.map((name) => ({
    name,
    crowd: name.startsWith('hot') ? 'hot' : 'town',
    delayed: name.endsWith('sync2ms'),
    commits: 3,
  })),
  turns: 2,
  statements: { warm: 3, cold: 1 },
  auditMax: 2000,
};
let result: LedgerResult;
beforeAll(async () => {
  result = await runLedger(SMALL);
});

test('each stream stands beside raw commits at each size, and its rate and p99 beside the smaller size', () => {
  const beside = (baseline: string) => result.rows.filter((row) => row.baseline === baseline).map((row) => row.case);
  expect(beside('raw commit')).toEqual(['1e3', '2000'].flatMap((size) => CELLS.map((name) => `${name}-${size}`)));
  expect(beside('at 1e3')).toEqual([
    ...CELLS.flatMap((name) =>
      ['', '-cpu', '-p99', '-p99-cpu', '-p99-with-checkpoint'].map((word) => `growth-${name}-2000${word}`),
    ),
    ...['bytes-1e3', 'bytes-2000', 'lines-cold-1e3', 'lines-warm-1e3', 'lines-cold-2000', 'lines-warm-2000'],
  ]);
});

test('one sale in twenty is refused for want of money and one request in twenty is answered as a repeat', () => {
  for (const { grown, cells, size } of result.report.sizes) {
    const sold = grown.approved + grown.declined;
    expect(sold).toBe(size - SMALL.warm - SMALL.cards - SMALL.sizes.length);
    // Every 20th request repeats one that was made before it.
    expect(grown.duplicates).toBe(Math.floor((sold - 1) / 19));
    for (const { engine, raw, tally } of cells) {
      const entries = engine.reduce((sum, turn) => sum + turn.entries, 0);
      expect(raw.reduce((sum, turn) => sum + turn.entries, 0)).toBe(entries);
      expect(tally.approved + tally.declined).toBe(entries);
      expect(tally.declined / entries).toBeGreaterThan(0.03);
      expect(tally.declined / entries).toBeLessThan(0.07);
      expect(tally.duplicates / (entries + tally.duplicates)).toBeGreaterThan(0.03);
      expect(tally.duplicates / (entries + tally.duplicates)).toBeLessThan(0.07);
    }
  }
});

test('after the bench every leg of both ledgers is in its place and the trial balance is zero', () => {
  expect(result.report.sizes.map(({ audited, faults }) => [audited, faults])).toEqual([
    [true, []],
    [true, []],
  ]);
});

test('every line names bench, case, value, unit, baseline and ratio, with numbers that are numbers', () => {
  for (const row of result.rows) {
    const said = JSON.parse(jsonOf(row)) as Record<string, unknown>;
    expect(said).toMatchObject({ bench: 'ledger', case: row.case, unit: row.unit, baseline: row.baseline });
    for (const figure of Object.values(said).filter((one) => typeof one !== 'string')) {
      expect(figure).toBeGreaterThanOrEqual(0);
    }
  }
});
