/** Reload, judged: whether money may leave for a card's purse, and what a later tap says of money still on its way. */
import type { CardUid, CooperativeId, MemberId } from '../../protocol/ids.ts';
import { FRESH_SECONDS, type LimitProfile, PURSE_CEILING } from '../../protocol/limits.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import { memberOf, purseOf, transitOf } from './accounts.ts';
import type { Guard, ReloadKind, Verdict } from './entries.ts';
import { isLicensed, type LicenceOf } from './licence.ts';
import { pinGuards } from './limits.ts';

export interface ReloadFacts {
  /** As requested, in rupiah, above zero. */
  readonly amount: bigint;
  readonly card: {
    readonly uid: CardUid;
    readonly issuer: CooperativeId;
    readonly member: MemberId;
    readonly active: boolean;
    /** Version of the counter file's key. */
    readonly tmacKeyVersion: number;
  } | null;
  /** Whether the kiosk's outlet is open. */
  readonly outletOpen: boolean;
  /** The card's key versions as the kiosk named them are the registry's. */
  readonly sameKeys: boolean;
  /** EncTMRI, deciphered under TMC₀ + 1, names a kiosk that was enrolled once, or the hub itself. */
  readonly readerKnown: boolean;
  /** TMC₀, as the kiosk read it. */
  readonly tmc: number;
  /** Seconds since the start of the beacon's ten seconds that the kiosk named. */
  readonly beaconAgeSeconds: number;
  readonly licenceOf: LicenceOf;
  /** The member's. */
  readonly limits: LimitProfile;
}

const checks: readonly (readonly [Refusal, (facts: ReloadFacts) => boolean])[] = [
  ['card-unknown', ({ card }) => card === null],
  // Nothing else that a kiosk says of the card is proven before the credit: the card's own cipher is.
  ['certificate-malformed', ({ sameKeys, readerKnown }) => !sameKeys || !readerKnown],
  ['expired', ({ beaconAgeSeconds: age }) => !(age >= 0 && age <= FRESH_SECONDS)],
  ['card-blocked', ({ card }) => card?.active !== true],
  ['outlet-closed', ({ outletOpen }) => !outletOpen],
  // Wherever the card lies: a reload moves money in the books of its own cooperative only.
  [
    'not-licensed',
    ({ card, licenceOf }) => card !== null && !isLicensed('reload-release', licenceOf, card.issuer, card.issuer),
  ],
  ['purse-full', ({ amount }) => amount > PURSE_CEILING],
  ['pay-limit', ({ amount, limits }) => amount > limits.perTap],
  ['pin-needed', ({ amount, limits }) => amount > limits.pinAbove],
];

/**
 * Judges the release of a reload (TRUTH sections 6 and 14) by the limits of its member, like a payment without PIN.
 * Funds, an earlier reload, the card's status, counter and purse, and what was used of the limits are judged by its
 * guards inside the post.
 */
export function judgeReload(facts: ReloadFacts): Verdict {
  for (const [refuse, fails] of checks) {
    if (fails(facts)) return { refuse, outcome: refuse === 'expired' ? 'expired' : 'declined' };
  }
  const { card, amount, tmc, limits } = facts;
  if (card === null) throw new Error('the checks let an unknown card through');
  const { uid, issuer, member, tmacKeyVersion: keyVersion } = card;
  const guards: Guard[] = [
    { kind: 'card-active', card: uid },
    { kind: 'next', card: uid, keyVersion, tmc: tmc + 1 },
    { kind: 'idle', account: transitOf(issuer, uid) },
    { kind: 'room', account: purseOf(issuer, uid), amount, max: PURSE_CEILING },
    ...pinGuards(uid, amount, limits, false),
    { kind: 'spend', account: memberOf(issuer, member), amount, day: limits.perDay, month: limits.perMonth },
  ];
  return { approve: { kind: 'reload-release', figures: { issuer, member, card: uid, amount } }, guards };
}

/** A reload on its way, as far as later taps have told of it. */
export interface OnItsWay {
  readonly keyVersion: number;
  /** TMC₀: the reload can first have filled the slot after it. */
  readonly tmc: number;
  /** Hub time of the release, milliseconds since 1970 UTC. */
  readonly releasedAt: number;
  /** Every slot after TMC₀ up to this one is proven another's; TMC₀ at first. */
  readonly othersUpTo: number;
}

/** What a claim with a valid certificate and the list of an account sale tells. */
export interface LaterTap {
  readonly keyVersion: number;
  readonly tmc: number;
  /** Start of the ten seconds of its proven beacon, milliseconds since 1970 UTC; null without one. */
  readonly beaconAt: number | null;
  /** The counter file, as read before it, holds TMC₀ + 1 and exactly the certificate that the reload would have got. */
  readonly showsReload: boolean;
}

export interface Healed {
  /** How the reload ends; null leaves it open. */
  readonly end: Exclude<ReloadKind, 'reload-release'> | null;
  readonly othersUpTo: number;
  /** The tap tells nothing that can be told from a reload: somebody has to look at it. */
  readonly strange: boolean;
}

/**
 * What a later tap says of a reload on its way (TRUTH sections 2 and 6). It is proven by its own certificate, read from
 * the counter file; void when each slot after TMC₀, up to one whose beacon is later than the release, is filled by
 * another transaction in full: by then the session of the reload's batch is long dead.
 *
 * Slots that were skipped leave it open. Their occupant's name alone, deciphered from the claim after them, would not
 * do: a kiosk chooses the reader id under which it lets the hub's batch run. Gaps are closed by rebuilding the missing
 * claims, or by balances that the card certified on both sides of them (TRUTH section 5); neither is done here yet.
 */
export function healing(open: OnItsWay, tap: LaterTap): Healed {
  const { othersUpTo } = open;
  if (tap.keyVersion !== open.keyVersion) return { end: null, othersUpTo, strange: true };
  if (tap.showsReload) return { end: 'reload', othersUpTo, strange: false };
  if (tap.tmc <= othersUpTo) return { end: null, othersUpTo, strange: false };
  if (tap.tmc > othersUpTo + 1) return { end: null, othersUpTo, strange: true };
  const later = tap.beaconAt !== null && tap.beaconAt > open.releasedAt;
  return { end: later ? 'reload-void' : null, othersUpTo: tap.tmc, strange: false };
}
