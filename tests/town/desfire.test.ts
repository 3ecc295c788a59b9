/** The emulated DESFire EV2 and EV3: blank, provisioned by its own commands alone, torn at any, and refusing. */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
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
  opens,
  otherKey,
  plainly,
  type Session,
  TMAC_HEADER,
  TMAC_KEY,
  wrap,
  xor,
} from './barereader.ts';
import type { Card } from './card.ts';
import { cardSessionKeys, concat, lsb, openZeroIv, sealZeroIv, turned } from './cardcrypto.ts';
import { chance } from './chance.ts';
import { anyDesfire } from './deck.ts';
import type { DesfireCard } from './desfire.ts';
import { present, type Trouble } from './field.ts';

type Send = (apdu: Uint8Array) => Uint8Array;
const NAME = 'a00000039656434103f015400000000b';
const AID = '010df5';
const MASTER = wrap('5a', '000000');
const SELECT_AID = wrap('5a', AID);
const SELECT_NAME = bytes(`00a4040c10${NAME}00`);
/** Settings 0B, five AES keys with ISO ids for files, id DF01 (TRUTH section 14). */
const APPLICATION = `${AID}0ba5df01${NAME}`;
const HUB_KEY = new Uint8Array(16).fill(0x51);

const sending =
  (card: Card): Send =>
  (apdu) =>
    card.process(apdu);
const master = (card: Card, key = HUB_KEY) => login(sending(card), 0, key, MASTER);
const inside = (card: Card, keyNo = 0, key = FACTORY_KEY) => login(sending(card), keyNo, key, SELECT_AID);

function undes(key: Uint8Array, block: Uint8Array): Uint8Array {
  const half = key.subarray(0, 8);
  const machine = createDecipheriv('des-ede3-ecb', concat(half, half, half), null).setAutoPadding(false);
  return Uint8Array.from(machine.update(block));
}

/** What a reader of the ISO way does with DES. */
function cbc(key: Uint8Array, plain: Uint8Array, iv: Uint8Array): Uint8Array {
  const half = key.subarray(0, 8);
  const machine = createCipheriv('des-ede3-cbc', concat(half, half, half), iv).setAutoPadding(false);
  return Uint8Array.from(machine.update(plain));
}

/** All an old reader ever does with DES: decipher, each block chained to what came out before. */
function native(key: Uint8Array, plain: Uint8Array): Uint8Array {
  const out: Uint8Array[] = [new Uint8Array(8)];
  for (let at = 0; at < plain.length; at += 8) {
    out.push(undes(key, xor(plain.slice(at, at + 8), out.at(-1) ?? new Uint8Array(8))));
  }
  return concat(...out.slice(1));
}

/** Proves the factory's DES key the old way. @returns the session's key */
function oldLogin(send: Send, rndA = bytes('0001020304050607')): Uint8Array {
  send(MASTER);
  const reply = send(wrap('0a', '00'));
  expect(hex(reply.slice(8))).toBe('91af');
  const rndB = undes(FACTORY_KEY, reply.slice(0, 8));
  const proof = send(wrap('af', hex(native(FACTORY_KEY, concat(rndA, turned(rndB))))));
  expect(hex(proof.slice(8))).toBe('9100');
  expect(hex(undes(FACTORY_KEY, proof.slice(0, 8)))).toBe(hex(turned(rndA)));
  return concat(rndA.slice(0, 4), rndB.slice(0, 4));
}

/** CRC of ISO 14443-3, type A, as its annex B writes it. */
function crcA(data: Uint8Array): Uint8Array {
  let crc = 0x6363;
  for (const byte of data) {
    let bit = (byte ^ crc) & 0xff;
    bit = (bit ^ (bit << 4)) & 0xff;
    crc = ((crc >> 8) ^ (bit << 8) ^ (bit << 3) ^ (bit >> 4)) & 0xffff;
  }
  return lsb(crc, 2);
}

