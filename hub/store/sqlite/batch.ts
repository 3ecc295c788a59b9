/**
 * A batch on its way to the engine's thread and back, packed into one array of numbers and one of texts. Passed as plain
 * objects, a sale of eleven legs costs some 10 µs to send and 20 µs to receive, as much as judging it.
 */
import { rupiah, toWire } from '../../../protocol/money.ts';
import { type Account, type AccountKind, accountKinds } from '../../rules/accounts.ts';
import type { Authority, Entry, EntryKind, FeeShare, Guard, Leg, Verdict } from '../../rules/entries.ts';
import type { CardStatus, Posting, PostRequest } from '../ledger.ts';
import type { Answer, Work } from './engine.ts';

/** What crosses between the threads. */
export interface Batch {
  readonly works: number;
  readonly numbers: Float64Array;
  readonly texts: readonly string[];
  /** Cooperative, kind and owner of each account, as places in `kinds` and `texts`. */
  readonly accounts: Float64Array;
  readonly bytes: Uint8Array;
}

const WORKS = ['post', 'cancel', 'card', 'alarm'] as const;
const GUARDS = ['card-active', 'pause', 'day', 'cap'] as const;
const KINDS = Object.keys(accountKinds) as readonly AccountKind[];
/** Texts of one batch: far more than its requests can name. */
const TEXTS = 2 ** 24;
const NOTHING = -1;

/** Writes works one after another; the reader below reads the same fields in the same order. */
export class Packer {
  works = 0;
  readonly #numbers: number[] = [];
  readonly #texts: string[] = [];
  readonly #places = new Map<string, number>();
  readonly #accounts: number[] = [];
  readonly #accountPlaces = new Map<number, number>();
  readonly #bytes: Uint8Array[] = [];

  /**
   * Adds one work.
   * @throws RangeError if an amount is beyond 2^53 − 1 rupiah; the batch is then as before.
   */
  add(work: Work): void {
    const [numbers, bytes] = [this.#numbers.length, this.#bytes.length];
    try {
      this.#num(WORKS.indexOf(work.do));
      if (work.do === 'post') this.#post(work.request);
      else if (work.do === 'cancel') this.#num(work.key.origin, work.key.seq, work.at);
      else if (work.do === 'card') {
        const { uid, status, keyVersion, tmc } = work.card;
        this.#num(this.#text(uid), this.#text(status), keyVersion, tmc);
      } else {
        const { at, kind, kiosk, detail } = work.alarm;
        this.#num(at, this.#text(kind), this.#text(kiosk), this.#text(detail));
      }
    } catch (error) {
      this.#numbers.length = numbers;
      this.#bytes.length = bytes;
      throw error;
    }
    this.works += 1;
  }

  batch(): Batch {
    const numbers = Float64Array.from(this.#numbers);
    const accounts = Float64Array.from(this.#accounts);
    // An array of its own: passing a pooled Buffer between threads would copy its whole pool.
    const bytes = new Uint8Array(this.#bytes.reduce((total, part) => total + part.length, 0));
    let end = 0;
    for (const part of this.#bytes) {
      bytes.set(part, end);
      end += part.length;
    }
    return { works: this.works, numbers, texts: this.#texts, accounts, bytes };
  }

  #num(...values: number[]): void {
    for (const value of values) this.#numbers.push(value);
  }

  #text(text: string | null): number {
    if (text === null) return NOTHING;
    const known = this.#places.get(text);
    if (known !== undefined) return known;
    this.#places.set(text, this.#texts.length);
    return this.#texts.push(text) - 1;
  }

  #account({ cooperative, kind, owner }: Account): number {
    const [books, name, place] = [this.#text(cooperative), KINDS.indexOf(kind), this.#text(owner)];
    const key = (name * TEXTS + books) * TEXTS + place;
    const known = this.#accountPlaces.get(key);
    if (known !== undefined) return known;
    const next = this.#accounts.push(books, name, place) / 3 - 1;
    this.#accountPlaces.set(key, next);
    return next;
  }

  #post({ key, hash, at, verdict, slot, facts, evidence }: PostRequest): void {
    this.#num(key.origin, key.seq, at, this.#text(hash));
    this.#num(toWire(facts.amount), this.#text(facts.card), this.#text(facts.issuer), this.#text(facts.acquirer));
    this.#num(this.#text(facts.outlet));
    if (slot === null) this.#num(NOTHING);
    else this.#num(this.#text(slot.card), slot.keyVersion, slot.tmc);
    this.#num(evidence === null ? NOTHING : evidence.length);
    if (evidence !== null) this.#bytes.push(evidence);
    if ('refuse' in verdict) {
      this.#num(NOTHING, this.#text(verdict.refuse), this.#text(verdict.outcome));
      return;
    }
    this.#entry(verdict.approve);
    this.#num(verdict.guards.length);
    for (const guard of verdict.guards) this.#guard(guard);
  }

  #entry({ kind, authority, legs, payer, fee, shares }: Entry): void {
    this.#num(this.#account(payer), this.#text(kind), this.#text(authority), toWire(fee), legs.length);
    for (const { account, amount } of legs) this.#num(this.#account(account), toWire(amount));
    this.#num(shares.length);
    for (const { to, amount } of shares) this.#num(this.#text(to), toWire(amount));
  }

  #guard(guard: Guard): void {
    this.#num(GUARDS.indexOf(guard.kind));
    if (guard.kind === 'cap') this.#num(this.#text(guard.cooperative), toWire(guard.max));
    else if (guard.kind === 'pause') this.#num(this.#text(guard.card), guard.kiosk, guard.seconds);
    else if (guard.kind === 'day') this.#num(this.#text(guard.card), toWire(guard.amount), toWire(guard.max));
    else this.#num(this.#text(guard.card));
  }
}

