/** The life of a card: `blank → prepared → personalising → ready → active → frozen → replaced | retired`. */

/** A card bound to a member. A chip that is not is `blank` or `prepared`. */
export const CARD_STATUSES = ['personalising', 'ready', 'active', 'frozen', 'replaced', 'retired'] as const;
export type CardStatus = (typeof CARD_STATUSES)[number];

/** What may follow what. `replaced` and `retired` are ends: a card that ended never pays again (TRUTH section 8). */
const follows: Readonly<Record<CardStatus, readonly CardStatus[]>> = {
  personalising: ['ready', 'retired'],
  ready: ['active', 'replaced', 'retired'],
  active: ['frozen', 'replaced', 'retired'],
  frozen: ['active', 'replaced', 'retired'],
  replaced: [],
  retired: [],
};

/** Whether a card of one status may be given the other. */
export function mayBecome(from: CardStatus, to: CardStatus): boolean {
  return follows[from].includes(to);
}

/** Whether a card still is, or may still become, one that pays. */
export const isLive = (status: CardStatus): boolean => follows[status].length > 0;

/** What officers do with a card: to which it may be done, and what it is then. */
const deeds = {
  /** It is handed to its member. */
  activate: { from: ['ready'], to: 'active' },
  freeze: { from: ['active'], to: 'frozen' },
  unfreeze: { from: ['frozen'], to: 'active' },
  retire: { from: ['personalising', 'ready', 'active', 'frozen'], to: 'retired' },
  /** It is lost, or broken in its member's hands: another is made, and the account stays where it is. */
  replace: { from: ['ready', 'active', 'frozen'], to: 'replaced' },
  /** Its chip is spoilt before the member had it: another is made. */
  redo: { from: ['personalising', 'ready'], to: 'retired' },
} as const satisfies Record<string, { readonly from: readonly CardStatus[]; readonly to: CardStatus }>;
export type Deed = keyof typeof deeds;
export const DEEDS = Object.keys(deeds) as readonly Deed[];

/** What a card of a status becomes by a deed; null if it may not be done to it. */
export function becomes(status: CardStatus, deed: Deed): CardStatus | null {
  const { from, to } = deeds[deed];
  return (from as readonly CardStatus[]).includes(status) && mayBecome(status, to) ? to : null;
}

/** What may be done to a card of a status. */
export const possible = (status: CardStatus): readonly Deed[] => DEEDS.filter((deed) => becomes(status, deed) !== null);
