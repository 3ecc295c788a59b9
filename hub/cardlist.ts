/** The list of cards and of orders that wait for a chip. */
import { printable } from './printable.ts';
import { spellNumber } from './rules/cardnumber.ts';
import { CARD_STATUSES, type CardStatus } from './rules/lifecycle.ts';
import type { Registry } from './store/registry.ts';

/** A card's status, or `ordered` while no chip was laid down for it. */
export const LIST_STATUSES = ['ordered', ...CARD_STATUSES] as const;
export type ListStatus = 'ordered' | CardStatus;

export interface ListRow {
  readonly number: string;
  readonly status: ListStatus;
  readonly uid: string | null;
  readonly member: string;
  readonly name: string;
  readonly cooperative: string;
  /** List it came with; null for a card that was not ordered here. */
  readonly batch: string | null;
}

/** Cards first, then orders in the order in which chips are given to them; of one status, or all. */
export function listCards(registry: Registry, status: ListStatus | undefined): ListRow[] {
  const orders = registry.orders();
  const batches = new Map(orders.map(({ number, batch }) => [number, batch]));
  const owner = (id: Parameters<Registry['member']>[0]) => {
    const member = registry.member(id);
    return { member: id, name: member?.name ?? '', cooperative: member?.cooperative ?? '' };
  };
  const cards = registry.cards().map((card): ListRow => {
    const { number, uid } = card;
    return { number, status: card.status, uid, ...owner(card.member), batch: batches.get(number) ?? null };
  });
  const waiting = orders
    .filter(({ uid }) => uid === null)
    .map(({ number, member, batch }): ListRow => ({ number, status: 'ordered', uid: null, ...owner(member), batch }));
  return [...cards, ...waiting].filter((row) => status === undefined || row.status === status);
}

export function spellCards(registry: Registry, rows: readonly ListRow[]): string {
  const widths = [21, 15, 17, 18, 0];
  const table = rows.map(({ number, status, member, name, cooperative }) => {
    return [spellNumber(number), status, cooperative, member, printable(name)];
  });
  const lines = [['number', 'status', 'cooperative', 'member', 'name'], ...table].map((row) =>
    row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' '),
  );
  const { blank, prepared } = registry.chips();
  const chips = `chips that are no card yet: ${prepared} prepared, ${blank} blank`;
  return `${lines.join('\n')}\n${rows.length} listed; ${chips}\n`;
}