/** `C4 80`: new AES key and version, under the old session. */
function toAes(send: Send, session: Uint8Array, key = HUB_KEY): string {
  const data = concat(key, [1]);
  const filled = concat(data, crcA(data), new Uint8Array(5));
  return hex(send(wrap('c4', `80${hex(native(session, filled))}`)));
}

/** The files of TRUTH section 14, by the commands that make them. */
const FILES: readonly (readonly [string, string])[] = [
  ['cd', '0001301f000100'],
  ['cd', '0401301f000100'],
  ['cd', '1f0030ef200000'],
  ['c0', '01033011100000050000'],
  ['cc', `0303301f00000000${hex(lsb(200_000, 4))}0000000000`],
];

/** From the factory to our application, its files and keys, in the order that TRUTH section 14 asks for. */
function provision(send: Send): Session {
  expect(toAes(send, oldLogin(send))).toBe('9100');
  const picc = login(send, 0, HUB_KEY, MASTER);
  expect(askFull(picc, '54', '', '09')).toBe('9100');
  expect(ask(picc, 'ca', APPLICATION)).toBe('9100');
  const app = login(send, 0, FACTORY_KEY, SELECT_AID);
  for (const [ins, body] of FILES) expect(ask(app, ins, body)).toBe('9100');
  expect(askFull(app, 'ce', '0f01101f02', `${hex(TMAC_KEY)}01`)).toBe('9100');
  expect(askFull(app, 'c4', '03', otherKey())).toBe('9100');
  return app;
}

function provisioned(): DesfireCard {
  const card = anyDesfire();
  provision(sending(card));
  return card;
}

const held = (card: DesfireCard) => [...(card.applications.get(AID)?.files.keys() ?? [])];

describe('the emulated DESFire from the factory', () => {
  test('names itself, and holds no application', () => {
    const card = anyDesfire();
    expect(hex(card.process(bytes('ffca000000')))).toBe('045a115a3461809000');
    expect(plainly(card, '60')).toBe('0401013300180591af');
    expect(plainly(card, 'af')).toBe('0401010300180591af');
    expect(plainly(card, 'af')).toMatch(/^045a115a346180.{14}9100$/);
    expect(plainly(anyDesfire({ generation: 'EV2' }), '60')).toBe('0401011200180591af');
    expect(plainly(card, '6a')).toBe('9100');
    expect(plainly(card, '45')).toBe('0f019100');
    expect(plainly(card, '64', '00')).toBe('009100');
    expect(hex(card.process(SELECT_NAME))).toBe('6a82');
    expect(hex(card.process(SELECT_AID))).toBe('91a0');
    expect(plainly(card, '6f')).toBe('919d');
    expect(plainly(card, 'cd', '0001301f000100')).toBe('919d');
    expect(plainly(anyDesfire({ signature: new Uint8Array(56).fill(7) }), '3c', '00')).toBe(`${'07'.repeat(56)}9190`);
  });

  test('gets an application without anyone proving a key, which its name and number then select', () => {
    const card = anyDesfire();
    expect(plainly(card, 'ca', APPLICATION)).toBe('9100');
    expect(plainly(card, '6a')).toBe(`${AID}9100`);
    expect(hex(card.process(SELECT_NAME))).toBe('9000');
    expect(plainly(card, '45')).toBe('0ba59100');
    expect(plainly(card, '6f')).toBe('9100');
    for (const no of [0, 1, 2, 3, 4]) expect(plainly(card, '64', `0${no}`)).toBe('009100');
    expect(plainly(card, '64', '05')).toBe('9140');
    expect(plainly(card, 'ca', APPLICATION)).toBe('919d');
    expect(hex(card.process(MASTER))).toBe('9100');
    expect(plainly(card, 'ca', APPLICATION)).toBe('91de');
    expect(plainly(card, 'ca', `0000100ba5df02${NAME}`)).toBe('91de');
    expect(plainly(card, 'ca', '0000100ba5df01')).toBe('91de');
    expect(plainly(card, 'ca', '0000100b85')).toBe('9100');
    card.reset();
    expect(plainly(card, '6a')).toBe(`${AID}0000109100`);
    expect(opens(card, 4, FACTORY_KEY, SELECT_NAME)).toBe(true);
  });

  test('refuses an application that it cannot make', () => {
    const card = anyDesfire();
    const wrong = ['0000000b85', '0000010b80', '0000010b8f', '0000010b05', '0000011b85', '0000010b95'];
    for (const body of wrong) expect(plainly(card, 'ca', body)).toBe('919e');
    for (const body of ['0000010b', '0000010b8501', `${APPLICATION}00`]) expect(plainly(card, 'ca', body)).toBe('917e');
    expect(card.applications.size).toBe(0);
  });
});

