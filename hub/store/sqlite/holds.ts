/** Holds: money set aside until it is posted or void, and the floats of counters, both in memory beside their rows. */
import type Database from 'better-sqlite3';
import type { HoldSlip } from '../../../protocol/cash.ts';
import type { OutletId } from '../../../protocol/ids.ts';
import { rupiah, toWire } from '../../../protocol/money.ts';
import type { CashFigures, CashInstruction, FeeShare, ReceiptFacts } from '../../rules/entries.ts';
import { entryOf } from '../../rules/postings.ts';
import type { Books } from './books.ts';
import { keyOf } from './decisions.ts';

/** A hold that has not ended. */
export interface Hold {
  /** See `keyNumber`. */
  readonly key: number;
  readonly hash: string;
  state: 'held' | 'released';
  readonly at: number;
  readonly until: number;
  released: number | null;
  readonly instruction: CashInstruction;
  readonly facts: ReceiptFacts;
  readonly evidence: Uint8Array | null;
}

/** How the row says that a hold has ended. */
export type HoldEnd = 'posted' | 'voided';

export interface Holds {
  /** The open hold of this key (`keyNumber`). */
  readonly find: (key: number) => Hold | null;
  /** Every open hold, the oldest first. */
  readonly open: () => readonly Hold[];
  readonly add: (hold: Hold) => void;
  readonly release: (hold: Hold, at: number, claim: string) => void;
  readonly end: (hold: Hold, state: HoldEnd, officers: string | null) => void;
  /** Reads the open holds again and sets their money aside in the books. */
  readonly reload: () => void;
}

export const legsOf = ({ instruction }: Pick<Hold, 'instruction'>) => entryOf(instruction).legs;

/** What is said of an open hold; the same text until its state changes. */
export function slipOf({ key, hash, state, at, until, released, instruction, facts }: Hold): HoldSlip {
  const { origin, seq } = keyOf(key);
  const { issuer, acquirer, outlet, amount, fee, shares } = instruction.figures;
  return {
    state,
    kiosk: origin % 2 ** 24,
    seq,
    hash,
    at,
    until,
    released,
    amount: toWire(amount),
    fee: toWire(fee),
    shares: shares.map((share) => ({ to: share.to, amount: toWire(share.amount) })),
    card: facts.card ?? '',
    issuer,
    acquirer,
    outlet,
  };
}

/** JSON with amounts as whole numbers. */
const write = (value: unknown): string =>
  JSON.stringify(value, (_name, part: unknown) => (typeof part === 'bigint' ? toWire(part) : part));

type Wire<T> = { readonly [Key in keyof T]: T[Key] extends bigint ? number : T[Key] };

function readInstruction(text: string): CashInstruction {
  const { kind, figures } = JSON.parse(text) as { kind: CashInstruction['kind']; figures: Wire<CashFigures> };
  const shares = (figures.shares as unknown as readonly Wire<FeeShare>[]).map(({ to, amount }) => ({
    to,
    amount: rupiah(amount),
  }));
  return { kind, figures: { ...figures, amount: rupiah(figures.amount), fee: rupiah(figures.fee), shares } };
}

function readFacts(text: string): ReceiptFacts {
  const facts = JSON.parse(text) as Wire<ReceiptFacts>;
  return { ...facts, amount: rupiah(facts.amount) };
}

type Row = Omit<Hold, 'instruction' | 'facts'> & { readonly instruction: string; readonly facts: string };

const OPEN = `SELECT key, hash, state, at, until, released, instruction, facts, evidence FROM hold
  WHERE state = 'held' OR state = 'released' ORDER BY at, key`;

const holdOf = (row: Row): Hold => ({
  ...row,
  instruction: readInstruction(row.instruction),
  facts: readFacts(row.facts),
});

/** The open holds of a ledger file, whoever has it open. */
export function readHolds(db: Database.Database): readonly Hold[] {
  return (db.prepare(OPEN).all() as Row[]).map(holdOf);
}

/** Opens the holds of a ledger database; what they wait for is set aside in its books. */
export function openHolds(db: Database.Database, books: Pick<Books, 'reserve' | 'unreserve'>): Holds {
  const insert = db.prepare(
    `INSERT INTO hold (key, hash, state, at, until, released, instruction, facts, evidence)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const released = db.prepare("UPDATE hold SET state = 'released', released = ?, claim = ? WHERE key = ?");
  const ended = db.prepare('UPDATE hold SET state = ?, officers = ? WHERE key = ?');
  const kept = new Map<number, Hold>();

  function reload(): void {
    kept.clear();
    for (const hold of readHolds(db)) {
      kept.set(hold.key, hold);
      books.reserve(legsOf(hold));
    }
  }

  reload();
  return {
    find: (key) => kept.get(key) ?? null,
    open: () => [...kept.values()],
    add(hold) {
      const { key, hash, state, at, until, instruction, facts, evidence } = hold;
      insert.run(key, hash, state, at, until, hold.released, write(instruction), write(facts), evidence);
      kept.set(key, hold);
      books.reserve(legsOf(hold));
    },
    release(hold, at, claim) {
      released.run(at, claim, hold.key);
      hold.state = 'released';
      hold.released = at;
    },
    end(hold, state, officers) {
      ended.run(state, officers, hold.key);
      kept.delete(hold.key);
      books.unreserve(legsOf(hold));
    },
    reload,
  };
}

export interface Floats {
  readonly of: (outlet: OutletId) => bigint;
  readonly move: (outlet: OutletId, delta: bigint) => void;
  readonly reload: () => void;
}

/** Opens the floats of a ledger database: few rows, each written as it moves. */
export function openFloats(db: Database.Database): Floats {
  const all = db.prepare('SELECT outlet, value FROM float').safeIntegers().raw();
  const put = db.prepare(
    'INSERT INTO float (outlet, value) VALUES (?, ?) ON CONFLICT (outlet) DO UPDATE SET value = excluded.value',
  );
  const values = new Map<OutletId, bigint>();
  const reload = () => {
    values.clear();
    for (const [outlet, value] of all.all() as [OutletId, bigint][]) values.set(outlet, value);
  };
  reload();
  return {
    of: (outlet) => values.get(outlet) ?? 0n,
    move(outlet, delta) {
      const value = (values.get(outlet) ?? 0n) + delta;
      put.run(outlet, value);
      values.set(outlet, value);
    },
    reload,
  };
}
