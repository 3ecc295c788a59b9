/** Payout, judged: who may have takings, and what must be so before they leave (TRUTH sections 7 and 11). */
import type { CardUid, CooperativeId, MemberId } from '../../protocol/ids.ts';
import type { LimitProfile } from '../../protocol/limits.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import type { Tariff } from '../../protocol/tariffs.ts';
import { memberOf, payoutOf } from './accounts.ts';
import type { Guard, Verdict } from './entries.ts';
import { type Holder, isLicensed, type LicenceOf, mayHold } from './licence.ts';
import { incomeGuards } from './limits.ts';
import { debtFree, type Takings } from './payees.ts';
import { sending } from './sending.ts';

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
  /** Business date now, `YYYY-MM-DD` (Asia/Jakarta). */
  readonly date: string;
  readonly tariffs: readonly Tariff[];
  /** In rupiah, above zero. */
  readonly amount: bigint;
  readonly card: Asker | null;
  readonly outlet: { readonly class: string; readonly open: boolean } | null;
  readonly takings: Takings | null;
  /** The owner's. */
  readonly limits: LimitProfile;
  readonly licenceOf: LicenceOf;
  readonly holderOf: (member: MemberId) => Holder;
  /** Net debit cap of the takings' cooperative, in rupiah, and the sum at which its officers are warned. */
  readonly netDebitCap: bigint;
  readonly capAlert: bigint;
}

function refusalOf({ card, outlet, takings, licenceOf, holderOf }: PayoutFacts): Refusal | null {
  if (card === null) return 'card-unknown';
  if (!card.active) return 'card-blocked';
  if (outlet?.open !== true) return 'outlet-closed';
  const refusal = takingsRefusal(takings, card.member);
  if (takings === null || refusal !== null) return refusal;
  if (!isLicensed('payout', licenceOf, takings.cooperative, card.issuer)) return 'not-licensed';
  return mayHold(licenceOf(card.issuer), holderOf(card.member)) ? null : 'members-only';
}

/**
 * Judges that takings go to their owner's account, at home or elsewhere, a fee on top as the tariff says. What they
 * hold, what they still owe, the card's status, the account's room and the cap of the cooperative that comes to owe are
 * judged inside the post.
 */
export function judgePayout(facts: PayoutFacts): Verdict {
  const refuse = refusalOf(facts);
  if (refuse !== null) return { refuse, outcome: 'declined' };
  const { card, outlet, takings, amount, limits, netDebitCap, capAlert } = facts;
  if (card === null || outlet === null || takings === null) {
    throw new Error('the checks let an unknown card, outlet or takings through');
  }
  const { cooperative, name } = takings;
  const account = memberOf(card.issuer, card.member);
  const { figures } = sending({ ...facts, kind: 'payout', class: outlet.class }, payoutOf(cooperative, name), account);
  const guards: Guard[] = [
    { kind: 'card-active', card: card.uid },
    { kind: 'pin', card: card.uid },
    debtFree(takings),
    ...incomeGuards(account, amount, limits),
  ];
  if (card.issuer !== cooperative) guards.push({ kind: 'cap', cooperative, max: netDebitCap, alert: capAlert });
  return { approve: { kind: 'payout', figures }, guards };
}
