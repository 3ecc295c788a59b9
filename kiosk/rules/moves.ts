/** Moves that several events lead to: readiness, arming, closing, finishing. */
import { refusals } from '../../protocol/refusals.ts';
import {
  type Ask,
  type Effect,
  type Note,
  type Phase,
  READER_STARTING,
  type Recovered,
  type Result,
  type Sale,
  type Sealed,
  type Step,
  type Till,
  type TimerId,
} from './sale.ts';

/** Milliseconds. */
const SECOND = 1000;
/**
 * A beacon is too old to start a sale with: ten seconds are left for the hub to see it within its 60 (TRUTH
 * section 3).
 */
export const BEACON_AGE_MS_MAX = 50 * SECOND;
/** After this long without an answer the screen says so; the sale stays unknown. */
export const SLOW_MS = 60 * SECOND;
/** After this long the beacon of a torn sale is too old to be paid with, so the hub is asked to end it. */
export const DOUBT_MS = 60 * SECOND;
/** How long an armed sale waits for a card before it is dropped, lest the next customer's card pays it. */
export const ARMED_MS = 120 * SECOND;
/** How long a result stays on the screen. */
export const SHOWN_MS = 8 * SECOND;
/** How long a card is asked to wait for its key. */
export const KEY_MS = 5 * SECOND;
export const TICK_MS = 5 * SECOND;
const RETRY_MS_FIRST = 2 * SECOND;
const RETRY_MS_MAX = 60 * SECOND;
/** Results kept for cards that have not seen their green light. */
const UNSHOWN_MAX = 200;

/** Wait before the next try; it doubles up to a minute. The loop adds jitter. */
export const backOff = (tries: number): number => Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** Math.min(tries, 8));

export const timer = (id: TimerId, afterMs: number): Effect => ({ type: 'timer', id, afterMs });
export const stop = (id: TimerId): Effect => ({ type: 'stop', id });

/** Goes on to a phase. */
export function to(till: Till, phase: Phase, ...effects: Effect[]): Step {
  return { till: { ...till, phase }, effects };
}

/** Nothing happens. */
export const stay = (till: Till, ...effects: Effect[]): Step => ({ till, effects });

/** More effects after a step. */
export const and = (step: Step, ...effects: Effect[]): Step => ({
  till: step.till,
  effects: [...step.effects, ...effects],
});

/** Notes about the kiosk itself: true only while `obstacle` says so. */
export const obstacles = ['starting', 'disk-down', 'reader-down', 'offline', 'stale'] as const;
export type Obstacle = (typeof obstacles)[number];

/**
 * Why no account sale can be armed now, or null when one can (TRUTH section 3: online only, with a fresh beacon).
 * @param at the kiosk's monotonic clock, milliseconds
 */
export function obstacle(till: Till, at: number): Obstacle | null {
  if (till.phase.name === 'booting' || till.readerFault === READER_STARTING) return 'starting';
  if (till.diskFault !== null) return 'disk-down';
  if (till.readerFault !== null) return 'reader-down';
  if (!till.online || !till.hubOpen) return 'offline';
  if (till.beacon === null || at - till.beacon.at > BEACON_AGE_MS_MAX) return 'stale';
  return null;
}

/** Arms a sale at its price: whose card will pay is not known again; one that had its turn must leave first. */
export function arm(till: Till, sale: Sale, note: Note | null): Step {
  const waitsToLeave = till.card !== null && till.card.presence === till.spent;
  const anew = { ...sale, amount: sale.price };
  return to(
    till,
    { name: 'armed', sale: anew, note: note ?? (waitsToLeave ? 'lift' : null) },
    timer('forgotten', ARMED_MS),
  );
}

/**
 * Closes a sale here for good: its request is never sent again, and the hub is asked until it answers (TRUTH section
 * 1).
 * @param again arm the same amount anew once the old sale is ended without payment
 */
export function close(till: Till, sale: Sale, uid: string | null, ask: Ask, again: boolean): Step {
  const pending = [...till.pending, { seq: sale.seq, amount: sale.amount, uid, ask, tries: 0 }];
  const next: Till = { ...till, pending, phase: { name: 'closing', sale, ask, again, slow: false } };
  const effects: Effect[] = [stop('retry'), stop('doubt'), { type: 'close', seq: sale.seq, ask }];
  return { till: next, effects: [...effects, ...asking(next, sale.seq, ask, 0), timer('slow', SLOW_MS)] };
}

/** Asks about a closed sale now if the hub can be reached, and again later in any case. */
export function asking(till: Till, seq: Sale['seq'], ask: Ask, tries: number): Effect[] {
  const again = timer(`ask ${seq}`, backOff(tries));
  return till.online ? [{ type: 'ask', seq, ask }, again] : [again];
}

/** What a final decision says on the screen: `approved` and not voided since is the only yes. */
export function resultOf({ receipt }: Sealed, voided: boolean, amount: bigint): Result {
  const seq = receipt.seq as Sale['seq'];
  if (receipt.outcome === 'approved' && !voided) {
    const balance = receipt.balance === null ? null : BigInt(receipt.balance);
    return { kind: 'approved', seq, amount, fee: BigInt(receipt.fee), balance, late: false, ended: null };
  }
  const said = receipt.reason !== null && Object.hasOwn(refusals, receipt.reason) ? receipt.reason : null;
  const reason = receipt.outcome === 'expired' ? 'expired' : (said ?? 'cancelled');
  return { kind: 'declined', seq, amount, reason: receipt.outcome === 'approved' ? 'cancelled' : reason, late: false };
}

/**
 * Shows a result; the green light is journaled after it was shown, so that a crash between shows it twice, not
 * never.
 */
export function finish(till: Till, result: Result): Step {
  const spent = till.card?.presence ?? till.spent;
  const effects: Effect[] = [stop('slow'), stop('retry'), stop('doubt'), stop('forgotten'), timer('shown', SHOWN_MS)];
  if (result.kind === 'approved') effects.push({ type: 'green', seq: result.seq });
  return to({ ...till, spent }, { name: 'done', result }, ...effects);
}

/** Remembers what somebody must still see: an approved sale its card, another one the trader. */
export function remember(till: Till, result: Result, uid: string | null): Till {
  if (uid === null) return till;
  if (result.kind === 'declined') return { ...till, untold: [...till.untold, { ...result, late: true }] };
  const { seq, amount, fee, balance } = result;
  return { ...till, unshown: [...till.unshown, { seq, amount, fee, balance, uid }].slice(-UNSHOWN_MAX) };
}

/** Starts asking about the sales that a restart found without an answer. */
export function recover(till: Till, recovered: readonly Recovered[]): Step {
  const pending = recovered.map((sale) => ({ ...sale, tries: 0 }));
  const next = { ...till, pending };
  return stay(next, ...pending.flatMap(({ seq, ask }) => asking(next, seq, ask, 0)));
}
