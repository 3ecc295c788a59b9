/** The card stock in SQLite: chips, their key changes and the orders of cards; asked of the disk each time. */
import type Database from 'better-sqlite3';
import type { CardUid, CooperativeId } from '../../../protocol/ids.ts';
import type { Binding, CardOrder, CardStock, Chip, KeyChange, PlacedOrder } from '../cardstock.ts';
import type { Card, Member } from '../registry.ts';
import { openCardOrders } from './cardorders.ts';
import { hubSeqs } from './drains.ts';

const ORDER = 'number, member, batch, at, uid';
const CHANGE = 'uid, key_no AS no, from_version AS "from", to_version AS "to", at';

function statements(db: Database.Database) {
  return {
    chip: db.prepare('SELECT uid, profile, key_version AS keyVersion FROM chip WHERE uid = ?'),
    chips: db.prepare(
      `SELECT coalesce(sum(key_version = 0), 0) AS blank, coalesce(sum(key_version > 0), 0) AS prepared
        FROM chip WHERE uid NOT IN (SELECT uid FROM card)`,
    ),
    putChip: db.prepare(
      `INSERT INTO chip (uid, profile, key_version) VALUES (?, ?, ?)
        ON CONFLICT (uid) DO UPDATE SET key_version = excluded.key_version`,
    ),
    journal: db.prepare(
      'INSERT INTO key_change (uid, key_no, from_version, to_version, at, proven) VALUES (?, ?, ?, ?, ?, 0)',
    ),
    open: db.prepare(`SELECT ${CHANGE} FROM key_change WHERE uid = ? AND proven = 0 ORDER BY id`),
    history: db.prepare(`SELECT ${CHANGE}, proven FROM key_change WHERE uid = ? ORDER BY id`),
    close: db.prepare('UPDATE key_change SET proven = 1 WHERE uid = ? AND proven = 0'),
    proven: db.prepare('UPDATE chip SET key_version = ? WHERE uid = ?'),
    // One statement, so that the comparison and the write are one for all processes on this file.
    reading: db.prepare(
      `INSERT INTO sun (uid, key_version, counter) VALUES (?, ?, ?)
        ON CONFLICT (uid, key_version) DO UPDATE SET counter = excluded.counter WHERE counter < excluded.counter`,
    ),
    place: db.prepare('INSERT INTO card_order (number, member, batch, at) VALUES (?, ?, ?, ?)'),
    orders: db.prepare(`SELECT ${ORDER} FROM card_order WHERE withdrawn = 0 ORDER BY id`),
    batch: db.prepare(`SELECT ${ORDER} FROM card_order WHERE withdrawn = 0 AND batch = ? ORDER BY id`),
    withdraw: db.prepare('UPDATE card_order SET withdrawn = 1 WHERE number = ? AND uid IS NULL AND withdrawn = 0'),
    next: db.prepare(
      `SELECT card_order.id, number, member, cooperative AS issuer
        FROM card_order JOIN member ON member.id = card_order.member
        WHERE card_order.uid IS NULL AND withdrawn = 0 ORDER BY card_order.id LIMIT 1`,
    ),
    bind: db.prepare('UPDATE card_order SET uid = ? WHERE id = ?'),
  };
}

/** Records that a new card is given before it is ready (TRUTH section 2), each with a seq of its own. */
const FIRST_RECORDS = 4;

/** Where new cards are put. */
export interface CardRows {
  /** Writes the row, in the transaction that is open. */
  readonly write: (card: Card) => void;
  /** Makes it known once it is on the disk. */
  readonly written: (card: Card) => void;
  /** The same for a member. */
  readonly registered: (member: Member) => void;
}

export function openCardStock(db: Database.Database, rows: CardRows): CardStock {
  const sql = statements(db);
  const chip = (uid: CardUid) => sql.chip.get(uid) as Chip | undefined;
  const takeSeqs = hubSeqs(db);

  const place = db.transaction((orders: readonly CardOrder[]) => {
    for (const { number, member, batch, at } of orders) sql.place.run(number, member, batch, at);
  });

  const prove = db.transaction((uid: CardUid, version: number) => {
    sql.proven.run(version, uid);
    sql.close.run(uid);
  });

  const bindOne = db.transaction(({ uid, keyVersion, tmacKeyVersions, slot, at }: Binding): Card | null => {
    const known = chip(uid);
    if (known === undefined || known.keyVersion === 0) throw new RangeError(`chip ${uid} is not prepared`);
    const next = sql.next.get() as (CardOrder & { id: number; issuer: CooperativeId }) | undefined;
    if (next === undefined) return null;
    const { number, member, issuer } = next;
    const tmacKeyVersion = tmacKeyVersions.get(issuer);
    if (tmacKeyVersion === undefined) throw new RangeError(`no counter key for cards of ${issuer}`);
    sql.bind.run(uid, next.id);
    const made = { seq: takeSeqs(FIRST_RECORDS), slot, at };
    const card = { uid, number, issuer, member, keyVersion, tmacKeyVersion, status: 'personalising' as const, made };
    rows.write(card);
    return card;
  });

  return {
    chip,
    chips: () => sql.chips.get() as { blank: number; prepared: number },
    putChip: ({ uid, profile, keyVersion }) => void sql.putChip.run(uid, profile, keyVersion),
    journalKey: ({ uid, no, from, to, at }) => void sql.journal.run(uid, no, from, to, at),
    openChanges: (uid) => sql.open.all(uid) as KeyChange[],
    keyHistory: (uid) =>
      (sql.history.all(uid) as (KeyChange & { proven: number })[]).map((change) => {
        return { ...change, proven: change.proven === 1 };
      }),
    proveKeys: (uid, version) => prove.immediate(uid, version),
    takeReading: ({ uid, keyVersion, counter }) => sql.reading.run(uid, keyVersion, counter).changes === 1,
    placeOrders: (orders) => place.immediate(orders),
    ...openCardOrders(db, rows),
    orders: (batch) => (batch === undefined ? sql.orders.all() : sql.batch.all(batch)) as PlacedOrder[],
    withdrawOrder: (number) => sql.withdraw.run(number).changes === 1,
    bindCard: (binding) => {
      const card = bindOne.immediate(binding);
      if (card !== null) rows.written(card);
      return card;
    },
  };
}
