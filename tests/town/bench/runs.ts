/** Runs: servers and loads on copies of one fleet take turns; then each hub's books are checked. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { hubPaths } from '../../../hub/config.ts';
import { VOID_ORIGIN } from '../../../hub/store/ledger.ts';
import { auditFile } from '../../../hub/store/sqlite/audit.ts';
import { openDatabase } from '../../../hub/store/sqlite/database.ts';
import { keyNumber } from '../../../hub/store/sqlite/decisions.ts';
import { type Child, type SyncDelay, startChild } from './children.ts';
import { copyFleet } from './fleet.ts';
import type { LoadOrder, LoadReport } from './generator.ts';
import type { Slice } from './load.ts';
import type { RawOrder, RawReport } from './rawcommit.ts';
import type { ServerCpu, ServerKind, ServerReady } from './server.ts';

/** Where a bench keeps its fleet and its runs. */
export interface Site {
  readonly directory: string;
  readonly fleet: string;
}

export interface RunOrder {
  readonly kind: ServerKind;
  readonly secure: boolean;
  readonly kiosks: number;
  readonly delay: SyncDelay | null;
  /** Requests to mint at most. */
  readonly requests: number;
  /** Whether a kiosk misbehaves all the while. */
  readonly disturbed: boolean;
}

/** How long each takes its turn, and how often. */
export interface Turns {
  readonly warmMs: number;
  readonly sliceMs: number;
  readonly slices: number;
}

export interface Measured {
  /** Of the slice in the middle. */
  readonly perSecond: number;
  readonly p99Ms: number;
  /** CPU of the server per answer, its threads included, in microseconds. */
  readonly cpuUs: number;
  /** CPU of the load per answer. */
  readonly loadCpuUs: number;
}

const has = (m: unknown, key: string) => typeof m === 'object' && m !== null && key in m;
const isListening = (m: unknown): m is ServerReady => has(m, 'tls');
const isCpu = (m: unknown): m is ServerCpu => has(m, 'cpu') && !has(m, 'answered');
const isSlice = (m: unknown): m is Slice => has(m, 'answered');
const isReport = (m: unknown): m is LoadReport => has(m, 'outcomes');
const isRaw = (m: unknown): m is RawReport => has(m, 'entries');
const isReady = (m: unknown): m is 'ready' => m === 'ready';
const isMinted = (m: unknown): m is 'minted' => m === 'minted';

let runs = 0;
const freshPlace = ({ directory }: Site) => {
  runs += 1;
  return join(directory, `run-${runs}`);
};

async function cpuOf(server: Child): Promise<number> {
  server.say('cpu');
  return (await server.next(isCpu)).cpu;
}

/** The books must balance, and hold as many approved sales as the kiosks have receipts. @throws otherwise. */
function verify(place: string, { outcomes, repeats }: LoadReport): void {
  const path = hubPaths(place).ledger;
  const books = auditFile(path);
  const broken = [...books.brokenPairs, ...books.brokenAccounts, ...books.brokenEntries];
  if (books.total !== 0n || broken.length > 0)
    throw new Error(`the books are broken after a run: ${broken.slice(0, 5).join(', ')}`);
  const db = openDatabase(path, 'schema.sql');
  const limit = keyNumber({ origin: VOID_ORIGIN, seq: 0 });
  const approved = db.prepare("SELECT count(*) FROM entry WHERE outcome = 'approved' AND key < ?").pluck().get(limit);
  db.close();
  const { approved: receipts = 0, 'insufficient-funds': refused = 0, ...others } = outcomes;
  if (Object.keys(others).length > 0) throw new Error(`unexpected answers: ${JSON.stringify(others).slice(0, 500)}`);
  if (approved !== receipts) throw new Error(`${approved} sales are booked and ${receipts} receipts say approved`);
  const all = receipts + refused;
  const fair = (part: number) => all < 2000 || (part > all * 0.03 && part < all * 0.08);
  if (!fair(refused) || !fair(repeats)) {
    throw new Error(`the mix is off: ${refused} refusals and ${repeats} repeats among ${all} requests`);
  }
}

