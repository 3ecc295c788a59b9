/** Cards as the ledger judges them: chains of slots with their gaps, the pause at a kiosk, the sums without PIN. */
import type Database from 'better-sqlite3';
import type { CardUid } from '../../../protocol/ids.ts';
import type { Refusal } from '../../../protocol/refusals.ts';
import type { Guard, Slot } from '../../rules/entries.ts';
import type { CardStatus } from '../../rules/lifecycle.ts';
import type { LedgerCard } from '../ledger.ts';
import type { Decision } from './decisions.ts';

interface Gap {
  readonly first: number;
  readonly last: number;
}

/** One key version's run of counters: all up to `tmc` are filled, but for the gaps. */
interface Chain {
  readonly keyVersion: number;
  tmc: number;
  readonly gaps: Gap[];
  /** Gap rows to write: `last` null deletes the row. */
  readonly changes: { readonly first: number; readonly last: number | null }[];
}

export interface KeptCard {
  readonly id: number;
  readonly uid: CardUid;
  status: CardStatus;
  /** The newest key version's chain; earlier ones in `older`. */
  chain: Chain;
  readonly older: Map<number, Chain>;
  /** Kiosk and time of the last counted sale there, oldest first. */
  recent: (readonly [kiosk: number, at: number])[];
  day: string;
  daySum: bigint;
  /** Sum without PIN since decision `pin`. */
  noPin: bigint;
  pin: number;
  changed: boolean;
  stored: boolean;
}

/** Kiosks remembered for the pause; a card that paid at more within the pause waits too. */
const RECENT_MAX = 8;
/** Ranges of open slots a chain keeps. A card with its owner's help can make any number; forgotten ones pay nobody. */
export const GAPS_MAX = 256;
const KEPT_MAX = 100_000;

