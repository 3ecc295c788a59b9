/** The emulated NTAG 424: published bytes come out of it, phones can read it, and it refuses what a tag refuses. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bytes, hex } from '../cards/hex.ts';
import {
  ask,
  askFull,
  content,
  deadSession,
  FACTORY_KEY,
  login,
  NEW_KEY,
  openNtag,
  opens,
  otherKey,
  plainly,
  SELECT_NTAG,
  type Session,
  wrap,
} from './barereader.ts';
import type { Card } from './card.ts';
import { cardSessionKeys, openZeroIv } from './cardcrypto.ts';
import { anyNtag, countingRandom } from './deck.ts';
import { present, type Trouble } from './field.ts';

type Vector = { name: string; inputs: Record<string, never>; expected: Record<string, string> };
const vectors = JSON.parse(
  readFileSync(join(process.cwd(), 'tests', 'cards', 'card-vectors.json'), 'utf8'),
) as readonly Vector[];
const published = (name: string): Record<string, string> => {
  const vector = vectors.find((each) => each.name === name);
  if (vector === undefined) throw new Error(`no vector ${name}`);
  return { ...vector.inputs, ...vector.expected };
};

const NDEF = 2;
const SELECT_CC = '00a4000c02e103';
const SELECT_NDEF = '00a4000c02e104';
const iso = (card: Card, apdu: string) => hex(card.process(bytes(apdu)));

/** The file's settings and counter, by the tag's memory. */
function ndef(card: Card) {
  const file = card.memory.files.get(NDEF);
  if (file?.kind !== 'standard') throw new Error('no file 02');
  return file;
}

/** A tag with these settings of file 02, written by a phone, which says what random numbers come next. */
function dynamic(settings: string, text = '', uid = '04de5f1eacc040') {
  const chances: Uint8Array[] = [];
  const counting = countingRandom();
  const card = anyNtag({ uid: bytes(uid), random: (length) => chances.shift() ?? counting(length) });
  card.process(SELECT_NTAG);
  iso(card, SELECT_NDEF);
  if (text !== '') iso(card, `00d60000${text.length.toString(16).padStart(2, '0')}${hex(Buffer.from(text))}`);
  expect(askFull(openNtag(card), '5f', '02', settings)).toBe('9100');
  card.process(SELECT_NTAG);
  return { card, chances };
}

/** What a phone reads of file 02, as text. */
function phone(card: Card): string {
  card.process(SELECT_NTAG);
  expect(iso(card, SELECT_NDEF)).toBe('9000');
  const reply = card.process(bytes('00b0000000'));
  expect(hex(reply.slice(-2))).toBe('9000');
  return Buffer.from(reply.slice(0, -2)).toString('latin1');
}

/** Authenticates with the published bytes, both ways. */
function authenticated(card: Card, name: string, before?: Session): Session {
  const { key = '', keyNo = '', rndA = '', rndB = '', ti = '', ...v } = published(name);
  const first = before === undefined;
  expect(iso(card, v.apdu1 ?? '')).toBe(`${v.encRndB}91af`);
  expect(plainly(card, 'af', v.command2Data)).toBe(`${v.response2}9100`);
  const keys = cardSessionKeys(bytes(key), bytes(rndA), bytes(rndB));
  expect(hex(keys.enc)).toBe(v.sesAuthEncKey);
  expect(hex(keys.mac)).toBe(v.sesAuthMacKey);
  const send = (apdu: Uint8Array) => card.process(apdu);
  const carried = first ? { ti: bytes(ti), ctr: 0 } : { ti: before.ti, ctr: before.ctr };
  return { send, keyNo: Number.parseInt(keyNo, 16), ...keys, ...carried };
}

