/** Engine: makes each batch of requests one durable commit. Synchronous; it must be the file's only writer. */
import Database from 'better-sqlite3';
import type { OutletId } from '../../../protocol/ids.ts';
import { makeAllowance } from '../../allowance.ts';
import type { Account } from '../../rules/accounts.ts';
import type { EntryKind, Leg } from '../../rules/entries.ts';
import type {
  Alarm,
  DecisionKey,
  HoldAnswer,
  LedgerCard,
  Line,
  OpenDispute,
  OpenHold,
  OpenReload,
  PostRequest,
  Settlement,
  Standing,
} from '../ledger.ts';
import { type Books, openBooks } from './books.ts';
import { openCards } from './cards.ts';
import { openDatabase } from './database.ts';
import { type Decision, keyNumber, keyOf, openDecisions } from './decisions.ts';
import { type Floats, type Holds, openFloats, openHolds, slipOf } from './holds.ts';
import { type Desk, judgeCancel, judgePost } from './judge.ts';
import { expireHolds, judgeHold, judgeRelease, judgeSettle } from './judgehold.ts';
import { openReturned, readDisputes } from './returned.ts';

/** One thing to write. */
export type Work =
  | { readonly do: 'post'; readonly request: PostRequest }
  | { readonly do: 'cancel'; readonly key: DecisionKey; readonly at: number }
  | { readonly do: 'hold'; readonly request: PostRequest; readonly until: number }
  | { readonly do: 'release'; readonly key: DecisionKey; readonly at: number; readonly claim: string }
  | { readonly do: 'settle'; readonly settlement: Settlement }
  | { readonly do: 'expire'; readonly at: number }
  | { readonly do: 'card'; readonly card: LedgerCard }
  | { readonly do: 'alarm'; readonly alarm: Alarm };

export type Answer =
  | HoldAnswer
  | { readonly kind: 'done' }
  /** This one was not written, through a fault of the hub; nothing is known about the request from it. */
  | { readonly kind: 'fault'; readonly message: string };

export interface Engine {
  /**
   * One transaction, one fsync: judges in array order, answers in the same order, after the commit.
   * @throws if the disk or the file failed; the engine must then be closed and opened again.
   */
  readonly apply: (batch: readonly Work[]) => readonly Answer[];
  readonly balances: (accounts: readonly Account[]) => readonly bigint[];
  readonly lines: (account: Account, after: number | null, limit: number) => readonly Line[];
  readonly alarms: (limit: number) => readonly Alarm[];
  readonly standing: (key: DecisionKey) => Standing | null;
  readonly openReloads: () => readonly OpenReload[];
  readonly openHold: (key: DecisionKey) => string | null;
  readonly ending: (key: DecisionKey) => string | null;
  readonly holds: () => readonly OpenHold[];
  readonly disputes: () => readonly OpenDispute[];
  readonly float: (outlet: OutletId) => bigint;
  /**
   * Moves the write-ahead log into the file once it has grown; to be called between batches, after the answers
   * left.
   */
  readonly tidy: () => void;
  readonly close: () => void;
}

/**
 * Pages in the write-ahead log (16 MiB) at which they are moved into the file: fewer would be copied more often, more
 * would hold up the next batch for longer.
 */
export const WAL_PAGES = 4096;
/** Longest list a question is answered with. */
const LIST_MAX = 1000;

interface LegRow {
  readonly id: bigint;
  readonly account: bigint;
  readonly amount: bigint;
  readonly previous: bigint;
  readonly balance: bigint;
  readonly key: bigint;
  readonly kind: EntryKind;
  readonly at: bigint;
}

/** Pages in the write-ahead log, and how many of them are in the file. */
interface LogState {
  readonly log: number;
  readonly checkpointed: number;
}

const LINE = `SELECT leg.*, entry.key, entry.kind, entry.at FROM leg JOIN entry ON entry.id = leg.entry
  WHERE leg.id = ?`;
const LEGS = `SELECT cooperative, kind, owner, amount FROM leg JOIN account ON account.id = leg.account
  WHERE leg.id >= ? AND leg.id < ? ORDER BY leg.id`;

// At most one reload of a card is on its way (guard `idle`): what waits came with the newest leg of its account.
const OPEN_RELOADS = `SELECT entry.id, entry.key, entry.amount, entry.at, entry.evidence, cooperative, owner
  FROM account JOIN leg ON leg.id = account.head JOIN entry ON entry.id = leg.entry
  WHERE account.kind = 'in-transit' AND account.balance > 0`;
