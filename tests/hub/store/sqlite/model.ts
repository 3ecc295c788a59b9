/** Model: what each work must do to the books, told in plain sums by TRUTH sections 1, 6 to 9 and 11. */
import type { Guard, Instruction, ReturnFigures, ReturnKind } from '../../../../hub/rules/entries.ts';
import type { DecisionKey, PostRequest, Settlement } from '../../../../hub/store/ledger.ts';
import type { Work } from '../../../../hub/store/sqlite/engine.ts';
import { evened, least, moved, named, nameOf, type Part, type Sums, split, sumOf, WALLS } from './modelsums.ts';

const [VOID, RELEASE, RELOAD, DISPUTE_END] = [2 ** 24, 2 ** 25, 3 * 2 ** 24, 12 * 2 ** 24];
const spelled = ({ origin, seq }: DecisionKey) => `${origin}/${seq}`;
const keyed = (key: string): DecisionKey => ({ origin: Number(key.split('/')[0]), seq: Number(key.split('/')[1]) });

/** A payment that may be taken back, and what became of it. */
export interface Paid {
  readonly issuer: string;
  readonly acquirer: string;
  readonly amount: bigint;
  readonly fee: bigint;
  readonly shares: readonly Part[];
  readonly to: readonly Part[];
  readonly member: string | null;
  refunded: bigint;
  disputed: bigint;
  lent: bigint;
  until: number;
  holder: string | null;
  ended: boolean;
  voided: boolean;
}
export interface Held {
  readonly request: PostRequest;
  readonly until: number;
  readonly legs: Sums;
  state: 'held' | 'released';
}
export interface Decided {
  hash: string;
  readonly words: readonly string[];
  readonly request: PostRequest | null;
}
export interface Line {
  readonly key: string;
  readonly kind: string;
  readonly amount: bigint;
  readonly balance: bigint;
}
/** Whether it has waited its time, or was made under a clock that has been set back since. */
const aged = ({ request, until }: Held, now: number) => until <= now || now < request.at - (until - request.at);
type Judged = { readonly no: readonly string[] } | { readonly legs: Sums; readonly note?: () => void };

export class Model {
  readonly balances: Sums = new Map();
  readonly lines = new Map<string, Line[]>();
  readonly floats: Sums = new Map();
  readonly cards = new Map<string, string>();
  readonly holds = new Map<string, Held>();
  readonly paid = new Map<string, Paid>();
  readonly decided = new Map<string, Decided>();

  /** What the platform had earned before. */
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

  /** What an account may still give: open holds wait for the rest. */
  free(name: string): bigint {
    const [wall] = WALLS[named(name).kind] ?? [0n];
    return [...this.holds.values()].reduce(
      (sum, { legs }) => {
        return sumOf(legs, name) * wall < 0n ? sum + sumOf(legs, name) : sum;
      },
      sumOf(this.balances, name),
    );
  }