describe('the emulated tag and published bytes', () => {
  test('it is written and made dynamic as in AN12196 tables 14, 17 and 18', () => {
    const first = published('an12196-t14-first-key0');
    const chances = [bytes(first.rndB ?? ''), bytes(first.ti ?? '')];
    const card = anyNtag({ random: () => chances.shift() ?? new Uint8Array() });
    // The note's tag demanded enciphered writing by key 0.
    Object.assign(ndef(card), { access: [0x00, 0xe0], mode: 'full' });
    card.process(SELECT_NTAG);
    authenticated(card, 'an12196-t14-first-key0');
    const write = published('an12196-t17-writedata-full');
    const sent = `${write.header}${write.cipher}${write.mact}`;
    expect(plainly(card, '8d', sent)).toBe(`${published('an12196-t17-reply').mact}9100`);
    expect(hex(content(card, NDEF)).slice(0, 256)).toBe(write.data);
    const change = published('an12196-t18-changefilesettings-sdm').apdu ?? '';
    expect(iso(card, change)).toBe(`${published('an12196-t18-reply').mact}9100`);
    expect(plainly(card, 'f5', '02')).toBe('917e');
    expect(plainly(card, 'f5', '02')).toBe('004000e0000100c1f1212000004300004300009100');
  });

  test('it is written by key 3 and gets two new keys as in AN12196 tables 19 to 26', () => {
    const [first, next] = [published('an12196-t19-first-key3'), published('an12196-t23-nonfirst-key0')];
    const chances = [first.rndB, first.ti, next.rndB].map((each) => bytes(each ?? ''));
    const card = anyNtag({ random: () => chances.shift() ?? new Uint8Array() });
    card.process(SELECT_NTAG);
    const session = authenticated(card, 'an12196-t19-first-key3');
    const write = published('an12196-t21-writedata-proprietary').apdu ?? '';
    expect(iso(card, write)).toBe(`${published('an12196-t21-reply').mact}9100`);
    expect(hex(content(card, 3))).toMatch(/^0102030405060708090a0000/);
    session.ctr = 1;
    // The note's second command is not printed: any will do.
    expect(ask(session, '64', '03')).toBe('009100');
    authenticated(card, 'an12196-t23-nonfirst-key0', session);
    const other = published('an12196-t25-changekey-other');
    expect(iso(card, other.apdu ?? '')).toBe(`${published('an12196-t25-reply').mact}9100`);
    expect(card.memory.keys[2]).toEqual({ key: bytes(other.newKey ?? ''), version: 1 });
    const own = published('an12196-t26-changekey-self');
    expect(plainly(card, 'c4', `00${own.cipher}${own.mact}`)).toBe('9100');
    expect(card.memory.keys[0]).toEqual({ key: bytes(own.newKey ?? ''), version: 1 });
    expect(plainly(card, '51')).toBe('91ae');
  });

  test('it tells its settings as in AN12196 table 7', () => {
    const { payload } = published('an12196-t7-getfilesettings-reply');
    const { card } = dynamic('40eeeed1fe001f00004400004400002000006a0000');
    expect(plainly(card, 'f5', '02')).toBe(`${payload}9100`);
  });

  for (const name of ['an12196-sun1', 'ntag424java-empty-mac']) {
    test(`it enciphers its number and proves it as in ${name}`, () => {
      const { uid = '', encPicc = '', mact = '', readCtr } = published(name);
      const { card, chances } = dynamic('4000e0c1f000200000430000430000', '', uid);
      chances.push(openZeroIv(FACTORY_KEY, bytes(encPicc)).slice(11));
      ndef(card).readCtr = Number(readCtr) - 1;
      const read = phone(card);
      expect(read.slice(0x20, 0x40)).toBe(encPicc.toUpperCase());
      expect(read.slice(0x43, 0x53)).toBe(mact.toUpperCase());
    });
  }

  test('it enciphers a part of its file as in AN12196 table 5 and page 14', () => {
    const { uid, encPicc = '', encFileData = '', mact = '' } = published('an12196-sun2-encfile');
    const written = `${'0'.repeat(0x44)}${'x'.repeat(32)}&cmac=`;
    const { card, chances } = dynamic('4000e0d1f0001f00004400004400002000006a0000', written, uid);
    const first = published('an12196-p14-encfile').encFileData ?? '';
    expect(phone(card).slice(0x44, 0x64)).toBe(first.toUpperCase());
    chances.push(openZeroIv(FACTORY_KEY, bytes(encPicc)).slice(11));
    ndef(card).readCtr = 7;
    const read = phone(card);
    expect(read.slice(0x1f, 0x3f)).toBe(encPicc.toUpperCase());
    expect(read.slice(0x44, 0x6a)).toBe(`${encFileData.toUpperCase()}&cmac=`);
    expect(read.slice(0x6a, 0x7a)).toBe(mact.toUpperCase());
  });

  test('it shows its number and counter in plain as in the sample of sdm-backend', () => {
    const { uid = '', mact = '' } = published('sdm-backend-plain-mirror');
    const { card } = dynamic('4000e0c1ffe0100000200000300000300000', '', uid);
    ndef(card).readCtr = 5;
    const read = phone(card);
    expect(read.slice(0x10, 0x1e)).toBe(uid.toUpperCase());
    expect(read.slice(0x20, 0x26)).toBe('000006');
    expect(read.slice(0x30, 0x40)).toBe(mact.toUpperCase());
  });

  test("it shows the signature of a real tag's number", () => {
    const { uid = '', signature = '' } = published('orig-ntag424-047728824d6580');
    const card = anyNtag({ uid: bytes(uid), signature: bytes(signature) });
    card.process(SELECT_NTAG);
    expect(plainly(card, '3c', '00')).toBe(`${signature}9190`);
  });
});

