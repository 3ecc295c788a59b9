/** The maker's signature on real cards, bit by bit, and OpenSSL's opinion of it (CARDS section 9). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { genuine, MAKER_KEYS } from '../../cards/originality.ts';
import { bytes, flips, hex } from './hex.ts';

interface Sample {
  readonly name: string;
  readonly kind: string;
  readonly inputs: { readonly publicKey: string; readonly uid: string; readonly signature: string };
  readonly expected: { readonly valid: boolean };
}

// Compiled tests run from dist; the vectors stay in the source folder, and the test runner starts at the root.
const file = join(process.cwd(), 'tests', 'cards', 'card-vectors.json');
const samples = (JSON.parse(readFileSync(file, 'utf8')) as readonly Sample[])
  .filter(({ kind }) => kind === 'originality-secp224r1')
  .map(({ name, inputs, expected }) => ({
    name,
    valid: expected.valid,
    key: inputs.publicKey,
    uid: bytes(inputs.uid),
    signature: bytes(inputs.signature),
  }));
const real = samples.filter(({ valid }) => valid);
const [light] = real;

const P = 2n ** 224n - 2n ** 96n + 1n;
const ORDER = 0xffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3dn;
const B = 0xb4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4n;
const wide = (number: bigint) => bytes(number.toString(16).padStart(56, '0'));
const number = (data: Uint8Array) => BigInt(`0x${hex(data)}`);

describe("the maker's keys", () => {
  test('are four different points of the curve', () => {
    const keys = Object.values(MAKER_KEYS).map(bytes);
    expect(new Set(keys.map(hex)).size).toBe(4);
    for (const key of keys) {
      expect([key.length, key[0]]).toEqual([57, 4]);
      const [x, y] = [number(key.slice(1, 29)), number(key.slice(29))];
      expect((y * y - (x * x * x - 3n * x + B)) % P).toBe(0n);
    }
  });

  test('say genuine only to cards of their own kind', () => {
    expect(real).toHaveLength(5);
    for (const { key, uid, signature } of real) {
      expect(genuine(uid, signature)).toBe(true);
      for (const each of Object.values(MAKER_KEYS)) expect(genuine(uid, signature, each)).toBe(each === key);
    }
  });

  test('sign with an s of either half, and both prove the same', () => {
    const halves = real.map(({ key, uid, signature }) => {
      const s = number(signature.slice(28));
      const mirrored = Uint8Array.of(...signature.slice(0, 28), ...wide(ORDER - s));
      expect(genuine(uid, mirrored, key)).toBe(true);
      return s > ORDER / 2n;
    });
    expect(new Set(halves).size).toBe(2);
  });

  test('cannot be anything but a point of the curve', () => {
    if (light === undefined) throw new Error('no sample');
    for (const wrong of ['', '04', light.key.slice(2), `${light.key.slice(0, -2)}3e`, `05${light.key.slice(2)}`]) {
      expect(() => genuine(light.uid, light.signature, wrong)).toThrow();
    }
  });
});

describe('a card is not genuine', () => {
  for (const { name, key, uid, signature } of real) {
    test(`when any bit of its UID or signature is another (${name})`, () => {
      expect(genuine(uid, signature, key)).toBe(true);
      for (const wrong of flips(uid)) expect(genuine(wrong, signature, key)).toBe(false);
      const wrongs = flips(signature);
      expect(wrongs).toHaveLength(448);
      for (const wrong of wrongs) expect(genuine(uid, wrong, key)).toBe(false);
    });
  }

  test("when it bears another card's signature", () => {
    for (const { key, uid } of real) {
      for (const { signature, uid: theirs } of real) {
        expect(genuine(uid, signature, key)).toBe(theirs === uid);
      }
    }
  });

  test('when r or s is zero, or not below the order of the curve', () => {
    for (const { key, uid, signature } of real) {
      const [r, s] = [signature.slice(0, 28), signature.slice(28)];
      for (const outside of [0n, ORDER, ORDER + 1n, 2n ** 224n - 1n]) {
        for (const [a, b] of [
          [wide(outside), s],
          [r, wide(outside)],
          [wide(outside), wide(outside)],
        ] as const) {
          expect(genuine(uid, Uint8Array.of(...a, ...b), key)).toBe(false);
        }
      }
      expect(genuine(uid, Uint8Array.of(...s, ...r), key)).toBe(false);
    }
  });

  test('when its UID has not 7 bytes or its signature not 56', () => {
    for (const { key, uid, signature } of real) {
      for (const wrong of [
        bytes(''),
        uid.slice(1),
        uid.slice(0, 4),
        Uint8Array.of(0, ...uid),
        Uint8Array.of(...uid, 0),
      ])
        expect(genuine(wrong, signature, key)).toBe(false);
      const long = [Uint8Array.of(...signature, 0), Uint8Array.of(0, ...signature)];
      for (const wrong of [bytes(''), signature.slice(1), signature.slice(0, 55), signature.slice(0, 28), ...long])
        expect(genuine(uid, wrong, key)).toBe(false);
    }
  });
});

describe('OpenSSL', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'originality-'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  /** SubjectPublicKeyInfo of a point of secp224r1. */
  const spki = (key: string) => bytes(`304e301006072a8648ce3d020106052b81040021033a00${key}`);
  function der(signature: Uint8Array): Uint8Array {
    const integers = [signature.slice(0, 28), signature.slice(28)].flatMap((each) => {
      const digits = number(each).toString(16);
      const even = digits.padStart(digits.length + (digits.length % 2), '0');
      const data = bytes(/^[89a-f]/.test(even) ? `00${even}` : even);
      return [0x02, data.length, ...data];
    });
    return Uint8Array.of(0x30, integers.length, ...integers);
  }

  test('judges every sample as we do', () => {
    for (const { name, key, uid, signature, valid } of samples) {
      writeFileSync(join(dir, 'key'), spki(key));
      writeFileSync(join(dir, 'signature'), der(signature));
      writeFileSync(join(dir, 'uid'), uid);
      const args = 'pkeyutl -verify -pubin -keyform DER -inkey key -sigfile signature -in uid'.split(' ');
      const { status, stdout, stderr } = spawnSync('openssl', args, { cwd: dir, encoding: 'utf8' });
      const said = `${stdout}${stderr}`;
      expect(said, name).toContain(valid ? 'Verified Successfully' : 'Verification Failure');
      expect([status === 0, genuine(uid, signature, key)]).toEqual([valid, valid]);
    }
  });
});
