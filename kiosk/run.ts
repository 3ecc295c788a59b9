/** The only loop: events in, one pure step, effects out. */
import type { HelloAnswer } from '../protocol/hello.ts';
import type { KioskSeq } from '../protocol/ids.ts';
import type { Refusal } from '../protocol/refusals.ts';
import type { Greeting } from './greeting.ts';
import { type KeyTalk, makeKeyTalk } from './keytalk.ts';
import type { Link, LinkEvent } from './link.ts';
import type { Masters } from './masters.ts';
import { type Outbox, OutboxFault } from './outbox.ts';
import type { Panel } from './panel.ts';
import type { Reader, ReaderEvent } from './reader.ts';
import { makeRelay, type Relay } from './relay.ts';
import { type Ask, type Effect, newTill, type Till, type TillEvent, type TimerId } from './rules/sale.ts';
import { view } from './rules/screens.ts';
import { step } from './rules/till.ts';
import { lookAt, pay, type TapDeps } from './tap.ts';
import type { TariffShelf } from './tariffs.ts';
import { type BookTalk, makeBookTalk } from './tarifftalk.ts';

/** Everything the loop touches; the seeded world hands in its own. */
export interface RunDeps extends Omit<TapDeps, 'reader' | 'relay' | 'journal'> {
  readonly reader: Reader;
  readonly link: Link;
  readonly outbox: Outbox;
  readonly panel: Panel;
  /** The debit masters and what they are used for; null without the `offline` grant. */
  readonly masters: Masters | null;
  readonly greeting: Greeting | null;
  readonly tariffs: TariffShelf;
  /** Monotonic clock, milliseconds. */
  readonly monotonic: () => number;
  /** A fraction from 0 up to, but not including, 1. */
  readonly random: () => number;
  readonly timers: { setTimeout(callback: () => void, ms: number): unknown; clearTimeout(timer: unknown): void };
  readonly log: (what: string, detail: string) => void;
  /** Told once, when a bug has stopped the loop: nothing is armed any more and the kiosk must start anew. */
  readonly failed: (error: unknown) => void;
}

export interface Running {
  /** The state between two steps. */
  till(): Till;
  /** Stops the loop; link, reader, panel and outbox stay open for their owner to close. */
  stop(): void;
}

/** What a message on its way was about. */
type Errand =
  | { readonly about: 'purchase' | Ask; readonly seq: KioskSeq }
  | { readonly about: 'key'; readonly uid: string }
  | { readonly about: 'hello' }
  | { readonly about: 'tariffs' };

/** Green lights kept for cards to see; older ones are answered by the hub. */
const UNSHOWN_MAX = 200;
const ERRANDS_MAX = 256;
/**
 * What is written later when the disk refuses it now: a sale that has ended would be asked about and shown again at the
 * next start. No new sale begins meanwhile, so they are few.
 */
const OWED: ReadonlySet<Effect['type']> = new Set(['drop', 'save', 'close', 'keep', 'green']);
/** Retries of many kiosks must not come together after an outage of the hub. */
const jittered = (ms: number, random: number): number => Math.round(ms * (0.5 + random / 2));

/**
 * Starts the till: reads the disk, then listens to panel, reader and link. @throws OutboxFault when the disk
 * cannot be read.
 */
export function run(deps: RunDeps): Running {
  const loop = new Loop(deps);
  loop.start();
  return { till: () => loop.till, stop: () => loop.stop() };
}

class Loop {
  till: Till;
  readonly #deps: RunDeps;
  readonly #relay: Relay;
  readonly #tap: TapDeps;
  readonly #keys: KeyTalk;
  readonly #book: BookTalk;
  readonly #queue: TillEvent[] = [];
  readonly #timers = new Map<TimerId, unknown>();
  readonly #errands = new Map<string, Errand>();
  readonly #owed: Effect[] = [];
  #busy = false;
  #stopped = false;

