/** The till: one pure step from a state and an event to the next state and what must be done. */
import { askAgain, gotAnswer, gotDecision, gotReceipt, gotRefusal, linkTurned, retry } from './answers.ts';
import { and, arm, close, finish, recover, stay, stop, TICK_MS, timer, to } from './moves.ts';
import { pressed } from './pressed.ts';
import type { Effect, Sale, Step, Till, TillEvent, TimerId } from './sale.ts';
import { cameCard, cameKey, goneCard, lateKey, looked, paid, turn } from './tap.ts';

/**
 * Takes one event.
 * @param at the kiosk's monotonic clock, milliseconds: beacon ages are measured by it alone, kiosk time proves nothing
 */
export function step(till: Till, event: TillEvent, at: number): Step {
  const next = told(taken(till, event, at));
  const { phase } = next.till;
  const turned = phase.name !== till.phase.name || (phase.name === 'done' && phase !== till.phase);
  // Behind the help page nobody sees the green light that is journaled as shown.
  return turned ? { till: { ...next.till, help: false }, effects: next.effects } : next;
}

/** A trader who went on serving others hears that an earlier sale was not paid once nobody is being served. */
function told(step: Step): Step {
  const { phase, untold } = step.till;
  const [first, ...rest] = untold;
  if (phase.name !== 'idle' || first === undefined) return step;
  const shown = finish({ ...step.till, untold: rest }, first);
  return { till: shown.till, effects: [...step.effects, ...shown.effects] };
}

function taken(till: Till, event: TillEvent, at: number): Step {
  switch (event.type) {
    case 'booted': {
      const idle: Till = { ...till, unshown: event.unshown, phase: { name: 'idle', note: null } };
      return and(recover(idle, event.recovered), timer('tick', TICK_MS));
    }
    case 'pressed':
      return pressed(till, event.key, at);
    case 'reader-ready':
      return stay({ ...till, readerFault: null });
    case 'reader-fault':
      return stay({ ...till, readerFault: event.why });
    case 'card':
      return cameCard(till, { presence: event.presence, uid: event.uid }, at);
    case 'gone':
      return goneCard(till, event.presence);
    case 'minted':
      return minted(till, event.seq, at);
    case 'card-key':
      return cameKey(till, event, at);
    case 'paid': {
      const { paid: outcome } = event;
      return outcome.kind === 'decided' ? gotDecision(heard(till, at), event, outcome) : paid(till, event, at);
    }
    case 'looked':
      return looked(till, event, at);
    case 'receipt':
      return gotReceipt(heard(till, at), event.sealed, at);
    case 'answer':
      return gotAnswer(heard(till, at), event, at);
    case 'refused':
      return gotRefusal(heard(till, at), event);
    case 'link':
      return linkTurned(till, event.online, at);
    case 'hub':
      return stay({ ...heard(till, at), hubOpen: event.open });
    case 'prices':
      return stay({ ...till, prices: event.prices });
    case 'beacon':
      return gotBeacon(heard(till, at), event.slot, event.value, at);
    case 'timer':
      return rang(till, event.id);
    case 'disk':
      return diskTurned(till, event.why);
  }
}

const heard = (till: Till, at: number): Till => ({ ...till, contactAt: at });

/** The seq is on disk: now, and only now, a card may come (TRUTH section 1). */
function minted(till: Till, seq: Sale['seq'], at: number): Step {
  const { phase } = till;
  if (phase.name !== 'minting') return stay(till, { type: 'drop', seq });
  const { amount, mode } = phase;
  const armed = arm(till, { seq, amount, price: amount, mode, prices: till.prices }, null);
  const tapped = turn(armed.till, at);
  return { till: tapped.till, effects: [...armed.effects, ...tapped.effects] };
}

/** A beacon is as old as the first time it was heard: a broker repeats it at every reconnect. */
function gotBeacon(till: Till, slot: number, value: string, at: number): Step {
  const same = till.beacon?.slot === slot && till.beacon.value === value;
  return stay(same ? till : { ...till, beacon: { slot, value, at } });
}

function rang(till: Till, id: TimerId): Step {
  const { phase } = till;
  switch (id) {
    case 'tick': {
      const next: Effect[] = [timer('tick', TICK_MS)];
      return stay(till, ...(till.diskFault === null ? next : [...next, { type: 'probe' } as const]));
    }
    case 'key':
      return lateKey(till);
    case 'retry':
      return retry(till);
    case 'slow':
      return phase.name === 'waiting' || phase.name === 'closing' ? to(till, { ...phase, slow: true }) : stay(till);
    case 'doubt':
      if (phase.name === 'finding' || phase.name === 'looking') return stay(till, timer('doubt', TICK_MS));
      return phase.name === 'doubt' ? close(till, phase.sale, phase.intent.uid, 'resolve', false) : stay(till);
    case 'shown':
      return phase.name === 'done' ? to(till, { name: 'idle', note: null }) : stay(till);
    case 'forgotten':
      if (phase.name !== 'armed') return stay(till);
      return to(till, { name: 'idle', note: 'forgotten' }, { type: 'drop', seq: phase.sale.seq });
    default:
      return askAgain(till, Number(id.slice('ask '.length)));
  }
}

/**
 * A disk that refuses writes ends what is not yet certified; certified sales go on, for the hub keeps their
 * decision.
 */
function diskTurned(till: Till, why: string | null): Step {
  const next = { ...till, diskFault: why };
  const { phase } = till;
  if (why === null) return stay(next);
  if (phase.name === 'minting') return to(next, { name: 'idle', note: 'disk-down' });
  if (phase.name === 'armed' || phase.name === 'keying') {
    return to(next, { name: 'idle', note: 'disk-down' }, stop('forgotten'), stop('key'), {
      type: 'drop',
      seq: phase.sale.seq,
    });
  }
  return stay(next);
}
