/** The ledger over the SQLite engine in its worker: what queues there while one commit runs is the next batch. */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { OutletId } from '../../../protocol/ids.ts';
import type { Account } from '../../rules/accounts.ts';
import {
  type Alarm,
  type DecisionKey,
  type HoldAnswer,
  type Ledger,
  LedgerFault,
  type Line,
  type OpenDispute,
  type OpenHold,
  type OpenReload,
  type Posting,
  type Standing,
  type TrialBalance,
} from '../ledger.ts';
import { type Answers, answerAt, type Batch, Packer } from './batch.ts';
import type { Answer, Work } from './engine.ts';

/** What the worker is asked. */
export type Call =
  | { readonly id: number; readonly do: 'apply'; readonly batch: Batch }
  | { readonly id: number; readonly do: 'balances'; readonly accounts: readonly Account[] }
  | {
      readonly id: number;
      readonly do: 'lines';
      readonly account: Account;
      readonly after: number | null;
      readonly limit: number;
    }
  | { readonly id: number; readonly do: 'alarms'; readonly limit: number }
  | { readonly id: number; readonly do: 'standing'; readonly key: DecisionKey }
  | { readonly id: number; readonly do: 'openReloads' }
  | { readonly id: number; readonly do: 'holds' }
  | { readonly id: number; readonly do: 'disputes' }
  | { readonly id: number; readonly do: 'openHold'; readonly key: DecisionKey }
  | { readonly id: number; readonly do: 'ending'; readonly key: DecisionKey }
  | { readonly id: number; readonly do: 'float'; readonly outlet: OutletId }
  | { readonly id: number; readonly do: 'close' };

type Asked<C> = C extends Call ? Omit<C, 'id'> : never;

/** What the worker is started with. */
export interface WorkerOrder {
  readonly path: string;
  /** Requests in one commit at most. */
  readonly batchMax: number;
  /** Calls come in here, answers go out. */
  readonly port: MessagePort;
}

/** What it answers; number 0 says that the ledger is open. */
export type Reply = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly fault: string };

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (fault: LedgerFault) => void;
}

/** Most requests in one commit: beyond it the answers would only come later, not cheaper. */
const BATCH_MAX = 512;
/** Most requests in one message to the worker: small enough to start it early, large enough to make messages cheap. */
const GROUP_MAX = 32;
/** Most requests that may wait for a commit, seconds of work; more are turned away undecided. */
const QUEUE_MAX = 50_000;

/** The worker as a table of open questions. */
class Link {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #asked = new Map<number, Waiting>();
  #last = 0;
  #dead: string | null = null;
  #shut = false;
  readonly ready: Promise<void>;

  constructor(workerData: Omit<WorkerOrder, 'port'>, died: (fault: LedgerFault) => void) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const order = { workerData: { ...workerData, port: port2 }, transferList: [port2] };
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), order);
    this.ready = new Promise((resolve, reject) => this.#asked.set(0, { resolve: resolve as () => void, reject }));
    this.#port.on('message', (reply: Reply) => this.#settle(reply));
    const fail = (message: string) => {
      if (this.#dead !== null) return;
      // What it answered before it ended still stands.
      this.collect();
      this.#dead = message;
      for (const { reject } of this.#asked.values()) reject(new LedgerFault(message));
      this.#asked.clear();
      died(new LedgerFault(message));
    };
    this.#worker.on('error', (error) => fail(`the ledger's engine failed: ${(error as Error).message}`));
    this.#worker.on('exit', () => fail('the ledger is closed'));
  }

  #settle(reply: Reply): void {
    const waiting = this.#asked.get(reply.id);
    this.#asked.delete(reply.id);
    if ('fault' in reply) waiting?.reject(new LedgerFault(reply.fault));
    else waiting?.resolve(reply.value as never);
  }

  /** Takes what the worker has answered by now; the event loop brings it only once per round. */
  collect(): void {
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) {
      this.#settle(next.message as Reply);
    }
  }

  /** Ends the worker once it has answered all it was asked; resolves when the file is closed. */
  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#worker.once('exit', resolve));
    const closed = this.ask<null>({ do: 'close' });
    this.#shut = true;
    await closed;
    await ended;
  }

  ask<Value>(call: Asked<Call>): Promise<Value> {
    const shut = this.#dead ?? (this.#shut ? 'the ledger is closed' : null);
    if (shut !== null) return Promise.reject(new LedgerFault(shut, true));
    this.#last += 1;
    const id = this.#last;
    return new Promise<Value>((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#port.postMessage({ ...call, id });
    });
  }
}

interface Asker {
  /** Makes the value that was asked for; throws what the asker is to get instead. */
  readonly read: (answer: Answer) => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (fault: unknown) => void;
}

/**
 * Requests on their way to the worker. They leave in groups, without waiting for the commit that runs there: a worker
 * that waited for the event loop's round would stand still. With each group the answers that are ready are taken in, so
 * that kiosks need not wait for that round either, and requests stay in memory for less.
 */
class Queue {
  readonly #link: Link;
  readonly #max: number;
  readonly #groupMax: number;
  #packer = new Packer();
  #askers: Asker[] = [];
  #unanswered = 0;

