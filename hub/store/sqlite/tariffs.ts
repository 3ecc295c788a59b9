/** Tariffs in SQLite: versions that are added and never change. */
import type Database from 'better-sqlite3';
import { type Tariff, tariffFault } from '../../../protocol/tariffs.ts';
import type { Registry } from '../registry.ts';

const columns = `version, kind, direction, reach, class, fixed, basis_points, min, max, shares, valid_from, valid_until,
  added, officers`;
const sql = {
  insert: `INSERT INTO tariff (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  all: `SELECT version, kind, direction, reach, class, fixed, basis_points AS basisPoints, min, max, shares,
    valid_from AS "from", valid_until AS until FROM tariff ORDER BY version`,
  last: 'SELECT coalesce(max(version), 0) FROM tariff',
  added: 'SELECT added AS at, officers FROM tariff WHERE version = ? AND officers IS NOT NULL',
} as const;

interface Row extends Omit<Tariff, 'version' | 'basisPoints' | 'shares' | 'class' | 'until'> {
  readonly version: bigint;
  readonly basisPoints: bigint;
  readonly shares: string;
  readonly class: string | null;
  readonly until: string | null;
}

/** Every tariff there ever was, by version. */
export function loadTariffs(db: Database.Database): Tariff[] {
  const rows = db.prepare(sql.all).safeIntegers().all() as Row[];
  return rows.map(({ class: named, until, ...row }) => ({
    ...row,
    version: Number(row.version),
    basisPoints: Number(row.basisPoints),
    shares: JSON.parse(row.shares) as Tariff['shares'],
    ...(named === null ? {} : { class: named }),
    ...(until === null ? {} : { until }),
  }));
}

type Added = { readonly at: number; readonly officers: readonly string[] };

function insert(db: Database.Database, tariff: Tariff, added: Added | null): void {
  const fault = tariffFault(tariff);
  if (fault !== null) throw new RangeError(`tariff ${tariff.version}: ${fault}`);
  const { version, kind, direction = 'merchant', reach, class: named = null, until = null, ...terms } = tariff;
  const { fixed, basisPoints, min, max, shares, from } = terms;
  const row = [version, kind, direction, reach, named, fixed, basisPoints, min, max, JSON.stringify(shares)];
  const officers = added === null ? null : JSON.stringify(added.officers);
  db.prepare(sql.insert).run(...row, from, until, added?.at ?? 0, officers);
}

type TariffRows = Pick<Registry, 'tariffs' | 'putTariff' | 'addTariffs' | 'tariffAdded'>;

/** @param tariffs the rows in memory, by version. */
export function tariffRows(db: Database.Database, tariffs: Map<number, Tariff>): TariffRows {
  let list: readonly Tariff[] | null = null;
  const add = db.transaction((terms: readonly Omit<Tariff, 'version'>[], added: Added) => {
    const last = db.prepare(sql.last).pluck().get() as number;
    const rows = terms.map((term, at) => ({ version: last + 1 + at, ...term }));
    for (const row of rows) insert(db, row, added);
    return rows;
  });
  return {
    // Asked at every sale, and changed a few times a year.
    tariffs: () => {
      if (list?.length !== tariffs.size) list = [...tariffs.values()];
      return list;
    },
    putTariff: (row) => {
      insert(db, row, null);
      tariffs.set(row.version, row);
    },
    addTariffs: (terms, officers, at) => {
      const rows = add.immediate(terms, { officers, at });
      for (const row of rows) tariffs.set(row.version, row);
      return rows;
    },
    tariffAdded: (version) => {
      const row = db.prepare(sql.added).get(version) as { at: number; officers: string } | undefined;
      return row === undefined ? null : { at: row.at, officers: JSON.parse(row.officers) as string[] };
    },
  };
}
