/** Commands of the model test: each makes one kind of ledger work out of drawn numbers, in a small town of its own. */
import type { Account } from '../../../../hub/rules/accounts.ts';
import type { Guard, Part } from '../../../../hub/rules/entries.ts';
import {
  BILL_ORIGIN,
  CASH_ORIGIN,
  COLLECT_ORIGIN,
  DISPUTE_END_ORIGIN,
  DISPUTE_ORIGIN,
  PAYOUT_ORIGIN,
  REFUND_ORIGIN,
  RELEASE_ORIGIN,
  RELOAD_ORIGIN,
  REWARD_ORIGIN,
  REWARD_RETURN_ORIGIN,
  TRANSFER_ORIGIN,
} from '../../../../hub/store/ledger.ts';
import type { Work } from '../../../../hub/store/sqlite/engine.ts';
import { nameOf, split } from './modelsums.ts';
import { HOMES, type Town } from './modeltown.ts';

/** Numbers a command is made of; each is read modulo what there is to choose from. */
export interface Draw {
  readonly kind: string;
  readonly who: number;
  readonly where: number;
  readonly which: number;
  readonly amount: number;
  readonly fee: number;
}

type Maker = (town: Town, draw: Draw) => Work;

const part = (account: Account, amount: bigint): Part => ({ account, amount });
const sums = ({ amount, fee }: Draw) => ({
  amount: BigInt(amount),
  fee: BigInt(Math.min(fee, amount)),
});
const cap = (town: Town, n: number, draw: Draw): Guard => ({
  kind: 'cap',
  cooperative: town.home(n),
  max: draw.which % 4 === 0 ? 60_000n : 10n ** 12n,
});
const active = (town: Town, n: number): Guard => ({ kind: 'card-active', card: town.card(n) });

/** Who earns what: the outlet, or driver, owner at another cooperative, a member, and the cooperative itself. */
function payees(town: Town, { where, which }: Draw, net: bigint): Part[] | undefined {
  if (which % 3 === 0) return;
  const [driver = 0n, owner = 0n, rider = 0n, own = 0n] = split(net, [7n, BigInt(which % 5), BigInt(which % 2), 1n]);
  const all = [
    part(town.account('payout', where, town.outlet(where)), driver),
    part(town.account('payout', where + which, `owner${where + which}`), owner),
    part(town.memberAccount(where + 1), rider),
    part(town.account('fee-income', where), own),
  ];
  return all.filter(({ amount }) => amount > 0n);
}

const sale: Maker = (town, draw) => {
  const { who, where } = draw;
  const { amount, fee } = sums(draw);
  const to = payees(town, draw, amount - fee);
  const [issuer, acquirer, outlet] = [town.home(who), town.home(where), town.outlet(where)];
  const shares = town.shares(fee, who, where);
  const figures = { issuer, member: town.member(who), acquirer, outlet, amount, fee, shares, ...(to && { to }) };
  const guards = [active(town, who), cap(town, who, draw)];
  const facts = { card: town.card(who), issuer, acquirer, outlet };
  return { do: 'post', request: town.request(0, ++town.seq, { kind: 'purchase', figures }, guards, facts) };
};

const purseSale: Maker = (town, draw) => {
  const { who, where } = draw;
  const { amount, fee } = sums({ ...draw, amount: 1 + (draw.amount % 20_000) });
  const [issuer, acquirer, outlet, card] = [town.home(who), town.home(where), town.outlet(where), town.card(who)];
  const to = payees(town, draw, amount - fee) ?? [part(town.account('payout', where, outlet), amount - fee)];
  const from = [part(town.account('purse', who, card), amount)];
  const shares = town.shares(fee, who, where);
  const figures = { issuer, acquirer, from, to, amount, fee, shares, authority: 'card-certificate' as const };
  const facts = { card, issuer, acquirer, outlet };
  return { do: 'post', request: town.request(0, ++town.seq, { kind: 'purse-sale', figures }, [], facts) };
};

const pick = <One>(list: readonly One[], n: number): One | undefined => list[n % Math.max(1, list.length)];

