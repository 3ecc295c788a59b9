/** What officers do with a card or an order, one at a time, and what they may know of it. */
import { TMAC_KEY_NO } from '../cards/diversify.ts';
import { PICC_KEY_NO } from '../cards/layout.ts';
import type { CardUid } from '../protocol/ids.ts';
import type { OrderDeps } from './issue.ts';
import { printable, quoted } from './printable.ts';
import { drawCardNumber, isMistyped, spellNumber } from './rules/cardnumber.ts';
import { becomes, type CardStatus, type Deed, possible } from './rules/lifecycle.ts';
import type { KeyChange, PlacedOrder } from './store/cardstock.ts';
import type { Card, Registry } from './store/registry.ts';

export type Done = { readonly ok: true; readonly said: string } | { readonly ok: false; readonly error: string };

/** Another process may write between our look and our word; so often in a row it does not. */
const TRIES = 3;

/** A number as people type it: in groups, with dashes. */
const digitsOf = (text: string) => text.replace(/[\s-]/g, '');

const nameOf = (registry: Registry, { member }: Pick<Card, 'member'>) =>
  `${printable(registry.member(member)?.name ?? '')} (${member})`;

const command = (deed: Deed | 'withdraw', number: string) => `simpul-hub cards ${deed} ${number}`;

function unknown(text: string): string {
  const number = digitsOf(text);
  if (!/^[0-9]{4,19}$/.test(number)) return `${quoted(text)} is no card number; it has digits only, at most 19`;
  const why = isMistyped(number) ? 'its check digit is wrong: a digit was mistyped' : 'simpul-hub cards list shows all';
  return `no card or order has the number ${spellNumber(number)}; ${why}`;
}

const orderOf = (registry: Registry, number: string): PlacedOrder | undefined =>
  registry.orders().find((order) => order.number === number);

/** What a card is and what may be done to it. */
function state(registry: Registry, card: Card): string {
  const now = `card ${spellNumber(card.number)} of ${nameOf(registry, card)} is ${card.status}`;
  const may = possible(card.status);
  if (may.length > 0) return `${now}; possible: ${may.map((deed) => command(deed, card.number)).join(', ')}`;
  return `${now} and stays so; a new one is ordered by: simpul-hub cards issue --member ${card.member}`;
}

const PARTICIPLE: Readonly<Record<Deed, string>> = {
  activate: 'activated',
  freeze: 'frozen',
  unfreeze: 'unfrozen',
  retire: 'retired',
  replace: 'replaced',
  redo: 'redone',
};

/** The way that the money in a purse takes when its card ends. */
const RETURNS =
  'What its purse still holds comes back to the account when the card is laid on an issuing kiosk; ' +
  'that of a card which is never seen again does not come back by itself yet';

function said(registry: Registry, card: Card, to: CardStatus, order: PlacedOrder | null): string {
  const now = `card ${spellNumber(card.number)} of ${nameOf(registry, card)} is ${to}, which cannot be undone`;
  if (order !== null && to === 'retired') {
    return `${now}: put its chip away for ever; number ${spellNumber(order.number)} waits for another chip`;
  }
  if (order !== null) {
    return `${now}: number ${spellNumber(order.number)} waits for a chip, and the account stays as it is. ${RETURNS}`;
  }
  const plain = now.replace(/, which.*$/, '');
  if (to === 'retired') return `${now}. ${RETURNS}`;
  return to === 'frozen' ? `${plain}; ${command('unfreeze', card.number)} opens it again` : plain;
}

/** Does something to the card of this number, if its status allows it. */
export function doDeed({ registry, now, random }: OrderDeps, text: string, deed: Deed): Done {
  const number = digitsOf(text);
  for (let attempt = 1; ; attempt++) {
    const card = registry.cardByNumber(number);
    if (card === undefined) {
      const waits = orderOf(registry, number) !== undefined;
      const hint = `number ${spellNumber(number)} waits for a chip; possible: ${command('withdraw', number)}`;
      return { ok: false, error: waits ? hint : unknown(text) };
    }
    const to = becomes(card.status, deed);
    if (to === null) return { ok: false, error: `it cannot be ${PARTICIPLE[deed]}: ${state(registry, card)}` };
    const ended = { ...card, status: to };
    try {
      const draw = () => drawCardNumber(random);
      const again = deed === 'redo' || deed === 'replace';
      const order = again ? registry.redoCard(ended, { at: now(), draw }) : null;
      if (order === null) registry.putCard(ended);
      return { ok: true, said: said(registry, card, to, order) };
    } catch (error) {
      if (attempt === TRIES || !registry.refresh()) throw error;
    }
  }
}

/** Takes back an order that no chip was laid down for. */
export function withdraw(registry: Registry, text: string): Done {
  const number = digitsOf(text);
  const order = orderOf(registry, number);
  if (order !== undefined && registry.withdrawOrder(number)) {
    return { ok: true, said: `the order ${spellNumber(number)} of ${nameOf(registry, order)} is withdrawn` };
  }
  registry.refresh();
  const card = registry.cardByNumber(number);
  if (card === undefined) return { ok: false, error: unknown(text) };
  return { ok: false, error: `it is an order no more: ${state(registry, card)}` };
}

export interface CardHistory {
  readonly uid: CardUid;
  readonly card: Card | null;
  /** Version of key 0 that the chip last proved. */
  readonly keyVersion: number;
  readonly changes: readonly (KeyChange & { readonly proven: boolean })[];
}

/** Every change of a key of a chip, by its card's number or its UID; null if neither is known. */
export function historyOf(registry: Registry, text: string): CardHistory | null {
  const card = registry.cardByNumber(digitsOf(text)) ?? registry.card(uidOf(text));
  const uid = card?.uid ?? uidOf(text);
  const chip = registry.chip(uid);
  if (chip === undefined) return null;
  return { uid, card: card ?? null, keyVersion: chip.keyVersion, changes: registry.keyHistory(uid) };
}

const uidOf = (text: string) => text.replace(/[\s:-]/g, '').toLowerCase() as CardUid;

const keyName = (no: number) => (no === TMAC_KEY_NO ? 'counter' : no === PICC_KEY_NO ? 'card' : String(no));

export function spellHistory(registry: Registry, { uid, card, keyVersion, changes }: CardHistory): string {
  const chip = `chip ${uid} is ${keyVersion === 0 ? 'blank' : `prepared, its key 0 in version ${keyVersion}`}`;
  const lines = changes.map(({ no, from, to, at, proven }) => {
    const cells = [keyName(no).padEnd(9), String(from).padStart(4), String(to).padStart(4)];
    return `${new Date(at).toISOString()}  ${cells.join(' ')}  ${proven ? 'proven' : 'open: old or new'}`;
  });
  const none = 'no change of a key was ever intended';
  const table = lines.length === 0 ? [none] : ['when                      key       from   to  state', ...lines];
  return `${[...(card === null ? [] : [state(registry, card)]), chip, ...table].join('\n')}\n`;
}

export function historyAsJson({ uid, card, keyVersion, changes }: CardHistory): string {
  const known = { uid, number: card?.number ?? null, member: card?.member ?? null, status: card?.status ?? null };
  const rows = changes.map(({ no, from, to, at, proven }) => ({ key: keyName(no), from, to, at, proven }));
  return JSON.stringify({ ...known, keyVersion, changes: rows });
}

export const historyUnknown = (text: string) =>
  `no card and no chip is called ${quoted(text)}; give a number or a UID of 14 hex digits`;
