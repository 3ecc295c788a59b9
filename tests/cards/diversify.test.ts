/** Card keys from masters: one prepared master serves any number of cards, in any order. */

import { cmac as nobleCmac } from '@noble/ciphers/aes.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { diversification, diversifier, TMAC_KEY_NO } from '../../cards/diversify.ts';
import { bytes, hex } from './hex.ts';

const key = fc.uint8Array({ minLength: 16, maxLength: 16 });
const input = fc.uint8Array({ minLength: 1, maxLength: 31 });

describe('card keys', () => {
  test('a card gets the same key whichever cards came before it', () => {
    fc.assert(
      fc.property(key, fc.array(input, { minLength: 1, maxLength: 8 }), (master, inputs) => {
        const derive = diversifier(master);
        const inOrder = inputs.map((each) => hex(derive(each)));
        expect(inOrder).toEqual(inputs.map((each) => hex(diversifier(master)(each))));
      }),
    );
  });

  test('long inputs give the plain MAC of 01 and the input (AN10922)', () => {
    fc.assert(
      fc.property(key, fc.uint8Array({ minLength: 16, maxLength: 31 }), (master, long) => {
        expect(hex(diversifier(master)(long))).toBe(hex(nobleCmac(Uint8Array.of(1, ...long), master)));
      }),
    );
  });

  test('short inputs are padded to two blocks and so never give the plain MAC', () => {
    fc.assert(
      fc.property(key, fc.uint8Array({ minLength: 1, maxLength: 15 }), (master, short) => {
        expect(hex(diversifier(master)(short))).not.toBe(hex(nobleCmac(Uint8Array.of(1, ...short), master)));
      }),
    );
  });

  test('the input is the UID, the key number, its version and the name of the system', () => {
    expect(hex(diversification(bytes('045a115a346180'), TMAC_KEY_NO, 2))).toBe('045a115a3461800f0253494d50554c');
    expect(hex(diversification(bytes('045a115a346180'), 1, 255))).toBe('045a115a34618001ff53494d50554c');
  });

  test('another number of bytes is an error in the program', () => {
    expect(() => diversification(bytes('045a11'), 1, 1)).toThrow('a UID has 7 bytes');
    expect(() => diversifier(new Uint8Array(16))(new Uint8Array())).toThrow(RangeError);
    expect(() => diversifier(new Uint8Array(16))(new Uint8Array(32))).toThrow(RangeError);
  });
});
