/** Authorise: durable account sales over MQTT beside raw echo, raw group commit and a hub with one sale a commit. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchOptions } from './bench.ts';
import { compileDelay, type SyncDelay } from './children.ts';
import { makeFleet } from './fleet.ts';
import { type Measured, median, type RunOrder, removeRun, runRaw, runTogether, type Site, type Turns } from './runs.ts';
import type { ServerKind } from './server.ts';

type Baseline = 'echo' | 'raw commit' | 'per-request';

/** What is measured: a hub's case, or a baseline of cases. */
interface Cell {
  readonly name: string;
  readonly kind: ServerKind | 'raw commit';
  readonly secure: boolean;
  readonly kiosks: number;
  readonly delayed: boolean;
  readonly disturbed: boolean;
}

type Figures = Pick<Measured, 'perSecond' | 'p99Ms' | 'cpuUs'> & { readonly loadCpuUs: number | null };

interface Plan {
  readonly rounds: number;
  readonly turns: Turns;
  readonly cards: number;
  /** Entries that the raw commits write in all, at most. */
  readonly rawEntries: number;
  readonly kiosks: readonly number[];
  readonly kinds: readonly ServerKind[];
  readonly delays: readonly boolean[];
  readonly disturbed: boolean;
}

const quickPlan: Plan = {
  rounds: 1,
  turns: { warmMs: 1600, sliceMs: 650, slices: 3 },
  cards: 9_000,
  rawEntries: 16_000,
  kiosks: [500],
  kinds: ['hub', 'echo'],
  delays: [false],
  disturbed: false,
};
const fullPlan: Plan = {
  rounds: 3,
  turns: { warmMs: 3000, sliceMs: 1500, slices: 3 },
  cards: 48_000,
  rawEntries: 40_000,
  kiosks: [1, 100, 500, 1000],
  kinds: ['hub', 'echo', 'per-request'],
  delays: [false, true],
  disturbed: true,
};

const DELAY_US = 2000;
/** Entries in one raw commit: the size the design's ceilings were measured with; the hub's own mean is 50 to 80. */
const RAW_BATCH = 128;
/** Requests a second to mint for, above what is ever answered; the rest would be minted in vain. */
const mintRate = (kind: ServerKind, kiosks: number) => (kind === 'per-request' || kiosks === 1 ? 5000 : 12_000);

const delayMark = (delayed: boolean) => (delayed ? '-sync2ms' : '');
const caseName = (secure: boolean, kiosks: number, delayed: boolean) =>
  `${secure ? 'tls' : 'tcp'}-${kiosks}${delayMark(delayed)}`;

/** The groups of one round in the order in which they run; the cells of a group take turns. */
function groupsOf(plan: Plan): Cell[][] {
  const groups: Cell[][] = [];
  for (const kiosks of plan.kiosks) {
    for (const secure of [false, true]) {
      for (const delayed of plan.delays) {
        // An echo never waits for a disk.
        const kinds = plan.kinds.filter((kind) => kind !== 'echo' || !delayed);
        const name = caseName(secure, kiosks, delayed);
        groups.push(kinds.map((kind) => ({ name, kind, secure, kiosks, delayed, disturbed: false })));
      }
    }
  }
  // Each for itself: the nuisance never pauses.
  for (const disturbed of plan.disturbed ? [false, true] : []) {
    const name = `tcp-100-${disturbed ? 'disturbed' : 'quiet'}`;
    groups.push([{ name, kind: 'hub', secure: false, kiosks: 100, delayed: false, disturbed }]);
  }
  for (const delayed of plan.delays) {
    const name = `raw${delayMark(delayed)}`;
    groups.push([{ name, kind: 'raw commit', secure: false, kiosks: 0, delayed, disturbed: false }]);
  }
  return groups;
}

const keyOf = ({ name, kind }: Pick<Cell, 'name' | 'kind'>) => `${kind} ${name}`;

