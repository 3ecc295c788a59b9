/** A card from the factory is prepared and personalised with bytes from CARDS alone, and refuses what does not fit. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cmac } from '../../cards/aes.ts';
import { bytes, hex } from '../cards/hex.ts';
import {
  ask,
  askFull,
  content,
  deadSession,
  FACTORY_KEY,
  NEW_KEY,
  open,
  opens,
  otherKey,
  plainly,
  SELECT,
  type Session,
  TMAC_HEADER,
  TMAC_KEY,
  wrap,
  xor,
} from './barereader.ts';
import { blankCard } from './blank.ts';
import { concat, lsb, openZeroIv, shortMac } from './cardcrypto.ts';
import { anyBlankCard, anyCard, KEYS, UID } from './deck.ts';

const FILES = [0x00, 0x04, 0x1f, 0x01, 0x03, 0x0f];

interface Published {
  readonly inputs: Readonly<Record<string, string>>;
  readonly expected: Readonly<Record<string, string>>;
}

/** A published vector's values by name. */
function published(name: string): Readonly<Record<string, string>> {
  const file = join(process.cwd(), 'tests', 'cards', 'card-vectors.json');
  const vectors = JSON.parse(readFileSync(file, 'utf8')) as readonly (Published & { name: string })[];
  const found = vectors.find((entry) => entry.name === name);
  if (found === undefined) throw new Error(`no vector ${name}`);
  return { ...found.inputs, ...found.expected };
}

describe('a card from the factory', () => {
  test('names its files and the version of each key before anyone has authenticated', () => {
    const card = anyBlankCard();
    card.process(SELECT);
    expect(plainly(card, '6f')).toBe('00041f01030f9100');
    for (const no of [0, 1, 2, 3, 4]) expect(plainly(card, '64', `0${no}`)).toBe('009100');
    expect(plainly(card, '64', '05')).toBe('9140');
  });

  test('names its files in a session under a MAC', () => {
    expect(ask(open(anyBlankCard()), '6f', '')).toBe('00041f01030f9100');
  });

  test('has five keys of zeros, and nothing in its files', () => {
    const card = anyBlankCard();
    for (const no of [0, 1, 2, 3, 4]) open(card, no);
    expect(content(card, 0x00)).toEqual(new Uint8Array(256));
    expect(content(card, 0x04)).toEqual(new Uint8Array(256));
    expect(content(card, 0x1f)).toEqual(new Uint8Array(32));
    card.process(SELECT);
    expect(plainly(card, 'f5', '01')).toBe('040100121000000500000000009100');
    expect(plainly(card, 'f5', '03')).toBe('0201001200000000ffffff7f00000000009100');
    expect(plainly(card, 'f5', '0f')).toBe('0500001f02009100');
    open(card);
    expect(plainly(card, 'ad', '0f000000000000')).toBe(`${'00'.repeat(12)}9100`);
  });

  test('gives no file the rights or the mode that a ready card has', () => {
    const [blank, ready] = [anyBlankCard(), anyCard()];
    for (const no of FILES) {
      const [before, after] = [blank.memory.files.get(no), ready.memory.files.get(no)];
      expect(before?.access).not.toEqual(after?.access);
      expect(before?.mode).not.toBe(after?.mode);
      expect(before?.kind).toBe(after?.kind);
    }
  });

  test("shows its maker's signature to anyone, with a status of its own", () => {
    const { uid = '', signature = '' } = published('orig-desfire-light');
    const card = blankCard({
      uid: bytes(uid),
      signature: bytes(signature),
      random: (length) => new Uint8Array(length),
    });
    card.process(SELECT);
    expect(plainly(card, '3c', '00')).toBe(`${signature}9190`);
    expect(plainly(card, '3c', '01')).toBe('919e');
    expect(plainly(card, '3c')).toBe('917e');
  });

  test("enciphers its maker's signature in a session, and the session goes on", () => {
    const signature = new Uint8Array(56).fill(0x5c);
    const session = open(anyBlankCard({ signature }));
    expect(askFull(session, '3c', '00')).toBe(`${hex(signature)}9190`);
    expect(ask(session, '64', '00')).toBe('009100');
  });

  test('delays every key from the limit of failed tries on, the right one too', () => {
    const card = anyBlankCard({ failureLimit: 3 });
    const wrong = new Uint8Array(16).fill(1);
    for (let i = 0; i < 3; i++) expect(opens(card, 0, wrong)).toBe(false);
    card.process(SELECT);
    for (const no of [0, 1, 2, 3, 4, 0]) expect(plainly(card, '71', `0${no}00`)).toBe('91ad');
    expect(card.memory.failures).toBe(3);
  });

  test('locks a key for ever at its thousandth failure, the other keys not, and forgives ten for each success', () => {
    const card = anyBlankCard();
    const fail = (times: number) => {
      for (let i = 0; i < times; i++) {
        card.memory.failures = 0;
        expect(opens(card, 1, NEW_KEY)).toBe(false);
      }
      card.memory.failures = 0;
    };
    fail(999);
    open(card, 1);
    fail(11);
    card.process(SELECT);
    expect(plainly(card, '71', '0100')).toBe('919d');
    open(card, 2);
  });
});

