/** Licence: what each cooperative's licence lets this hub do, as a table from kinds of transaction to switches. */
import type { CooperativeId } from '../../protocol/ids.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import type { EntryKind } from './entries.ts';

/** A demonstration holds no real money and asks for no licence; a licensed hub does what the switches say. */
export const HUB_MODES = ['demo', 'licensed'] as const;
export type HubMode = (typeof HUB_MODES)[number];

/** How well a cooperative knows who holds an account, the least first. */
export const DUE_DILIGENCE = ['none', 'simple', 'full'] as const;
export type DueDiligence = (typeof DUE_DILIGENCE)[number];

/** What a cooperative's licence allows and asks for (TRUTH section 13). Off is always the safe side. */
export interface Licence {
  /** Its members may pay at other cooperatives, and those of others here. */
  readonly offUs: boolean;
  /** Its members may load money on their cards. */
  readonly purse: boolean;
  /** It may take deposits from its members, and so give them back over a counter. */
  readonly deposits: boolean;
  /** Only members hold accounts; otherwise it may serve the public too. */
  readonly membersOnly: boolean;
  /** The least it must know of each who holds an account. */
  readonly dueDiligence: DueDiligence;
  /** The limit profile that each level of knowing gives, by its name. */
  readonly profiles: Readonly<Record<DueDiligence, string>>;
  /** Cash of one person on one business day that is to be reported, in rupiah; null: no such report. */
  readonly cashThreshold: bigint | null;
  /** A lower mark, in rupiah, from which a line is shown too; null: none. */
  readonly cashNotice: bigint | null;
  /** It must show that what customers hold is covered. */
  readonly floatReport: boolean;
  /** How long books and records are to be kept, in years. */
  readonly retentionYears: number;
}

/** The Indonesian rule for cash: Rp 500 million of one person in one day is reported (Law 8/2010, article 23). */
const CASH_THRESHOLD = 500_000_000n;
/** Company records are kept ten years (Law 8/1997, article 11). */
const RETENTION_YEARS = 10;

const profiles = { none: 'none', simple: 'simple', full: 'full' } as const;
const asked = { profiles, cashThreshold: CASH_THRESHOLD, cashNotice: null, retentionYears: RETENTION_YEARS } as const;

/** What a new cooperative of a licensed hub may: nothing but serve its own members from their accounts. */
export const NO_LICENCE: Licence = {
  ...asked,
  offUs: false,
  purse: false,
  deposits: false,
  membersOnly: true,
  dueDiligence: 'simple',
  floatReport: true,
};

/** A demonstration: everything, with nobody's real money. */
export const DEMO_LICENCE: Licence = {
  ...asked,
  offUs: true,
  purse: true,
  deposits: true,
  membersOnly: false,
  dueDiligence: 'none',
  floatReport: false,
};

/** Finds the licence of a cooperative; one that is not registered has none. */
export type LicenceOf = (cooperative: CooperativeId) => Licence;

type Switch = 'offUs' | 'purse' | 'deposits';

interface Need {
  /** Of the member's cooperative, wherever it happens. */
  readonly issuer: readonly Exclude<Switch, 'offUs'>[];
  /** Both cooperatives must allow it where they differ. */
  readonly offUs: boolean;
}

/** Money on its way back or already promised: no licence that ended may keep it from whom it belongs to. */
const ALWAYS: Need = { issuer: [], offUs: false };
const ABROAD: Need = { issuer: [], offUs: true };

/**
 * THE table. Each kind is asked for when new money is about to move, and only then: what a card has certified, what was
 * held, released or sold is never asked again (TRUTH section 7).
 *
 * `purse-sale` stands for a sale that may still be refused, before the card is debited; a proven one is a `claim`.
 */
