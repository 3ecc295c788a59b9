/** What became of a card that the hub spoke with through this kiosk. */
import type { Refusal } from '../../protocol/refusals.ts';
import type { CardFailure, RelayEnd } from '../../protocol/relay.ts';

/** How a conversation ended that was not ended by the hub's own word or refusal. */
export type RelayBreak =
  /** There was no line, or it broke. */
  | 'offline'
  /** The hub did not answer in time. */
  | 'silent'
  /** The card left, and the hub had no more to say. */
  | 'gone'
  /** The hub wanted more turns than a conversation has. */
  | 'endless';

export type Relayed =
  | { readonly kind: 'ended'; readonly end: RelayEnd }
  | { readonly kind: 'refused'; readonly code: Refusal }
  | { readonly kind: RelayBreak };

/** What the kiosk itself found before anything of the card goes to the hub. */
export type Checked =
  | { readonly kind: 'prepared' }
  | { readonly kind: 'unfit'; readonly failure: CardFailure; readonly at: string };
