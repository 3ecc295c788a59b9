/** Usage: what a member's account has moved in the business day and the month, kept beside its balance. */
import type { EntryKind } from './entries.ts';

/**
 * How the legs of a kind count at members' accounts. `moves`: a debit is spent, a credit is income. `returns`: the
 * mirror of an earlier entry, which gives back what that one had counted. The rest is no use of the account: its
 * opening, what comes back from the member's own card or is lent while a dispute is open, rewards, and what officers
 * move by hand. Claims that a card has proven never count (TRUTH section 7).
 */
export const usageOf: Readonly<Record<EntryKind, 'moves' | 'returns' | 'none'>> = {
  opening: 'none',
  purchase: 'moves',
  void: 'returns',
  'reload-release': 'moves',
  reload: 'none',
  'reload-void': 'returns',
  drain: 'none',
  'purse-return': 'none',
  deposit: 'moves',
  withdrawal: 'moves',
  funding: 'none',
  'purse-sale': 'none',
  transfer: 'moves',
  payout: 'moves',
  bill: 'moves',
  cashback: 'none',
  points: 'none',
  redeem: 'none',
  'reward-return': 'none',
  refund: 'returns',
  dispute: 'none',
  'dispute-won': 'none',
  'dispute-lost': 'none',
  'dispute-lapsed': 'none',
  provision: 'none',
  adjustment: 'none',
  collect: 'none',
};

/** What was used in the period of the latest date counted; amounts in rupiah. */
export interface Usage {
  /** Latest business date that anything was counted for, `YYYY-MM-DD`; empty before. */
  day: string;
  dayOut: bigint;
  monthOut: bigint;
  monthIn: bigint;
}

export const unused = (): Usage => ({ day: '', dayOut: 0n, monthOut: 0n, monthIn: 0n });

/**
 * Whether a date lies in a later month than the latest counted. Should the hub's clock go back over midnight, the day
 * and the month that were reached go on: no limit opens twice.
 */
const isNewMonth = (day: string, date: string): boolean => date > day && date.slice(0, 7) !== day.slice(0, 7);

/** What has left on this date, or in its month. */
export const spentOn = ({ day, dayOut }: Usage, date: string): bigint => (date > day ? 0n : dayOut);
export const spentInMonth = ({ day, monthOut }: Usage, date: string): bigint => (isNewMonth(day, date) ? 0n : monthOut);
/** What has come in, in the month of this date. */
export const cameInMonth = ({ day, monthIn }: Usage, date: string): bigint => (isNewMonth(day, date) ? 0n : monthIn);

/** Counts a leg of an entry that moves. @param amount of the leg, negative for what leaves @param date of the commit */
export function use(usage: Usage, amount: bigint, date: string): void {
  if (date > usage.day) {
    if (isNewMonth(usage.day, date)) {
      usage.monthOut = 0n;
      usage.monthIn = 0n;
    }
    usage.dayOut = 0n;
    usage.day = date;
  }
  if (amount > 0n) usage.monthIn += amount;
  else {
    usage.dayOut -= amount;
    usage.monthOut -= amount;
  }
}

/** A return may go to another account than the one that had paid: that one had counted less, or nothing. */
const less = (sum: bigint, amount: bigint): bigint => (sum > amount ? sum - amount : 0n);

/**
 * Gives back what the leg of an earlier entry has counted, as far as its day and month still run.
 * @param amount of the leg that returns it, positive for what had left @param date of the earlier entry
 */
export function giveBack(usage: Usage, amount: bigint, date: string): void {
  if (date.slice(0, 7) !== usage.day.slice(0, 7)) return;
  if (amount < 0n) usage.monthIn = less(usage.monthIn, -amount);
  else {
    usage.monthOut = less(usage.monthOut, amount);
    if (date === usage.day) usage.dayOut = less(usage.dayOut, amount);
  }
}