/** Reads a batch back into works; requests of one batch share their account objects. */
export function unpack({ works, numbers, texts, accounts, bytes }: Batch): Work[] {
  let place = 0;
  let byte = 0;
  // The writer is this file's own: a hole in the numbers would be a bug, and shows as NaN at the first check of the engine.
  const num = (): number => numbers[place++] ?? Number.NaN;
  const money = (): bigint => rupiah(num());
  const textAt = (at: number): never => (at === NOTHING ? null : texts[at]) as never;
  const text = (): never => textAt(num());
  const named: Account[] = [];
  for (let at = 0; at < accounts.length; at += 3) {
    const kind = KINDS[accounts[at + 1] ?? NOTHING] ?? 'member';
    named.push({ cooperative: textAt(accounts[at] ?? NOTHING), kind, owner: textAt(accounts[at + 2] ?? NOTHING) });
  }
  const account = (at: number): Account => {
    const found = named[at];
    if (found === undefined) throw new RangeError(`batch names no account ${at}`);
    return found;
  };

  function guard(): Guard {
    const kind = GUARDS[num()];
    if (kind === 'cap') return { kind, cooperative: text(), max: money() };
    if (kind === 'pause') return { kind, card: text(), kiosk: num(), seconds: num() };
    if (kind === 'day') return { kind, card: text(), amount: money(), max: money() };
    return { kind: 'card-active', card: text() };
  }

  function verdict(): Verdict {
    const first = num();
    if (first === NOTHING) return { refuse: text(), outcome: text() };
    const payer = account(first);
    const [kind, authority, fee]: [EntryKind, Authority, bigint] = [text(), text(), money()];
    const legs: Leg[] = [];
    for (let left = num(); left > 0; left -= 1) legs.push({ account: account(num()), amount: money() });
    const shares: FeeShare[] = [];
    for (let left = num(); left > 0; left -= 1) shares.push({ to: text(), amount: money() });
    const guards: Guard[] = [];
    for (let left = num(); left > 0; left -= 1) guards.push(guard());
    return { approve: { kind, authority, legs, payer, fee, shares }, guards };
  }

  function evidence(): Uint8Array | null {
    const length = num();
    if (length === NOTHING) return null;
    byte += length;
    return bytes.subarray(byte - length, byte);
  }

  function request(): PostRequest {
    const key = { origin: num(), seq: num() };
    const [at, hash] = [num(), text()];
    const facts = { amount: money(), card: text(), issuer: text(), acquirer: text(), outlet: text() };
    const card = num();
    const slot = card === NOTHING ? null : { card: textAt(card), keyVersion: num(), tmc: num() };
    const proof = evidence();
    return { key, hash, at, verdict: verdict(), slot, facts, evidence: proof };
  }

  const read: Record<(typeof WORKS)[number], () => Work> = {
    post: () => ({ do: 'post', request: request() }),
    cancel: () => ({ do: 'cancel', key: { origin: num(), seq: num() }, at: num() }),
    card: () => {
      const [uid, status]: [never, CardStatus] = [text(), text()];
      return { do: 'card', card: { uid, status, keyVersion: num(), tmc: num() } };
    },
    alarm: () => ({ do: 'alarm', alarm: { at: num(), kind: text(), kiosk: text(), detail: text() } }),
  };
  return Array.from({ length: works }, () => read[WORKS[num()] ?? 'alarm']());
}

/** The answers of a batch: a code each, and the text that goes with it. */
export interface Answers {
  readonly codes: Uint8Array;
  readonly texts: readonly string[];
}

const DONE = 0;
const BODY_DIFFERS = 1;
const FAULT = 2;
const DECIDED = 4;
const DUPLICATE = 1;
const VOIDED = 2;

const codeOf = (answer: Answer): number => {
  if (answer.kind === 'decided') return DECIDED | (answer.duplicate ? DUPLICATE : 0) | (answer.voided ? VOIDED : 0);
  return { done: DONE, 'body-differs': BODY_DIFFERS, fault: FAULT }[answer.kind];
};

export function packAnswers(answers: readonly Answer[]): Answers {
  const texts = answers.map((answer) => {
    if (answer.kind === 'decided') return answer.receipt;
    return answer.kind === 'fault' ? answer.message : '';
  });
  return { codes: Uint8Array.from(answers, codeOf), texts };
}

/** Reads the answer at a place of the batch. */
export function answerAt({ codes, texts }: Answers, index: number): Answer {
  const [code, text] = [codes[index], texts[index]];
  if (code === undefined || text === undefined) return { kind: 'fault', message: 'the engine gave no answer' };
  if (code === DONE) return { kind: 'done' };
  if (code === BODY_DIFFERS) return { kind: 'body-differs' };
  if (code === FAULT) return { kind: 'fault', message: text };
  const decided: Posting = {
    kind: 'decided',
    receipt: text,
    duplicate: (code & DUPLICATE) !== 0,
    voided: (code & VOIDED) !== 0,
  };
  return decided;
}
