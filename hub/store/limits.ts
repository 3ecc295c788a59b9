/** The limits' port: profiles, what members are bound by, caps; changed by two officers and never without a trace. */
import type { CooperativeId, MemberId } from '../../protocol/ids.ts';
import type { LimitProfile } from '../../protocol/limits.ts';
import type { OwnLimits } from '../rules/limits.ts';

/** What a member was given or chose; members without have the default profile and no limits of their own. */
export interface MemberLimits extends OwnLimits {
  /** Name of the profile. */
  readonly profile: string;
}

/** A cooperative's net debit cap in rupiah, and the basis points of it at which its officers are warned. */
export interface Cap {
  readonly netDebitCap: bigint;
  readonly capAlert: number;
}

/** Who changes limits, and when. */
export interface Signed {
  readonly officers: readonly string[];
  /** Hub time, milliseconds since 1970 UTC. */
  readonly at: number;
}

/** A change that was made. */
export interface LimitChange extends Signed {
  readonly what: 'profile' | 'cap' | 'member';
  /** Of the profile, cooperative or member. */
  readonly name: string;
  /** JSON objects, amounts in rupiah; null where there was nothing before. */
  readonly before: string | null;
  readonly after: string;
}

/** Refuses a change, or passes on what it found before. */
export type Changed = { readonly ok: true } | { readonly ok: false; readonly error: string };

export interface LimitBook {
  /** By name. */
  profiles(): readonly LimitProfile[];
  /** Members who were given a profile or limits of their own. */
  limitedMembers(): readonly (readonly [MemberId, MemberLimits])[];
  /** What binds a member now: the profile, lowered by the member's own limits; answered from memory. */
  limitsOf(member: MemberId): LimitProfile;
  /**
   * Each makes a change together with its trace, judged against what is on the disk at that moment: `to` gets what is
   * there, and says what is to be there or why not.
   */
  changeProfile(name: string, signed: Signed, to: (before: LimitProfile | null) => LimitProfile | string): Changed;
  changeCap(id: CooperativeId, signed: Signed, to: (before: Cap) => Cap | string): Changed;
  changeMember(id: MemberId, signed: Signed, to: (before: MemberLimits) => MemberLimits | string): Changed;
  /** The changes made, the newest first. */
  limitChanges(limit: number): readonly LimitChange[];
}
