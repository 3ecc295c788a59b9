/** Purse sale: what a purse's certificate proves that it paid is booked, whatever else holds (TRUTH section 7). */
import type { CardUid, CooperativeId } from '../../protocol/ids.ts';
import { quoteTotal, type Tariff } from '../../protocol/tariffs.ts';
import { payoutOf, purseOf } from './accounts.ts';
import type { Verdict } from './entries.ts';
import { type Earner, partsOf } from './payees.ts';

/** A payment from a purse under a certificate that was verified, with a sound list of commands. */
export interface PurseSaleFacts {
  /** Business date now, `YYYY-MM-DD` (Asia/Jakarta): a late claim has the date of its commit (TRUTH section 10). */
  readonly date: string;
  /** As the card certified it, in rupiah, above zero. */
  readonly amount: bigint;
  readonly card: { readonly uid: CardUid; readonly issuer: CooperativeId };
  /** Of the kiosk that took it, open or not. */
  readonly outlet: Earner & { readonly class: string };
  readonly tariffs: readonly Tariff[];
}

/**
 * Approves: a green light was a promise. No guard may refuse it, neither cap nor card status nor limit, and what the
 * books lack in the purse is the issuer's loss, found in the post. That the claim is paid once is its slot's to say.
 */
export function judgePurseSale({ date, amount, card, outlet, tariffs }: PurseSaleFacts): Verdict {
  const { uid, issuer } = card;
  const { id, cooperative: acquirer } = outlet;
  const priced = { kind: 'purse-sale', issuer, acquirer, class: outlet.class, amount, date } as const;
  // No price has this total by this tariff: what the card paid is the outlet's all the same.
  const { fee, shares } = quoteTotal(tariffs, priced) ?? { fee: 0n, shares: [] };
  const from = [{ account: purseOf(issuer, uid), amount }];
  const to = partsOf(outlet, amount - fee) ?? [{ account: payoutOf(acquirer, id), amount: amount - fee }];
  const figures = { issuer, acquirer, from, to, amount, fee, shares, authority: 'card-certificate' as const };
  return { approve: { kind: 'purse-sale', figures }, guards: [] };
}
