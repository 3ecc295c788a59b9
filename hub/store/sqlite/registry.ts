/** The registry in SQLite: everything in maps, every change on the disk before it is seen. */
import type Database from 'better-sqlite3';
import type { CardUid, CooperativeId, KioskName, KioskNo, MemberId, OutletId } from '../../../protocol/ids.ts';
import { CAP_ALERT } from '../../../protocol/limits.ts';
import type { Tariff } from '../../../protocol/tariffs.ts';
import { mayBecome } from '../../rules/lifecycle.ts';
import { type PayeeBook, payeesFault, takingsOf } from '../../rules/payees.ts';
import type { CardStock } from '../cardstock.ts';
import type { Drains } from '../drains.ts';
import type { Card, Cooperative, Kiosk, Making, Member, Outlet, Registry } from '../registry.ts';
import { openCardStock } from './cardstock.ts';
import { openDatabase } from './database.ts';
import { openDisputeNotes } from './disputenotes.ts';
import { openDrains } from './drains.ts';
import { type LoadedIncentives, loadIncentives, openIncentives } from './incentives.ts';
import { openLicences } from './licences.ts';
import { type LoadedLimits, loadLimits, openLimits, shipProfiles } from './limits.ts';
import { openTariffBooks } from './tariffbooks.ts';
import { loadTariffs, tariffRows } from './tariffs.ts';

type Row<T> = { [Key in keyof T]: unknown };

const sql = {
  cooperative: `INSERT INTO cooperative (id, name, net_debit_cap, cap_alert) VALUES (?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, net_debit_cap = excluded.net_debit_cap,
      cap_alert = excluded.cap_alert`,
  cooperatives: 'SELECT id, name, net_debit_cap AS netDebitCap, cap_alert AS capAlert FROM cooperative ORDER BY id',
  member: `INSERT INTO member (id, cooperative, name) VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET cooperative = excluded.cooperative, name = excluded.name`,
  card: `INSERT INTO card
    (uid, number, issuer, member, key_version, tmac_key_version, status, made_seq, made_slot, made_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (uid) DO UPDATE SET number = excluded.number, issuer = excluded.issuer, member = excluded.member,
      key_version = excluded.key_version, tmac_key_version = excluded.tmac_key_version, status = excluded.status,
      made_seq = excluded.made_seq, made_slot = excluded.made_slot, made_at = excluded.made_at
      WHERE card.status = ?`,
  cards: `SELECT uid, number, issuer, member, key_version AS keyVersion, tmac_key_version AS tmacKeyVersion, status,
    made_seq AS seq, made_slot AS slot, made_at AS at FROM card`,
  untold: "SELECT uid FROM card WHERE status <> 'personalising' AND told <> status || ' ' || tmac_key_version",
  told: 'UPDATE card SET told = ? WHERE uid = ?',
  outlet: `INSERT INTO outlet (id, cooperative, name, class, open, owner, payees) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET cooperative = excluded.cooperative, name = excluded.name, class = excluded.class,
      open = excluded.open, owner = excluded.owner, payees = excluded.payees`,
  kiosk: `INSERT INTO kiosk (name, outlet, serial, sealing_key, witness, role, offline, revoked)
    VALUES (?, ?, ?, ?, ?, ?, ?, 0)`,
  revoke: 'UPDATE kiosk SET revoked = 1 WHERE no = ?',
} as const;

type OutletRow = Pick<Outlet, 'id' | 'cooperative' | 'name' | 'class' | 'open'> & {
  readonly owner: MemberId | null;
  readonly payees: string;
};

function outletOf({ open, owner, payees: text, ...row }: OutletRow): Outlet {
  const payees = JSON.parse(text) as NonNullable<Outlet['payees']>;
  const outlet = { ...row, open: Boolean(open) };
  return { ...outlet, ...(owner === null ? {} : { owner }), ...(payees.length === 0 ? {} : { payees }) };
}

interface Loaded extends LoadedLimits, LoadedIncentives {
  readonly cooperatives: Map<CooperativeId, Cooperative>;
  readonly members: Map<MemberId, Member>;
  readonly cards: Map<CardUid, Card>;
  readonly outlets: Map<OutletId, Outlet>;
  readonly kiosks: Map<KioskNo, Kiosk>;
  readonly tariffs: Map<number, Tariff>;
}

