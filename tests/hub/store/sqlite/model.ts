/** The reference model: whose money each approved work moves, in plain sums (TRUTH sections 6, 7, 9 and 11). */
import type { Account } from '../../../../hub/rules/accounts.ts';
import type * as Rules from '../../../../hub/rules/entries.ts';
import type { PostRequest } from '../../../../hub/store/ledger.ts';
import type { Part, Sums } from './modelsums.ts';
import { add, amounts, evened, least, named, nameOf, part, passed, split, sumOf, total } from './modelsums.ts';

export type Line = { readonly key: string; readonly kind: string; readonly amount: bigint; readonly balance: bigint };
/** A hold keeps what it will take; released, it ends only by an answer. */
export type Held = { request: PostRequest; until: number; legs: Sums; state: 'held' | 'released' };
/** A payment that may be taken back: who earned it, what of it the issuer bore, and what became of it. */
type Paid = Pick<Rules.Paid, 'issuer' | 'acquirer' | 'amount' | 'fee'> & Earned & Back;
type Earned = { readonly to: Part[]; readonly earned: Part[]; readonly lost: Part };
type Back = { refunded: bigint; disputed: bigint; lent: bigint; until: number; holder: string | null; ended: boolean };
/** Legs, and what they change at the payment that they take back. */
export type Meant = { readonly legs: Sums; readonly change?: (key: string) => unknown };

const NEVER_BELOW = ['member', 'purse', 'points', 'in-transit', 'payout', 'suspense', 'incentive-budget'];
const NEVER_ABOVE = ['drawer', 'bank', 'biller-deposit', 'receivable', 'guarantee-loss', 'provisional'];
/** Which way an account must not go: 1 never below zero, -1 never above, 0 either way. */
export const wallOf = ({ kind }: Account) => (NEVER_BELOW.includes(kind) ? 1n : NEVER_ABOVE.includes(kind) ? -1n : 0n);

/** From one pocket to another of the same books. */
const WAYS: Readonly<Record<string, readonly [string, string]>> = {
  opening: ['bank', 'member'],
  funding: ['drawer', 'bank'],
  'reload-release': ['member', 'in-transit'],
  reload: ['in-transit', 'purse'],
  'reload-void': ['in-transit', 'member'],
  drain: ['purse', 'member'],
  'purse-return': ['purse', 'member'],
};
const minus = ([name, amount]: Part): Part => [name, -amount];
const gains = (to: readonly Rules.Part[]) => to.map(({ account, amount }) => part(nameOf(account), amount));
const fees = (all: readonly Rules.FeeShare[]) => all.map(({ to, amount }) => part(`${to}/fee-income/-`, amount));
type Sale = Pick<Rules.Paid, 'acquirer' | 'amount' | 'fee'> & { outlet?: string; to?: readonly Rules.Part[] };
/** Who earns a payment: where nobody is named, the outlet. */
const takings = ({ acquirer, outlet, amount, fee, to }: Sale) =>
  to ? gains(to) : [part(`${acquirer}/payout/${outlet}`, amount - fee)];

/** What an instruction moves whose sums follow from its figures alone. */
function moved({ kind, figures }: Rules.Instruction): Sums {
  const { amount } = figures;
  if ('debit' in figures) return passed(nameOf(figures.debit), nameOf(figures.credit), amount);
  if (WAYS[kind] !== undefined) {
    const { cooperative, issuer = cooperative, member, outlet, card } = figures as unknown as Record<string, string>;
    const owners: Record<string, string | undefined> = { member, drawer: outlet, bank: '-' };
    const [from = '', to = ''] = WAYS[kind].map((pocket) => `${issuer}/${pocket}/${owners[pocket] ?? card}`);
    return passed(from, to, amount);
  }
  if (!('shares' in figures)) throw new Error(`what a ${kind} moves hangs on the books`);
  const { issuer, acquirer, shares } = figures;
  if (kind === 'deposit' || kind === 'withdrawal') {
    const { outlet, member, fee, payee } = figures;
    const cash = kind === 'deposit' ? amount : -amount;
    const account = `${issuer}/${payee === undefined ? `member/${member}` : `payout/${payee}`}`;
    // The member's cooperative pays the fee, and owes it to whoever earned it.
    const cost = [part(`${issuer}/fee-expense/-`, -fee), ...fees(shares)];
    return evened([part(`${acquirer}/drawer/${outlet}`, -cash), part(account, cash), ...cost], issuer);
  }
  const from = 'from' in figures ? gains(figures.from) : [part(`${issuer}/member/${figures.member}`, amount)];
  return evened([...from.map(minus), ...takings(figures), ...fees(shares)], acquirer);
}

export class Model {
  readonly balances: Sums = new Map();
  readonly lines = new Map<string, Line[]>();
  readonly floats: Sums = new Map();
  readonly holds = new Map<string, Held>();
  readonly paid = new Map<string, Paid>();

