/** Limits as data: profiles of members, and what kiosk and hub apply alike; amounts in rupiah. */
import type { KioskRole } from './enrolment.ts';

/** What a member may do with the account; a member names one profile (DESIGN section 9). */
export interface LimitProfile {
  readonly name: string;
  /** Largest single payment, or load of a card. */
  readonly perTap: bigint;
  /** Largest sum that leaves the account in a business day, and in its month (Asia/Jakarta). */
  readonly perDay: bigint;
  readonly perMonth: bigint;
  /** Largest sum that comes in within a month; what comes back from a payment or a card is no income. */
  readonly perMonthIn: bigint;
  /** Most that the account may hold after money came in; what comes back is never turned away. */
  readonly maxBalance: bigint;
  /** A larger payment needs the member's PIN. */
  readonly pinAbove: bigint;
  /** Largest sum that one card pays and loads without PIN since the last PIN. */
  readonly noPinSum: bigint;
  /** Largest sum that one card pays and loads without PIN in a business day. */
  readonly noPinPerDay: bigint;
}

/** The pilot's own figures, for every member. */
const pilot = { pinAbove: 500_000n, noPinSum: 2_000_000n, noPinPerDay: 1_000_000n } as const;

/** The profile of a member who was given none. */
export const DEFAULT_PROFILE = 'registered';

/** A holder whose identity was verified. */
export const registered: LimitProfile = {
  name: DEFAULT_PROFILE,
  perTap: 2_000_000n,
  perDay: 10_000_000n,
  perMonth: 40_000_000n,
  perMonthIn: 40_000_000n,
  maxBalance: 20_000_000n,
  ...pilot,
};

/**
 * The profiles that a new hub has. Balance and incoming sums are Bank Indonesia's for server-based electronic money:
 * PBI 23/6/PBI/2021 on payment service providers, the figures of registered holders as raised from 1 July 2022 (before:
 * 10 and 20 million). All others are the pilot's, at or below them.
 */
export const shippedProfiles: readonly LimitProfile[] = [
  registered,
  {
    name: 'unregistered',
    perTap: 500_000n,
    perDay: 1_000_000n,
    perMonth: 20_000_000n,
    perMonthIn: 20_000_000n,
    maxBalance: 2_000_000n,
    ...pilot,
  },
];

/** Seconds between two account sales of one card at one kiosk (TRUTH section 3). */
export const PAUSE_SECONDS = 60;

/** Basis points of a cooperative's net debit cap at which its officers are warned, where they chose no others. */
export const CAP_ALERT = 8_000;

/** Roles of kiosks that have a keypad for PINs: nobody else can have verified one. */
export const KEYPAD_ROLES: readonly KioskRole[] = ['stall', 'counter', 'bills'];

/** Cash over a counter, applied by kiosk and hub alike. */
export const counterLimits = {
  /** A larger deposit or withdrawal needs a second person's card, in rupiah. */
  approvalAbove: 1_000_000n,
  /** How long a withdrawal may wait for the member's PIN and word before it is void. */
  holdSeconds: 180,
} as const;

/** Seconds from the start of a bill's payment until it is void, if the hub could not even turn to the biller. */
export const BILL_HOLD_SECONDS = 60;

/** A certificate whose beacon is older than this when first seen is expired for good (TRUTH section 3). */
export const FRESH_SECONDS = 60;

/** Most that a card's purse may hold, in rupiah: the whole risk of a card without a signal (TRUTH section 7). */
export const PURSE_CEILING = 200_000n;

/** Years after which kiosks without a signal no longer serve a card. */
export const CARD_LIFE_YEARS = 5;

/** Card keys a kiosk without the `offline` grant may hold at once, and for how long (TRUTH section 14). */
export const KEY_CACHE = { cards: 200, hours: 24 } as const;
