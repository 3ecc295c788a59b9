/** Judging holds inside a batch: held, released, posted or void, against what the batch has changed so far. */

import { businessDate } from '../../../protocol/dates.ts';
import type { Outcome } from '../../../protocol/receipt.ts';
import type { Refusal } from '../../../protocol/refusals.ts';
import type { Guard, ReceiptFacts } from '../../rules/entries.ts';
import { entryOf } from '../../rules/postings.ts';
import {
  type DecisionKey,
  DISPUTE_END_ORIGIN,
  type HoldAnswer,
  type PostRequest,
  type Settlement,
  VOID_ORIGIN,
} from '../ledger.ts';
import { keyNumber, keyOf } from './decisions.ts';
import { type Hold, legsOf, mustBeHeld, slipOf } from './holds.ts';
import {
  alarm,
  answer,
  bodyDiffers,
  type Desk,
  draft,
  type Judged,
  judge,
  judgePost,
  record,
  repeat,
} from './judge.ts';
import { warnOfCaps } from './judgelimits.ts';

const open = (hold: Hold): HoldAnswer => ({ kind: 'open', slip: JSON.stringify(slipOf(hold)) });

/**
 * Decides whether money is set aside; see the port.
 * @throws RangeError before anything is changed if the request cannot be meant: a bug of the caller.
 */
export function judgeHold(desk: Desk, request: PostRequest, until: number): HoldAnswer {
  const { key, hash, at, verdict, facts, slot, evidence } = request;
  const known = desk.decisions.find(keyNumber(key));
  if (known !== null) return repeat(desk, known, request);
  const hold = desk.holds.find(keyNumber(key));
  if (hold !== null) return hold.hash === hash ? open(hold) : bodyDiffers(desk, key, at);
  if ('approve' in verdict && !mustBeHeld(verdict.approve))
    throw new RangeError(`a ${verdict.approve.kind} is no hold`);
  const date = businessDate(at);
  const judged = judge(desk, request, draft(desk, request), date);
  if (!('approve' in judged) || !('approve' in verdict) || !mustBeHeld(verdict.approve)) {
    return answer(desk, record(desk, judged, { key, hash, at, date, facts, slot, evidence, counted: 0n }), false);
  }
  const instruction = verdict.approve;
  const made: Hold = {
    key: keyNumber(key),
    hash,
    state: 'held',
    at,
    until,
    released: null,
    instruction,
    facts,
    slot,
    evidence,
    counted: count(desk, judged.guards, at, date),
    next: desk.decisions.nextId(),
    claim: null,
  };
  warnOfCaps(desk, request, judged);
  desk.holds.add(made);
  moveFloat(desk, made, 'held');
  return open(made);
}

/** What is held counts as spent: otherwise a card could hold more in a day than it may pay. */
function count(desk: Desk, guards: readonly Guard[], at: number, date: string): bigint {
  const uid = guards.find((guard) => guard.kind === 'pause')?.card;
  return uid === undefined ? 0n : desk.cards.count(uid, guards, at, date, desk.decisions.nextId());
}

/** Cash that leaves a drawer is not there for others from the hold on; cash that comes in only once it is posted. */
function moveFloat(desk: Desk, { instruction, facts }: Hold, now: 'held' | 'posted' | 'voided'): void {
  const { kind, figures } = instruction;
  if (facts.outlet === null) return;
  if (kind === 'withdrawal') {
    if (now !== 'posted') desk.floats.move(facts.outlet, now === 'held' ? -figures.amount : figures.amount);
  } else if (now === 'posted' && figures.from[0]?.account.kind === 'drawer') {
    desk.floats.move(facts.outlet, figures.amount);
  }
}

/** What is written down when a hold ends. */
function recordEnd(
  desk: Desk,
  { key, hash, facts, slot, evidence, counted }: Hold,
  at: number,
  judged: Judged,
): HoldAnswer {
  const recorded = { key: keyOf(key), hash, at, date: businessDate(at), facts, slot, evidence };
  const drawn = 'approve' in judged ? counted : 0n;
  return answer(desk, record(desk, judged, { ...recorded, counted: drawn }), false);
}

type By = Pick<Settlement, 'officers' | 'answer'>;

interface Void {
  readonly outcome: Exclude<Outcome, 'approved'>;
  readonly reason: Refusal;
  readonly by: By;
}

/** Ends a hold with a decision that moves nothing, and gives free what it had set aside. */
function makeVoid(desk: Desk, hold: Hold, at: number, { outcome, reason, by }: Void): HoldAnswer {
  desk.holds.end(hold, 'voided', by);
  moveFloat(desk, hold, 'voided');
  const { card } = hold.facts;
  if (card !== null && hold.instruction.kind === 'bill') {
    const drawn = { id: hold.next, at: hold.at, date: businessDate(hold.at), counted: hold.counted };
    desk.cards.discount(card, keyOf(hold.key).origin % VOID_ORIGIN, drawn);
  }
  return recordEnd(desk, hold, at, { refuse: reason, outcome });
}

const EXPIRED: Void = { outcome: 'expired', reason: 'hold-expired', by: { officers: null } };
const BLOCKED: Void = { outcome: 'declined', reason: 'card-blocked', by: { officers: null } };

