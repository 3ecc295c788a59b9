/** What cards do: they come, leave, pay, tear, and come back. */
import { judge } from './doubt.ts';
import {
  and,
  arm,
  backOff,
  close,
  DOUBT_MS,
  finish,
  KEY_MS,
  obstacle,
  SLOW_MS,
  stay,
  stop,
  timer,
  to,
} from './moves.ts';
import { priceOf } from './prices.ts';
import { requestOf } from './request.ts';
import type { CardTrouble, Effect, Looked, Note, Paid, Phase, Present, Sale, Step, Till, TillEvent } from './sale.ts';

/** Seven bytes; other lengths are no member cards (protocol/ids.ts). */
const UID = /^[0-9a-f]{14}$/;

export const cameCard = (till: Till, card: Present, at: number): Step => turn({ ...till, card }, at);

export function goneCard(till: Till, presence: number): Step {
  if (till.card?.presence !== presence) return stay(till);
  const next = { ...till, card: null, spent: null };
  const { phase } = till;
  if (phase.name === 'keying') return and(arm(next, phase.sale, 'torn'), stop('key'));
  if (phase.name === 'finding') return doubtful(next, phase, null);
  if (phase.name === 'armed' && phase.note === 'lift') return to(next, { ...phase, note: null });
  return stay(next);
}

const mayInterrupt = ({ name }: Phase): boolean =>
  name === 'idle' || name === 'typing' || name === 'confirm' || name === 'armed' || name === 'done';

/**
 * TRUTH section 4: a decision whose green was not shown is shown to its card instead of selling again. The card may
 * lie on the reader when the decision comes.
 */
export function showOwed(till: Till): Step {
  const { phase, card } = till;
  const owed = till.unshown.find(({ uid }) => uid === card?.uid);
  if (owed === undefined || !mayInterrupt(phase)) return stay(till);
  const { uid: _, ...sale } = owed;
  const next = { ...till, unshown: till.unshown.filter((one) => one !== owed) };
  const step = finish(next, { kind: 'approved', ...sale, late: true, ended: amountOf(phase) });
  return phase.name === 'armed' ? and(step, { type: 'drop', seq: phase.sale.seq }) : step;
}

const amountOf = (phase: Phase): bigint | null => {
  if (phase.name === 'confirm') return phase.amount;
  return phase.name === 'armed' ? phase.sale.amount : null;
};

/** Gives the card on the reader its turn, if it has not had it: an unseen green light first, then a sale. */
export function turn(till: Till, at: number): Step {
  const { phase, card } = till;
  if (card === null || card.presence === till.spent) return stay(till);
  const shown = showOwed(till);
  if (shown.till !== till) return shown;
  if (phase.name === 'armed') {
    const why = turnedAway(till, card, at);
    if (why !== null) return to({ ...till, spent: card.presence }, { ...phase, note: why });
    return to(till, { name: 'keying', sale: phase.sale, card }, stop('forgotten'), ...fetching(card));
  }
  if (phase.name === 'doubt') {
    if (card.uid !== phase.intent.uid) return to({ ...till, spent: card.presence }, { ...phase, note: 'other-card' });
    return to(till, { name: 'finding', sale: phase.sale, intent: phase.intent, card }, ...fetching(card));
  }
  return stay(till);
}

const fetching = (card: Present) => [{ type: 'fetch-key', card } as const, timer('key', KEY_MS)];

function turnedAway(till: Till, { uid }: Present, at: number): Note | null {
  if (!UID.test(uid)) return 'foreign';
  // One unanswered account sale closes this kiosk for this card (TRUTH section 1).
  if (till.pending.some((sale) => sale.uid === uid)) return 'unfinished';
  return obstacle(till, at);
}

/** The key of the waiting card is here, or will not come. */
export function cameKey(till: Till, event: TillEvent & { type: 'card-key' }, at: number): Step {
  const { phase } = till;
  if ((phase.name !== 'keying' && phase.name !== 'finding') || phase.card.uid !== event.uid) return stay(till);
  const { card, sale } = phase;
  if (event.state !== 'held') {
    const spent = { ...till, spent: card.presence };
    return and(
      phase.name === 'keying' ? arm(spent, sale, event.state) : doubtful(spent, phase, event.state),
      stop('key'),
    );
  }
  if (phase.name === 'finding')
    return to(till, { ...phase, name: 'looking' }, stop('key'), { type: 'look', seq: sale.seq, card });
  const why = obstacle(till, at);
  const { beacon } = till;
  if (why !== null || beacon === null) return and(arm({ ...till, spent: card.presence }, sale, why), stop('key'));
  const { slot, value } = beacon;
  const charged = { ...sale, amount: chargeOf(till, sale, event.issuer) };
  const pay: Effect = { type: 'pay', sale: charged, card, slot, beacon: value };
  return to(till, { name: 'reading', sale: charged, card }, stop('key'), pay);
}

/** What leaves the member for this sale, now that it is known whose card pays. */
function chargeOf(till: Till, { price, prices }: Sale, issuer: string | undefined): bigint {
  const whose = issuer === prices?.cooperative ? 'own' : 'other';
  return priceOf({ prices, beacon: till.beacon }, whose, price)?.total ?? price;
}

/** The hub did not send the key in time. The card may try again; nothing was asked of it. */
export function lateKey(till: Till): Step {
  const { phase } = till;
  if (phase.name !== 'keying' && phase.name !== 'finding') return stay(till);
  const next = { ...till, spent: phase.card.presence };
  return phase.name === 'keying' ? arm(next, phase.sale, 'key-late') : doubtful(next, phase, 'key-late');
}

