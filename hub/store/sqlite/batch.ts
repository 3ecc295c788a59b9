/** A batch on its way to the engine's thread and back, packed into one array of numbers and one of texts. */
import { rupiah, toWire } from '../../../protocol/money.ts';
import type { Account } from '../../rules/accounts.ts';
import type { Guard, Slot, Verdict } from '../../rules/entries.ts';
import type { Posting, PostRequest } from '../ledger.ts';
import type { Answer, Work } from './engine.ts';
import { type Eye, type Pen, readInstruction, writeInstruction } from './instructions.ts';

/**
 * What crosses between the threads. Plain objects cost several times as much to send and to receive; and of an entry
 * only its figures cross, since its legs follow from them.
 */
export interface Batch {
  readonly works: number;
  readonly numbers: Float64Array;
  readonly texts: readonly string[];
  readonly bytes: Uint8Array;
}

const WORKS = ['post', 'cancel', 'card', 'alarm', 'hold', 'release', 'settle', 'expire'] as const;
const USES = ['no-pin', 'pin', 'spend', 'income', 'budget'] as const;
const GUARDS = ['card-active', 'pause', 'day', 'cap', 'next', 'idle', 'room', 'float', ...USES] as const;
const NOTHING = -1;

/** Writes works one after another. */
export class Packer {
  works = 0;
  readonly #numbers: number[] = [];
  readonly #texts: string[] = [];
  readonly #places = new Map<string, number>();
  readonly #bytes: Uint8Array[] = [];
  readonly #pen: Pen = { num: (...values) => this.#num(...values), text: (text) => this.#text(text) };

