/** AES-CMAC against an independent implementation, and the paddings and comparison around it. */

import { cmac as nobleCmac } from '@noble/ciphers/aes.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cmac, decrypt, double, encrypt, equal, pad2, truncate, unpad2, xorInto } from '../../cards/aes.ts';
import { bytes, hex } from './hex.ts';

const exactly = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const anyBytes = fc.uint8Array({ maxLength: 200 });

describe('AES for cards', () => {
  test('a MAC of any message is the one an independent library computes', () => {
    fc.assert(
      fc.property(exactly(16), anyBytes, (key, message) => {
        expect(hex(cmac(key, message))).toBe(hex(nobleCmac(message, key)));
      }),
    );
  });

  test('a MAC is right at every block boundary', () => {
    fc.assert(
      fc.property(exactly(16), fc.integer({ min: 0, max: 12 }), (key, blocks) => {
        for (const length of [blocks * 16 - 1, blocks * 16, blocks * 16 + 1].filter((each) => each >= 0)) {
          const message = new Uint8Array(length).fill(length);
          expect(hex(cmac(key, message))).toBe(hex(nobleCmac(message, key)));
        }
      }),
    );
  });

  test('computing a MAC changes neither key nor message', () => {
    fc.assert(
      fc.property(exactly(16), anyBytes, (key, message) => {
        const before = hex(key) + hex(message);
        cmac(key, message);
        expect(hex(key) + hex(message)).toBe(before);
      }),
    );
  });

  test('what is enciphered comes back when deciphered', () => {
    fc.assert(
      fc.property(exactly(16), exactly(16), anyBytes, (key, iv, data) => {
        expect(hex(unpad2(decrypt(key, iv, encrypt(key, iv, pad2(data)))) ?? bytes('00'))).toBe(hex(data));
      }),
    );
  });

  test('padding is added to aligned data too', () => {
    expect(hex(pad2(new Uint8Array(16)))).toBe(`${'00'.repeat(16)}80${'00'.repeat(15)}`);
    expect(hex(pad2(bytes('0102')))).toBe(`010280${'00'.repeat(13)}`);
  });

  test('data without padding, or with more than a block of it, are not taken', () => {
    expect(unpad2(new Uint8Array(16))).toBeNull();
    expect(unpad2(new Uint8Array())).toBeNull();
    expect(unpad2(bytes('01020304'))).toBeNull();
    expect(unpad2(bytes(`80${'00'.repeat(16)}`))).toBeNull();
  });

  test('half blocks are an error in the program', () => {
    expect(() => encrypt(new Uint8Array(16), new Uint8Array(16), new Uint8Array(15))).toThrow(RangeError);
    expect(() => decrypt(new Uint8Array(16), new Uint8Array(16), new Uint8Array(17))).toThrow(RangeError);
  });

  test('cards send the odd bytes of a MAC', () => {
    expect(hex(truncate(bytes('000102030405060708090a0b0c0d0e0f')))).toBe('01030507090b0d0f');
  });

  test('doubling reduces only when the top bit was set', () => {
    expect(hex(double(bytes(`80${'00'.repeat(15)}`)))).toBe(`${'00'.repeat(15)}87`);
    expect(hex(double(bytes(`40${'00'.repeat(14)}80`)))).toBe(`80${'00'.repeat(13)}0100`);
  });

  test('comparison tells lengths and every bit apart', () => {
    expect(equal(bytes('0102'), bytes('0102'))).toBe(true);
    expect(equal(bytes('0102'), bytes('0103'))).toBe(false);
    expect(equal(bytes('0102'), bytes('010200'))).toBe(false);
  });

  test('xor works in place, from where it is told', () => {
    const into = bytes('000000ff');
    xorInto(into, bytes('0ff0'), 2);
    expect(hex(into)).toBe('00000f0f');
  });
});
