/** Issuing, on the officers' side: orders a card for each member of a list, and says how far the making has come. */
import type { MemberId } from '../protocol/ids.ts';
import type { Fault, Listed, MemberList } from './memberlist.ts';
import { quoted } from './printable.ts';
import { drawCardNumber } from './rules/cardnumber.ts';
import { isLive } from './rules/lifecycle.ts';
import type { Fate, PlacedOrder } from './store/cardstock.ts';
import type { Card, Registry } from './store/registry.ts';

export interface OrderDeps {
  readonly registry: Registry;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
}

export interface OrderCounts {
  readonly members: number;
  readonly ordered: number;
  /** Of those, the ones who were not registered before. */
  readonly registered: number;
  readonly hasCard: number;
  readonly waits: number;
}

export type OrderResult =
  | { readonly ok: true; readonly counts: OrderCounts }
  | { readonly ok: false; readonly faults: readonly Fault[] };

function faultOf({ line, member }: Listed, fate: Fate | undefined): Fault | null {
  if (fate?.kind === 'no-cooperative') return { line, error: `no cooperative is called ${member.cooperative}` };
  if (fate?.kind !== 'differs') return null;
  const { cooperative, name } = fate.known;
  const known = `member ${member.id} is registered as ${quoted(name)} of ${cooperative}`;
  return { line, error: `${known}; correct the row or take another id` };
}

/**
 * Orders a card for each member of a list who has none and waits for none, and registers those who are new: all, or
 * none if one row is wrong. The same list may be ordered again at any time.
 */
export function orderCards(deps: OrderDeps, list: MemberList, batch: string, dry: boolean): OrderResult {
  const { registry, now, random } = deps;
  const fates = registry.orderCards({
    members: list.rows.map(({ member }) => member),
    batch,
    at: now(),
    draw: () => drawCardNumber(random),
    dry: dry || list.faults.length > 0,
  });
  const found = list.rows.flatMap((row, at) => faultOf(row, fates[at]) ?? []);
  const faults = [...list.faults, ...found].sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
  if (faults.length > 0) return { ok: false, faults };
  const count = (kind: Fate['kind']) => fates.filter((fate) => fate.kind === kind).length;
  const registered = fates.filter((fate) => fate.kind === 'ordered' && fate.registered).length;
  const [ordered, hasCard, waits] = [count('ordered'), count('has-card'), count('waits')];
  return { ok: true, counts: { members: fates.length, ordered, registered, hasCard, waits } };
}

/** How far the cards of some members are. */
export interface Standing {
  /** The card of each who has one that is finished; in the order in which chips were laid down. */
  readonly made: readonly Card[];
  readonly unfinished: readonly Card[];
  readonly waiting: readonly PlacedOrder[];
  /** Those with neither a card nor an order: taken back, or retired. */
  readonly gone: readonly MemberId[];
  /** The order that the next chip will be given, of whichever list. */
  readonly next: PlacedOrder | null;
}

/** Looks up how far the cards of these members are. */
export function standingOf(registry: Registry, members: readonly MemberId[]): Standing {
  const live = new Map(registry.cards().flatMap((card) => (isLive(card.status) ? [[card.member, card]] : [])));
  const queue = registry.orders().filter(({ uid }) => uid === null);
  const waits = new Map(queue.map((order) => [order.member, order]));
  const cards = members.flatMap((id) => live.get(id) ?? []);
  const waiting = members.flatMap((id) => (live.has(id) ? [] : (waits.get(id) ?? [])));
  return {
    made: cards
      .filter(({ status }) => status !== 'personalising')
      .sort((a, b) => (a.made?.seq ?? 0) - (b.made?.seq ?? 0)),
    unfinished: cards.filter(({ status }) => status === 'personalising'),
    waiting,
    gone: members.filter((id) => !live.has(id) && !waits.has(id)),
    next: queue[0] ?? null,
  };
}