const needs = {
  purchase: ABROAD,
  'purse-sale': { issuer: ['purse'], offUs: true },
  'reload-release': { issuer: ['purse'], offUs: false },
  deposit: { issuer: ['deposits'], offUs: true },
  withdrawal: { issuer: ['deposits'], offUs: true },
  transfer: ABROAD,
  payout: ABROAD,
  bill: ABROAD,
  cashback: ABROAD,
  points: ABROAD,
  redeem: ABROAD,
  claim: ALWAYS,
  reload: ALWAYS,
  'reload-void': ALWAYS,
  drain: ALWAYS,
  'purse-return': ALWAYS,
  void: ALWAYS,
  refund: ALWAYS,
  'reward-return': ALWAYS,
  dispute: ALWAYS,
  'dispute-won': ALWAYS,
  'dispute-lost': ALWAYS,
  'dispute-lapsed': ALWAYS,
  'hold-release': ALWAYS,
  'hold-settle': ALWAYS,
  // A cooperative's own books, by its officers.
  opening: ALWAYS,
  funding: ALWAYS,
  provision: ALWAYS,
  adjustment: ALWAYS,
  collect: ALWAYS,
} as const satisfies Record<EntryKind | 'claim' | 'hold-release' | 'hold-settle', Need>;

/** A kind of transaction as a licence names it. */
export type LicensedKind = keyof typeof needs;

/** Every kind of the table. */
export const LICENSED_KINDS = Object.keys(needs) as LicensedKind[];

/**
 * Says whether the licences of both cooperatives allow a kind of transaction between them. `away`: the two differ;
 * otherwise `acquirer` is the same licence as `issuer`, and is not looked at.
 */
export function licenceRefusal(
  kind: LicensedKind,
  away: boolean,
  issuer: Licence,
  acquirer: Licence,
): Extract<Refusal, 'not-licensed'> | null {
  const need: Need = needs[kind];
  if (away && need.offUs && !(issuer.offUs && acquirer.offUs)) return 'not-licensed';
  for (const name of need.issuer) if (!issuer[name]) return 'not-licensed';
  return null;
}

/** The same for two cooperatives by name: what an operation asks. */
export function isLicensed(
  kind: LicensedKind,
  licenceOf: LicenceOf,
  issuer: CooperativeId,
  acquirer: CooperativeId,
): boolean {
  return licenceRefusal(kind, issuer !== acquirer, licenceOf(issuer), licenceOf(acquirer)) === null;
}

/** What is known of who holds an account. */
export interface Holder {
  readonly level: DueDiligence;
  /** Not a member: served as one of the public. */
  readonly isPublic: boolean;
}

/** Somebody of whom nothing was ever written: a member about whom nothing is known. */
export const PLAIN_HOLDER: Holder = { level: 'none', isPublic: false };

/** Whether a holder's account may take in new money: not if the cooperative may serve members only. */
export const mayHold = ({ membersOnly }: Licence, { isPublic }: Holder): boolean => !(membersOnly && isPublic);

/** Whether the cooperative knows less of a holder than its licence asks. */
export const isBelow = ({ dueDiligence }: Licence, { level }: Holder): boolean =>
  DUE_DILIGENCE.indexOf(level) < DUE_DILIGENCE.indexOf(dueDiligence);

const PROFILE = /^[a-z][a-z0-9-]{0,31}$/;
const RETENTION_MAX = 100;
/** Beyond what any counter could hand out, and far within what JSON carries exactly. */
const CASH_MAX = 1_000_000_000_000n;

/** What is wrong with a licence, or null. */
export function licenceFault({ profiles, cashThreshold, cashNotice, retentionYears }: Licence): string | null {
  for (const level of DUE_DILIGENCE) {
    if (!PROFILE.test(profiles[level]))
      return `the profile of level ${level} is no name: small letters, digits, dashes`;
  }
  for (const mark of [cashThreshold, cashNotice]) {
    if (mark !== null && (mark < 1n || mark > CASH_MAX)) return `a mark for cash is Rp 1 to ${CASH_MAX}`;
  }
  if (cashThreshold !== null && cashNotice !== null && cashNotice >= cashThreshold) {
    return 'the notice of cash must lie below its threshold';
  }
  const years = Number.isInteger(retentionYears) && retentionYears >= 1 && retentionYears <= RETENTION_MAX;
  return years ? null : `retention is 1 to ${RETENTION_MAX} whole years`;
}