describe('the emulated DESFire and its DES master key', () => {
  test("it takes the bytes of a card whose trace lies in the maker's forum", () => {
    const chances = [undes(FACTORY_KEY, bytes('63c54dcf6f3a6fc9'))];
    const card = anyDesfire({ random: () => chances.shift() ?? new Uint8Array() });
    expect(plainly(card, '0a', '00')).toBe('63c54dcf6f3a6fc991af');
    expect(plainly(card, 'af', '491e890de9ace9329c5c6d55d9fa36d7')).toBe('b7d1da7ce0dd986b9100');
    expect(plainly(card, '54', 'cb643fd030e687da')).toBe('9100');
    expect(plainly(card, '45')).toBe('0f019100');
  });

  test('it changes its master key to AES, in one command, and the old session is over', () => {
    const card = anyDesfire();
    const session = oldLogin(sending(card));
    expect(toAes(sending(card), session)).toBe('9100');
    expect(plainly(card, 'fc')).toBe('91ae');
    expect(plainly(card, '0a', '00')).toBe('91ae');
    expect(plainly(card, '64', '00')).toBe('019100');
    expect(plainly(card, '45')).toBe('0f819100');
    expect(opens(card, 0, HUB_KEY, MASTER)).toBe(true);
    expect(opens(card, 0, FACTORY_KEY, MASTER)).toBe(false);
  });

  test('under settings 09 its DES key, too, is needed to create, and creates in plain', () => {
    const card = anyDesfire();
    const session = oldLogin(sending(card));
    const settings = concat([0x09], crcA(Uint8Array.of(0x09)), new Uint8Array(5));
    expect(plainly(card, '54', hex(native(session, settings)))).toBe('9100');
    card.reset();
    expect(plainly(card, 'ca', APPLICATION)).toBe('91ae');
    oldLogin(sending(card));
    expect(plainly(card, 'ca', APPLICATION)).toBe('9100');
    expect(plainly(card, 'fc')).toBe('9100');
    expect(card.applications.size).toBe(0);
  });

  test('it does the same for a reader that proves the key the ISO way', () => {
    const card = anyDesfire();
    const reply = card.process(wrap('1a', '00'));
    const first = reply.slice(0, 8);
    const rndB = undes(FACTORY_KEY, first);
    const rndA = bytes('1011121314151617');
    const sealed = cbc(FACTORY_KEY, concat(rndA, turned(rndB)), first);
    const proof = card.process(wrap('af', hex(sealed)));
    expect(hex(xor(undes(FACTORY_KEY, proof.slice(0, 8)), sealed.slice(8)))).toBe(hex(turned(rndA)));
    const session = concat(rndA.slice(0, 4), rndB.slice(0, 4));
    const data = concat(HUB_KEY, [1]);
    const filled = concat(data, lsb(~crc32(concat([0xc4, 0x80], data)) >>> 0, 4), new Uint8Array(3));
    expect(plainly(card, 'c4', `80${hex(cbc(session, filled, new Uint8Array(8)))}`)).toBe('9100');
    expect(opens(card, 0, HUB_KEY, MASTER)).toBe(true);
  });

  test('the checksum of old is that of the two examples of ISO 14443-3 annex B', () => {
    expect(hex(crcA(bytes('0000')))).toBe('a01e');
    expect(hex(crcA(bytes('1234')))).toBe('26cf');
  });

  test('it keeps its key from a reader that does not know it, and from a command that arrived changed', () => {
    const card = anyDesfire();
    plainly(card, '0a', '00');
    expect(plainly(card, 'af', '00'.repeat(16))).toBe('91ae');
    expect(plainly(card, 'c4', `80${'00'.repeat(24)}`)).toBe('91ae');
    expect(plainly(card, '71', '0000')).toBe('91ae');
    const bent: Send = (apdu) => card.process(apdu[1] === 0xc4 ? apdu.with(9, (apdu[9] ?? 0) ^ 1) : apdu);
    expect(toAes(bent, oldLogin(bent))).toBe('911e');
    const short = hex(native(oldLogin(sending(card)), new Uint8Array(16)));
    expect(plainly(card, 'c4', `80${short}`)).toBe('917e');
    const other = hex(native(oldLogin(sending(card)), new Uint8Array(24)));
    expect(plainly(card, 'c4', `00${other}`)).toBe('919e');
    expect(card.memory.keys[0]).toEqual({ key: FACTORY_KEY, version: 0, des: true });
  });

  test('under settings 09 only the master key lists, creates, deletes and formats', () => {
    const card = provisioned();
    card.reset();
    for (const ins of ['6a', '45', 'fc']) expect(plainly(card, ins)).toBe('91ae');
    expect(plainly(card, 'ca', '0000100b85')).toBe('91ae');
    expect(plainly(card, 'da', AID)).toBe('91ae');
    const picc = master(card);
    expect(ask(picc, '6a', '')).toBe(`${AID}9100`);
    expect(ask(picc, '45', '')).toBe('09819100');
    expect(ask(picc, 'da', '000010')).toBe('91a0');
    const again = master(card);
    expect(ask(again, 'da', AID)).toBe('9100');
    expect(ask(again, 'ca', APPLICATION)).toBe('9100');
    expect(ask(again, 'fc', '')).toBe('9100');
    expect(card.applications.size).toBe(0);
    expect(askFull(again, 'c4', '80', `${hex(NEW_KEY)}02`)).toBe('9100');
    expect(deadSession(again)).toBe(true);
    expect(opens(card, 0, NEW_KEY, MASTER)).toBe(true);
  });

  test('settings without their own bit, and a master key without its bit, stay for ever', () => {
    const card = provisioned();
    const picc = master(card);
    expect(askFull(picc, '54', '', '00')).toBe('9100');
    expect(askFull(picc, '54', '', '0f')).toBe('919d');
    expect(askFull(master(card), 'c4', '80', `${hex(NEW_KEY)}02`)).toBe('919d');
    expect(opens(card, 0, HUB_KEY, MASTER)).toBe(true);
  });
});

