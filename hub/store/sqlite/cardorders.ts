/** Ordering cards in SQLite: who needs one is judged in the transaction that places the order. */
import type Database from 'better-sqlite3';
import type { CardUid, MemberId } from '../../../protocol/ids.ts';
import { isLive } from '../../rules/lifecycle.ts';
import type { CardList, CardStock, Fate, PlacedOrder } from '../cardstock.ts';
import type { Card, Member } from '../registry.ts';
import type { CardRows } from './cardstock.ts';

/** Eleven digits of chance: that many draws hit given numbers only if chance is broken. */
const DRAWS_MAX = 32;

function statements(db: Database.Database) {
  return {
    cooperative: db.prepare('SELECT 1 FROM cooperative WHERE id = ?').pluck(),
    member: db.prepare('SELECT id, cooperative, name FROM member WHERE id = ?'),
    register: db.prepare('INSERT INTO member (id, cooperative, name) VALUES (?, ?, ?)'),
    cards: db.prepare('SELECT number, status FROM card WHERE member = ?'),
    waiting: db.prepare(
      'SELECT number, member, batch, at, uid FROM card_order WHERE member = ? AND uid IS NULL AND withdrawn = 0',
    ),
    given: db
      .prepare('SELECT 1 FROM card_order WHERE number = ? UNION ALL SELECT 1 FROM card WHERE number = ?')
      .pluck(),
    place: db.prepare('INSERT INTO card_order (number, member, batch, at) VALUES (?, ?, ?, ?)'),
    batch: db.prepare('SELECT batch FROM card_order WHERE uid = ?').pluck(),
  };
}
type Statements = ReturnType<typeof statements>;

const isRefused = ({ kind }: Fate) => kind === 'no-cooperative' || kind === 'differs';

function fateOf(sql: Statements, member: Member): Fate {
  const known = sql.member.get(member.id) as Member | undefined;
  if (known === undefined) {
    const exists = sql.cooperative.get(member.cooperative) !== undefined;
    return exists ? { kind: 'ordered', registered: true } : { kind: 'no-cooperative' };
  }
  if (known.cooperative !== member.cooperative || known.name !== member.name) return { kind: 'differs', known };
  const cards = sql.cards.all(member.id) as Pick<Card, 'number' | 'status'>[];
  const live = cards.find(({ status }) => isLive(status));
  if (live !== undefined) return { kind: 'has-card', number: live.number };
  const waiting = sql.waiting.get(member.id) as PlacedOrder | undefined;
  return waiting === undefined ? { kind: 'ordered', registered: false } : { kind: 'waits', number: waiting.number };
}

function freeNumber(sql: Statements, draw: () => string): string {
  for (let at = 0; at < DRAWS_MAX; at++) {
    const number = draw();
    if (sql.given.get(number, number) === undefined) return number;
  }
  throw new Error(`${DRAWS_MAX} card numbers in a row were given before: the source of chance is broken`);
}

/** The verbs by which members come to wait for a card. */
export function openCardOrders(db: Database.Database, rows: CardRows): Pick<CardStock, 'orderCards' | 'redoCard'> {
  const sql = statements(db);

  function place(member: MemberId, batch: string, { at, draw }: Pick<CardList, 'at' | 'draw'>): PlacedOrder {
    const number = freeNumber(sql, draw);
    sql.place.run(number, member, batch, at);
    return { number, member, batch, at, uid: null };
  }

  const order = db.transaction((list: CardList): readonly Fate[] => {
    const { members, batch, dry } = list;
    const fates = members.map((member) => fateOf(sql, member));
    if (dry || fates.some(isRefused)) return fates;
    for (const [index, { id, cooperative, name }] of members.entries()) {
      const fate = fates[index];
      if (fate?.kind !== 'ordered') continue;
      if (fate.registered) sql.register.run(id, cooperative, name);
      place(id, batch, list);
    }
    return fates;
  });

  const redo = db.transaction((ended: Card, how: Pick<CardList, 'at' | 'draw'>): PlacedOrder => {
    const batch = (sql.batch.get(ended.uid satisfies CardUid) as string | undefined) ?? 'redo';
    rows.write(ended);
    const waiting = sql.waiting.get(ended.member) as PlacedOrder | undefined;
    return waiting ?? place(ended.member, batch, how);
  });

  return {
    orderCards(list) {
      const fates = order.immediate(list);
      if (list.dry || fates.some(isRefused)) return fates;
      for (const [index, member] of list.members.entries()) {
        const fate = fates[index];
        if (fate?.kind === 'ordered' && fate.registered) rows.registered(member);
      }
      return fates;
    },
    redoCard(ended, how) {
      const placed = redo.immediate(ended, how);
      rows.written(ended);
      return placed;
    },
  };
}
