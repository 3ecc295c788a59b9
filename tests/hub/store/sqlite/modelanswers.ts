/** What each work must be answered with, and what it then does to the model of the books (TRUTH sections 1, 6, 7). */
import type { Guard } from '../../../../hub/rules/entries.ts';
import {
  type DecisionKey,
  DISPUTE_END_ORIGIN,
  type PostRequest,
  RELEASE_ORIGIN,
  RELOAD_ORIGIN,
  type Settlement,
  VOID_ORIGIN,
} from '../../../../hub/store/ledger.ts';
import type { Work } from '../../../../hub/store/sqlite/engine.ts';
import { type Held, Model, wallOf } from './model.ts';
import { add, named, nameOf, type Sums, sumOf, total } from './modelsums.ts';

const spelled = ({ origin, seq }: DecisionKey) => `${origin}/${seq}`;

/** A decision, and the words it was answered with. */
interface Decided {
  hash: string;
  readonly words: readonly string[];
  readonly request: PostRequest | null;
}

/** Why not, where an account would go beyond its bound. */
const WORDS: Readonly<Record<string, string>> = {
  member: 'insufficient-funds',
  purse: 'insufficient-funds',
  points: 'insufficient-funds',
  'in-transit': 'reload-unreleased',
  payout: 'payout-short',
  suspense: 'nothing-waits',
  'incentive-budget': 'budget-spent',
  drawer: 'drawer-short',
  bank: 'bank-short',
  'biller-deposit': 'biller-short',
};

/** Whether it has waited its time, or was made under a clock that has been set back since. */
const aged = ({ request, until }: Held, now: number) => until <= now || now < request.at - (until - request.at);

/** A refused step of a dispute is told and not kept. */
export const isToldOnly = (request: PostRequest) => approvedOf(request).approve.kind.startsWith('dispute');

const approvedOf = ({ verdict }: PostRequest) => {
  if ('approve' in verdict) return verdict;
  throw new Error('these requests are never refused beforehand');
};

export class Answers extends Model {
  readonly cards = new Map<string, string>();
  readonly decided = new Map<string, Decided>();
  readonly #voided = new Set<string>();

  /** What an account holds from before this town. */
  before = 0n;

  begin(income: string, before: bigint): void {
    this.before = before;
    this.balances.set(income, before);
  }

  /** Does one work. Returns the words it may be answered with: several where it breaks several rules at once. */
  apply(work: Work): readonly string[] {
    if (work.do === 'post') return this.#ask(work.request, null);
    if (work.do === 'hold') return this.#ask(work.request, work.until);
    if (work.do === 'release') return this.#release(spelled(work.key), work.at);
    if (work.do === 'settle') return this.#settle(work.settlement);
    if (work.do === 'cancel') return this.#cancel(work.key);
    if (work.do === 'card') this.cards.set(work.card.uid, work.card.status);
    if (work.do === 'expire') this.#expire(work.at);
    return ['done'];
  }

