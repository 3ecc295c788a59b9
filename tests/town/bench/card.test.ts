/** The card bench at its smallest: every case is measured and said, and a tap without a certificate ends it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { anyCard, KEYS } from '../deck.ts';
import { jsonOf, type Row, runCard } from './card.ts';
import { mustHaveCounted, openStation, openTill, type Station, type Till, tapCard } from './taps.ts';

const SMALL = { stations: 2, taps: 1, verify: { cards: 3, rounds: 1 } };
const notes: string[] = [];
let rows: Row[];
let station: Station;
let till: Till;
const folder = mkdtempSync(join(tmpdir(), 'simpul-taps-'));
beforeAll(async () => {
  rows = await runCard(SMALL, (line) => notes.push(line));
  station = await openStation();
  till = await openTill(folder);
});
afterAll(async () => {
  till.close();
  await station.close();
  rmSync(folder, { recursive: true, force: true });
});

test('each pace of purse and account sale is set beside its baselines, and each verification beside bare AES', () => {
  const beside = (name: string) => rows.filter((row) => row.case === name).map(({ baseline }) => baseline);
  for (const kind of ['purse', 'account']) {
    expect(beside(kind)).toEqual(['inside transmit', 'empty card', 'most, p95']);
    for (const pace of ['air', 'reader']) {
      expect(beside(`${kind}-${pace}`)).toEqual(['inside transmit', 'physical floor', 'most, p95']);
    }
  }
  expect(rows.filter(({ baseline }) => baseline === '5 raw CMACs')).toHaveLength(3);
  expect(rows).toHaveLength(21);
});

test('every line names bench, case, value, unit, baseline and ratio, with numbers that are numbers', () => {
  for (const row of rows) {
    const said = JSON.parse(jsonOf(row)) as Record<string, unknown>;
    expect(said).toMatchObject({ bench: 'card', case: row.case, unit: row.unit, baseline: row.baseline });
    for (const figure of Object.values(said).filter((one) => typeof one !== 'string')) {
      expect(figure).toBeGreaterThanOrEqual(0);
    }
  }
});

test('a purse sale is ten commands and an account sale nine, and neither is quicker than air and card allow', () => {
  const commands = rows.flatMap(({ case: name, more }) => (more?.commands ? [[name, more.commands]] : []));
  expect(commands.map(([, count]) => count)).toEqual([10, 10, 10, 9, 9, 9]);
  const floors = rows.filter(({ baseline }) => baseline === 'physical floor');
  expect(floors).toHaveLength(4);
  // A timer may be a millisecond early, of some eighty.
  for (const { ratio } of floors) expect(ratio).toBeGreaterThan(0.97);
});

test('a card that certifies with another key than its own ends the bench', async () => {
  const { memory } = await till.card(1);
  const forged = anyCard({ uid: memory.uid, keys: { ...KEYS, tmac: KEYS.app } });
  await expect(tapCard(station, till, 'account', forged, null)).rejects.toThrow('certificate does not fit its list');
});

test('a card whose key the till does not hold ends the bench', async () => {
  const unknown = anyCard({ uid: Uint8Array.of(4, 9, 9, 9, 9, 9, 0x80) });
  await expect(tapCard(station, till, 'purse', unknown, null)).rejects.toThrow('not certified: no-key');
});

test('a card that counted another number of taps ends the bench', async () => {
  const card = await till.card(2);
  await tapCard(station, till, 'purse', card, null);
  mustHaveCounted(card, 1);
  expect(() => mustHaveCounted(card, 2)).toThrow('tapped 2 times counted 1');
});
