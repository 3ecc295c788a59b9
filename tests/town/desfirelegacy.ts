/** How the emulated DESFire speaks under a DES master key: Authenticate, ChangeKey and ChangeKeySettings of old. */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { answer, type Core, forget, type LegacySession, refuse, STATUS } from './cardcore.ts';
import { concat, lsb, same, turned } from './cardcrypto.ts';
import type { CardMemory } from './cardfiles.ts';
import { checksum } from './cardsettings.ts';

const INS = { native: 0x0a, iso: 0x1a, more: 0xaf, changeKey: 0xc4, changeSettings: 0x54 } as const;
/** What goes in plain in a native session (proxmark3, desfiresecurechan.c, channel D40; libfreefare agrees). */
const PLAIN: readonly number[] = [0x5a, 0x60, 0x6a, 0x45, 0x64, 0xca, 0xda, 0xfc];
const BLOCK = 8;
const ZEROS = new Uint8Array(BLOCK);
const KEY_BYTES = 16;
/** ChangeKey at master level: the upper two bits of the key's number are the new key's kind, 10 being AES. */
export const AES_MASTER = 0x80;

/** Single DES: its key three times over, which is the same to triple DES. */
const tripled = (key: Uint8Array): Uint8Array => concat(key.subarray(0, 8), key.subarray(0, 8), key.subarray(0, 8));

function encipher(key: Uint8Array, block: Uint8Array): Uint8Array {
  const machine = createCipheriv('des-ede3-ecb', tripled(key), null).setAutoPadding(false);
  return Uint8Array.from(machine.update(block));
}

function decipher(key: Uint8Array, block: Uint8Array): Uint8Array {
  const machine = createDecipheriv('des-ede3-ecb', tripled(key), null).setAutoPadding(false);
  return Uint8Array.from(machine.update(block));
}

const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((byte, i) => byte ^ (b[i] ?? 0));

/**
 * What a reader sent, in plain. A native reader only ever deciphers, chaining what it made to what comes next, so that
 * the card enciphers; an ISO reader uses CBC as everybody does. (libfreefare, mifare_desfire_crypto.c, mifare_cbc_des.)
 */
function opened({ scheme, chain }: LegacySession, key: Uint8Array, sent: Uint8Array): Uint8Array {
  let before = scheme === 'native' ? ZEROS : chain;
  const out: Uint8Array[] = [];
  for (let at = 0; at < sent.length; at += BLOCK) {
    const block = sent.subarray(at, at + BLOCK);
    out.push(xor(scheme === 'native' ? encipher(key, block) : decipher(key, block), before));
    before = block;
  }
  return concat(...out);
}

/** CRC of ISO 14443 type A, least byte first. */
function checksum16(data: Uint8Array): Uint8Array {
  let sum = 0x6363;
  for (const byte of data) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 1 ? (sum >>> 1) ^ 0x8408 : sum >>> 1;
  }
  return lsb(sum, 2);
}

/** First half: the card's enciphered challenge (libfreefare, mifare_desfire.c, authenticate). */
function challenge(core: Core, scheme: LegacySession['scheme'], data: Uint8Array): Uint8Array {
  const [key] = core.memory.keys;
  if (data.length !== 1) return refuse(core, STATUS.length);
  if (data[0] !== 0) return refuse(core, STATUS.noKey);
  // The error byte where the key is an AES key is assumed.
  if (key?.des !== true) return refuse(core, STATUS.authentication);
  forget(core);
  const rndB = core.random(BLOCK);
  const sent = encipher(key.key, rndB);
  core.live.legacy = { scheme, rndB, chain: sent, key: null };
  return answer(sent, STATUS.more);
}

/** Second half; the session's key is made of both challenges' first halves. */
function prove(core: Core, legacy: LegacySession, data: Uint8Array): Uint8Array {
  const { scheme, rndB } = legacy;
  const master = core.memory.keys[0]?.key ?? new Uint8Array(KEY_BYTES);
  if (data.length !== 2 * BLOCK) return refuse(core, STATUS.length);
  const plain = opened(legacy, master, data);
  const rndA = plain.subarray(0, BLOCK);
  if (!same(plain.subarray(BLOCK), turned(rndB))) return refuse(core, STATUS.authentication);
  const before = scheme === 'native' ? ZEROS : data.subarray(BLOCK);
  const key = concat(rndA.subarray(0, 4), rndB.subarray(0, 4));
  core.live.legacy = { scheme, rndB, chain: ZEROS, key };
  return answer(encipher(master, xor(turned(rndA), before)), STATUS.ok);
}