  /**
   * Adds one work.
   * @throws RangeError if an amount is beyond 2^53 − 1 rupiah; the batch is then as before.
   */
  add(work: Work): void {
    const [numbers, bytes] = [this.#numbers.length, this.#bytes.length];
    try {
      this.#num(WORKS.indexOf(work.do));
      if (work.do === 'post') this.#post(work.request);
      else if (work.do === 'hold') {
        this.#post(work.request);
        this.#num(work.until);
      } else if (work.do === 'release') this.#num(work.key.origin, work.key.seq, work.at, this.#text(work.claim));
      else if (work.do === 'settle') {
        const { key, at, word, officers, answer = null } = work.settlement;
        this.#num(key.origin, key.seq, at, this.#text(word), this.#text(officers), this.#text(answer));
      } else if (work.do === 'expire') this.#num(work.at);
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
    const numbers = new Float64Array(this.#numbers);
    // An array of its own: passing a pooled Buffer between threads would copy its whole pool.
    const bytes = new Uint8Array(this.#bytes.reduce((total, part) => total + part.length, 0));
    let end = 0;
    for (const part of this.#bytes) {
      bytes.set(part, end);
      end += part.length;
    }
    return { works: this.works, numbers, texts: this.#texts, bytes };
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

  #post({ key, hash, at, verdict, slot, facts, evidence, follows }: PostRequest): void {
    this.#num(key.origin, key.seq, at, this.#text(hash));
    this.#num(toWire(facts.amount), this.#text(facts.card), this.#text(facts.issuer), this.#text(facts.acquirer));
    this.#num(this.#text(facts.outlet), facts.passengers ?? 1);
    if (slot === null) this.#num(NOTHING);
    else this.#num(this.#text(slot.card), slot.keyVersion, slot.tmc);
    this.#num(evidence === null ? NOTHING : evidence.length);
    if (evidence !== null) this.#bytes.push(evidence);
    this.#num(follows === undefined ? 0 : follows.length);
    if (follows !== undefined) for (const next of follows) this.#post(next);
    if ('refuse' in verdict) {
      this.#num(NOTHING, this.#text(verdict.refuse), this.#text(verdict.outcome));
      return;
    }
    writeInstruction(this.#pen, verdict.approve);
    this.#num(verdict.guards.length);
    for (const guard of verdict.guards) this.#guard(guard);
  }

  #account({ cooperative, kind, owner }: Account): void {
    this.#num(this.#text(cooperative), this.#text(kind), this.#text(owner));
  }

  #guard(guard: Guard): void {
    this.#num(GUARDS.indexOf(guard.kind));
    if (guard.kind === 'cap') {
      const { cooperative, max, alert } = guard;
      this.#num(this.#text(cooperative), toWire(max), alert === undefined ? NOTHING : toWire(alert));
    } else if (guard.kind === 'pause') this.#num(this.#text(guard.card), guard.kiosk, guard.seconds);
    else if (guard.kind === 'day' || guard.kind === 'no-pin') {
      this.#num(this.#text(guard.card), toWire(guard.amount), toWire(guard.max));
    } else if (guard.kind === 'spend') {
      this.#account(guard.account);
      this.#num(toWire(guard.amount), toWire(guard.day), toWire(guard.month));
    } else if (guard.kind === 'income') {
      this.#account(guard.account);
      this.#num(toWire(guard.amount), toWire(guard.month));
    } else if (guard.kind === 'budget') {
      this.#account(guard.account);
      this.#num(toWire(guard.low));
    } else if (guard.kind === 'next') this.#num(this.#text(guard.card), guard.keyVersion, guard.tmc);
    else if (guard.kind === 'idle') this.#account(guard.account);
    else if (guard.kind === 'float') this.#num(this.#text(guard.outlet), toWire(guard.delta));
    else if (guard.kind === 'room') {
      this.#account(guard.account);
      this.#num(toWire(guard.amount), toWire(guard.max));
    } else this.#num(this.#text(guard.card));
  }
}

/** Reads what the packer wrote, field by field in the same order. */
class Reader {
  readonly #batch: Batch;
  #place = 0;
  #byte = 0;
  readonly #eye: Eye = { num: () => this.#num(), text: () => this.#text() };

  constructor(batch: Batch) {
    this.#batch = batch;
  }

  work(): Work {
    const kind = WORKS[this.#num()];
    if (kind === 'post') return { do: kind, request: this.#request() };
    if (kind === 'hold') return { do: kind, request: this.#request(), until: this.#num() };
    if (kind === 'expire') return { do: kind, at: this.#num() };
    if (kind === 'release' || kind === 'settle') return this.#step(kind);
    if (kind === 'cancel') return { do: kind, key: { origin: this.#num(), seq: this.#num() }, at: this.#num() };
    if (kind === 'card') {
      const [uid, status] = [this.#text(), this.#text()];
      return { do: kind, card: { uid, status, keyVersion: this.#num(), tmc: this.#num() } };
    }
    const at = this.#num();
    return { do: 'alarm', alarm: { at, kind: this.#text(), kiosk: this.#text(), detail: this.#text() } };
  }

  #step(kind: 'release' | 'settle'): Work {
    const key = { origin: this.#num(), seq: this.#num() };
    const at = this.#num();
    if (kind === 'release') return { do: kind, key, at, claim: this.#text() };
    return { do: kind, settlement: { key, at, word: this.#text(), officers: this.#text(), answer: this.#text() } };
  }

  // Only the packer writes batches: a hole in the numbers would be a bug, and shows as NaN at the engine's first check.
  #num(): number {
    const value = this.#batch.numbers[this.#place];
    this.#place += 1;
    return value ?? Number.NaN;
  }

  #money(): bigint {
    return rupiah(this.#num());
  }

  /** A text, or null; the field it is read into says what it is. */
  #at(place: number | undefined): never {
    return (place === NOTHING ? null : this.#batch.texts[place ?? NOTHING]) as never;
  }

  #text(): never {
    return this.#at(this.#num());
  }

  #list<Item>(item: () => Item): Item[] {
    const items: Item[] = [];
    for (let left = this.#num(); left > 0; left -= 1) items.push(item());
    return items;
  }

  #request(): PostRequest {
    const key = { origin: this.#num(), seq: this.#num() };
    const [at, hash] = [this.#num(), this.#text()];
    const [amount, card, issuer, acquirer] = [this.#money(), this.#text(), this.#text(), this.#text()];
    const [outlet, riders] = [this.#text(), this.#num()];
    const facts = { amount, card, issuer, acquirer, outlet, passengers: riders > 1 ? riders : undefined };
    const slotCard = this.#num();
    const slot = slotCard === NOTHING ? null : this.#slot(this.#at(slotCard));
    const evidence = this.#evidence();
    const follows = this.#list(() => this.#request());
    const request = { key, hash, at, verdict: this.#verdict(), slot, facts, evidence };
    return follows.length === 0 ? request : { ...request, follows };
  }

  #account(): Account {
    return { cooperative: this.#text(), kind: this.#text(), owner: this.#text() };
  }

  #slot(card: Slot['card']): Slot {
    return { card, keyVersion: this.#num(), tmc: this.#num() };
  }

  #evidence(): Uint8Array | null {
    const length = this.#num();
    if (length === NOTHING) return null;
    this.#byte += length;
    return this.#batch.bytes.subarray(this.#byte - length, this.#byte);
  }

  #verdict(): Verdict {
    const kind = this.#num();
    if (kind === NOTHING) return { refuse: this.#text(), outcome: this.#text() };
    return { approve: readInstruction(this.#eye, kind), guards: this.#list(() => this.#guard()) };
  }

  #cap(): Guard {
    const [cooperative, max, alert] = [this.#text(), this.#money(), this.#num()];
    return alert === NOTHING
      ? { kind: 'cap', cooperative, max }
      : { kind: 'cap', cooperative, max, alert: rupiah(alert) };
  }

  #guard(): Guard {
    const kind = GUARDS[this.#num()];
    if (kind === 'cap') return this.#cap();
    if (kind === 'pause') return { kind, card: this.#text(), kiosk: this.#num(), seconds: this.#num() };
    if (kind === 'day' || kind === 'no-pin') {
      return { kind, card: this.#text(), amount: this.#money(), max: this.#money() };
    }
    if (kind === 'pin') return { kind, card: this.#text() };
    if (kind === 'spend') {
      const [account, amount] = [this.#account(), this.#money()];
      return { kind, account, amount, day: this.#money(), month: this.#money() };
    }
    if (kind === 'income') return { kind, account: this.#account(), amount: this.#money(), month: this.#money() };
    if (kind === 'next') return { kind, card: this.#text(), keyVersion: this.#num(), tmc: this.#num() };
    if (kind === 'float') return { kind, outlet: this.#text(), delta: this.#money() };
    if (kind === 'budget') return { kind, account: this.#account(), low: this.#money() };
    if (kind === 'idle') return { kind, account: this.#account() };
    if (kind === 'room') return { kind, account: this.#account(), amount: this.#money(), max: this.#money() };
    return { kind: 'card-active', card: this.#text() };
  }
}

/** Reads a batch back into works. */
export function unpack(batch: Batch): Work[] {
  const reader = new Reader(batch);
  return Array.from({ length: batch.works }, () => reader.work());
}

/** The answers of a batch: a code each, and the text that goes with it. */
export interface Answers {
  readonly codes: Uint8Array;
  readonly texts: readonly string[];
}

const DONE = 0;
const BODY_DIFFERS = 1;
const FAULT = 2;
const ABSENT = 3;
const DECIDED = 4;
const OPEN = 8;
const DUPLICATE = 1;
const VOIDED = 2;

const codeOf = (answer: Answer): number => {
  if (answer.kind === 'decided') return DECIDED | (answer.duplicate ? DUPLICATE : 0) | (answer.voided ? VOIDED : 0);
  return { done: DONE, 'body-differs': BODY_DIFFERS, fault: FAULT, absent: ABSENT, open: OPEN }[answer.kind];
};

export function packAnswers(answers: readonly Answer[]): Answers {
  const texts = answers.map((answer) => {
    if (answer.kind === 'decided') return answer.receipt;
    if (answer.kind === 'open') return answer.slip;
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
  if (code === ABSENT) return { kind: 'absent' };
  if (code === OPEN) return { kind: 'open', slip: text };
  if (code === FAULT) return { kind: 'fault', message: text };
  const decided: Posting = {
    kind: 'decided',
    receipt: text,
    duplicate: (code & DUPLICATE) !== 0,
    voided: (code & VOIDED) !== 0,
  };
  return decided;
}
