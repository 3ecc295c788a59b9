/** Ledger: sales posted by the shipped engine beside raw commits of the same rows, in ledgers from small to large. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchOptions } from './bench.ts';
import { compileDelay, startChild } from './children.ts';
import type { Cell, CellReport, LedgerOrder, LedgerReport, SizeReport, Turn } from './ledgerrun.ts';
import { median } from './runs.ts';

export type LedgerPlan = Omit<LedgerOrder, 'directory' | 'batches' | 'delayUs'>;

/**
 * Requests in one commit: what queues at the hub while one commit runs is 50 to 80 on average, and not the same each
 * time.
 */
const BATCHES = [16, 32, 64, 128, 64, 80];
const DELAY_US = 2000;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

const cellsOf = (commits: number, delayed: number): Cell[] => [
  { name: 'town', crowd: 'town', delayed: false, commits },
  { name: 'hot', crowd: 'hot', delayed: false, commits },
  { name: 'town-sync2ms', crowd: 'town', delayed: true, commits: delayed },
  { name: 'hot-sync2ms', crowd: 'hot', delayed: true, commits: delayed },
];

const quickPlan: LedgerPlan = {
  cards: 3000,
  sizes: [10_000, 100_000],
  warm: 3000,
  cells: cellsOf(18, 6),
  turns: 5,
  statements: { warm: 500, cold: 8 },
  auditMax: 1_000_000,
};
const longPlan: LedgerPlan = {
  cards: 4000,
  sizes: [10_000, 100_000, 1_000_000],
  warm: 4000,
  cells: cellsOf(24, 12),
  turns: 16,
  statements: { warm: 1000, cold: 50 },
  auditMax: 1_000_000,
};
const fullPlan: LedgerPlan = { ...longPlan, sizes: [...longPlan.sizes, 10_000_000] };

/** DESIGN section 10: growth is told from a ledger of this size. */
const GROWTH_FROM = 100_000;
/** And is a promise from ten times that on. */
const GROWTH_TO = 1_000_000;
const RATE_LEAST = 0.8;
const P99_MOST = 1.3;

/** One line that is printed. */
export interface Row {
  readonly case: string;
  readonly value: number;
  readonly unit: 'per second' | 'ms' | 'us' | 'bytes';
  readonly baseline: string;
  readonly baselineValue: number;
  readonly ratio: number;
  /** What the ratio has to be, or null where the design sets nothing. */
  readonly target: { readonly least: number } | { readonly most: number } | null;
  readonly more?: Readonly<Record<string, number>>;
}

/** Slowest but one in a hundred. */
function p99(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN;
}

const rate = ({ entries, seconds }: Turn) => entries / seconds;
const cpuOf = (turns: readonly Turn[]) => median(turns.map(({ cpuUs, entries }) => cpuUs / entries));
const whole = (turns: readonly Turn[]) => turns.flatMap(({ wholeMs }) => wholeMs);
const commits = (turns: readonly Turn[]) => turns.flatMap(({ commitMs }) => commitMs);
const commitCpu = (turns: readonly Turn[]) => turns.flatMap(({ commitCpuMs }) => commitCpuMs);

/** The middle of the ratios of turns that followed each other: what disturbed one disturbed the other too. */
function paired(turns: readonly Turn[], others: readonly Turn[], of: (turn: Turn) => number): number {
  const pairs = Math.min(turns.length, others.length);
  const ratios = Array.from({ length: pairs }, (_, at) => [turns[at], others[at]] as const).map(([one, other]) =>
    one && other ? of(one) / of(other) : Number.NaN,
  );
  return median(ratios);
}

/** `1e5` for 100,000; sizes that are no power of ten in full. */
function spelled(size: number): string {
  const power = Math.round(Math.log10(size));
  return 10 ** power === size ? `1e${power}` : String(size);
}

function cellRow({ size }: SizeReport, { name, engine, raw, tally }: CellReport): Row {
  return {
    case: `${name}-${spelled(size)}`,
    value: median(engine.map(rate)),
    unit: 'per second',
    baseline: 'raw commit',
    baselineValue: median(raw.map(rate)),
    ratio: paired(engine, raw, rate),
    target: null,
    more: {
      cpu_us_per_entry: cpuOf(engine),
      rawCpuUs: cpuOf(raw),
      p50Ms: median(commits(engine)),
      p99Ms: p99(commits(engine)),
      p99CpuMs: p99(commitCpu(engine)),
      rawP99Ms: p99(commits(raw)),
      p99WithCheckpointMs: p99(whole(engine)),
      commits: commits(engine).length,
      entries: engine.reduce((sum, { entries }) => sum + entries, 0),
      refusals: tally.declined,
      duplicates: tally.duplicates,
    },
  };
}