  constructor(deps: RunDeps) {
    this.#deps = deps;
    this.#relay = makeRelay(deps);
    this.#tap = { ...deps, relay: this.#relay, journal: (...what) => deps.outbox.journal(...what) };
    this.#keys = makeKeyTalk({
      ...deps,
      ask: (question) => this.#note(deps.link.send('cardkey', question), { about: 'key', uid: question.uid }),
      told: (event) => this.#take(event),
      failed: (error) => this.#fail(error),
    });
    this.#book = makeBookTalk({
      ...deps,
      ask: (question) => {
        const id = deps.link.send('tariffs', question);
        this.#note(id, { about: 'tariffs' });
        return id !== null;
      },
      taken: (prices) => this.#take({ type: 'prices', prices }),
    });
    this.till = newTill(deps.kiosk);
  }

  start(): void {
    const { outbox, panel, reader, link } = this.#deps;
    this.#show();
    this.#take({ type: 'booted', recovered: outbox.unfinished(), unshown: outbox.unshown(UNSHOWN_MAX) });
    this.#book.start();
    panel.listen((key) => this.#take({ type: 'pressed', key }));
    reader.listen((event) => this.#take(readerEvent(event)));
    link.listen((event) => this.#heard(event));
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) this.#deps.timers.clearTimeout(timer);
    this.#timers.clear();
    this.#book.stop();
    // A conversation that nobody awaits any more must not keep its timer.
    this.#relay.cut();
  }

  /** Events are taken one at a time, in order; effects may add more. */
  #take(event: TillEvent): void {
    if (this.#stopped) return;
    this.#queue.push(event);
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined && !this.#stopped; next = this.#queue.shift()) {
        const { till, effects } = step(this.till, next, this.#deps.monotonic());
        this.till = till;
        // Shown before it is journaled: a crash between shows a green light twice rather than never.
        this.#show();
        for (const effect of effects) this.#careful(effect);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#busy = false;
    }
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.stop();
    this.#deps.failed(error);
  }

  /** The one place where a disk fault becomes an event; anything else is a bug and stops the loop. */
  #careful(effect: Effect): void {
    try {
      this.#perform(effect);
    } catch (error) {
      if (!(error instanceof OutboxFault)) throw error;
      if (OWED.has(effect.type)) this.#owed.push(effect);
      this.#deps.log('disk fault', error.message);
      this.#take({ type: 'disk', why: error.message });
    }
  }

  /** Writes what the disk has refused, in order; what it refuses again stays owed. */
  #catchUp(): void {
    for (let [effect] = this.#owed; effect !== undefined; [effect] = this.#owed) {
      this.#perform(effect);
      this.#owed.shift();
    }
  }

  #show(): void {
    this.#deps.panel.show(view(this.till, this.#deps.monotonic()));
  }

  #perform(effect: Effect): void {
    const { outbox } = this.#deps;
    switch (effect.type) {
      case 'mint':
        this.#take({ type: 'minted', seq: outbox.mint(effect.amount, effect.mode) });
        break;
      case 'drop':
        outbox.drop(effect.seq);
        break;
      case 'fetch-key':
        this.#keys.fetch(effect.card);
        break;
      case 'forget-key':
        this.#deps.cardKeys.refuse(effect.uid);
        break;
      case 'pay':
        this.#pay(effect);
        break;
      case 'look':
        this.#look(effect);
        break;
      case 'save':
        outbox.save(effect.seq, effect.body);
        break;
      case 'send':
        this.#note(this.#deps.link.send('purchase', effect.body), {
          about: 'purchase',
          seq: effect.body.seq as KioskSeq,
        });
        break;
      case 'close':
        outbox.close(effect.seq, effect.ask);
        break;
      case 'ask': {
        const { seq, ask } = effect;
        const id = this.#deps.link.send('resolve', { kiosk: this.#deps.kiosk, seq, kind: 'account', ask });
        this.#note(id, { about: ask, seq });
        break;
      }
      case 'keep':
        outbox.keep(effect.seq, effect.sealed, effect.voided);
        break;
      case 'green':
        outbox.green(effect.seq);
        break;
      case 'timer':
        this.#setTimer(effect.id, effect.afterMs);
        break;
      case 'stop':
        this.#clearTimer(effect.id);
        break;
      case 'probe':
        outbox.probe();
        this.#catchUp();
        this.#take({ type: 'disk', why: null });
        break;
      case 'log':
        this.#deps.log(effect.what, effect.detail);
        break;
    }
  }

  #pay(effect: Effect & { type: 'pay' }): void {
    const { sale, card } = effect;
    pay(this.#tap, effect).then(
      (paid) => this.#take({ type: 'paid', seq: sale.seq, presence: card.presence, paid }),
      (error) => this.#fail(error),
    );
  }

  #look(effect: Effect & { type: 'look' }): void {
    const { seq, card } = effect;
    lookAt(this.#tap, effect).then(
      (looked) => this.#take({ type: 'looked', seq, presence: card.presence, looked }),
      (error) => this.#fail(error),
    );
  }

  /** Asks for the key of the masters on the disk, at each connect (TRUTH section 14). */
  #hello(): void {
    const { masters, link } = this.#deps;
    masters?.ask().then(
      (question) => this.#note(link.send('hello', question), { about: 'hello' }),
      (error) => this.#fail(error),
    );
  }

  #released(answer: HelloAnswer): void {
    const { masters, log } = this.#deps;
    masters?.accept(answer).then(
      (why) => (why === null ? log('masters', 'open') : log('the masters stay closed', why)),
      (error: Error) => log('disk fault', error.message),
    );
  }

  /** Notes what a sent message was about; one that was not sent is sent again by a timer of the till. */
  #note(id: string | null, errand: Errand): void {
    if (id === null) return;
    this.#errands.set(id, errand);
    for (const oldest of this.#errands.keys()) {
      if (this.#errands.size <= ERRANDS_MAX) break;
      this.#errands.delete(oldest);
    }
  }

  #done(replyTo: string | undefined): Errand | undefined {
    if (replyTo === undefined) return undefined;
    const errand = this.#errands.get(replyTo);
    this.#errands.delete(replyTo);
    return errand;
  }

  #setTimer(id: TimerId, afterMs: number): void {
    this.#clearTimer(id);
    const { timers, random } = this.#deps;
    const ms = id === 'retry' || id.startsWith('ask ') ? jittered(afterMs, random()) : afterMs;
    const ring = (): void => {
      this.#timers.delete(id);
      this.#take({ type: 'timer', id });
    };
    this.#timers.set(id, timers.setTimeout(ring, ms));
  }

  #clearTimer(id: TimerId): void {
    const timer = this.#timers.get(id);
    if (timer !== undefined) this.#deps.timers.clearTimeout(timer);
    this.#timers.delete(id);
  }

  #heard(event: LinkEvent): void {
    switch (event.type) {
      case 'up':
        // Before any sale leaves: the hub prices by what it was told before.
        this.#book.connected();
        this.#take({ type: 'link', online: true });
        this.#hello();
        break;
      case 'down':
        // Answers to the old connection's messages will not come: what matters is asked again.
        this.#errands.clear();
        this.#deps.log('link down', event.why);
        this.#take({ type: 'link', online: false });
        this.#relay.cut();
        break;
      case 'hub':
        this.#take(event);
        break;
      case 'beacon':
        this.#take({ type: 'beacon', slot: event.slot, value: event.value });
        this.#book.heardOf(event.tariffs);
        break;
      case 'refusal':
        this.#relay.refused(event.replyTo, event.code);
        this.#refused(this.#done(event.replyTo), event.code, event.detail);
        break;
      case 'heard':
        this.#answered(event);
        break;
    }
  }

  #refused(errand: Errand | undefined, code: Refusal, detail: string): void {
    this.#deps.log(`the hub refused: ${code}`, detail);
    if (errand === undefined) return;
    if (errand.about === 'tariffs') this.#book.refused();
    else if (errand.about === 'hello') {
      if (code === 'not-allowed') this.#deps.masters?.forget();
    } else if (errand.about === 'key') this.#take({ type: 'card-key', uid: errand.uid, state: code });
    else this.#take({ type: 'refused', seq: errand.seq, about: errand.about, code });
  }

  #answered(event: LinkEvent & { type: 'heard' }): void {
    const errand = this.#done(event.replyTo);
    switch (event.conversation) {
      case 'purchase':
        this.#take({ type: 'receipt', sealed: event.body });
        break;
      case 'cardkey':
        this.#keys.granted(event.body);
        break;
      case 'relay':
        this.#relay.heard(event.body);
        break;
      case 'hello':
        this.#released(event.body);
        break;
      case 'tariffs':
        this.#book.answered(event.body);
        break;
      case 'resolve': {
        // An answer counts only for the question that was asked: of an approved sale the two questions differ.
        if (errand?.about !== 'resolve' && errand?.about !== 'cancel') return;
        const { receipt, mac, voided } = event.body;
        this.#take({ type: 'answer', ask: errand.about, sealed: { receipt, mac }, voided });
      }
    }
  }
}

function readerEvent(event: ReaderEvent): TillEvent {
  switch (event.type) {
    case 'ready':
      return { type: 'reader-ready' };
    case 'card':
      return { type: 'card', presence: event.presence, uid: event.uid };
    case 'gone':
      return { type: 'gone', presence: event.presence };
    case 'fault':
      return { type: 'reader-fault', why: event.why };
  }
}
