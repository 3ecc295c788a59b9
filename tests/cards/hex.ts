/** Hex and bytes for tests: cards themselves know bytes only. */

/** @throws Error for anything but pairs of hex digits, so that a typing error in a test cannot shorten the bytes. */
export function bytes(hex: string): Uint8Array {
  if (!/^([0-9a-fA-F]{2})*$/.test(hex)) throw new Error(`not hex: ${hex}`);
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** For each bit of the data: the same data with only this bit another. */
export function flips(data: Uint8Array): Uint8Array[] {
  return Array.from({ length: data.length * 8 }, (_, bit) => {
    const flipped = data.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    return flipped;
  });
}
