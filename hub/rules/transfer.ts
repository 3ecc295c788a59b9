/** Transfer, judged: money from one member to another, at home or across cooperatives (TRUTH sections 7 and 11). */
import type { CardUid, CooperativeId, MemberId } from '../../protocol/ids.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import { memberOf } from './accounts.ts';
import type { Guard, Verdict } from './entries.ts';
import { quote, type Tariff } from './tariffs.ts';

interface Holder {
  readonly issuer: CooperativeId;
  readonly member: MemberId;
  readonly active: boolean;
}

export interface TransferFacts {
  /** Business date now, `YYYY-MM-DD` (Asia/Jakarta). */
  readonly date: string;
  /** What the receiver gets, in rupiah, above zero. */
  readonly amount: bigint;
  readonly card: (Holder & { readonly uid: CardUid }) | null;
  /** Whether the kiosk's outlet is open. */
  readonly outletOpen: boolean;
  /** Whose card has the number that was typed; null if no card has it. */
  readonly receiver: Holder | null;
  readonly tariffs: readonly Tariff[];
  /** Net debit cap of the sender's cooperative, in rupiah. */
  readonly netDebitCap: bigint;
  /** Most that the receiver's account may hold, in rupiah; null: no bound. */
  readonly maxBalance: bigint | null;
}

const checks: readonly (readonly [Refusal, (facts: TransferFacts) => boolean])[] = [
  ['card-unknown', ({ card }) => card === null],
  ['card-blocked', ({ card }) => card?.active !== true],
  ['outlet-closed', ({ outletOpen }) => !outletOpen],
  // One word for both: who tries numbers learns no more than whether money can be sent there.
  ['receiver-unknown', ({ receiver }) => receiver?.active !== true],
  ['transfer-self', ({ card, receiver }) => card?.member === receiver?.member],
];

/**
 * Judges a transfer. The sender pays the fee on top: amount and fee leave the account, the amount arrives. Funds, the
 * card's status, the cap and the receiver's room are judged inside the post.
 */
export function judgeTransfer(facts: TransferFacts): Verdict {
  for (const [refuse, fails] of checks) if (fails(facts)) return { refuse, outcome: 'declined' };
  const { card, receiver, amount, date, netDebitCap } = facts;
  if (card === null || receiver === null) throw new Error('the checks let an unknown card or receiver through');
  const { issuer, uid } = card;
  const acquirer = receiver.issuer;
  const { fee, shares } = quote(facts.tariffs, { kind: 'transfer', issuer, acquirer, amount, date });
  const total = amount + fee;
  const figures = {
    issuer,
    acquirer,
    from: [{ account: memberOf(issuer, card.member), amount: total }],
    to: [{ account: memberOf(acquirer, receiver.member), amount }],
    amount: total,
    fee,
    shares,
    authority: 'pin' as const,
  };
  const guards: Guard[] = [
    { kind: 'card-active', card: uid },
    { kind: 'cap', cooperative: issuer, max: netDebitCap },
    ...receiverGuards(facts, receiver),
  ];
  return { approve: { kind: 'transfer', figures }, guards };
}

/** What the receiver's account must have room for: the place for every limit on money that comes in. */
function receiverGuards({ amount, maxBalance }: TransferFacts, { issuer, member }: Holder): Guard[] {
  return maxBalance === null ? [] : [{ kind: 'room', account: memberOf(issuer, member), amount, max: maxBalance }];
}