function load(db: Database.Database): Loaded {
  // The rows were written by this file from checked values; the casts only give them their names back.
  const all = <T>(query: string) => db.prepare(query).all() as Row<T>[] as T[];
  const money = <T>(query: string) => db.prepare(query).safeIntegers().all() as T[];
  const by = <Key, T>(rows: readonly T[], key: (row: T) => Key) => new Map(rows.map((row) => [key(row), row]));
  const outlets = all<OutletRow>('SELECT id, cooperative, name, class, open, owner, payees FROM outlet');
  const kiosks = all<Kiosk>(
    `SELECT no, name, outlet, serial, sealing_key AS sealingKey, witness, role, offline, revoked
      FROM kiosk ORDER BY no`,
  );
  return {
    ...loadLimits(db),
    ...loadIncentives(db),
    cooperatives: by(
      money<Cooperative & { capAlert: bigint }>(sql.cooperatives).map((row) => ({
        ...row,
        capAlert: Number(row.capAlert),
      })),
      (c) => c.id,
    ),
    members: by(all<Member>('SELECT id, cooperative, name FROM member'), (m) => m.id),
    cards: by(
      all<Omit<Card, 'made'> & Record<keyof Making, number | null>>(sql.cards).map(({ seq, slot, at, ...card }) => {
        // The table holds all three or none.
        return { ...card, made: seq === null ? null : ({ seq, slot, at } as Making) };
      }),
      (c) => c.uid,
    ),
    outlets: by(outlets.map(outletOf), (o) => o.id),
    kiosks: by(
      kiosks.map((kiosk) => ({ ...kiosk, offline: Boolean(kiosk.offline), revoked: Boolean(kiosk.revoked) })),
      (k) => k.no,
    ),
    tariffs: by(loadTariffs(db), (t) => t.version),
  };
}

function insertOutlet(db: Database.Database, row: Outlet, book: PayeeBook): void {
  const { id, cooperative, name, class: kind, open, owner = null, payees = [] } = row;
  const fault = payeesFault(row, book);
  if (fault !== null) throw new RangeError(`outlet ${id}: ${fault}`);
  db.prepare(sql.outlet).run(id, cooperative, name, kind, open ? 1 : 0, owner, JSON.stringify(payees));
}

type CardMaps = Pick<Loaded, 'cards' | 'members'>;
type CardRows = Pick<
  Registry,
  'cards' | 'card' | 'cardByNumber' | 'cardsOf' | 'putCard' | 'untold' | 'told' | keyof CardStock | keyof Drains
>;

/** The cards of a registry, and the stock they are made from. */
function cardRows(db: Database.Database, { cards, members }: CardMaps): CardRows {
  function writeCard(row: Card): void {
    const { uid, number, issuer, member, keyVersion, tmacKeyVersion, status, made } = row;
    const before = cards.get(uid)?.status;
    if (before !== undefined && before !== status && !mayBecome(before, status)) {
      throw new RangeError(`card ${uid} is ${before}, and so cannot become ${status}`);
    }
    const making = made === null ? [null, null, null] : [made.seq, made.slot, made.at];
    const columns = [uid, number, issuer, member, keyVersion, tmacKeyVersion, status, ...making];
    const { changes } = db.prepare(sql.card).run(...columns, before ?? null);
    // Judged by what was read: a card that another process has ended since must not live again.
    if (changes === 0) throw new Error(`card ${uid} was changed by another process just now; look at it again`);
  }

  return {
    cards: () => [...cards.values()],
    card: (uid) => cards.get(uid),
    cardByNumber: (number) => [...cards.values()].find((card) => card.number === number),
    cardsOf: (member) => [...cards.values()].filter((card) => card.member === member),
    putCard: (row) => {
      writeCard(row);
      cards.set(row.uid, row);
    },
    untold: () => (db.prepare(sql.untold).pluck().all() as CardUid[]).flatMap((uid) => cards.get(uid) ?? []),
    told: ({ uid, status, tmacKeyVersion }) => void db.prepare(sql.told).run(`${status} ${tmacKeyVersion}`, uid),
    ...openCardStock(db, {
      write: writeCard,
      written: (card) => cards.set(card.uid, card),
      registered: (member) => members.set(member.id, member),
    }),
    ...openDrains(db),
  };
}

