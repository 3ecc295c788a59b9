/** Sending: money that goes from one account to one other, with the fee of its tariff on top (TRUTH section 11). */
import { quote, type Tariff } from '../../protocol/tariffs.ts';
import { type Account, expenseOf } from './accounts.ts';
import type { PaymentFigures } from './entries.ts';

/** What is sent, and what it is priced by. */
export interface Sent {
  readonly kind: 'transfer' | 'payout';
  /** Business date now, `YYYY-MM-DD` (Asia/Jakarta). */
  readonly date: string;
  /** What arrives, in rupiah, above zero. */
  readonly amount: bigint;
  /** Class of the outlet where it is asked for. */
  readonly class: string;
  readonly tariffs: readonly Tariff[];
}

/** The payment, and what of it leaves the account: with the fee, unless the account's cooperative pays that. */
export function sending(sent: Sent, from: Account, to: Account): { figures: PaymentFigures; leaves: bigint } {
  const { amount, tariffs } = sent;
  const [issuer, acquirer] = [from.cooperative, to.cooperative];
  const { kind, date } = sent;
  const { fee, shares, direction } = quote(tariffs, { kind, issuer, acquirer, class: sent.class, amount, date });
  const leaves = direction === 'issuer' ? amount : amount + fee;
  const paid = [
    { account: from, amount: leaves },
    { account: expenseOf(issuer), amount: amount + fee - leaves },
  ];
  const figures = {
    issuer,
    acquirer,
    from: paid,
    to: [{ account: to, amount }],
    amount: amount + fee,
    fee,
    shares,
    authority: 'pin' as const,
  };
  return { figures, leaves };
}
