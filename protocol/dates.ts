/** Business dates: the calendar day in Jakarta, by pure integer arithmetic. */

/** Asia/Jakarta is UTC+7 all year; Indonesia has no summer time. */
const JAKARTA_MS = 7 * 3_600_000;
const DAY_MS = 86_400_000;

let lastDay = Number.NaN;
let lastDate = '';

const two = (n: number) => (n < 10 ? `0${n}` : `${n}`);

/**
 * Date of a day counted from 1970-01-01, by the proleptic Gregorian calendar (Hinnant, "chrono-compatible
 * low-level date algorithms").
 */
function civil(day: number): string {
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const march = Math.floor((5 * dayOfYear + 2) / 153);
  const month = march < 10 ? march + 3 : march - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const dayOfMonth = dayOfYear - Math.floor((153 * march + 2) / 5) + 1;
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(dayOfMonth)}`;
}

/**
 * The business date of a moment (TRUTH section 10).
 * @param at milliseconds since 1970 UTC, from year 1 to year 9999.
 * @returns `YYYY-MM-DD` in Asia/Jakarta.
 */
export function businessDate(at: number): string {
  const day = Math.floor((at + JAKARTA_MS) / DAY_MS);
  // One date serves a whole day of postings, and the hot path asks for it at each.
  if (day !== lastDay) {
    lastDate = civil(day);
    lastDay = day;
  }
  return lastDate;
}
