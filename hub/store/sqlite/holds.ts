/** Holds: money set aside until it is posted or void, and the floats of counters, both in memory beside their rows. */
import type Database from 'better-sqlite3';
import type { HoldSlip } from '../../../protocol/cash.ts';
import type { OutletId } from '../../../protocol/ids.ts';
import { toWire } from '../../../protocol/money.ts';
import type { HoldInstruction, Instruction, ReceiptFacts, Slot } from '../../rules/entries.ts';
import { entryOf } from '../../rules/postings.ts';
import type { Settlement } from '../ledger.ts';
import type { Books } from './books.ts';
import { keyOf } from './decisions.ts';
import { read, write } from './written.ts';

/** A hold that has not ended. */
export interface Hold {
  /** See `keyNumber`. */
  readonly key: number;
  readonly hash: string;
  state: 'held' | 'released';
  readonly at: number;
  readonly until: number;
  released: number | null;
  readonly instruction: HoldInstruction;
  readonly facts: ReceiptFacts;
  /** The slot of the card's certificate, where it proved one. */
  readonly slot: Slot | null;
  readonly evidence: Uint8Array | null;
  /** What it drew from the card's sums without PIN. */
  readonly counted: bigint;
  /** Id of the decision that was to come next when it was held: tells which of the card's PINs came after it. */
  readonly next: number;
  /** What was said at its release; null before. */
  claim: string | null;
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
  readonly end: (hold: Hold, state: HoldEnd, by: Pick<Settlement, 'officers' | 'answer'>) => void;
  /** What a biller said that ended the hold of this key, or null. */
  readonly answerOf: (key: number) => string | null;
  /** Reads the open holds again and sets their money aside in the books. */
  readonly reload: () => void;
}

/** Whether it may be posted only as the end of a hold. */
export const mustBeHeld = (instruction: Instruction): instruction is HoldInstruction =>
  instruction.kind === 'withdrawal' || instruction.kind === 'bill';

export const legsOf = ({ instruction }: Pick<Hold, 'instruction'>) => entryOf(instruction).legs;

/** What is said of an open hold; the same text until its state changes. */
export function slipOf({ key, hash, state, at, until, released, instruction, facts }: Hold): HoldSlip {
  const { origin, seq } = keyOf(key);
  const { issuer, acquirer, amount, fee, shares } = instruction.figures;
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
    card: facts.card,
    issuer,
    acquirer,
    outlet: facts.outlet ?? '',
  };
}

type Row = Omit<Hold, 'instruction' | 'facts' | 'slot' | 'counted'> & {
  readonly counted: number;
  readonly instruction: string;
  readonly facts: string;
  readonly slot: string | null;
};

const OPEN = `SELECT key, hash, state, at, until, released, instruction, facts, slot, evidence,
    counted, next, claim FROM hold
  WHERE state = 'held' OR state = 'released' ORDER BY at, key`;

const holdOf = (row: Row): Hold => ({
  ...row,
  instruction: read(row.instruction),
  facts: read(row.facts),
  slot: row.slot === null ? null : (JSON.parse(row.slot) as Slot),
  counted: BigInt(row.counted),
});

/** The open holds of a ledger file, whoever has it open. */
export function readHolds(db: Database.Database): readonly Hold[] {
  return (db.prepare(OPEN).all() as Row[]).map(holdOf);
}

/** Opens the holds of a ledger database; what they wait for is set aside in its books. */
export function openHolds(db: Database.Database, books: Pick<Books, 'reserve' | 'unreserve'>): Holds {
  const insert = db.prepare(
    `INSERT INTO hold (key, hash, state, at, until, released, instruction, facts, slot, evidence,
        counted, next)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const released = db.prepare("UPDATE hold SET state = 'released', released = ?, claim = ? WHERE key = ?");
  const answerOf = db.prepare('SELECT answer FROM hold WHERE key = ?').pluck();
  const ended = db.prepare('UPDATE hold SET state = ?, officers = ?, answer = ? WHERE key = ?');
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
      const { key, hash, state, at, until, instruction, facts, evidence, counted, next } = hold;
      const slot = hold.slot && JSON.stringify(hold.slot);
      const [what, said] = [write(instruction), write(facts)];
      insert.run(key, hash, state, at, until, hold.released, what, said, slot, evidence, counted, next);
      kept.set(key, hold);
      books.reserve(legsOf(hold));
    },
    release(hold, at, claim) {
      released.run(at, claim, hold.key);
      hold.state = 'released';
      hold.released = at;
      hold.claim = claim;
    },
    end(hold, state, { officers, answer = null }) {
      ended.run(state, officers, answer, hold.key);
      kept.delete(hold.key);
      books.unreserve(legsOf(hold));
    },
    answerOf: (key) => (answerOf.get(key) as string | null | undefined) ?? null,
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
