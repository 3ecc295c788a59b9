/** Refund, judged: which kiosk may give which sale back, and who must stand for it. */
import type { CardUid, CooperativeId, MemberId, OutletId } from '../../protocol/ids.ts';
import type { Staff } from './cash.ts';
import type { Verdict } from './entries.ts';

/** A sale as its receipt has it; these facts never change. */
export interface Sale {
  /** `origin/seq`. */
  readonly key: string;
  readonly card: { readonly uid: CardUid; readonly issuer: CooperativeId; readonly member: MemberId };
  readonly acquirer: CooperativeId;
  readonly outlet: OutletId;
}

export interface RefundFacts {
  /** Of the kiosk that asks. */
  readonly role: 'stall' | 'counter';
  readonly outlet: { readonly id: OutletId; readonly cooperative: CooperativeId } | null;
  /** null: no sale was approved under that number. */
  readonly sale: Sale | null;
  /** In rupiah, above zero. */
  readonly amount: bigint;
  readonly teller: Staff | null;
  /** Net debit cap of the outlet's cooperative, which comes to owe, in rupiah. */
  readonly netDebitCap: bigint;
}

/** A stall gives back its own sales, a counter those of its cooperative; of others' nothing at all is said. */
export function mayRefund({ role, outlet, sale }: Pick<RefundFacts, 'role' | 'outlet' | 'sale'>): boolean {
  if (outlet === null || sale === null || sale.acquirer !== outlet.cooperative) return false;
  return role === 'counter' || sale.outlet === outlet.id;
}

/**
 * Judges a refund. What is left of the sale is judged by the ledger inside the post, with all that was taken back
 * before (TRUTH section 9). Who refunds is of the outlet's cooperative and not the one who paid. A closed outlet still
 * gives back.
 */
export function judgeRefund(facts: RefundFacts): Verdict {
  const { sale, teller, amount, netDebitCap } = facts;
  if (sale === null || !mayRefund(facts)) return { refuse: 'payment-unknown', outcome: 'declined' };
  const { issuer, member } = sale.card;
  const serves = teller?.active === true && teller.cooperative === sale.acquirer && teller.member !== member;
  if (!serves) return { refuse: 'teller-unknown', outcome: 'declined' };
  const account = { cooperative: issuer, kind: 'member', owner: member } as const;
  const figures = { original: sale.key, member: account, amount, authority: 'teller-card' as const };
  const cap = { kind: 'cap', cooperative: sale.acquirer, max: netDebitCap } as const;
  // At home nothing is owed to anybody but the platform, whose part of the fee comes back.
  return { approve: { kind: 'refund', figures }, guards: issuer === sale.acquirer ? [] : [cap] };
}