  /** What an account may still give: open holds wait for the rest. */
  free(name: string): bigint {
    const kept = [...this.holds.values()].map(({ legs }) => sumOf(legs, name));
    const wall = wallOf(named(name));
    return kept.reduce((sum, amount) => (amount * wall < 0n ? sum + amount : sum), sumOf(this.balances, name));
  }

  /** What an instruction moves as the books stand now. */
  meant(instruction: Rules.Instruction): Meant {
    const { kind, figures } = instruction;
    if ('original' in figures) return this.takenBack(kind, figures);
    if ('takings' in figures) {
      const [from, to] = [nameOf(figures.takings), nameOf(figures.owed)];
      return { legs: passed(from, to, least(this.free(from), -this.free(to))) };
    }
    if (kind !== 'purchase' && kind !== 'purse-sale') return { legs: moved(instruction) };
    const back = { refunded: 0n, disputed: 0n, lent: 0n, until: 0, holder: null, ended: false };
    // A green light is a promise: what a purse lacks is the issuer's.
    const losses = `${figures.issuer}/guarantee-loss`;
    const given = (leg: Part) => (named(leg[0]).kind === 'purse' ? this.#given(leg, losses) : [leg]);
    const legs = evened([...moved(instruction)].flatMap(given), '');
    const lost = [...legs].find(([name]) => named(name).kind === 'guarantee-loss') ?? part('', 0n);
    const paid = { ...figures, to: takings(figures), earned: fees(figures.shares), lost, ...back };
    return { legs, change: (key) => this.paid.set(key, paid) };
  }

  /** What an account gives of what it should, and what is booked under `rest` for what it lacks. */
  #given([name, due]: Part, rest: string): Part[] {
    const all = wallOf(named(name)) === 0n ? -due : this.free(name);
    const can = -least(-due, all > 0n ? all : 0n);
    return [part(name, can), part(`${rest}/${named(name).owner}`, due - can)];
  }

  /** What payees and earners give back of a payment's next rupiah: the difference of cumulative splits. */
  #mirrored({ to, earned, acquirer, refunded, fee, amount: all }: Paid, amount: bigint): Part[] {
    const upTo = (sum: bigint, cost = (fee * sum) / all) =>
      split(sum - cost, amounts(to)).concat(split(cost, amounts(earned)));
    const [before, after] = [upTo(refunded), upTo(refunded + amount)];
    const backOf = (at: number) => (before[at] ?? 0n) - (after[at] ?? 0n);
    return [...to, ...earned].flatMap(([name], at) => this.#given(part(name, backOf(at)), `${acquirer}/receivable`));
  }

  /** Refunds, voids and disputes draw on one payment; provisional credit is repaid first. */
  takenBack(kind: string, { original, member: asked, amount, provisional = 0n, until }: Rules.ReturnFigures): Meant {
    const paid = this.paid.get(original) as Paid;
    const { issuer, acquirer, disputed, lent, refunded, holder } = paid;
    const member = holder ?? nameOf(asked);
    const repaid = least(amount, disputed);
    const refund = { refunded: refunded + amount, disputed: disputed - repaid, lent: lent - least(lent, repaid) };
    const opened = { disputed: amount, lent: provisional, until: Number(until), holder: member };
    const now = kind === 'dispute' ? opened : kind === 'dispute-lost' ? { disputed: 0n, lent: 0n } : refund;
    const loss = [part(`${issuer}/guarantee-loss/${original}`, -amount)];
    const bearers = kind === 'dispute-lapsed' ? loss : now === refund ? this.#mirrored(paid, amount) : [];
    const credit = part(`${issuer}/provisional/${original}`, disputed - now.disputed);
    const waits = part(`${issuer}/suspense/dispute ${original}`, now.disputed - now.lent - (disputed - lent));
    // The last of what comes back is not the member's but the issuer's, who bore it: what is written off, as capital.
    const own = paid.amount + paid.lost[1] - refunded - repaid;
    const borne = now === refund ? amount - repaid - least(amount - repaid, own > 0n ? own : 0n) : 0n;
    const still = least(borne, -this.free(paid.lost[0]));
    const issuers = [part(paid.lost[0], still), part(`${issuer}/equity/-`, borne - still)];
    const others = [...bearers, credit, waits, ...issuers];
    const over = disputed > 0n && now.disputed === 0n ? { holder: null, ended: true } : {};
    const parts = [...others, ...this.#given(part(member, -total(others)), `${issuer}/receivable`)];
    return { legs: evened(parts, acquirer), change: () => Object.assign(paid, now, over) };
  }

  /** Books an entry, a line of the statement at each account. */
  book(key: string, kind: string, { legs, change }: Meant): void {
    for (const [name, amount] of legs) {
      const balance = add(this.balances, name, amount);
      this.lines.set(name, [...(this.lines.get(name) ?? []), { key, kind, amount, balance }]);
    }
    change?.(key);
  }
}
