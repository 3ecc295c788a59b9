/** Incentives in SQLite: read whole with the registry, and each change in one transaction with its trace. */
import type Database from 'better-sqlite3';
import type { CooperativeId, OutletId } from '../../../protocol/ids.ts';
import { toWire } from '../../../protocol/money.ts';
import { type Incentive, incentiveFault } from '../../rules/incentives.ts';
import type { IncentiveChange, Incentives } from '../incentives.ts';
import type { Changed, Signed } from '../limits.ts';
import type { Cooperative, Outlet } from '../registry.ts';

const COLUMNS = `id, cooperative, budget, kind, form, outlet, acquirer, members, fixed, basis_points AS basisPoints,
  most, least, valid_from AS "from", valid_until AS until`;

const sql = {
  all: `SELECT ${COLUMNS} FROM incentive ORDER BY id`,
  one: `SELECT ${COLUMNS} FROM incentive WHERE id = ?`,
  add: 'INSERT INTO incentive VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
  end: 'UPDATE incentive SET valid_until = ? WHERE id = ?',
  marks: "SELECT cooperative || '/' || id AS name, low FROM incentive_budget",
  mark: 'INSERT OR REPLACE INTO incentive_budget VALUES (?, ?, ?)',
  trace: 'INSERT INTO incentive_change (at, what, name, after, officers) VALUES (?, ?, ?, ?, ?)',
  traces: 'SELECT at, what, name, after, officers FROM incentive_change ORDER BY id DESC LIMIT ?',
} as const;

export interface LoadedIncentives {
  readonly incentives: Map<string, Incentive>;
  /** By `cooperative/budget`. */
  readonly budgetMarks: Map<string, bigint>;
}

type Row = Omit<Incentive, 'basisPoints'> & { readonly basisPoints: bigint };

const ruleOf = (row: Row): Incentive => ({ ...row, basisPoints: Number(row.basisPoints) });

export function loadIncentives(db: Database.Database): LoadedIncentives {
  const rules = (db.prepare(sql.all).safeIntegers().all() as Row[]).map(ruleOf);
  const marks = db.prepare(sql.marks).safeIntegers().all() as { readonly name: string; readonly low: bigint }[];
  return {
    incentives: new Map(rules.map((rule) => [rule.id, rule])),
    budgetMarks: new Map(marks.map(({ name, low }) => [name, low])),
  };
}

/** JSON with amounts as whole numbers. */
const spell = (value: object): string =>
  JSON.stringify(value, (_name, part: unknown) => (typeof part === 'bigint' ? toWire(part) : part));

interface Known extends LoadedIncentives {
  readonly cooperatives: ReadonlyMap<CooperativeId, Cooperative>;
  readonly outlets: ReadonlyMap<OutletId, Outlet>;
}

/** What a rule names and nobody has registered, or null. */
function unknownIn({ cooperatives, outlets }: Known, { cooperative, outlet, acquirer, members }: Incentive) {
  for (const id of [cooperative, acquirer, members]) {
    if (id !== null && !cooperatives.has(id)) return `cooperative ${JSON.stringify(id)} is not registered`;
  }
  return outlet === null || outlets.has(outlet) ? null : `outlet ${JSON.stringify(outlet)} is not registered`;
}

/** The verbs of the incentives over what the registry has loaded. */
export function openIncentives(db: Database.Database, known: Known): Incentives {
  const { incentives, budgetMarks } = known;
  const trace = db.prepare(sql.trace);
  const note = ({ officers, at }: Signed, what: IncentiveChange['what'], name: string, after: object) =>
    void trace.run(at, what, name, spell(after), JSON.stringify(officers));
  const find = (id: string): Incentive | null => {
    const row = db.prepare(sql.one).safeIntegers().get(id) as Row | undefined;
    return row === undefined ? null : ruleOf(row);
  };

  function change(make: () => Incentive | string): Changed {
    // Under the lock: what another process has changed meanwhile is seen, and not overwritten.
    const made = db.transaction(make).immediate();
    if (typeof made === 'string') return { ok: false, error: made };
    incentives.set(made.id, made);
    return { ok: true };
  }

  return {
    incentives: () => incentives,
    budgetMark: (cooperative, budget) => budgetMarks.get(`${cooperative}/${budget}`) ?? 0n,
    addIncentive: (rule, signed) =>
      change(() => {
        const fault = incentiveFault(rule) ?? unknownIn(known, rule);
        if (fault !== null) return `the incentive cannot be applied: ${fault}`;
        if (find(rule.id) !== null) return `incentive ${rule.id} is there already; choose another name`;
        const { id, cooperative, budget, kind, form, outlet, acquirer, members, fixed, basisPoints } = rule;
        const where = [id, cooperative, budget, kind, form, outlet, acquirer, members];
        db.prepare(sql.add).run(...where, fixed, basisPoints, rule.most, rule.least, rule.from, rule.until);
        note(signed, 'add', id, rule);
        return rule;
      }),
    endIncentive: (id, until, signed) =>
      change(() => {
        const rule = find(id);
        if (rule === null) return `incentive ${JSON.stringify(id)} is not known; simpul-hub incentives list names them`;
        if (rule.until !== null && rule.until <= until) return `incentive ${id} ends on ${rule.until} already`;
        const ended = { ...rule, until };
        // Also before its first day: it then never applies.
        db.prepare(sql.end).run(until, id);
        note(signed, 'end', id, { until });
        return ended;
      }),
    noteFunding(cooperative, budget, amount, mark, signed) {
      const name = `${cooperative}/${budget}`;
      db.transaction(() => {
        db.prepare(sql.mark).run(cooperative, budget, mark);
        note(signed, 'fund', name, { amount, mark });
      }).immediate();
      budgetMarks.set(name, mark);
    },
    incentiveChanges: (limit) =>
      (db.prepare(sql.traces).all(limit) as (Omit<IncentiveChange, 'officers'> & { readonly officers: string })[]).map(
        (row) => ({ ...row, officers: JSON.parse(row.officers) as string[] }),
      ),
  };
}
