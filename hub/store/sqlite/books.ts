/** Books: the accounts of the ledger in memory, judged there and written back once a batch. */
import type Database from 'better-sqlite3';
import type { CooperativeId } from '../../../protocol/ids.ts';
import type { Refusal } from '../../../protocol/refusals.ts';
import { type Account, type AccountKind, accountKinds, accountName } from '../../rules/accounts.ts';
import type { Leg } from '../../rules/entries.ts';
import { type Usage, unused } from '../../rules/usage.ts';

/** An account as the ledger holds it. */
export interface Held extends Usage {
  readonly account: Account;
  /** 0 until its first leg. */
  id: number;
  balance: bigint;
  head: number;
  /** What open holds may still move toward its bound: below zero where it must not fall, above where not rise. */
  pending: bigint;
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
  /** Of a member's account; its first row is inserted, then updated. */
  use: 'UPDATE account SET balance = ?, head = ?, day = ?, day_out = ?, month_out = ?, month_in = ? WHERE id = ?',
} as const;

interface AccountRow {
  readonly id: bigint;
  readonly balance: bigint;
  readonly head: bigint;
  readonly day: string;
  readonly day_out: bigint;
  readonly month_out: bigint;
  readonly month_in: bigint;
}

/** Whether a balance keeps the bound of its kind (TRUTH section 7). */
function keeps(kind: AccountKind, balance: bigint): boolean {
  const { bound } = accountKinds[kind];
  return bound === 'free' || (bound === 'credit' ? balance >= 0n : balance <= 0n);
}

export interface Books {
  /** The accounts of the legs, in their order. */
  readonly resolve: (legs: readonly Leg[]) => readonly Held[];
  /** An account, kept in memory: for one whose legs are to be posted in the same breath. */
  readonly get: (account: Account) => Held;
  /** Why the legs cannot be posted as one entry, or null. Changes nothing. */
  readonly refusal: (accounts: readonly Held[], legs: readonly Leg[]) => Refusal | null;
  /** The sum of a cooperative's positions with these legs, and with those of all open holds that make it rise. */
  readonly positionAfter: (cooperative: CooperativeId, legs: readonly Leg[]) => bigint;
  /** Sets the legs of a hold aside, or gives them free again, in every bound they touch. */
  readonly reserve: (legs: readonly Leg[]) => void;
  readonly unreserve: (legs: readonly Leg[]) => void;
  /** Moves an account by the leg of this id. */
  readonly post: (held: Held, amount: bigint, id: number) => void;
  /** Balance and newest leg of an account, without keeping it in memory. */
  readonly peek: (account: Account) => Readonly<Pick<Held, 'id' | 'balance' | 'head'>>;
  /** What an account may still give: its balance less what open holds wait for. */
  readonly free: (account: Account) => bigint;
  /** Writes every account touched since the last flush, once. */
  readonly flush: () => void;
  /** Forgets what a rolled-back batch left in memory, and all that was set aside. */
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
    if (found === null && !keeps(kind, one.balance + one.pending + one.change)) found = accountKinds[kind].refusal;
  }
  for (const one of accounts) one.change = 0n;
  return found;
}

function statements(db: Database.Database) {
  return {
    find: db
      .prepare(
        `SELECT id, balance, head, day, day_out, month_out, month_in FROM account
          WHERE cooperative = ? AND kind = ? AND owner = ?`,
      )
      .safeIntegers(),
    last: db.prepare('SELECT coalesce(max(id), 0) FROM account').pluck(),
    insert: db.prepare(accountSql.insert),
    update: db.prepare(accountSql.update),
    use: db.prepare(accountSql.use),
    sums: db
      .prepare("SELECT cooperative, sum(balance) FROM account WHERE kind = 'position' GROUP BY cooperative")
      .safeIntegers()
      .raw(),
  };
}

type Statements = ReturnType<typeof statements>;

/** The part of a movement that uses up the room to an account's bound. */
function towardBound(kind: AccountKind, amount: bigint): bigint {
  const { bound } = accountKinds[kind];
  if (bound === 'free') return 0n;
  return (bound === 'credit' ? amount < 0n : amount > 0n) ? amount : 0n;
}

