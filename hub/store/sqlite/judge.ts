/** Judging inside a batch: one request after another against what the batch has already changed. */

import { businessDate } from '../../../protocol/dates.ts';
import type { CardUid } from '../../../protocol/ids.ts';
import type { Outcome } from '../../../protocol/receipt.ts';
import type { Refusal } from '../../../protocol/refusals.ts';
import type { AccountKind } from '../../rules/accounts.ts';
import type { Entry, Guard, Leg, ReceiptFacts } from '../../rules/entries.ts';
import { imbalance } from '../../rules/postings.ts';
import { receiptOf } from '../../rules/receipt.ts';
import { usageOf } from '../../rules/usage.ts';
import {
  type Alarm,
  type DecisionKey,
  HUB_ORIGIN,
  type Posting,
  type PostRequest,
  RELEASE_ORIGIN,
  RELOAD_ORIGIN,
  VOID_ORIGIN,
} from '../ledger.ts';
import type { Books, Held } from './books.ts';
import { type Cards, judgeCard } from './cards.ts';
import { type Decision, type Decisions, keyNumber, keyOf } from './decisions.ts';
import { type Derived, derive, deriveReturn } from './derive.ts';
import { type Floats, type Holds, mustBeHeld } from './holds.ts';
import { countLeg, dateOfUse, usageRefusal, warnOfCaps } from './judgelimits.ts';
import { returnReward, warnOfBudget } from './judgereward.ts';
import type { ReturnedRows } from './returned.ts';

/** What a judge has on the desk during one batch. */
export interface Desk {
  readonly books: Books;
  readonly cards: Cards;
  readonly decisions: Decisions;
  readonly holds: Holds;
  readonly floats: Floats;
  readonly returned: ReturnedRows;
  /** The open settlement window. */
  readonly window: number;
  readonly alarm: (alarm: Alarm) => void;
  /** Budgets by account name, with the business date of the last alarm that they are spent. */
  readonly spent: Map<string, string>;
  /** Legs of a decision as they were posted, of this batch too. */
  readonly legsOf: (decision: Decision) => readonly Leg[];
}

export type Refused = { readonly refuse: Refusal; readonly outcome: Exclude<Outcome, 'approved'> };
export interface Approved {
  readonly approve: Entry;
  readonly accounts: readonly Held[];
  readonly guards: readonly Guard[];
  /** As the post found it; left out where the request knew all of it. */
  readonly derived?: Derived;
}
export type Judged = Refused | Approved;

export const declined = (refuse: Refusal): Refused => ({ refuse, outcome: 'declined' });

export function alarm(desk: Desk, at: number, key: DecisionKey, kind: string, detail: string): void {
  // Whatever conversation it was: officers know a kiosk by its number, and name what waits by it. The hub has none.
  const kiosk = String(key.origin % VOID_ORIGIN || key.origin);
  desk.alarm({ at, kind, kiosk, detail: `${kiosk}/${key.seq}: ${detail}` });
}

const endsReload = (verdict: PostRequest['verdict']) =>
  'approve' in verdict && (verdict.approve.kind === 'reload' || verdict.approve.kind === 'reload-void');

/** What a card has certified of its purse is booked whatever else holds (TRUTH section 7). */
const certifiesPurse = (verdict: PostRequest['verdict']) =>
  endsReload(verdict) || ('approve' in verdict && verdict.approve.kind === 'drain');

/** Fills the request's slot if it is free; otherwise raises the alarm and says why the request cannot be approved. */
function fillSlot(desk: Desk, { slot, key, at, verdict }: PostRequest): 'slot-taken' | 'certificate-invalid' | null {
  if (slot === null) return null;
  const { result, dropped } = desk.cards.fill(slot);
  const where = `card ${slot.card}, key version ${slot.keyVersion}, counter ${slot.tmc}`;
  if (dropped !== null) {
    alarm(desk, at, key, 'gap-dropped', `${where}: too many open slots, ${dropped.first}-${dropped.last} given up`);
  }
  if (result === 'free') return null;
  if (result === 'taken') {
    const word = certifiesPurse(verdict) ? 'what it certifies of the purse is booked all the same' : 'nobody was paid';
    alarm(desk, at, key, 'slot-taken', `${where} was used before; ${word}`);
    return 'slot-taken';
  }
  alarm(desk, at, key, 'chain-unknown', `${where}: the ledger knows no such chain`);
  return 'certificate-invalid';
}

/** Why an account that must stand at zero refuses: takings that owe, or a reload on its way. */
const idleRefusal = (kind: AccountKind): Refusal => (kind === 'receivable' ? 'takings-owe' : 'reload-open');

