/** Books: the accounts of the ledger in memory, judged there and written back once a batch. */
import type Database from 'better-sqlite3';
import type { CooperativeId } from '../../../protocol/ids.ts';
import type { Refusal } from '../../../protocol/refusals.ts';
import { type Account, type AccountKind, accountKinds } from '../../rules/accounts.ts';
import type { Leg } from '../../rules/entries.ts';

/** An account as the ledger holds it. */
export interface Held {
  readonly account: Account;
  /** 0 until its first leg. */
  id: number;
  balance: bigint;
  head: number;
  /** Sum of the legs being judged. */
  change: bigint;
  changed: boolean;
  stored: boolean;
}

/** Accounts kept in memory between batches; beyond, all are forgotten and read again when needed. */
const KEPT_MAX = 200_000;

export const accountSql = {
  insert: 'INSERT INTO account (id, cooperative, kind, owner, bound, balance, head) VALUES (?, ?, ?, ?, ?, ?, ?)',
  update: 'UPDATE account SET balance = ?, head = ? WHERE id = ?',
} as const;

interface AccountRow {
  readonly id: bigint;
  readonly balance: bigint;
  readonly head: bigint;
}

/** Whether a balance keeps the bound of its kind (TRUTH section 7). */
function keeps(kind: AccountKind, balance: bigint): boolean {
  const { bound } = accountKinds[kind];
  return bound === 'free' || (bound === 'credit' ? balance >= 0n : balance <= 0n);
}

export interface Books {
  /** The accounts of the legs, in their order. */
  readonly resolve: (legs: readonly Leg[]) => readonly Held[];
  /** Why the legs cannot be posted as one entry, or null. Changes nothing. */
  readonly refusal: (accounts: readonly Held[], legs: readonly Leg[]) => Refusal | null;
  /** The sum of a cooperative's positions with these legs. */
  readonly positionAfter: (cooperative: CooperativeId, legs: readonly Leg[]) => bigint;
  /** Moves an account by the leg of this id. */
  readonly post: (held: Held, amount: bigint, id: number) => void;
  /** Balance and newest leg of an account, without keeping it in memory. */
  readonly peek: (account: Account) => Readonly<Pick<Held, 'id' | 'balance' | 'head'>>;
  /** Writes every account touched since the last flush, once. */
  readonly flush: () => void;
  /** Forgets what a rolled-back batch left in memory. */
  readonly reload: () => void;
}

function refusal(accounts: readonly Held[], legs: readonly Leg[]): Refusal | null {
  legs.forEach((leg, index) => {
    const one = accounts[index];
    if (one !== undefined) one.change += leg.amount;
  });
  let found: Refusal | null = null;
  for (const one of accounts) {
    const { kind } = one.account;
    if (found === null && !keeps(kind, one.balance + one.change)) found = accountKinds[kind].refusal;
  }
  for (const one of accounts) one.change = 0n;
  return found;
}

function statements(db: Database.Database) {
  return {
    find: db
      .prepare('SELECT id, balance, head FROM account WHERE cooperative = ? AND kind = ? AND owner = ?')
      .safeIntegers(),
    last: db.prepare('SELECT coalesce(max(id), 0) FROM account').pluck(),
    insert: db.prepare(accountSql.insert),
    update: db.prepare(accountSql.update),
    sums: db
      .prepare("SELECT cooperative, sum(balance) FROM account WHERE kind = 'position' GROUP BY cooperative")
      .safeIntegers()
      .raw(),
  };
}

type Statements = ReturnType<typeof statements>;

function read({ find }: Statements, account: Account): Held {
  const row = find.get(account.cooperative, account.kind, account.owner) as AccountRow | undefined;
  return {
    account,
    id: Number(row?.id ?? 0n),
    balance: row?.balance ?? 0n,
    head: Number(row?.head ?? 0n),
    change: 0n,
    changed: false,
    stored: row !== undefined,
  };
}

/** Writes an account's row: its first, or its new balance and head. */
function write({ insert, update }: Statements, one: Held): void {
  const { cooperative, kind, owner } = one.account;
  if (one.stored) update.run(one.balance, one.head, one.id);
  else insert.run(one.id, cooperative, kind, owner, accountKinds[kind].bound, one.balance, one.head);
  one.stored = true;
  one.changed = false;
}

/** Accounts in memory by kind, cooperative and owner: three short names are found sooner than one made of them. */
class Shelf {
  size = 0;
  readonly #kinds = new Map<AccountKind, Map<CooperativeId, Map<string, Held>>>();

  find({ kind, cooperative, owner }: Account): Held | undefined {
    return this.#kinds.get(kind)?.get(cooperative)?.get(owner);
  }

  add(one: Held): void {
    const { kind, cooperative, owner } = one.account;
    const cooperatives = this.#kinds.get(kind) ?? new Map<CooperativeId, Map<string, Held>>();
    const owners = cooperatives.get(cooperative) ?? new Map<string, Held>();
    this.#kinds.set(kind, cooperatives.set(cooperative, owners.set(owner, one)));
    this.size += 1;
  }

  clear(): void {
    this.#kinds.clear();
    this.size = 0;
  }
}

/** Loads the books of an open ledger database. */
export function openBooks(db: Database.Database): Books {
  const sql = statements(db);
  const held = new Shelf();
  const changed: Held[] = [];
  let positions = new Map<string, bigint>();
  let lastId = 0;

  function reload(): void {
    held.clear();
    changed.length = 0;
    positions = new Map(sql.sums.all() as [string, bigint][]);
    lastId = sql.last.get() as number;
  }

  function get(account: Account): Held {
    const known = held.find(account);
    if (known !== undefined) return known;
    const found = read(sql, account);
    held.add(found);
    return found;
  }

  function positionAfter(cooperative: CooperativeId, legs: readonly Leg[]): bigint {
    let sum = positions.get(cooperative) ?? 0n;
    for (const { account, amount } of legs) {
      if (account.kind === 'position' && account.cooperative === cooperative) sum += amount;
    }
    return sum;
  }

  function post(one: Held, amount: bigint, id: number): void {
    if (one.id === 0) {
      lastId += 1;
      one.id = lastId;
    }
    if (!one.changed) {
      one.changed = true;
      changed.push(one);
    }
    one.balance += amount;
    one.head = id;
    const { kind, cooperative } = one.account;
    if (kind === 'position') positions.set(cooperative, (positions.get(cooperative) ?? 0n) + amount);
  }

  function flush(): void {
    for (const one of changed) write(sql, one);
    changed.length = 0;
    if (held.size > KEPT_MAX) held.clear();
  }

  reload();
  return {
    resolve: (legs) => legs.map((leg) => get(leg.account)),
    refusal,
    positionAfter,
    post,
    peek: (account) => held.find(account) ?? read(sql, account),
    flush,
    reload,
  };
}