describe('a key', () => {
  test('changes with the bytes of AN12196 tables 19 to 26', () => {
    const [first, second] = [published('an12196-t19-first-key3'), published('an12196-t23-nonfirst-key0')];
    const chances = [first.rndB, first.ti, second.rndB].map((text = '') => bytes(text));
    const card = blankCard({ uid: UID, random: () => chances.shift() ?? new Uint8Array() });
    card.memory.files.set(3, { kind: 'standard', access: [0x30, 0xff], mode: 'full', content: new Uint8Array(128) });
    card.process(SELECT);
    expect(plainly(card, '71', '0300')).toBe(`${first.encRndB}91af`);
    expect(plainly(card, 'af', first.command2Data)).toBe(`${first.response2}9100`);
    const write = published('an12196-t21-writedata-proprietary');
    expect(hex(card.process(bytes(write.apdu ?? '')))).toBe(`${published('an12196-t21-reply').mact}9100`);
    expect(hex(content(card, 3).slice(0, 11))).toBe(`${write.data}00`);
    expect(plainly(card, '77', '00')).toBe(`${second.encRndB}91af`);
    expect(plainly(card, 'af', second.command2Data)).toBe(`${second.response2}9100`);
    const { sesAuthEncKey = '', sesAuthMacKey = '', ti = '', ...other } = published('an12196-t25-changekey-other');
    const keys = { enc: bytes(sesAuthEncKey), mac: bytes(sesAuthMacKey), ti: bytes(ti) };
    const session: Session = { ...keys, send: (apdu) => card.process(apdu), keyNo: 0, ctr: 1 };
    expect(ask(session, '64', '02')).toBe('009100');
    expect(hex(card.process(bytes(other.apdu ?? '')))).toBe(`${published('an12196-t25-reply').mact}9100`);
    expect(card.memory.keys[2]).toEqual({ key: bytes(other.newKey ?? ''), version: 1 });
    const own = published('an12196-t26-changekey-self');
    expect(plainly(card, 'c4', `${own.keyNo}${own.cipher}${own.mact}`)).toBe('9100');
    expect(card.memory.keys[0]).toEqual({ key: bytes(own.newKey ?? ''), version: 1 });
    expect(plainly(card, '51')).toBe('91ae');
  });

  test('that is not its own changes in a session of key 0, and the session goes on', () => {
    const card = anyBlankCard();
    const session = open(card);
    for (const no of [1, 2, 3, 4]) {
      expect(askFull(session, 'c4', `0${no}`, otherKey())).toBe('9100');
      expect(ask(session, '64', `0${no}`)).toBe('019100');
    }
    for (const no of [1, 2, 3, 4]) {
      expect(opens(card, no, FACTORY_KEY)).toBe(false);
      expect(opens(card, no, NEW_KEY)).toBe(true);
    }
    expect(askFull(open(card), 'c4', '01', `${hex(xor(NEW_KEY, NEW_KEY))}02789dfadc`)).toBe('9100');
    expect(card.memory.keys[1]).toEqual({ key: NEW_KEY, version: 2 });
  });

  test('of the session itself changes with a bare answer, and the session is gone', () => {
    const card = anyBlankCard();
    const session = open(card);
    const reply = askFull(session, 'c4', '00', `${hex(NEW_KEY)}05`);
    expect(reply).toBe('9100');
    expect(deadSession(session)).toBe(true);
    expect(plainly(card, '64', '00')).toBe('059100');
    expect(opens(card, 0, FACTORY_KEY)).toBe(false);
    expect(opens(card, 0, NEW_KEY)).toBe(true);
  });

  test('stays as it is when the command does not fit, and the session ends', () => {
    const own = hex(NEW_KEY);
    const wrong: readonly [string, string, string, string][] = [
      ['01', `${own}01789dfadd`, '911e', 'a wrong checksum'],
      ['01', `${own}01${'00'.repeat(4)}`, '911e', 'no checksum to speak of'],
      ['01', `${own}0187620523`, '911e', 'the checksum with its last inversion'],
      ['01', `${own}01dcfa9d78`, '911e', 'the checksum turned around'],
      ['01', otherKey(new Uint8Array(16).fill(9)), '911e', 'mixed with a key the card does not hold'],
      ['01', `${own}01`, '917e', "the own key's form for another"],
      ['00', `${own}01789dfadc`, '917e', "another key's form for the own"],
      ['05', otherKey(), '9140', 'a key that does not exist'],
    ];
    for (const [no, data, status, what] of wrong) {
      const card = anyBlankCard();
      const session = open(card);
      expect(askFull(session, 'c4', no, data), what).toBe(status);
      expect(deadSession(session), what).toBe(true);
      expect(card.memory.keys, what).toEqual(anyBlankCard().memory.keys);
    }
  });

  test('does not change without a session, nor in that of any key but 0, even for itself', () => {
    const card = anyBlankCard();
    card.process(SELECT);
    expect(plainly(card, 'c4', `01${otherKey()}`)).toBe('91ae');
    for (const no of [1, 2, 3, 4]) {
      expect(askFull(open(card, no), 'c4', `0${no}`, `${hex(NEW_KEY)}01`)).toBe('91ae');
      expect(askFull(open(card, no), 'c4', '00', otherKey())).toBe('91ae');
    }
    expect(card.memory.keys).toEqual(anyBlankCard().memory.keys);
  });

  test('does not change under a MAC alone', () => {
    const card = anyBlankCard();
    expect(ask(open(card), 'c4', `01${otherKey()}`)).toBe('911e');
    expect(card.memory.keys[1]?.version).toBe(0);
  });
});