const cardMoney =
  (kind: 'reload-release' | 'reload' | 'reload-void' | 'drain' | 'purse-return'): Maker =>
  (town, draw) => {
    let { who } = draw;
    let amount = 1n + BigInt(draw.amount % 50_000);
    let seq = kind === 'reload' || kind === 'reload-void' ? town.seq : ++town.seq;
    const origin = { 'reload-release': RELEASE_ORIGIN, reload: RELOAD_ORIGIN, 'reload-void': RELOAD_ORIGIN }[
      kind as string
    ];
    if (origin === RELOAD_ORIGIN) {
      const open = [...town.model.decided].flatMap(([key, { request }]) => {
        const sent = request?.verdict;
        return sent && 'approve' in sent && sent.approve.kind === 'reload-release' ? [{ key, request }] : [];
      });
      const sent = pick(open.slice(-3), draw.which);
      if (sent?.request) {
        seq = sent.request.key.seq;
        if (draw.fee % 8 !== 7) amount = sent.request.facts.amount;
        who = [0, 1, 2, 3, 4, 5].find((n) => town.card(n) === sent.request.facts.card) ?? who;
      }
    } else if (kind !== 'reload-release' && draw.which % 3 > 0) {
      const left = town.model.free(`${town.home(who)}/purse/${town.card(who)}`);
      if (left > 0n) amount = left;
    }
    const [issuer, card] = [town.home(who), town.card(who)];
    const figures = { issuer, member: town.member(who), card, amount };
    const idle: Guard = { kind: 'idle', account: town.account('in-transit', who, card) };
    const guards = kind === 'reload-release' ? [active(town, who), idle] : [];
    const request = town.request(origin ?? 0, seq, { kind, figures }, guards, { card, issuer });
    return { do: 'post', request };
  };

const cash =
  (kind: 'deposit' | 'withdrawal'): Maker =>
  (town, draw) => {
    const { who, where, which } = draw;
    const { amount, fee } = sums({ ...draw, fee: draw.fee % 2_000 });
    const [issuer, acquirer, outlet, card] = [town.home(who), town.home(where), town.outlet(where), town.card(who)];
    const takings = kind === 'withdrawal' && which % 3 === 1 ? { payee: town.outlet(who) } : {};
    const shares = town.shares(fee, who, where);
    const figures = { issuer, member: town.member(who), acquirer, outlet, amount, fee, shares, ...takings };
    const delta = kind === 'deposit' ? amount : -amount;
    const owing = kind === 'deposit' ? where : who;
    const guards: Guard[] = [active(town, who), { kind: 'float', outlet, delta }, cap(town, owing, draw)];
    const facts = { card, issuer, acquirer, outlet };
    const request = town.request(CASH_ORIGIN, ++town.seq, { kind, figures }, guards, facts);
    return kind === 'deposit' ? { do: 'post', request } : { do: 'hold', request, until: request.at + 15_000 };
  };

const bill =
  (inCash: boolean): Maker =>
  (town, draw) => {
    const { where } = draw;
    const who = inCash ? where : draw.who;
    const { amount, fee } = sums(draw);
    const [issuer, acquirer, outlet] = [town.home(who), town.home(where), town.outlet(where)];
    const payer = inCash ? town.account('drawer', where, outlet) : town.memberAccount(who);
    const to = [part(town.account('biller-deposit', where, 'pln'), amount - fee)].filter((one) => one.amount > 0n);
    const shares = town.shares(fee, who, where);
    const figures = {
      issuer,
      acquirer,
      from: [part(payer, amount)],
      to,
      amount,
      fee,
      shares,
      authority: 'teller-card' as const,
    };
    const card = inCash ? null : town.card(who);
    const guards = inCash ? [] : [active(town, who), cap(town, who, draw)];
    const facts = { card, issuer, acquirer, outlet };
    const request = town.request(BILL_ORIGIN, ++town.seq, { kind: 'bill', figures }, guards, facts);
    return { do: 'hold', request, until: request.at + 15_000 };
  };

/** From one account to another, by way of the books of `where`. */
const payment =
  (
    kind: 'transfer' | 'payout' | 'cashback' | 'points' | 'redeem' | 'reward-return',
    origin: number,
    from: (town: Town, draw: Draw) => readonly [number, Account],
    to: (town: Town, draw: Draw) => Account,
  ): Maker =>
  (town, drawn) => {
    let draw = drawn;
    const [payer, account] = from(town, draw);
    const reward = kind !== 'transfer' && kind !== 'payout';
    const all = town.model.free(nameOf(account));
    // Sometimes all that is there: what is taken back afterwards falls short.
    const whole = kind === 'transfer' && draw.which % 4 < 2 && all > 0n;
    if (whole) draw = { ...draw, amount: Number(all) };
    const { amount, fee } = sums({ ...draw, ...(reward && { amount: 1 + (draw.amount % 15_000), fee: 0 }) });
    const middle = reward ? payer : draw.where;
    const [issuer, acquirer] = [town.home(payer), town.home(middle)];
    const shares = town.shares(fee, payer, middle);
    const gets = to(town, draw);
    const figures = {
      issuer,
      acquirer,
      from: [part(account, amount)],
      to: [part(gets, amount - fee)],
      amount,
      fee,
      shares,
      authority: 'rule' as const,
    };
    const request = town.request(origin, ++town.seq, { kind, figures }, [cap(town, payer, draw)], { issuer, acquirer });
    return { do: 'post', request };
  };