const FILLED = `SELECT DISTINCT key_version AS keyVersion, tmc FROM entry
  WHERE id > ? AND card = ? AND key_version IS NOT NULL`;

interface OpenRow extends Pick<OpenReload, 'evidence'> {
  readonly id: number;
  readonly key: number;
  readonly amount: number;
  readonly at: number;
  readonly cooperative: OpenReload['issuer'];
  readonly owner: OpenReload['card'];
}

const openReload = (
  { key, amount, at, evidence, cooperative, owner }: OpenRow,
  filled: OpenReload['filled'],
): OpenReload => ({
  key: keyOf(key),
  card: owner,
  issuer: cooperative,
  amount: BigInt(amount),
  at,
  evidence,
  filled,
});

const clamp = (limit: number) => Math.max(0, Math.min(Math.floor(limit), LIST_MAX));

/** Somebody else wrote to the file: what the engine holds in memory may be wrong, and it must stop. */
class ForeignWriter extends Error {
  constructor() {
    super('another process wrote to the ledger; stop it and start the hub again');
  }
}

/** A fault of one request, not of the file or disk: the others of its batch can still be decided. */
const isolated = (error: unknown) =>
  !(error instanceof ForeignWriter) &&
  !(error instanceof Database.SqliteError && !error.code.startsWith('SQLITE_CONSTRAINT'));

/** The statements around a batch. */
function frame(db: Database.Database) {
  return {
    begin: db.prepare('BEGIN IMMEDIATE'),
    commit: db.prepare('COMMIT'),
    version: db.prepare('PRAGMA data_version').pluck(),
    logged: db.prepare('PRAGMA wal_checkpoint(NOOP)'),
    checkpoint: db.prepare('PRAGMA wal_checkpoint(PASSIVE)'),
    window: db.prepare('SELECT no FROM settlement_window WHERE closed IS NULL').pluck(),
    firstWindow: db.prepare('INSERT INTO settlement_window (no, opened) VALUES (1, ?)'),
    alarm: db.prepare('INSERT INTO alarm (at, kind, kiosk, detail) VALUES (?, ?, ?, ?)'),
    alarms: db.prepare('SELECT at, kind, kiosk, detail FROM alarm ORDER BY id DESC LIMIT ?'),
    openReloads: db.prepare(OPEN_RELOADS),
    filled: db.prepare(FILLED),
    line: db.prepare(LINE).safeIntegers(),
    legs: db.prepare(LEGS).safeIntegers(),
  };
}

type Frame = ReturnType<typeof frame>;

const timeOf = (work: Work | undefined): number => {
  if (work === undefined || work.do === 'card') return 0;
  if (work.do === 'post' || work.do === 'hold') return work.request.at;
  if (work.do === 'alarm') return work.alarm.at;
  return work.do === 'settle' ? work.settlement.at : work.at;
};

/** Legs of a decision, of this batch too once that is flushed. */
function legsOf(sql: Frame, flush: () => void, { leg, legs }: Pick<Decision, 'leg' | 'legs'>): readonly Leg[] {
  flush();
  const rows = sql.legs.all(leg, leg + legs) as (Account & { amount: bigint })[];
  return rows.map(({ amount, ...account }): Leg => ({ account, amount }));
}

/** Walks an account's chain from `after`, or from its head; the newest line first. */
function chainOf(books: Books, line: Frame['line'], account: Account, after: number | null, limit: number): Line[] {
  const { id, head } = books.peek(account);
  const read = (leg: number) => line.get(leg) as LegRow | undefined;
  let next = head;
  if (after !== null) {
    const row = read(after);
    if (row === undefined || Number(row.account) !== id) throw new RangeError(`line ${after} is not of this account`);
    next = Number(row.previous);
  }
  const found: Line[] = [];
  while (next !== 0 && found.length < clamp(limit)) {
    const row = read(next);
    if (row === undefined) throw new Error(`the chain of an account is broken at leg ${next}`);
    const { amount, balance, kind } = row;
    found.push({ id: next, key: keyOf(Number(row.key)), kind, at: Number(row.at), amount, balance });
    next = Number(row.previous);
  }
  return found;
}

/** Does one thing of a batch. */
function perform(desk: Desk, work: Work, writeAlarm: (alarm: Alarm) => void): Answer {
  if (work.do === 'post') return judgePost(desk, work.request);
  if (work.do === 'cancel') return judgeCancel(desk, work.key, work.at);
  if (work.do === 'hold') return judgeHold(desk, work.request, work.until);
  if (work.do === 'release') return judgeRelease(desk, work.key, work.at, work.claim);
  if (work.do === 'settle') return judgeSettle(desk, work.settlement);
  if (work.do === 'expire') expireHolds(desk, work.at);
  else if (work.do === 'card') desk.cards.put(work.card);
  else writeAlarm(work.alarm);
  return { kind: 'done' };
}

