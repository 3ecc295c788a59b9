/** Judging holds inside a batch: held, released, posted or void, against what the batch has changed so far. */

import { businessDate } from '../../../protocol/dates.ts';
import type { Outcome } from '../../../protocol/receipt.ts';
import type { Refusal } from '../../../protocol/refusals.ts';
import { entryOf } from '../../rules/postings.ts';
import type { DecisionKey, HoldAnswer, PostRequest, Settlement } from '../ledger.ts';
import { keyNumber, keyOf } from './decisions.ts';
import { type Hold, legsOf, slipOf } from './holds.ts';
import { alarm, answer, bodyDiffers, type Desk, draft, judge, moveFloats, record, repeat } from './judge.ts';

const open = (hold: Hold): HoldAnswer => ({ kind: 'open', slip: JSON.stringify(slipOf(hold)) });

/**
 * Decides whether money is set aside; see the port.
 * @throws RangeError before anything is changed if the request cannot be meant: a bug of the caller.
 */
export function judgeHold(desk: Desk, request: PostRequest, until: number): HoldAnswer {
  const { key, hash, at, verdict, facts, evidence } = request;
  const known = desk.decisions.find(keyNumber(key));
  if (known !== null) return repeat(desk, known, request);
  const hold = desk.holds.find(keyNumber(key));
  if (hold !== null) return hold.hash === hash ? open(hold) : bodyDiffers(desk, key, at);
  const drafted = draft(request);
  const date = businessDate(at);
  const judged = judge(desk, request, drafted, date);
  if (!('approve' in judged) || !('approve' in verdict)) {
    const refused = { key, hash, at, date, facts, slot: null, evidence, counted: 0n };
    return answer(desk, record(desk, judged, refused), false);
  }
  const instruction = verdict.approve;
  if (instruction.kind !== 'withdrawal' || facts.card === null) throw new RangeError('only a withdrawal can be held');
  const made: Hold = {
    key: keyNumber(key),
    hash,
    state: 'held',
    at,
    until,
    released: null,
    instruction,
    facts,
    evidence,
  };
  desk.holds.add(made);
  moveFloats(desk, judged.guards);
  return open(made);
}

interface Void {
  readonly outcome: Exclude<Outcome, 'approved'>;
  readonly reason: Refusal;
  readonly officers: string | null;
}

/** Ends a hold with a decision that moves nothing, and gives free what it had set aside. */
function makeVoid(desk: Desk, hold: Hold, at: number, { outcome, reason, officers }: Void): HoldAnswer {
  desk.holds.end(hold, 'voided', officers);
  desk.floats.move(hold.instruction.figures.outlet, hold.instruction.figures.amount);
  const { hash, facts, evidence } = hold;
  const recorded = { key: keyOf(hold.key), hash, at, date: businessDate(at), facts, slot: null, evidence, counted: 0n };
  return answer(desk, record(desk, { refuse: reason, outcome }, recorded), false);
}

const EXPIRED: Void = { outcome: 'expired', reason: 'hold-expired', officers: null };
const BLOCKED: Void = { outcome: 'declined', reason: 'card-blocked', officers: null };

/** Commits that the cash may be handed out; see the port. */
export function judgeRelease(desk: Desk, key: DecisionKey, at: number, claim: string): HoldAnswer {
  const known = desk.decisions.find(keyNumber(key));
  if (known !== null) return answer(desk, known, true);
  const hold = desk.holds.find(keyNumber(key));
  if (hold === null) return { kind: 'absent' };
  if (hold.state === 'released') return open(hold);
  if (hold.until <= at) return makeVoid(desk, hold, at, EXPIRED);
  const card = hold.facts.card === null ? null : desk.cards.get(hold.facts.card);
  if (card?.status !== 'active') return makeVoid(desk, hold, at, BLOCKED);
  desk.holds.release(hold, at, claim);
  return open(hold);
}

/** Posts what was held. What was set aside is there: a refusal now would be a bug, and the hold stays as it is. */
function post(desk: Desk, hold: Hold, at: number, officers: string | null): HoldAnswer {
  const entry = entryOf(hold.instruction);
  const accounts = desk.books.resolve(entry.legs);
  desk.books.unreserve(legsOf(hold));
  const short = desk.books.refusal(accounts, entry.legs);
  desk.books.reserve(legsOf(hold));
  if (short !== null) throw new Error(`what hold ${hold.key} set aside is not there: ${short}`);
  desk.holds.end(hold, 'posted', officers);
  const approve = officers === null ? entry : { ...entry, authority: 'two-officers' as const };
  const { hash, facts, evidence } = hold;
  const recorded = { key: keyOf(hold.key), hash, at, date: businessDate(at), facts, slot: null, evidence, counted: 0n };
  return answer(desk, record(desk, { approve, accounts, guards: [] }, recorded), false);
}

const NO_FACTS = { amount: 0n, card: null, issuer: null, acquirer: null, outlet: null };

/** Ends a hold; see the port. */
export function judgeSettle(desk: Desk, { key, word, at, officers }: Settlement): HoldAnswer {
  const known = desk.decisions.find(keyNumber(key));
  if (known !== null) {
    if ((known.outcome === 'approved') !== (word === 'post')) {
      alarm(desk, at, key, 'hold-ended', `it was to be ${word} after it had ended as ${known.outcome}; that stands`);
    }
    return answer(desk, known, true);
  }
  const hold = desk.holds.find(keyNumber(key));
  if (hold === null) {
    if (word === 'post' || officers !== null) return { kind: 'absent' };
    const blank = { key, hash: '', at, date: businessDate(at), facts: NO_FACTS, slot: null, evidence: null };
    const closed = record(desk, { refuse: 'cancelled', outcome: 'cancelled' }, { ...blank, counted: 0n });
    return answer(desk, closed, false);
  }
  if (word === 'post') {
    if (officers !== null || hold.state === 'released') return post(desk, hold, at, officers);
    alarm(desk, at, key, 'hold-unreleased', 'the kiosk says that cash was handed out before it was released');
    return open(hold);
  }
  // Cash may be out of the drawer already: only those who count it can say that it is not (TRUTH section 6).
  if (officers === null && hold.state === 'released') return open(hold);
  return makeVoid(desk, hold, at, { outcome: 'cancelled', reason: 'cancelled', officers });
}

/** Makes void what was not released in time; see the port. */
export function expireHolds(desk: Desk, at: number): void {
  for (const hold of desk.holds.open()) {
    if (hold.state === 'held' && hold.until <= at) makeVoid(desk, hold, at, EXPIRED);
  }
}