/** What open holds wait for: by account, and the rise of each cooperative's positions. */
class Pending {
  readonly #accounts = new Map<string, bigint>();
  readonly #positions = new Map<CooperativeId, bigint>();

  of(account: Account): bigint {
    return this.#accounts.size === 0 ? 0n : (this.#accounts.get(accountName(account)) ?? 0n);
  }

  rise(cooperative: CooperativeId): bigint {
    return this.#positions.get(cooperative) ?? 0n;
  }

  /** Adds the legs of a hold (`sign` 1) or takes them out (-1). */
  add(legs: readonly Leg[], sign: 1n | -1n): void {
    const moved = new Map<string, { readonly kind: AccountKind; amount: bigint }>();
    const risen = new Map<CooperativeId, bigint>();
    for (const { account, amount } of legs) {
      const { cooperative, kind } = account;
      const name = accountName(account);
      moved.set(name, { kind, amount: amount + (moved.get(name)?.amount ?? 0n) });
      if (kind === 'position') risen.set(cooperative, amount + (risen.get(cooperative) ?? 0n));
    }
    for (const [name, { kind, amount }] of moved) put(this.#accounts, name, sign * towardBound(kind, amount));
    // A fall is no room for others: the hold may end void.
    for (const [cooperative, amount] of risen) put(this.#positions, cooperative, amount > 0n ? sign * amount : 0n);
  }

  clear(): void {
    this.#accounts.clear();
    this.#positions.clear();
  }
}

function put<Key>(sums: Map<Key, bigint>, key: Key, change: bigint): void {
  const sum = (sums.get(key) ?? 0n) + change;
  if (sum === 0n) sums.delete(key);
  else sums.set(key, sum);
}

function read({ find }: Statements, pending: Pending, account: Account): Held {
  const row = find.get(account.cooperative, account.kind, account.owner) as AccountRow | undefined;
  const usage =
    row === undefined
      ? unused()
      : { day: row.day, dayOut: row.day_out, monthOut: row.month_out, monthIn: row.month_in };
  return {
    account,
    id: Number(row?.id ?? 0n),
    balance: row?.balance ?? 0n,
    head: Number(row?.head ?? 0n),
    pending: pending.of(account),
    change: 0n,
    changed: false,
    stored: row !== undefined,
    ...usage,
  };
}

/** Writes an account's row: its first, or its new balance and head, and what a member has used. */
function write({ insert, update, use }: Statements, one: Held): void {
  const { cooperative, kind, owner } = one.account;
  if (!one.stored) insert.run(one.id, cooperative, kind, owner, accountKinds[kind].bound, one.balance, one.head);
  if (kind === 'member') {
    if (one.stored || one.day !== '') {
      use.run(one.balance, one.head, one.day, one.dayOut, one.monthOut, one.monthIn, one.id);
    }
  } else if (one.stored) update.run(one.balance, one.head, one.id);
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
  const pending = new Pending();
  let positions = new Map<string, bigint>();
  let lastId = 0;

  function reload(): void {
    held.clear();
    changed.length = 0;
    pending.clear();
    positions = new Map(sql.sums.all() as [string, bigint][]);
    lastId = sql.last.get() as number;
  }

  function get(account: Account): Held {
    const known = held.find(account);
    if (known !== undefined) return known;
    const found = read(sql, pending, account);
    held.add(found);
    return found;
  }

  function positionAfter(cooperative: CooperativeId, legs: readonly Leg[]): bigint {
    let sum = (positions.get(cooperative) ?? 0n) + pending.rise(cooperative);
    for (const { account, amount } of legs) {
      if (account.kind === 'position' && account.cooperative === cooperative) sum += amount;
    }
    return sum;
  }

  function setAside(legs: readonly Leg[], sign: 1n | -1n): void {
    pending.add(legs, sign);
    for (const { account } of legs) {
      const known = held.find(account);
      if (known !== undefined) known.pending = pending.of(account);
    }
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
    get,
    refusal,
    positionAfter,
    reserve: (legs) => setAside(legs, 1n),
    unreserve: (legs) => setAside(legs, -1n),
    post,
    peek: (account) => held.find(account) ?? read(sql, pending, account),
    free(account) {
      const { balance, pending: waiting } = get(account);
      return balance + waiting;
    },
    flush,
    reload,
  };
}
