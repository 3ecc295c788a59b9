/** Receipt: the words of a decision as kiosk, member and a restored hub will read them. */
import { toWire } from '../../protocol/money.ts';
import type { Outcome, Receipt } from '../../protocol/receipt.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import type { Entry, ReceiptFacts } from './entries.ts';

/** What was decided, and what the ledger alone knows of it. */
export interface Decided {
  /** Origin of the decision's key: the kiosk's number for every receipt that leaves the hub. */
  readonly origin: number;
  readonly seq: number;
  readonly hash: string;
  readonly outcome: Outcome;
  readonly reason: Refusal | null;
  /** Hub time, milliseconds since 1970 UTC. */
  readonly at: number;
  readonly date: string;
  readonly facts: ReceiptFacts;
  /** The entry, its window and the payer's balance after it (null: not shown); null when nothing was moved. */
  readonly posted: { readonly entry: Entry; readonly window: number; readonly balance: bigint | null } | null;
}

/**
 * Builds the receipt of a decision; fields always in this order, since its JSON text is kept and repeated to the byte.
 * @throws RangeError if an amount does not fit the wire.
 */
export function receiptOf(decided: Decided): Receipt {
  const { facts, posted } = decided;
  const receipt: Receipt = {
    kiosk: decided.origin,
    seq: decided.seq,
    hash: decided.hash,
    outcome: decided.outcome,
    reason: decided.reason,
    at: decided.at,
    date: decided.date,
    window: posted === null ? 0 : posted.window,
    amount: toWire(facts.amount),
    fee: posted === null ? 0 : toWire(posted.entry.fee),
    shares: posted === null ? [] : posted.entry.shares.map(({ to, amount }) => ({ to, amount: toWire(amount) })),
    card: facts.card,
    issuer: facts.issuer,
    acquirer: facts.acquirer,
    outlet: facts.outlet,
    balance: posted === null || posted.balance === null ? null : toWire(posted.balance),
  };
  const { passengers = 1 } = facts;
  if (passengers > 1) receipt.passengers = passengers;
  return receipt;
}
