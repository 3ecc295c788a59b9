/** Transfer, judged: money from one member to another, at home or across cooperatives (TRUTH sections 7 and 11). */
import type { CardUid, CooperativeId, MemberId } from '../../protocol/ids.ts';
import type { LimitProfile } from '../../protocol/limits.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import type { Tariff } from '../../protocol/tariffs.ts';
import { memberOf } from './accounts.ts';
import type { Guard, Verdict } from './entries.ts';
import { type Holder, isLicensed, type LicenceOf, mayHold } from './licence.ts';
import { incomeGuards } from './limits.ts';
import { sending } from './sending.ts';

interface Party {
  readonly issuer: CooperativeId;
  readonly member: MemberId;
  readonly active: boolean;
  readonly limits: LimitProfile;
}

export interface TransferFacts {
  /** Business date now, `YYYY-MM-DD` (Asia/Jakarta). */
  readonly date: string;
  /** What the receiver gets, in rupiah, above zero. */
  readonly amount: bigint;
  readonly card: (Party & { readonly uid: CardUid }) | null;
  readonly outlet: { readonly class: string; readonly open: boolean } | null;
  /** Whose card has the number that was typed; null if no card has it. */
  readonly receiver: Party | null;
  readonly tariffs: readonly Tariff[];
  readonly licenceOf: LicenceOf;
  readonly holderOf: (member: MemberId) => Holder;
  /** Net debit cap of the sender's cooperative, in rupiah, and the sum at which its officers are warned. */
  readonly netDebitCap: bigint;
  readonly capAlert: bigint;
}

const licensed = ({ card, receiver, licenceOf }: TransferFacts) =>
  card !== null && receiver !== null && isLicensed('transfer', licenceOf, card.issuer, receiver.issuer);

const takesIn = ({ receiver, licenceOf, holderOf }: TransferFacts) =>
  receiver !== null && mayHold(licenceOf(receiver.issuer), holderOf(receiver.member));

const checks: readonly (readonly [Refusal, (facts: TransferFacts) => boolean])[] = [
  ['card-unknown', ({ card }) => card === null],
  ['card-blocked', ({ card }) => card?.active !== true],
  ['outlet-closed', ({ outlet }) => outlet?.open !== true],
  // One word for both: who tries numbers learns no more than whether money can be sent there.
  ['receiver-unknown', ({ receiver }) => receiver?.active !== true],
  ['transfer-self', ({ card, receiver }) => card?.member === receiver?.member],
  ['not-licensed', (facts) => !licensed(facts)],
  ['members-only', (facts) => !takesIn(facts)],
  ['pay-limit', ({ card, amount }) => card !== null && amount > card.limits.perTap],
];

/**
 * Judges a transfer. All of the amount arrives; who pays a fee on top, the tariff says. Funds, the card's status, the
 * cap and the limits of both members are judged inside the post.
 */
export function judgeTransfer(facts: TransferFacts): Verdict {
  for (const [refuse, fails] of checks) if (fails(facts)) return { refuse, outcome: 'declined' };
  const { card, outlet, receiver, amount, netDebitCap, capAlert } = facts;
  if (card === null || outlet === null || receiver === null)
    throw new Error('the checks let an unknown card, outlet or receiver through');
  const { issuer, uid } = card;
  const [sender, earner] = [memberOf(issuer, card.member), memberOf(receiver.issuer, receiver.member)];
  const { figures, leaves } = sending({ ...facts, kind: 'transfer', class: outlet.class }, sender, earner);
  const { perDay: day, perMonth: month } = card.limits;
  const guards: Guard[] = [
    { kind: 'card-active', card: uid },
    { kind: 'pin', card: uid },
    { kind: 'spend', account: sender, amount: leaves, day, month },
    { kind: 'cap', cooperative: issuer, max: netDebitCap, alert: capAlert },
    ...incomeGuards(earner, amount, receiver.limits),
  ];
  return { approve: { kind: 'transfer', figures }, guards };
}
