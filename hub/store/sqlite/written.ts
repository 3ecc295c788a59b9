/** Written: figures as JSON text, where nothing but names and rupiah stand; every number is rupiah. */
import { rupiah, toWire } from '../../../protocol/money.ts';

/** @throws RangeError if an amount is beyond 2^53 − 1 rupiah. */
export const write = (value: unknown): string =>
  JSON.stringify(value, (_name, part: unknown) => (typeof part === 'bigint' ? toWire(part) : part));

/** Reads what `write` wrote. */
export const read = <Value>(text: string): Value =>
  JSON.parse(text, (_name, part: unknown) => (typeof part === 'number' ? rupiah(part) : part)) as Value;