describe('the settings of a file', () => {
  test('change to those of a ready card, in one session of key 0', () => {
    const [card, ready] = [anyBlankCard(), anyCard()];
    const session = open(card);
    const settings = { '00': '01301f', '04': '01301f', '1f': '0030ef', '01': '033011', '03': '03301f', '0f': '01101f' };
    for (const [no, wanted] of Object.entries(settings)) expect(askFull(session, '5f', no, wanted)).toBe('9100');
    for (const no of FILES) {
      const [made, wanted] = [card.memory.files.get(no), ready.memory.files.get(no)];
      expect(made?.access).toEqual(wanted?.access);
      expect(made?.mode).toBe(wanted?.mode);
    }
    expect(ask(session, 'f5', '00')).toBe('0001301f0001009100');
  });

  test('change with the key that they name, enciphered even for a plain file', () => {
    const card = anyBlankCard();
    expect(askFull(open(card), '5f', '1f', '000412')).toBe('9100');
    expect(askFull(open(card), '5f', '1f', '000112')).toBe('919d');
    expect(ask(open(card, 4), '5f', '1f000112')).toBe('911e');
    expect(askFull(open(card, 4), '5f', '1f', '000f12')).toBe('9100');
    expect(card.memory.files.get(0x1f)?.access).toEqual([0x0f, 0x12]);
  });

  test('never change again once they say so', () => {
    const card = anyBlankCard();
    expect(askFull(open(card), '5f', '04', '010f12')).toBe('9100');
    for (const no of [0, 1, 2, 3, 4]) expect(askFull(open(card, no), '5f', '04', '010012')).toBe('919d');
  });

  test('stay as they are when the command does not fit, and the session ends', () => {
    const wrong = [
      ['00', '0130', '917e', 'a byte too few'],
      ['00', '01301f00', '917e', 'a byte too many'],
      ['00', '02301f', '919e', 'a mode that is none'],
      ['00', '41301f', '919e', 'a mirror that the Light has not'],
      ['0f', '011011', '919e', 'a certificate file that may be written'],
      ['05', '01301f', '91f0', 'a file that is not there'],
    ] as const;
    for (const [no, data, status, what] of wrong) {
      const card = anyBlankCard();
      const session = open(card);
      expect(askFull(session, '5f', no, data), what).toBe(status);
      expect(deadSession(session), what).toBe(true);
      expect(card.memory.files, what).toEqual(anyBlankCard().memory.files);
    }
    const card = anyBlankCard();
    card.process(SELECT);
    expect(plainly(card, '5f', '0001301f')).toBe('91ae');
  });
});