function guardRefusal(desk: Desk, guards: readonly Guard[], legs: readonly Leg[], at: number, date: string) {
  for (const guard of guards) {
    if (guard.kind === 'cap') {
      const after = desk.books.positionAfter(guard.cooperative, legs);
      // What leaves it owing no more breaks no cap: its members' money at home must not hang on what it owes elsewhere.
      if (after > guard.max && after > desk.books.positionAfter(guard.cooperative, [])) return 'debit-cap';
    } else if (guard.kind === 'idle') {
      if (desk.books.peek(guard.account).balance !== 0n) return idleRefusal(guard.account.kind);
    } else if (guard.kind === 'float') {
      if (guard.delta < 0n && desk.floats.of(guard.outlet) + guard.delta < 0n) return 'float-short';
    } else if (guard.kind === 'room') {
      if (desk.books.peek(guard.account).balance + guard.amount > guard.max) {
        return guard.account.kind === 'purse' ? 'purse-full' : 'balance-limit';
      }
    } else if (guard.kind === 'spend' || guard.kind === 'income') {
      const refusal = usageRefusal(desk, guard, date);
      if (refusal !== null) return refusal;
    } else if (guard.kind !== 'budget') {
      const refusal = judgeCard(desk.cards.get(guard.card), guard, at, date);
      if (refusal !== null) return refusal;
    }
  }
  return null;
}

export type Drafted = Refused | { readonly derived: Derived; readonly guards: readonly Guard[] };

/** Makes the entry that a verdict asks for. @throws RangeError if it cannot be meant: a bug of the caller or rules. */
export function draft(desk: Desk, { key, at, verdict }: PostRequest): Drafted {
  if ('refuse' in verdict) return verdict;
  const derived = derive(desk, key, at, verdict.approve);
  if ('refuse' in derived) return derived;
  mustBalance(key, derived.entry);
  return { derived, guards: verdict.guards };
}

/** @throws RangeError if it does not: a bug of the caller or rules. */
export function mustBalance({ origin, seq }: DecisionKey, { legs }: Entry): void {
  const fault = imbalance(legs);
  if (fault !== null) throw new RangeError(`entry ${origin}/${seq} does not balance: ${fault}`);
}

/** The release that a reload's end belongs to: approved, and of the same card and amount; null if there is none. */
function releaseOf(desk: Desk, { origin, seq }: DecisionKey, facts: ReceiptFacts): Decision | null {
  if (origin <= RELOAD_ORIGIN) return null;
  const release = desk.decisions.find(keyNumber({ origin: origin - RELOAD_ORIGIN + RELEASE_ORIGIN, seq }));
  const fits = release?.kind === 'reload-release' && release.card === facts.card && release.amount === facts.amount;
  return fits ? release : null;
}

/** The word on a request no decision stands for yet. A taken slot outweighs any verdict: the tap belongs to another. */
export function judge(desk: Desk, request: PostRequest, drafted: Drafted, date: string): Judged {
  let slotRefusal = fillSlot(desk, request);
  if (endsReload(request.verdict)) {
    // But money that was never sent.
    if (releaseOf(desk, request.key, request.facts) === null) return declined('reload-unreleased');
  }
  if (certifiesPurse(request.verdict)) slotRefusal = null;
  if (slotRefusal === 'slot-taken') return declined(slotRefusal);
  if ('refuse' in drafted) return drafted;
  if (slotRefusal !== null) return declined(slotRefusal);
  const { derived, guards } = drafted;
  const { legs } = derived.entry;
  const refusal = guardRefusal(desk, guards, legs, request.at, date);
  if (refusal !== null) return declined(refusal);
  const accounts = desk.books.resolve(legs);
  const short = desk.books.refusal(accounts, legs);
  return short === null ? { approve: derived.entry, accounts, guards, derived } : declined(short);
}

/** Posts the legs of an entry and returns the id of the first. @param date that members' accounts count it for */
function postLegs(desk: Desk, id: number, { kind, legs }: Entry, accounts: readonly Held[], date: string): number {
  const first = desk.decisions.nextLeg();
  const way = usageOf[kind];
  legs.forEach(({ amount }, index) => {
    const held = accounts[index];
    if (held === undefined) throw new Error('a leg without its account');
    const previous = held.head;
    desk.books.post(held, amount, first + index);
    desk.decisions.addLeg(first + index, id, held.id, amount, previous, held.balance);
    if (way !== 'none' && held.account.kind === 'member') countLeg(held, way, amount, date);
  });
  return first;
}

interface Recorded {
  readonly key: DecisionKey;
  readonly hash: string;
  readonly at: number;
  readonly date: string;
  readonly facts: ReceiptFacts;
  readonly slot: PostRequest['slot'];
  readonly evidence: Uint8Array | null;
  readonly counted: bigint;
}

