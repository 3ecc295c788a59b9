/** Hex and bytes for tests: cards themselves know bytes only. */

/** @throws Error for anything but pairs of hex digits, so that a typing error in a test cannot shorten the bytes. */
export function bytes(hex: string): Uint8Array {
  if (!/^([0-9a-fA-F]{2})*$/.test(hex)) throw new Error(`not hex: ${hex}`);
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