describe('the certificate file', () => {
  const create = (session: Session, header = TMAC_HEADER) => askFull(session, 'ce', header, `${hex(TMAC_KEY)}07`);

  test('is deleted and made anew, with its counter, certificate and reader id at zero', () => {
    const card = anyCard();
    const session = open(card, 0, KEYS.app);
    expect(ask(session, 'df', '0f')).toBe('9100');
    expect(ask(session, '6f', '')).toBe('00041f01039100');
    expect(create(session)).toBe('9100');
    expect(ask(session, 'f5', '0f')).toBe('0500101f02079100');
    expect(card.memory.files.get(0x0f)).toEqual({
      kind: 'tmac',
      access: [0x10, 0x1f],
      mode: 'plain',
      key: TMAC_KEY,
      keyVersion: 7,
      tmc: 0,
      tmv: new Uint8Array(8),
      tmriPrev: new Uint8Array(16),
    });
  });

  test('certifies under its new key from number one on, and hides a reader id of zeros first', () => {
    const card = anyBlankCard();
    const session = open(card);
    expect(ask(session, 'df', '0f')).toBe('9100');
    expect(askFull(session, 'ad', '00000000010000')).toBe('009100');
    expect(create(session, '0f01001f02')).toBe('9100');
    const vectorOf = (label: string) => concat(bytes(`${label}00010080`), lsb(1, 4), UID);
    const record = '5a'.repeat(16);
    expect(ask(session, '8b', `01000000100000${record}`)).toBe('9100');
    const hidden = ask(session, 'c8', '11'.repeat(16)).slice(0, 32);
    expect(hex(openZeroIv(cmac(TMAC_KEY, vectorOf('a5')), bytes(hidden)))).toBe('00'.repeat(16));
    const tmi = `8b01000000100000${'00'.repeat(8)}${record}c8${'11'.repeat(16)}${hidden}${'00'.repeat(15)}`;
    const tmv = hex(shortMac(cmac(TMAC_KEY, vectorOf('5a')), bytes(tmi)));
    expect(ask(session, 'c7', '01')).toBe(`01000000${tmv}9100`);
  });

  test('is not made twice, nor with what no note names', () => {
    const before = anyBlankCard();
    const there = open(before);
    expect(create(there)).toBe('91de');
    expect(deadSession(there)).toBe(true);
    expect(create(open(before), '0e00101f02')).toBe('91de');
    expect(before.memory.files).toEqual(anyBlankCard().memory.files);
    const wrong = [
      ['0f00101f01', '919e', 'a key that is not AES'],
      ['0f02101f02', '919e', 'a mode that is none'],
      ['0f00101102', '919e', 'a file that may be written'],
      ['0e00101f02', '919e', 'another number'],
      ['0000101f02', '91de', 'a number that is taken'],
    ] as const;
    for (const [header, status, what] of wrong) {
      const card = anyBlankCard();
      const session = open(card);
      ask(session, 'df', '0f');
      expect(create(session, header), what).toBe(status);
      expect(deadSession(session), what).toBe(true);
      expect(card.memory.files.has(0x0f), what).toBe(false);
    }
    const short = open(anyBlankCard());
    expect(askFull(short, 'ce', TMAC_HEADER, hex(TMAC_KEY))).toBe('917e');
  });

  test('takes the reader id that waits for a commit along when it is deleted', () => {
    const card = anyBlankCard();
    const session = open(card);
    ask(session, 'c8', '11'.repeat(16));
    expect(ask(session, 'df', '0f')).toBe('9100');
    expect(create(session)).toBe('9100');
    expect(ask(session, 'c7', '01')).toBe('919d');
    expect(card.memory.files.get(0x0f)).toMatchObject({ tmc: 0 });
  });

  test('is made and deleted by key 0 alone', () => {
    const card = anyBlankCard();
    card.process(SELECT);
    expect(plainly(card, 'df', '0f')).toBe('91ae');
    expect(plainly(card, 'ce', `${TMAC_HEADER}${hex(TMAC_KEY)}07`)).toBe('91ae');
    for (const no of [1, 2, 3, 4]) {
      expect(ask(open(card, no), 'df', '0f')).toBe('919d');
      expect(create(open(card, no))).toBe('919d');
    }
    expect(card.memory.files.has(0x0f)).toBe(true);
  });

  test('is the only one that can be deleted, and only once', () => {
    const card = anyBlankCard();
    for (const no of ['00', '04', '1f', '01', '03']) {
      const session = open(card);
      expect(ask(session, 'df', no)).toBe('919d');
      expect(deadSession(session)).toBe(true);
    }
    expect(ask(open(card), 'df', '0f')).toBe('9100');
    expect(ask(open(card), 'df', '0f')).toBe('91f0');
    expect(card.memory.files.size).toBe(5);
  });
});

