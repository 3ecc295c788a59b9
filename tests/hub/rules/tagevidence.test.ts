/** The packed evidence of a tag's sale gives back what was packed, and nothing else is taken for it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packTagEvidence, readTagEvidence } from '../../../hub/rules/tagevidence.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const evidence = fc.record({
  keyVersion: fc.integer({ min: 0, max: 255 }),
  kiosk: fc.integer({ min: 1, max: 2 ** 24 - 1 }),
  seq: fc.integer({ min: 1, max: 2 ** 24 - 1 }),
  amount: fc.bigInt({ min: 1n, max: 2n ** 53n - 1n }),
  challenge: bytes(16),
  command: bytes(38),
  reply: bytes(34),
});

test('what is packed is read again to the byte, from any place in a larger array', () => {
  fc.assert(
    fc.property(evidence, (one) => {
      const packed = packTagEvidence(one);
      expect(packed).toHaveLength(106);
      expect(readTagEvidence(packed)).toEqual(one);
      expect(readTagEvidence(Uint8Array.of(1, ...packed, 2).subarray(1, 107))).toEqual(one);
    }),
  );
});

test('another version, or one byte less or more, is no evidence of a tag', () => {
  fc.assert(
    fc.property(evidence, fc.uint8Array({ maxLength: 150 }), (one, any) => {
      const packed = packTagEvidence(one);
      for (const wrong of [packed.subarray(1), packed.subarray(0, 105), Uint8Array.of(...packed, 0), any]) {
        expect(readTagEvidence(wrong)).toBeNull();
      }
      for (const version of [0, 1, 2, 0x21]) expect(readTagEvidence(packed.with(0, version))).toBeNull();
      expect(() => packTagEvidence({ ...one, reply: any.subarray(0, 33) })).toThrow(RangeError);
    }),
  );
});
