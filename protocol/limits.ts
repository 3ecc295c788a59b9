/** Limits on payments without a PIN, applied by kiosk and hub alike; amounts in rupiah. */

export interface NoPinLimits {
  /** Largest single account sale without PIN. */
  readonly perTap: bigint;
  /** Largest sum of account sales without PIN of one card in a business day (Asia/Jakarta). */
  readonly perDay: bigint;
  /** Seconds between two account sales of one card at one kiosk (TRUTH section 3). */
  readonly pauseSeconds: number;
}

/** Defaults of the pilot, far below what Bank Indonesia allows an unregistered holder (Rp 2 million). */
export const noPinLimits: NoPinLimits = { perTap: 500_000n, perDay: 1_000_000n, pauseSeconds: 60 };

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
