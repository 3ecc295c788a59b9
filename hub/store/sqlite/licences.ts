/** Licences in SQLite: in maps to be asked at each sale, every change on the disk with its row of who and when. */
import type Database from 'better-sqlite3';
import type { CooperativeId, MemberId } from '../../../protocol/ids.ts';
import {
  DEMO_LICENCE,
  type DueDiligence,
  type Holder,
  type HubMode,
  type Licence,
  licenceFault,
  mayHold,
  NO_LICENCE,
  PLAIN_HOLDER,
} from '../../rules/licence.ts';
import type { ChangedBy, LicenceChange, Licences } from '../licences.ts';

const sql = {
  mode: 'SELECT mode FROM hub',
  putMode: 'INSERT INTO hub (one, mode) VALUES (1, ?) ON CONFLICT (one) DO NOTHING',
  licences: `SELECT cooperative, off_us AS offUs, purse, deposits, members_only AS membersOnly,
    due_diligence AS dueDiligence, profiles, cash_threshold AS cashThreshold, cash_notice AS cashNotice,
    float_report AS floatReport, retention_years AS retentionYears FROM licence`,
  putLicence: `INSERT INTO licence (cooperative, off_us, purse, deposits, members_only, due_diligence, profiles,
    cash_threshold, cash_notice, float_report, retention_years) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (cooperative) DO UPDATE SET off_us = excluded.off_us, purse = excluded.purse,
      deposits = excluded.deposits, members_only = excluded.members_only, due_diligence = excluded.due_diligence,
      profiles = excluded.profiles, cash_threshold = excluded.cash_threshold, cash_notice = excluded.cash_notice,
      float_report = excluded.float_report, retention_years = excluded.retention_years`,
  holders: 'SELECT member, level, public AS isPublic FROM holder',
  putHolder: `INSERT INTO holder (member, level, public) VALUES (?, ?, ?)
    ON CONFLICT (member) DO UPDATE SET level = excluded.level, public = excluded.public`,
  home: 'SELECT cooperative FROM member WHERE id = ?',
  cooperative: 'SELECT 1 FROM cooperative WHERE id = ?',
  change: `INSERT INTO licence_change (at, cooperative, member, what, before, after, officers)
    VALUES (?, ?, ?, ?, ?, ?, ?)`,
  changes: `SELECT at, cooperative, member, what, before, after, officers FROM licence_change
    WHERE at < ? ORDER BY id`,
} as const;

type Flag = 0n | 1n;
type LicenceRow = {
  readonly [Key in keyof Licence]: Licence[Key] extends boolean ? Flag : Licence[Key];
} & { readonly cooperative: CooperativeId; readonly retentionYears: bigint; readonly profiles: string };

/** What a registry file says of licences, whoever has it open. */
export interface LicenceBook {
  readonly mode: HubMode;
  readonly licences: ReadonlyMap<CooperativeId, Licence>;
  readonly holders: ReadonlyMap<MemberId, Holder>;
}

/** Reads it all in one state of the file. */
export function readLicences(db: Database.Database): LicenceBook {
  return db.transaction((): LicenceBook => {
    const mode = (db.prepare(sql.mode).pluck().get() as HubMode | undefined) ?? 'demo';
    const rows = db.prepare(sql.licences).safeIntegers().all() as LicenceRow[];
    const licences = rows.map(({ cooperative, ...row }): [CooperativeId, Licence] => [
      cooperative,
      {
        ...row,
        offUs: row.offUs === 1n,
        purse: row.purse === 1n,
        deposits: row.deposits === 1n,
        membersOnly: row.membersOnly === 1n,
        floatReport: row.floatReport === 1n,
        profiles: JSON.parse(row.profiles) as Licence['profiles'],
        retentionYears: Number(row.retentionYears),
      },
    ]);
    type HolderRow = { readonly member: MemberId; readonly level: DueDiligence; readonly isPublic: number };
    const holders = (db.prepare(sql.holders).all() as HolderRow[]).map(
      ({ member, level, isPublic }): [MemberId, Holder] => [member, { level, isPublic: isPublic === 1 }],
    );
    return { mode, licences: new Map(licences), holders: new Map(holders) };
  })();
}

/** What a cooperative may do, by such a book. */
export function licenceIn({ mode, licences }: LicenceBook, cooperative: CooperativeId): Licence {
  return mode === 'demo' ? DEMO_LICENCE : (licences.get(cooperative) ?? NO_LICENCE);
}

const word = (value: unknown): string => {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return value === null ? 'none' : String(value);
};

