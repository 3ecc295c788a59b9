/** The life of a card: `blank → prepared → personalising → ready → active → frozen → replaced | retired`. */

/** A card bound to a member. A chip that is not is `blank` or `prepared`. */
export type CardStatus = 'personalising' | 'ready' | 'active' | 'frozen' | 'replaced' | 'retired';

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
