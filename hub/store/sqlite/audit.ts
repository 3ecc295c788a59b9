/** Audit: proves the books from the legs alone, beside the hub or after it, without trusting any stored sum. */
import Database from 'better-sqlite3';
import type { CooperativeId } from '../../../protocol/ids.ts';
import { type AccountKind, accountKinds } from '../../rules/accounts.ts';
import type { EntryKind } from '../../rules/entries.ts';
import { readTagEvidence } from '../../rules/tagevidence.ts';
import { giveBack, type Usage, unused, usageOf, use } from '../../rules/usage.ts';
import type { TrialBalance } from '../ledger.ts';
import { keyOf } from './decisions.ts';

const queries = {
  entries: 'SELECT count(*) FROM entry WHERE legs > 0',
  total: 'SELECT coalesce(sum(amount), 0) FROM leg',
  sums: `SELECT a.id, a.cooperative, a.kind, a.owner, a.balance, a.head, coalesce(s.amount, 0) AS sum,
      coalesce(s.newest, 0) AS newest
    FROM account a LEFT JOIN (SELECT account, sum(amount) AS amount, max(id) AS newest FROM leg GROUP BY account) s
      ON s.account = a.id`,
  // A leg continues the chain if the leg it names is of the same account and older, and the balances differ by the
  // amount.
  breaks: `SELECT DISTINCT leg.account FROM leg LEFT JOIN leg before ON before.id = leg.previous
    WHERE CASE WHEN leg.previous = 0 THEN leg.balance <> leg.amount
      ELSE before.id IS NULL OR before.id >= leg.id OR before.account <> leg.account
        OR leg.balance <> before.balance + leg.amount END`,
  strays: 'SELECT DISTINCT leg.account FROM leg LEFT JOIN account ON account.id = leg.account WHERE account.id IS NULL',
  // Legs of an entry stand in a row, as many as it says, and sum to zero in each cooperative's books.
  uneven: `SELECT DISTINCT entry.key FROM leg
    JOIN account ON account.id = leg.account JOIN entry ON entry.id = leg.entry
    GROUP BY leg.entry, account.cooperative HAVING sum(leg.amount) <> 0`,
  // What a tag and the hub said to each other is bound to the decision that it stands under.
  relayed: `SELECT key, amount, evidence FROM entry WHERE authority = 'hub-relayed-session' AND kind = 'purchase'`,
  lost: `SELECT entry.key FROM entry LEFT JOIN (SELECT entry, count(*) AS n, min(id) AS first FROM leg GROUP BY entry) l
      ON l.entry = entry.id
    WHERE entry.legs <> coalesce(l.n, 0) OR (entry.legs > 0 AND entry.leg <> l.first)
    UNION ALL SELECT leg.entry FROM leg LEFT JOIN entry ON entry.id = leg.entry WHERE entry.id IS NULL`,
  // The end of a reload stands 2^24 origins above its release (RELOAD_ORIGIN - RELEASE_ORIGIN), for the same money.
  unreleased: `SELECT done.key FROM entry done
    LEFT JOIN entry sent ON sent.key = done.key - 281474976710656 AND sent.kind = 'reload-release'
    WHERE (done.kind = 'reload' OR done.kind = 'reload-void')
      AND (sent.id IS NULL OR sent.id > done.id OR sent.card IS NOT done.card OR sent.amount <> done.amount)`,
  // A withdrawal or a bill is the end of a hold; what has ended is decided, what is open is not.
  unheld: `SELECT entry.key FROM entry LEFT JOIN hold ON hold.key = entry.key
    WHERE (entry.kind = 'withdrawal' OR entry.kind = 'bill') AND hold.state IS NOT 'posted'
    UNION SELECT hold.key FROM hold LEFT JOIN entry ON entry.key = hold.key
    WHERE (hold.state = 'held' OR hold.state = 'released') <> (entry.id IS NULL)
      OR (hold.state = 'posted') <> (entry.kind IS 'withdrawal' OR entry.kind IS 'bill')
      OR (hold.state = 'posted') <> (entry.legs > 0)
      OR entry.amount <> json_extract(hold.instruction, '$.figures.amount') OR entry.hash <> hold.hash`,
  // Members' legs in the order of posting, with the date by which each counts: a return's is that of the entry it
  // takes back: the payment it names, or a reload's release 2^24 origins below (RELOAD_ORIGIN - RELEASE_ORIGIN).
  used: `SELECT account.id, leg.amount, entry.kind, entry.date, undone.date AS undone, undone.kind AS undoneKind
    FROM leg CROSS JOIN account ON account.id = leg.account CROSS JOIN entry ON entry.id = leg.entry
    LEFT JOIN entry undone ON undone.key = coalesce(entry.original, entry.key - 281474976710656)
    WHERE account.kind = 'member' ORDER BY leg.id`,
  usage: `SELECT id, day, day_out AS dayOut, month_out AS monthOut, month_in AS monthIn FROM account`,
  // Of no payment was more taken back than it moved, and what its row says of that is what the entries say.
  exceeded: `WITH taken AS (
      SELECT original AS key,
        sum(CASE WHEN kind = 'dispute' OR kind = 'dispute-lost' THEN 0 ELSE amount END) AS refunded
      FROM entry WHERE original IS NOT NULL AND outcome = 'approved' GROUP BY original)
    SELECT taken.key FROM taken LEFT JOIN returned ON returned.key = taken.key
      LEFT JOIN entry paid ON paid.key = taken.key
    WHERE paid.outcome IS NOT 'approved' OR returned.refunded IS NOT taken.refunded
      OR returned.refunded + returned.disputed > paid.amount
    UNION SELECT returned.key FROM returned LEFT JOIN taken ON taken.key = returned.key WHERE taken.key IS NULL
    UNION SELECT returned.key FROM returned WHERE returned.disputed <> coalesce((SELECT -balance FROM account
      WHERE kind = 'provisional' AND owner = (returned.key >> 24) || '/' || (returned.key & 16777215)), 0)
    UNION SELECT returned.key FROM returned WHERE disputed - provisional <> coalesce((SELECT balance FROM account
      WHERE kind = 'suspense' AND owner = 'dispute ' || (returned.key >> 24) || '/' || (returned.key & 16777215)), 0)
    UNION SELECT leg.entry FROM account JOIN leg ON leg.id = account.head
      WHERE kind = 'provisional' AND account.balance <> 0 AND NOT EXISTS (SELECT 1 FROM returned
        WHERE account.owner = (returned.key >> 24) || '/' || (returned.key & 16777215))`,
  // What was released ends by the word that the cash is out or by two officers; nothing else is paid (TRUTH section 6).
  misended: `SELECT key FROM hold
    WHERE (released IS NULL AND state = 'released') OR (released IS NOT NULL AND state = 'held')
      OR (json_extract(instruction, '$.kind') = 'withdrawal' AND officers IS NULL
        AND ((state = 'posted' AND released IS NULL) OR (state = 'voided' AND released IS NOT NULL)))`,
  // A withdrawal moves the cash of the counter and the money of the member that its hold names.
  misposted: `SELECT hold.key FROM hold JOIN entry ON entry.key = hold.key
    WHERE entry.kind = 'withdrawal' AND 2 <> (SELECT count(*) FROM leg JOIN account a ON a.id = leg.account
      WHERE leg.id >= entry.leg AND leg.id < entry.leg + entry.legs
        AND ((leg.amount = -entry.amount AND a.cooperative = json_extract(instruction, '$.figures.issuer')
            AND (CASE WHEN json_extract(instruction, '$.figures.payee') IS NULL
              THEN a.kind = 'member' AND a.owner = json_extract(instruction, '$.figures.member')
              ELSE a.kind = 'payout' AND a.owner = json_extract(instruction, '$.figures.payee') END))
          OR (a.kind = 'drawer' AND leg.amount = entry.amount
            AND a.cooperative = json_extract(instruction, '$.figures.acquirer')
            AND a.owner = json_extract(instruction, '$.figures.outlet'))))`,
  // What open holds have set aside still lies in the members' accounts.
  spent: `SELECT a.id FROM account a JOIN (
      SELECT json_extract(instruction, '$.figures.issuer') AS issuer,
        json_extract(instruction, '$.figures.member') AS member,
        sum(json_extract(instruction, '$.figures.amount')) AS amount
      FROM hold WHERE (state = 'held' OR state = 'released') AND json_extract(instruction, '$.kind') = 'withdrawal'
        AND json_extract(instruction, '$.figures.payee') IS NULL GROUP BY 1, 2) waiting
    ON a.kind = 'member' AND a.cooperative = waiting.issuer AND a.owner = waiting.member
    WHERE a.balance < waiting.amount`,
  // A float is part of the cash that lies in the drawer and is not set aside.
  floats: `WITH waiting AS (
      SELECT json_extract(instruction, '$.figures.outlet') AS outlet,
        json_extract(instruction, '$.figures.amount') AS amount
      FROM hold WHERE (state = 'held' OR state = 'released') AND json_extract(instruction, '$.kind') = 'withdrawal')
    SELECT outlet, value,
      coalesce((SELECT -sum(balance) FROM account WHERE kind = 'drawer' AND owner = float.outlet), 0)
      - coalesce((SELECT sum(amount) FROM waiting WHERE waiting.outlet = float.outlet), 0) AS free
    FROM (SELECT outlet, value FROM float
      UNION ALL SELECT DISTINCT outlet, 0 FROM waiting WHERE outlet NOT IN (SELECT outlet FROM float)) float`,
} as const;