describe('the emulated DESFire and our application', () => {
  test('its files are as TRUTH section 14 asks once its own commands made them', () => {
    const card = provisioned();
    const app = inside(card);
    expect(ask(app, '6f', '')).toBe('0004 1f01 030f 9100'.replaceAll(' ', ''));
    for (const no of ['00', '04']) expect(ask(app, 'f5', no)).toBe('0001301f0001009100');
    expect(ask(app, 'f5', '1f')).toBe('000030ef2000009100');
    expect(ask(app, 'f5', '01')).toBe('040330111000000500000000009100');
    expect(ask(app, 'f5', '03')).toBe(`0203301f00000000${hex(lsb(200_000, 4))}00000000009100`);
    expect(ask(app, 'f5', '0f')).toBe('0501101f02019100');
    expect(ask(app, '64', '03')).toBe('019100');
    expect(opens(card, 3, NEW_KEY, SELECT_NAME)).toBe(true);
  });

  test('key 3 fills the purse, key 1 pays from it once it named its reader, and the card certifies both', () => {
    const card = provisioned();
    const hub = inside(card, 3, NEW_KEY);
    expect(askFull(hub, '0c', '03', hex(lsb(50_000, 4)))).toBe('9100');
    expect(ask(hub, 'c7', '01')).toBe('919d');
    const mixed = inside(card, 1);
    expect(askFull(mixed, '0c', '03', hex(lsb(50_000, 4)))).toBe('919d');
    reload(card, 50_000);
    const paying = inside(card, 1);
    expect(ask(paying, 'ad', '0f000000000000')).toMatch(/^01000000.{16}9100$/);
    expect(askFull(paying, '6c', '03')).toBe(`${hex(lsb(50_000, 4))}9100`);
    expect(askFull(paying, 'dc', '03', hex(lsb(200_000, 4)))).toBe('91be');
    pay(card, 12_000);
    const after = inside(card, 1);
    expect(askFull(after, '6c', '03')).toBe(`${hex(lsb(38_000, 4))}9100`);
    expect(askFull(after, 'ab', '01000000010000')).toBe(`${'22'.repeat(16)}9100`);
  });

  test('under settings 0B anyone lists its files, and only key 0 makes and deletes them', () => {
    const card = provisioned();
    card.process(SELECT_AID);
    expect(plainly(card, '6f')).toBe('00041f01030f9100');
    expect(plainly(card, 'f5', '1f')).toBe('000030ef2000009100');
    for (const [ins, body] of FILES) expect(plainly(card, ins, body)).toBe('91ae');
    expect(plainly(card, 'df', '00')).toBe('91ae');
    expect(plainly(card, '54', '0f')).toBe('91ae');
    expect(ask(inside(card, 1), 'cd', '0500301f000100')).toBe('919d');
    expect(ask(inside(card, 1), 'df', '00')).toBe('919d');
    expect(askFull(inside(card, 1), 'ce', TMAC_HEADER, `${hex(TMAC_KEY)}01`)).toBe('919d');
    expect(askFull(inside(card, 1), '54', '', '0f')).toBe('91ae');
    const app = inside(card);
    for (const no of ['00', '01', '03', '0f']) expect(ask(app, 'df', no)).toBe('9100');
    expect(ask(app, 'df', '00')).toBe('91f0');
    expect(held(card)).toEqual([4, 0x1f]);
    expect(askFull(inside(card), '54', '', '01')).toBe('9100');
    card.process(SELECT_AID);
    for (const ins of ['6f', '45']) expect(plainly(card, ins)).toBe('91ae');
    expect(plainly(card, 'f5', '1f')).toBe('91ae');
    expect(ask(inside(card, 1), '6f', '')).toBe('919d');
    expect(ask(inside(card), '6f', '')).toBe('041f9100');
  });

  test('under settings 0F anyone makes and deletes its files', () => {
    const card = anyDesfire();
    plainly(card, 'ca', '0000010f82');
    plainly(card, '5a', '000001');
    expect(plainly(card, 'cd', '0000eeee040000')).toBe('9100');
    expect(plainly(card, '8d', '00000000020000beef')).toBe('9100');
    expect(plainly(card, 'ad', '00000000000000')).toBe('beef00009100');
    expect(plainly(card, 'df', '00')).toBe('9100');
    expect(plainly(card, '6f')).toBe('9100');
  });

  test('a file that cannot be is refused', () => {
    const card = provisioned();
    const refusals: readonly (readonly [string, string, string])[] = [
      ['cd', '0001301f000100', '91de'],
      ['cd', '2001301f000100', '919e'],
      ['cd', '0501501f000100', '919e'],
      ['cd', '0504301f000100', '919e'],
      ['cd', '0501301f000000', '919e'],
      ['cd', '0501301fffffff', '910e'],
      ['cb', '0501301f010800', '910e'],
      ['cd', '0501301f0001', '917e'],
      ['c0', '0503301110000001 0000', '919e'],
      ['cc', '0503301f0a000000010000000a00000000', '919e'],
      ['cc', '0503301f00000000010000000200000000', '919e'],
      ['cc', '0503301f00000000010000000000000001', '919e'],
      ['cc', '0503301f0000000001000000000000', '917e'],
    ];
    for (const [ins, body, status] of refusals) {
      expect(`${ins} ${body}: ${ask(inside(card), ins, body.replaceAll(' ', ''))}`).toBe(`${ins} ${body}: ${status}`);
    }
    expect(askFull(inside(card), 'ce', '0f01101f02', `${hex(TMAC_KEY)}01`)).toBe('91de');
    // An application with ISO file ids takes one, and one without does not.
    expect(ask(inside(card), 'cd', '0505ef01301f100000')).toBe('9100');
    plainly(card, '5a', '000000');
    const picc = master(card);
    expect(ask(picc, 'ca', '0000010f82')).toBe('9100');
    plainly(card, '5a', '000001');
    expect(plainly(card, 'cd', '0505ef00eeee100000')).toBe('917e');
  });

  test('a value file has no other way to its limits: SetConfiguration is unknown', () => {
    expect(askFull(inside(provisioned()), '5c', '09', '00'.repeat(13))).toBe('911c');
  });

  test('a backup file shows what was written only after the commit, and a torn commit shows none of it', () => {
    const card = anyDesfire();
    plainly(card, 'ca', '0000010f82');
    plainly(card, '5a', '000001');
    expect(plainly(card, 'cb', '0000eeee040000')).toBe('9100');
    expect(plainly(card, 'f5', '00')).toBe('0100eeee0400009100');
    expect(plainly(card, '8d', '00000000020000beef')).toBe('9100');
    expect(plainly(card, '8d', '0002000001000001')).toBe('9100');
    expect(plainly(card, 'ad', '00000000000000')).toBe('000000009100');
    expect(plainly(card, 'a7')).toBe('9100');
    expect(plainly(card, 'c7', '00')).toBe('910c');
    plainly(card, '8d', '00000000020000beef');
    expect(plainly(card, 'c7', '00')).toBe('9100');
    expect(plainly(card, 'ad', '00000000000000')).toBe('beef00009100');
    plainly(card, '8d', '000000000100000c');
    card.reset();
    plainly(card, '5a', '000001');
    expect(plainly(card, 'c7', '00')).toBe('910c');
    expect(plainly(card, 'ad', '00000000000000')).toBe('beef00009100');
  });
});