/** Data with the checksum that this session protects them with, filled with zeros to whole blocks. */
function checked(scheme: LegacySession['scheme'], header: Uint8Array, data: Uint8Array): Uint8Array {
  const whole = concat(data, scheme === 'native' ? checksum16(data) : checksum(concat(header, data)));
  return concat(whole, new Uint8Array((BLOCK - (whole.length % BLOCK)) % BLOCK));
}

/** The data of an enciphered command, or the second status byte of an error. */
function received(legacy: LegacySession, key: Uint8Array, header: Uint8Array, sent: Uint8Array, length: number) {
  const expected = checked(legacy.scheme, header, new Uint8Array(length)).length;
  if (sent.length !== expected) return STATUS.length;
  const plain = opened(legacy, key, sent);
  const data = plain.slice(0, length);
  return same(checked(legacy.scheme, header, data), plain) ? data : STATUS.integrity;
}

/**
 * `C4 80`: new key 16 ‖ version 1 ‖ checksum (libfreefare, mifare_desfire_change_key; NXP's answers 17726 and 20373 on
 * the mifare.net forum). To a key that is not AES this card changes nothing: nobody here does that.
 */
function changeKey(core: Core, legacy: LegacySession, key: Uint8Array, body: Uint8Array): Uint8Array {
  const header = Uint8Array.of(INS.changeKey, body[0] ?? 0);
  if (body[0] !== AES_MASTER) return refuse(core, STATUS.parameter);
  const data = received(legacy, key, header, body.subarray(1), KEY_BYTES + 1);
  if (typeof data === 'number') return refuse(core, data);
  if (((core.memory.keySettings ?? 0) & 0x01) === 0) return refuse(core, STATUS.denied);
  core.memory.keys[0] = { key: data.slice(0, KEY_BYTES), version: data[KEY_BYTES] ?? 0 };
  forget(core);
  return answer(new Uint8Array(), STATUS.ok);
}

/** `54`: settings 1 ‖ checksum (a card's bytes are in the mifare.net forum's answer 18844). */
function changeSettings(core: Core, legacy: LegacySession, key: Uint8Array, body: Uint8Array): Uint8Array {
  const data = received(legacy, key, Uint8Array.of(INS.changeSettings), body, 1);
  if (typeof data === 'number') return refuse(core, data);
  if (!settable(core.memory)) return refuse(core, STATUS.denied);
  core.memory.keySettings = data[0] ?? 0;
  return answer(new Uint8Array(), STATUS.ok);
}

/** Whether key settings may be changed: bit 3 (proxmark3, desfirecore.c, PrintKeySettings). */
export const settable = ({ keySettings = 0 }: CardMemory): boolean => (keySettings & 0x08) !== 0;

/**
 * Answers what belongs to DES at master level, or null. In an ISO session this card knows ChangeKey only, whose answer
 * has no MAC: that is what libfreefare's code shows without a doubt; everything else is refused.
 */
export function legacyCommand(core: Core, ins: number, data: Uint8Array): Uint8Array | null {
  if (core.live.challenge !== null || core.live.frames !== null) return null;
  if (ins === INS.native || ins === INS.iso) return challenge(core, ins === INS.native ? 'native' : 'iso', data);
  const { legacy } = core.live;
  if (legacy === null) return null;
  if (legacy.key === null) return ins === INS.more ? prove(core, legacy, data) : refuse(core, STATUS.aborted);
  if (ins === INS.changeKey) return changeKey(core, legacy, legacy.key, data);
  if (ins === INS.changeSettings && legacy.scheme === 'native') return changeSettings(core, legacy, legacy.key, data);
  if (ins === INS.more || (legacy.scheme === 'native' && PLAIN.includes(ins))) return null;
  return refuse(core, STATUS.authentication);
}
