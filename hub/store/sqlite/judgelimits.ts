/** Judging limits inside a batch: what members have used, and cooperatives that near their caps. */
import { spellRupiah } from '../../../protocol/money.ts';
import type { Refusal } from '../../../protocol/refusals.ts';
import type { Guard } from '../../rules/entries.ts';
import { cameInMonth, giveBack, spentInMonth, spentOn, type Usage, usageOf, use } from '../../rules/usage.ts';
import { type DecisionKey, type PostRequest, RELEASE_ORIGIN, RELOAD_ORIGIN } from '../ledger.ts';
import { keyNumber } from './decisions.ts';
import { type Approved, alarm, type Desk } from './judge.ts';

/**
 * An open hold counts against whatever day and month it is, from when it was held until it ends; posted, it counts on
 * the date of that posting. So what was used and what is held never exceed the limit together: posting moves a sum from
 * one to the other, and a new day or month only takes from what was used.
 */
export function usageRefusal(desk: Desk, guard: Guard & { kind: 'spend' | 'income' }, date: string): Refusal | null {
  const held = desk.books.get(guard.account);
  if (guard.kind === 'income') {
    return cameInMonth(held, date) + guard.amount > guard.month ? 'income-month' : null;
  }
  // What holds wait for stands below zero.
  const asked = guard.amount - held.pending;
  if (spentOn(held, date) + asked > guard.day) return 'spend-day';
  return spentInMonth(held, date) + asked > guard.month ? 'spend-month' : null;
}

/** What an entry undoes: the payment it takes back, or the release of a void reload. */
function undoneBy(desk: Desk, { origin, seq }: DecisionKey, { derived }: Approved) {
  const key = derived?.original ?? keyNumber({ origin: origin - RELOAD_ORIGIN + RELEASE_ORIGIN, seq });
  return desk.decisions.find(key);
}

/**
 * The business date for which members' accounts count an entry: that of its commit; of a return, that of the entry it
 * takes back. Empty where that one had counted nothing, so that nothing comes back.
 */
export function dateOfUse(desk: Desk, key: DecisionKey, approved: Approved, date: string): string {
  if (usageOf[approved.approve.kind] !== 'returns') return date;
  const undone = undoneBy(desk, key, approved);
  return undone?.kind != null && usageOf[undone.kind] === 'moves' ? undone.date : '';
}

/** Counts a leg at a member's account. */
export function countLeg(usage: Usage, way: 'moves' | 'returns', amount: bigint, date: string): void {
  if (way === 'moves') use(usage, amount, date);
  else giveBack(usage, amount, date);
}

/** Warns when an approval takes a cooperative across its alert level: once a crossing, before it is posted or held. */
export function warnOfCaps(desk: Desk, { key, at }: PostRequest, { approve, guards }: Approved): void {
  for (const guard of guards) {
    if (guard.kind !== 'cap' || guard.alert === undefined) continue;
    const { cooperative, max, alert: level } = guard;
    const after = desk.books.positionAfter(cooperative, approve.legs);
    if (after <= level || desk.books.positionAfter(cooperative, []) > level) continue;
    const sums = `${spellRupiah(after)} of at most ${spellRupiah(max)}`;
    alarm(desk, at, key, 'cap-near', `${cooperative} comes to owe ${sums}; settle, or raise the cap`);
  }
}
