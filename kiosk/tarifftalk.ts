/** The kiosk's part in the conversation about tariffs: asks at each connect, takes, acknowledges, refuses aloud. */
import type { TariffsAnswer, TariffsRequest } from '../protocol/tariffbook.ts';
import { type Outbox, OutboxFault } from './outbox.ts';
import type { Prices } from './rules/prices.ts';
import type { TariffShelf } from './tariffs.ts';

export interface BookTalkDeps {
  readonly tariffs: TariffShelf;
  readonly outbox: Pick<Outbox, 'next'>;
  readonly timers: { setTimeout(callback: () => void, ms: number): unknown; clearTimeout(timer: unknown): void };
  /** A fraction from 0 up to, but not including, 1. */
  readonly random: () => number;
  readonly log: (what: string, detail: string) => void;
  /** Sends the question; false if it was not sent. */
  readonly ask: (question: TariffsRequest) => boolean;
  /** A book is on the disk: from the next sale on, fees are shown by it. */
  readonly taken: (prices: Prices) => void;
}

export interface BookTalk {
  /** Tells of the book that lies on the disk. */
  start(): void;
  connected(): void;
  /** The beacon names the newest book. */
  heardOf(newest: number | undefined): void;
  answered(answer: TariffsAnswer): void;
  /** The hub did not answer the question. */
  refused(): void;
  stop(): void;
}

/** All kiosks of a town hear of a new book at once; they ask within this time, lest the hub drown. */
const SPREAD_MS = 60_000;

/** Never throws but for bugs: a disk that refuses the book leaves the one before in force. */
export function makeBookTalk(deps: BookTalkDeps): BookTalk {
  const { tariffs, outbox, timers, random, log } = deps;
  /** The newest book that was asked for, so that each is asked for once a connection. */
  let asked = 0;
  /** A hub that sends the same again is not told again on this connection. */
  let complained = false;
  let timer: unknown;

  function careful(work: () => void): void {
    try {
      work();
    } catch (error) {
      const fromDisk = error instanceof OutboxFault || (error as NodeJS.ErrnoException).code !== undefined;
      if (!fromDisk) throw error;
      log('disk fault', (error as Error).message);
    }
  }

  const ask = (why?: TariffsRequest['refused']) => careful(() => void deps.ask(tariffs.ask(outbox.next(), why)));

  function stop(): void {
    timers.clearTimeout(timer);
    timer = undefined;
  }

  function tell(): void {
    const held = tariffs.held();
    if (held !== null) deps.taken(held);
  }

  return {
    start: tell,
    connected() {
      stop();
      asked = 0;
      complained = false;
      ask();
    },
    heardOf(newest = 0) {
      if (newest <= (tariffs.held()?.book ?? 0) || newest === asked) return;
      stop();
      asked = newest;
      timer = timers.setTimeout(() => ask(), Math.floor(random() * SPREAD_MS));
    },
    answered(answer) {
      careful(() => {
        const taken = tariffs.take(answer, outbox.next());
        if (taken.kind === 'nothing-new') return;
        if (taken.kind === 'refused') {
          log('tariffs refused', `the hub sent a book that is ${taken.why}; the one before stays in force`);
          if (!complained) ask(taken.why);
          complained = true;
          return;
        }
        tell();
        ask();
      });
    },
    refused() {
      asked = 0;
    },
    stop,
  };
}