/** Makes the decision; posts the legs of one that was approved. */
function decisionOf(desk: Desk, judged: Judged, recorded: Recorded): Decision {
  const { key, hash, at, date, facts, slot, evidence, counted } = recorded;
  const id = desk.decisions.nextId();
  const approved = 'approve' in judged ? judged : null;
  const entry = approved?.approve ?? null;
  const used = approved === null ? date : dateOfUse(desk, key, approved, date);
  const leg = approved === null ? 0 : postLegs(desk, id, approved.approve, approved.accounts, used);
  const outcome = 'approve' in judged ? 'approved' : judged.outcome;
  const reason = 'approve' in judged ? null : judged.refuse;
  const window = entry === null ? 0 : desk.window;
  const balance = entry === null || entry.payer === null ? null : desk.books.peek(entry.payer).balance;
  const posted = entry === null ? null : { entry, window, balance };
  const derived = approved?.derived;
  const amount = derived?.amount ?? facts.amount;
  const origin = key.origin > HUB_ORIGIN ? key.origin % VOID_ORIGIN : key.origin;
  const receipt = receiptOf({
    origin,
    seq: key.seq,
    hash,
    outcome,
    reason,
    at,
    date,
    facts: { ...facts, amount },
    posted,
  });
  return {
    id,
    key: keyNumber(key),
    hash,
    outcome,
    reason,
    at,
    date,
    window,
    kind: entry?.kind ?? null,
    authority: entry?.authority ?? null,
    card: facts.card ?? slot?.card ?? null,
    keyVersion: slot?.keyVersion ?? null,
    tmc: slot?.tmc ?? null,
    original: derived?.original ?? null,
    amount,
    counted,
    leg,
    legs: entry?.legs.length ?? 0,
    receipt: JSON.stringify(receipt),
    evidence,
  };
}

/** Writes the decision down, with its entry if it was approved. */
export function record(desk: Desk, judged: Judged, recorded: Recorded): Decision {
  const decision = decisionOf(desk, judged, recorded);
  desk.decisions.add(decision);
  if ('approve' in judged) judged.derived?.approved?.();
  return decision;
}

const DISPUTE_STEPS: readonly string[] = ['dispute', 'dispute-won', 'dispute-lost', 'dispute-lapsed'];

/**
 * A step of a dispute has the one key that its payment gives it: a refusal that was kept there would stand in the way
 * of the step that is right, and of the end of its term.
 */
const isToldOnly = (verdict: PostRequest['verdict'], judged: Judged) =>
  !('approve' in judged) && 'approve' in verdict && DISPUTE_STEPS.includes(verdict.approve.kind);

const voidKey = ({ origin, seq }: DecisionKey): DecisionKey => ({ origin: VOID_ORIGIN + origin, seq });

const isSale = (decision: Decision) => decision.kind === 'purchase' && keyOf(decision.key).origin < VOID_ORIGIN;

/** The answer of a decision that stands. */
export function answer(desk: Desk, decision: Decision, duplicate: boolean): Posting {
  const voided = duplicate && isSale(decision) && desk.decisions.find(keyNumber(voidKey(keyOf(decision.key)))) !== null;
  return { kind: 'decided', receipt: decision.receipt, duplicate, voided };
}

export function bodyDiffers(desk: Desk, key: DecisionKey, at: number): Posting {
  alarm(desk, at, key, 'body-differs', 'the same request came with another body; nobody was paid');
  return { kind: 'body-differs' };
}

/** An approval moves the floats that its guards name. */
export function moveFloats(desk: Desk, guards: readonly Guard[]): void {
  for (const guard of guards) if (guard.kind === 'float') desk.floats.move(guard.outlet, guard.delta);
}

/** Answers a request whose key was decided before (TRUTH section 1). */
export function repeat(desk: Desk, known: Decision, request: PostRequest): Posting {
  const { hash, slot, at, key, evidence } = request;
  if (hash !== '' && known.hash !== '' && hash !== known.hash) {
    return bodyDiffers(desk, key, at);
  }
  if (hash !== '' && known.hash === '' && known.outcome === 'cancelled') {
    // The request comes after its cancel: the tap did happen, so its slot is filled and the body known from now on.
    fillSlot(desk, request);
    known.hash = hash;
    known.card = slot?.card ?? request.facts.card;
    known.keyVersion = slot?.keyVersion ?? null;
    known.tmc = slot?.tmc ?? null;
    known.evidence = evidence;
    desk.decisions.note(known);
  }
  return answer(desk, known, true);
}

