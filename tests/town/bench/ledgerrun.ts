/** The measured side of the ledger bench, a process of its own: engine and raw commits in turns, at every size. */
import { execFileSync } from 'node:child_process';
import Database from 'better-sqlite3';
import { collectAlone } from '../../../hub/collector.ts';
import { auditFile } from '../../../hub/store/sqlite/audit.ts';
import { openDatabase } from '../../../hub/store/sqlite/database.ts';
import { type Answer, type Engine, openEngine, WAL_PAGES, type Work } from '../../../hub/store/sqlite/engine.ts';
import { count, type Grown, grow, noTally, type Tally } from './ledgergrow.ts';
import { type EntryRow, openGather, openRawCommit, type RawBatch } from './rawbatch.ts';
import { type Crowd, firmOf, openStream, type SalesTown, type Stream, salesTown } from './sales.ts';

/** What is posted in one turn. */
export interface Cell {
  readonly name: string;
  readonly crowd: Crowd;
  /** Whether each fsync takes longer, as the library that is loaded makes it. */
  readonly delayed: boolean;
  /** Commits in a turn. */
  readonly commits: number;
}

export interface LedgerOrder {
  readonly directory: string;
  readonly cards: number;
  readonly sizes: readonly number[];
  /** Entries posted to each file last, before anything is measured: caches are then as after a morning. */
  readonly warm: number;
  readonly cells: readonly Cell[];
  readonly turns: number;
  /** Requests in one commit, one size after another. */
  readonly batches: readonly number[];
  readonly delayUs: number;
  readonly statements: { readonly warm: number; readonly cold: number };
  /** The largest ledger that is audited in full: beyond it that would take longer than the bench. */
  readonly auditMax: number;
}

/** One turn of one side. */
export interface Turn {
  readonly entries: number;
  readonly seconds: number;
  readonly cpuUs: number;
  /** Of each commit, in milliseconds. */
  readonly commitMs: readonly number[];
  /** Of each commit, in milliseconds of CPU: what else the machine does disturbs it less. */
  readonly commitCpuMs: readonly number[];
  /** Of each commit with what had to be done before the next could begin: moving the log into the file. */
  readonly wholeMs: readonly number[];
}

export interface CellReport {
  readonly name: string;
  readonly engine: readonly Turn[];
  readonly raw: readonly Turn[];
  readonly tally: Tally;
}

export interface SizeReport extends Pick<Grown, 'size' | 'seconds' | 'cpuUs' | 'grownBy' | 'bytesPerEntry' | 'lines'> {
  readonly grown: Tally;
  readonly cells: readonly CellReport[];
  /** Milliseconds that a firm's last lines took, each time. */
  readonly warmMs: readonly number[];
  readonly coldMs: readonly number[];
  /** Whether every leg was read for the trial balance; else only the sums. */
  readonly audited: boolean;
  /** What is broken in the books: nothing. */
  readonly faults: readonly string[];
}

export interface LedgerReport {
  readonly sizes: readonly SizeReport[];
}

const LAST_LINES = 20;

/** A raw file and what has to be known to go on in it. */
interface Raw {
  readonly commit: (batch: RawBatch) => void;
  readonly tidy: () => void;
  readonly close: () => void;
  readonly gather: (from: number, to: number) => RawBatch;
}

/** Opens a raw file beside the ledger whose rows it is given. */
function openRaw({ rawPath, enginePath }: Grown): Raw {
  const db = openDatabase(rawPath, 'schema.sql');
  const source = new Database(enginePath, { readonly: true });
  const known = new Set(db.prepare('SELECT id FROM account').pluck().all() as number[]);
  const batchOf = openGather(source, known);
  const rows = source.prepare('SELECT * FROM entry WHERE id > ? AND id <= ? ORDER BY id');
  const logged = db.prepare('PRAGMA wal_checkpoint(NOOP)');
  const checkpoint = db.prepare('PRAGMA wal_checkpoint(PASSIVE)');
  return {
    commit: openRawCommit(db),
    gather: (from, to) => batchOf(rows.all(from, to) as EntryRow[]),
    tidy: () => {
      if ((logged.get() as { log: number }).log >= WAL_PAGES) checkpoint.get();
    },
    close: () => {
      source.close();
      db.close();
    },
  };
}

