/** Reads a hub's ledger file from outside: while the hub has it open, after it was killed, or after it was closed. */
import Database from 'better-sqlite3';
import { hubPaths } from '../../hub/config.ts';
import type { Account } from '../../hub/rules/accounts.ts';
import { VOID_ORIGIN } from '../../hub/store/ledger.ts';
import { auditFile } from '../../hub/store/sqlite/audit.ts';
import { keyNumber } from '../../hub/store/sqlite/decisions.ts';
import type { Outcome } from '../../protocol/receipt.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import type { Place } from './town.ts';

/** A decision as it stands in the file. */
export interface Written {
  readonly outcome: Outcome;
  readonly reason: Refusal | null;
  /** True when money was moved. */
  readonly entry: boolean;
  /** True when a void of it stands. */
  readonly voided: boolean;
  /** JSON text, as it was and will be sent. */
  readonly receipt: string;
}

export interface LedgerFile {
  /** What was decided on this number of a kiosk; null while nothing is. */
  decision(kiosk: number, seq: number): Written | null;
  balance(account: Account): bigint;
  /** How many decisions there are, voids included. */
  decisions(): number;
  /** How many decisions moved money, voids and opening balances included. */
  entries(): number;
  alarms(): readonly string[];
  /** What the ledger was told of a card; undefined while it knows none of this UID. */
  cardStatus(uid: string): string | undefined;
  /** The highest counter that the ledger knows of a card; undefined while it knows none of this UID. */
  cardCounter(uid: string): number | undefined;
  /** What is broken in the books: an empty list, or sentences. */
  faults(): readonly string[];
}

type Row = Pick<Written, 'outcome' | 'reason' | 'receipt'> & { readonly legs: number };

/** The ledger of a place; each question opens the file anew. */
export function ledgerFile({ directory }: Place): LedgerFile {
  const path = hubPaths(directory).ledger;
  const read = <T>(work: (db: Database.Database) => T): T => {
    const db = new Database(path, { readonly: true, fileMustExist: true });
    try {
      return work(db);
    } finally {
      db.close();
    }
  };
  const count = (where: string) => read((db) => db.prepare(`SELECT count(*) FROM entry ${where}`).pluck().get());
  return {
    decision: (kiosk, seq) =>
      read((db) => {
        const row = db.prepare('SELECT outcome, reason, receipt, legs FROM entry WHERE key = ?');
        const found = row.get(keyNumber({ origin: kiosk, seq })) as Row | undefined;
        if (found === undefined) return null;
        const { legs, ...decided } = found;
        // Only sales have one.
        const mirror = kiosk < VOID_ORIGIN ? row.get(keyNumber({ origin: VOID_ORIGIN + kiosk, seq })) : undefined;
        return { ...decided, entry: legs > 0, voided: mirror !== undefined };
      }),
    balance: ({ cooperative, kind, owner }) =>
      read((db) => {
        const sql = 'SELECT balance FROM account WHERE cooperative = ? AND kind = ? AND owner = ?';
        return (db.prepare(sql).safeIntegers().pluck().get(cooperative, kind, owner) as bigint | undefined) ?? 0n;
      }),
    decisions: () => count('') as number,
    entries: () => count('WHERE legs > 0') as number,
    alarms: () => read((db) => db.prepare('SELECT kind FROM alarm ORDER BY id').pluck().all()) as string[],
    cardStatus: (uid) =>
      read((db) => db.prepare('SELECT status FROM card WHERE uid = ?').pluck().get(uid)) as string | undefined,
    cardCounter: (uid) =>
      read((db) => db.prepare('SELECT tmc FROM card WHERE uid = ?').pluck().get(uid)) as number | undefined,
    faults() {
      const { total, cooperatives, brokenPairs, brokenAccounts, brokenEntries } = auditFile(path);
      const uneven = [...cooperatives].filter(([, sum]) => sum !== 0n);
      return [
        ...(total === 0n ? [] : [`the books sum to ${total}`]),
        ...uneven.map(([id, sum]) => `${id} sums to ${sum}`),
        ...[...brokenPairs, ...brokenAccounts, ...brokenEntries].map((name) => `${name} is broken`),
      ];
    },
  };
}