/** A server and its load, ready to take turns with others. */
interface Team {
  readonly order: RunOrder;
  readonly place: string;
  readonly server: Child;
  readonly load: Child;
  readonly nuisance: Child | null;
  readonly slices: { readonly slice: Slice; readonly serverCpu: number }[];
}

async function assemble(site: Site, order: RunOrder, started: Child[]): Promise<Team> {
  const { kind, secure, kiosks, delay, requests } = order;
  const place = freshPlace(site);
  copyFleet(site.fleet, place);
  const start = (program: string, what: unknown, slow: SyncDelay | null) => {
    const child = startChild(program, what, slow);
    started.push(child);
    return child;
  };
  const server = start('server', { kind, directory: place }, delay);
  const listening = await server.next(isListening);
  const port = secure ? listening.tls : listening.tcp;
  const plan: LoadOrder = { directory: site.fleet, port, secure, kiosks, echo: kind === 'echo', requests };
  const load = start('generator', plan, null);
  await load.next(isReady);
  const nuisance = order.disturbed ? start('nuisance', { directory: site.fleet, port, secure }, null) : null;
  return { order, place, server, load, nuisance, slices: [] };
}

/** One turn; true while the load can go on. */
async function turn({ server, load, slices }: Team, word: 'warm' | 'measure', ms: number): Promise<boolean> {
  load.say(word);
  const before = await cpuOf(server);
  await new Promise((resolve) => setTimeout(resolve, ms));
  const cpu = await cpuOf(server);
  load.say('pause');
  const slice = await load.next(isSlice);
  if (word === 'measure') slices.push({ slice, serverCpu: cpu - before });
  return !slice.spent;
}

async function dismiss({ order, place, server, load, nuisance, slices }: Team): Promise<Measured> {
  load.say('finish');
  const report = await load.next(isReport);
  nuisance?.kill();
  await nuisance?.ended;
  server.say('close');
  await server.ended;
  if (order.kind !== 'echo') verify(place, report);
  const sum = (of: (one: (typeof slices)[number]) => number) => slices.reduce((total, one) => total + of(one), 0);
  const answered = Math.max(
    1,
    sum(({ slice }) => slice.answered),
  );
  return {
    perSecond: median(slices.map(({ slice }) => slice.answered / slice.seconds)),
    p99Ms: report.p99Ms,
    cpuUs: sum(({ serverCpu }) => serverCpu) / answered,
    loadCpuUs: sum(({ slice }) => slice.cpu) / answered,
  };
}

/** The middle one; of two middles the upper. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/**
 * Runs several cases in turns of a second or two, so that what the machine does beside them falls on all alike.
 * @returns the measurements in the order of the cases, and where their books lie, which the caller removes.
 */
export async function runTogether(
  site: Site,
  orders: readonly RunOrder[],
  { warmMs, sliceMs, slices }: Turns,
): Promise<{ measured: Measured; place: string }[]> {
  const children: Child[] = [];
  try {
    const teams = await Promise.all(orders.map((order) => assemble(site, order, children)));
    for (const { load } of teams) load.say('mint');
    await Promise.all(teams.map(({ load }) => load.next(isMinted)));
    for (const team of teams) await turn(team, 'warm', warmMs);
    let able = teams;
    for (let round = 0; round < slices; round += 1) {
      const still: Team[] = [];
      for (const team of able) if (await turn(team, 'measure', sliceMs)) still.push(team);
      able = still;
    }
    const results: { measured: Measured; place: string }[] = [];
    for (const team of teams) results.push({ measured: await dismiss(team), place: team.place });
    return results;
  } finally {
    for (const child of children) child.kill();
  }
}

/** Commits the rows of a finished run again, without hub, broker or judgement. */
export async function runRaw(
  site: Site,
  order: Omit<RawOrder, 'directory'>,
  delay: SyncDelay | null,
): Promise<RawReport> {
  const directory = freshPlace(site);
  copyFleet(site.fleet, directory);
  const child = startChild('rawcommit', { ...order, directory }, delay);
  try {
    return await child.next(isRaw);
  } finally {
    child.kill();
    removeRun(directory);
  }
}

export function removeRun(place: string): void {
  rmSync(place, { recursive: true, force: true });
}