describe('the purse', () => {
  const limits = (lower: number, upper: number, value: number, flags = 0) =>
    hex(concat(lsb(lower, 4), lsb(upper, 4), lsb(value, 4), [flags]));

  test('gets its limits and its first value from key 0', () => {
    const card = anyBlankCard();
    const session = open(card);
    expect(askFull(session, '5c', '09', limits(0, 200_000, 0))).toBe('9100');
    expect(ask(session, 'f5', '03')).toBe('0201001200000000400d030000000000009100');
    expect(askFull(session, '5c', '09', limits(-5, 10, -5))).toBe('9100');
    expect(card.memory.files.get(3)).toMatchObject({ lower: -5, upper: 10, value: -5 });
    expect(ask(session, 'f5', '03')).toBe('02010012fbffffff0a00000000000000009100');
  });

  test('keeps them when the command does not fit, and the session ends', () => {
    const good = limits(0, 200_000, 0);
    const wrong = [
      ['09', good.slice(2), '917e', 'a byte too few'],
      ['09', `${good}00`, '917e', 'a byte too many'],
      ['09', limits(0, 10, 11), '919e', 'a value above its ceiling'],
      ['09', limits(5, 10, 4), '919e', 'a value below its floor'],
      ['09', limits(0, 10, 0, 1), '919e', 'LimitedCredit, which this card has not'],
      ['00', '02', '919e', 'a random UID, for ever'],
      ['05', '00000000000000000200', '919e', 'LRP, for ever'],
    ] as const;
    for (const [option, data, status, what] of wrong) {
      const card = anyBlankCard();
      const session = open(card);
      expect(askFull(session, '5c', option, data), what).toBe(status);
      expect(deadSession(session), what).toBe(true);
      expect(card.memory.files, what).toEqual(anyBlankCard().memory.files);
    }
  });

  test('is configured by key 0 alone', () => {
    const card = anyBlankCard();
    card.process(SELECT);
    expect(plainly(card, '5c', `09${limits(0, 1, 0)}`)).toBe('91ae');
    for (const no of [1, 2, 3, 4]) expect(askFull(open(card, no), '5c', '09', limits(0, 1, 0))).toBe('919d');
  });
});

