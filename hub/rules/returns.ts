/** Returns: what refunds, voids and disputes take back of a payment, never more than it together (TRUTH section 9). */
import { type CooperativeId, PLATFORM } from '../../protocol/ids.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import { splitByWeight } from '../../protocol/tariffs.ts';
import {
  type Account,
  accountKinds,
  accountName,
  equityOf,
  incomeOf,
  lossOf,
  provisionalOf,
  readyOf,
  receivableOf,
} from './accounts.ts';
import type { Leg, Paid, Part, ReturnFigures, ReturnKind } from './entries.ts';
import { credit, debit, paymentLegs, shareOf } from './payment.ts';

/** The payment that is to be taken back, as it was posted. */
export interface Original extends Paid {
  /** What of it the issuer bore, and where: the last of what comes back is its own again, not the member's. */
  readonly lost?: Part;
}

/** The one counter of a payment: what has been taken back of it, and what an open dispute holds. */
export interface Returned {
  /** Given back for good. */
  readonly refunded: bigint;
  /** Of an open dispute; with `refunded` never more than the payment. */
  readonly disputed: bigint;
  /** What of `disputed` the member has in hand. */
  readonly provisional: bigint;
  /** Hub time by which the open dispute must be decided, milliseconds since 1970 UTC; null without one. */
  readonly until: number | null;
  /** A dispute of it has ended: there is no second one. */
  readonly ended: boolean;
}

export const NOTHING_RETURNED: Returned = { refunded: 0n, disputed: 0n, provisional: 0n, until: null, ended: false };

/** What a return posts. */
export interface ReturnLegs {
  readonly legs: readonly Leg[];
}

export type JudgedReturn =
  | { readonly refuse: Refusal }
  | { readonly legs: readonly Leg[]; readonly amount: bigint; readonly fee: bigint; readonly returned: Returned };

/** What a return is judged by. */
export interface ReturnFacts {
  readonly kind: ReturnKind | 'void';
  readonly figures: ReturnFigures;
  /** null: no such payment, or none that can be taken back. */
  readonly original: Original | null;
  readonly returned: Returned;
  /** What an account may still give: its balance less what open holds wait for. */
  readonly free: (account: Account) => bigint;
}

const least = (a: bigint, b: bigint) => (a < b ? a : b);
const weightsOf = (parts: readonly { readonly amount: bigint }[]) => parts.map(({ amount }) => Number(amount));

/** A payment as it would have been for its first `part` rupiah: fee and parts by the same splits. */
function first(original: Original, part: bigint): Pick<Paid, 'to' | 'fee' | 'shares'> {
  const { amount, to, shares } = original;
  const fee = (original.fee * part) / amount;
  const fees = splitByWeight(fee, weightsOf(shares));
  const takings = splitByWeight(part - fee, weightsOf(to));
  return {
    fee,
    shares: shares.map((share, index) => ({ to: share.to, amount: fees[index] ?? 0n })),
    to: to.map(({ account }, index) => ({ account, amount: takings[index] ?? 0n })),
  };
}

/**
 * What lies between the first `before` and the first `before + more` rupiah of a payment. Differences of splits: any
 * row of returns adds up to the payment to the rupiah; one of them may move a single rupiah of a part the other way.
 */
function slice(original: Original, before: bigint, more: bigint): Pick<Paid, 'to' | 'fee' | 'shares'> {
  const [low, high] = [first(original, before), first(original, before + more)];
  return {
    fee: high.fee - low.fee,
    shares: high.shares.map(({ to, amount }, index) => ({ to, amount: amount - (low.shares[index]?.amount ?? 0n) })),
    to: high.to.map(({ account, amount }, index) => ({ account, amount: amount - (low.to[index]?.amount ?? 0n) })),
  };
}

/** Who gives the takings back: the payees as far as they can; what is short they owe the outlet's cooperative. */
function giveBack(parts: readonly Part[], acquirer: CooperativeId, free: ReturnFacts['free']): readonly Part[] {
  const used = new Map<string, bigint>();
  return parts.flatMap(({ account, amount }) => {
    if (accountKinds[account.kind].bound === 'free' || amount < 0n) return [{ account, amount }];
    const name = accountName(account);
    const left = free(account) - (used.get(name) ?? 0n);
    const covered = least(amount, left < 0n ? 0n : left);
    used.set(name, covered + (used.get(name) ?? 0n));
    return [
      { account, amount: covered },
      { account: receivableOf(acquirer, account.owner), amount: amount - covered },
    ];
  });
}

/** What of a payment the member paid: all but what the issuer bore. */
const paidOf = ({ amount, lost }: Original) => amount - (lost?.amount ?? 0n);

/** A loss that comes back: as far as the books still have it; what was written off is the issuer's capital. */
function restored({ issuer, lost }: Original, amount: bigint, free: ReturnFacts['free']): readonly Part[] {
  if (lost === undefined || amount === 0n) return [];
  const owing = -free(lost.account);
  const still = least(amount, owing < 0n ? 0n : owing);
  return [
    { account: lost.account, amount: still },
    { account: equityOf(issuer), amount: amount - still },
  ];
}

const mirrored = (legs: readonly Leg[]): Leg[] => legs.map(({ account, amount }) => ({ account, amount: -amount }));

/** Takes `more` rupiah of a payment back from those who earned them, to the accounts of `from`. */
function takeBack(facts: ReturnFacts & { original: Original }, more: bigint, from: readonly Part[]) {
  const { original, figures, returned, free } = facts;
  const { fee, shares, to } = slice(original, returned.refunded, more);
  const { issuer, acquirer } = original;
  const { authority } = figures;
  const back = { issuer, acquirer, from, to: giveBack(to, acquirer, free), amount: more, fee, shares, authority };
  return { legs: mirrored(paymentLegs(back)), fee };
}