/** One commit by key 1 that names its reader. */
function commit(session: Session, tmri: string): string {
  expect(ask(session, 'c8', tmri)).toMatch(/^.{32}9100$/);
  return ask(session, 'c7', '01');
}

/** Key 1 names the reader, key 3 credits: the order of a reload (TRUTH section 14), without NonFirst's own check. */
function reload(card: Card, amount: number): void {
  const kiosk = inside(card, 1);
  expect(ask(kiosk, 'c8', '33'.repeat(16))).toMatch(/9100$/);
  const hub = nonFirst(kiosk, 3, NEW_KEY);
  expect(askFull(hub, '0c', '03', hex(lsb(amount, 4)))).toBe('9100');
  expect(ask(hub, 'c7', '01')).toMatch(/^01000000.{16}9100$/);
}

function pay(card: Card, amount: number): void {
  const kiosk = inside(card, 1);
  expect(askFull(kiosk, 'dc', '03', hex(lsb(amount, 4)))).toBe('9100');
  expect(askFull(kiosk, '8b', '01000000100000', '22'.repeat(16))).toBe('9100');
  expect(commit(kiosk, '44'.repeat(16))).toMatch(/^02000000.{16}9100$/);
}

/** Changes the key within the transaction (CARDS section 3.2). */
function nonFirst(before: Session, keyNo: number, key: Uint8Array): Session {
  const rndA = new Uint8Array(16).fill(0x5d);
  const rndB = openZeroIv(key, before.send(wrap('77', `0${keyNo}`)).slice(0, 16));
  const proof = before.send(wrap('af', hex(sealZeroIv(key, concat(rndA, turned(rndB))))));
  expect(hex(openZeroIv(key, proof.slice(0, 16)))).toBe(hex(turned(rndA)));
  return { ...before, keyNo, ...cardSessionKeys(key, rndA, rndB) };
}