describe('a written file', () => {
  const statement = 'ab'.repeat(100);
  const head = '000500006400' + '00';

  test('holds its data at once, and an abort does not undo them', () => {
    const card = anyBlankCard();
    const session = open(card);
    expect(askFull(session, '8d', head, statement)).toBe('9100');
    expect(ask(session, 'a7', '')).toBe('9100');
    card.reset();
    expect(hex(content(card, 0x00))).toBe(`${'00'.repeat(5)}${statement}${'00'.repeat(151)}`);
    expect(askFull(open(card, 2), '8d', '00ff0000010000', '77')).toBe('9100');
    expect(content(card, 0x00)[255]).toBe(0x77);
  });

  test('is written in its own mode: under a MAC, enciphered, or plain', () => {
    const card = anyBlankCard();
    expect(askFull(open(card), '5f', '04', '00301f')).toBe('9100');
    const session = open(card, 3);
    expect(hex(session.send(wrap('8d', '040000000200001234')))).toBe('9100');
    session.ctr += 1;
    expect(ask(session, '64', '00')).toBe('009100');
    expect(ask(open(card), '8d', '1f0000000200005678')).toBe('9100');
    expect(hex(content(card, 0x04).slice(0, 3))).toBe('123400');
    expect(hex(content(card, 0x1f).slice(0, 3))).toBe('567800');
    expect(ask(open(card), '8d', '00000000020000' + '9abc')).toBe('911e');
    expect(hex(content(card, 0x00).slice(0, 2))).toBe('0000');
  });

  test('enters the certificate of the transaction that it was written in', () => {
    const card = anyBlankCard();
    const session = open(card);
    expect(askFull(session, '8d', head, statement)).toBe('9100');
    const hidden = ask(session, 'c8', '22'.repeat(16)).slice(0, 32);
    const tmi =
      `8d${head}${'00'.repeat(8)}${statement}${'00'.repeat(12)}` + `c8${'22'.repeat(16)}${hidden}${'00'.repeat(15)}`;
    const key = cmac(FACTORY_KEY, concat(bytes('5a00010080'), lsb(1, 4), UID));
    expect(ask(session, 'c7', '01')).toBe(`01000000${hex(shortMac(key, bytes(tmi)))}9100`);
  });

  test('stays as it is when the command does not fit, and the session ends', () => {
    const wrong = [
      [0, '00ff0000020000', '1234', '91be', 'past its end'],
      [0, '00000000000000', '', '91be', 'nothing'],
      [0, '00000000030000', '1234', '917e', 'fewer bytes than announced'],
      [0, '05000000020000', '1234', '91f0', 'a file that is not there'],
      [0, '01000000020000', '1234', '917e', 'a record file, enciphered'],
      [1, '00000000020000', '1234', '919d', 'with the key that reads'],
      [3, '00000000020000', '1234', '919d', 'with a key that has no right'],
    ] as const;
    for (const [keyNo, header, data, status, what] of wrong) {
      const card = anyBlankCard();
      const session = open(card, keyNo);
      expect(askFull(session, '8d', header, data), what).toBe(status);
      expect(deadSession(session), what).toBe(true);
      expect(card.memory.files, what).toEqual(anyBlankCard().memory.files);
    }
    const card = anyBlankCard();
    card.process(SELECT);
    expect(plainly(card, '8d', '000000000200001234')).toBe('91ae');
    expect(ask(open(card), '8d', '010000000200001234')).toBe('919d');
  });
});
