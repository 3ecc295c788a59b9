/** The card reader at the vault's host: a reader program for as long as one command runs, a person standing beside. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { lineCutter } from '../cards/readerlines.ts';
import { APDU_BYTES_MAX, lineOf, sentence } from '../protocol/readercommand.ts';
import { type FromReader, readFromReader } from '../protocol/readerwire.ts';
import type { Edges } from './edges.ts';

/** A card in the field. */
export interface LaidCard {
  /** Counts cards; the same card laid down again has another. */
  readonly presence: number;
  /** 4, 7 or 10 bytes as lower-case hex, as the reader read it: proves nothing. */
  readonly uid: string;
}

export type ReaderState =
  | { readonly type: 'starting' }
  /** Usable; the cards that lie on it, the first one first. */
  | { readonly type: 'ready'; readonly name: string; readonly cards: readonly LaidCard[] }
  /** Not usable until it is ready again, which the program sees to; `why` is a sentence. */
  | { readonly type: 'fault'; readonly why: string }
  /** Over for good: the program failed, or was closed. `why` is a sentence. */
  | { readonly type: 'ended'; readonly why: string };

export interface CardReader {
  state(): ReaderState;
  /** Resolves at the next change of state; what changed is to be looked up, for more may have by then. */
  change(): Promise<void>;
  /** Wakes whoever waits for a change, for another reason. */
  nudge(): void;
  /**
   * Sends one command APDU to the card of this presence.
   * @returns the response with its status word, or an empty array when card, reader or program was lost: whether the
   * card obeyed is then unknown. Never rejects.
   */
  transmit(presence: number, apdu: Uint8Array): Promise<Uint8Array>;
  /** Ends the program, whatever it does. */
  close(): Promise<void>;
}

/** The program that drives the reader, and how long it is waited for, in milliseconds. */
export interface ReaderProgram {
  readonly command: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** From its start to its first message. */
  readonly startMs?: number;
  /** Between two messages, beats included; several beats long. */
  readonly silentMs?: number;
  /** For the answer to one command; longer than any card and reader take. */
  readonly answerMs?: number;
}

/** The program that comes with the kiosk, as `npx` finds it. */
export const READER_COMMAND = ['simpul-reader'] as const;

const START_MS = 15_000;
const SILENT_MS = 4_000;
const ANSWER_MS = 10_000;
/** What a closed program gets to end by itself. */
const PARTING_MS = 500;
/** More cards at once than any reader holds apart. */
const PRESENT_MAX = 8;
/** Characters of standard error that are kept. */
const WORDS_KEPT = 600;
const NOTHING = new Uint8Array(0);

interface Pending {
  readonly presence: number;
  readonly answer: (response: Uint8Array) => void;
  readonly callOff: () => void;
}

/**
 * Starts a reader program. One that ends, falls silent, leaves a command without answer or talks nonsense is ended, and
 * `state` says why: nobody starts it again.
 */
export function openCardReader(deps: Pick<Edges, 'later'>, program: ReaderProgram): CardReader {
  return new ProgramReader(deps, program);
}

/** The hub's own secrets are no business of a reader program. */
function environment(more: Readonly<Record<string, string>> | undefined): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('SIMPUL_'));
  return { ...Object.fromEntries(own), ...more };
}

class ProgramReader implements CardReader {
  readonly #later: Edges['later'];
  readonly #program: ReaderProgram;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #cards = new Map<number, LaidCard>();
  readonly #pending = new Map<number, Pending>();
  #state: ReaderState = { type: 'starting' };
  #waiting: (() => void)[] = [];
  #words = '';
  #lastId = 0;
  #lastPresence = 0;
  #callOffSilence = () => {};