/** Often the member of an open dispute, who then owes what was lent. */
function spender(town: Town, { who, which }: Draw): readonly [number, Account] {
  const holders = [...town.model.paid.values()].map(({ holder }) => holder);
  const lent = [0, 1, 2, 3, 4, 5].filter((n) => holders.includes(nameOf(town.memberAccount(n))));
  const n = which % 4 < 2 ? (pick(lent, who) ?? who) : who;
  return [n, town.memberAccount(n)];
}
const budget = (town: Town, { where }: Draw) => [where, town.account('incentive-budget', where, 'budget')] as const;
const points = (town: Town, n: number) => town.account('points', n, town.member(n));

/** A payment to take back: of those that stand mostly, or one that never was. */
function original(town: Town, draw: Draw, disputed: boolean) {
  const all = [...town.model.paid].filter(([, paid]) => !disputed || paid.disputed > 0n);
  const [key, paid] = pick(all.slice(-4), draw.which) ?? [`${town.kiosk}/9999`, undefined];
  const who = [0, 1, 2, 3, 4, 5].find((n) => town.home(n) === paid?.issuer) ?? 0;
  const member = draw.fee % 8 === 0 ? draw.who : who + (draw.fee % 2) * HOMES;
  return { key, paid, member: town.memberAccount(member), seq: Number(key.split('/')[1]) };
}

const back =
  (kind: 'refund' | 'dispute' | 'dispute-won' | 'dispute-lost' | 'dispute-lapsed'): Maker =>
  (town, draw) => {
    const ends = kind.startsWith('dispute-');
    const { key, paid, member, seq } = original(town, draw, ends);
    const rest = (paid?.amount ?? 9n) - (paid?.refunded ?? 0n);
    const asked = draw.who % 3 === 0 ? rest : 1n + (BigInt(draw.amount) % (rest + 2n));
    const amount = ends ? (paid?.disputed ?? 1n) : asked > 0n ? asked : 1n;
    const opens =
      kind === 'dispute'
        ? {
            provisional: (amount * BigInt(draw.where)) / 5n,
            until: String(town.now + 40_000),
          }
        : {};
    const figures = { original: key, member, amount, authority: 'mirror' as const, ...opens };
    const origin = { refund: REFUND_ORIGIN, dispute: DISPUTE_ORIGIN }[kind as string] ?? DISPUTE_END_ORIGIN;
    const own = ends && paid !== undefined ? seq : ++town.seq;
    return { do: 'post', request: town.request(origin, own, { kind, figures }, [], {}) };
  };

const collect: Maker = (town, draw) => {
  const owing = [...town.model.balances].filter(([name, sum]) => name.includes('/receivable/') && sum < 0n);
  const [cooperative, , owner = ''] = (pick(owing, draw.which)?.[0] ?? '').split('/');
  const n = [0, 1, 2].find((home) => town.home(home) === cooperative) ?? draw.where;
  const whose = owner || town.outlet(draw.where);
  const [takings, owed] = [town.account('payout', n, whose), town.account('receivable', n, whose)];
  const figures = { takings, owed, amount: 1n };
  return { do: 'post', request: town.request(COLLECT_ORIGIN, ++town.seq, { kind: 'collect', figures }, [], {}) };
};

const adjustment: Maker = (town, draw) => {
  const { where, who, which } = draw;
  const pairs = [
    [town.account('equity', where), town.memberAccount(where)],
    [town.memberAccount(who), town.account('equity', who)],
    [town.account('payout', where, town.outlet(where)), town.account('suspense', where, 'found')],
    [town.account('suspense', where, 'found'), town.memberAccount(where)],
    [town.account('equity', where), town.account('receivable', where, town.outlet(where))],
    [town.account('receivable', where, town.outlet(where)), town.account('payout', where, town.outlet(where))],
    [town.account('bank', where), town.account('equity', where)],
  ] as const;
  const [debit, credit] = pick(pairs, which) ?? pairs[0];
  return town.office({ kind: 'adjustment', figures: { debit, credit, amount: BigInt(draw.amount), reason: 'count' } });
};

