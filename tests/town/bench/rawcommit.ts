/** Raw group commit, a process of its own: the rows of a finished run again, by prepared statements alone. */
import { statSync } from 'node:fs';
import { hubPaths } from '../../../hub/config.ts';
import { HUB_ORIGIN } from '../../../hub/store/ledger.ts';
import { openDatabase } from '../../../hub/store/sqlite/database.ts';
import { keyNumber } from '../../../hub/store/sqlite/decisions.ts';
import { type EntryRow, openGather, openRawCommit, type RawBatch } from './rawbatch.ts';

export interface RawOrder {
  /** Data directory of a hub that was closed after a run: its rows are taken. */
  readonly finished: string;
  /** A copy of the same fleet as it was before any run: the rows go there. */
  readonly directory: string;
  /** Entries in one commit. */
  readonly batch: number;
  /** Entries in all, at most. */
  readonly entries: number;
}

export interface RawReport {
  readonly perSecond: number;
  readonly entries: number;
  readonly cpuUs: number;
  /** Slowest but one in a hundred commits, in milliseconds. */
  readonly p99Ms: number;
}

/** The log is moved into the file as the engine does it. */
const WAL_BYTES = 32 * 2 ** 20;

/** Reads a finished run's decisions in their order and gathers them into commits. */
function gather(path: string, size: number, most: number): RawBatch[] {
  const db = openDatabase(path, 'schema.sql');
  const first = keyNumber({ origin: HUB_ORIGIN, seq: 0 });
  const entries = db.prepare('SELECT * FROM entry WHERE key < ? ORDER BY id LIMIT ?').all(first, most) as EntryRow[];
  const known = new Set<number>(
    db.prepare("SELECT id FROM account WHERE kind IN ('member', 'bank')").pluck().all() as number[],
  );
  const batchOf = openGather(db, known);
  const batches: RawBatch[] = [];
  for (let at = 0; at < entries.length; at += size) batches.push(batchOf(entries.slice(at, at + size)));
  db.close();
  return batches;
}

function commitAll(path: string, batches: readonly RawBatch[]): number[] {
  const db = openDatabase(path, 'schema.sql');
  const commit = openRawCommit(db);
  const times: number[] = [];
  let walMax = WAL_BYTES;
  for (const batch of batches) {
    const from = performance.now();
    commit(batch);
    times.push(performance.now() - from);
    if (statSync(`${path}-wal`).size < walMax) continue;
    db.pragma('wal_checkpoint(TRUNCATE)');
    walMax = statSync(`${path}-wal`).size + WAL_BYTES;
  }
  db.close();
  return times;
}

function run({ finished, directory, batch, entries }: RawOrder): RawReport {
  const batches = gather(hubPaths(finished).ledger, batch, entries);
  const count = batches.reduce((sum, one) => sum + one.entries.length, 0);
  const from = performance.now();
  const cpu = process.cpuUsage();
  const times = commitAll(hubPaths(directory).ledger, batches).sort((a, b) => a - b);
  const seconds = (performance.now() - from) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return {
    perSecond: count / seconds,
    entries: count,
    cpuUs: (user + system) / Math.max(1, count),
    p99Ms: times[Math.floor(times.length * 0.99)] ?? Number.NaN,
  };
}

process.send?.(run(JSON.parse(process.argv[2] ?? '') as RawOrder), () => process.disconnect());