/** Commands write beside a running hub, each for a moment. */
const PATIENCE_MS = 2000;
/** Pages in the write-ahead log (4 MiB) at which they are moved into the file. */
const WAL_PAGES = 1000;

/**
 * Opens the registry, or starts one. It has a file of its own: the ledger's engine must be the only writer of its
 * file, and a registry can be restored, edited and handed over without touching the books.
 * @throws Error if the file cannot be used or would not be durable; puts throw if a row breaks a rule, and change
 * nothing.
 */
export function openRegistry({ path }: { readonly path: string }): Registry {
  const db = openDatabase(path, 'registry.sql', PATIENCE_MS);
  db.pragma('foreign_keys = ON');
  // Nobody tidies up between batches here: without this the log would grow with every change of a key.
  db.pragma(`wal_autocheckpoint = ${WAL_PAGES}`);
  shipProfiles(db);
  const loaded = load(db);
  const { reload: reloadLicences, ...licences } = openLicences(db);
  const { cooperatives, members, outlets, kiosks, tariffs } = loaded;
  const named = new Map<KioskName, Kiosk>([...kiosks.values()].map((kiosk) => [kiosk.name, kiosk]));
  // SQLite counts the commits of other connections only.
  const othersCommits = () => db.pragma('data_version', { simple: true });
  let seen = othersCommits();

  function enrol(given: Omit<Kiosk, 'no' | 'revoked'>): Kiosk {
    const { name, outlet, serial, sealingKey, witness, role, offline } = given;
    const row = [name, outlet, serial, sealingKey, witness, role, offline ? 1 : 0];
    const { lastInsertRowid } = db.prepare(sql.kiosk).run(row);
    const kiosk: Kiosk = { ...given, no: Number(lastInsertRowid) as KioskNo, revoked: false };
    kiosks.set(kiosk.no, kiosk);
    named.set(name, kiosk);
    return kiosk;
  }

  function revoke(no: KioskNo): void {
    const kiosk = kiosks.get(no);
    if (kiosk === undefined) throw new RangeError(`no kiosk has the number ${no}`);
    db.prepare(sql.revoke).run(no);
    const revoked = { ...kiosk, revoked: true };
    kiosks.set(no, revoked);
    if (named.get(kiosk.name) === kiosk) named.set(kiosk.name, revoked);
  }

  function refresh(): boolean {
    const now = othersCommits();
    if (now === seen) return false;
    const fresh: Record<string, Map<unknown, unknown>> = { ...load(db) };
    reloadLicences();
    // Not before it was read: what one failed reading missed is read by the next.
    seen = now;
    for (const [name, rows] of Object.entries<Map<unknown, unknown>>({ ...loaded })) {
      rows.clear();
      for (const [key, row] of fresh[name] ?? []) rows.set(key, row);
    }
    named.clear();
    for (const kiosk of kiosks.values()) named.set(kiosk.name, kiosk);
    return true;
  }

  return {
    cooperatives: () => [...cooperatives.values()],
    cooperative: (id) => cooperatives.get(id),
    member: (id) => members.get(id),
    members: () => [...members.values()],
    outlet: (id) => outlets.get(id),
    takings: (cooperative, name) => takingsOf(outlets.values(), cooperative, name),
    kiosk: (name) => named.get(name),
    kioskByNo: (no) => kiosks.get(no),
    kiosks: () => [...kiosks.values()],
    putCooperative: (row) => {
      db.prepare(sql.cooperative).run(row.id, row.name, row.netDebitCap, row.capAlert ?? CAP_ALERT);
      cooperatives.set(row.id, row);
    },
    putMember: (row) => {
      db.prepare(sql.member).run(row.id, row.cooperative, row.name);
      members.set(row.id, row);
    },
    putOutlet: (row) => {
      insertOutlet(db, row, { homeOf: (id) => members.get(id)?.cooperative, others: outlets.values() });
      outlets.set(row.id, row);
    },
    ...tariffRows(db, tariffs),
    ...openTariffBooks(db),
    ...cardRows(db, loaded),
    ...licences,
    ...openLimits(db, loaded),
    ...openDisputeNotes(db),
    ...openIncentives(db, loaded),
    enrol,
    revoke,
    refresh,
    close: () => db.close(),
  };
}