  constructor({ later }: Pick<Edges, 'later'>, program: ReaderProgram) {
    this.#later = later;
    this.#program = program;
    const [file, ...args] = program.command;
    // In a group of its own: Ctrl-C at the terminal must not take the reader away from the card in hand.
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env: environment(program.env), detached: true });
    this.#child = child;
    this.#await(program.startMs ?? START_MS);
    child.stdin.on('error', () => {});
    child.stdout.on(
      'data',
      lineCutter(
        (line) => this.#read(line),
        () => this.#fail('wrote an endless line'),
      ),
    );
    child.stderr.on('data', (chunk: Buffer) => {
      this.#words = (this.#words + chunk.toString('utf8')).slice(-WORDS_KEPT);
    });
    const ended = () => this.#fail(`ended (${child.signalCode ?? `exit code ${child.exitCode}`})`);
    child.on('error', (error: NodeJS.ErrnoException) => this.#fail(notStarted(file, error)));
    child.on('close', ended);
    // 'close' waits for the pipes, which a grandchild may hold open.
    child.on('exit', () => later(ended, PARTING_MS));
  }

  state(): ReaderState {
    return this.#state;
  }

  change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  nudge(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  transmit(presence: number, apdu: Uint8Array): Promise<Uint8Array> {
    assert(apdu.length >= 4 && apdu.length <= APDU_BYTES_MAX, `a command APDU of ${apdu.length} bytes`);
    if (!this.#cards.has(presence)) return Promise.resolve(NOTHING);
    this.#lastId += 1;
    const id = this.#lastId;
    const hex = Buffer.from(apdu).toString('hex');
    return new Promise((answer) => {
      const callOff = this.#later(() => this.#fail('did not answer a command'), this.#program.answerMs ?? ANSWER_MS);
      this.#pending.set(id, { presence, answer, callOff });
      this.#child.stdin.write(lineOf({ type: 'apdu', id, presence, hex }));
    });
  }

  async close(): Promise<void> {
    const child = this.#child;
    this.#end('The reader was closed.');
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.stdin.end();
    const callOff = this.#later(() => this.#kill(), PARTING_MS);
    await once(child, 'exit');
    callOff();
  }

  #kill(): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      // Its group: a program may be a shell that started the real one.
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }

  #await(ms: number): void {
    this.#callOffSilence();
    this.#callOffSilence = this.#later(() => this.#fail(`was silent for ${ms} ms`), ms);
  }

  #fail(what: string): void {
    if (this.#state.type === 'ended') return;
    const said = this.#words.trim().split('\n').at(-1);
    this.#kill();
    this.#end(sentence(`The reader program ${what}${said ? `: ${said}` : ''}.`));
  }

  #end(why: string): void {
    if (this.#state.type === 'ended') return;
    this.#callOffSilence();
    this.#leave();
    this.#become({ type: 'ended', why });
  }

  #become(state: ReaderState): void {
    this.#state = state;
    this.nudge();
  }

  /** Every card leaves and every open command is lost. */
  #leave(): void {
    this.#cards.clear();
    for (const id of [...this.#pending.keys()]) this.#answer(id, NOTHING);
  }

  #answer(id: number, response: Uint8Array): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    pending.callOff();
    pending.answer(response);
  }

  #read(line: string): void {
    if (this.#state.type === 'ended') return;
    this.#await(this.#program.silentMs ?? SILENT_MS);
    const message = readFromReader(line);
    if (message === undefined) this.#fail('wrote a line that is no reader message');
    else this.#take(message);
  }

  #take(message: FromReader): void {
    switch (message.type) {
      case 'beat':
        return;
      case 'ready':
        this.#become({ type: 'ready', name: sentence(message.name), cards: [...this.#cards.values()] });
        return;
      case 'card':
        this.#arrive(message);
        return;
      case 'gone':
        this.#depart(message.presence);
        return;
      case 'reply':
      case 'lost':
        if (message.id > this.#lastId) this.#fail('answered a command that was never sent');
        else this.#answer(message.id, message.type === 'reply' ? Buffer.from(message.hex, 'hex') : NOTHING);
        return;
      case 'fault':
        this.#leave();
        this.#become({ type: 'fault', why: sentence(message.why) });
        return;
    }
  }

  #arrive({ presence, uid }: LaidCard): void {
    if (this.#state.type !== 'ready') this.#fail('told of a card before it was ready');
    else if (presence <= this.#lastPresence) this.#fail('used a presence number twice');
    else if (this.#cards.size >= PRESENT_MAX) this.#fail(`told of more than ${PRESENT_MAX} cards at once`);
    else {
      this.#lastPresence = presence;
      this.#cards.set(presence, { presence, uid });
      this.#become({ ...this.#state, cards: [...this.#cards.values()] });
    }
  }

  /** Unknown presences are passed over: a fault may have taken the card away before. */
  #depart(presence: number): void {
    if (!this.#cards.delete(presence) || this.#state.type !== 'ready') return;
    for (const [id, pending] of [...this.#pending]) if (pending.presence === presence) this.#answer(id, NOTHING);
    this.#become({ ...this.#state, cards: [...this.#cards.values()] });
  }
}

function notStarted(file: string, { code, message }: NodeJS.ErrnoException): string {
  if (code !== 'ENOENT') return `${file} cannot be started (${message}); name another with --reader`;
  return `${file} is not found; npm install -w kiosk brings it and npx simpul-hub finds it, or name one with --reader`;
}