type Vector = { name: string; inputs: unknown; expected: unknown };
const vectors = JSON.parse(
  readFileSync(join(process.cwd(), 'tests', 'cards', 'card-vectors.json'), 'utf8'),
) as readonly Vector[];

function published<T>(name: string): T {
  const vector = vectors.find((each) => each.name === name);
  if (vector === undefined) throw new Error(`no vector ${name}`);
  return { ...(vector.inputs as object), ...(vector.expected as object) } as T;
}

describe('the emulated DESFire and noise', () => {
  test('it answers any bytes with two bytes of status, and makes nothing of them without a key', () => {
    const lot = chance('noise at a DESFire');
    const card = provisioned();
    card.reset();
    const owned = kept(card);
    const heads = [
      '900a',
      '901a',
      '90af',
      '90c4',
      '9054',
      '905a',
      '90ca',
      '90da',
      '90cd',
      '90cc',
      '9071',
      '00a4',
      '90fc',
    ];
    const [first = '', ...rest] = heads;
    for (let round = 0; round < 3000; round++) {
      const length = lot.below(40);
      const body = Uint8Array.from({ length }, () => lot.below(4) * lot.below(86));
      const le = lot.below(8) === 0 ? '' : '00';
      const apdu = `${lot.pick([first, ...rest])}0000${hex(Uint8Array.of(length))}${hex(body)}${le}`;
      expect(card.process(bytes(apdu)).length).toBeGreaterThanOrEqual(2);
    }
    expect(kept(card)).toEqual(owned);
  });
});