/** The figure of each kind in the middle of its rounds. */
function middle(rounds: readonly Figures[]): Figures {
  const of = (read: (figures: Figures) => number) => median(rounds.map(read));
  return {
    perSecond: of(({ perSecond }) => perSecond),
    p99Ms: of(({ p99Ms }) => p99Ms),
    cpuUs: of(({ cpuUs }) => cpuUs),
    loadCpuUs: rounds[0]?.loadCpuUs === null ? null : of(({ loadCpuUs }) => loadCpuUs ?? Number.NaN),
  };
}

function orderOf(plan: Plan, cell: Cell, kind: ServerKind, delay: SyncDelay | null): RunOrder {
  const { warmMs, sliceMs, slices } = plan.turns;
  const requests = Math.ceil((mintRate(kind, cell.kiosks) * (warmMs + sliceMs * slices)) / 1000);
  const { secure, kiosks, delayed, disturbed } = cell;
  return { kind, secure, kiosks, disturbed, delay: delayed ? delay : null, requests };
}

/** Runs every group once a round, each round in full before the next, and adds what it measures to the results. */
async function measure(
  site: Site,
  plan: Plan,
  delay: SyncDelay | null,
  results: Map<string, Figures[]>,
  note: (line: string) => void,
): Promise<void> {
  const keep = (cell: Cell, figures: Figures) =>
    void results.set(keyOf(cell), [...(results.get(keyOf(cell)) ?? []), figures]);
  let finished: string | null = null;
  const groups = groupsOf(plan);
  for (let round = 1; round <= plan.rounds; round += 1) {
    for (const [index, group] of groups.entries()) {
      note(`round ${round}/${plan.rounds}, ${index + 1}/${groups.length}: ${group.map(keyOf).join(', ')}`);
      const served = group.flatMap((cell) =>
        cell.kind === 'raw commit' ? [] : [{ cell, order: orderOf(plan, cell, cell.kind, delay) }],
      );
      const runs = await runTogether(
        site,
        served.map(({ order }) => order),
        plan.turns,
      );
      for (const [at, { measured, place }] of runs.entries()) {
        const cell = served[at]?.cell;
        if (cell === undefined) throw new Error('a run without its case');
        keep(cell, measured);
        // The rows of the first large run serve every raw commit.
        if (finished === null && cell.kind === 'hub' && cell.kiosks >= 500) finished = place;
        else removeRun(place);
      }
      for (const cell of group) {
        if (cell.kind !== 'raw commit') continue;
        if (finished === null) throw new Error('a raw commit needs a finished run');
        const order = { finished, batch: RAW_BATCH, entries: plan.rawEntries };
        keep(cell, { ...(await runRaw(site, order, cell.delayed ? delay : null)), loadCpuUs: null });
      }
    }
  }
}

interface Row {
  readonly cell: Cell;
  readonly hub: Figures;
  readonly baseline: string;
  readonly ratio: number;
  readonly target: string;
}

const targets: Readonly<Record<Baseline, (delayed: boolean) => string>> = {
  echo: () => '>= 0.50, stretch 0.80',
  'raw commit': () => '>= 0.40',
  'per-request': (delayed) => (delayed ? '>= 25' : '>= 5'),
};

/** Sets every hub case beside its baselines; the design's targets are for 500 kiosks. */
function rowsOf(plan: Plan, results: ReadonlyMap<string, Figures>): Row[] {
  const rows: Row[] = [];
  for (const cell of groupsOf(plan).flat()) {
    const hub = results.get(keyOf(cell));
    if (cell.kind !== 'hub' || hub === undefined) continue;
    const { secure, kiosks, delayed, disturbed } = cell;
    const plain = caseName(secure, kiosks, false);
    const beside: readonly [Baseline, string][] = [
      ['echo', keyOf({ kind: 'echo', name: plain })],
      ['raw commit', keyOf({ kind: 'raw commit', name: `raw${delayMark(delayed)}` })],
      ['per-request', keyOf({ kind: 'per-request', name: cell.name })],
    ];
    const own = cell.name === caseName(secure, kiosks, delayed);
    for (const [baseline, key] of own ? beside : []) {
      const other = results.get(key);
      if (other === undefined) continue;
      const target = kiosks === 500 ? targets[baseline](delayed) : '';
      rows.push({ cell, hub, baseline, ratio: hub.perSecond / other.perSecond, target });
    }
    const tcp = results.get(keyOf({ kind: 'hub', name: caseName(false, kiosks, delayed) }));
    if (secure && tcp !== undefined) {
      const target = kiosks === 500 ? '>= 0.65' : '';
      rows.push({ cell, hub, baseline: 'tcp', ratio: hub.perSecond / tcp.perSecond, target });
    }
    const quiet = results.get(keyOf({ kind: 'hub', name: 'tcp-100-quiet' }));
    if (disturbed && quiet !== undefined) {
      rows.push({ cell, hub, baseline: 'quiet p99', ratio: hub.p99Ms / quiet.p99Ms, target: '<= 2' });
    }
  }
  return rows;
}