  constructor(link: Link, max: number, groupMax: number) {
    this.#link = link;
    this.#max = max;
    this.#groupMax = groupMax;
  }

  push<Value>(work: Work, read: (answer: Answer) => Value): Promise<Value> {
    if (this.#unanswered >= this.#max) {
      return Promise.reject(new LedgerFault('too many requests wait for the ledger; try again later', true));
    }
    return new Promise((resolve, reject) => {
      this.#packer.add(work);
      this.#askers.push({ read, resolve, reject });
      this.#unanswered += 1;
      if (this.#askers.length >= this.#groupMax) void this.#send();
      // After this round of the event loop, so that requests which arrived together share a message.
      else if (this.#askers.length === 1) setImmediate(() => void this.#send());
    });
  }

  async #send(): Promise<void> {
    const [packer, askers] = [this.#packer, this.#askers];
    if (askers.length === 0) return;
    this.#link.collect();
    this.#packer = new Packer();
    this.#askers = [];
    try {
      const answers = await this.#link.ask<Answers>({ do: 'apply', batch: packer.batch() });
      for (const [index, asker] of askers.entries()) give(asker, answerAt(answers, index));
    } catch (error) {
      for (const { reject } of askers) reject(error);
    } finally {
      this.#unanswered -= askers.length;
    }
  }
}

function give({ read, resolve, reject }: Asker, answer: Answer): void {
  try {
    resolve(read(answer) as never);
  } catch (fault) {
    reject(fault);
  }
}

function holding(answer: Answer): HoldAnswer {
  if (answer.kind === 'fault') throw new LedgerFault(answer.message);
  if (answer.kind === 'done') throw new Error('a decision was answered as done');
  return answer;
}

function posting(answer: Answer): Posting {
  const found = holding(answer);
  if (found.kind === 'open' || found.kind === 'absent') throw new Error(`a post was answered as ${found.kind}`);
  return found;
}

function done(answer: Answer): void {
  if (answer.kind === 'fault') throw new LedgerFault(answer.message);
}

function trialBalance(path: string): Promise<TrialBalance> {
  return new Promise((resolve, reject) => {
    const auditor = new Worker(new URL('./auditor.js', import.meta.url), { workerData: { path } });
    auditor.on('message', resolve);
    auditor.on('error', (error) => reject(new LedgerFault(`the audit failed: ${(error as Error).message}`)));
    auditor.on('exit', () => reject(new LedgerFault('the audit ended without a result')));
  });
}

export interface LedgerOptions {
  readonly path: string;
  /** Called once if the engine dies while in use: every later call fails, and only a new start opens the file again. */
  readonly onFault?: (fault: LedgerFault) => void;
  /** Requests that may wait at once. */
  readonly queueMax?: number;
  /** Requests in one commit at most. */
  readonly batchMax?: number;
}

/**
 * Opens a ledger file, or starts one, with its engine in a worker thread.
 * @throws LedgerFault if the file cannot be used or would not be durable.
 */
export async function openLedger({
  path,
  onFault,
  queueMax = QUEUE_MAX,
  batchMax = BATCH_MAX,
}: LedgerOptions): Promise<Ledger> {
  let open = false;
  const link = new Link({ path, batchMax }, (fault) => {
    if (open) onFault?.(fault);
  });
  await link.ready;
  open = true;
  const queue = new Queue(link, queueMax, Math.min(GROUP_MAX, batchMax));
  return {
    post: (request) => queue.push({ do: 'post', request }, posting),
    cancel: (key, at) => queue.push({ do: 'cancel', key, at }, posting),
    hold: (request, until) => queue.push({ do: 'hold', request, until }, holding),
    release: (key, at, claim) => queue.push({ do: 'release', key, at, claim }, holding),
    settle: (settlement) => queue.push({ do: 'settle', settlement }, holding),
    expire: (at) => queue.push({ do: 'expire', at }, done),
    openHold: (key) => link.ask<string | null>({ do: 'openHold', key }),
    ending: (key) => link.ask<string | null>({ do: 'ending', key }),
    holds: () => link.ask<readonly OpenHold[]>({ do: 'holds' }),
    disputes: () => link.ask<readonly OpenDispute[]>({ do: 'disputes' }),
    float: (outlet) => link.ask<bigint>({ do: 'float', outlet }),
    putCard: (card) => queue.push({ do: 'card', card }, done),
    alarm: (alarm) => queue.push({ do: 'alarm', alarm }, done),
    alarms: (limit) => link.ask<readonly Alarm[]>({ do: 'alarms', limit }),
    balances: (accounts) => link.ask<readonly bigint[]>({ do: 'balances', accounts }),
    lines: (account, after, limit) => link.ask<readonly Line[]>({ do: 'lines', account, after, limit }),
    standing: (key) => link.ask<Standing | null>({ do: 'standing', key }),
    openReloads: () => link.ask<readonly OpenReload[]>({ do: 'openReloads' }),
    trialBalance: () => trialBalance(path),
    close: () => {
      open = false;
      return link.close();
    },
  };
}