/**
 * The account script has ended. Before the commit is sent nothing can have happened, so the same sale stays armed
 * under the same seq: no card carries it and the hub has never heard of it. Once the commit was sent the seq belongs
 * to this card for ever.
 */
export function paid(till: Till, event: TillEvent & { type: 'paid' }, at: number): Step {
  const { phase } = till;
  if (phase.name !== 'reading' || phase.sale.seq !== event.seq) return stay(till);
  const { paid } = event;
  const next = { ...till, spent: event.presence };
  if (paid.kind === 'committed') return submit(next, phase, paid);
  if (paid.kind === 'doubt') {
    const { sale } = phase;
    return again(to(next, { name: 'doubt', sale, intent: paid.intent, note: null }, timer('doubt', DOUBT_MS)), at);
  }
  if (paid.kind === 'unanswered') return close(next, phase.sale, paid.uid, 'resolve', paid.again);
  if (paid.kind === 'turned-away') return again(arm(next, phase.sale, paid.code), at);
  // Taken before it comes here (answers.ts).
  if (paid.kind === 'decided') return stay(till);
  if (paid.kind === 'disk') {
    const drop = { type: 'drop', seq: phase.sale.seq } as const;
    return to({ ...next, diskFault: paid.why }, { name: 'idle', note: 'disk-down' }, drop);
  }
  if (paid.kind === 'wrong-key') {
    if (till.card?.presence === event.presence) return refetch(till, phase);
    return first(forgetting(phase.card), again(arm(next, phase.sale, 'torn'), at));
  }
  return again(arm(next, phase.sale, noteOf(paid.kind)), at);
}

/** Another card, or the same one anew, may have come while the last one was spoken with. */
const again = (step: Step, at: number): Step => {
  const next = turn(step.till, at);
  return { till: next.till, effects: [...step.effects, ...next.effects] };
};

/**
 * Forgets a key the card does not take and asks once more; the keys room stops at the second failure (CARDS
 * section 3.9).
 */
function refetch(till: Till, phase: Phase & { name: 'reading' | 'looking' }): Step {
  const { card, sale } = phase;
  const next: Phase =
    phase.name === 'reading' ? { name: 'keying', sale, card } : { name: 'finding', sale, intent: phase.intent, card };
  return to(till, next, forgetting(card), ...fetching(card));
}

/** Also of a card that has left: the next tap must not try this key again. */
const forgetting = ({ uid }: Present): Effect => ({ type: 'forget-key', uid });
const first = (effect: Effect, { till, effects }: Step): Step => ({ till, effects: [effect, ...effects] });

function noteOf(kind: Exclude<CardTrouble['kind'], 'wrong-key'>): Note {
  switch (kind) {
    case 'torn':
    case 'stopped':
    case 'foreign':
    case 'delay':
    case 'refused':
      return kind;
    case 'no-key':
      return 'key-late';
    case 'disk':
      return 'disk-down';
  }
}

/** Puts the request on disk and sends it; from here on the hub decides. */
function submit(
  till: Till,
  { sale }: Pick<Phase & { name: 'reading' | 'looking' }, 'sale'>,
  { intent, certificate }: Paid & { kind: 'committed' },
): Step {
  const body = requestOf(till.kiosk, sale, intent, certificate);
  return to(
    till,
    { name: 'waiting', sale, uid: intent.uid, body, tries: 0, slow: false },
    stop('doubt'),
    { type: 'save', seq: sale.seq, body },
    { type: 'send', body },
    timer('retry', backOff(0)),
    timer('slow', SLOW_MS),
  );
}

function doubtful(till: Till, phase: Phase & { name: 'finding' | 'looking' }, note: Note | null): Step {
  const { sale, intent } = phase;
  return to(till, { name: 'doubt', sale, intent, note });
}

/**
 * The card of a doubt has been looked at (TRUTH section 4; of an account sale only the hub's decision ends a
 * doubt).
 */
export function looked(till: Till, event: TillEvent & { type: 'looked' }, at: number): Step {
  const { phase } = till;
  if (phase.name !== 'looking' || phase.sale.seq !== event.seq) return stay(till);
  const next = { ...till, spent: event.presence };
  const seen: Looked = event.looked;
  if (seen.kind === 'wrong-key') {
    if (till.card?.presence === event.presence) return refetch(till, phase);
    return first(forgetting(phase.card), again(doubtful(next, phase, null), at));
  }
  if (seen.kind !== 'seen') return again(doubtful(next, phase, noteOfLook(seen.kind)), at);
  const finding = judge(phase.intent, seen.sight);
  const { sale, intent } = phase;
  if (finding.kind === 'committed') return submit(next, phase, { kind: 'committed', intent, certificate: finding });
  // Not committed: the seq is spent, the amount starts again under a new one once the hub has ended the old sale. A
  // committed record without its certificate, or a card that tells nothing, cannot pay an account sale: the hub ends
  // it too.
  return close(next, sale, intent.uid, 'resolve', finding.kind === 'not-committed');
}

/** "Not charged" must not be said of a doubt: a card torn while it is looked at tells nothing. */
const noteOfLook = (kind: Parameters<typeof noteOf>[0]): Note | null => (kind === 'torn' ? null : noteOf(kind));
