/** One run of `cards issue`: orders what a list wants, waits until it is made, and writes the labels. */
import { type OrderDeps, orderCards, type Standing, standingOf } from './issue.ts';
import { type IssueNote, noteOf } from './issuenotes.ts';
import { type LabelFile, labelsOf, writeLabels } from './labels.ts';
import type { Fault, MemberList } from './memberlist.ts';
import type { Registry } from './store/registry.ts';
import { type WatchDeps, watchCards } from './watchcards.ts';

export interface IssueDeps extends OrderDeps, WatchDeps {
  /** Whether a hub serves the directory. */
  readonly serves: () => boolean;
  readonly tell: (note: IssueNote) => void;
  /** Ends the wait; orders stay. */
  readonly stop: AbortSignal;
}

export interface IssueOrder {
  readonly list: MemberList;
  /** Name of the list. */
  readonly batch: string;
  /** Only says what would be ordered. */
  readonly dry: boolean;
  readonly wait: boolean;
  readonly labels: LabelFile | null;
}

export type IssueEnd =
  /** `done` unless the wait was stopped before all were made. */
  | { readonly ok: true; readonly done: boolean; readonly labelError: string | null }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** What has to be there before a card can be made, as far as the registry knows. */
function missing(registry: Registry, serves: boolean, waiting: number): string[] {
  const what: string[] = [];
  if (!serves) what.push('a hub that serves this directory; start it with simpul-hub serve');
  const issuing = registry.kiosks().some(({ role, revoked }) => role === 'issuing' && !revoked);
  if (!issuing) what.push('an issuing kiosk; enrol one with simpul-hub sign --role issuing');
  const { prepared } = registry.chips();
  const chips = waiting - prepared;
  if (chips > 0)
    what.push(`${chips} prepared ${chips === 1 ? 'chip' : 'chips'}; lay them down for simpul-hub cards prepare`);
  return what;
}

/** Writes the labels of the cards that are made, if any is. */
function label({ registry, tell }: IssueDeps, { made }: Standing, labels: LabelFile): string | null {
  const error = made.length === 0 ? null : writeLabels(labelsOf(registry, made, labels.host), labels.path);
  if (error === null) tell({ state: 'labels', file: made.length === 0 ? null : labels.path, cards: made.length });
  return error;
}

/** Orders, waits and labels; what was done before by the same list, it finds done. */
export async function issueCards(deps: IssueDeps, order: IssueOrder): Promise<IssueEnd> {
  const { registry, serves, tell, stop } = deps;
  const { list, batch, dry, wait, labels } = order;
  const ordered = orderCards(deps, list, batch, dry);
  if (!ordered.ok) return ordered;
  tell({ state: 'ordered', batch, dry, ...ordered.counts });
  if (dry) return { ok: true, done: true, labelError: null };
  const members = list.rows.map(({ member }) => member.id);
  let standing = standingOf(registry, members);
  if (standing.waiting.length > 0) {
    for (const what of missing(registry, serves(), standing.waiting.length)) tell({ state: 'missing', what });
  }
  if (wait) {
    const told = {
      members,
      stop,
      tell: (sight: Parameters<typeof noteOf>[1]) => tell(noteOf(registry, sight, members.length)),
    };
    standing = await watchCards(deps, told);
  }
  const { made, gone, waiting, unfinished } = standing;
  const stopped = wait && waiting.length + unfinished.length > 0;
  if (wait) tell({ state: 'end', made: made.length, of: members.length, gone: gone.length, stopped });
  return { ok: true, done: !stopped, labelError: labels === null ? null : label(deps, standing, labels) };
}
