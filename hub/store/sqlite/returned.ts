/** Returned: a row for each payment that something was taken back of; few, so none is kept in memory. */
import type Database from 'better-sqlite3';
import type { Account } from '../../rules/accounts.ts';
import { NOTHING_RETURNED, type Returned } from '../../rules/returns.ts';
import type { OpenDispute } from '../ledger.ts';
import { keyOf } from './decisions.ts';

export interface ReturnedRows {
  /** By the payment's `keyNumber`. */
  readonly of: (key: number) => Returned;
  /** Whom an open dispute is of; null without one. */
  readonly member: (key: number) => Account | null;
  readonly put: (key: number, returned: Returned, member: Account) => void;
  /** Payments whose dispute should have been decided by then, the longest overdue first. */
  readonly overdue: (at: number) => readonly number[];
}

interface Row {
  readonly refunded: bigint;
  readonly disputed: bigint;
  readonly provisional: bigint;
  readonly until: bigint | null;
  readonly ended: bigint;
}

type OpenRow = Pick<OpenDispute, 'disputed' | 'provisional' | 'refunded' | 'receipt'> &
  Pick<Account, 'cooperative' | 'owner'> & { readonly key: bigint; readonly until: bigint };

/** The open disputes of a ledger file, whoever has it open; the one due first first. */
export function readDisputes(db: Database.Database): readonly OpenDispute[] {
  const open = db.prepare(`SELECT returned.key, cooperative, owner, disputed, provisional, refunded, until, receipt
    FROM returned JOIN entry ON entry.key = returned.key WHERE until IS NOT NULL ORDER BY until, returned.key`);
  return (open.safeIntegers().all() as OpenRow[]).map(({ key, cooperative, owner, until, ...row }) => ({
    ...row,
    key: keyOf(Number(key)),
    member: { cooperative, kind: 'member', owner },
    until: Number(until),
  }));
}

/** Opens the rows of a ledger database. */
export function openReturned(db: Database.Database): ReturnedRows {
  const find = db
    .prepare('SELECT refunded, disputed, provisional, until, ended FROM returned WHERE key = ?')
    .safeIntegers();
  const whose = db.prepare('SELECT cooperative, owner FROM returned WHERE key = ? AND disputed > 0');
  const put = db.prepare(`INSERT INTO returned (key, refunded, disputed, provisional, until, ended, cooperative, owner)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET refunded = excluded.refunded,
      disputed = excluded.disputed, provisional = excluded.provisional, until = excluded.until,
      ended = excluded.ended, cooperative = excluded.cooperative, owner = excluded.owner`);
  const due = db.prepare('SELECT key FROM returned WHERE until <= ? ORDER BY until, key').pluck();
  return {
    of(key) {
      const row = find.get(key) as Row | undefined;
      if (row === undefined) return NOTHING_RETURNED;
      return { ...row, until: row.until === null ? null : Number(row.until), ended: row.ended !== 0n };
    },
    member(key) {
      const row = whose.get(key) as Pick<Account, 'cooperative' | 'owner'> | undefined;
      return row === undefined ? null : { ...row, kind: 'member' };
    },
    put(key, { refunded, disputed, provisional, until, ended }, { cooperative, owner }) {
      put.run(key, refunded, disputed, provisional, until, ended ? 1 : 0, cooperative, owner);
    },
    overdue: (at) => due.all(at) as number[],
  };
}
