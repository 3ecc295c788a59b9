/** The kiosk's memory on disk: what was minted, journaled, asked, answered and shown, each before the next step. */
import assert from 'node:assert/strict';
import Database from 'better-sqlite3';
import { type KioskNo, type KioskSeq, NUMBER24_MAX } from '../protocol/ids.ts';
import { rupiah, toWire } from '../protocol/money.ts';
import type { PurchaseRequest } from '../protocol/purchase.ts';
import type { Receipt } from '../protocol/receipt.ts';
import type { ReloadAsked } from '../protocol/relay.ts';
import type { Intent } from './rules/doubt.ts';
import { resultOf } from './rules/moves.ts';
import type { Ask, Mode, Recovered, Sealed, Unshown } from './rules/sale.ts';

/** The disk refused a write or a read; `message` is for the technician. */
export class OutboxFault extends Error {
  override readonly name = 'OutboxFault';
}

export interface OutboxSettings {
  readonly path: string;
  readonly kiosk: KioskNo;
  /** Wall clock, milliseconds since 1970 UTC: only for retention, it decides nothing. */
  readonly now: () => number;
  /** Largest size of the file; beyond it writes fail and the till says so. */
  readonly bytesMax?: number;
  /** How long finished sales stay, so that a restored hub can ask for its receipts (TRUTH section 12). */
  readonly keepDays?: number;
  readonly keepRows?: number;
  /** How long to wait for another program that holds the file, milliseconds. */
  readonly patienceMs?: number;
}

