/** Whole rupiah: bigint in code, a JSON integer on the wire. */
import { Type } from 'typebox';

/** The largest amount one card record can carry (28 bits, TRUTH section 2), in rupiah. */
export const CARD_AMOUNT_MAX = 2n ** 28n - 1n;

/** Largest amount the wire can carry exactly: 2^53 − 1 rupiah. */
export const WIRE_MAX = BigInt(Number.MAX_SAFE_INTEGER);

/** Schema of a sale amount on the wire: Rp 1 to the card record's limit. */
export const SaleAmount = Type.Integer({ minimum: 1, maximum: Number(CARD_AMOUNT_MAX) });

/** Schema of how many ride for one payment. */
export const Passengers = Type.Integer({ minimum: 1, maximum: 20 });

/** Schema of a balance or total on the wire, in rupiah; may be negative. */
export const Rupiah = Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER });

/**
 * Turns a checked wire integer into rupiah.
 * @throws RangeError if the number is not a safe integer.
 */
export function rupiah(wire: number): bigint {
  if (!Number.isSafeInteger(wire)) throw new RangeError(`not a whole rupiah amount: ${wire}`);
  return BigInt(wire);
}

/**
 * Turns rupiah into a JSON integer.
 * @throws RangeError beyond ±(2^53 − 1), where JSON numbers stop being exact.
 */
export function toWire(amount: bigint): number {
  if (amount > WIRE_MAX || amount < -WIRE_MAX) throw new RangeError(`amount does not fit the wire: ${amount}`);
  return Number(amount);
}

/** Spells an amount as Indonesian screens do: `Rp 50.000`, with an ASCII space (printers and LCDs have no other). */
export function spellRupiah(amount: bigint): string {
  const digits = (amount < 0n ? -amount : amount).toString().replace(/\B(?=(\d{3})+$)/g, '.');
  return `${amount < 0n ? '-' : ''}Rp ${digits}`;
}