/** A size while it is measured. */
interface Site {
  readonly grown: Grown;
  readonly engine: Engine;
  readonly raw: Raw;
  readonly stream: Stream;
  /** Id of the last entry. */
  last: number;
  /** Entries that measuring has added. */
  added: number;
  readonly cells: readonly { readonly cell: Cell; readonly engine: Turn[]; readonly raw: Turn[]; tally: Tally }[];
}

function setDelay(us: number | null): void {
  if (us === null) delete process.env.SYNC_DELAY_US;
  else process.env.SYNC_DELAY_US = String(us);
}

/** Times commits one after another. */
function time<Batch>(batches: readonly Batch[], entries: number, one: (batch: Batch) => void, tidy: () => void): Turn {
  const commitMs: number[] = [];
  const commitCpuMs: number[] = [];
  const wholeMs: number[] = [];
  const cpu = process.cpuUsage();
  const start = performance.now();
  for (const batch of batches) {
    const before = process.cpuUsage();
    const from = performance.now();
    one(batch);
    const committed = performance.now();
    const used = process.cpuUsage(before);
    tidy();
    commitMs.push(committed - from);
    commitCpuMs.push((used.user + used.system) / 1000);
    wholeMs.push(performance.now() - from);
  }
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { entries, seconds, cpuUs: user + system, commitMs, commitCpuMs, wholeMs };
}

const isNew = (answer: Answer) => answer.kind === 'decided' && !answer.duplicate;

/** One turn: the engine, then the same rows by raw commits. What is bound is made before the clock runs. */
function turn(site: Site, sizes: readonly number[], crowd: Crowd, delayUs: number | null): Omit<CellReport, 'name'> {
  const { engine, raw, stream } = site;
  const { sold } = stream.state;
  const batches = sizes.map((size) => Array.from({ length: size }, (): Work => stream.next(crowd)));
  const answers: (readonly Answer[])[] = [];
  setDelay(delayUs);
  const measured = time(batches, 0, (batch) => void answers.push(engine.apply(batch)), engine.tidy);
  setDelay(null);
  const tally = noTally();
  for (const some of answers) count(tally, some);
  const made = answers.map((some) => some.filter(isNew).length);
  const entries = made.reduce((sum, one) => sum + one, 0);
  if (entries !== stream.state.sold - sold)
    throw new Error(`${entries} decisions of ${stream.state.sold - sold} sales`);
  const rows = made.map((one) => {
    const from = site.last;
    site.last += one;
    return raw.gather(from, site.last);
  });
  site.added += entries;
  setDelay(delayUs);
  const bare = time(rows, entries, raw.commit, raw.tidy);
  setDelay(null);
  return { engine: [{ ...measured, entries }], raw: [bare], tally };
}

function cycle(batches: readonly number[], commits: number): number[] {
  return Array.from({ length: commits }, (_, at) => batches[at % batches.length] ?? 1);
}

/** Opens engine and raw file of a size and posts what it is still short of. */
function openSite(town: SalesTown, order: LedgerOrder, grown: Grown): Site {
  const stream = openStream(town, grown.state);
  stream.state.firm = null;
  const cells = order.cells.map((cell) => ({
    cell,
    engine: [],
    raw: [],
    tally: noTally(),
  }));
  const engine = openEngine({ path: grown.enginePath });
  const last = grown.size - order.warm;
  const site: Site = { grown, engine, raw: openRaw(grown), stream, last, added: 0, cells };
  while (site.last < grown.size) turn(site, [Math.min(64, grown.size - site.last)], 'town', null);
  site.added = 0;
  return site;
}

/** All sizes take a cell's turn before the next cell, so that what disturbs the machine disturbs them alike. */
function takeTurns(sites: readonly Site[], { turns, batches, delayUs }: LedgerOrder): void {
  for (let round = 0; round < turns; round += 1) {
    // A ledger at most doubles while it is measured: a small one takes fewer turns.
    const able = sites.filter(({ added, grown }) => round === 0 || added * (1 + 1 / round) <= grown.size);
    for (const at of sites[0]?.cells.keys() ?? []) {
      for (const site of able) {
        const one = site.cells[at];
        if (one === undefined) throw new Error('a size without its cell');
        const { crowd, delayed, commits } = one.cell;
        const { engine, raw, tally } = turn(site, cycle(batches, commits), crowd, delayed ? delayUs : null);
        one.engine.push(...engine);
        one.raw.push(...raw);
        one.tally.approved += tally.approved;
        one.tally.declined += tally.declined;
        one.tally.duplicates += tally.duplicates;
      }
    }
  }
}

