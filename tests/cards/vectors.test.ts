/** Every published vector is a test, and a new kind in the file must become one. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cmac, decrypt, double, encrypt, pad2, truncate } from '../../cards/aes.ts';
import { native } from '../../cards/apdu.ts';
import { changeKeyData, crc32 } from '../../cards/changekey.ts';
import { type Command, commands, little } from '../../cards/commands.ts';
import { diversifier } from '../../cards/diversify.ts';
import { genuine } from '../../cards/originality.ts';
import {
  answerChallenge,
  type Challenge,
  iv,
  openFirst,
  openNonFirst,
  type Protection,
  type Session,
  sessionKeys,
  unwrap,
  wrap,
} from '../../cards/session.ts';
import { openFileData, openPiccData, type SunTap, sunHolds, sunKeys } from '../../cards/sun.ts';
import { type CoveredCommand, previousTmri, tmv, transactionInput, transactionKeys } from '../../cards/tmac.ts';
import { bytes, flips, hex } from './hex.ts';

type Fields = Readonly<Record<string, string | number | boolean>>;
interface Vector {
  readonly name: string;
  readonly source: string;
  readonly kind: string;
  readonly inputs: Fields;
  readonly expected: Fields;
}

/** Hex fields of a vector, by name; one that is missing fails the test. */
const taken = (fields: Fields) => (name: string) => {
  const value = fields[name];
  if (typeof value !== 'string') throw new Error(`the vector has no ${name}`);
  return bytes(value);
};
const number = (fields: Fields, name: string): number => {
  const value = fields[name];
  if (typeof value !== 'number') throw new Error(`the vector has no number ${name}`);
  return value;
};
const protection = (inputs: Fields): Protection => (inputs.commMode === 'full' ? 'full' : 'mac');

function sessionOf(inputs: Fields, ctr: number): Session {
  const at = taken(inputs);
  const encKey = inputs.sesAuthEncKey === undefined ? new Uint8Array(16) : at('sesAuthEncKey');
  return { encKey, macKey: at('sesAuthMacKey'), ti: at('ti'), ctr };
}

function tmacKeys(inputs: Fields) {
  const at = taken(inputs);
  return transactionKeys(at('tmacKey'), at('uid'), number(inputs, 'tmc'));
}

/** Compares the fields that the vector gives, and refuses one that was not computed. */
function agree(expected: Fields, computed: Readonly<Record<string, Uint8Array | Fields[string] | undefined>>): void {
  for (const [name, value] of Object.entries(expected)) {
    const ours = computed[name];
    if (ours === undefined) throw new Error(`nothing was computed for ${name}`);
    expect([name, ours instanceof Uint8Array ? hex(ours) : ours]).toEqual([name, value]);
  }
}

function sessionVector({ key, rndA, rndB }: Challenge): Uint8Array {
  const mixed = rndA.slice(2, 8).map((byte, i) => byte ^ (rndB[i] ?? 0));
  const head = [0xa5, 0x5a, 0x00, 0x01, 0x00, 0x80, ...rndA.slice(0, 2), ...mixed];
  const vector = Uint8Array.of(...head, ...rndB.slice(6), ...rndA.slice(8));
  expect(hex(cmac(key, vector))).toBe(hex(sessionKeys({ key, rndA, rndB }).encKey));
  return vector;
}

function checkAuthentication({ inputs, expected }: Vector): void {
  const at = taken(inputs);
  const first = inputs.command === 'First';
  const answer = answerChallenge(at('key'), at('rndA'), at('encRndB'));
  if (answer === null) throw new Error('the challenge was refused');
  const before = { encKey: new Uint8Array(16), macKey: new Uint8Array(16), ti: bytes('7614281a'), ctr: 3 };
  const session = first
    ? openFirst(answer.challenge, at('response2'))
    : openNonFirst(answer.challenge, before, at('response2'));
  if (session === null) throw new Error('the card was refused');
  expect(session.ctr).toBe(first ? 0 : before.ctr);
  const plain = decrypt(at('key'), new Uint8Array(16), at('response2'));
  agree(expected, {
    rndB: answer.challenge.rndB,
    command2Data: answer.data,
    ti: session.ti,
    pdCap2: plain.slice(20, 26),
    pcdCap2: plain.slice(26, 32),
    sv1: sessionVector(answer.challenge),
    sesAuthEncKey: session.encKey,
    sesAuthMacKey: session.macKey,
  });
  const ins = first ? commands.authenticateFirst.ins : commands.authenticateNonFirst.ins;
  const data = first ? Uint8Array.of(...at('keyNo'), 0x00) : at('keyNo');
  expect(hex(native(ins, data))).toBe(inputs.apdu1);
}