describe('the emulated tag from the factory', () => {
  test('names itself, its files and its keys', () => {
    const card = anyNtag();
    expect(iso(card, 'ffca000000')).toBe('045a115a3461809000');
    expect(iso(card, '00a4040007d276000085010100')).toBe('9000');
    expect(plainly(card, '60')).toBe('0404023000110591af');
    expect(plainly(card, 'af')).toBe('0404020102110591af');
    expect(plainly(card, 'af')).toMatch(/^045a115a346180.{14}9100$/);
    expect(plainly(card, 'f5', '01')).toBe('000000e02000009100');
    expect(plainly(card, 'f5', '02')).toBe('0000e0ee0001009100');
    expect(plainly(card, 'f5', '03')).toBe('000330238000009100');
    expect(plainly(card, 'f5', '04')).toBe('91f0');
    for (const no of [0, 1, 2, 3, 4]) expect(plainly(card, '64', `0${no}`)).toBe('009100');
    expect(plainly(card, '64', '05')).toBe('9140');
    for (const ins of ['6f', '6c', 'dc', 'c7', 'ce', 'df']) expect(plainly(card, ins)).toBe('911c');
    expect(askFull(openNtag(card, 4), '51', '')).toBe('045a115a3461809100');
  });

  test('lets a phone read its container and write and read its message', () => {
    const card = anyNtag();
    card.process(SELECT_NTAG);
    expect(iso(card, SELECT_CC)).toBe('9000');
    expect(iso(card, '00b000000f')).toBe('001720010000ff0406e104010000009000');
    expect(iso(card, '00b0000f11')).toBe(`0506e10500808283${'00'.repeat(9)}9000`);
    expect(iso(card, '00d6000001aa')).toBe('6982');
    expect(iso(card, '00a4020c02e104')).toBe('9000');
    expect(iso(card, '00d600fe02abcd')).toBe('9000');
    expect(iso(card, '00d600ff02abcd')).toBe('6700');
    expect(iso(card, '00b000fe00')).toBe('abcd9000');
    expect(iso(card, '00b084fe01')).toBe('ab9000');
    expect(iso(card, '00b0010001')).toBe('6a86');
    expect(iso(card, '00b0850001')).toBe('6982');
  });

  test('finds nothing under a wrong name, and keeps what was selected', () => {
    const card = anyNtag();
    expect(iso(card, '00b0000001')).toBe('6985');
    expect(iso(card, SELECT_NDEF)).toBe('6a82');
    expect(iso(card, '00a4000c02e110')).toBe('9000');
    expect(iso(card, SELECT_NDEF)).toBe('9000');
    expect(iso(card, '00a4000c02e106')).toBe('6a82');
    expect(iso(card, '00b0000001')).toBe('009000');
    expect(iso(card, '00a4000c01e1')).toBe('6a87');
    expect(iso(card, '00a4030c02e104')).toBe('6a86');
    expect(iso(card, '00a4000402e104')).toBe('6a86');
    expect(iso(card, '00a4000c05e104')).toBe('6700');
    expect(iso(card, '00a4000c023f00')).toBe('9000');
    expect(plainly(card, 'f5', '02')).toBe('91f0');
    plainly(card, '60');
    expect(iso(card, '00a4040c07d2760000850101')).toBe('6985');
    expect(iso(card, '00a4040c07d2760000850101')).toBe('9000');
  });

  test('ends a session at a select, and reads nothing for a phone in one', () => {
    const card = anyNtag();
    const session = openNtag(card);
    expect(iso(card, SELECT_NDEF)).toBe('9000');
    expect(deadSession(session)).toBe(true);
    openNtag(card);
    expect(iso(card, '00b0840001')).toBe('6982');
    expect(plainly(card, '51')).toBe('91ae');
  });

  test('answers with 256 bytes at most, their protection included', () => {
    const card = anyNtag();
    card.process(SELECT_NTAG);
    expect(plainly(card, 'ad', '02000000000000')).toBe(`${'00'.repeat(256)}9100`);
    for (const [mode, most] of [
      ['mac', 248],
      ['full', 239],
    ] as const) {
      Object.assign(ndef(card), { access: [0x00, 0x00], mode });
      const read = mode === 'mac' ? ask : askFull;
      const length = (bytes: number) => `02000000${bytes.toString(16)}0000`;
      expect(read(openNtag(card), 'ad', length(most))).toBe(`${'00'.repeat(most)}9100`);
      expect(read(openNtag(card), 'ad', length(most + 1))).toBe('917e');
    }
  });

  test('says AE to a wrong key and 9D where no key will do', () => {
    const card = anyNtag();
    expect(ask(openNtag(card, 1), 'ad', '03000000010000')).toBe('91ae');
    expect(askFull(openNtag(card, 1), '5f', '02', '0000e0')).toBe('91ae');
    expect(askFull(openNtag(card, 1), '5c', '00', '02')).toBe('91ae');
    expect(askFull(openNtag(card, 1), 'c4', '02', otherKey())).toBe('91ae');
    expect(ask(openNtag(card), 'f6', '02')).toBe('919d');
    expect(askFull(openNtag(card), '5f', '02', '000fe0')).toBe('9100');
    expect(askFull(openNtag(card), '5f', '02', '0000e0')).toBe('919d');
  });
});

