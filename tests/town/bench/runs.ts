/** One run of a case: a fresh copy of the fleet, a server, a load, and a check that the books agree with the receipts. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { hubPaths } from '../../../hub/config.ts';
import { VOID_ORIGIN } from '../../../hub/store/ledger.ts';
import { auditFile } from '../../../hub/store/sqlite/audit.ts';
import { openDatabase } from '../../../hub/store/sqlite/database.ts';
import { keyNumber } from '../../../hub/store/sqlite/decisions.ts';
import { type Child, type SyncDelay, startChild } from './children.ts';
import { copyFleet } from './fleet.ts';
import type { LoadOrder, LoadReport, Phase } from './generator.ts';
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
  readonly warmSeconds: number;
  readonly seconds: number;
  /** Requests to mint at most. */
  readonly requests: number;
  /** A kiosk that misbehaves all the while. */
  readonly disturbed?: boolean;
}

export interface Measured extends LoadReport {
  /** CPU of the server per answer, in microseconds. */
  readonly cpuUs: number;
}

const isReady = (m: unknown): m is ServerReady => typeof m === 'object' && m !== null && 'tls' in m;
const isCpu = (m: unknown): m is ServerCpu => typeof m === 'object' && m !== null && 'cpu' in m;
const isReport = <Report>(m: unknown): m is Report => typeof m === 'object' && m !== null && 'perSecond' in m;
const isPhase =
  (phase: Phase) =>
  (m: unknown): m is Phase =>
    m === phase;

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

/** Runs one case once. @returns the measurement and where the books lie, which the caller removes. */
export async function runCase(site: Site, order: RunOrder): Promise<{ measured: Measured; place: string }> {
  const { kind, secure, kiosks, delay, seconds, warmSeconds, requests } = order;
  const place = freshPlace(site);
  copyFleet(site.fleet, place);
  const server = startChild('server', { kind, directory: place }, delay);
  const children = [server];
  try {
    const ready = await server.next(isReady);
    const port = secure ? ready.tls : ready.tcp;
    const echo = kind === 'echo';
    if (order.disturbed) {
      children.push(startChild('nuisance', { directory: site.fleet, port, secure }, null));
    }
    const plan: LoadOrder = { directory: site.fleet, port, secure, kiosks, echo, requests, warmSeconds, seconds };
    const load = startChild('generator', plan, null);
    children.push(load);
    await load.next(isPhase('measuring'));
    const before = await cpuOf(server);
    await load.next(isPhase('measured'));
    const cpu = (await cpuOf(server)) - before;
    const report = await load.next(isReport<LoadReport>);
    for (const nuisance of children.slice(1)) nuisance.kill();
    server.say('close');
    await server.ended;
    if (!echo) verify(place, report);
    return { measured: { ...report, cpuUs: cpu / Math.max(1, report.answered) }, place };
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
    return await child.next(isReport<RawReport>);
  } finally {
    child.kill();
    removeRun(directory);
  }
}

export function removeRun(place: string): void {
  rmSync(place, { recursive: true, force: true });
}