function checkCommand({ inputs, expected }: Vector): void {
  const at = taken(inputs);
  const session = sessionOf(inputs, number(inputs, 'cmdCtr'));
  const ins = at('ins')[0] ?? 0;
  const command: Command = { ins, header: at('header').length, mode: 'mac' };
  const declared = Object.values(commands).find((each) => each.ins === ins);
  expect(declared?.header).toBe(command.header);
  const data = inputs.data === undefined ? new Uint8Array() : at('data');
  const apdu = wrap(session, command, protection(inputs), at('header'), data);
  const wrapped = apdu.slice(5, -1);
  const covered = wrapped.slice(0, -8);
  const macInput = Uint8Array.of(ins, ...little(session.ctr, 2), ...session.ti, ...covered);
  agree(expected, {
    apdu,
    macInput,
    cmac: cmac(session.macKey, macInput),
    mact: wrapped.slice(-8),
    iv: iv('command', session.encKey, session.ti, session.ctr),
    cipher: covered.slice(command.header),
  });
  expect(hex(truncate(cmac(session.macKey, macInput)))).toBe(hex(wrapped.slice(-8)));
}

function checkResponse({ inputs, expected }: Vector): void {
  const at = taken(inputs);
  const session = sessionOf(inputs, number(inputs, 'cmdCtrAfter') - 1);
  const response = Uint8Array.of(...at('payload'), ...taken(expected)('mact'));
  const plain = unwrap(session, protection(inputs), { data: response, status: 0x9100 });
  expect(hex(plain ?? bytes('bad0'))).toBe(expected.plain ?? inputs.payload);
  for (const flipped of flips(response)) {
    expect(unwrap(session, protection(inputs), { data: flipped, status: 0x9100 })).toBeNull();
  }
  if (expected.iv === undefined) return;
  expect(hex(iv('reply', session.encKey, session.ti, session.ctr + 1))).toBe(expected.iv);
}

function checkChangeKey({ inputs, expected }: Vector): void {
  const at = taken(inputs);
  const session = sessionOf(inputs, number(inputs, 'cmdCtr'));
  const oldKey = inputs.oldKey === undefined ? null : at('oldKey');
  const data = changeKeyData(at('newKey'), at('keyVersion')[0] ?? 0, oldKey);
  const apdu = wrap(session, commands.changeKey, 'full', at('keyNo'), data);
  const covered = apdu.slice(5, -9);
  const macInput = Uint8Array.of(0xc4, ...little(session.ctr, 2), ...session.ti, ...covered);
  agree(expected, {
    apdu,
    crc32: crc32(at('newKey')),
    plain: pad2(data),
    iv: iv('command', session.encKey, session.ti, session.ctr),
    cipher: covered.slice(1),
    cmac: cmac(session.macKey, macInput),
    mact: apdu.slice(-9, -1),
  });
}

/** The file that holds the certificate of a real card names its commands in its own spelling. */
interface RealCommand {
  readonly fileNo: string;
  readonly offset: number;
  readonly data: string;
}

function checkCertificate(vector: Vector): void {
  const {
    commands: real,
    commitReaderId,
    tmi,
    tmcWire,
  } = vector.inputs as unknown as {
    commands: readonly RealCommand[];
    commitReaderId: { tmriCur: string; tmriPrev: string };
    tmi: string;
    tmcWire: string;
  };
  const keys = tmacKeys(vector.inputs);
  const encTmri = hex(encrypt(keys.encKey, new Uint8Array(16), bytes(commitReaderId.tmriPrev.toLowerCase())));
  const covered: CoveredCommand[] = real.map((each) => {
    return { ins: '8B', file: Number.parseInt(each.fileNo, 16), offset: each.offset, data: each.data };
  });
  covered.push({ ins: 'C8', tmri: commitReaderId.tmriCur.toLowerCase(), encTmri });
  const input = transactionInput(covered);
  expect(hex(input)).toBe(tmi);
  expect(hex(previousTmri(keys, bytes(encTmri)))).toBe(commitReaderId.tmriPrev.toLowerCase());
  expect(tmcWire).toBe(hex(little(number(vector.inputs, 'tmc'), 4)));
  agree(vector.expected, { encTmri: bytes(encTmri), tmv: tmv(keys, input) });
}

function tapOf(inputs: Fields): SunTap {
  const at = taken(inputs);
  if (inputs.encPicc === undefined) return { uid: at('uid'), counter: number(inputs, 'readCtr') };
  const tap = openPiccData(at('metaReadKey'), at('encPicc'));
  if (tap === null) throw new Error('the PICCData were refused');
  return tap;
}