/** A void reload loaded nothing: it no longer counts for the card. */
function takeBack(desk: Desk, { key, facts }: PostRequest): void {
  const release = releaseOf(desk, key, facts);
  if (release?.card == null) throw new Error(`the release of ${key.origin}/${key.seq} names no card`);
  desk.cards.discount(release.card, keyOf(release.key).origin, release);
}

/**
 * Decides one request.
 * @throws RangeError before anything is changed if the request cannot be meant: a bug of the caller.
 */
export function judgePost(desk: Desk, request: PostRequest): Posting {
  const { key, hash, at, verdict, facts, slot, evidence } = request;
  const known = desk.decisions.find(keyNumber(key));
  if (known !== null) return repeat(desk, known, request);
  if (desk.holds.find(keyNumber(key)) !== null) return bodyDiffers(desk, key, at);
  if ('approve' in verdict && mustBeHeld(verdict.approve))
    throw new RangeError(`a ${verdict.approve.kind} begins as a hold`);
  const drafted = draft(desk, request);
  const date = businessDate(at);
  const judged = judge(desk, request, drafted, date);
  let counted = 0n;
  if ('approve' in judged) {
    const cards = new Set<CardUid>();
    for (const guard of judged.guards) if ('card' in guard) cards.add(guard.card);
    for (const uid of cards) counted += desk.cards.count(uid, judged.guards, at, date, desk.decisions.nextId());
    if (judged.approve.kind === 'reload-void') takeBack(desk, request);
    moveFloats(desk, judged.guards);
    warnOfCaps(desk, request, judged);
  }
  warnOfBudget(desk, request, judged, date);
  const recorded = { key, hash, at, date, facts, slot, evidence, counted };
  if (isToldOnly(verdict, judged)) return answer(desk, decisionOf(desk, judged, recorded), false);
  const decision = record(desk, judged, recorded);
  if (decision.outcome === 'approved') {
    if (decision.original !== null) returnReward(desk, decision);
    if (request.follows !== undefined) for (const next of request.follows) judgePost(desk, next);
  }
  return answer(desk, decision, false);
}

/** Undoes an approved sale: what is left of it goes back to the member. */
function voidSale(desk: Desk, sale: Decision, at: number): void {
  const key = keyOf(sale.key);
  if (desk.decisions.find(keyNumber(voidKey(key))) !== null) return;
  const member = desk.legsOf(sale).find((leg) => leg.amount < 0n && leg.account.kind === 'member')?.account;
  if (member === undefined) throw new Error(`sale ${key.origin}/${key.seq} has no payer`);
  const original = `${key.origin}/${key.seq}`;
  const figures = { original, member, amount: sale.amount, authority: 'mirror' as const };
  const derived = deriveReturn(desk, 'void', figures);
  // Refunded in full before: nothing is left to undo.
  if ('refuse' in derived) return;
  mustBalance(voidKey(key), derived.entry);
  const accounts = desk.books.resolve(derived.entry.legs);
  const short = desk.books.refusal(accounts, derived.entry.legs);
  // What is short became a receivable: anything else would be a bug, and must not stand.
  if (short !== null) throw new Error(`the void of ${original} does not fit the books: ${short}`);
  const { card, issuer, acquirer, outlet } = JSON.parse(sale.receipt) as Omit<ReceiptFacts, 'amount'>;
  const facts = { amount: sale.amount, card, issuer, acquirer, outlet };
  const date = businessDate(at);
  const approved = { approve: derived.entry, accounts, guards: [], derived };
  const blank = { hash: '', slot: null, evidence: null, counted: 0n };
  returnReward(desk, record(desk, approved, { key: voidKey(key), at, date, facts, ...blank }));
  if (sale.card !== null) desk.cards.discount(sale.card, key.origin, sale);
}

const NO_FACTS: ReceiptFacts = { amount: 0n, card: null, issuer: null, acquirer: null, outlet: null };

/** Cancels a sale, or posts the void of an approved one; see the port. */
export function judgeCancel(desk: Desk, key: DecisionKey, at: number): Posting {
  if (key.origin >= VOID_ORIGIN)
    throw new RangeError(`only a kiosk's sale can be cancelled, not ${key.origin}/${key.seq}`);
  const known = desk.decisions.find(keyNumber(key));
  if (known === null) {
    const refused: Refused = { refuse: 'cancelled', outcome: 'cancelled' };
    const blank = {
      key,
      hash: '',
      at,
      date: businessDate(at),
      facts: NO_FACTS,
      slot: null,
      evidence: null,
      counted: 0n,
    };
    return answer(desk, record(desk, refused, blank), false);
  }
  if (known.outcome === 'approved' && isSale(known)) voidSale(desk, known, at);
  return answer(desk, known, true);
}