describe('the emulated DESFire and published bytes', () => {
  test('it certifies a transaction as a real EV3 card did, from its first command to its last', () => {
    const real = published<{
      tmacKey: string;
      uid: string;
      commands: readonly { ins: string; fileNo: string; offset: number; data: string }[];
      commitReaderId: { tmriCur: string; tmriPrev: string };
      encTmri: string;
      tmv: string;
    }>('real-ev3-card-tmv-with-readerid');
    const card = anyDesfire({ uid: bytes(real.uid) });
    plainly(card, 'ca', '0000010b85');
    const select = wrap('5a', '000001');
    const app = login(sending(card), 0, FACTORY_KEY, select);
    expect(ask(app, 'c0', '02011011000100030000')).toBe('9100');
    expect(askFull(app, 'ce', '0f01101f02', `${real.tmacKey}00`)).toBe('9100');
    // The trace begins at the counter's third value; what came before is not printed, but for its last reader id.
    const session = login(sending(card), 1, FACTORY_KEY, select);
    for (const each of [1, 2]) {
      expect(commit(session, real.commitReaderId.tmriPrev)).toMatch(new RegExp(`^0${each}000000`));
    }
    for (const { ins, fileNo, offset, data } of real.commands) {
      const where = hex(concat(lsb(offset, 3), lsb(data.length / 2, 3)));
      expect(ask(session, ins, `${fileNo}${where}${data}`)).toBe('9100');
    }
    expect(ask(session, 'c8', real.commitReaderId.tmriCur)).toBe(`${real.encTmri}9100`);
    expect(ask(session, 'c7', '01')).toBe(`03000000${real.tmv}9100`);
  });

  test('an application of it authenticates with the bytes of AN12196 table 14', () => {
    const v = published<Record<string, string>>('an12196-t14-first-key0');
    const chances = [v.rndB, v.ti].map((each) => bytes(each ?? ''));
    const card = anyDesfire({ random: () => chances.shift() ?? new Uint8Array() });
    plainly(card, 'ca', APPLICATION);
    card.process(SELECT_NAME);
    expect(plainly(card, '71', '0000')).toBe(`${v.encRndB}91af`);
    expect(plainly(card, 'af', v.command2Data)).toBe(`${v.response2}9100`);
  });
});

