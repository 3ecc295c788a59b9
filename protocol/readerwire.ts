/** What a reader program says to the kiosk or hub that started it: one JSON object a line on its stdout. */
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { APDU_BYTES_MAX, WHY_CHARS_MAX } from './readercommand.ts';

const hexOf = (fewest: number, most: number) => Type.String({ pattern: `^([0-9a-f]{2}){${fewest},${most}}$` });
const Counter = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
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

export type FromReader = Static<typeof FromReader>;

const validator = Compile(FromReader);

/** Reads one line from the reader program; undefined when it is none of the messages above. */
export function readFromReader(line: string): FromReader | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return validator.Check(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
