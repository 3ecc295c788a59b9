/** The certificate's input by hand, command by command, and that it covers every field. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CoveredCommand, previousTmri, tmv, transactionInput, transactionKeys } from '../../cards/tmac.ts';
import { bytes, hex } from './hex.ts';

const zeros = (count: number) => '00'.repeat(count);

const byHand: readonly [string, CoveredCommand, string][] = [
  [
    'the records read, after a block with file, first record and count',
    { ins: 'AB', file: 1, from: 0, count: 4, data: '11'.repeat(64) },
    `ab01000000040000${zeros(8)}${'11'.repeat(64)}`,
  ],
  ['the balance read', { ins: '6C', file: 3, value: 75_000 }, `6c03f8240100${zeros(10)}`],
  ['the amount taken', { ins: 'DC', file: 3, value: 50_000 }, `dc0350c30000${zeros(10)}`],
  ['the amount added', { ins: '0C', file: 3, value: 0xffffffff }, `0c03ffffffff${zeros(10)}`],
  [
    'a short record, filled to a whole block',
    { ins: '8B', file: 1, offset: 0x010203, data: 'aabbcc' },
    `8b01030201030000${zeros(8)}aabbcc${zeros(13)}`,
  ],
  [
    'both reader ids, in three blocks',
    { ins: 'C8', tmri: '22'.repeat(16), encTmri: '33'.repeat(16) },
    `c8${'22'.repeat(16)}${'33'.repeat(16)}${zeros(15)}`,
  ],
];

const account: readonly CoveredCommand[] = [
  { ins: 'AB', file: 1, from: 0, count: 4, data: '5a'.repeat(64) },
  { ins: '6C', file: 3, value: 75_000 },
  { ins: '8B', file: 1, offset: 0, data: '20'.repeat(16) },
  { ins: 'C8', tmri: '01'.repeat(16), encTmri: '02'.repeat(16) },
];

describe('the certificate covers', () => {
  for (const [what, command, expected] of byHand) {
    test(what, () => {
      expect(hex(transactionInput([command]))).toBe(expected);
    });
  }

  test('an account sale in 176 bytes, its commands in order', () => {
    expect(hex(transactionInput(account))).toBe(account.map((each) => hex(transactionInput([each]))).join(''));
    expect(transactionInput(account)).toHaveLength(176);
  });

  test('nothing when nothing was done', () => {
    expect(transactionInput([])).toHaveLength(0);
  });
});

describe('a certificate', () => {
  const key = bytes('00112233445566778899aabbccddeeff');
  const uid = bytes('04782e21801d80');

  test('changes with every bit it covers', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 176 * 8 - 1 }), (bit) => {
        const keys = transactionKeys(key, uid, 9);
        const input = transactionInput(account);
        const flipped = input.slice();
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(hex(tmv(keys, flipped))).not.toBe(hex(tmv(keys, input)));
      }),
    );
  });

  test('belongs to one counter value only, up to the last', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 32 - 1 }), fc.integer({ min: 1, max: 2 ** 32 - 1 }), (one, other) => {
        fc.pre(one !== other);
        const input = transactionInput(account);
        expect(hex(tmv(transactionKeys(key, uid, one), input))).not.toBe(
          hex(tmv(transactionKeys(key, uid, other), input)),
        );
      }),
    );
  });

  test('belongs to one card and one key only', () => {
    const input = transactionInput(account);
    const ours = hex(tmv(transactionKeys(key, uid, 9), input));
    expect(hex(tmv(transactionKeys(key, bytes('04782e21801d81'), 9), input))).not.toBe(ours);
    expect(hex(tmv(transactionKeys(uid16(), uid, 9), input))).not.toBe(ours);
  });

  test('needs a UID of seven bytes and a reader id of sixteen', () => {
    expect(() => transactionKeys(key, bytes('04782e21'), 9)).toThrow('a UID has 7 bytes');
    expect(() => previousTmri(transactionKeys(key, uid, 9), bytes('00'))).toThrow('has 16 bytes');
  });
});

function uid16(): Uint8Array {
  return bytes('00112233445566778899aabbccddeefe');
}