/** Key 2 hides the number, key 1 proves, key 1 asks for the counter. */
const SUN = '4000e0c1f121200000430000430000';

describe('the dynamic message of the emulated tag', () => {
  test('counts one read for a phone that reads in pieces, and one more after any other command', () => {
    const { card } = dynamic(SUN);
    card.process(SELECT_NTAG);
    iso(card, SELECT_NDEF);
    const whole = iso(card, '00b0000080');
    expect(iso(card, '00b0002818') + iso(card, '00b0004040')).toBe(
      `${whole.slice(0x28 * 2, 0x40 * 2)}9000${whole.slice(0x40 * 2, 0x80 * 2)}9000`,
    );
    expect(ndef(card).readCtr).toBe(1);
    expect(plainly(card, 'ad', '02000000800000')).not.toBe(whole.replace(/9000$/, '9100'));
    expect(ndef(card).readCtr).toBe(2);
    plainly(card, 'ad', '02100000800000');
    expect(ndef(card).readCtr).toBe(2);
    plainly(card, '64', '00');
    plainly(card, 'ad', '02100000800000');
    expect(ndef(card).readCtr).toBe(3);
    expect(plainly(card, 'ad', '02fe0000800000')).toBe('919e');
    expect(ndef(card).readCtr).toBe(3);
    phone(card);
    phone(card);
    expect(ndef(card).readCtr).toBe(5);
  });

  test('is not counted nor mirrored in a session', () => {
    const { card } = dynamic(SUN);
    const session = openNtag(card);
    expect(hex(session.send(wrap('ad', '02000000800000')))).toBe(`${'00'.repeat(0x80)}9100`);
    session.ctr += 1;
    expect(ask(session, '64', '00')).toBe('009100');
    expect(ndef(card).readCtr).toBe(0);
  });

  test('is hidden by one key and proved by another, and differs each time', () => {
    const { card } = dynamic(SUN);
    const keyed = { key: NEW_KEY, version: 1 };
    card.memory.keys[2] = keyed;
    const [one, two] = [phone(card), phone(card)];
    expect(one.slice(0x20, 0x40)).not.toBe(two.slice(0x20, 0x40));
    expect(hex(openZeroIv(NEW_KEY, bytes(two.slice(0x20, 0x40)))).slice(0, 22)).toBe('c704de5f1eacc040020000');
    expect(one.slice(0x43, 0x53)).toMatch(/^[0-9A-F]{16}$/);
    expect(one.slice(0x43, 0x53)).not.toBe(two.slice(0x43, 0x53));
    card.memory.keys[1] = keyed;
    ndef(card).readCtr = 1;
    expect(phone(card).slice(0x43, 0x53)).not.toBe(two.slice(0x43, 0x53));
  });

  test('tells its counter to the key that may ask only, in three bytes and two of nothing', () => {
    const { card } = dynamic(SUN);
    for (let i = 0; i < 258; i++) phone(card);
    expect(askFull(openNtag(card, 1), 'f6', '02')).toBe('02010000009100');
    expect(ask(openNtag(card, 2), 'f6', '02')).toBe('91ae');
    card.process(SELECT_NTAG);
    expect(plainly(card, 'f6', '02')).toBe('91ae');
    expect(plainly(card, 'f6', '01')).toBe('919d');
    expect(askFull(openNtag(card), '5f', '02', '4000e0c1fe21200000430000430000')).toBe('9100');
    card.process(SELECT_NTAG);
    expect(plainly(card, 'f6', '02')).toBe('02010000009100');
  });

  test('ends at its limit for phones, not for keys, and goes on under a higher limit', () => {
    const { card } = dynamic('4000e0e1f121200000430000430000020000');
    phone(card);
    phone(card);
    card.process(SELECT_NTAG);
    iso(card, SELECT_NDEF);
    expect(iso(card, '00b0000000')).toBe('6982');
    expect(plainly(card, 'ad', '02000000010000')).toBe('919d');
    const session = openNtag(card);
    expect(hex(session.send(wrap('ad', '02000000010000')))).toBe('009100');
    session.ctr += 1;
    expect(askFull(session, '5f', '02', '4000e0e1f121200000430000430000020000')).toBe('919e');
    expect(askFull(openNtag(card), '5f', '02', '4000e0e1f121200000430000430000030000')).toBe('9100');
    phone(card);
    expect(ndef(card).readCtr).toBe(3);
    expect(askFull(openNtag(card), '5f', '02', '0000e0')).toBe('9100');
    expect(phone(card)).toBe('\0'.repeat(256));
    expect(askFull(openNtag(card), '5f', '02', SUN)).toBe('9100');
    expect(ndef(card).readCtr).toBe(0);
  });

  test('ends when its counter is full', () => {
    const { card } = dynamic(SUN);
    ndef(card).readCtr = 0xfffffe;
    phone(card);
    card.process(SELECT_NTAG);
    expect(plainly(card, 'ad', '02000000010000')).toBe('919d');
  });

  test('lets phones read a file that is free for nobody, as far as it proves itself', () => {
    const { card } = dynamic('400000c1f121200000430000430000');
    expect(phone(card).slice(0x20, 0x40)).toMatch(/^[0-9A-F]{32}$/);
    const { card: other } = dynamic('400000c1f12f200000');
    iso(other, SELECT_NDEF);
    expect(iso(other, '00b0000001')).toBe('6982');
  });

  const wrong: readonly [string, string, string][] = [
    ['another length', '4000e0c1f1212000004300004300', '917e'],
    ['a limit that is not announced', '4000e0c1f121200000430000430000010000', '917e'],
    ['options alone', '4000e0c1', '917e'],
    ['a number that ends after the file', '4000e0c1f121e10000000000000000', '919e'],
    ['a proof that ends after the file', '4000e0c1f121200000430000f10000', '919e'],
    ['a proof on the number', '4000e0c1f121200000200000300000', '919e'],
    ['a proof that begins after itself', '4000e0c1f121200000440000430000', '919e'],
    ['a plain number on the counter', '4000e0c1ffe1000000080000300000300000', '919e'],
    ['hidden data that begin before what is proved', '4000e0d1f121000000440000400000200000600000', '919e'],
    ['hidden data that reach into the proof', '4000e0d1f1210000004000004000002000005f0000', '919e'],
    ['hidden data behind the proof', '4000e0d1f121000000200000600000200000300000', '919e'],
    ['hidden data of a block and a half', '4000e0d1f121000000400000400000300000700000', '919e'],
    ['hidden data of half a block', '4000e0d1f121000000400000400000100000600000', '919e'],
    ['hidden data of no block', '4000e0d1f121000000400000400000000000600000', '919e'],
    ['hidden data on the number', '4000e0d1f121200000200000200000200000600000', '919e'],
    ['hidden data without a proof', '4000e0d1f12f200000', '919e'],
    ['hidden data without a number', '4000e051f121200000430000430000200000700000', '919e'],
    ['something other than ASCII', '4000e0c0f121200000430000430000', '919e'],
    ['an unknown option', '4000e0c3f121200000430000430000', '919e'],
    ['an unknown right', '4000e0c10121200000430000430000', '919e'],
    ['a key that is not there', '4000e0c1f151200000430000430000', '919e'],
    ['a counter for a key that is not there', '4000e0c1f521200000430000430000', '919e'],
    ['a proof by no key', '4000e0c1f12e200000430000430000', '919e'],
    ['a hidden nothing', '4000e001ff21200000430000430000', '919e'],
    ['a number that nobody sees', '4000e081fff1430000430000', '919e'],
    ['a question for a counter that is off', '4000e081f121200000430000430000', '919e'],
    ['a limit for a counter that is off', '4000e0a1ff21200000430000430000010000', '919e'],
    ['a limit of nothing', '4000e0e1f121200000430000430000000000', '919e'],
    ['rights for a key that is not there', '0050e0', '919e'],
    ['an unknown mode', '0400e0', '919e'],
  ];
  for (const [what, settings, status] of wrong) {
    test(`is not set to ${what}, and the tag stays as it was`, () => {
      const card = anyNtag();
      expect(askFull(openNtag(card), '5f', '02', settings)).toBe(status);
      expect(card.memory).toEqual(anyNtag().memory);
    });
  }

  test('is set at its bounds, and for file 02 only', () => {
    for (const settings of [
      '4000e0c1f121e00000d00000d00000',
      '4000e0c1f121000000000000f00000',
      '4000e0d1f121200000400000400000200000600000',
      '4000e0c1ffe10000000e0000140000140000',
      '4000e0c1fee1000000ffffff0e00000e0000',
      '4000e001ffff',
    ]) {
      expect(askFull(openNtag(anyNtag()), '5f', '02', settings)).toBe('9100');
    }
    expect(askFull(openNtag(anyNtag()), '5f', '01', '4000e001ffff')).toBe('919d');
    expect(askFull(openNtag(anyNtag()), '5f', '09', '4000e001ffff')).toBe('91f0');
  });
});

