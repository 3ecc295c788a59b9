/** How lines of the reader wire are cut, written and kept printable; light, for a reader program must start fast. */
import type { FromReader } from './readerwire.ts';

/** Longest line either side accepts, in bytes. The longest legal one carries a response of `APDU_BYTES_MAX`. */
const LINE_BYTES_MAX = 2048;

/** Longest command or response, in bytes: a short APDU (ISO/IEC 7816-4 section 5.1) has at most 261. */
export const APDU_BYTES_MAX = 512;

/** Longest sentence of a fault, in characters. */
export const WHY_CHARS_MAX = 300;

/** The one thing the kiosk says: send this command to that card. */
export interface ToReader {
  readonly type: 'apdu';
  readonly id: number;
  readonly presence: number;
  readonly hex: string;
}

/**
 * Reads one line from the kiosk; undefined when it is no command. By hand: the schema compiler takes longer to load
 * than everything else in a reader program, and the kiosk is its own parent.
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

/**
 * Cuts a byte stream into lines of at most `LINE_BYTES_MAX`.
 * @param onLine one whole line without its end.
 * @param onTooLong called once when a line passes the limit; whatever follows is dropped, for no line end in it can
 * be trusted.
 */
export function lineCutter(onLine: (line: string) => void, onTooLong: () => void): (chunk: Uint8Array) => void {
  let rest: Uint8Array = new Uint8Array(0);
  let broken = false;
  return (chunk) => {
    if (broken) return;
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = bytes.indexOf(10); end >= 0 && end <= LINE_BYTES_MAX; end = bytes.indexOf(10)) {
      onLine(Buffer.from(bytes.subarray(0, end)).toString('utf8'));
      bytes = bytes.subarray(end + 1);
    }
    if (bytes.length > LINE_BYTES_MAX) {
      broken = true;
      bytes = new Uint8Array(0);
      onTooLong();
    }
    rest = Uint8Array.from(bytes);
  };
}
