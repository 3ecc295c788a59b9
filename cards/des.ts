/** The one use of DES: a new EV2 or EV3 lets its master key of zeros be replaced by an AES key of ours. */
import { createDecipheriv } from 'node:crypto';
import { equal } from './aes.ts';
import { MORE, native, OK } from './apdu.ts';
import { commands, little } from './commands.ts';
import { plain } from './opening.ts';
import { type Failure, failure, type Script } from './script.ts';

const BLOCK = 8;
const FACTORY_KEY = new Uint8Array(BLOCK);
/** In the number of the key that is changed at the card's own level: the new one is AES. */
const AES = 0x80;

/**
 * DES decryption block by block, which is all that a reader ever does under native DES authentication: the card
 * enciphers. Three times the same key in Triple DES is DES, which OpenSSL offers by that name alone.
 */
function decipher(key: Uint8Array, blocks: Uint8Array): Uint8Array {
  const machine = createDecipheriv('des-ede3-ecb', Uint8Array.of(...key, ...key, ...key), null);
  return new Uint8Array(machine.setAutoPadding(false).update(blocks));
}

/** What is sent: each block mixed with the one before it as sent, zeros at first, and then deciphered. */
function sending(key: Uint8Array, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(data.length);
  for (let at = 0; at < data.length; at += BLOCK) {
    const mixed = data.slice(at, at + BLOCK).map((byte, i) => byte ^ (at === 0 ? 0 : (out[at - BLOCK + i] ?? 0)));
    out.set(decipher(key, mixed), at);
  }
  return out;
}

const rotate = (bytes: Uint8Array) => Uint8Array.of(...bytes.subarray(1), ...bytes.subarray(0, 1));

/** CRC_A of ISO 14443-3: reflected, begun at 6363, 2 bytes little-endian. */
export function crc16(data: Uint8Array): Uint8Array {
  let crc = 0x6363;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x8408 : 0);
  }
  return little(crc, 2);
}

/**
 * Native authentication 0A under the factory's master key of zeros, at the card's own level: `0A 00 · AF`. Whoever
 * listens knows the session's key, and with it whatever is written in the session.
 * @param rndA 8 random bytes, used once
 * @returns the session's key for DES, 8 bytes.
 */
export function* authenticateDes(rndA: Uint8Array): Script<{ readonly ok: true; readonly key: Uint8Array } | Failure> {
  const at = 'factory key';
  const asked = yield* plain(at, native(commands.authenticateDes.ins, Uint8Array.of(0)), MORE);
  if (!asked.ok) return asked;
  if (asked.data.length !== BLOCK) return failure(at, 'garbled', 'not-executed', MORE);
  const rndB = decipher(FACTORY_KEY, asked.data);
  const token = sending(FACTORY_KEY, Uint8Array.of(...rndA, ...rotate(rndB)));
  const proved = yield* plain(at, native(commands.additionalFrame.ins, token), OK);
  if (!proved.ok) return proved;
  const answer = proved.data.length === BLOCK ? decipher(FACTORY_KEY, proved.data) : null;
  if (answer === null || !equal(answer, rotate(rndA))) return failure(at, 'garbled', 'not-executed', OK);
  return { ok: true, key: Uint8Array.of(...rndA.subarray(0, 4), ...rndB.subarray(0, 4)) };
}

/**
 * ChangeKey of the master key from DES to AES, in the session of the one before: `C4 80 ‖ key ‖ version ‖ CRC16 ‖
 * zeros`, all but the first two under the session's key. Its reply proves nothing.
 * @param key of the session, 8 bytes
 * @param next 16 bytes
 */
export function changeMasterKey(key: Uint8Array, next: Uint8Array, version: number): Uint8Array {
  const data = Uint8Array.of(...next, version);
  const padded = new Uint8Array(3 * BLOCK);
  padded.set(data);
  padded.set(crc16(data), data.length);
  return native(commands.changeKey.ins, Uint8Array.of(AES, ...sending(key, padded)));
}
