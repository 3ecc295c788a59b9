/** Limits in SQLite: read whole with the registry, and each change in one transaction with the trace of who made it. */
import type Database from 'better-sqlite3';
import type { CooperativeId, MemberId } from '../../../protocol/ids.ts';
import { DEFAULT_PROFILE, type LimitProfile, registered, shippedProfiles } from '../../../protocol/limits.ts';
import { toWire } from '../../../protocol/money.ts';
import { bindingLimits } from '../../rules/limits.ts';
import type { Cap, Changed, LimitBook, LimitChange, MemberLimits, Signed } from '../limits.ts';
import type { Cooperative } from '../registry.ts';

/** Columns of a profile, in the order of the table. */
const COLUMNS = `name, per_tap AS perTap, per_day AS perDay, per_month AS perMonth, per_month_in AS perMonthIn,
  max_balance AS maxBalance, pin_above AS pinAbove, no_pin_sum AS noPinSum, no_pin_per_day AS noPinPerDay`;
const OF_MEMBER = 'profile, per_tap AS perTap, per_day AS perDay';

const sql = {
  profiles: `SELECT ${COLUMNS} FROM limit_profile ORDER BY name`,
  profile: `SELECT ${COLUMNS} FROM limit_profile WHERE name = ?`,
  putProfile: 'INSERT OR REPLACE INTO limit_profile VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  members: `SELECT member AS id, ${OF_MEMBER} FROM member_limit ORDER BY member`,
  member: `SELECT ${OF_MEMBER} FROM member_limit WHERE member = ?`,
  putMember: 'INSERT OR REPLACE INTO member_limit VALUES (?, ?, ?, ?)',
  cap: 'SELECT net_debit_cap AS netDebitCap, cap_alert AS capAlert FROM cooperative WHERE id = ?',
  putCap: 'UPDATE cooperative SET net_debit_cap = ?, cap_alert = ? WHERE id = ?',
  trace: 'INSERT INTO limit_change (at, what, name, before, after, officers) VALUES (?, ?, ?, ?, ?, ?)',
  traces: 'SELECT at, what, name, before, after, officers FROM limit_change ORDER BY id DESC LIMIT ?',
} as const;

export interface LoadedLimits {
  readonly profiles: Map<string, LimitProfile>;
  readonly limited: Map<MemberId, MemberLimits>;
}

const valuesOf = (profile: LimitProfile) => {
  const { name, perTap, perDay, perMonth, perMonthIn, maxBalance, pinAbove, noPinSum, noPinPerDay } = profile;
  return [name, perTap, perDay, perMonth, perMonthIn, maxBalance, pinAbove, noPinSum, noPinPerDay];
};

/** Writes the shipped profiles into a registry that has none yet. */
export function shipProfiles(db: Database.Database): void {
  const some = db.prepare('SELECT 1 FROM limit_profile');
  if (some.get() !== undefined) return;
  const put = db.prepare(sql.putProfile);
  db.transaction(() => {
    // Asked again under the lock: another process may have shipped them, and officers changed them, meanwhile.
    if (some.get() === undefined) for (const profile of shippedProfiles) put.run(valuesOf(profile));
  }).immediate();
}

/** Reads all profiles, and what members were given or chose. */
export function loadLimits(db: Database.Database): LoadedLimits {
  const profiles = db.prepare(sql.profiles).safeIntegers().all() as LimitProfile[];
  const members = db.prepare(sql.members).safeIntegers().all() as (MemberLimits & { readonly id: MemberId })[];
  return {
    profiles: new Map(profiles.map((profile) => [profile.name, profile])),
    limited: new Map(members.map(({ id, ...limits }) => [id, limits])),
  };
}

/** JSON with amounts as whole numbers. */
const spell = (value: object): string =>
  JSON.stringify(value, (_name, part: unknown) => (typeof part === 'bigint' ? toWire(part) : part));

/** What a member is bound by who was given nothing. */
const none: MemberLimits = { profile: DEFAULT_PROFILE, perTap: null, perDay: null };

/** The verbs of the limits over what the registry has loaded. */
export function openLimits(
  db: Database.Database,
  { profiles, limited, cooperatives }: LoadedLimits & { readonly cooperatives: Map<CooperativeId, Cooperative> },
): LimitBook {
  const find = <T>(query: string, key: string) => db.prepare(query).safeIntegers().get(key) as T | undefined;
  const trace = db.prepare(sql.trace);

  /** Judges and writes under the lock: what another process has changed meanwhile is seen, and not overwritten. */
  function change<T extends object>(
    { what, name, officers, at }: Signed & Pick<LimitChange, 'what' | 'name'>,
    { before, to, put }: { before: () => T | null; to: (before: T | null) => T | string; put: (after: T) => void },
  ): Changed {
    return db
      .transaction((): Changed => {
        const was = before();
        const after = to(was);
        if (typeof after === 'string') return { ok: false, error: after };
        put(after);
        trace.run(at, what, name, was && spell(was), spell(after), JSON.stringify(officers));
        return { ok: true };
      })
      .immediate();
  }

  return {
    profiles: () => [...profiles.values()],
    limitedMembers: () => [...limited],
    limitsOf(member) {
      const own = limited.get(member);
      const profile = profiles.get(own?.profile ?? DEFAULT_PROFILE) ?? registered;
      return own === undefined ? profile : bindingLimits(profile, own);
    },
    changeProfile: (name, signed, to) =>
      change<LimitProfile>(
        { ...signed, what: 'profile', name },
        {
          before: () => find<LimitProfile>(sql.profile, name) ?? null,
          to,
          put(after) {
            db.prepare(sql.putProfile).run(valuesOf(after));
            profiles.set(name, after);
          },
        },
      ),
    changeCap: (id: CooperativeId, signed, to) =>
      change<Cap>(
        { ...signed, what: 'cap', name: id },
        {
          before() {
            const row = find<{ readonly netDebitCap: bigint; readonly capAlert: bigint }>(sql.cap, id);
            return row === undefined ? null : { ...row, capAlert: Number(row.capAlert) };
          },
          to: (before) => (before === null ? `cooperative ${id} is not registered` : to(before)),
          put({ netDebitCap, capAlert }) {
            db.prepare(sql.putCap).run(netDebitCap, capAlert, id);
            const known = cooperatives.get(id);
            if (known !== undefined) cooperatives.set(id, { ...known, netDebitCap, capAlert });
          },
        },
      ),
    changeMember: (id, signed, to) =>
      change<MemberLimits>(
        { ...signed, what: 'member', name: id },
        {
          before: () => find<MemberLimits>(sql.member, id) ?? none,
          to: (before) => to(before ?? none),
          put(after) {
            db.prepare(sql.putMember).run(id, after.profile, after.perTap, after.perDay);
            limited.set(id, after);
          },
        },
      ),
    limitChanges: (limit) =>
      (db.prepare(sql.traces).all(limit) as (Omit<LimitChange, 'officers'> & { readonly officers: string })[]).map(
        (row) => ({ ...row, officers: JSON.parse(row.officers) as string[] }),
      ),
  };
}
