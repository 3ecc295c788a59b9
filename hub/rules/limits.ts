/** Limits of members as rules apply them: which guards a payment needs, and when a cooperative nears its cap. */
import type { CardUid } from '../../protocol/ids.ts';
import type { LimitProfile } from '../../protocol/limits.ts';
import type { Account } from './accounts.ts';
import type { Guard } from './entries.ts';

/** What a card's payment or load draws from its sums without PIN; one with PIN draws nothing and starts them anew. */
export function pinGuards(card: CardUid, amount: bigint, limits: LimitProfile, pinVerified: boolean): readonly Guard[] {
  if (pinVerified) return [{ kind: 'pin', card }];
  return [
    { kind: 'day', card, amount, max: limits.noPinPerDay },
    { kind: 'no-pin', card, amount, max: limits.noPinSum },
  ];
}

/** What a member's account must leave room for before money may come in. */
export function incomeGuards(account: Account, amount: bigint, limits: LimitProfile): readonly Guard[] {
  return [
    { kind: 'income', account, amount, month: limits.perMonthIn },
    { kind: 'room', account, amount, max: limits.maxBalance },
  ];
}

/** The sum of positions above which officers are warned, in rupiah. @param basisPoints of the net debit cap */
export const alertOf = (netDebitCap: bigint, basisPoints: number): bigint =>
  (netDebitCap * BigInt(basisPoints)) / 10_000n;

/** What is wrong with a profile, in words for the officer who typed it; null if it can be applied. */
export function profileFault(profile: LimitProfile): string | null {
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(profile.name)) return 'a name has 1 to 32 small letters, digits and hyphens';
  const { perTap, perDay, perMonth } = profile;
  if (perTap > perDay) return 'the limit per payment must not be above that of a day';
  if (perDay > perMonth) return 'the limit of a day must not be above that of a month';
  return null;
}

/** A member's own limits, below those of the profile; null where the member chose none. */
export interface OwnLimits {
  readonly perTap: bigint | null;
  readonly perDay: bigint | null;
}

const lower = (limit: bigint, own: bigint | null): bigint => (own !== null && own < limit ? own : limit);

/** The profile as it binds this member. Own limits only ever lower it, also one that was lowered after them. */
export function bindingLimits(profile: LimitProfile, own: OwnLimits): LimitProfile {
  return { ...profile, perTap: lower(profile.perTap, own.perTap), perDay: lower(profile.perDay, own.perDay) };
}