export const cardSql = {
  insert: `INSERT INTO card (status, key_version, tmc, recent, day, day_sum, no_pin, pin, id, uid)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  update: `UPDATE card SET status = ?, key_version = ?, tmc = ?, recent = ?, day = ?, day_sum = ?, no_pin = ?, pin = ?
    WHERE id = ?`,
} as const;

const newChain = (keyVersion: number, tmc: number): Chain => ({ keyVersion, tmc, gaps: [], changes: [] });

/** Opens the slots below a counter that jumped, or takes one slot out of its gap; false if it was taken. */
function take({ tmc: highest, gaps, changes }: Chain, tmc: number): boolean {
  if (tmc > highest) {
    if (tmc > highest + 1) {
      gaps.push({ first: highest + 1, last: tmc - 1 });
      changes.push({ first: highest + 1, last: tmc - 1 });
    }
    return true;
  }
  const index = gaps.findIndex((gap) => gap.first <= tmc && tmc <= gap.last);
  const gap = gaps[index];
  if (gap === undefined) return false;
  const rest: Gap[] = [];
  if (gap.first < tmc) rest.push({ first: gap.first, last: tmc - 1 });
  if (tmc < gap.last) rest.push({ first: tmc + 1, last: gap.last });
  gaps.splice(index, 1, ...rest);
  changes.push({ first: gap.first, last: null }, ...rest);
  return true;
}

/** Fills a slot of a chain; `dropped` is a range that had to be given up for lack of room, its slots count as taken. */
function fill(chain: Chain, tmc: number): { readonly free: boolean; readonly dropped: Gap | null } {
  if (!take(chain, tmc)) return { free: false, dropped: null };
  chain.tmc = Math.max(chain.tmc, tmc);
  const dropped = chain.gaps.length > GAPS_MAX ? (chain.gaps.shift() ?? null) : null;
  if (dropped !== null) chain.changes.push({ first: dropped.first, last: null });
  return { free: true, dropped };
}

export type SlotResult = 'free' | 'taken' | 'unknown';

/** Refuses a sale too soon after another at the same kiosk (TRUTH section 3). */
function judgePause(card: KeptCard, guard: Guard & { kind: 'pause' }, at: number): Refusal | null {
  const since = at - guard.seconds * 1000;
  if (card.recent.some(([kiosk, last]) => kiosk === guard.kiosk && last > since)) return 'too-soon';
  const oldest = card.recent.length >= RECENT_MAX ? card.recent[0] : undefined;
  return oldest !== undefined && oldest[1] > since ? 'too-soon' : null;
}

/** The guards that concern a card. */
export type CardGuard = Extract<Guard, { readonly card: CardUid }>;

export function judgeCard(card: KeptCard | null, guard: CardGuard, at: number, date: string): Refusal | null {
  if (card === null) return 'card-unknown';
  if (guard.kind === 'card-active') return card.status === 'active' ? null : 'card-blocked';
  if (guard.kind === 'pause') return judgePause(card, guard, at);
  if (guard.kind === 'next') {
    return card.chain.keyVersion === guard.keyVersion && card.chain.tmc < guard.tmc ? null : 'slot-taken';
  }
  if (guard.kind === 'pin') return null;
  if (guard.kind === 'no-pin') return card.noPin + guard.amount > guard.max ? 'pin-due' : null;
  // Should the hub's clock go back over midnight, the sum goes on: the limit must not open twice.
  const spent = date > card.day ? 0n : card.daySum;
  return spent + guard.amount > guard.max ? 'day-limit' : null;
}

/** What is known of a decision that drew from a card's sums without PIN. */
export type Counted = Pick<Decision, 'id' | 'at' | 'date' | 'counted'>;

export interface Cards {
  readonly get: (uid: CardUid) => KeptCard | null;
  /** Fills the slot; `unknown` if the ledger was never told of that card or key version. */
  readonly fill: (slot: Slot) => { readonly result: SlotResult; readonly dropped: Gap | null };
  /** Counts an approved sale, decision `id`, for the pause and the sums without PIN. */
  readonly count: (uid: CardUid, guards: readonly Guard[], at: number, date: string, id: number) => bigint;
  /** Takes a voided sale out of the pause and the sums without PIN again: nothing was spent. */
  readonly discount: (uid: CardUid, kiosk: number, sale: Counted) => void;
  /** The card's PIN was verified, before decision `id`: its sum without PIN starts anew. */
  readonly verified: (uid: CardUid, id: number) => void;
  readonly put: (card: LedgerCard) => void;
  readonly flush: () => void;
  readonly reload: () => void;
}

interface CardRow {
  readonly id: number;
  readonly status: CardStatus;
  readonly key_version: number;
  readonly tmc: number;
  readonly recent: string;
  readonly day: string;
  readonly day_sum: number;
  readonly no_pin: number;
  readonly pin: number;
  /** Whether rows of `chain` and of `gap` belong to it; most cards have neither. */
  readonly rolled: number;
  readonly gapped: number;
}

const FIND = `SELECT *, EXISTS (SELECT 1 FROM chain WHERE chain.card = card.id) AS rolled,
  EXISTS (SELECT 1 FROM gap WHERE gap.card = card.id) AS gapped FROM card WHERE uid = ?`;

function statements(db: Database.Database) {
  return {
    find: db.prepare(FIND),
    chains: db.prepare('SELECT key_version, tmc FROM chain WHERE card = ?').raw(),
    gaps: db.prepare('SELECT first, last FROM gap WHERE card = ? AND key_version = ? ORDER BY first'),
    last: db.prepare('SELECT coalesce(max(id), 0) FROM card').pluck(),
    insert: db.prepare(cardSql.insert),
    update: db.prepare(cardSql.update),
    putChain: db.prepare('INSERT OR REPLACE INTO chain (card, key_version, tmc) VALUES (?, ?, ?)'),
    putGap: db.prepare('INSERT OR REPLACE INTO gap (card, key_version, first, last) VALUES (?, ?, ?, ?)'),
    dropGap: db.prepare('DELETE FROM gap WHERE card = ? AND key_version = ? AND first = ?'),
  };
}

type Statements = ReturnType<typeof statements>;

function load(sql: Statements, uid: CardUid): KeptCard | null {
  const row = sql.find.get(uid) as CardRow | undefined;
  if (row === undefined) return null;
  const chainOf = (keyVersion: number, tmc: number): Chain => ({
    ...newChain(keyVersion, tmc),
    gaps: row.gapped ? (sql.gaps.all(row.id, keyVersion) as Gap[]) : [],
  });
  const chains = row.rolled ? (sql.chains.all(row.id) as [number, number][]) : [];
  const older = chains.map(([version, tmc]) => chainOf(version, tmc));
  return {
    id: row.id,
    uid,
    status: row.status,
    chain: chainOf(row.key_version, row.tmc),
    older: new Map(older.map((chain) => [chain.keyVersion, chain])),
    recent: JSON.parse(row.recent) as [number, number][],
    day: row.day,
    daySum: BigInt(row.day_sum),
    noPin: BigInt(row.no_pin),
    pin: row.pin,
    changed: false,
    stored: true,
  };
}

function write(sql: Statements, card: KeptCard): void {
  const { status, chain, recent, day, daySum, noPin, pin, id, uid } = card;
  const columns = [status, chain.keyVersion, chain.tmc, JSON.stringify(recent), day, daySum, noPin, pin, id];
  if (card.stored) sql.update.run(columns);
  else sql.insert.run([...columns, uid]);
  for (const old of card.older.values()) sql.putChain.run(id, old.keyVersion, old.tmc);
  for (const { keyVersion, changes } of [chain, ...card.older.values()]) {
    for (const { first, last } of changes) {
      if (last === null) sql.dropGap.run(id, keyVersion, first);
      else sql.putGap.run(id, keyVersion, first, last);
    }
    changes.length = 0;
  }
  card.stored = true;
  card.changed = false;
}

const newCard = (id: number, { uid, status, keyVersion, tmc }: LedgerCard): KeptCard => ({
  id,
  uid,
  status,
  chain: newChain(keyVersion, tmc),
  older: new Map(),
  recent: [],
  day: '',
  daySum: 0n,
  noPin: 0n,
  pin: 0,
  changed: false,
  stored: false,
});

function startAnew(card: KeptCard, id: number): void {
  card.noPin = 0n;
  card.pin = id;
}

/** Counts an approved sale by its guards; returns what it drew from the card's sums without PIN, the same from each. */
function countSale(card: KeptCard, guards: readonly Guard[], at: number, date: string, id: number): bigint {
  let counted = 0n;
  for (const guard of guards) {
    if (!('card' in guard) || guard.card !== card.uid) continue;
    if (guard.kind === 'pause') {
      card.recent = card.recent.filter(([kiosk]) => kiosk !== guard.kiosk);
      card.recent.push([guard.kiosk, at]);
      if (card.recent.length > RECENT_MAX) card.recent.shift();
    } else if (guard.kind === 'day') {
      if (date > card.day) {
        card.day = date;
        card.daySum = 0n;
      }
      card.daySum += guard.amount;
      counted = guard.amount;
    } else if (guard.kind === 'no-pin') {
      card.noPin += guard.amount;
      counted = guard.amount;
    } else if (guard.kind === 'pin') startAnew(card, id);
  }
  return counted;
}

/**
 * Takes over what the hub knows of a card. The counter never goes back; a new key version starts its own chain.
 * @throws RangeError if a key version comes back: versions are never reused (TRUTH section 8).
 */
function merge(card: KeptCard, { status, keyVersion, tmc }: LedgerCard): void {
  if (card.older.has(keyVersion)) throw new RangeError(`key version ${keyVersion} of card ${card.uid} was used before`);
  card.status = status;
  if (card.chain.keyVersion === keyVersion) return;
  card.older.set(card.chain.keyVersion, card.chain);
  card.chain = newChain(keyVersion, tmc);
}

/** Loads the cards of an open ledger database. */
export function openCards(db: Database.Database): Cards {
  const sql = statements(db);
  const kept = new Map<CardUid, KeptCard>();
  const changed: KeptCard[] = [];
  let lastId = 0;

  function touch(card: KeptCard): void {
    if (card.changed) return;
    card.changed = true;
    changed.push(card);
  }

  function get(uid: CardUid): KeptCard | null {
    const known = kept.get(uid);
    if (known !== undefined) return known;
    const card = load(sql, uid);
    if (card !== null) kept.set(uid, card);
    return card;
  }

  function put(card: LedgerCard): void {
    let known = get(card.uid);
    if (known === null) {
      lastId += 1;
      known = newCard(lastId, card);
      kept.set(card.uid, known);
    } else merge(known, card);
    touch(known);
  }

  function fillSlot(slot: Slot): { result: SlotResult; dropped: Gap | null } {
    const card = get(slot.card);
    const chain = card?.chain.keyVersion === slot.keyVersion ? card.chain : card?.older.get(slot.keyVersion);
    if (card === null || chain === undefined) return { result: 'unknown', dropped: null };
    const { free, dropped } = fill(chain, slot.tmc);
    if (free) touch(card);
    return { result: free ? 'free' : 'taken', dropped };
  }

  function count(uid: CardUid, guards: readonly Guard[], at: number, date: string, id: number): bigint {
    const card = get(uid);
    if (card === null) throw new Error(`card ${uid} passed its guards unknown`);
    touch(card);
    return countSale(card, guards, at, date, id);
  }

  function discount(uid: CardUid, kiosk: number, { id, at, date, counted }: Counted): void {
    const card = get(uid);
    if (card === null) return;
    card.recent = card.recent.filter(([no, last]) => no !== kiosk || last !== at);
    if (card.day === date) card.daySum = card.daySum > counted ? card.daySum - counted : 0n;
    // What was drawn before the last PIN is no part of the sum since.
    if (id > card.pin) card.noPin = card.noPin > counted ? card.noPin - counted : 0n;
    touch(card);
  }

  function verified(uid: CardUid, id: number): void {
    const card = get(uid);
    if (card === null) return;
    startAnew(card, id);
    touch(card);
  }

  function flush(): void {
    for (const card of changed) write(sql, card);
    changed.length = 0;
    if (kept.size <= KEPT_MAX) return;
    // Half at once: taken out one by one, each would cost a walk over the holes that the others left.
    for (const uid of kept.keys()) {
      if (kept.size <= KEPT_MAX / 2) break;
      kept.delete(uid);
    }
  }

  function reload(): void {
    kept.clear();
    changed.length = 0;
    lastId = sql.last.get() as number;
  }

  reload();
  return { get, fill: fillSlot, count, discount, verified, put, flush, reload };
}
