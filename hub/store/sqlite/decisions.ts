/** Decisions: the rows of a batch, gathered in memory and written in a few statements; found again by their key. */
import type Database from 'better-sqlite3';
import type { CardUid } from '../../../protocol/ids.ts';
import type { Outcome } from '../../../protocol/receipt.ts';
import type { Refusal } from '../../../protocol/refusals.ts';
import type { Authority, EntryKind } from '../../rules/entries.ts';
import type { DecisionKey } from '../ledger.ts';

const SEQS = 2 ** 24;
const ORIGINS = 2 ** 29;

/** A decision's key as one number: origin · 2^24 + seq, below 2^53 and so exact. */
export function keyNumber({ origin, seq }: DecisionKey): number {
  const fits = Number.isInteger(origin) && origin >= 0 && origin < ORIGINS;
  if (!fits || !Number.isInteger(seq) || seq < 0 || seq >= SEQS) throw new RangeError(`no such key: ${origin}, ${seq}`);
  return origin * SEQS + seq;
}

/** The key a number stands for. */
export function keyOf(number: number): DecisionKey {
  return { origin: Math.floor(number / SEQS), seq: number % SEQS };
}

export interface Decision {
  readonly id: number;
  /** See `keyNumber`. */
  readonly key: number;
  /** Of the request known under this key: the one decided, or the one that came after a cancel. */
  hash: string;
  readonly outcome: Outcome;
  readonly reason: Refusal | null;
  readonly at: number;
  readonly date: string;
  readonly window: number;
  readonly kind: EntryKind | null;
  readonly authority: Authority | null;
  card: CardUid | null;
  keyVersion: number | null;
  tmc: number | null;
  /** `keyNumber` of the payment that it takes back. */
  readonly original: number | null;
  readonly amount: bigint;
  /** What it drew from the card's no-PIN day. */
  readonly counted: bigint;
  /** First leg and number of legs; legs of an entry are numbered in a row. */
  readonly leg: number;
  readonly legs: number;
  readonly receipt: string;
  evidence: Uint8Array | null;
}

const LEG_COLUMNS = 6;
/** Legs per statement; what is left over goes in smaller ones. */
const LEG_ROWS = [64, 8, 1] as const;