describe('the emulated tag, once configured,', () => {
  const configure = (card: Card, option: string, data: string) => askFull(openNtag(card), '5c', option, data);

  test('shows another number at each presence, and its own to a key', () => {
    const card = anyNtag();
    expect(configure(card, '00', '02')).toBe('9100');
    expect(configure(card, '00', '00')).toBe('9100');
    card.reset();
    const shown = iso(card, 'ffca000000');
    expect(shown).toMatch(/^08.{6}9000$/);
    card.process(SELECT_NTAG);
    expect(iso(card, 'ffca000000')).toBe(shown);
    card.reset();
    expect(iso(card, 'ffca000000')).not.toBe(shown);
    plainly(card, '60');
    plainly(card, 'af');
    expect(plainly(card, 'af')).toMatch(/^(00){7}.{14}9100$/);
    expect(askFull(openNtag(card), '51', '')).toBe('045a115a3461809100');
  });

  test('lets no AES key in after it went over to LRP, and mirrors no more', () => {
    const { card } = dynamic(SUN);
    expect(configure(card, '05', '00'.repeat(10))).toBe('9100');
    expect(configure(card, '05', '00000000020000000000')).toBe('9100');
    card.process(SELECT_NTAG);
    expect(plainly(card, '71', '0000')).toBe('91ae');
    expect(phone(card)).toBe('\0'.repeat(256));
  });

  test('takes what else it knows, and nothing else', () => {
    const card = anyNtag();
    expect(configure(card, '04', '0400')).toBe('9100');
    expect(configure(card, '0b', '01')).toBe('9100');
    expect(configure(card, '00', '01')).toBe('919e');
    expect(configure(card, '00', '0200')).toBe('917e');
    expect(configure(card, '05', '02')).toBe('917e');
    expect(configure(card, '0a', '0100000a00')).toBe('919e');
    expect(configure(card, '09', '00'.repeat(13))).toBe('919e');
    expect(card.memory).toEqual(anyNtag().memory);
  });

  test('locks a key for ever at its limit of failures, and forgives some for each success', () => {
    const card = anyNtag();
    const wrong = (no = 1) => opens(card, no, NEW_KEY, SELECT_NTAG);
    expect(configure(card, '0a', '0104000200')).toBe('9100');
    for (let i = 0; i < 3; i++) expect(wrong()).toBe(false);
    openNtag(card, 1);
    expect(card.memory.keys[1]?.failures).toBe(1);
    for (let i = 0; i < 3; i++) expect(wrong()).toBe(false);
    card.process(SELECT_NTAG);
    expect(plainly(card, '71', '0100')).toBe('919d');
    openNtag(card, 2);
    expect(askFull(openNtag(card), 'c4', '01', otherKey())).toBe('9100');
    openNtag(card, 1, NEW_KEY);
    expect(configure(card, '0a', '0000000000')).toBe('9100');
    for (let i = 0; i < 9; i++) expect(opens(card, 1, FACTORY_KEY, SELECT_NTAG)).toBe(false);
    openNtag(card, 1, NEW_KEY);
  });

  test('delays after fifty failures in a row, and locks the key at a thousand in all, as delivered', () => {
    const card = anyNtag();
    for (let i = 0; i < 50; i++) expect(opens(card, 1, NEW_KEY, SELECT_NTAG)).toBe(false);
    card.process(SELECT_NTAG);
    expect(plainly(card, '71', '0100')).toBe('91ad');
    for (let i = 50; i < 1000; i++) {
      card.memory.failures = 0;
      expect(opens(card, 1, NEW_KEY, SELECT_NTAG)).toBe(false);
    }
    card.memory.failures = 0;
    card.process(SELECT_NTAG);
    expect(plainly(card, '71', '0100')).toBe('919d');
    openNtag(card, 2);
  });
});