const DAY_MS = 86_400_000;
const BYTES_MAX = 256 * 1024 * 1024;
const PATIENCE_MS = 5_000;
const KEEP_DAYS = 60;
const KEEP_ROWS = 100_000;
/** Finished rows are thinned out once in this many sales. */
const PRUNE_EVERY = 64;
/** `PRAGMA synchronous` reads 2 for FULL. */
const FULL = 2;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS counter (kiosk INTEGER PRIMARY KEY, next INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS sale (
    kiosk INTEGER NOT NULL, seq INTEGER NOT NULL, mode TEXT NOT NULL, amount INTEGER NOT NULL, opened INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'closed', 'dropped', 'finished')),
    ask TEXT CHECK (ask IN ('resolve', 'cancel')),
    PRIMARY KEY (kiosk, seq)) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS unfinished ON sale (kiosk, seq) WHERE state IN ('open', 'closed');
  CREATE TABLE IF NOT EXISTS intent (
    kiosk INTEGER NOT NULL, seq INTEGER NOT NULL, uid TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (kiosk, seq)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS request (
    kiosk INTEGER NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kiosk, seq)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS receipt (
    kiosk INTEGER NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL, mac TEXT NOT NULL, voided INTEGER NOT NULL,
    green INTEGER, PRIMARY KEY (kiosk, seq)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS probe (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;
`;

/**
 * Opens or makes the outbox. @throws OutboxFault when the file cannot be opened, is damaged, or is not written
 * through.
 */
export function openOutbox(settings: OutboxSettings): Outbox {
  return guard(() => new Outbox(settings));
}

/** Opened by `openOutbox`; every method throws OutboxFault when the disk fails. */
export class Outbox {
  readonly #settings: OutboxSettings;
  readonly #db: Database.Database;
  readonly #statements = new Map<string, Database.Statement>();

  constructor(settings: OutboxSettings) {
    this.#settings = settings;
    this.#db = new Database(settings.path, { timeout: settings.patienceMs ?? PATIENCE_MS });
    this.#db.pragma('journal_mode = WAL');
    // WAL silently lowers this to NORMAL, which loses acknowledged commits at a power cut.
    this.#db.pragma('synchronous = FULL');
    const pageBytes = this.#db.pragma('page_size', { simple: true }) as number;
    this.#db.pragma(`max_page_count = ${Math.ceil((settings.bytesMax ?? BYTES_MAX) / pageBytes)}`);
    this.#db.exec(SCHEMA);
    this.probe();
    this.#prune();
  }

  /** Writes and reads back one row. */
  probe(): void {
    guard(() => {
      this.#run('INSERT INTO probe VALUES (1, ?) ON CONFLICT DO UPDATE SET at = excluded.at', this.#settings.now());
      // Only after a write does the pragma tell the truth.
      assert.equal(this.#db.pragma('synchronous', { simple: true }), FULL, 'the outbox is not written through');
    });
  }

  /** Takes the next seq of this kiosk, never used before, and puts the sale on disk (TRUTH section 1). */
  mint(amount: bigint, mode: Mode | 'reload'): KioskSeq {
    return guard(() => {
      const seq = this.#db.transaction(() => {
        const { kiosk, now } = this.#settings;
        const row = this.#get('SELECT next FROM counter WHERE kiosk = ?', kiosk) as { next: number } | undefined;
        const next = row?.next ?? 1;
        if (next > NUMBER24_MAX) throw new OutboxFault('all sale numbers are used up: enrol this kiosk anew');
        this.#run('INSERT INTO counter VALUES (?, ?) ON CONFLICT DO UPDATE SET next = excluded.next', kiosk, next + 1);
        const values = [kiosk, next, mode, toWire(amount), now()];
        this.#run("INSERT INTO sale VALUES (?, ?, ?, ?, ?, 'open', NULL)", ...values);
        return next as KioskSeq;
      })();
      if (seq % PRUNE_EVERY === 0) this.#prune();
      return seq;
    });
  }

  /**
   * Puts the intent on disk; the commit may be sent when this returns (TRUTH section 4). Of a tag only its UID: no more
   * is needed to ask about its sale.
   * @param amount all that leaves this card's member, in rupiah: the hub's answer will be about it
   */
  journal(seq: KioskSeq, intent: Intent | Pick<Intent, 'uid'>, amount: bigint): void {
    const { kiosk } = this.#settings;
    const charged = 'UPDATE sale SET amount = ? WHERE kiosk = ? AND seq = ? AND amount <> ?';
    this.#whole(() => {
      this.#run(charged, toWire(amount), kiosk, seq, toWire(amount));
      const sql = `INSERT INTO intent VALUES (?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET uid = excluded.uid, body = excluded.body`;
      this.#run(sql, kiosk, seq, intent.uid, JSON.stringify(intent));
    });
  }

  /** The seq that the next sale will take. */
  next(): KioskSeq {
    const sql = 'SELECT next FROM counter WHERE kiosk = ?';
    const row = guard(() => this.#get(sql, this.#settings.kiosk)) as { next: number } | undefined;
    return Math.min(row?.next ?? 1, NUMBER24_MAX) as KioskSeq;
  }

  /** Keeps the request as it is sent. */
  save(seq: KioskSeq, body: PurchaseRequest): void {
    guard(() => this.#run('INSERT INTO request VALUES (?, ?, ?)', this.#settings.kiosk, seq, JSON.stringify(body)));
  }

  /** The sale is closed here: its request is never sent again, also not after a restart. */
  close(seq: KioskSeq, ask: Ask): void {
    const sql = "UPDATE sale SET state = 'closed', ask = ? WHERE kiosk = ? AND seq = ? AND state <> 'finished'";
    guard(() => this.#run(sql, ask, this.#settings.kiosk, seq));
  }

  /** Ends a sale that no card can have committed. */
  drop(seq: KioskSeq): void {
    const sql = "UPDATE sale SET state = 'dropped' WHERE kiosk = ? AND seq = ? AND state = 'open'";
    guard(() => this.#run(sql, this.#settings.kiosk, seq));
  }

  /** Keeps the hub's final answer and ends the sale. */
  keep(seq: KioskSeq, { receipt, mac }: Sealed, voided: boolean): void {
    guard(() =>
      this.#db.transaction(() => {
        const { kiosk } = this.#settings;
        const sql = `INSERT INTO receipt VALUES (?, ?, ?, ?, ?, NULL)
          ON CONFLICT DO UPDATE SET body = excluded.body, mac = excluded.mac, voided = excluded.voided`;
        this.#run(sql, kiosk, seq, JSON.stringify(receipt), mac, voided ? 1 : 0);
        this.#run("UPDATE sale SET state = 'finished' WHERE kiosk = ? AND seq = ?", kiosk, seq);
      })(),
    );
  }

  /** Journals that the green light was shown. */
  green(seq: KioskSeq): void {
    const sql = 'UPDATE receipt SET green = ? WHERE kiosk = ? AND seq = ? AND green IS NULL';
    guard(() => this.#run(sql, this.#settings.now(), this.#settings.kiosk, seq));
  }

  /** Puts a reload's start on disk; it may leave for the hub when this returns, and is repeated to the byte. */
  journalReload(start: ReloadAsked): void {
    const sql = 'INSERT INTO intent VALUES (?, ?, ?, ?)';
    guard(() => this.#run(sql, this.#settings.kiosk, start.seq, start.uid, JSON.stringify(start)));
  }

  /** Reloads whose start was journaled and that have no answer, oldest first; the till's questions are not for them. */
  openReloads(): ReloadAsked[] {
    const sql = `SELECT body FROM sale JOIN intent USING (kiosk, seq)
      WHERE kiosk = ? AND state = 'open' AND mode = 'reload' ORDER BY seq`;
    const rows = guard(() => this.#all(sql, this.#settings.kiosk)) as { body: string }[];
    return rows.map(({ body }) => JSON.parse(body) as ReloadAsked);
  }

  /** Sales without an answer, oldest first: after a restart each is asked about, and none is sent again. */
  unfinished(): Recovered[] {
    const sql = `SELECT sale.seq, amount, uid, ask FROM sale LEFT JOIN intent USING (kiosk, seq)
      WHERE kiosk = ? AND state IN ('open', 'closed') AND mode <> 'reload' ORDER BY seq`;
    return guard(() => this.#all(sql, this.#settings.kiosk)).map((row) => {
      const { seq, amount, uid, ask } = row as { seq: KioskSeq; amount: number; uid: string | null; ask: Ask | null };
      return { seq, amount: rupiah(amount), uid, ask: ask ?? 'resolve' };
    });
  }

  /** Approved sales whose green light was not journaled, newest last, at most `limit`. */
  unshown(limit: number): Unshown[] {
    const sql = `SELECT seq, amount, body, mac FROM receipt JOIN sale USING (kiosk, seq)
      WHERE kiosk = ? AND green IS NULL AND voided = 0 AND body ->> 'outcome' = 'approved' AND mode <> 'reload'
      ORDER BY seq DESC LIMIT ?`;
    const rows = guard(() => this.#all(sql, this.#settings.kiosk, limit)).reverse();
    return rows.flatMap((row) => {
      const { amount, body, mac } = row as { amount: number; body: string; mac: string };
      const receipt = JSON.parse(body) as Receipt;
      const result = resultOf({ receipt, mac }, false, rupiah(amount));
      if (result.kind !== 'approved' || receipt.card === null) return [];
      const { seq, fee, balance } = result;
      return [{ seq, amount: result.amount, fee, balance, uid: receipt.card }];
    });
  }

  /** How many sales and loads wait for an answer; a load whose start is not on the disk was never asked for. */
  waiting(): number {
    const sql = `SELECT count(*) AS n FROM sale LEFT JOIN intent USING (kiosk, seq)
      WHERE kiosk = ? AND state IN ('open', 'closed') AND (mode <> 'reload' OR uid IS NOT NULL)`;
    return guard(() => (this.#get(sql, this.#settings.kiosk) as { n: number }).n);
  }

  end(): void {
    this.#db.close();
  }

  /** Finished rows leave after `keepDays`, or earlier when there are more than `keepRows`; unanswered ones never do. */
  #prune(): void {
    const { kiosk, now, keepDays = KEEP_DAYS, keepRows = KEEP_ROWS } = this.#settings;
    this.#db.transaction(() => {
      const old = `kiosk = ? AND state IN ('dropped', 'finished') AND (opened < ? OR seq <
        (SELECT max(seq) FROM sale WHERE kiosk = ?) - ?)`;
      const values = [kiosk, now() - keepDays * DAY_MS, kiosk, keepRows];
      for (const table of ['intent', 'request', 'receipt']) {
        this.#run(`DELETE FROM ${table} WHERE (kiosk, seq) IN (SELECT kiosk, seq FROM sale WHERE ${old})`, ...values);
      }
      this.#run(`DELETE FROM sale WHERE ${old}`, ...values);
    })();
  }

  #whole(work: () => void): void {
    guard(() => this.#db.transaction(work)());
  }

  #prepared(sql: string): Database.Statement {
    const known = this.#statements.get(sql) ?? this.#db.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }

  #run(sql: string, ...values: unknown[]): void {
    this.#prepared(sql).run(...values);
  }

  #get(sql: string, ...values: unknown[]): unknown {
    return this.#prepared(sql).get(...values);
  }

  #all(sql: string, ...values: unknown[]): unknown[] {
    return this.#prepared(sql).all(...values);
  }
}

/** Disk trouble becomes an OutboxFault with the system's words; bugs stay what they are. */
function guard<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Database.SqliteError && !error.code.startsWith('SQLITE_CONSTRAINT')) {
      throw new OutboxFault(`outbox: ${error.message} (${error.code})`);
    }
    if (error instanceof TypeError && /directory does not exist/.test(error.message)) {
      throw new OutboxFault(`outbox: ${error.message}`);
    }
    throw error;
  }
}
