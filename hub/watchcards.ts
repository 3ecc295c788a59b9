/** Watching cards being made: what was finished, what is next, and what has stuck. */
import type { MemberId } from '../protocol/ids.ts';
import { type Standing, standingOf } from './issue.ts';
import type { Card, Registry } from './store/registry.ts';

/** How often the registry is asked whether another process wrote; it costs next to nothing if none did. */
const LOOK_MS = 500;
/** Personalising takes seconds; what takes longer waits for somebody. */
const STUCK_MS = 60_000;

export interface WatchDeps {
  readonly registry: Registry;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
  readonly later: (run: () => void, ms: number) => () => void;
}

export type Sight =
  | { readonly state: 'waiting'; readonly standing: Standing }
  | { readonly state: 'made' | 'stuck'; readonly card: Card; readonly standing: Standing }
  | { readonly state: 'gone'; readonly member: MemberId; readonly standing: Standing };

export interface Watch {
  readonly members: readonly MemberId[];
  /** Ends it before all are made. */
  readonly stop: AbortSignal;
  readonly tell: (sight: Sight) => void;
}

/** Resolves when nobody of these members waits for a card any more, or when it is stopped. */
export function watchCards({ registry, now, later }: WatchDeps, { members, stop, tell }: Watch): Promise<Standing> {
  let standing = standingOf(registry, members);
  const made = new Set(standing.made.map(({ uid }) => uid));
  const gone = new Set(standing.gone);
  const stuck = new Set<string>();

  function look(): void {
    if (registry.refresh()) standing = standingOf(registry, members);
    for (const card of standing.made) {
      if (made.has(card.uid)) continue;
      made.add(card.uid);
      tell({ state: 'made', card, standing });
    }
    for (const member of standing.gone) {
      if (gone.has(member)) continue;
      gone.add(member);
      tell({ state: 'gone', member, standing });
    }
    for (const card of standing.unfinished) {
      if (stuck.has(card.uid) || now() - (card.made?.at ?? 0) < STUCK_MS) continue;
      stuck.add(card.uid);
      tell({ state: 'stuck', card, standing });
    }
  }

  const ended = () => stop.aborted || standing.waiting.length + standing.unfinished.length === 0;
  return new Promise((resolve, reject) => {
    let callOff = () => {};
    const turn = () => {
      try {
        look();
      } catch (error) {
        return reject(error);
      }
      if (ended()) return resolve(standing);
      callOff = later(turn, LOOK_MS);
    };
    tell({ state: 'waiting', standing });
    stop.addEventListener('abort', () => {
      callOff();
      resolve(standing);
    });
    turn();
  });
}