/** What growth did to a case: rate, CPU and the slowest commits at a size beside those of another. */
function growthRows(name: string, from: SizeReport, to: SizeReport): Row[] {
  const cellOf = ({ cells }: SizeReport) => cells.find((cell) => cell.name === name)?.engine ?? [];
  const [small, large] = [cellOf(from), cellOf(to)];
  const baseline = `at ${spelled(from.size)}`;
  const promised = from.size >= GROWTH_FROM && to.size >= GROWTH_TO;
  const own = `growth-${name}-${spelled(to.size)}`;
  const slow = (word: string, of: (turns: readonly Turn[]) => number[], target: Row['target']): Row => {
    const [value, baselineValue] = [p99(of(large)), p99(of(small))];
    const ratio = value / baselineValue;
    return { case: `${own}-${word}`, value, unit: 'ms', baseline, baselineValue, ratio, target };
  };
  return [
    {
      case: own,
      value: median(large.map(rate)),
      unit: 'per second',
      baseline,
      baselineValue: median(small.map(rate)),
      ratio: paired(large, small, rate),
      target: promised ? { least: RATE_LEAST } : null,
    },
    {
      case: `${own}-cpu`,
      value: cpuOf(large),
      unit: 'us',
      baseline,
      baselineValue: cpuOf(small),
      ratio: paired(large, small, ({ cpuUs, entries }) => cpuUs / entries),
      target: null,
    },
    slow('p99', commits, promised ? { most: P99_MOST } : null),
    slow('p99-cpu', commitCpu, null),
    slow('p99-with-checkpoint', whole, null),
  ];
}

function bytesRow({ size, bytesPerEntry, seconds, cpuUs, grownBy }: SizeReport, first: SizeReport): Row {
  return {
    case: `bytes-${spelled(size)}`,
    value: bytesPerEntry,
    unit: 'bytes',
    baseline: `at ${spelled(first.size)}`,
    baselineValue: first.bytesPerEntry,
    ratio: bytesPerEntry / first.bytesPerEntry,
    target: null,
    more: { grownBy, growSeconds: seconds, growPerSecond: grownBy / seconds, cpu_us_per_entry: cpuUs },
  };
}

function linesRow(word: 'cold' | 'warm', size: SizeReport, first: SizeReport): Row {
  const of = ({ coldMs, warmMs }: SizeReport) => (word === 'cold' ? coldMs : warmMs);
  const [value, baselineValue] = [median(of(size)), median(of(first))];
  return {
    case: `lines-${word}-${spelled(size.size)}`,
    value,
    unit: 'ms',
    baseline: `at ${spelled(first.size)}`,
    baselineValue,
    ratio: value / baselineValue,
    target: null,
    more: { p99Ms: p99(of(size)), lines: size.lines, times: of(size).length },
  };
}

function rowsOf({ sizes }: LedgerReport): Row[] {
  const [first] = sizes;
  const from = sizes.find(({ size }) => size >= GROWTH_FROM && size < (sizes.at(-1)?.size ?? 0)) ?? first;
  if (first === undefined || from === undefined) throw new Error('no size was measured');
  return [
    ...sizes.flatMap((size) => size.cells.map((cell) => cellRow(size, cell))),
    ...sizes
      .filter(({ size }) => size > from.size)
      .flatMap((to) => to.cells.flatMap(({ name }) => growthRows(name, from, to))),
    ...sizes.map((size) => bytesRow(size, first)),
    ...sizes.flatMap((size) => [linesRow('cold', size, first), linesRow('warm', size, first)]),
  ];
}

export interface LedgerResult {
  readonly rows: readonly Row[];
  readonly report: LedgerReport;
}

const isReport = (message: unknown): message is LedgerReport =>
  typeof message === 'object' && message !== null && 'sizes' in message;

