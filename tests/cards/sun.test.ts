/** A card read by a phone: only the very characters that the tag gave are believed (CARDS section 7). */
import { describe, expect, test } from 'vitest';
import { cmac, encrypt, truncate } from '../../cards/aes.ts';
import { diversification, diversifier } from '../../cards/diversify.ts';
import { openFileData, openPiccData, readSun, type SunParts, sunHolds, sunKeys } from '../../cards/sun.ts';
import { bytes, flips, hex } from './hex.ts';

const noKey = new Uint8Array(16);
const upper = (data: Uint8Array) => hex(data).toUpperCase();
const ascii = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));

const metaKey = bytes('00112233445566778899aabbccddeeff');
const diversified = diversifier(bytes('5ace7e50ab65d5d51fd5bf5a16b8205b'));
const fileKeyOf = (uid: Uint8Array) => diversified(diversification(uid, 1, 0));
const ours = bytes('04de5f1eacc040');
const other = bytes('04958caa5c5e80');

interface Read {
  readonly uid?: Uint8Array;
  readonly counter?: number;
  readonly tag?: number;
  /** Whole blocks that the tag enciphers into its URL. */
  readonly plain?: Uint8Array;
}

/** What a tag of ours would give at this read, built from AES and CMAC alone. */
function mirrored({ uid = ours, counter = 0x010203, tag = 0xc7, plain = new Uint8Array() }: Read = {}) {
  const ctr = [counter & 0xff, (counter >> 8) & 0xff, counter >> 16];
  const encPicc = upper(encrypt(metaKey, noKey, Uint8Array.of(tag, ...uid, ...ctr, 1, 2, 3, 4, 5)));
  const key = (label: string) => cmac(fileKeyOf(uid), Uint8Array.of(...bytes(`${label}00010080`), ...uid, ...ctr));
  const encKey = key('c33c');
  const iv = encrypt(encKey, noKey, Uint8Array.of(...ctr, ...new Uint8Array(13)));
  const encFile = upper(encrypt(encKey, iv, plain));
  const macInput = `${encFile}&cmac=`;
  const mac = upper(truncate(cmac(key('3cc3'), ascii(macInput))));
  return { encPicc, macInput, mac, ...(encFile === '' ? {} : { encFile }) };
}

const read = (parts: SunParts) => readSun(parts, metaKey, fileKeyOf);

describe('a card read by a phone', () => {
  test('names itself and how often it was read, as published', () => {
    const parts = { encPicc: 'EF963FF7828658A599F3041510671E88', macInput: '', mac: '94EED9EE65337086' };
    const tap = { uid: ours, counter: 61 };
    expect(readSun(parts, noKey, () => noKey)).toEqual({ ok: true, tap, file: null });
  });

  test('hands over what its file hides, as published', () => {
    const encFile = 'CEE9A53E3E463EF1F459635736738962';
    const parts = {
      encPicc: 'FD91EC264309878BE6345CBE53BADF40',
      macInput: `${encFile}&cmac=`,
      mac: 'ECC1E7F6C6C73BF6',
    };
    const tap = { uid: other, counter: 8 };
    expect(readSun(parts, noKey, () => noKey)).toEqual({ ok: true, tap, file: null });
    const file = new Uint8Array(16).fill(0x78);
    expect(readSun({ ...parts, encFile }, noKey, () => noKey)).toEqual({ ok: true, tap, file });
  });

  test('is known at its first read and at its last', () => {
    for (const counter of [0, 1, 0xff, 0x100, 0xffff, 0x10000, 0xffffff]) {
      expect(read(mirrored({ counter }))).toEqual({ ok: true, tap: { uid: ours, counter }, file: null });
    }
  });

  test('may hide several blocks in its file', () => {
    const plain = Uint8Array.from({ length: 48 }, (_, i) => i);
    expect(read(mirrored({ plain }))).toMatchObject({ ok: true, file: plain });
  });

  test('is asked for its key by its own UID, once', () => {
    const asked: string[] = [];
    readSun(mirrored(), metaKey, (uid) => {
      asked.push(hex(uid));
      return fileKeyOf(uid);
    });
    expect(asked).toEqual([hex(ours)]);
  });

  test('is the same card in upper case and in lower, where no MAC is over the letters', () => {
    const parts = mirrored();
    const lower = { ...parts, encPicc: parts.encPicc.toLowerCase(), mac: parts.mac.toLowerCase() };
    expect(lower).not.toEqual(parts);
    expect(read(lower)).toEqual({ ok: true, tap: { uid: ours, counter: 0x010203 }, file: null });
  });

  test('is unknown when there is no key for it', () => {
    expect(readSun(mirrored(), metaKey, () => null)).toEqual({ ok: false, why: 'unknown-card' });
  });
});

