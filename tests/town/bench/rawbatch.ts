/** Raw batches: the rows of decisions that stand in a ledger, gathered into commits and written by statements alone. */
import type Database from 'better-sqlite3';
import { type AccountKind, accountKinds } from '../../../hub/rules/accounts.ts';
import { accountSql } from '../../../hub/store/sqlite/books.ts';
import { cardSql } from '../../../hub/store/sqlite/cards.ts';
import { type Decision, decisionSql, entryValues, legWriter } from '../../../hub/store/sqlite/decisions.ts';

type Values = readonly unknown[];

/** Everything one commit binds, made before the clock runs. */
export interface RawBatch {
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

export type EntryRow = Omit<Decision, 'keyVersion'> & { readonly key_version: number | null };

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

/**
 * Prepares gathering from a ledger.
 * @param known ids of the accounts that the raw file has a row of; new ones are added.
 * @returns makes one commit of entries that stand in a row.
 */
export function openGather(db: Database.Database, known: Set<number>): (slice: readonly EntryRow[]) => RawBatch {
  const legsOf = db.prepare('SELECT * FROM leg WHERE id >= ? AND id < ? ORDER BY id');
  const account = db.prepare('SELECT * FROM account WHERE id = ?');
  const card = db.prepare('SELECT * FROM card WHERE uid = ?');
  return (slice) => {
    const legs = slice.flatMap(({ leg, legs: count }) => legsOf.all(leg, leg + count) as LegRow[]);
    // One net update an account and commit, as the hub does it: the last leg's balance and id.
    const last = new Map(legs.map((leg) => [leg.account, leg]));
    const fresh = [...last.values()].filter((leg) => !known.has(leg.account));
    const old = [...last.values()].filter((leg) => known.has(leg.account));
    for (const leg of fresh) known.add(leg.account);
    const rowOf = ({ account: id }: LegRow) => account.get(id) as AccountRow;
    const isMember = (leg: LegRow) => rowOf(leg).kind === 'member';
    return {
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
      members: [...last.values()].filter(isMember).map((leg) => {
        const { day, day_out, month_out, month_in } = rowOf(leg);
        const used = [day, BigInt(day_out), BigInt(month_out), BigInt(month_in)];
        return [BigInt(leg.balance), leg.id, ...used, leg.account];
      }),
    };
  };
}

/** Prepares the statements around and in a raw commit; the transaction is the batch's own. */
export function openRawCommit(db: Database.Database): (batch: RawBatch) => void {
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  const entry = db.prepare(decisionSql.entry);
  const writeLegs = legWriter(db);
  const card = db.prepare(cardSql.update);
  const insert = db.prepare(accountSql.insert);
  const update = db.prepare(accountSql.update);
  const use = db.prepare(accountSql.use);
  return (batch) => {
    begin.run();
    for (const values of batch.entries) entry.run(values);
    writeLegs(batch.legs);
    for (const values of batch.newAccounts) insert.run(values);
    for (const values of batch.accounts) update.run(values);
    for (const values of batch.members) use.run(values);
    for (const values of batch.cards) card.run(values);
    commit.run();
  };
}