/** The vector that one of both session keys is the CMAC of. */
function sunVector(label: string, { uid, counter }: SunTap, fileKey: Uint8Array, key: Uint8Array): Uint8Array {
  const vector = Uint8Array.of(...bytes(`${label}00010080`), ...uid, ...little(counter, 3));
  expect(hex(cmac(fileKey, vector))).toBe(hex(key));
  return vector;
}

function checkSun({ inputs, expected }: Vector): void {
  const at = taken(inputs);
  const tap = tapOf(inputs);
  const fileKey = at('fileReadKey');
  const keys = sunKeys(fileKey, tap);
  const macInput = Buffer.from(String(inputs.macInputAscii ?? ''), 'latin1');
  const mac = cmac(keys.macKey, macInput);
  agree(expected, {
    piccData: inputs.encPicc && decrypt(at('metaReadKey'), new Uint8Array(16), at('encPicc')),
    uid: tap.uid,
    readCtr: tap.counter,
    sv1: sunVector('c33c', tap, fileKey, keys.encKey),
    sv2: sunVector('3cc3', tap, fileKey, keys.macKey),
    sesSdmEncKey: keys.encKey,
    sesSdmMacKey: keys.macKey,
    cmac: mac,
    mact: truncate(mac),
    filePlain: inputs.encFileData && openFileData(keys, tap.counter, at('encFileData')),
  });
  if (expected.mact !== undefined) expect(sunHolds(keys, macInput, taken(expected)('mact'))).toBe(true);
}

const checks: Readonly<Record<string, (vector: Vector) => void>> = {
  'aes-cmac': ({ inputs, expected }) => agree(expected, { cmac: cmac(taken(inputs)('key'), taken(inputs)('message')) }),
  'aes-cmac-subkeys': ({ inputs, expected }) => {
    const k1 = double(encrypt(taken(inputs)('key'), new Uint8Array(16), new Uint8Array(16)));
    agree(expected, { k1, k2: double(k1) });
  },
  'an10922-aes128': ({ inputs, expected }) =>
    agree(expected, { key: diversifier(taken(inputs)('masterKey'))(taken(inputs)('divInput')) }),
  'ev2-auth': checkAuthentication,
  'ev2-session-keys': ({ inputs, expected }) => {
    const at = taken(inputs);
    const { encKey, macKey } = sessionKeys({ key: at('key'), rndA: at('rndA'), rndB: at('rndB') });
    agree(expected, { sesAuthEncKey: encKey, sesAuthMacKey: macKey });
  },
  'ev2-iv': ({ inputs, expected }) => {
    const at = taken(inputs);
    const direction = inputs.direction === 'command' ? 'command' : 'reply';
    agree(expected, { iv: iv(direction, at('sesAuthEncKey'), at('ti'), number(inputs, 'cmdCtr')) });
  },
  'ev2-command': checkCommand,
  'ev2-response': checkResponse,
  'ev2-changekey': checkChangeKey,
  'crc32-jamcrc': ({ inputs, expected }) => agree(expected, { crc32: crc32(taken(inputs)('data')) }),
  'tmac-session-keys': ({ inputs, expected }) => {
    const { macKey, encKey } = tmacKeys(inputs);
    agree(expected, { sesTmMacKey: macKey, sesTmEncKey: encKey });
  },
  'tmac-tmv-raw': ({ inputs, expected }) => agree(expected, { tmv: tmv(tmacKeys(inputs), taken(inputs)('tmi')) }),
  'tmac-readerid': ({ inputs, expected }) =>
    agree(expected, { tmriPrev: previousTmri(tmacKeys(inputs), taken(inputs)('encTmri')) }),
  'tmac-tmv': checkCertificate,
  sdm: checkSun,
  'originality-secp224r1': ({ inputs, expected }) => {
    const at = taken(inputs);
    agree(expected, { valid: genuine(at('uid'), at('signature'), hex(at('publicKey'))) });
  },
};

// Compiled tests run from dist; the vectors stay in the source folder, and the test runner starts at the root.
const file = join(process.cwd(), 'tests', 'cards', 'card-vectors.json');
const vectors = JSON.parse(readFileSync(file, 'utf8')) as readonly Vector[];

describe('published vectors', () => {
  test('every kind in the file is tested', () => {
    const kinds = [...new Set(vectors.map(({ kind }) => kind))].sort();
    expect(kinds).toEqual(Object.keys(checks).sort());
    expect(vectors).toHaveLength(49);
  });
  for (const vector of vectors) {
    const check = checks[vector.kind];
    if (check !== undefined) test(`${vector.name} (${vector.source})`, () => check(vector));
  }
});