describe('a card is not believed', () => {
  const parts = mirrored({ plain: new Uint8Array(16) });
  const wrongMac = { ok: false, why: 'wrong-mac' };
  const malformed = { ok: false, why: 'malformed' };

  test('when any bit of its PICCData is another', () => {
    const wrong = flips(bytes(parts.encPicc));
    expect(wrong).toHaveLength(128);
    for (const encPicc of wrong) expect(read({ ...parts, encPicc: hex(encPicc) }).ok).toBe(false);
  });

  test('when any bit of its MAC is another', () => {
    const wrong = flips(bytes(parts.mac));
    expect(wrong).toHaveLength(64);
    for (const mac of wrong) expect(read({ ...parts, mac: hex(mac) })).toEqual(wrongMac);
  });

  test('when any bit of what the MAC is over is another', () => {
    const { encPicc, macInput, mac } = parts;
    const keys = sunKeys(fileKeyOf(ours), { uid: ours, counter: 0x010203 });
    expect(sunHolds(keys, ascii(macInput), bytes(mac))).toBe(true);
    expect(read({ encPicc, macInput, mac }).ok).toBe(true);
    for (const flipped of flips(ascii(macInput))) {
      expect(sunHolds(keys, flipped, bytes(mac))).toBe(false);
      const text = Buffer.from(flipped).toString('latin1');
      expect(read({ encPicc, macInput: text, mac })).toEqual(/^[\x20-\x7e]*$/.test(text) ? wrongMac : malformed);
    }
  });

  test('when something was added to what the MAC is over, or taken away', () => {
    const { encPicc, macInput, mac } = parts;
    for (const text of ['', macInput.slice(1), macInput.slice(0, -1), ` ${macInput}`, `${macInput}0`]) {
      expect(read({ encPicc, macInput: text, mac })).toEqual(wrongMac);
    }
  });

  test('when its PICCData begins with any byte but C7', () => {
    for (let tag = 0; tag < 256; tag++) {
      expect(read(mirrored({ tag }))).toEqual(
        tag === 0xc7 ? { ok: true, tap: { uid: ours, counter: 0x010203 }, file: null } : malformed,
      );
    }
  });

  test("when it shows another card's MAC, or wears another card's UID", () => {
    const theirs = mirrored({ uid: other });
    expect(theirs.macInput).toBe(mirrored().macInput);
    expect(read({ ...mirrored(), mac: theirs.mac })).toEqual(wrongMac);
    expect(read({ ...mirrored(), encPicc: theirs.encPicc })).toEqual(wrongMac);
    expect(readSun(mirrored(), metaKey, () => fileKeyOf(other))).toEqual(wrongMac);
  });

  test('when its MAC was made at another read', () => {
    for (const counter of [0x010202, 0x010204, 0x030201]) {
      expect(read({ ...mirrored(), mac: mirrored({ counter }).mac })).toEqual(wrongMac);
    }
  });

  test('when the letters of its hex came in another case than the tag wrote them', () => {
    const encFile = parts.encFile?.toLowerCase() ?? '';
    expect(encFile).not.toBe(parts.encFile);
    expect(read({ ...parts, encFile, macInput: `${encFile}&cmac=` })).toEqual(wrongMac);
  });
});

describe('what a phone sends is malformed', () => {
  const plain = Uint8Array.from({ length: 32 }, (_, i) => i);
  const parts = mirrored({ plain });
  const encFile = parts.encFile ?? '';
  const refused = (changed: Partial<SunParts>) => {
    const neverAsked = () => {
      throw new Error('a key was looked for');
    };
    expect(readSun({ ...parts, ...changed }, metaKey, neverAsked)).toEqual({ ok: false, why: 'malformed' });
  };

  test('when PICCData or MAC are too short, too long, or no hex', () => {
    for (const field of ['encPicc', 'mac'] as const) {
      const right = parts[field];
      for (const wrong of [
        '',
        right.slice(1),
        right.slice(2),
        `${right}0`,
        `${right}00`,
        `${right}\n`,
        `${right.slice(1)}G`,
        `${right.slice(1)} `,
        `${right.slice(2)}0x`,
        `${right.slice(1)}٣`,
      ]) {
        refused({ [field]: wrong });
      }
    }
  });

  test('when what the MAC is over is longer than a tag can hold, or no printable ASCII', () => {
    const long = `${encFile}${'&'.repeat(257)}`.slice(0, 257);
    refused({ macInput: long });
    const { encPicc, mac } = parts;
    expect(read({ encPicc, mac, macInput: long.slice(0, 256) })).toEqual({ ok: false, why: 'wrong-mac' });
    for (const wrong of ['\n', '\0', '\x7f', 'é', '€', '\u{1f4b3}']) refused({ macInput: `${parts.macInput}${wrong}` });
  });

  test('when file data are no whole blocks, or not the whole of what the MAC is over at its start', () => {
    expect(read(parts)).toMatchObject({ ok: true, file: plain });
    for (const wrong of [
      '',
      encFile.slice(0, 32),
      encFile.slice(32),
      encFile.slice(0, 62),
      `${encFile}${encFile}`,
      encFile.toLowerCase(),
      '0'.repeat(64),
      `${encFile.slice(0, 63)}G`,
    ]) {
      refused({ encFile: wrong });
    }
    refused({ macInput: `${encFile}0&cmac=` });
    refused({ macInput: `enc=${encFile}&cmac=` });
    refused({ macInput: '&cmac=' });
    for (const digits of [0, 2, 16, 48, 66]) {
      refused({ encFile: '0'.repeat(digits), macInput: `${'0'.repeat(digits)}&cmac=` });
    }
  });
});

describe('the parts of a reading', () => {
  test('PICCData has one block', () => {
    for (const length of [0, 15, 17, 32]) expect(openPiccData(metaKey, new Uint8Array(length))).toBeNull();
  });

  test('a MAC has 8 bytes, and the whole CMAC or none of it is wrong', () => {
    const keys = sunKeys(noKey, { uid: ours, counter: 61 });
    expect(sunHolds(keys, ascii(''), bytes('94eed9ee65337086'))).toBe(true);
    for (const mac of [cmac(keys.macKey, ascii('')), bytes(''), bytes('94eed9ee653370')]) {
      expect(sunHolds(keys, ascii(''), mac)).toBe(false);
    }
  });

  test('keys need a whole UID, and file data whole blocks', () => {
    expect(() => sunKeys(noKey, { uid: bytes('04'), counter: 1 })).toThrow(RangeError);
    const keys = sunKeys(noKey, { uid: ours, counter: 1 });
    expect(() => openFileData(keys, 1, new Uint8Array(15))).toThrow(RangeError);
  });
});
