/** The card reader as the kiosk sees it: events in, APDUs out; the reader itself lives in a child process. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lineCutter } from '../cards/readerlines.ts';
import { APDU_BYTES_MAX, lineOf, sentence } from '../protocol/readercommand.ts';
import { type FromReader, readFromReader } from '../protocol/readerwire.ts';

export type ReaderEvent =
  | { readonly type: 'ready'; readonly name: string }
  /** A card is in the field. `presence` counts cards; everything about this card names it. */
  | { readonly type: 'card'; readonly presence: number; readonly uid: string; readonly atr: string }
  | { readonly type: 'gone'; readonly presence: number }
  /** The reader cannot be used until the next `ready`; `why` is a sentence for the technician. */
  | { readonly type: 'fault'; readonly why: string };

export interface Reader {
  /** Registers the one listener; events before it are kept and delivered in order. */
  listen(listener: (event: ReaderEvent) => void): void;
  /**
   * Sends one command APDU to the card of this presence.
   * @returns the response with its status word, or an empty array when the card, reader or child was lost: the
   * outcome is
   * then unknown. Never rejects.
   */
  transmit(presence: number, apdu: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** What the reader needs from the world; `node:timers` and `Math.random` in a kiosk. */
export interface ReaderDeps {
  readonly timers: {
    setTimeout(callback: () => void, ms: number): unknown;
    clearTimeout(timer: unknown): void;
  };
  /** A fraction from 0 up to, but not including, 1. */
  readonly random: () => number;
}

/** The program that drives the reader, and how long the kiosk waits for it (milliseconds). */
export interface ReaderCommand {
  readonly command: readonly [string, ...string[]];
  /** Added to the kiosk's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** From its start to its first message. */
  readonly startMs?: number;
  /** Between two messages, beats included; several beats long. */
  readonly silentMs?: number;
  /** For the answer to one command; longer than any card and reader take. */
  readonly answerMs?: number;
  /** The first back-off; it doubles with each failure up to `RESTART_MS_MAX`, full jitter. */
  readonly restartMs?: number;
}

const START_MS = 15_000;
const SILENT_MS = 4_000;
const ANSWER_MS = 10_000;
const RESTART_MS = 250;
const RESTART_MS_MAX = 30_000;
/** A program that beats this often without a fault has recovered, and its next failure is a first one. */
const BEATS_TO_TRUST = 10;
/** What a closed or ended program gets to put its last words through, before it is cut off. */
const PARTING_MS = 500;
/** A sale sends one command at a time; more than this many at once is a bug upstream, answered as lost. */
const PENDING_MAX = 32;
/** More cards at once than any reader holds apart. */
const PRESENT_MAX = 8;
/** Events kept until someone listens; the oldest are dropped first, for only the latest say what is there now. */
const KEPT_MAX = 256;

/** Characters of standard error that are kept. */
const WORDS_KEPT = 600;

const NOTHING = new Uint8Array(0);

interface Child {
  readonly program: ChildProcess;
  /** Added to the program's own presence numbers, so that no number returns after a restart. */
  readonly base: number;
  /** Its last words on standard error, for the technician. */
  words: string;
  /** The timer of its silence. */
  silence: unknown;
}

interface Pending {
  readonly presence: number;
  readonly answer: (response: Uint8Array) => void;
  readonly timer: unknown;
}

/**
 * Starts the configured reader program and keeps it running: a program that ends, falls silent, leaves a command
 * without answer or talks nonsense is replaced after a back-off with full jitter. Each such event is one `fault`;
 * cards then present are `gone`, commands then open are answered empty.
 */
export function openReader(deps: ReaderDeps, settings: ReaderCommand): Reader {
  return new ReaderHost(deps, settings);
}

class ReaderHost implements Reader {
  readonly #deps: ReaderDeps;
  readonly #settings: ReaderCommand;
  readonly #kept: ReaderEvent[] = [];
  readonly #present = new Set<number>();
  readonly #pending = new Map<number, Pending>();
  #listener: ((event: ReaderEvent) => void) | undefined;
  #child: Child | undefined;
  #restart: unknown;
  #ready = false;
  #lastFault: string | undefined;
  #lastId = 0;
  #lastPresence = 0;
  #failures = 0;
  #beats = 0;
  #closed = false;

  constructor(deps: ReaderDeps, settings: ReaderCommand) {
    this.#deps = deps;
    this.#settings = settings;
    this.#start();
  }

  listen(listener: (event: ReaderEvent) => void): void {
    this.#listener = listener;
    for (const event of this.#kept.splice(0)) listener(event);
  }

  transmit(presence: number, apdu: Uint8Array): Promise<Uint8Array> {
    assert(apdu.length >= 4 && apdu.length <= APDU_BYTES_MAX, `a command APDU of ${apdu.length} bytes`);
    const child = this.#child;
    if (!child || !this.#present.has(presence) || this.#pending.size >= PENDING_MAX) return Promise.resolve(NOTHING);
    this.#lastId += 1;
    const id = this.#lastId;
    const hex = Buffer.from(apdu).toString('hex');
    return new Promise((answer) => {
      const timer = this.#deps.timers.setTimeout(
        () => this.#fail(child, 'did not answer a command'),
        this.#settings.answerMs ?? ANSWER_MS,
      );
      this.#pending.set(id, { presence, answer, timer });
      child.program.stdin?.write(lineOf({ type: 'apdu', id, presence: presence - child.base, hex }));
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#deps.timers.clearTimeout(this.#restart);
    const child = this.#child;
    this.#child = undefined;
    this.#leave();
    if (!child) return;
    this.#deps.timers.clearTimeout(child.silence);
    const { program } = child;
    if (program.pid === undefined || program.exitCode !== null || program.signalCode !== null) return;
    program.stdin?.end();
    const impatience = this.#deps.timers.setTimeout(() => program.kill('SIGKILL'), PARTING_MS);
    await once(program, 'exit');
    this.#deps.timers.clearTimeout(impatience);
  }

  #emit(event: ReaderEvent): void {
    if (this.#closed) return;
    if (this.#listener) {
      this.#listener(event);
      return;
    }
    this.#kept.push(event);
    if (this.#kept.length > KEPT_MAX) this.#kept.shift();
  }

  #start(): void {
    const [file, ...args] = this.#settings.command;
    const env = { ...process.env, ...this.#settings.env };
    const program = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env });
    const child: Child = { program, base: this.#lastPresence, words: '', silence: undefined };
    this.#child = child;
    this.#beats = 0;
    this.#await(child, this.#settings.startMs ?? START_MS);
    // A program that has just ended closes its pipe too: its 'exit' says more than this error would.
    program.stdin.on('error', () => {});
    program.stdout.on(
      'data',
      lineCutter(
        (line) => this.#read(child, line),
        () => this.#fail(child, 'wrote an endless line'),
      ),
    );
    program.stderr.on('data', (chunk: Buffer) => {
      child.words = (child.words + chunk.toString('utf8')).slice(-WORDS_KEPT);
    });
    const ended = () => {
      const how = program.signalCode ?? `exit code ${program.exitCode}`;
      this.#fail(child, `ended (${how})`);
    };
    program.on('error', (error) => this.#fail(child, `cannot be started (${error.message})`));
    program.on('close', ended);
    // 'close' waits for the pipes, which a grandchild may hold open.
    program.on('exit', () => this.#deps.timers.setTimeout(ended, PARTING_MS));
  }

  #await(child: Child, ms: number): void {
    this.#deps.timers.clearTimeout(child.silence);
    child.silence = this.#deps.timers.setTimeout(() => this.#fail(child, `was silent for ${ms} ms`), ms);
  }

  /** Gives up on a program, whatever state it is in, and plans the next one. */
  #fail(child: Child, what: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#deps.timers.clearTimeout(child.silence);
    child.program.kill('SIGKILL');
    const said = child.words.trim().split('\n').at(-1);
    this.#fault(`The reader program ${what}${said ? `: ${said}` : ''}. It is started again by itself.`);
    const ceiling = Math.min(RESTART_MS_MAX, (this.#settings.restartMs ?? RESTART_MS) * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    this.#restart = this.#deps.timers.setTimeout(() => this.#start(), this.#deps.random() * ceiling);
  }

  /** A fault that only repeats the last one is not told again. */
  #fault(why: string): void {
    this.#ready = false;
    this.#leave();
    const told = sentence(why);
    if (told === this.#lastFault) return;
    this.#lastFault = told;
    this.#emit({ type: 'fault', why: told });
  }

  /** Every card leaves and every open command is lost. */
  #leave(): void {
    for (const id of [...this.#pending.keys()]) this.#answer(id, NOTHING);
    for (const presence of this.#present) this.#emit({ type: 'gone', presence });
    this.#present.clear();
  }

  #answer(id: number, response: Uint8Array): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#pending.delete(id);
    this.#deps.timers.clearTimeout(pending.timer);
    pending.answer(response);
  }

  #read(child: Child, line: string): void {
    if (this.#child !== child) return;
    this.#await(child, this.#settings.silentMs ?? SILENT_MS);
    const message = readFromReader(line);
    if (message) this.#take(child, message);
    else this.#fail(child, 'wrote a line that is no reader message');
  }

  #take(child: Child, message: FromReader): void {
    switch (message.type) {
      case 'beat':
        this.#beats += 1;
        if (this.#ready && this.#beats >= BEATS_TO_TRUST) this.#failures = 0;
        return;
      case 'ready':
        this.#ready = true;
        this.#lastFault = undefined;
        this.#emit({ type: 'ready', name: sentence(message.name) });
        return;
      case 'card':
        this.#arrive(child, message);
        return;
      case 'gone':
        this.#depart(child.base + message.presence);
        return;
      case 'reply':
      case 'lost':
        if (message.id > this.#lastId) this.#fail(child, 'answered a command that was never sent');
        else this.#answer(message.id, message.type === 'reply' ? Buffer.from(message.hex, 'hex') : NOTHING);
        return;
      case 'fault':
        this.#beats = 0;
        this.#fault(message.why);
        return;
    }
  }

  #arrive(child: Child, { presence: own, uid, atr }: FromReader & { type: 'card' }): void {
    const presence = child.base + own;
    if (!this.#ready) this.#fail(child, 'told of a card before it was ready');
    else if (presence <= this.#lastPresence) this.#fail(child, 'used a presence number twice');
    else if (this.#present.size >= PRESENT_MAX) this.#fail(child, `told of more than ${PRESENT_MAX} cards at once`);
    else {
      this.#lastPresence = presence;
      this.#present.add(presence);
      this.#emit({ type: 'card', presence, uid, atr });
    }
  }

  /** Unknown presences are passed over: a fault may have taken the card away before. */
  #depart(presence: number): void {
    if (!this.#present.delete(presence)) return;
    for (const [id, pending] of [...this.#pending]) if (pending.presence === presence) this.#answer(id, NOTHING);
    this.#emit({ type: 'gone', presence });
  }
}