describe('the emulated tag, torn', () => {
  /** The command is the fourth that the tag sees. */
  function torn(card: Card, tear: NonNullable<Trouble['tear']>, command: (session: Session) => void): void {
    const presence = present(card, { tear });
    const session = login((apdu) => presence(apdu) ?? new Uint8Array(), 0, FACTORY_KEY, SELECT_NTAG);
    command(session);
  }

  const changes: readonly [string, (session: Session) => void][] = [
    ['another key', (session) => askFull(session, 'c4', '01', otherKey())],
    ['its own key', (session) => askFull(session, 'c4', '00', `${hex(NEW_KEY)}01`)],
    ['what it mirrors', (session) => askFull(session, '5f', '02', SUN)],
    ['its identifier', (session) => askFull(session, '5c', '00', '02')],
  ];
  for (const [what, command] of changes) {
    test(`at a change of ${what} has made it or has not`, () => {
      const after = anyNtag();
      command(openNtag(after));
      for (const [tear, done] of [
        [{ apdu: 3, when: 'before' }, false],
        [{ apdu: 3, when: 'during', executed: false }, false],
        [{ apdu: 3, when: 'during', executed: true }, true],
        [{ apdu: 3, when: 'after' }, true],
      ] as const) {
        const card = anyNtag();
        torn(card, tear, command);
        expect(card.memory).toEqual(done ? after.memory : anyNtag().memory);
      }
    });
  }

  test('at a write by a key or by a phone keeps the first bytes only', () => {
    const card = anyNtag();
    torn(card, { apdu: 3, when: 'during', executed: true }, (session) => {
      askFull(session, '8d', '01020000040000', 'aabbccdd');
    });
    expect(hex(content(card, 1)).slice(0, 14)).toBe('001720010000ff');
    Object.assign(card.memory.files.get(1) ?? {}, { mode: 'full' });
    torn(card, { apdu: 3, when: 'during', executed: true }, (session) => {
      askFull(session, '8d', '01020000040000', 'aabbccdd');
    });
    expect(hex(content(card, 1)).slice(0, 14)).toBe('0017aabb0000ff');
    const presence = present(card, { tear: { apdu: 2, when: 'during', executed: true, written: 1 } });
    for (const apdu of [hex(SELECT_NTAG), SELECT_NDEF, '00d60005031122ff']) presence(bytes(apdu));
    expect(hex(content(card, NDEF)).slice(0, 18)).toBe('000000000011000000');
  });

  test('at a read has counted it or has not', () => {
    for (const executed of [true, false]) {
      const { card } = dynamic(SUN);
      const presence = present(card, { tear: { apdu: 2, when: 'during', executed } });
      for (const apdu of [hex(SELECT_NTAG), SELECT_NDEF, '00b0000000']) presence(bytes(apdu));
      expect(ndef(card).readCtr).toBe(executed ? 1 : 0);
    }
  });
});
