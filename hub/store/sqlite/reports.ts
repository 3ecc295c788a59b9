/** Reports: what officers must be able to show, read from the files beside a hub that serves; changes nothing. */
import Database from 'better-sqlite3';
import type { CooperativeId, MemberId } from '../../../protocol/ids.ts';
import type { CashMovement } from '../../rules/cashreport.ts';
import type { KindSum } from '../../rules/float.ts';
import type { Licence } from '../../rules/licence.ts';
import { licenceIn, readLicences } from './licences.ts';

const ledgerSql = {
  sums: `SELECT cooperative, kind, bound, sum(balance) AS balance FROM account GROUP BY cooperative, kind, bound`,
  // The drawers' own chains, so that the sales of a year are not read for the cash of a month. Whoever the cash was for
  // stands in the same entry; one without (cash from the bank) is nobody's.
  cash: `WITH RECURSIVE chain(leg, entry, amount, previous, counter) AS (
      SELECT leg.id, leg.entry, leg.amount, leg.previous, account.cooperative
        FROM account JOIN leg ON leg.id = account.head WHERE account.kind = 'drawer'
      UNION ALL
      SELECT leg.id, leg.entry, leg.amount, leg.previous, chain.counter
        FROM chain JOIN leg ON leg.id = chain.previous)
    SELECT entry.date, person.cooperative AS home, person.owner AS person, chain.counter, chain.amount
    FROM chain JOIN entry ON entry.id = chain.entry
    JOIN account person ON person.id = (
      SELECT other.account FROM leg other JOIN account ON account.id = other.account
      WHERE other.id >= entry.leg AND other.id < entry.leg + entry.legs AND account.kind IN ('member', 'payout')
      ORDER BY other.id LIMIT 1)
    WHERE entry.date BETWEEN ? AND ? AND entry.kind <> 'void' ORDER BY chain.leg`,
  entries: `SELECT count(*) AS count, min(entry.date) AS oldest FROM entry
    WHERE entry.date < ? AND EXISTS (
      SELECT 1 FROM leg JOIN account ON account.id = leg.account
      WHERE leg.id >= entry.leg AND leg.id < entry.leg + entry.legs AND account.cooperative = ?)`,
  decisions: 'SELECT count(*) AS count, min(date) AS oldest FROM entry WHERE date < ? AND legs = 0',
  alarms: 'SELECT count(*) AS count, min(at) AS oldest FROM alarm WHERE at < ?',
  holds: 'SELECT count(*) AS count, min(at) AS oldest FROM hold WHERE at < ?',
} as const;

const registrySql = {
  cooperatives: 'SELECT id, name FROM cooperative ORDER BY id',
  member: 'SELECT name FROM member WHERE id = ? AND cooperative = ?',
  orders: 'SELECT count(*) AS count, min(at) AS oldest FROM card_order WHERE at < ?',
  keys: 'SELECT count(*) AS count, min(at) AS oldest FROM key_change WHERE at < ?',
  changes: 'SELECT count(*) AS count, min(at) AS oldest FROM licence_change WHERE at < ? AND cooperative = ?',
} as const;

/** How many there are, and the oldest: a business date for entries, hub time in ms for the rest; null if none. */
export interface Aged {
  readonly count: number;
  readonly oldest: string | number | null;
}

/** A moment from which on things are kept, as a business date and in hub time. */
export interface Cutoff {
  readonly date: string;
  readonly at: number;
}

export interface Reports {
  readonly cooperatives: readonly { readonly id: CooperativeId; readonly name: string }[];
  readonly licence: (cooperative: CooperativeId) => Licence;
  /** The name of somebody who moved cash: a member's, or the account's own where it is no member's. */
  readonly nameOf: (home: CooperativeId, person: string) => string;
  /** All accounts of all books in one state, summed by kind. */
  readonly sums: () => ReadonlyMap<CooperativeId, readonly KindSum[]>;
  /** Cash that crossed counters from one business date to another, both included, in the order of posting. */
  readonly cash: (from: string, to: string) => readonly CashMovement[];
  /** Records of one cooperative from before a moment. */
  readonly olderOf: (cooperative: CooperativeId, before: Cutoff) => Readonly<Record<'entries' | 'changes', Aged>>;
  /** Records of the hub as a whole from before a moment. */
  readonly older: (
    before: Cutoff,
  ) => Readonly<Record<'decisions' | 'alarms' | 'holds' | 'cardOrders' | 'keyChanges', Aged>>;
  readonly close: () => void;
}

type SumRow = KindSum & { readonly cooperative: CooperativeId };
type CashRow = Omit<CashMovement, 'direction'>;

function sumsOf(rows: readonly SumRow[]): ReadonlyMap<CooperativeId, readonly KindSum[]> {
  const sums = new Map<CooperativeId, KindSum[]>();
  for (const { cooperative, ...sum } of rows) sums.set(cooperative, [...(sums.get(cooperative) ?? []), sum]);
  return sums;
}

/** A debit of the drawer is cash that came in. */
const movement = ({ amount, ...rest }: CashRow): CashMovement =>
  amount < 0n ? { ...rest, direction: 'in', amount: -amount } : { ...rest, direction: 'out', amount };

/**
 * Opens ledger and registry to read. Each report sees one state of its file, whatever is posted meanwhile.
 * @throws Error if a file is missing or is no such database.
 */
export function openReports(paths: { readonly ledger: string; readonly registry: string }): Reports {
  const only = { readonly: true, fileMustExist: true } as const;
  const ledger = new Database(paths.ledger, only);
  try {
    const registry = new Database(paths.registry, only);
    return reader(ledger, registry);
  } catch (error) {
    ledger.close();
    throw error;
  }
}

function reader(ledger: Database.Database, registry: Database.Database): Reports {
  const book = readLicences(registry);
  const named = registry.prepare(registrySql.member).pluck();
  const aged = (db: Database.Database, sql: string, ...values: readonly (string | number)[]) =>
    db.prepare(sql).get(...values) as Aged;
  return {
    cooperatives: registry.prepare(registrySql.cooperatives).all() as Reports['cooperatives'],
    licence: (cooperative) => licenceIn(book, cooperative),
    nameOf: (home, person) => (named.get(person satisfies string as MemberId, home) as string | undefined) ?? person,
    sums: () => sumsOf(ledger.prepare(ledgerSql.sums).safeIntegers().all() as SumRow[]),
    cash: (from, to) => (ledger.prepare(ledgerSql.cash).safeIntegers().all(from, to) as CashRow[]).map(movement),
    olderOf: (cooperative, { date, at }) => ({
      entries: aged(ledger, ledgerSql.entries, date, cooperative),
      changes: aged(registry, registrySql.changes, at, cooperative),
    }),
    older: ({ date, at }) => ({
      decisions: aged(ledger, ledgerSql.decisions, date),
      alarms: aged(ledger, ledgerSql.alarms, at),
      holds: aged(ledger, ledgerSql.holds, at),
      cardOrders: aged(registry, registrySql.orders, at),
      keyChanges: aged(registry, registrySql.keys, at),
    }),
    close() {
      ledger.close();
      registry.close();
    },
  };
}
