/** Drains in SQLite: the few that are not settled in memory too, since every tap asks for those of its card. */
import type Database from 'better-sqlite3';
import type { CardUid } from '../../../protocol/ids.ts';
import type { Drain, Drains } from '../drains.ts';

/** @returns what takes so many seqs in a row under the hub's own number, and gives the first. */
export function hubSeqs(db: Database.Database): (count: number) => number {
  const sql = `INSERT INTO meta VALUES ('hub_seq', ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value
    RETURNING value`;
  const take = db.prepare(sql).pluck();
  return (count) => (take.get(count) as number) - count + 1;
}

const UNSETTLED = `SELECT seq, uid, at, amount, evidence, state FROM drain
  WHERE state = 'open' OR state = 'proven' ORDER BY seq`;

type Row = Omit<Drain, 'amount'> & { readonly amount: number };

function load(db: Database.Database): Map<CardUid, readonly Drain[]> {
  const unsettled = new Map<CardUid, readonly Drain[]>();
  for (const row of db.prepare(UNSETTLED).all() as Row[]) {
    const drain = { ...row, amount: BigInt(row.amount) };
    unsettled.set(row.uid, [...(unsettled.get(row.uid) ?? []), drain]);
  }
  return unsettled;
}

/** Only the hub that serves the directory writes drains, so that what is in memory is what is on the disk. */
export function openDrains(db: Database.Database): Drains {
  const unsettled = load(db);
  const takeSeqs = hubSeqs(db);
  const insert = db.prepare(
    "INSERT INTO drain (seq, uid, at, amount, evidence, state, ended) VALUES (?, ?, ?, ?, ?, 'open', 0)",
  );
  const move = db.prepare("UPDATE drain SET state = ? WHERE seq = ? AND state = 'open'");
  const book = db.prepare("UPDATE drain SET state = 'booked', ended = ? WHERE seq = ? AND state = 'proven'");
  const returned = db
    .prepare("SELECT coalesce(sum(amount), 0) FROM drain WHERE uid = ? AND ended = 1 AND state = 'booked'")
    .pluck();
  const judge = db.transaction((proven: readonly number[], voided: readonly number[]) => {
    for (const seq of proven) move.run('proven', seq);
    for (const seq of voided) move.run('void', seq);
  });
  const drainsOf = (uid: CardUid) => unsettled.get(uid) ?? [];
  const keep = (uid: CardUid, drains: readonly Drain[]) => {
    if (drains.length === 0) unsettled.delete(uid);
    else unsettled.set(uid, drains);
  };

  return {
    takeHubSeq: () => takeSeqs(1),
    putDrain(drain) {
      const { seq, uid, at, amount, evidence } = drain;
      insert.run(seq, uid, at, amount, evidence);
      keep(uid, [...drainsOf(uid), { ...drain, state: 'open' }]);
    },
    drainsOf,
    judgeDrains(uid, { proven, void: voided }) {
      judge.immediate(proven, voided);
      const left = drainsOf(uid).filter(({ seq, state }) => state === 'proven' || !voided.includes(seq));
      keep(
        uid,
        left.map((drain) => (proven.includes(drain.seq) ? { ...drain, state: 'proven' } : drain)),
      );
    },
    bookDrain(uid, seq, ended) {
      book.run(ended ? 1 : 0, seq);
      keep(
        uid,
        drainsOf(uid).filter((drain) => drain.seq !== seq),
      );
    },
    returnedSinceEnd: (uid) => BigInt(returned.get(uid) as number),
  };
}
