/** The record, the reader id and their proof, byte by byte (TRUTH section 2). */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  buildRecord,
  buildTmri,
  type Deed,
  parseRecord,
  parseTmri,
  proof,
  RECORD_KINDS,
  type RecordKind,
} from '../../cards/record.ts';
import { bytes, hex } from './hex.ts';

const u24 = fc.integer({ min: 0, max: 2 ** 24 - 1 });
const anyDeed = fc.record({
  kind: fc.constantFrom(...(Object.keys(RECORD_KINDS) as RecordKind[])),
  amount: fc.bigInt({ min: 0n, max: 2n ** 28n - 1n }),
  kioskNo: u24,
  kioskSeq: u24,
  minute: u24,
});
const sale: Deed = { kind: 'account', amount: 50_000n, kioskNo: 0x010203, kioskSeq: 0x040506, minute: 0x070809 };
const uid = bytes('045a115a346180');
const beacon = bytes('b0b1b2b3');
const witnessKey = new Uint8Array(32).fill(7);
const anyProof = Uint8Array.from({ length: 32 }, (_, i) => 0xe0 + i);

describe('the record on the card', () => {
  test('says kind, amount, kiosk, seq, minute and begins its proof, in 16 bytes', () => {
    expect(hex(buildRecord(sale, anyProof))).toBe('2000c350010203040506070809e0e1e2');
  });

  test('holds the largest amount beside the largest kind', () => {
    const largest = { ...sale, kind: 'heal', amount: 2n ** 28n - 1n } as const;
    expect(hex(buildRecord(largest, anyProof)).slice(0, 8)).toBe('7fffffff');
  });

  test('names the reader id by kiosk, seq and eight bytes of the same proof', () => {
    expect(hex(buildTmri(sale, anyProof))).toBe('0001020300040506e0e1e2e3e4e5e6e7');
  });

  test('reads back what was written', () => {
    fc.assert(
      fc.property(anyDeed, (deed) => {
        expect(parseRecord(buildRecord(deed, anyProof))).toEqual({ ...deed, proof: anyProof.slice(0, 3) });
        const { kioskNo, kioskSeq } = deed;
        expect(parseTmri(buildTmri(deed, anyProof))).toEqual({ kioskNo, kioskSeq, proof: anyProof.slice(0, 8) });
      }),
    );
  });

  test('of a kind that does not exist is no record', () => {
    for (const first of ['00', '80', 'f0']) expect(parseRecord(bytes(first + '00'.repeat(15)))).toBeNull();
    expect(parseRecord(bytes('20'.repeat(15)))).toBeNull();
  });

  test('reader ids with longer numbers, or of another length, are none of ours', () => {
    expect(parseTmri(bytes(`0100000000000001${'00'.repeat(8)}`))).toBeNull();
    expect(parseTmri(bytes(`0000000101000000${'00'.repeat(8)}`))).toBeNull();
    expect(parseTmri(bytes('00'.repeat(15)))).toBeNull();
  });

  test('never holds an amount or number that does not fit', () => {
    for (const wrong of [
      { amount: 2n ** 28n },
      { amount: -1n },
      { kioskNo: 2 ** 24 },
      { kioskSeq: -1 },
      { minute: 1.5 },
    ]) {
      expect(() => buildRecord({ ...sale, ...wrong }, anyProof)).toThrow(RangeError);
      expect(() => buildTmri({ ...sale, ...wrong }, anyProof)).toThrow(RangeError);
      expect(() => proof(witnessKey, uid, { ...sale, ...wrong }, beacon)).toThrow(RangeError);
    }
  });
});

describe('the proof', () => {
  test('is an HMAC over card, kind, amount, kiosk, seq, minute and beacon', () => {
    const message = '73696d70756c2d31';
    const rest = '045a115a346180' + '02' + '0000c350' + '00010203' + '00040506' + '00070809' + 'b0b1b2b3';
    const expected = createHmac('sha256', witnessKey)
      .update(bytes(message + rest))
      .digest();
    expect(hex(proof(witnessKey, uid, sale, beacon))).toBe(hex(expected));
  });

  test('changes with each of them and with the witness key', () => {
    const proofs = [
      proof(witnessKey, uid, sale, beacon),
      proof(new Uint8Array(32), uid, sale, beacon),
      proof(witnessKey, bytes('045a115a346181'), sale, beacon),
      proof(witnessKey, uid, sale, bytes('b0b1b2b4')),
      ...[{ kind: 'purse' as const }, { amount: 1n }, { kioskNo: 1 }, { kioskSeq: 1 }, { minute: 1 }].map((other) =>
        proof(witnessKey, uid, { ...sale, ...other }, beacon),
      ),
    ];
    expect(new Set(proofs.map(hex)).size).toBe(9);
  });

  test('needs a whole UID and a whole beacon', () => {
    expect(() => proof(witnessKey, bytes('04'), sale, beacon)).toThrow(RangeError);
    expect(() => proof(witnessKey, uid, sale, bytes('b0'))).toThrow(RangeError);
  });
});