export const decisionSql = {
  entry: `INSERT INTO entry (id, key, hash, outcome, reason, at, date, window, kind, authority, card, key_version, tmc,
    original, amount, counted, leg, legs, receipt, evidence)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  legs: (rows: number) =>
    `INSERT INTO leg (id, entry, account, amount, previous, balance)
      VALUES ${Array(rows).fill('(?, ?, ?, ?, ?, ?)').join()}`,
} as const;

/** The bound values of an entry's row, in the order of `decisionSql.entry`. */
export const entryValues = (d: Decision): readonly unknown[] => [
  d.id,
  d.key,
  d.hash,
  d.outcome,
  d.reason,
  d.at,
  d.date,
  d.window,
  d.kind,
  d.authority,
  d.card,
  d.keyVersion,
  d.tmc,
  d.original,
  d.amount,
  d.counted,
  d.leg,
  d.legs,
  d.receipt,
  d.evidence,
];

/** Writes leg rows, given flat, in as few statements as they fit. */
export function legWriter(db: Database.Database): (flat: readonly (number | bigint)[]) => void {
  const sizes = LEG_ROWS.map((rows) => ({ values: rows * LEG_COLUMNS, insert: db.prepare(decisionSql.legs(rows)) }));
  return (flat) => {
    let from = 0;
    for (const { values, insert } of sizes) {
      for (; flat.length - from >= values; from += values) insert.run(flat.slice(from, from + values));
    }
  };
}

export interface Decisions {
  /** By `keyNumber`. */
  readonly find: (key: number) => Decision | null;
  /** Id of the next decision. */
  readonly nextId: () => number;
  readonly add: (decision: Decision) => void;
  /** Adds a leg's row: id, entry, account, amount, previous leg, balance. */
  readonly addLeg: (
    id: number,
    entry: number,
    account: number,
    amount: bigint,
    previous: number,
    balance: bigint,
  ) => void;
  /** Next free leg id. */
  readonly nextLeg: () => number;
  /** Notes the request that came after a cancel. */
  readonly note: (decision: Decision) => void;
  readonly flush: () => void;
  readonly reload: () => void;
}

/** Origins whose highest seq is kept in memory between batches. */
const HIGHEST_MAX = 100_000;

type Row = Omit<Decision, 'amount' | 'counted' | 'keyVersion'> & {
  readonly amount: number;
  readonly counted: number;
  readonly key_version: number | null;
};

/** Opens the decisions of a ledger database. */
export function openDecisions(db: Database.Database): Decisions {
  const select = db.prepare('SELECT * FROM entry WHERE key = ?');
  const highestOf = db.prepare('SELECT coalesce(max(key), -1) FROM entry WHERE key BETWEEN ? AND ?').pluck();
  const insert = db.prepare(decisionSql.entry);
  const noted = db.prepare('UPDATE entry SET hash = ?, card = ?, key_version = ?, tmc = ?, evidence = ? WHERE id = ?');
  const lastEntry = db.prepare('SELECT coalesce(max(id), 0) FROM entry').pluck();
  const lastLeg = db.prepare('SELECT coalesce(max(id), 0) FROM leg').pluck();
  const writeLegs = legWriter(db);
  const staged = new Map<number, Decision>();
  const notes = new Set<Decision>();
  let legs: (number | bigint)[] = [];
  let entryId = 0;
  let legId = 0;
  // A kiosk counts upward, so almost every request is above the highest seq seen and needs no look at the disk.
  const highest = new Map<number, number>();

  function highestOfOrigin(key: number): number {
    const origin = Math.floor(key / SEQS);
    let known = highest.get(origin);
    if (known === undefined) {
      known = highestOf.get(origin * SEQS, origin * SEQS + SEQS - 1) as number;
      highest.set(origin, known);
    }
    return known;
  }

  function find(key: number): Decision | null {
    if (key > highestOfOrigin(key)) return null;
    const known = staged.get(key);
    if (known !== undefined) return known;
    const row = select.get(key) as Row | undefined;
    if (row === undefined) return null;
    return { ...row, amount: BigInt(row.amount), counted: BigInt(row.counted), keyVersion: row.key_version };
  }

  function add(decision: Decision): void {
    const { id, key } = decision;
    highest.set(Math.floor(key / SEQS), Math.max(highestOfOrigin(key), key));
    staged.set(key, decision);
    entryId = id;
  }

  function note(decision: Decision): void {
    // Of two late requests in one batch the second must meet the first.
    if (staged.get(decision.key) === decision) return;
    staged.set(decision.key, decision);
    notes.add(decision);
  }

  function flush(): void {
    for (const decision of staged.values()) {
      const { hash, card, keyVersion, tmc, evidence, id } = decision;
      if (notes.has(decision)) noted.run(hash, card, keyVersion, tmc, evidence, id);
      else insert.run(entryValues(decision));
    }
    writeLegs(legs);
    staged.clear();
    notes.clear();
    legs = [];
    // Only here, where nothing is staged: within a batch a forgotten origin would hide what the batch has decided.
    if (highest.size > HIGHEST_MAX) highest.clear();
  }

  function reload(): void {
    staged.clear();
    notes.clear();
    legs = [];
    highest.clear();
    entryId = lastEntry.get() as number;
    legId = lastLeg.get() as number;
  }

  function addLeg(id: number, entry: number, account: number, amount: bigint, previous: number, balance: bigint): void {
    legs.push(id, entry, account, amount, previous, balance);
    legId = id;
  }

  reload();
  return { find, nextId: () => entryId + 1, add, addLeg, nextLeg: () => legId + 1, note, flush, reload };
}