interface FloatRow {
  readonly outlet: string;
  readonly value: bigint;
  readonly free: bigint;
}

interface Sum {
  readonly id: bigint;
  readonly cooperative: CooperativeId;
  readonly kind: AccountKind;
  readonly owner: string;
  readonly balance: bigint;
  readonly head: bigint;
  readonly sum: bigint;
  readonly newest: bigint;
}

function outOfBound({ kind, sum }: Sum): boolean {
  const { bound } = accountKinds[kind];
  return (bound === 'credit' && sum < 0n) || (bound === 'debit' && sum > 0n);
}

/** Pairs of cooperatives whose positions toward each other do not cancel, each named once. */
function brokenPairs(sums: readonly Sum[]): string[] {
  const pairs = new Map<string, bigint>();
  for (const { kind, cooperative, owner, sum } of sums) {
    if (kind !== 'position') continue;
    const pair = cooperative < owner ? `${cooperative}/${owner}` : `${owner}/${cooperative}`;
    pairs.set(pair, (pairs.get(pair) ?? 0n) + sum);
  }
  return [...pairs].filter(([, sum]) => sum !== 0n).map(([pair]) => pair);
}

interface Relayed {
  readonly key: bigint;
  readonly amount: bigint;
  readonly evidence: Uint8Array | null;
}

