/** Writes the cards of a bench town, a process of its own: its kiosks' certificates are signed meanwhile. */
import type { CooperativeId } from '../../../protocol/ids.ts';
import { settleCards } from './members.ts';

export interface SettleOrder {
  readonly directory: string;
  readonly cooperatives: readonly CooperativeId[];
  readonly cards: number;
}

const { directory, cooperatives, cards } = JSON.parse(process.argv[2] ?? '') as SettleOrder;
settleCards(directory, cooperatives, cards);
process.send?.('settled', () => process.disconnect());
