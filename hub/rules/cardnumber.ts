/** Card numbers: who issued them, eleven digits of chance, and a check digit that finds mistyped ones. */

/** Major industry 9, for national use, and Indonesia's code 360 (ISO/IEC 7812-1, ISO 3166-1). */
const ISSUER_IDENTIFIER = '9360';
const CHANCE_DIGITS = 11;
const DIGITS = ISSUER_IDENTIFIER.length + CHANCE_DIGITS + 1;

const SPAN = 10 ** CHANCE_DIGITS;
const DRAW_BYTES = 5;
/** Draws from here on would make low numbers likelier than high ones. */
const FAIR = Math.floor(256 ** DRAW_BYTES / SPAN) * SPAN;
/** One draw in eleven is not fair; so many in a row are a broken source. */
const DRAWS_MAX = 32;

/** The check digit to be put behind some digits (ISO/IEC 7812-1 annex B, "Luhn"). */
export function checkDigit(digits: string): number {
  let sum = 0;
  for (let at = 0; at < digits.length; at++) {
    const digit = Number(digits[digits.length - 1 - at]);
    const weighted = at % 2 === 0 ? 2 * digit : digit;
    sum += weighted > 9 ? weighted - 9 : weighted;
  }
  return (10 - (sum % 10)) % 10;
}

/** Whether a number has the form of ours but a wrong check digit: a digit was mistyped. */
export function isMistyped(number: string): boolean {
  if (number.length !== DIGITS || !number.startsWith(ISSUER_IDENTIFIER)) return false;
  return checkDigit(number.slice(0, -1)) !== Number(number.at(-1));
}

/**
 * Draws a number of 16 digits.
 * @param random so many bytes of chance; each number is as likely as any other.
 * @throws Error if the source of chance is broken.
 */
export function drawCardNumber(random: (bytes: number) => Uint8Array): string {
  for (let draw = 0; draw < DRAWS_MAX; draw++) {
    const value = random(DRAW_BYTES).reduce((sum, byte) => sum * 256 + byte, 0);
    if (value >= FAIR) continue;
    const digits = `${ISSUER_IDENTIFIER}${String(value % SPAN).padStart(CHANCE_DIGITS, '0')}`;
    return `${digits}${checkDigit(digits)}`;
  }
  throw new Error('the source of chance gives the same bytes over and over');
}

/** A number as it is printed: in groups of four. */
export const spellNumber = (number: string): string => number.replace(/(.{4})(?=.)/g, '$1 ');