/** Plays the plan. @throws when books are broken, an answer is not what was meant, or the disk is too small. */
export async function runLedger(plan: LedgerPlan): Promise<LedgerResult> {
  const directory = mkdtempSync(join(tmpdir(), 'simpul-bench-'));
  try {
    const delay = compileDelay(directory, DELAY_US);
    const order: LedgerOrder = { ...plan, directory, batches: BATCHES, delayUs: DELAY_US };
    const child = startChild('ledgerrun', order, delay);
    // Whoever interrupts it shall not be left with gigabytes.
    const stop = () => child.kill();
    for (const signal of SIGNALS) process.on(signal, stop);
    try {
      const report = await child.next(isReport);
      const faults = report.sizes.flatMap(({ size, faults }) => faults.map((fault) => `${spelled(size)}: ${fault}`));
      if (faults.length > 0) throw new Error(`the books are broken: ${faults.slice(0, 5).join('; ')}`);
      return { rows: rowsOf(report), report };
    } finally {
      for (const signal of SIGNALS) process.off(signal, stop);
      child.kill();
      await child.ended;
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const rounded = (value: number, digits: number) => Number(value.toFixed(digits));

const targetText = (target: Row['target']) =>
  target === null ? '' : 'least' in target ? `>= ${target.least.toFixed(2)}` : `<= ${target.most.toFixed(2)}`;

function isMet({ target, ratio }: Row): boolean | null {
  if (target === null) return null;
  return 'least' in target ? ratio >= target.least : ratio <= target.most;
}

export function jsonOf(row: Row): string {
  const { case: name, value, unit, baseline, baselineValue, ratio, target, more = {} } = row;
  const digits = unit === 'per second' ? 0 : 3;
  return JSON.stringify({
    bench: 'ledger',
    case: name,
    value: rounded(value, digits),
    unit,
    baseline,
    ratio: rounded(ratio, 3),
    baselineValue: rounded(baselineValue, digits),
    ...(target === null ? {} : { target: targetText(target), met: isMet(row) }),
    ...Object.fromEntries(Object.entries(more).map(([key, figure]) => [key, rounded(figure, 3)])),
  });
}

function printTable({ rows, report }: LedgerResult, { cards }: LedgerPlan, print: (line: string) => void): void {
  const line = (widths: readonly number[], cells: readonly string[]) =>
    print(
      cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  '),
    );
  const own = [40, 10, 10, 12, 10, 7, 8, 8];
  line(own, ['measured', 'value', 'unit', 'beside', 'value', 'ratio', 'target', '']);
  for (const row of rows) {
    const [value, other] = [row.value, row.baselineValue].map((one) =>
      one.toFixed(row.unit === 'per second' || row.unit === 'bytes' ? 0 : 3),
    );
    const met = isMet(row);
    const word = met === null ? '' : met ? 'met' : 'NOT MET';
    const cells = [value ?? '', row.unit, row.baseline, other ?? '', row.ratio.toFixed(2), targetText(row.target)];
    line(own, [row.case, ...cells, word]);
  }
  print('');
  const side = [20, 12, 10, 9, 9, 13, 8, 9, 9, 11];
  const heads = ['CPU us each', 'raw CPU us', 'p99 ms', 'raw p99', 'p99 + moving', 'commits', 'entries', 'refusals'];
  line(side, ['case', ...heads, 'duplicates']);
  for (const { case: name, more } of rows) {
    if (more?.commits === undefined) continue;
    const keys = ['cpu_us_per_entry', 'rawCpuUs', 'p99Ms', 'rawP99Ms', 'p99WithCheckpointMs'] as const;
    const counts = ['commits', 'entries', 'refusals', 'duplicates'] as const;
    line(side, [name, ...keys.map((key) => (more[key] ?? 0).toFixed(2)), ...counts.map((key) => String(more[key]))]);
  }
  print('');
  for (const { size, grownBy, seconds, lines, audited } of report.sizes) {
    const books = audited ? 'trial balance holds, every leg read' : 'all legs and all books sum to zero';
    const grown = `grown by ${grownBy} in ${seconds.toFixed(1)} s`;
    print(`${spelled(size)}: ${grown}; the firm's last 20 of ${lines} lines; ${books}`);
  }
  print(`New entries a second: repeats take time and count for nothing. ${cards} cards, 500 kiosks, each sale off-us`);
  print(
    'with its fee in three parts. Raw commit: the same rows in the same commits, no judging. All sizes and both sides',
  );
  print(
    'take turns; a small ledger at most doubles meanwhile. p99 is of commits; "+ moving" counts the checkpoint after',
  );
  print('one too, which holds up the next. Cold lines: an engine just opened, the pages forgotten by the system.');
}

/** Measures and prints; fails when the books are not what the answers say. */
export async function benchLedger({ quick, full, rounds, json, print }: BenchOptions): Promise<void> {
  const chosen = quick ? quickPlan : full ? fullPlan : longPlan;
  const plan: LedgerPlan = { ...chosen, turns: rounds ?? chosen.turns };
  const result = await runLedger(plan);
  if (json) for (const row of result.rows) print(jsonOf(row));
  else printTable(result, plan, print);
}
