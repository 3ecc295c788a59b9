/** Payout, judged: who may have takings, and what must be so before they leave (TRUTH sections 7 and 11). */
import type { CardUid, CooperativeId, MemberId } from '../../protocol/ids.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import { memberOf, payoutOf } from './accounts.ts';
import type { Guard, Verdict } from './entries.ts';
import { debtFree, type Takings } from './payees.ts';

interface Asker {
  readonly uid: CardUid;
  readonly issuer: CooperativeId;
  readonly member: MemberId;
  readonly active: boolean;
}

/** Why this member may not have these takings; null if they are the member's own. @param takings null: no such ones. */
export function takingsRefusal(takings: Takings | null, member: MemberId | undefined): Refusal | null {
  if (takings === null) return 'payee-unknown';
  return takings.owner === null || takings.owner !== member ? 'payee-foreign' : null;
}

export interface PayoutFacts {
  /** In rupiah, above zero. */
  readonly amount: bigint;
  readonly card: Asker | null;
  /** Whether the kiosk's outlet is open. */
  readonly outletOpen: boolean;
  readonly takings: Takings | null;
  /** Net debit cap of the takings' cooperative, in rupiah. */
  readonly netDebitCap: bigint;
}

function refusalOf({ card, outletOpen, takings }: PayoutFacts): Refusal | null {
  if (card === null) return 'card-unknown';
  if (!card.active) return 'card-blocked';
  if (!outletOpen) return 'outlet-closed';
  return takingsRefusal(takings, card.member);
}

/**
 * Judges that takings go to their owner's account, at home or elsewhere, free of charge. What they hold, what they
 * still owe, the card's status and the cap of the cooperative that comes to owe are judged inside the post.
 */
export function judgePayout(facts: PayoutFacts): Verdict {
  const refuse = refusalOf(facts);
  if (refuse !== null) return { refuse, outcome: 'declined' };
  const { card, takings, amount, netDebitCap } = facts;
  if (card === null || takings === null) throw new Error('the checks let an unknown card or takings through');
  const { cooperative, name } = takings;
  const guards: Guard[] = [{ kind: 'card-active', card: card.uid }, debtFree(takings)];
  if (card.issuer !== cooperative) guards.push({ kind: 'cap', cooperative, max: netDebitCap });
  const figures = {
    issuer: cooperative,
    acquirer: cooperative,
    from: [{ account: payoutOf(cooperative, name), amount }],
    to: [{ account: memberOf(card.issuer, card.member), amount }],
    amount,
    fee: 0n,
    shares: [],
    authority: 'pin' as const,
  };
  return { approve: { kind: 'payout', figures }, guards };
}
