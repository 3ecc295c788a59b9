/** Text that others chose, as a terminal or a page may show it. */

/** Controls, line separators, and what turns the direction of the text around it. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

export const isPrintable = (text: string): boolean => text.search(UNPRINTABLE) < 0;

/** The same text, with a mark in place of each character that could do more than be read. */
export const printable = (text: string): string => text.replace(UNPRINTABLE, '\ufffd');

/** A value in an error: in quotes, printable, and not longer than a line bears. */
export function quoted(text: string): string {
  const shown = printable(text);
  return `"${shown.length > 40 ? `${shown.slice(0, 40)}…` : shown}"`;
}
