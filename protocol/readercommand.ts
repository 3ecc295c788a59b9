/** What is said to a reader program, and how either side writes its lines; light, for the program must start fast. */
import type { FromReader } from './readerwire.ts';

/** Longest command or response, in bytes: a short APDU (ISO/IEC 7816-4 section 5.1) has at most 261. */
export const APDU_BYTES_MAX = 512;

/** Longest sentence of a fault, in characters. */
export const WHY_CHARS_MAX = 300;

/** The one thing that a kiosk or hub says to its reader program: send this command to that card. */
export interface ToReader {
  readonly type: 'apdu';
  readonly id: number;
  readonly presence: number;
  readonly hex: string;
}

/**
 * Reads one line from the kiosk or hub; undefined when it is no command. By hand: the schema compiler takes longer to
 * load than everything else in a reader program, and who speaks is its own parent.
 */
export function readToReader(line: string): ToReader | undefined {
  let value: Partial<Record<keyof ToReader, unknown>> | null;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const { type, id, presence, hex } = value ?? {};
  if (type !== 'apdu' || !isCounter(id) || !isCounter(presence) || typeof hex !== 'string') return undefined;
  const isCommand = hex.length >= 8 && hex.length <= 2 * APDU_BYTES_MAX && /^([0-9a-f]{2})+$/.test(hex);
  return isCommand ? { type, id, presence, hex } : undefined;
}

const isCounter = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 1;

/**
 * One printable line of at most `WHY_CHARS_MAX` characters: what a program says must not move a technician's
 * cursor.
 */
export const sentence = (text: string): string =>
  text
    .slice(0, WHY_CHARS_MAX)
    .replace(/\p{C}+/gu, ' ')
    .trim() || 'no reason given';

/** The line that carries a message. */
export const lineOf = (message: FromReader | ToReader): string => `${JSON.stringify(message)}\n`;