/** What may be asked of holds and floats. */
function questions(holds: Holds, floats: Floats): Pick<Engine, 'openHold' | 'ending' | 'holds' | 'float'> {
  return {
    openHold: (key) => {
      const hold = holds.find(keyNumber(key));
      return hold && JSON.stringify(slipOf(hold));
    },
    holds: () => holds.open().map((hold) => ({ ...slipOf(hold), key: keyOf(hold.key), claim: hold.claim })),
    ending: (key) => holds.answerOf(keyNumber(key)),
    float: floats.of,
  };
}

export interface EngineOptions {
  readonly path: string;
  /** Pages in the write-ahead log from which `tidy` moves them into the file. */
  readonly walPages?: number;
}

/**
 * Opens a ledger file, or starts one.
 * @throws Error if the file is no ledger, cannot be written, or would not be durable.
 */
export function openEngine({ path, walPages = WAL_PAGES }: EngineOptions): Engine {
  const db = openDatabase(path, 'schema.sql');
  const sql = frame(db);
  const books = openBooks(db);
  const cards = openCards(db);
  const decisions = openDecisions(db);
  const holds = openHolds(db, books);
  const floats = openFloats(db);
  const returned = openReturned(db);
  const version = sql.version.get();
  let tidyAt = walPages;
  let mayWrite = makeAllowance();
  const spent = new Map<string, string>();

  const writeAlarm = ({ at, kind, kiosk, detail }: Alarm) => void sql.alarm.run(at, kind, kiosk, detail);

  function flush(): void {
    decisions.flush();
    books.flush();
    cards.flush();
  }

  /** The window is read inside the transaction: each entry belongs to the one open at its commit (TRUTH section 10). */
  function openWindow(at: number): number {
    const open = sql.window.get() as number | undefined;
    if (open !== undefined) return open;
    sql.firstWindow.run(at);
    return 1;
  }

  function transact(batch: readonly Work[]): readonly Answer[] {
    sql.begin.run();
    // What is judged in memory holds only while nobody else writes.
    if (sql.version.get() !== version) throw new ForeignWriter();
    const desk: Desk = {
      books,
      cards,
      decisions,
      holds,
      floats,
      returned,
      window: openWindow(timeOf(batch.find((work) => timeOf(work) > 0))),
      // A kiosk can repeat what raises one without end and without using up its sequence numbers.
      spent,
      alarm: (alarm) => void (mayWrite(alarm) && writeAlarm(alarm)),
      legsOf: (decision) => legsOf(sql, flush, decision),
    };
    const answers = batch.map((work) => perform(desk, work, writeAlarm));
    flush();
    sql.commit.run();
    return answers;
  }

  function apply(batch: readonly Work[]): readonly Answer[] {
    try {
      return transact(batch);
    } catch (error) {
      if (db.inTransaction) db.exec('ROLLBACK');
      for (const part of [books, cards, decisions, holds, floats]) part.reload();
      mayWrite = makeAllowance();
      spent.clear();
      if (!isolated(error)) throw error;
      if (batch.length > 1) return batch.flatMap((work) => apply([work]));
      return [{ kind: 'fault', message: error instanceof Error ? error.message : String(error) }];
    }
  }

  function tidy(): void {
    if ((sql.logged.get() as LogState).log < tidyAt) return;
    // The log keeps its length and is written over from its start: growing it anew would cost each commit more.
    const { log, checkpointed } = sql.checkpoint.get() as LogState;
    // A reader may hold part of it back; what is left is tried again only after further growth.
    tidyAt = checkpointed < log ? log + walPages : walPages;
  }

  return {
    apply,
    balances: (accounts) => accounts.map((account) => books.peek(account).balance),
    lines: (account, after, limit) => chainOf(books, sql.line, account, after, limit),
    alarms: (limit) => sql.alarms.all(clamp(limit)) as Alarm[],
    standing: (key) => {
      const known = decisions.find(keyNumber(key));
      return known && { receipt: known.receipt, kind: known.kind };
    },
    openReloads: () =>
      (sql.openReloads.all() as OpenRow[]).map((row) =>
        openReload(row, sql.filled.all(row.id, row.owner) as OpenReload['filled']),
      ),
    ...questions(holds, floats),
    disputes: () => readDisputes(db),
    tidy,
    close: () => db.close(),
  };
}
