/** What the ledger acknowledged is on the disk, and the checks for it can fail. */
import { tmpdir } from 'node:os';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { assertDurable, assertVersion, openDatabase } from '../../../../hub/store/sqlite/database.ts';
import { openEngine } from '../../../../hub/store/sqlite/engine.ts';
import { ledgerPath, newEngine } from './ledgerfile.ts';
import { member } from './town.ts';
import { opening, post, sale, words } from './works.ts';

test('a ledger file commits to the disk: write-ahead log, synchronous FULL, still so after writes', () => {
  const db = openDatabase(ledgerPath(tmpdir()), 'schema.sql');
  onTestFinished(() => void db.close());
  db.prepare("INSERT INTO alarm (at, kind, kiosk, detail) VALUES (1, 'a', 'b', 'c')").run();
  expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
  expect(db.pragma('synchronous', { simple: true })).toBe(2);
  db.pragma('wal_checkpoint(TRUNCATE)');
  expect(() => assertDurable(db)).not.toThrow();
});

test('a connection that never asked for FULL is caught after its first write', () => {
  const db = new Database(ledgerPath());
  onTestFinished(() => void db.close());
  db.pragma('journal_mode = WAL');
  db.exec('CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL)');
  expect(() => assertDurable(db)).toThrow(/not be durable.*synchronous 1/);
});

test('a database without a write-ahead log is caught', () => {
  const db = new Database(ledgerPath());
  onTestFinished(() => void db.close());
  db.exec('CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL)');
  expect(() => assertDurable(db)).toThrow(/journal_mode delete/);
});

test('a SQLite library that may corrupt a file is refused', () => {
  for (const old of ['3.51.2', '3.9.99', '2.99.99', '3.50.9']) expect(() => assertVersion(old)).toThrow(/3\.51\.3/);
  for (const sound of ['3.51.3', '3.51.10', '3.53.2', '4.0.0']) expect(() => assertVersion(sound)).not.toThrow();
});

test('a file that is no database is refused and not overwritten', () => {
  const path = ledgerPath();
  const db = new Database(path);
  db.exec('CREATE TABLE entry (other TEXT)');
  db.close();
  expect(() => openEngine({ path })).toThrow();
});

test('decisions and legs cannot be changed or deleted, not even by hand', () => {
  const path = ledgerPath();
  const engine = newEngine(path);
  words(engine, opening(90_000n), post(sale({ seq: 1 })), post(sale({ seq: 2 })));
  const db = new Database(path);
  onTestFinished(() => void db.close());
  for (const statement of [
    "UPDATE entry SET outcome = 'declined'",
    "UPDATE entry SET receipt = '{}'",
    "UPDATE entry SET hash = 'b' WHERE hash <> ''",
    'DELETE FROM entry',
    'UPDATE leg SET amount = 1',
    'DELETE FROM leg',
  ]) {
    expect(() => db.exec(statement)).toThrow(/never|once/);
  }
  expect(() => db.exec("UPDATE account SET balance = -1 WHERE bound = 'credit'")).toThrow(/CHECK/);
  expect(() => db.exec("UPDATE account SET balance = 1 WHERE bound = 'debit'")).toThrow(/CHECK/);
});

test('a second writer on the file stops the engine instead of spoiling its books', () => {
  const path = ledgerPath();
  const engine = newEngine(path);
  words(engine, opening(90_000n));
  const other = openEngine({ path });
  onTestFinished(() => other.close());
  words(other, post(sale({ seq: 1 })));
  expect(() => engine.apply([post(sale({ seq: 2 }))])).toThrow(/another process/);
  expect(other.balances([member()])).toEqual([40_000n]);
});

test('moving the log into the file between batches changes no answer', () => {
  const path = ledgerPath();
  const engine = openEngine({ path, walPages: 1 });
  for (let seq = 1; seq <= 20; seq += 1) {
    words(engine, opening(1_000n), post(sale({ seq, amount: 1_000n })));
    engine.tidy();
  }
  const reader = new Database(path, { readonly: true });
  expect(reader.prepare('SELECT count(*) FROM entry').pluck().get()).toBe(40);
  words(engine, opening(5n));
  engine.tidy();
  reader.close();
  expect(engine.balances([member()])).toEqual([5n]);
  engine.close();
  expect(newEngine(path).lines(member(), null, 100)).toHaveLength(41);
});
