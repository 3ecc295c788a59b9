/** Raw group commit, a process of its own: the rows of a finished run again, by prepared statements alone. */
import { statSync } from 'node:fs';
import { hubPaths } from '../../../hub/config.ts';
import { type AccountKind, accountKinds } from '../../../hub/rules/accounts.ts';
import { HUB_ORIGIN } from '../../../hub/store/ledger.ts';
import { accountSql } from '../../../hub/store/sqlite/books.ts';
import { cardSql } from '../../../hub/store/sqlite/cards.ts';
import { openDatabase } from '../../../hub/store/sqlite/database.ts';
import { type Decision, decisionSql, entryValues, keyNumber, legWriter } from '../../../hub/store/sqlite/decisions.ts';

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

type Values = readonly unknown[];

/** Everything one commit binds, made before the clock runs. */
interface Batch {
  readonly entries: readonly Values[];
  readonly legs: readonly (number | bigint)[];
  readonly cards: readonly Values[];
  readonly newAccounts: readonly Values[];
  readonly accounts: readonly Values[];
  /** Accounts of members, with what they used. */
  readonly members: readonly Values[];
}

interface LegRow {
  readonly id: number;
  readonly entry: number;
  readonly account: number;
  readonly amount: number;
  readonly previous: number;
  readonly balance: number;
}

interface AccountRow {
  readonly id: number;
  readonly cooperative: string;
  readonly kind: AccountKind;
  readonly owner: string;
  readonly day: string;
  readonly day_out: number;
  readonly month_out: number;
  readonly month_in: number;
}

type EntryRow = Omit<Decision, 'keyVersion'> & { readonly key_version: number | null };

interface CardRow {
  readonly id: number;
  readonly status: string;
  readonly key_version: number;
  readonly tmc: number;
  readonly recent: string;
  readonly day: string;
  readonly day_sum: number;
  readonly no_pin: number;
  readonly pin: number;
}

/** Reads a finished run's decisions in their order and gathers them into commits. */
function gather(path: string, size: number, most: number): Batch[] {
  const db = openDatabase(path, 'schema.sql');
  const first = keyNumber({ origin: HUB_ORIGIN, seq: 0 });
  const entries = db.prepare('SELECT * FROM entry WHERE key < ? ORDER BY id LIMIT ?').all(first, most) as EntryRow[];
  const legsOf = db.prepare('SELECT * FROM leg WHERE id >= ? AND id < ? ORDER BY id');
  const account = db.prepare('SELECT * FROM account WHERE id = ?');
  const card = db.prepare('SELECT * FROM card WHERE uid = ?');
  const known = new Set<number>(
    db.prepare("SELECT id FROM account WHERE kind IN ('member', 'bank')").pluck().all() as number[],
  );
  const members = new Set<number>(db.prepare("SELECT id FROM account WHERE kind = 'member'").pluck().all() as number[]);
  const isMember = (leg: LegRow) => members.has(leg.account);
  const batches: Batch[] = [];
  for (let at = 0; at < entries.length; at += size) {
    const slice = entries.slice(at, at + size);
    const legs = slice.flatMap(({ leg, legs: count }) => legsOf.all(leg, leg + count) as LegRow[]);
    // One net update an account and commit, as the hub does it: the last leg's balance and id.
    const last = new Map(legs.map((leg) => [leg.account, leg]));
    const fresh = [...last.values()].filter((leg) => !known.has(leg.account));
    const old = [...last.values()].filter((leg) => known.has(leg.account));
    for (const leg of fresh) known.add(leg.account);
    batches.push({
      entries: slice.map(({ key_version: keyVersion, ...row }) => entryValues({ ...row, keyVersion })),
      legs: legs.flatMap(({ id, entry, account: of, amount, previous, balance }) => [
        id,
        entry,
        of,
        BigInt(amount),
        previous,
        BigInt(balance),
      ]),
      cards: slice
        .filter(({ card: uid }) => uid !== null)
        .map(({ card: uid }) => card.get(uid) as CardRow)
        .map(({ status, key_version, tmc, recent, day, day_sum, no_pin, pin, id }) => [
          status,
          key_version,
          tmc,
          recent,
          day,
          BigInt(day_sum),
          BigInt(no_pin),
          pin,
          id,
        ]),
      newAccounts: fresh.map(({ account: id, balance, id: head }) => {
        const { cooperative, kind, owner } = account.get(id) as AccountRow;
        return [id, cooperative, kind, owner, accountKinds[kind].bound, BigInt(balance), head];
      }),
      accounts: old
        .filter((leg) => !isMember(leg))
        .map(({ account: id, balance, id: head }) => [BigInt(balance), head, id]),
      members: old.filter(isMember).map(({ account: id, balance, id: head }) => {
        const { day, day_out, month_out, month_in } = account.get(id) as AccountRow;
        return [BigInt(balance), head, day, BigInt(day_out), BigInt(month_out), BigInt(month_in), id];
      }),
    });
  }
  db.close();
  return batches;
}

function commitAll(path: string, batches: readonly Batch[]): number[] {
  const db = openDatabase(path, 'schema.sql');
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  const entry = db.prepare(decisionSql.entry);
  const writeLegs = legWriter(db);
  const card = db.prepare(cardSql.update);
  const insert = db.prepare(accountSql.insert);
  const update = db.prepare(accountSql.update);
  const use = db.prepare(accountSql.use);
  const times: number[] = [];
  let walMax = WAL_BYTES;
  for (const batch of batches) {
    const from = performance.now();
    begin.run();
    for (const values of batch.entries) entry.run(values);
    writeLegs(batch.legs);
    for (const values of batch.newAccounts) insert.run(values);
    for (const values of batch.accounts) update.run(values);
    for (const values of batch.members) use.run(values);
    for (const values of batch.cards) card.run(values);
    commit.run();
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