/** Times the last lines of the size's firm: from an engine that has just given them, and from one just opened. */
function timeLines({ enginePath: path, size }: Grown, town: SalesTown, times: LedgerOrder['statements']) {
  const cooperative = town.cooperatives[1];
  if (cooperative === undefined) throw new Error('the town has one cooperative');
  const account = { cooperative, kind: 'member', owner: firmOf(size) } as const;
  const once = (engine: Engine) => {
    const from = performance.now();
    const { length } = engine.lines(account, null, LAST_LINES);
    const ms = performance.now() - from;
    if (length !== LAST_LINES) throw new Error(`${account.owner} has ${length} lines`);
    return ms;
  };
  const coldMs = Array.from({ length: times.cold }, () => {
    // Has the system forget the file's pages; what the opening reads again is not of the account.
    execFileSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
    const engine = openEngine({ path });
    const ms = once(engine);
    engine.close();
    return ms;
  });
  const engine = openEngine({ path });
  once(engine);
  const warmMs = Array.from({ length: times.warm }, () => once(engine));
  engine.close();
  return { coldMs, warmMs };
}

/** What is broken in a closed ledger; the raw file must have come to the same accounts. */
function faultsOf({ enginePath, rawPath }: Grown, whole: boolean): string[] {
  const accounts = (path: string) => {
    const db = new Database(path, { readonly: true });
    const rows = JSON.stringify(db.prepare('SELECT * FROM account ORDER BY id').raw().all());
    const legs = whole ? 0 : db.prepare('SELECT sum(amount) FROM leg').pluck().get();
    const uneven = db
      .prepare('SELECT cooperative FROM account GROUP BY cooperative HAVING sum(balance) <> 0')
      .pluck()
      .all() as string[];
    db.close();
    return { rows, faults: [...(legs === 0 ? [] : [`all legs sum to ${legs}`]), ...uneven] };
  };
  const own = accounts(enginePath);
  const found = own.rows === accounts(rawPath).rows ? [] : ['the raw file came to other accounts'];
  if (!whole) return [...found, ...own.faults];
  const { total, brokenPairs, brokenAccounts, brokenEntries } = auditFile(enginePath);
  if (total !== 0n) found.push(`all legs sum to ${total}`);
  return [...found, ...own.faults, ...brokenPairs, ...brokenAccounts, ...brokenEntries];
}

function run(order: LedgerOrder): LedgerReport {
  const started = performance.now();
  const note = (line: string) => {
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stderr.write(`${seconds} s: ${line}\n`);
  };
  // The library that is loaded delays until it is told otherwise.
  setDelay(null);
  const town = salesTown(order.cards);
  const { directory, sizes, warm } = order;
  const grown = grow({ directory, town, sizes, warm }, note);
  note(`turns of ${order.cells.map(({ name }) => name).join(', ')} at each size`);
  const sites = grown.map((one) => openSite(town, order, one));
  takeTurns(sites, order);
  for (const { engine, raw } of sites) {
    engine.close();
    raw.close();
  }
  return {
    sizes: sites.map(({ grown: one, cells }) => {
      const { size, seconds, cpuUs, grownBy, bytesPerEntry, lines } = one;
      const audited = size <= order.auditMax;
      note(`statements at ${size}`);
      const times = timeLines(one, town, order.statements);
      note(`trial balance at ${size}`);
      return {
        ...{ size, seconds, cpuUs, grownBy, bytesPerEntry, lines, audited },
        grown: one.tally,
        cells: cells.map(({ cell, ...measured }) => ({ name: cell.name, ...measured })),
        ...times,
        faults: faultsOf(one, audited),
      };
    }),
  };
}

collectAlone();
process.send?.(run(JSON.parse(process.argv[2] ?? '') as LedgerOrder), () => process.disconnect());