  #decide(name: string, request: PostRequest | null, words: readonly string[]): readonly string[] {
    this.decided.set(name, { hash: request?.hash ?? '', words, request });
    return words;
  }

  #again(name: string): readonly string[] {
    const words = this.decided.get(name)?.words ?? [];
    return this.#voided.has(name) ? words.map((word) => `${word}, voided`) : words;
  }

  #ask(request: PostRequest, until: number | null): readonly string[] {
    const { key, hash } = request;
    const name = spelled(key);
    const known = this.decided.get(name);
    if (known !== undefined) {
      if (hash !== '' && known.hash !== '' && hash !== known.hash) return ['body-differs'];
      if (known.words[0] === 'cancelled: cancelled') known.hash ||= hash;
      return this.#again(name);
    }
    const held = this.holds.get(name);
    if (held !== undefined) return until !== null && held.request.hash === hash ? [held.state] : ['body-differs'];
    const never = this.#impossible(request);
    const { approve, guards } = approvedOf(request);
    const meant = never === null ? this.meant(approve) : { legs: new Map() };
    const no = never === null ? this.#reasons(meant.legs, guards) : [never];
    if (approve.kind === 'collect' && meant.legs.size === 0) no.push('nothing-owed');
    const declined = no.map((reason) => `declined: ${reason}`);
    if (no.length > 0) return isToldOnly(request) ? declined : this.#decide(name, request, declined);
    for (const guard of guards) if (guard.kind === 'float') add(this.floats, guard.outlet, guard.delta);
    if (until !== null) {
      this.holds.set(name, { request, until, legs: meant.legs, state: 'held' });
      return ['held'];
    }
    this.book(name, approve.kind, meant);
    return this.#decide(name, request, ['approved']);
  }

  /** Why a work cannot be meant at all: what it goes back to is not there, or is used up. */
  #impossible(request: PostRequest): string | null {
    const { kind, figures } = approvedOf(request).approve;
    if (kind === 'reload' || kind === 'reload-void') {
      const { key, facts } = request;
      const sent = this.decided.get(spelled({ origin: key.origin - RELOAD_ORIGIN + RELEASE_ORIGIN, seq: key.seq }));
      const fits = sent?.request?.facts.card === facts.card && sent.request.facts.amount === facts.amount;
      return fits && sent.words[0] === 'approved' ? null : 'reload-unreleased';
    }
    if (!('original' in figures)) return null;
    const paid = this.paid.get(figures.original);
    const member = named(paid?.holder ?? nameOf(figures.member));
    if (paid === undefined || member.cooperative !== paid.issuer) return 'payment-unknown';
    if (kind === 'dispute' && (paid.disputed > 0n || paid.ended)) return 'dispute-exists';
    if (kind !== 'dispute' && kind !== 'refund') return paid.disputed === 0n ? 'dispute-none' : null;
    const borne = kind === 'dispute' ? paid.lost[1] : 0n;
    return figures.amount > paid.amount + borne - paid.refunded ? 'refund-exceeds' : null;
  }

  #reasons(legs: Sums, guards: readonly Guard[]): string[] {
    const found = guards.map((guard) => this.#broken(guard, legs));
    for (const [name, amount] of legs) {
      const account = named(name);
      if ((this.free(name) + amount) * wallOf(account) < 0n) found.push(WORDS[account.kind] ?? 'nothing-owed');
    }
    return found.filter((reason) => reason !== null);
  }

  #broken(guard: Guard, legs: Sums): string | null {
    if (guard.kind === 'card-active') {
      const status = this.cards.get(guard.card);
      if (status === undefined) return 'card-unknown';
      return status === 'active' ? null : 'card-blocked';
    }
    if (guard.kind === 'idle') return sumOf(this.balances, nameOf(guard.account)) === 0n ? null : 'reload-open';
    if (guard.kind === 'float') {
      return guard.delta < 0n && sumOf(this.floats, guard.outlet) + guard.delta < 0n ? 'float-short' : null;
    }
    if (guard.kind !== 'cap') throw new Error(`the model knows no guard ${guard.kind}`);
    const after = this.owes(guard.cooperative, legs);
    return after > guard.max && after > this.owes(guard.cooperative, new Map()) ? 'debit-cap' : null;
  }

  /** What a cooperative owes the others, with what open holds may add. */
  owes(cooperative: string, legs: Sums): bigint {
    const mine = ([name]: readonly [string, bigint]) => name.startsWith(`${cooperative}/position/`);
    const debt = (sums: Sums) => total([...sums].filter(mine));
    const waiting = [...this.holds.values()].map((hold) => debt(hold.legs)).filter((rise) => rise > 0n);
    return waiting.reduce((all, rise) => all + rise, debt(this.balances) + debt(legs));
  }

  #end(name: string, held: Held, words: readonly string[]): readonly string[] {
    this.holds.delete(name);
    const { approve, guards } = approvedOf(held.request);
    const { outlet, amount } = held.request.facts;
    const paid = words[0] === 'approved';
    if (paid) this.book(name, approve.kind, held);
    // Cash that was not handed out is there again; a bill paid in cash brings some.
    for (const guard of paid ? [] : guards) if (guard.kind === 'float') add(this.floats, guard.outlet, -guard.delta);
    const cash = [...held.legs].some(([account, sum]) => named(account).kind === 'drawer' && sum < 0n);
    if (paid && cash) add(this.floats, outlet ?? '', amount);
    return this.#decide(name, held.request, words);
  }

  #release(name: string, at: number): readonly string[] {
    if (this.decided.has(name)) return this.#again(name);
    const held = this.holds.get(name);
    if (held === undefined) return ['absent'];
    if (held.state === 'released') return ['released'];
    if (aged(held, at)) return this.#end(name, held, ['expired: hold-expired']);
    const { card } = held.request.facts;
    if (card !== null && this.cards.get(card) !== 'active') return this.#end(name, held, ['declined: card-blocked']);
    held.state = 'released';
    return ['released'];
  }

  #settle({ key, word, officers, answer = null }: Settlement): readonly string[] {
    const name = spelled(key);
    if (this.decided.has(name)) return this.#again(name);
    const held = this.holds.get(name);
    if (held === undefined) {
      if (word === 'post' || officers !== null || answer !== null) return ['absent'];
      return this.#decide(name, null, ['cancelled: cancelled']);
    }
    if (word === 'post') {
      return officers !== null || held.state === 'released' ? this.#end(name, held, ['approved']) : [held.state];
    }
    if (officers === null && answer === null && held.state === 'released') return [held.state];
    return this.#end(name, held, [answer === null ? 'cancelled: cancelled' : 'declined: bill-refused']);
  }

  /** A sale whose answer came too late is taken back, as far as it was not yet. */
  #cancel(key: DecisionKey): readonly string[] {
    const name = spelled(key);
    const known = this.decided.get(name);
    if (known === undefined) return this.#decide(name, null, ['cancelled: cancelled']);
    const [paid, sale] = [this.paid.get(name), known.request && approvedOf(known.request).approve];
    const amount = paid === undefined ? 0n : paid.amount - paid.refunded;
    if (sale?.kind === 'purchase' && amount > 0n && !this.#voided.has(name)) {
      const member = named(`${sale.figures.issuer}/member/${sale.figures.member}`);
      const meant = this.takenBack('void', { original: name, member, amount, authority: 'mirror' });
      this.book(spelled({ origin: key.origin + VOID_ORIGIN, seq: key.seq }), 'void', meant);
      this.#voided.add(name);
    }
    return this.#again(name);
  }

  #expire(at: number): void {
    for (const [name, held] of this.holds) {
      if (held.state === 'held' && aged(held, at)) this.#end(name, held, ['expired: hold-expired']);
    }
    // The longest overdue first.
    const due = [...this.paid].sort(([, one], [, other]) => one.until - other.until);
    for (const [original, { disputed: amount, until, holder }] of due) {
      if (amount === 0n || until > at || holder === null) continue;
      const lapse = { original, member: named(holder), amount, authority: 'rule' } as const;
      const [origin, seq] = original.split('/').map(Number);
      const name = spelled({ origin: (origin ?? 0) + DISPUTE_END_ORIGIN, seq: seq ?? 0 });
      this.book(name, 'dispute-lapsed', this.takenBack('dispute-lapsed', lapse));
      this.#decide(name, null, ['approved']);
    }
  }
}