/** The parts of a licence as commands and changes name them. */
function partsOf(licence: Licence): ReadonlyMap<string, string> {
  const { profiles } = licence;
  return new Map([
    ['off-us', word(licence.offUs)],
    ['purse', word(licence.purse)],
    ['deposits', word(licence.deposits)],
    ['members-only', word(licence.membersOnly)],
    ['due-diligence', licence.dueDiligence],
    ['profiles', `none=${profiles.none} simple=${profiles.simple} full=${profiles.full}`],
    ['cash-threshold', word(licence.cashThreshold)],
    ['cash-notice', word(licence.cashNotice)],
    ['float-report', word(licence.floatReport)],
    ['retention', word(licence.retentionYears)],
  ]);
}

const holderParts = ({ level, isPublic }: Holder): ReadonlyMap<string, string> =>
  new Map([
    ['level', level],
    ['public', word(isPublic)],
  ]);

type Parts = ReadonlyMap<string, string>;

function differences(before: Parts, after: Parts, rest: Omit<LicenceChange, 'what' | 'before' | 'after'>) {
  return [...after].flatMap(([what, value]): LicenceChange[] => {
    const old = before.get(what) ?? '';
    return old === value ? [] : [{ ...rest, what, before: old, after: value }];
  });
}

const flag = (value: boolean) => (value ? 1 : 0);

function writeLicence(db: Database.Database, cooperative: CooperativeId, licence: Licence): void {
  const { offUs, purse, deposits, membersOnly, dueDiligence, profiles, floatReport } = licence;
  const switches = [offUs, purse, deposits, membersOnly].map(flag);
  const marks = [licence.cashThreshold, licence.cashNotice, flag(floatReport), licence.retentionYears];
  db.prepare(sql.putLicence).run(cooperative, ...switches, dueDiligence, JSON.stringify(profiles), ...marks);
}

function writeChanges(db: Database.Database, changes: readonly LicenceChange[]): void {
  const insert = db.prepare(sql.change);
  for (const { at, cooperative, member, what, before, after, officers } of changes) {
    insert.run(at, cooperative, member, what, before, after, JSON.stringify(officers));
  }
}

/** Changes of licences before a moment (hub time, ms), the oldest first. */
export function readChanges(db: Database.Database, before = Number.MAX_SAFE_INTEGER): readonly LicenceChange[] {
  const rows = db.prepare(sql.changes).all(before) as (LicenceChange & { readonly officers: string })[];
  return rows.map((row) => ({ ...row, officers: JSON.parse(row.officers) as string[] }));
}

/** Opens the licences of a registry; `reload` reads again what another process wrote. */
export function openLicences(db: Database.Database): Licences & { readonly reload: () => void } {
  let book = readLicences(db);
  const reload = () => {
    book = readLicences(db);
  };

  const licenceTo = db.transaction((cooperative: CooperativeId, parts: Partial<Licence>, by: ChangedBy) => {
    // Read here, inside: another officer may have changed another switch a moment ago.
    const now = readLicences(db);
    if (now.mode === 'demo') throw new RangeError('a demonstration has no licences');
    if (db.prepare(sql.cooperative).get(cooperative) === undefined) {
      throw new RangeError(`no cooperative is called ${cooperative}`);
    }
    const before = licenceIn(now, cooperative);
    const after = { ...before, ...parts };
    const fault = licenceFault(after);
    if (fault !== null) throw new RangeError(fault);
    const changes = differences(partsOf(before), partsOf(after), { ...by, cooperative, member: null });
    if (changes.length > 0) writeLicence(db, cooperative, after);
    writeChanges(db, changes);
    return changes;
  });

  const holderTo = db.transaction((member: MemberId, parts: Partial<Holder>, by: ChangedBy) => {
    const now = readLicences(db);
    const cooperative = db.prepare(sql.home).pluck().get(member) as CooperativeId | undefined;
    if (cooperative === undefined) throw new RangeError(`no member is called ${member}`);
    const before = now.holders.get(member) ?? PLAIN_HOLDER;
    const after = { ...before, ...parts };
    if (after.isPublic && !before.isPublic && !mayHold(licenceIn(now, cooperative), after)) {
      throw new RangeError(`${cooperative} serves members only, so that one of the public holds no account there`);
    }
    const changes = differences(holderParts(before), holderParts(after), { ...by, cooperative, member });
    if (changes.length > 0) db.prepare(sql.putHolder).run(member, after.level, flag(after.isPublic));
    writeChanges(db, changes);
    return changes;
  });

  return {
    mode: () => book.mode,
    putMode(mode) {
      db.prepare(sql.putMode).run(mode);
      reload();
      if (book.mode !== mode) throw new Error(`this hub is ${book.mode}, and stays so`);
    },
    licence: (cooperative) => licenceIn(book, cooperative),
    holder: (member) => book.holders.get(member) ?? PLAIN_HOLDER,
    changeLicence(cooperative, parts, by) {
      const changes = licenceTo.immediate(cooperative, parts, by);
      reload();
      return changes;
    },
    changeHolder(member, parts, by) {
      const changes = holderTo.immediate(member, parts, by);
      reload();
      return changes;
    },
    licenceChanges: () => readChanges(db),
    reload,
  };
}