  #post(key: string, kind: string, legs: Sums): void {
    for (const [name, amount] of legs) {
      if (amount === 0n) continue;
      const balance = sumOf(this.balances, name) + amount;
      this.balances.set(name, balance);
      this.lines.set(name, [...(this.lines.get(name) ?? []), { key, kind, amount, balance }]);
    }
  }

  #owes(cooperative: string, legs: Sums): bigint {
    const position = ([name, amount]: Part) => (name.startsWith(`${cooperative}/position/`) ? amount : 0n);
    const sum = (sums: Sums) => [...sums].reduce((all, part) => all + position(part), 0n);
    const waiting = [...this.holds.values()].map((hold) => sum(hold.legs)).filter((rise) => rise > 0n);
    return waiting.reduce((all, rise) => all + rise, sum(this.balances) + sum(legs));
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
    const after = this.#owes(guard.cooperative, legs);
    return after > guard.max && after > this.#owes(guard.cooperative, new Map()) ? 'debit-cap' : null;
  }

  /** A payment's parts from its first `low` to its first `high` rupiah: what its payees and earners give back. */
  #cut(paid: Paid, low: bigint, high: bigint): Part[] {
    const parts = (upTo: bigint): Part[] => {
      const fee = (paid.fee * upTo) / paid.amount;
      const fees = split(
        fee,
        paid.shares.map(([, amount]) => amount),
      );
      const takings = split(
        upTo - fee,
        paid.to.map(([, amount]) => amount),
      );
      const earned = paid.shares.map(([to], index): Part => [`${to}/fee-income/-`, -(fees[index] ?? 0n)]);
      return [...paid.to.map(([name], index): Part => [name, -(takings[index] ?? 0n)]), ...earned];
    };
    const [before, after] = [parts(low), parts(high)];
    return after.flatMap(([name, amount], index): Part[] => {
      const back = amount - (before[index]?.[1] ?? 0n);
      const can = this.free(name) > 0n ? this.free(name) : 0n;
      if (WALLS[named(name).kind] === undefined || -back <= can) return [[name, back]];
      return [
        [name, -can],
        [`${paid.acquirer}/receivable/${named(name).owner}`, back + can],
      ];
    });
  }

  /** Refund, void and dispute draw on one payment; provisional credit is repaid first (TRUTH section 9). */
  #giveBack(kind: ReturnKind | 'void', { original, member: asked, ...figures }: ReturnFigures): Judged {
    const paid = this.paid.get(original);
    const member = paid?.holder ?? nameOf(asked);
    if (paid === undefined || named(member).cooperative !== paid.issuer) return { no: ['payment-unknown'] };
    const rest = paid.amount - paid.refunded;
    const [lent, kept] = [`${paid.issuer}/provisional/${original}`, `${paid.issuer}/suspense/${original}`];
    const ready = paid.disputed - paid.lent;
    const close = { disputed: 0n, lent: 0n, holder: null, ended: true };
    const change = (now: Partial<Paid>) => () => void Object.assign(paid, now);
    if (kind === 'dispute') {
      const { amount, provisional = 0n, until } = figures;
      if (paid.disputed > 0n || paid.ended) return { no: ['dispute-exists'] };
      if (amount > rest) return { no: ['refund-exceeds'] };
      const legs = evened(
        [
          [lent, -amount],
          [member, provisional],
          [kept, amount - provisional],
        ],
        paid.issuer,
      );
      return { legs, note: change({ disputed: amount, lent: provisional, until: Number(until), holder: member }) };
    }
    if (kind === 'refund' || kind === 'void') {
      const amount = kind === 'void' ? rest : figures.amount;
      if (amount > rest || amount === 0n) return { no: ['refund-exceeds'] };
      const repaid = least(amount, paid.disputed);
      const own = repaid - least(repaid, paid.lent);
      const back: Part[] = [
        [lent, repaid],
        [member, amount - repaid],
        [kept, -own],
        [member, own],
      ];
      const legs = evened([...this.#cut(paid, paid.refunded, paid.refunded + amount), ...back], paid.acquirer);
      const left = {
        refunded: paid.refunded + amount,
        disputed: paid.disputed - repaid,
        lent: paid.lent - repaid + own,
      };
      return { legs, note: change(repaid > 0n && left.disputed === 0n ? { ...left, ...close } : left) };
    }
    if (paid.disputed === 0n) return { no: ['dispute-none'] };
    const end: Part[] = [
      [lent, paid.disputed],
      [kept, -ready],
    ];
    if (kind === 'dispute-lost') {
      const can = least(paid.lent, this.free(member));
      const owed = `${paid.issuer}/receivable/${named(member).owner}`;
      return { legs: evened([...end, [member, -can], [owed, can - paid.lent]], paid.issuer), note: change(close) };
    }
    const gone = { ...close, refunded: paid.refunded + paid.disputed };
    const loss: Part = [`${paid.issuer}/guarantee-loss/${original}`, -paid.disputed];
    const bearers = kind === 'dispute-lapsed' ? [loss] : this.#cut(paid, paid.refunded, gone.refunded);
    return { legs: evened([...end, [member, ready], ...bearers], paid.acquirer), note: change(gone) };
  }

  /** What a request moves as the books stand now. */
  #meant({ key, verdict, facts }: PostRequest): Judged {
    if ('refuse' in verdict) return { no: [verdict.refuse] };
    const { kind, figures } = verdict.approve;
    if ('original' in figures) return this.#giveBack(kind as ReturnKind, figures);
    if ('takings' in figures) {
      const [takings, owed] = [nameOf(figures.takings), nameOf(figures.owed)];
      const amount = least(this.free(takings), -this.free(owed));
      return amount <= 0n
        ? { no: ['nothing-owed'] }
        : {
            legs: new Map([
              [takings, -amount],
              [owed, amount],
            ]),
          };
    }
    if (kind === 'reload' || kind === 'reload-void') {
      const sent = this.decided.get(spelled({ origin: key.origin - RELOAD + RELEASE, seq: key.seq }));
      const fits = sent?.request?.facts.card === facts.card && sent.request.facts.amount === facts.amount;
      if (!fits || sent.words[0] !== 'approved') return { no: ['reload-unreleased'] };
    }
    const legs = moved(verdict.approve);
    if (kind === 'purse-sale') {
      // A green light is a promise: what the books lack is the issuer's (TRUTH section 7).
      const purse = [...legs.keys()].find((name) => named(name).kind === 'purse') ?? '';
      const lacks = -sumOf(legs, purse) - this.free(purse);
      const { cooperative, owner } = named(purse);
      if (lacks > 0n) legs.set(purse, -this.free(purse)).set(`${cooperative}/guarantee-loss/${owner}`, -lacks);
    }
    return { legs };
  }

  #ask(request: PostRequest, until: number | null): readonly string[] {
    const { key, hash, verdict, facts } = request;
    const name = spelled(key);
    const known = this.decided.get(name);
    if (known !== undefined) {
      if (hash !== '' && known.hash !== '' && hash !== known.hash) return ['body-differs'];
      if (known.words[0] === 'cancelled: cancelled') known.hash ||= hash;
      return this.#again(name);
    }
    const held = this.holds.get(name);
    if (held !== undefined) return until !== null && held.request.hash === hash ? [held.state] : ['body-differs'];
    const meant = this.#meant(request);
    const guards = 'approve' in verdict ? verdict.guards : [];
    const no = 'no' in meant ? meant.no : this.#reasons(meant.legs, guards);
    if ('no' in meant || no.length > 0)
      return this.#decide(
        name,
        request,
        no.map((reason) => `declined: ${reason}`),
      );
    if (until !== null) {
      this.holds.set(name, { request, until, legs: meant.legs, state: 'held' });
      if ('approve' in verdict && verdict.approve.kind === 'withdrawal')
        this.#moveFloat(facts.outlet ?? '', -facts.amount);
      return ['held'];
    }
    for (const guard of guards) if (guard.kind === 'float') this.#moveFloat(guard.outlet, guard.delta);
    if (!('approve' in verdict)) throw new Error('a refusal was approved');
    this.#post(name, verdict.approve.kind, meant.legs);
    meant.note?.();
    this.#keep(name, verdict.approve);
    return this.#decide(name, request, ['approved']);
  }

  #decide(name: string, request: PostRequest | null, words: readonly string[]): readonly string[] {
    this.decided.set(name, { hash: request?.hash ?? '', words, request });
    return words;
  }

  #again(name: string): readonly string[] {
    const words = this.decided.get(name)?.words ?? [];
    return this.paid.get(name)?.voided === true ? words.map((word) => `${word}, voided`) : words;
  }

  #reasons(legs: Sums, guards: readonly Guard[]): string[] {
    const found = guards.map((guard) => this.#broken(guard, legs));
    for (const [name, amount] of legs) {
      const [wall, word] = WALLS[named(name).kind] ?? [0n, ''];
      if ((this.free(name) + amount) * wall < 0n) found.push(word);
    }
    return found.filter((reason) => reason !== null);
  }

  /** Notes a payment that may be taken back, by whom it was earned. */
  #keep(name: string, { kind, figures }: Instruction): void {
    if (kind !== 'purchase' && kind !== 'purse-sale') return;
    const { issuer, acquirer, amount, fee } = figures;
    const plain = 'outlet' in figures ? [[`${acquirer}/payout/${figures.outlet}`, amount - fee] as const] : [];
    const earned: Sums = new Map();
    for (const [account, part] of figures.to?.map((to): Part => [nameOf(to.account), to.amount]) ?? plain) {
      if (part > 0n) earned.set(account, sumOf(earned, account) + part);
    }
    const member = 'member' in figures ? `${issuer}/member/${figures.member}` : null;
    const shares = figures.shares.map((share): Part => [share.to, share.amount]);
    const nothing = { refunded: 0n, disputed: 0n, lent: 0n, until: 0, holder: null, ended: false, voided: false };
    this.paid.set(name, { issuer, acquirer, amount, fee, shares, to: [...earned], member, ...nothing });
  }

  #moveFloat(outlet: string, delta: bigint): void {
    this.floats.set(outlet, sumOf(this.floats, outlet) + delta);
  }

  #end(name: string, held: Held, words: readonly string[]): readonly string[] {
    this.holds.delete(name);
    const { verdict, facts } = held.request;
    const { kind } = ('approve' in verdict && verdict.approve) || { kind: 'none' };
    const paid = words[0] === 'approved';
    if (paid) this.#post(name, kind, held.legs);
    if (kind === 'withdrawal' && !paid) this.#moveFloat(facts.outlet ?? '', facts.amount);
    const cash = [...held.legs].some(([account, amount]) => named(account).kind === 'drawer' && amount < 0n);
    if (kind === 'bill' && paid && cash) this.#moveFloat(facts.outlet ?? '', facts.amount);
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

  #cancel(key: DecisionKey): readonly string[] {
    const name = spelled(key);
    if (!this.decided.has(name)) return this.#decide(name, null, ['cancelled: cancelled']);
    const paid = this.paid.get(name);
    if (paid?.member != null && !paid.voided) {
      const voided = this.#giveBack('void', {
        original: name,
        member: named(paid.member),
        amount: 0n,
        authority: 'mirror',
      });
      if ('legs' in voided) {
        this.#post(spelled({ origin: key.origin + VOID, seq: key.seq }), 'void', voided.legs);
        voided.note?.();
        paid.voided = true;
      }
    }
    return this.#again(name);
  }

  #expire(at: number): void {
    for (const [name, held] of this.holds) {
      if (held.state === 'held' && aged(held, at)) this.#end(name, held, ['expired: hold-expired']);
    }
    // The longest overdue first.
    const due = [...this.paid].sort(([, one], [, other]) => one.until - other.until);
    for (const [original, paid] of due) {
      if (paid.disputed === 0n || paid.until > at || paid.holder === null) continue;
      const member = named(paid.holder);
      const lapse = this.#giveBack('dispute-lapsed', { original, member, amount: 0n, authority: 'rule' });
      if (!('legs' in lapse)) continue;
      const name = spelled({ ...keyed(original), origin: keyed(original).origin + DISPUTE_END });
      this.#post(name, 'dispute-lapsed', lapse.legs);
      lapse.note?.();
      this.#decide(name, null, ['approved']);
    }
  }
}