const rounded = (value: number, digits = 1) => Number(value.toFixed(digits));

function jsonOf({ cell, hub, baseline, ratio }: Row): string {
  return JSON.stringify({
    bench: 'authorise',
    case: cell.name,
    value: Math.round(hub.perSecond),
    unit: 'per second',
    baseline,
    ratio: rounded(ratio, 3),
    p99Ms: rounded(hub.p99Ms, 2),
    cpuUs: rounded(hub.cpuUs),
    loadCpuUs: hub.loadCpuUs === null ? null : rounded(hub.loadCpuUs),
  });
}

function printTable(rows: readonly Row[], results: ReadonlyMap<string, Figures>, print: (line: string) => void): void {
  const line = (cells: readonly string[], widths: readonly number[]) =>
    print(
      cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  '),
    );
  const own = [28, 10, 9, 13, 13];
  line(['measured', 'per second', 'p99 ms', 'CPU us each', 'load CPU us'], own);
  for (const [name, { perSecond, p99Ms, cpuUs, loadCpuUs }] of results) {
    const load = loadCpuUs === null ? '-' : loadCpuUs.toFixed(1);
    line([name, perSecond.toFixed(0), p99Ms.toFixed(2), cpuUs.toFixed(1), load], own);
  }
  print('');
  const ratios = [20, 12, 8, 22];
  line(['hub', 'beside', 'ratio', 'target'], ratios);
  for (const { cell, baseline, ratio, target } of rows) {
    line([cell.name, baseline, ratio.toFixed(2), target], ratios);
  }
  print('');
  print(`Raw commit: ${RAW_BATCH} entries a commit, its p99 is of commits. Durable is what this machine's disk says;`);
  print('a virtual one may acknowledge early, so the cases "sync2ms" make each fsync 2 ms slower.');
}

/** Measures and prints; every hub run's books are audited and compared with the receipts. */
export async function benchAuthorise({ quick, rounds: asked, json, print }: BenchOptions): Promise<void> {
  const whole = quick ? quickPlan : fullPlan;
  const plan: Plan = { ...whole, rounds: asked ?? whole.rounds };
  const directory = mkdtempSync(join(tmpdir(), 'simpul-bench-'));
  const note = (line: string) => void process.stderr.write(`${line}\n`);
  try {
    const delay = plan.delays.includes(true) ? compileDelay(directory, DELAY_US) : null;
    const site: Site = { directory, fleet: join(directory, 'fleet') };
    const kiosks = Math.max(...plan.kiosks) + (plan.disturbed ? 1 : 0);
    note(`making ${plan.cards} cards and ${kiosks} kiosks`);
    await makeFleet(site.fleet, { cards: plan.cards, kiosks });
    const rounds = new Map<string, Figures[]>();
    // What was measured is said, also when a later case fails.
    await measure(site, plan, delay, rounds, note).finally(() => {
      const results = new Map([...rounds].map(([name, figures]) => [name, middle(figures)]));
      const rows = rowsOf(plan, results);
      if (json) for (const row of rows) print(jsonOf(row));
      else printTable(rows, results, print);
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
