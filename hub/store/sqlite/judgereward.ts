/** Judging rewards inside a batch: budgets that come to their end, and what goes back with the payment rewarded. */
import { spellRupiah } from '../../../protocol/money.ts';
import { accountName } from '../../rules/accounts.ts';
import type { ReceiptFacts } from '../../rules/entries.ts';
import { rewardBack, rewardOfReturned } from '../../rules/incentives.ts';
import { entryOf } from '../../rules/postings.ts';
import {
  type DecisionKey,
  type PostRequest,
  REWARD_DISPUTE_ORIGIN,
  REWARD_ORIGIN,
  REWARD_RETURN_ORIGIN,
  VOID_ORIGIN,
} from '../ledger.ts';
import { type Decision, keyNumber, keyOf } from './decisions.ts';
import { alarm, type Desk, type Judged, mustBalance, record } from './judge.ts';

/**
 * Warns of a budget that a reward takes down to its mark, once a crossing and before it is posted; and of one that is
 * spent, once a business day for as long as the hub runs.
 */
export function warnOfBudget(desk: Desk, { key, at, verdict, facts }: PostRequest, judged: Judged, date: string): void {
  if (!('approve' in verdict) || (verdict.approve.kind !== 'cashback' && verdict.approve.kind !== 'points')) return;
  const guard = verdict.guards.find((one) => one.kind === 'budget');
  if (guard === undefined) return;
  const name = accountName(guard.account);
  const left = desk.books.peek(guard.account).balance;
  if ('refuse' in judged) {
    if (judged.refuse !== 'budget-spent' || desk.spent.get(name) === date) return;
    desk.spent.set(name, date);
    alarm(desk, at, key, 'budget-spent', `${name} has ${spellRupiah(left)} left; rewards above it are not given`);
  } else if (left > guard.low && left - facts.amount <= guard.low) {
    alarm(desk, at, key, 'budget-low', `${name} has ${spellRupiah(left - facts.amount)} left; set more aside`);
  }
}

/** One for each return, whatever it is a return of. */
function keyOfReturn({ key, kind }: Decision): DecisionKey {
  const { origin, seq } = keyOf(key);
  const above = kind === 'dispute-won' ? REWARD_DISPUTE_ORIGIN : REWARD_RETURN_ORIGIN;
  return { origin: above + (origin % VOID_ORIGIN), seq };
}

/**
 * Takes the reward of a payment back as far as a refund, void or won dispute has taken back the payment, in the commit
 * of that return. It never stands in that one's way: what is spent already stays the budget's loss, with an alarm.
 */
export function returnReward(desk: Desk, returned: Decision): void {
  const { original, kind, at, date } = returned;
  if (original === null || (kind !== 'refund' && kind !== 'void' && kind !== 'dispute-won')) return;
  const { origin, seq } = keyOf(original);
  const paid = desk.decisions.find(original);
  const reward = desk.decisions.find(keyNumber({ origin: REWARD_ORIGIN + origin, seq }));
  if (paid === null || reward === null || reward.outcome !== 'approved') return;
  const { refunded } = desk.returned.of(original);
  const of = (part: bigint) => rewardOfReturned(reward.amount, paid.amount, part);
  const due = of(refunded) - of(refunded - returned.amount);
  const key = keyOfReturn(returned);
  const taken = desk.decisions.find(keyNumber(key)) !== null;
  const payer = desk.legsOf(paid).find((leg) => leg.amount < 0n && leg.account.kind === 'member')?.account ?? null;
  const parts = taken ? [] : rewardBack(desk.legsOf(reward), payer, due, desk.books.free);
  const amount = parts.reduce((sum, part) => sum + part.amount, 0n);
  if (amount < due) {
    const words = `${spellRupiah(due - amount)} of the reward for ${origin}/${seq} was spent and stays with its giver`;
    alarm(desk, at, key, 'reward-lost', words);
  }
  const [first, second] = parts.map((figures) => entryOf({ kind: 'reward-return', figures }));
  if (first === undefined) return;
  const approve = { ...first, legs: [...first.legs, ...(second?.legs ?? [])] };
  mustBalance(key, approve);
  const accounts = desk.books.resolve(approve.legs);
  const short = desk.books.refusal(accounts, approve.legs);
  if (short !== null) throw new Error(`the return of the reward for ${origin}/${seq} does not fit the books: ${short}`);
  const { card, issuer, acquirer, outlet } = JSON.parse(reward.receipt) as Omit<ReceiptFacts, 'amount'>;
  const facts = { amount, card, issuer, acquirer, outlet };
  const blank = { hash: '', slot: null, evidence: null, counted: 0n };
  record(desk, { approve, accounts, guards: [] }, { key, at, date, facts, ...blank });
}
