/** Issuing: one pure step from a state and an event to the next state and what must be done, one card at a time. */
import type { Refusal } from '../../protocol/refusals.ts';
import type { CardFailure, RelayEnd } from '../../protocol/relay.ts';
import type { Checked, RelayBreak, Relayed } from './relayed.ts';
import { type PanelKey, type Present, READER_STARTING } from './sale.ts';

/** What the hub did for a card. */
export type Served = Extract<RelayEnd, { readonly done: 'personalise' | 'renewed' | 'sound' | 'drained' | 'retired' }>;

/** Why nothing was done for a card. */
export type Trouble =
  | { readonly by: 'card'; readonly why: CardFailure; readonly at: string }
  | { readonly by: 'hub'; readonly why: Refusal }
  | { readonly by: 'line'; readonly why: RelayBreak }
  /** This kiosk could not begin. */
  | { readonly by: 'kiosk'; readonly why: Obstacle };

export type IssuePhase =
  | { readonly name: 'waiting' }
  /** The card is asked which keys it holds; nothing of it has gone to the hub. */
  | { readonly name: 'checking'; readonly card: Present }
  /** The hub speaks with the card; `turn` counts what went to the card. */
  | { readonly name: 'working'; readonly card: Present; readonly turn: number }
  | { readonly name: 'done'; readonly card: Present; readonly served: Served }
  | { readonly name: 'failed'; readonly card: Present; readonly trouble: Trouble };

export interface Issuing {
  readonly phase: IssuePhase;
  readonly online: boolean;
  /** When the link last changed or spoke, on the kiosk's monotonic clock, milliseconds. */
  readonly contactAt: number | null;
  /** False when the hub said that it is leaving. */
  readonly hubOpen: boolean;
  /** Why the reader cannot be used, or null when it can. */
  readonly readerFault: string | null;
  /** Every card on the reader. */
  readonly present: readonly Present[];
  /** UIDs of cards that did not take their key, the latest last: another try would bring one closer to its lock. */
  readonly barred: readonly string[];
  readonly help: boolean;
}

export type IssueEvent =
  | { readonly type: 'pressed'; readonly key: PanelKey }
  | { readonly type: 'reader-ready' }
  | { readonly type: 'reader-fault'; readonly why: string }
  | { readonly type: 'card'; readonly presence: number; readonly uid: string }
  | { readonly type: 'gone'; readonly presence: number }
  | { readonly type: 'checked'; readonly presence: number; readonly checked: Checked }
  | { readonly type: 'moved'; readonly presence: number; readonly turn: number }
  | { readonly type: 'relayed'; readonly presence: number; readonly relayed: Relayed }
  | { readonly type: 'link'; readonly online: boolean }
  | { readonly type: 'hub'; readonly open: boolean };

export type IssueEffect =
  /** Asks the card for the versions of its keys; answered by `checked`. */
  | { readonly type: 'check'; readonly card: Present }
  /** Lets the hub speak with the card; answered by `moved` and `relayed`. */
  | { readonly type: 'relay'; readonly card: Present }
  | { readonly type: 'log'; readonly what: string; readonly detail: string };

export interface IssueStep {
  readonly state: Issuing;
  readonly effects: readonly IssueEffect[];
}

export type Obstacle = 'starting' | 'reader-down' | 'offline';

/** An issuing kiosk before its reader and its link have spoken. */
export function newIssuing(): Issuing {
  const line = { online: false, contactAt: null, hubOpen: true };
  return { phase: { name: 'waiting' }, ...line, readerFault: READER_STARTING, present: [], barred: [], help: false };
}

const BARRED_MAX = 1_000;

/** Why no card can be made now, or null when one can. */
export function issueObstacle({ readerFault, online, hubOpen }: Issuing): Obstacle | null {
  if (readerFault === READER_STARTING) return 'starting';
  if (readerFault !== null) return 'reader-down';
  return online && hubOpen ? null : 'offline';
}

/** Cards on the reader that are not the one the screen speaks of: none of them is begun. */
export function strangers({ phase, present }: Issuing): readonly Present[] {
  return phase.name === 'waiting' ? present : present.filter(({ presence }) => presence !== phase.card.presence);
}

const stay = (state: Issuing, ...effects: IssueEffect[]): IssueStep => ({ state, effects });

