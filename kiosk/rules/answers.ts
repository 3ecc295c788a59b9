/** What the hub says: decisions, refusals, silence; and what is asked again. */
import { refusals } from '../../protocol/refusals.ts';
import { and, asking, backOff, close, finish, obstacle, remember, resultOf, stay, stop, timer, to } from './moves.ts';
import type { Effect, Paid, Pending, Phase, Sale, Sealed, Step, Till, TillEvent } from './sale.ts';
import { showOwed } from './tap.ts';

type Decided = Pick<Sale, 'seq' | 'amount'>;

/** A receipt for a request of ours, first or repeated. */
export function gotReceipt(till: Till, sealed: Sealed, at: number): Step {
  const { phase } = till;
  const { receipt } = sealed;
  const foreign = strayOf(till, sealed);
  if (foreign !== null) return stay(till, foreign);
  if (phase.name === 'waiting' && phase.sale.seq === receipt.seq) {
    return keepAndFinish(till, sealed, false, phase.sale, []);
  }
  const pending = till.pending.find(({ seq }) => seq === receipt.seq);
  if (pending === undefined) return stay(till);
  // The trader gave this sale up: an approval that crossed the question is void only once the hub has answered the
  // question.
  if (pending.ask === 'cancel' && receipt.outcome === 'approved') return stay(till);
  return settle(till, pending, sealed, false, at);
}

/** The hub's decision on a sale with a tag, which came while the card was being spoken with. */
export function gotDecision(
  till: Till,
  { seq, presence }: TillEvent & { type: 'paid' },
  { uid, sealed }: Paid & { kind: 'decided' },
): Step {
  const { phase } = till;
  if (phase.name !== 'reading' || phase.sale.seq !== seq) return stay(till);
  const next = { ...till, spent: presence };
  const { receipt } = sealed;
  const ours = receipt.seq === seq && fits(till, { ...phase.sale, uid }, receipt);
  if (ours) return keepAndFinish(next, sealed, false, phase.sale, []);
  return and(close(next, phase.sale, uid, 'resolve', false), stray(receipt));
}

/** The answer to a question about a closed sale. */
export function gotAnswer(till: Till, event: TillEvent & { type: 'answer' }, at: number): Step {
  const { sealed, voided } = event;
  const foreign = strayOf(till, sealed);
  if (foreign !== null) return stay(till, foreign);
  const pending = till.pending.find(({ seq }) => seq === sealed.receipt.seq);
  if (pending === undefined || pending.ask !== event.ask) return stay(till);
  return settle(till, pending, sealed, voided, at);
}

/**
 * A receipt that cannot be ours accuses somebody; it decides nothing here. A kiosk that lost its outbox counts from
 * one again and is answered with the sales of before.
 */
function strayOf(till: Till, { receipt }: Sealed): Effect | null {
  const { phase } = till;
  const open = phase.name === 'waiting' ? [{ ...phase.sale, uid: phase.uid }, ...till.pending] : till.pending;
  const sale = open.find(({ seq }) => seq === receipt.seq);
  if (sale === undefined) return null;
  return fits(till, sale, receipt) ? null : stray(receipt);
}

function fits(till: Till, { amount, uid }: Pick<Pending, 'amount' | 'uid'>, receipt: Sealed['receipt']): boolean {
  const same = BigInt(receipt.amount) === amount && (uid === null || receipt.card === uid);
  return receipt.kiosk === till.kiosk && (receipt.outcome !== 'approved' || same);
}

const stray = ({ seq }: Sealed['receipt']): Effect => ({
  type: 'log',
  what: 'receipt of another sale',
  detail: `seq ${seq}`,
});

/** A closed sale is decided: shown now if its screen is still up, else to its card, or to the trader if not paid. */
function settle(till: Till, sale: Pending, sealed: Sealed, voided: boolean, at: number): Step {
  const { phase } = till;
  const result = resultOf(sealed, voided, sale.amount);
  const pending = till.pending.filter(({ seq }) => seq !== sale.seq);
  const keep: Effect = { type: 'keep', seq: sale.seq, sealed, voided };
  const next = { ...till, pending };
  const ended = [keep, stop(`ask ${sale.seq}`)];
  if (phase.name !== 'closing' || phase.sale.seq !== sale.seq) {
    const shown = showOwed(remember(next, result, sale.uid ?? sealed.receipt.card));
    return { till: shown.till, effects: [...ended, ...shown.effects] };
  }
  if (phase.again && result.kind === 'declined' && obstacle(next, at) === null) {
    const { price: amount, mode } = phase.sale;
    return to(next, { name: 'minting', amount, mode }, ...ended, stop('slow'), { type: 'mint', amount, mode });
  }
  return keepAndFinish(next, sealed, voided, sale, [stop(`ask ${sale.seq}`)]);
}

/** Kept before the green light is journaled: that entry belongs to the kept row. */
function keepAndFinish(till: Till, sealed: Sealed, voided: boolean, sale: Decided, first: Effect[]): Step {
  const shown = finish(till, resultOf(sealed, voided, sale.amount));
  return { till: shown.till, effects: [...first, { type: 'keep', seq: sale.seq, sealed, voided }, ...shown.effects] };
}

/**
 * The hub took no decision. Only a reason that may pass leaves the request as it is; else the hub is asked to end
 * the sale.
 */
export function gotRefusal(till: Till, event: TillEvent & { type: 'refused' }): Step {
  const { phase } = till;
  if (event.about !== 'purchase') return stay(till, { type: 'log', what: 'question refused', detail: event.code });
  if (phase.name !== 'waiting' || phase.sale.seq !== event.seq || refusals[event.code].retry === 'later')
    return stay(till);
  const log: Effect = { type: 'log', what: 'request refused', detail: event.code };
  return and(close(till, phase.sale, phase.uid, 'resolve', false), log);
}

/** No answer yet: the same request again, to the byte. */
export function retry(till: Till): Step {
  const { phase } = till;
  if (phase.name !== 'waiting') return stay(till);
  const tries = phase.tries + 1;
  const again = timer('retry', backOff(tries));
  const step = to(till, { ...phase, tries }, again);
  return till.online ? and(step, { type: 'send', body: phase.body }) : step;
}

/** No answer yet about a closed sale: the same question again. */
export function askAgain(till: Till, seq: number): Step {
  const sale = till.pending.find((one) => one.seq === seq);
  if (sale === undefined) return stay(till);
  const tries = sale.tries + 1;
  const pending = till.pending.map((one) => (one === sale ? { ...one, tries } : one));
  return stay({ ...till, pending }, ...asking(till, sale.seq, sale.ask, tries));
}

/** The link came or went. What is unanswered is asked again at once after a reconnect. */
export function linkTurned(till: Till, online: boolean, at: number): Step {
  const next: Till = { ...till, online, contactAt: at, hubOpen: true };
  if (!online) return stay(next);
  const pending = till.pending.map((sale) => ({ ...sale, tries: 0 }));
  const questions = pending.flatMap(({ seq, ask }) => asking(next, seq, ask, 0));
  const fresh: Till = { ...next, pending };
  return fresh.phase.name === 'waiting' ? resume(fresh, fresh.phase, questions) : stay(fresh, ...questions);
}

function resume(till: Till, phase: Phase & { name: 'waiting' }, questions: Effect[]): Step {
  const send: Effect = { type: 'send', body: phase.body };
  return to(till, { ...phase, tries: 0 }, send, timer('retry', backOff(0)), ...questions);
}