/** A refund or void while a dispute is open repays the provisional credit first. */
function refund(facts: ReturnFacts & { original: Original }): JudgedReturn {
  const { kind, figures, original, returned } = facts;
  const rest = original.amount - returned.refunded;
  const amount = kind === 'void' ? rest : figures.amount;
  if (amount > rest || amount <= 0n) return { refuse: 'refund-exceeds' };
  const settled = least(amount, returned.disputed);
  const kept = least(settled, returned.provisional);
  const { member } = figures;
  const more = amount - settled;
  const own = paidOf(original) - returned.refunded - settled;
  const back = least(more, own < 0n ? 0n : own);
  const { legs, fee } = takeBack(facts, amount, [
    { account: provisionalOf(original.issuer, figures.original), amount: settled },
    { account: member, amount: back },
    ...restored(original, more - back, facts.free),
  ]);
  const disputed = returned.disputed - settled;
  const closes = settled > 0n && disputed === 0n;
  return {
    legs: [...legs, ...released(facts, settled - kept)],
    amount,
    fee,
    returned: {
      refunded: returned.refunded + amount,
      disputed,
      provisional: returned.provisional - kept,
      until: closes ? null : returned.until,
      ended: returned.ended || closes,
    },
  };
}

/** What was kept ready for the member is the member's. */
function released({ figures }: ReturnFacts, amount: bigint): Leg[] {
  const { member, original } = figures;
  return [debit(readyOf(member.cooperative, original), amount), credit(member, amount)];
}

/** Opens a dispute: the cooperative of the card lays the money out, in the member's hand or ready for it. */
function open({ figures, original, returned }: ReturnFacts & { original: Original }): JudgedReturn {
  const { amount, provisional = 0n, member, until = '' } = figures;
  if (returned.disputed > 0n || returned.ended) return { refuse: 'dispute-exists' };
  if (amount <= 0n || amount > paidOf(original) - returned.refunded) return { refuse: 'refund-exceeds' };
  if (provisional < 0n || provisional > amount)
    throw new RangeError('a provisional credit is part of what is disputed');
  const { issuer } = original;
  return {
    legs: [
      debit(provisionalOf(issuer, figures.original), amount),
      credit(member, provisional),
      credit(readyOf(issuer, figures.original), amount - provisional),
    ],
    amount,
    fee: 0n,
    returned: { ...returned, disputed: amount, provisional, until: Number(until) },
  };
}

/**
 * Ends a dispute. Won: the payees give the money back. Lost: the member does. Lapsed, when its cooperative has not
 * decided in time: that cooperative bears it, since neither member nor trader could do more.
 */
function end(facts: ReturnFacts & { original: Original }): JudgedReturn {
  const { kind, figures, original, returned, free } = facts;
  const { disputed, provisional } = returned;
  if (disputed === 0n) return { refuse: 'dispute-none' };
  const { issuer } = original;
  const { member } = figures;
  const back = { account: provisionalOf(issuer, figures.original), amount: disputed };
  const ready = disputed - provisional;
  const closed = { ...returned, disputed: 0n, provisional: 0n, until: null, ended: true };
  const given = { ...closed, refunded: returned.refunded + disputed };
  if (kind === 'dispute-won') {
    const { legs, fee } = takeBack(facts, disputed, [back]);
    return { legs: [...legs, ...released(facts, ready)], amount: disputed, fee, returned: given };
  }
  if (kind === 'dispute-lapsed') {
    const legs = [debit(lossOf(issuer, figures.original), disputed), credit(back.account, disputed)];
    return { legs: [...legs, ...released(facts, ready)], amount: disputed, fee: 0n, returned: given };
  }
  const left = free(member);
  const covered = least(provisional, left < 0n ? 0n : left);
  const legs = [
    debit(member, covered),
    debit(receivableOf(issuer, member.owner), provisional - covered),
    debit(readyOf(issuer, figures.original), ready),
    credit(back.account, disputed),
  ];
  return { legs, amount: disputed, fee: 0n, returned: closed };
}

/** Judges a refund, void or step of a dispute against what was taken back before; legs of zero are not left out. */
export function judgeReturn(facts: ReturnFacts): JudgedReturn {
  const { original, kind, figures } = facts;
  if (original === null || figures.member.cooperative !== original.issuer) return { refuse: 'payment-unknown' };
  const known = { ...facts, original };
  if (kind === 'refund' || kind === 'void') return refund(known);
  return kind === 'dispute' ? open(known) : end(known);
}

/** What a payment brought whom, read from its legs: every credit but positions and the parts of the fee. */
export function payeesOf(legs: readonly Leg[], original: Omit<Original, 'to'>): readonly Part[] {
  const earned = new Map<string, Part>();
  const add = (account: Account, amount: bigint) => {
    const name = accountName(account);
    earned.set(name, { account, amount: amount + (earned.get(name)?.amount ?? 0n) });
  };
  for (const { account, amount } of legs) {
    if (amount > 0n && account.kind !== 'position' && account.cooperative !== PLATFORM) add(account, amount);
  }
  for (const cooperative of new Set([original.issuer, original.acquirer])) {
    add(incomeOf(cooperative), -shareOf(original.shares, cooperative));
  }
  return [...earned.values()].filter(({ amount }) => amount !== 0n);
}