/** Everything that a card keeps when it leaves the field. */
function kept(card: DesfireCard): unknown {
  card.reset();
  return structuredClone({ master: card.memory, applications: card.applications });
}

const tornOff = (): never => {
  throw new Error('torn');
};

/** Sends through one presence; nothing more comes back once the card has left. */
function torn(card: DesfireCard, trouble: Trouble): void {
  const presence = present(card, trouble);
  expect(() => provision((apdu) => presence(apdu) ?? tornOff())).toThrow('torn');
}

/** What a card holds before each APDU of its provisioning, and after the last one. */
function states(): unknown[] {
  const seen: unknown[] = [];
  const card = anyDesfire();
  // At master level still, whose memory is what changes.
  const factory = card.memory;
  provision((apdu) => {
    seen.push(structuredClone({ master: factory, applications: card.applications }));
    return card.process(apdu);
  });
  return [...seen, kept(card)];
}

describe('the emulated DESFire, torn', () => {
  const whole = states();
  const before: readonly NonNullable<Trouble['tear']>[] = whole
    .slice(1)
    .flatMap((_, apdu) => [{ apdu, when: 'before' } as const, { apdu, when: 'during', executed: false } as const]);

  test('before a command, or before a command got through, holds what it held', () => {
    expect(whole.length).toBe(20);
    for (const tear of before) {
      const card = anyDesfire();
      torn(card, { tear });
      expect(kept(card)).toEqual(whole[tear.apdu]);
    }
  });

  test('after a command, or when it just got through, holds all that the command made', () => {
    for (const { apdu } of before) {
      for (const tear of [{ apdu, when: 'after' } as const, { apdu, when: 'during', executed: true } as const]) {
        const card = anyDesfire();
        torn(card, { tear });
        expect(kept(card)).toEqual(whole[apdu + 1]);
      }
    }
  });

  test('in the middle of a write to a standard file keeps the bytes that got there', () => {
    const card = provisioned();
    const presence = present(card, { tear: { apdu: 3, when: 'during', executed: true, written: 3 } });
    const hub = login((apdu) => presence(apdu) ?? new Uint8Array(), 3, NEW_KEY, SELECT_AID);
    expect(ask(hub, '8d', '00000000060000aaaaaaaaaaaa')).toBe('');
    card.process(SELECT_AID);
    expect(hex(content(card, 0)).slice(0, 14)).toBe('aaaaaa00000000');
  });

  test('at any command of a payment changes nothing unless the commit got through', () => {
    const lot = chance('payments torn at random');
    for (let round = 0; round < 40; round++) {
      const card = provisioned();
      reload(card, 50_000);
      const apdu = lot.below(7);
      const executed = lot.below(2) === 1;
      const presence = present(card, { tear: { apdu, when: 'during', executed } });
      const tearing: Card = { ...card, process: (each) => presence(each) ?? tornOff() };
      expect(() => pay(tearing, 12_000)).toThrow('torn');
      card.process(SELECT_AID);
      const purse = card.memory.files.get(3);
      const paid = apdu === 6 && executed;
      expect(purse?.kind === 'value' && purse.value).toBe(paid ? 38_000 : 50_000);
      const certificate = card.memory.files.get(0x0f);
      expect(certificate?.kind === 'tmac' && certificate.tmc).toBe(paid ? 2 : 1);
    }
  });
});