/** Whether the evidence of a sale with a tag is of this very sale. */
function isBound({ key, amount, evidence }: Relayed): boolean {
  const { origin, seq } = keyOf(Number(key));
  const said = evidence === null ? null : readTagEvidence(evidence);
  return said !== null && said.amount === amount && said.kiosk === origin && said.seq === seq;
}

interface UsedRow {
  readonly id: bigint;
  readonly amount: bigint;
  readonly kind: EntryKind;
  readonly date: string;
  /** Of what a return takes back. */
  readonly undone: string | null;
  readonly undoneKind: EntryKind | null;
}

/** Accounts whose day and month are not what their legs have used, by the very rule that counted them. */
function miscounted(db: Database.Database): bigint[] {
  const used = new Map<bigint, Usage>();
  for (const row of db.prepare(queries.used).safeIntegers().iterate() as IterableIterator<UsedRow>) {
    const { id, amount, kind, date, undone, undoneKind } = row;
    const way = usageOf[kind];
    if (way === 'none') continue;
    const usage = used.get(id) ?? unused();
    used.set(id, usage);
    if (way === 'moves') use(usage, amount, date);
    else giveBack(usage, amount, undoneKind !== null && usageOf[undoneKind] === 'moves' ? (undone ?? '') : '');
  }
  const differs = ({ id, day, dayOut, monthOut, monthIn }: Usage & { readonly id: bigint }): boolean => {
    const found = used.get(id) ?? unused();
    return day !== found.day || dayOut !== found.dayOut || monthOut !== found.monthOut || monthIn !== found.monthIn;
  };
  const rows = db.prepare(queries.usage).safeIntegers().all() as (Usage & { readonly id: bigint })[];
  return rows.filter(differs).map(({ id }) => id);
}

/** Audits an open database in one read of its state; reads every leg. */
export function audit(db: Database.Database): TrialBalance {
  const one = (sql: string) => db.prepare(sql).safeIntegers().pluck().get() as bigint;
  const list = (sql: string) => db.prepare(sql).safeIntegers().pluck().all() as bigint[];
  return db.transaction((): TrialBalance => {
    const sums = db.prepare(queries.sums).safeIntegers().all() as Sum[];
    const broken = new Set([
      ...list(queries.breaks),
      ...list(queries.strays),
      ...list(queries.spent),
      ...miscounted(db),
    ]);
    for (const sum of sums) {
      if (sum.sum !== sum.balance || sum.newest !== sum.head || outOfBound(sum)) broken.add(sum.id);
    }
    const floats = db.prepare(queries.floats).safeIntegers().all() as FloatRow[];
    const { uneven, lost, unreleased, unheld, misended, misposted, exceeded } = queries;
    const entries = [uneven, lost, unreleased, unheld, misended, misposted, exceeded];
    const relayed = db.prepare(queries.relayed).safeIntegers().all() as Relayed[];
    const unbound = relayed.filter((row) => !isBound(row)).map(({ key }) => key);
    const names = new Map(sums.map(({ id, cooperative, kind, owner }) => [id, `${cooperative}/${kind}/${owner}`]));
    const cooperatives = new Map<CooperativeId, bigint>();
    for (const { cooperative, sum } of sums) cooperatives.set(cooperative, (cooperatives.get(cooperative) ?? 0n) + sum);
    return {
      entries: Number(one(queries.entries)),
      total: one(queries.total),
      cooperatives,
      brokenPairs: brokenPairs(sums),
      brokenAccounts: [
        ...[...broken].map((id) => names.get(id) ?? `account ${id} of no name`),
        ...floats.filter(({ value, free }) => value < 0n || value > free).map(({ outlet }) => `float of ${outlet}`),
      ],
      brokenEntries: [...new Set([...entries.flatMap(list), ...unbound])].map(String),
    };
  })();
}

/**
 * Audits a ledger file from any process, while a hub has it open or after it was closed. Changes nothing.
 * @throws if the file is not a ledger.
 */
export function auditFile(path: string): TrialBalance {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    return audit(db);
  } finally {
    db.close();
  }
}
