/** Card: taps from the reader's card event to the card's certificate, beside the empty card and the physical floor. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ACTIVATION_MS, airMs, cardMs, GOOD_READER_MS, type Pace, realPace } from '../airtime.ts';
import type { Card } from '../card.ts';
import type { BenchOptions } from './bench.ts';
import { median } from './runs.ts';
import {
  mustHaveCounted,
  openStation,
  openTill,
  type Station,
  type TapKind,
  type TapTime,
  type Till,
  tapCard,
  tapEcho,
} from './taps.ts';
import { measureVerify, type VerifyPlan, type VerifyRates } from './verify.ts';

export interface CardPlan {
  readonly stations: number;
  /** Counted taps of each case. */
  readonly taps: number;
  readonly verify: VerifyPlan;
}

/**
 * One card lies at a time; while the reader notices that it left, which takes it 0.4 s, the next is laid at another
 * station.
 */
const quickPlan: CardPlan = { stations: 3, taps: 8, verify: { cards: 800, rounds: 5 } };
const fullPlan: CardPlan = { stations: 3, taps: 50, verify: { cards: 2_000, rounds: 10 } };

/** How fast the card answers: at once, as air and card allow, or with a good reader besides. */
const paces: readonly (readonly [string, Pace | null])[] = [
  ['', null],
  ['-air', realPace(0)],
  ['-reader', realPace(GOOD_READER_MS)],
];
const kinds: readonly TapKind[] = ['purse', 'account'];

const SHARE_MOST = 0.15;
const WHOLE_MOST_MS = 350;
/** CARDS section 12: reader stack, kiosk and emulated card together, without air. */
const BARE_MOST_MS = 30;

/** One line that is printed. */
export interface Row {
  readonly case: string;
  readonly value: number;
  readonly unit: 'ms' | 'per second';
  readonly baseline: string;
  readonly baselineValue: number;
  readonly ratio: number;
  /** Of the ratio; empty where there is none. */
  readonly target: string;
  readonly more?: Readonly<Record<string, number>>;
}

interface Cell {
  readonly name: string;
  readonly times: TapTime[];
  readonly tap: (station: Station) => Promise<TapTime>;
}

/** Slowest but one in twenty. */
function p95(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? Number.NaN;
}

/** The taps of one pace and kind, each on a card of its own. */
function cardCells(till: Till, cards: readonly Card[]): Cell[] {
  const cases = kinds.flatMap((kind) => paces.map(([mark, pace]) => ({ name: `${kind}${mark}`, kind, pace })));
  return cases.map(({ name, kind, pace }, index) => {
    const card = cards[index];
    if (card === undefined) throw new Error('a case without a card');
    return { name, times: [], tap: (station) => tapCard(station, till, kind, card, pace) };
  });
}

const lengthsOf = ({ exchanges }: TapTime) => exchanges.map(({ apdu }) => apdu.length);

/** The empty card hears as many commands of the same lengths as the last tap of that kind had. */
function echoCells(cells: readonly Cell[]): Cell[] {
  return kinds.map((kind) => ({
    name: `empty-${kind}`,
    times: [],
    tap: (station) => {
      const last = cells.find(({ name }) => name === kind)?.times.at(-1);
      if (last === undefined) throw new Error(`no ${kind} tap before the empty card's`);
      return tapEcho(station, lengthsOf(last));
    },
  }));
}

/** Gives every case its turn, again and again; the first turn of all warms up and is not counted. */
async function takeTurns(plan: CardPlan, cells: readonly Cell[], stations: readonly Station[]): Promise<void> {
  let at = 0;
  for (let turn = 0; turn <= plan.taps; turn += 1) {
    for (const { times, tap } of cells) {
      const station = stations[at % stations.length];
      if (station === undefined) throw new Error('no station');
      const time = await tap(station);
      // The warming tap stays until the next one is known: the empty card takes its lengths.
      if (turn === 1) times.length = 0;
      times.push(time);
      at += 1;
    }
  }
}

const share = ({ wholeMs, insideMs }: TapTime) => (wholeMs - insideMs) / insideMs;

function floorMs({ exchanges }: TapTime): { air: number; card: number } {
  const sum = (of: (one: TapTime['exchanges'][number]) => number) => exchanges.reduce((all, one) => all + of(one), 0);
  return { air: sum(({ apdu, replyBytes }) => airMs(apdu.length, replyBytes)), card: sum(({ apdu }) => cardMs(apdu)) };
}

/** What is said of one case's taps. */
function tapRows({ name, times }: Cell, empty: Cell | undefined): Row[] {
  const [first] = times;
  if (first === undefined) throw new Error(`no tap of ${name}`);
  const of = (read: (time: TapTime) => number) => times.map(read);
  const whole = of(({ wholeMs }) => wholeMs);
  const software = of(({ wholeMs, insideMs }) => wholeMs - insideMs);
  const own = { case: name, value: median(whole), unit: 'ms' } as const;
  const inside = median(of(({ insideMs }) => insideMs));
  const more = {
    p95Ms: p95(whole),
    ratioP95: p95(of(share)),
    softwareMs: median(software),
    softwareP95Ms: p95(software),
    commands: first.exchanges.length,
    taps: times.length,
  };
  const bare = paces.every(([mark]) => mark === '' || !name.endsWith(mark));
  const target = bare ? '' : `<= ${SHARE_MOST}`;
  const rows: Row[] = [
    { ...own, baseline: 'inside transmit', baselineValue: inside, ratio: median(of(share)), target, more },
  ];
  if (bare) {
    const other = median((empty?.times ?? []).map(({ wholeMs }) => wholeMs));
    rows.push({ ...own, baseline: 'empty card', baselineValue: other, ratio: own.value / other, target: '' });
  } else {
    const { air, card } = floorMs(first);
    const floor = air + card;
    const parts = { airMs: air, cardMs: card, activationMs: ACTIVATION_MS };
    const row = { baseline: 'physical floor', baselineValue: floor, ratio: own.value / floor, target: '' };
    rows.push({ ...own, ...row, more: parts });
  }
  const most = bare ? BARE_MOST_MS : WHOLE_MOST_MS;
  const limit = { baseline: `most, p95`, baselineValue: most, ratio: more.p95Ms / most, target: '<= 1' };
  rows.push({ ...own, value: more.p95Ms, ...limit });
  return rows;
}