/** Key of an open hold, or of one that ended, or of none. */
function holdKey(town: Town, draw: Draw) {
  const open = [...town.model.holds.values()].map(({ request }) => request.key);
  if (draw.fee % 8 === 0 || open.length === 0)
    return { origin: CASH_ORIGIN + town.kiosk, seq: draw.which % (town.seq + 2) };
  return pick(open, draw.which) ?? { origin: CASH_ORIGIN + town.kiosk, seq: 0 };
}

const settle: Maker = (town, draw) => {
  const key = holdKey(town, draw);
  const word = draw.who % 3 === 0 ? 'void' : 'post';
  const biller = key.origin > BILL_ORIGIN && draw.where % 2 === 0;
  const answer = biller ? { answer: '{}' } : {};
  const officers = !biller && draw.where === 3 ? '{"officers":["Ani","Budi"],"counted":1}' : null;
  return { do: 'settle', settlement: { key, word, at: town.tick(), officers, ...answer } };
};

const cancel: Maker = (town, draw) => {
  const sales = [...town.model.decided.keys()].filter((key) => key.startsWith(`${town.kiosk}/`));
  const seq = Number((draw.fee % 6 === 0 ? undefined : pick(sales, draw.which))?.split('/')[1] ?? town.seq + 1);
  return { do: 'cancel', key: { origin: town.kiosk, seq }, at: town.tick() };
};

/** An earlier work again, as it was or with another body. */
const retry =
  (other: boolean): Maker =>
  (town, draw) => {
    const work = pick(town.works, draw.which * 7 + draw.who);
    if (work === undefined || (work.do !== 'post' && work.do !== 'hold')) return work ?? cancel(town, draw);
    const hash = other ? 'f'.repeat(32) : work.request.hash;
    return { ...work, request: { ...work.request, hash, at: town.tick() } };
  };

export const makers: Readonly<Record<string, Maker>> = {
  opening: (town, { who, amount }) => town.open(who, BigInt(amount)),
  funding: (town, { where, amount }) => town.fund(where, BigInt(amount), BigInt(amount)),
  provision: (town, { where, which, amount }) =>
    which % 2 === 0
      ? town.provide(where, 'biller-deposit', 'pln', BigInt(amount))
      : town.provide(where, 'incentive-budget', 'budget', BigInt(amount)),
  purchase: sale,
  'purse-sale': purseSale,
  'reload-release': cardMoney('reload-release'),
  reload: cardMoney('reload'),
  'reload-void': cardMoney('reload-void'),
  drain: cardMoney('drain'),
  'purse-return': cardMoney('purse-return'),
  deposit: cash('deposit'),
  withdrawal: cash('withdrawal'),
  bill: bill(false),
  'cash bill': bill(true),
  transfer: payment('transfer', TRANSFER_ORIGIN, spender, (town, { which }) => town.memberAccount(which)),
  payout: payment(
    'payout',
    PAYOUT_ORIGIN,
    (town, { where }) => [where, town.account('payout', where, town.outlet(where))],
    (town, { where, which }) => (which % 2 === 0 ? town.account('bank', where) : town.memberAccount(which)),
  ),
  cashback: payment('cashback', REWARD_ORIGIN, budget, (town, { who }) => town.memberAccount(who)),
  points: payment('points', REWARD_ORIGIN, budget, (town, { where, who }) => points(town, where + (who % 2) * HOMES)),
  redeem: payment(
    'redeem',
    TRANSFER_ORIGIN,
    (town, { who }) => [who, points(town, who)],
    (town, { who }) => town.memberAccount(who),
  ),
  'reward-return': payment(
    'reward-return',
    REWARD_RETURN_ORIGIN,
    (town, { who }) => [who, town.memberAccount(who)],
    (town, { where }) => town.account('incentive-budget', where, 'budget'),
  ),
  refund: back('refund'),
  dispute: back('dispute'),
  'dispute-won': back('dispute-won'),
  'dispute-lost': back('dispute-lost'),
  'dispute-lapsed': back('dispute-lapsed'),
  collect,
  adjustment,
  release: (town, draw) => ({ do: 'release', key: holdKey(town, draw), at: town.tick(), claim: '{}' }),
  settle,
  expire: (town) => ({ do: 'expire', at: town.tick() }),
  cancel,
  card: (town, { who, which }) => {
    const status = which % 3 === 0 ? 'frozen' : 'active';
    return { do: 'card', card: { uid: town.card(who), status, keyVersion: 1, tmc: 4 } };
  },
  retry: retry(false),
  'other body': retry(true),
};
