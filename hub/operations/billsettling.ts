/** Bill settling: asks billers about released bills until each has said paid or refused, and ends the hold with it. */
import type { Logger } from 'pino';
import type { BillOrder, Paying } from '../billers/port.ts';
import type { Billers } from '../billers/settings.ts';
import type { Edges } from '../edges.ts';
import { BILL_ORIGIN, type DecisionKey, type Ledger } from '../store/ledger.ts';

/** What is kept with the hold at its release, so that any later process can ask again. */
export interface ReleasedBill {
  readonly key: DecisionKey;
  /** Hub time of the release, milliseconds since 1970 UTC. */
  readonly released: number;
  readonly biller: string;
  readonly order: BillOrder;
}

export interface BillSettlingDeps extends Pick<Edges, 'now' | 'later'> {
  readonly log: Pick<Logger, 'warn' | 'error'>;
  readonly ledger: Pick<Ledger, 'settle' | 'holds'>;
  readonly billers: Pick<Billers, 'biller'>;
}

export interface BillSettling {
  /**
   * Asks the biller about a released bill, unless that is being done; resolves when the bill has ended or the hub does.
   * @param fresh it was released just now by this call, so that the biller cannot know it yet
   */
  pursue(bill: ReleasedBill, fresh: boolean): Promise<void>;
  /** Takes up all bills that an earlier process had released. */
  resume(): Promise<void>;
  /** Asks nobody any more. */
  stop(): void;
}

/** Between two questions about one bill: doubled each time, from two seconds to five minutes. */
const AGAIN_MS = { first: 2_000, most: 300_000 } as const;
/**
 * A biller that does not know a reference is told to pay it again, which is safe under the same reference; but not when
 * this long has passed: it may have forgotten what it paid, and the payer may have gone another way.
 */
export const PAY_AGAIN_MS = 3_600_000;

const nameOf = ({ origin, seq }: DecisionKey) => `${origin}/${seq}`;

/** The claim of a release. */
export function claimOf({ biller, order }: Pick<ReleasedBill, 'biller' | 'order'>): string {
  const { reference, product, customer, amount } = order;
  return JSON.stringify({ biller, reference, product, customer, amount: Number(amount) });
}

/** Reads what `claimOf` wrote. */
function orderIn(claim: string): Pick<ReleasedBill, 'biller' | 'order'> {
  const { biller, amount, ...order } = JSON.parse(claim) as Omit<BillOrder, 'amount'> & {
    readonly biller: string;
    readonly amount: number;
  };
  return { biller, order: { ...order, amount: BigInt(amount) } };
}

const isBill = ({ origin }: DecisionKey) => Math.floor(origin / 2 ** 24) === BILL_ORIGIN / 2 ** 24;

/** One question to the biller; what it does not know it is told once more to pay (see `PAY_AGAIN_MS`). */
async function question(deps: BillSettlingDeps, bill: ReleasedBill, first: boolean): Promise<Paying> {
  const biller = deps.billers.biller(bill.biller);
  if (biller === null) return { kind: 'unsure', why: `hub.json lists no biller ${bill.biller}` };
  if (first) return biller.pay(bill.order);
  const asked = await biller.ask(bill.order);
  if (asked.kind !== 'unknown') return asked;
  const age = deps.now() - bill.released;
  // A release that lies ahead tells of a clock that was set back, and nothing of how long ago it was.
  if (age >= 0 && age < PAY_AGAIN_MS) return biller.pay(bill.order);
  return { kind: 'unsure', why: 'the biller does not know it any more; two officers end it' };
}

/** Starts what settles bills; nothing is asked before `pursue` or `resume`. */
export function makeBillSettling(deps: BillSettlingDeps): BillSettling {
  const { ledger, log, now, later } = deps;
  const running = new Map<string, Promise<void>>();
  const waiting = new Set<() => void>();
  let stopped = false;

  /** Resolves after the time, or at once when the hub ends. */
  const wait = (ms: number) =>
    new Promise<void>((resolve) => {
      const end = () => {
        callOff();
        waiting.delete(end);
        resolve();
      };
      const callOff = later(end, ms);
      waiting.add(end);
    });

  /** True once the bill has ended. */
  async function attempt(bill: ReleasedBill, first: boolean): Promise<boolean> {
    const said = await question(deps, bill, first);
    if (stopped) return true;
    const { key } = bill;
    if (said.kind === 'unsure') {
      log.warn({ bill: nameOf(key), biller: bill.biller, why: said.why }, 'a biller is unsure of a bill');
      return false;
    }
    const { kind, text } = said;
    const answer = JSON.stringify({ kind, serial: kind === 'paid' ? said.serial : null, text });
    await ledger.settle({ key, word: kind === 'paid' ? 'post' : 'void', at: now(), officers: null, answer });
    return true;
  }

  async function run(bill: ReleasedBill, fresh: boolean): Promise<void> {
    let first = fresh;
    for (let pause: number = AGAIN_MS.first; !stopped; pause = Math.min(pause * 2, AGAIN_MS.most)) {
      try {
        if (await attempt(bill, first)) return;
      } catch (err) {
        // The biller's answer stands there too: it is asked for again.
        log.error({ err, bill: nameOf(bill.key) }, 'the end of a bill could not be written');
      }
      first = false;
      if (!stopped) await wait(pause);
    }
  }

  function pursue(bill: ReleasedBill, fresh: boolean): Promise<void> {
    const name = nameOf(bill.key);
    const known = running.get(name);
    if (known !== undefined) return known;
    const started = run(bill, fresh).finally(() => running.delete(name));
    running.set(name, started);
    return started;
  }

  return {
    pursue,
    async resume() {
      for (const { key, released, claim } of await ledger.holds()) {
        if (!isBill(key) || released === null || claim === null) continue;
        void pursue({ key, released, ...orderIn(claim) }, false);
      }
    },
    stop() {
      stopped = true;
      for (const end of [...waiting]) end();
    },
  };
}