function verifyRows({ derived, kept, purse, raw }: VerifyRates): Row[] {
  const cases = [
    ['verify-key-derived', derived],
    ['verify-key-kept', kept],
    ['verify-purse-list', purse],
  ] as const;
  const baseline = { unit: 'per second', baseline: '5 raw CMACs', baselineValue: raw.perSecond, target: '' } as const;
  return cases.map(([name, { perSecond, ratio }]) => ({ case: name, value: perSecond, ...baseline, ratio }));
}

/**
 * Plays the plan. @throws when a tap was not certified, a counter is not what the taps made it, or a station fails.
 */
export async function runCard(plan: CardPlan, note: (line: string) => void): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'simpul-bench-'));
  const stations: Station[] = [];
  try {
    note(`verifying certificates of ${plan.verify.cards} cards`);
    const rates = await measureVerify(directory, plan.verify);
    const opening = Array.from({ length: plan.stations }, async () => void stations.push(await openStation()));
    const failed = (await Promise.allSettled(opening)).find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    const till = await openTill(directory);
    const cards = await Promise.all(
      Array.from({ length: kinds.length * paces.length }, (_, index) => till.card(index)),
    );
    const own = cardCells(till, cards);
    const cells = [...own, ...echoCells(own)];
    note(`${plan.taps} taps of each of ${cells.map(({ name }) => name).join(', ')}`);
    await takeTurns(plan, cells, stations).finally(() => till.close());
    for (const card of cards) mustHaveCounted(card, plan.taps + 1);
    const emptyOf = (kind: TapKind) => cells.find(({ name }) => name === `empty-${kind}`);
    const rows = own.map((cell) => tapRows(cell, emptyOf(cell.name.startsWith('purse') ? 'purse' : 'account')));
    return [...rows.flat(), ...verifyRows(rates)];
  } finally {
    await Promise.all(stations.map((station) => station.close()));
    rmSync(directory, { recursive: true, force: true });
  }
}

const rounded = (value: number, digits: number) => Number(value.toFixed(digits));

export function jsonOf({ case: name, value, unit, baseline, baselineValue, ratio, more = {} }: Row): string {
  const figures = Object.entries(more).map(([key, figure]) => [key, rounded(figure, 3)]);
  return JSON.stringify({
    bench: 'card',
    case: name,
    value: rounded(value, unit === 'ms' ? 2 : 0),
    unit,
    baseline,
    ratio: rounded(ratio, 3),
    baselineValue: rounded(baselineValue, unit === 'ms' ? 2 : 0),
    ...Object.fromEntries(figures),
  });
}

function printTable(rows: readonly Row[], print: (line: string) => void): void {
  const widths = [18, 10, 10, 16, 9, 8, 8];
  const line = (cells: readonly string[]) =>
    print(
      cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  '),
    );
  const spelled = (value: number, unit: Row['unit']) => value.toFixed(unit === 'ms' ? 2 : 0);
  line(['measured', 'value', 'unit', 'beside', 'value', 'ratio', 'target']);
  for (const { case: name, value, unit, baseline, baselineValue, ratio, target } of rows) {
    line([name, spelled(value, unit), unit, baseline, spelled(baselineValue, unit), ratio.toFixed(3), target]);
  }
  print('');
  const shares = [18, 10, 10, 10, 10, 10, 10, 6];
  const second = (cells: readonly string[]) =>
    print(cells.map((cell, at) => cell.padStart(shares[at] ?? 0)).join('  '));
  second(['tap', 'p50 ms', 'p95 ms', 'share', 'share p95', 'own ms', 'own p95', 'taps']);
  for (const { case: name, value, ratio, more, baseline } of rows) {
    if (baseline !== 'inside transmit' || more === undefined) continue;
    const figures = [value, more.p95Ms, ratio, more.ratioP95, more.softwareMs, more.softwareP95Ms];
    second([name, ...figures.map((figure = Number.NaN) => figure.toFixed(3)), String(more.taps)]);
  }
  print('');
  print(
    'From the card event to the certificate, journaled to disk before the commit. The ratio beside "inside transmit"',
  );
  print(
    'is the software share: (whole - inside) / inside. Unmarked cases: the emulated card answers at once, and computes',
  );
  print(
    `inside transmit. "air": it takes air and card time of CARDS section 12 at 106 kbit/s; its floor is what air and`,
  );
  print(`card take alone, and activation, ${ACTIVATION_MS} ms, is over before. "reader": a good reader's estimated`);
  print(`${GOOD_READER_MS} ms a command besides. Card and reader times are estimates until measured on real cards.`);
}

/** Measures and prints; fails when a tap was not certified. */
export async function benchCard({ quick, rounds, json, print }: BenchOptions): Promise<void> {
  const whole = quick ? quickPlan : fullPlan;
  const plan: CardPlan = { ...whole, taps: rounds ?? whole.taps };
  const rows = await runCard(plan, (line) => void process.stderr.write(`${line}\n`));
  if (json) for (const row of rows) print(jsonOf(row));
  else printTable(rows, print);
}