const to = (state: Issuing, phase: IssuePhase, ...effects: IssueEffect[]): IssueStep => ({
  state: { ...state, phase, help: false },
  effects,
});

/** @param at the kiosk's monotonic clock, milliseconds */
export function issueStep(state: Issuing, event: IssueEvent, at: number): IssueStep {
  switch (event.type) {
    case 'pressed':
      return stay({ ...state, help: event.key === 'help' && !state.help });
    case 'reader-ready':
      return stay({ ...state, readerFault: null });
    case 'reader-fault':
      return stay({ ...state, readerFault: event.why });
    case 'card':
      return came(state, { presence: event.presence, uid: event.uid });
    case 'gone':
      return stay({ ...state, present: state.present.filter(({ presence }) => presence !== event.presence) });
    case 'checked':
      return checked(state, event);
    case 'moved':
      return moved({ ...state, contactAt: at }, event);
    case 'relayed':
      return relayed(state, event);
    case 'link':
      return stay({ ...state, online: event.online, contactAt: at, hubOpen: true });
    case 'hub':
      return stay({ ...state, contactAt: at, hubOpen: event.open });
  }
}

/** Only a card that comes alone, and while nothing else is being done, is begun; any other must be laid down anew. */
function came(state: Issuing, card: Present): IssueStep {
  const { phase, present } = state;
  const next: Issuing = { ...state, present: [...present, card] };
  const busy = phase.name === 'checking' || phase.name === 'working';
  if (busy || present.length > 0) return stay(next, log('card not begun: another one is being served', card));
  const why = issueObstacle(state);
  if (why !== null) return to(next, { name: 'failed', card, trouble: { by: 'kiosk', why } });
  if (state.barred.includes(card.uid)) return fail(next, card, { by: 'card', why: 'wrong-key', at: 'tried before' });
  return to(next, { name: 'checking', card }, { type: 'check', card });
}

const log = (what: string, { uid }: Present, detail = ''): IssueEffect => ({
  type: 'log',
  what,
  detail: detail === '' ? uid : `${uid}: ${detail}`,
});

function fail(before: Issuing, card: Present, trouble: Trouble): IssueStep {
  const barred = before.barred.filter((uid) => uid !== card.uid);
  const state = trouble.why === 'wrong-key' ? { ...before, barred: [...barred, card.uid].slice(-BARRED_MAX) } : before;
  const place = trouble.by === 'card' ? ` at ${trouble.at}` : '';
  return to(state, { name: 'failed', card, trouble }, log('card not served', card, `${trouble.why}${place}`));
}

function checked(state: Issuing, { presence, checked }: IssueEvent & { type: 'checked' }): IssueStep {
  const { phase } = state;
  if (phase.name !== 'checking' || phase.card.presence !== presence) return stay(state);
  const { card } = phase;
  if (checked.kind === 'unfit') return fail(state, card, { by: 'card', why: checked.failure, at: checked.at });
  return to(state, { name: 'working', card, turn: 0 }, { type: 'relay', card });
}

function moved(state: Issuing, { presence, turn }: IssueEvent & { type: 'moved' }): IssueStep {
  const { phase } = state;
  if (phase.name !== 'working' || phase.card.presence !== presence) return stay(state);
  return stay({ ...state, phase: { ...phase, turn } });
}

function relayed(state: Issuing, { presence, relayed }: IssueEvent & { type: 'relayed' }): IssueStep {
  const { phase } = state;
  if (phase.name !== 'working' || phase.card.presence !== presence) return stay(state);
  const { card } = phase;
  if (relayed.kind === 'refused') return fail(state, card, { by: 'hub', why: relayed.code });
  if (relayed.kind !== 'ended') return fail(state, card, { by: 'line', why: relayed.kind });
  const { end } = relayed;
  if (end.done === null) return fail(state, card, { by: 'card', why: end.failure, at: end.at });
  if (end.done === 'unknown') return fail(state, card, { by: 'hub', why: 'drain-open' });
  // The end of another deed than the one that was asked for.
  if (end.done === 'reload' || end.done === 'tag-sale') return fail(state, card, { by: 'line', why: 'endless' });
  return to(state, { name: 'done', card, served: end }, log(`card served: ${end.done}`, card, end.number));
}
