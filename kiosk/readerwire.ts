/** What the kiosk and its reader program say to each other: one JSON object a line on the program's stdin and stdout. */
import { type Static, type TSchema, Type } from 'typebox';
import { Compile } from 'typebox/compile';

/** Longest line either side accepts, in bytes. The longest legal one carries a response of `APDU_BYTES_MAX`. */
export const LINE_BYTES_MAX = 2048;

/** Longest command or response, in bytes: a short APDU (ISO/IEC 7816-4 section 5.1) has at most 261. */
export const APDU_BYTES_MAX = 512;

/** The program says `beat` this often, in milliseconds, so that a silent one can be told from an idle one. */
export const BEAT_MS = 1000;

/** Longest sentence of a fault, in characters. */
const WHY_CHARS_MAX = 300;

const hexOf = (fewest: number, most: number) => Type.String({ pattern: `^([0-9a-f]{2}){${fewest},${most}}$` });
const Counter = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const Apdu = hexOf(4, APDU_BYTES_MAX);
const Response = hexOf(2, APDU_BYTES_MAX);
/** ISO/IEC 14443-3 section 6.5.4: 4, 7 or 10 bytes. */
const Uid = Type.String({ pattern: '^([0-9a-f]{8}|[0-9a-f]{14}|[0-9a-f]{20})$' });
/** ISO/IEC 7816-3 section 8.2.1: at most 33 bytes. */
const Atr = hexOf(0, 33);

const FromReader = Type.Union([
  /** The reader can be used; `name` is for people. */
  Type.Object({ type: Type.Literal('ready'), name: Type.String({ minLength: 1, maxLength: 128 }) }),
  /** `presence` counts this program's cards upwards and is never used twice. */
  Type.Object({ type: Type.Literal('card'), presence: Counter, uid: Uid, atr: Atr }),
  Type.Object({ type: Type.Literal('gone'), presence: Counter }),
  /** The card's answer to the command of that id, status word included. */
  Type.Object({ type: Type.Literal('reply'), id: Counter, hex: Response }),
  /** No answer came to the command of that id: whether the card obeyed is unknown. */
  Type.Object({ type: Type.Literal('lost'), id: Counter }),
  Type.Object({ type: Type.Literal('beat') }),
  /** The reader cannot be used until the next `ready`; every card and command of before is lost. */
  Type.Object({ type: Type.Literal('fault'), why: Type.String({ minLength: 1, maxLength: WHY_CHARS_MAX }) }),
]);

const ToReader = Type.Object({ type: Type.Literal('apdu'), id: Counter, presence: Counter, hex: Apdu });

export type FromReader = Static<typeof FromReader>;
export type ToReader = Static<typeof ToReader>;

function reading<Message extends TSchema>(schema: Message): (line: string) => Static<Message> | undefined {
  const validator = Compile(schema);
  return (line) => {
    try {
      const value: unknown = JSON.parse(line);
      return validator.Check(value) ? (value as Static<Message>) : undefined;
    } catch {
      return undefined;
    }
  };
}

/** Reads one line from the reader program; undefined when it is none of the messages above. */
export const readFromReader = reading(FromReader);

/** Reads one line from the kiosk; undefined when it is not the message above. */
export const readToReader = reading(ToReader);

/** One printable line of at most `WHY_CHARS_MAX` characters: what a program says must not move a technician's cursor. */
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
 * @param onTooLong called once when a line passes the limit; whatever follows is dropped, for no line end in it can be trusted.
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
