/** A town of the model test: cooperatives, members, cards and counters of its own, and the requests they make. */
import { type Account, type AccountKind, equityOf } from '../../../../hub/rules/accounts.ts';
import type { FeeShare, Guard, Instruction } from '../../../../hub/rules/entries.ts';
import { OFFICE_ORIGIN, type PostRequest, RELOAD_ORIGIN } from '../../../../hub/store/ledger.ts';
import type { Work } from '../../../../hub/store/sqlite/engine.ts';
import { type CardUid, type CooperativeId, type MemberId, type OutletId, PLATFORM } from '../../../../protocol/ids.ts';
import { Answers } from './modelanswers.ts';
import { split } from './modelsums.ts';
import { NOON } from './town.ts';

/** Hub-made works of all towns share one origin. */
let office = 0;
let towns = 0;
let clock = NOON;
export const HOMES = 3;

/** Three cooperatives with two members, a counter, a biller and a budget each, and one kiosk; names of its own. */
export class Town {
  readonly model = new Answers();
  readonly kiosk: number;
  readonly works: Work[] = [];
  now: number;
  seq = 0;

  constructor() {
    towns += 1;
    this.kiosk = towns;
    clock += 600_000;
    this.now = clock;
  }

  /** Hub time goes on with each work. */
  tick(): number {
    this.now += 1_000;
    clock = Math.max(clock, this.now);
    return this.now;
  }

  home = (n: number) => `c${n % HOMES}t${this.kiosk}` as CooperativeId;
  member = (n: number) => `m${n % (2 * HOMES)}t${this.kiosk}` as MemberId;
  card = (n: number) => (BigInt(n % (2 * HOMES)) + BigInt(this.kiosk) * 16n).toString(16).padStart(14, '0') as CardUid;
  outlet = (n: number) => `o${n % HOMES}t${this.kiosk}` as OutletId;
  /** An account at the cooperative `n`; a member's is at the member's own. */
  account = (kind: AccountKind, n: number, owner: string = '-'): Account => ({
    cooperative: this.home(n),
    kind,
    owner,
  });
  memberAccount = (n: number) => this.account('member', n, this.member(n));

  request(
    origin: number,
    seq: number,
    approve: Instruction,
    guards: readonly Guard[],
    by: Partial<PostRequest['facts']>,
  ) {
    const { figures } = approve;
    const facts = { card: null, issuer: null, acquirer: null, outlet: null, amount: figures.amount, ...by };
    const hub = origin === OFFICE_ORIGIN;
    const key = hub ? { origin, seq: ++office } : { origin: origin + this.kiosk, seq };
    const ends = origin === RELOAD_ORIGIN;
    const hash = hub || ends ? '' : `${seq.toString(16)}${origin.toString(16)}`.padStart(32, '0');
    return { key, hash, at: this.tick(), verdict: { approve, guards }, slot: null, facts, evidence: null };
  }

  office(approve: Instruction, guards: readonly Guard[] = []): Work {
    return { do: 'post', request: this.request(OFFICE_ORIGIN, 0, approve, guards, {}) };
  }

  /** What every town begins with. */
  opening(): Work[] {
    const all = Array.from({ length: 2 * HOMES }, (_one, n) => n);
    const homes = all.slice(0, HOMES);
    return [
      ...all.map((n): Work => ({ do: 'card', card: { uid: this.card(n), status: 'active', keyVersion: 1, tmc: 4 } })),
      ...all.map((n) => this.open(n, n % 2 === 0 ? 400_000n : 15_000n)),
      ...homes.map((n) => this.fund(n, 150_000n, 120_000n)),
      ...homes.map((n) => this.provide(n, 'biller-deposit', 'pln', 100_000n)),
      ...homes.map((n) => this.provide(n, 'incentive-budget', 'budget', 50_000n)),
    ];
  }

  open(n: number, amount: bigint): Work {
    return this.office({ kind: 'opening', figures: { cooperative: this.home(n), member: this.member(n), amount } });
  }

  fund(n: number, amount: bigint, delta: bigint): Work {
    const figures = { cooperative: this.home(n), outlet: this.outlet(n), amount };
    return this.office({ kind: 'funding', figures }, [{ kind: 'float', outlet: this.outlet(n), delta }]);
  }

  /** Money set aside: prepaid at a biller out of the bank, or kept for rewards out of the capital. */
  provide(n: number, kind: 'biller-deposit' | 'incentive-budget', owner: string, amount: bigint): Work {
    const there = this.account(kind, n, owner);
    const figures =
      kind === 'biller-deposit'
        ? { debit: there, credit: this.account('bank', n), amount, reason: 'prepaid' }
        : { debit: equityOf(this.home(n)), credit: there, amount, reason: 'for rewards' };
    return this.office({ kind: 'provision', figures });
  }

  /** Parts of a fee: two cooperatives and the platform. */
  shares(fee: bigint, who: number, where: number): FeeShare[] {
    const [a = 0n, b = 0n, c = 0n] = split(fee, [3n, 2n, 2n]);
    const same = this.home(who) === this.home(where);
    const shares = [
      { to: this.home(who), amount: same ? a + b : a },
      { to: PLATFORM, amount: c },
    ];
    return (same ? shares : [...shares, { to: this.home(where), amount: b }]).filter(({ amount }) => amount > 0n);
  }
}
