/** Opens SQLite files so that what was committed is on the disk, and proves it before anything is written there. */
import { readFileSync } from 'node:fs';
import Database from 'better-sqlite3';

/** SQL is read from its source folder; this file runs from `dist/hub/store/sqlite`. */
const SOURCE = new URL('../../../../hub/store/sqlite/', import.meta.url);

/** Older ones may corrupt a database when a WAL is reset (sqlite.org/wal.html, "the WAL-reset bug"). */
const SQLITE_MIN = [3, 51, 3];

const FULL = 2;

/** @throws Error if the SQLite library is older than the first one without the WAL-reset bug. */
export function assertVersion(version: string): void {
  const parts = version.split('.').map(Number);
  for (const [index, least] of SQLITE_MIN.entries()) {
    const part = parts[index] ?? 0;
    if (part > least) return;
    if (part < least) throw new Error(`SQLite ${version} may lose data; at least ${SQLITE_MIN.join('.')} is needed`);
  }
}

/**
 * Writes once and checks that commits really wait for the disk. better-sqlite3 lowers `synchronous` at the first write
 * in WAL mode while the pragma still reads FULL before it; only a look after a write tells.
 * @throws Error if the connection would acknowledge what a power cut can lose.
 */
export function assertDurable(db: Database.Database): void {
  db.prepare("INSERT INTO meta VALUES ('opened', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1").run();
  const mode = db.pragma('journal_mode', { simple: true });
  const synchronous = db.pragma('synchronous', { simple: true });
  if (mode === 'wal' && synchronous === FULL) return;
  throw new Error(
    `commits would not be durable: journal_mode ${mode}, synchronous ${synchronous}; expected wal and ${FULL}`,
  );
}

/**
 * Opens a database and brings its tables up.
 * @param schema name of the SQL file beside this one.
 * @param patienceMs how long to wait for another's lock. None for the ledger: nobody else may write there, and a
 * reader's lock must not stall its one writer.
 * @throws Error if the file is not a database, is locked, or would not be durable.
 */
export function openDatabase(path: string, schema: 'schema.sql' | 'registry.sql', patienceMs = 0): Database.Database {
  const db = new Database(path, { timeout: patienceMs });
  try {
    assertVersion(db.prepare('SELECT sqlite_version()').pluck().get() as string);
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    // Pages stay at SQLite's 4 KiB: a batch touches scattered rows, and each touched page is written whole.
    db.pragma('cache_size = -65536');
    // Checkpoints run between batches, after the answers have left, not inside a commit.
    db.pragma('wal_autocheckpoint = 0');
    // A log that a long reader made grow is cut back once it starts over.
    db.pragma(`journal_size_limit = ${2 ** 26}`);
    // Accounts and entries are only ever linked by the engine itself, which gives the ids; the audit checks every link.
    db.pragma('foreign_keys = OFF');
    db.exec(readFileSync(new URL(schema, SOURCE), 'utf8'));
    assertDurable(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}