/**
 * Whether a hold has waited its time. One from further ahead than it may wait was made under a clock that has been set
 * back since: its time would not come for as long as the clock was wrong.
 */
const isTooOld = ({ at, until }: Hold, now: number): boolean => until <= now || now < at - (until - at);

/** Commits that the cash may be handed out; see the port. */
export function judgeRelease(desk: Desk, key: DecisionKey, at: number, claim: string): HoldAnswer {
  const known = desk.decisions.find(keyNumber(key));
  if (known !== null) return answer(desk, known, true);
  const hold = desk.holds.find(keyNumber(key));
  if (hold === null) return { kind: 'absent' };
  if (hold.state === 'released') return open(hold);
  if (isTooOld(hold, at)) return makeVoid(desk, hold, at, EXPIRED);
  const { card } = hold.facts;
  // A bill in cash names no card.
  if (card !== null && desk.cards.get(card)?.status !== 'active') return makeVoid(desk, hold, at, BLOCKED);
  desk.holds.release(hold, at, claim);
  // Only a right PIN releases cash; a bill is released as it was held.
  if (card !== null && hold.instruction.kind === 'withdrawal') {
    desk.cards.verified(card, desk.decisions.nextId() - 1);
  }
  return open(hold);
}

/** Posts what was held. What was set aside is there: a refusal now would be a bug, and the hold stays as it is. */
function post(desk: Desk, hold: Hold, at: number, by: By): HoldAnswer {
  const entry = entryOf(hold.instruction);
  const accounts = desk.books.resolve(entry.legs);
  desk.books.unreserve(legsOf(hold));
  const short = desk.books.refusal(accounts, entry.legs);
  desk.books.reserve(legsOf(hold));
  if (short !== null) throw new Error(`what hold ${hold.key} set aside is not there: ${short}`);
  desk.holds.end(hold, 'posted', by);
  moveFloat(desk, hold, 'posted');
  const approve = by.officers === null ? entry : { ...entry, authority: 'two-officers' as const };
  return recordEnd(desk, hold, at, { approve, accounts, guards: [] });
}

const NO_FACTS: ReceiptFacts = { amount: 0n, card: null, issuer: null, acquirer: null, outlet: null };

/** Ends a hold; see the port. */
export function judgeSettle(desk: Desk, settlement: Settlement): HoldAnswer {
  const { key, word, at, officers, answer: said = null } = settlement;
  const known = desk.decisions.find(keyNumber(key));
  if (known !== null) {
    // A kiosk that lost the answer to a deposit or a bill closes it so, and learns that it stands.
    const byKiosk = officers === null && said === null;
    const asked = word === 'void' && byKiosk && (known.kind === 'deposit' || known.kind === 'bill');
    if (!asked && (known.outcome === 'approved') !== (word === 'post')) {
      alarm(desk, at, key, 'hold-ended', `it was to be ${word} after it had ended as ${known.outcome}; that stands`);
    }
    return answer(desk, known, true);
  }
  const hold = desk.holds.find(keyNumber(key));
  if (hold === null) {
    if (word === 'post' || officers !== null || said !== null) return { kind: 'absent' };
    const blank = { key, hash: '', at, date: businessDate(at), facts: NO_FACTS, slot: null, evidence: null };
    const closed = record(desk, { refuse: 'cancelled', outcome: 'cancelled' }, { ...blank, counted: 0n });
    return answer(desk, closed, false);
  }
  if (word === 'post') {
    if (officers !== null || hold.state === 'released') return post(desk, hold, at, settlement);
    alarm(desk, at, key, 'hold-unreleased', 'the kiosk says that cash was handed out before it was released');
    return open(hold);
  }
  // Cash may be out of the drawer, or a bill be paid: only who counts the drawer, or the biller, can say that it is not
  // (TRUTH section 6).
  if (officers === null && said === null && hold.state === 'released') return open(hold);
  const reason = said === null ? 'cancelled' : 'bill-refused';
  return makeVoid(desk, hold, at, { outcome: said === null ? 'cancelled' : 'declined', reason, by: settlement });
}

/** Ends a dispute that its cooperative has not decided in time. */
function lapse(desk: Desk, payment: number, at: number): void {
  const { origin, seq } = keyOf(payment);
  const member = desk.returned.member(payment);
  const { disputed } = desk.returned.of(payment);
  if (member === null) return;
  const original = `${origin}/${seq}`;
  const key = { origin: DISPUTE_END_ORIGIN + origin, seq };
  const figures = { original, member, amount: disputed, authority: 'rule' as const };
  const facts = { ...NO_FACTS, amount: disputed, issuer: member.cooperative };
  const verdict = { approve: { kind: 'dispute-lapsed' as const, figures }, guards: [] };
  judgePost(desk, { key, hash: '', at, verdict, slot: null, facts, evidence: null });
  alarm(desk, at, key, 'dispute-lapsed', `nobody decided on ${original} in time: ${member.cooperative} bears it`);
}

/** Makes void what was not released in time, and ends disputes nobody decided; see the port. */
export function expireHolds(desk: Desk, at: number): void {
  for (const hold of desk.holds.open()) {
    if (hold.state === 'held' && isTooOld(hold, at)) makeVoid(desk, hold, at, EXPIRED);
  }
  for (const payment of desk.returned.overdue(at)) lapse(desk, payment, at);
}
