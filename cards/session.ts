/** EV2 secure messaging: authentication, session keys, and the wrapping of commands and replies (CARDS section 3). */
import { BLOCK, cmac, decrypt, encrypt, equal, pad2, truncate, unpad2, xorInto } from './aes.ts';
import { native, OK, type Response } from './apdu.ts';
import { type Command, little } from './commands.ts';

const ZERO = new Uint8Array(BLOCK);
const CTR_MAX = 0xffff;
const MAC_LENGTH = 8;

/** One authenticated session. It never changes: `advance` gives the session after one more command and reply. */
export interface Session {
  readonly encKey: Uint8Array;
  readonly macKey: Uint8Array;
  /** Transaction identifier, 4 bytes, chosen by the card. */
  readonly ti: Uint8Array;
  /** Commands answered since the first authentication, plain ones too. */
  readonly ctr: number;
}

/** The protection of one command once the file's settings are known. */
export type Protection = 'plain' | 'mac' | 'full';

function rotate(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length);
  out.set(bytes.subarray(1));
  out[bytes.length - 1] = bytes[0] ?? 0;
  return out;
}

/** What the reader knows between the two steps of an authentication. */
export interface Challenge {
  readonly key: Uint8Array;
  readonly rndA: Uint8Array;
  readonly rndB: Uint8Array;
}

/**
 * Answers the card's enciphered challenge (CARDS section 3.1): the data of the second command, 32 bytes.
 * @param rndA 16 random bytes, never used before
 * @returns null if the card's challenge has not 16 bytes.
 */
export function answerChallenge(
  key: Uint8Array,
  rndA: Uint8Array,
  encRndB: Uint8Array,
): { challenge: Challenge; data: Uint8Array } | null {
  if (encRndB.length !== BLOCK) return null;
  const rndB = decrypt(key, ZERO, encRndB);
  const plain = new Uint8Array(2 * BLOCK);
  plain.set(rndA);
  plain.set(rotate(rndB), BLOCK);
  return { challenge: { key, rndA, rndB }, data: encrypt(key, ZERO, plain) };
}

/**
 * Opens the session of AuthenticateEV2First from the card's last answer (32 bytes).
 * @returns null if the card did not prove the key or does not echo our capabilities (none: six zeros).
 */
export function openFirst(challenge: Challenge, answer: Uint8Array): Session | null {
  if (answer.length !== 2 * BLOCK) return null;
  const plain = decrypt(challenge.key, ZERO, answer);
  if (!equal(plain.subarray(4, 20), rotate(challenge.rndA))) return null;
  if (!equal(plain.subarray(26, 32), ZERO.subarray(0, 6))) return null;
  return { ...sessionKeys(challenge), ti: plain.slice(0, 4), ctr: 0 };
}

/**
 * Opens the session of AuthenticateEV2NonFirst (16 bytes): new keys, while TI and counter carry on (CARDS section 3.2).
 * @returns null if the card did not prove the key.
 */
export function openNonFirst(challenge: Challenge, before: Session, answer: Uint8Array): Session | null {
  if (answer.length !== BLOCK) return null;
  if (!equal(decrypt(challenge.key, ZERO, answer), rotate(challenge.rndA))) return null;
  return { ...sessionKeys(challenge), ti: before.ti, ctr: before.ctr };
}

/** Session keys from both challenges (CARDS section 3.3). */
export function sessionKeys({ key, rndA, rndB }: Challenge): Pick<Session, 'encKey' | 'macKey'> {
  const vector = new Uint8Array(32);
  vector.set(rndA.subarray(0, 8), 6);
  xorInto(vector, rndB.subarray(0, 6), 8);
  vector.set(rndB.subarray(6), 14);
  vector.set(rndA.subarray(8), 24);
  const derive = (label: readonly number[]) => {
    vector.set([...label, 0x00, 0x01, 0x00, 0x80]);
    return cmac(key, vector);
  };
  return { encKey: derive([0xa5, 0x5a]), macKey: derive([0x5a, 0xa5]) };
}

/** IV of a command's data, or of a reply's data with the counter already advanced (CARDS section 3.4). */
export function iv(direction: 'command' | 'reply', encKey: Uint8Array, ti: Uint8Array, ctr: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  block.set(direction === 'command' ? [0xa5, 0x5a] : [0x5a, 0xa5]);
  block.set(ti, 2);
  block.set(little(ctr, 2), 6);
  return encrypt(encKey, ZERO, block);
}

/** MAC over a command or reply: first byte is the INS, or 00 for a reply, whose counter is already advanced. */
function mac(session: Session, first: number, ctr: number, payload: Uint8Array): Uint8Array {
  const input = new Uint8Array(7 + payload.length);
  input[0] = first;
  input.set(little(ctr, 2), 1);
  input.set(session.ti, 3);
  input.set(payload, 7);
  return truncate(cmac(session.macKey, input));
}

/**
 * Builds the APDU of one command inside a session; `advance` the session for the next.
 * @throws RangeError when the counter is used up: it may not wrap (CARDS section 3.4).
 */
export function wrap(
  session: Session,
  command: Command,
  protection: Protection,
  header: Uint8Array,
  data: Uint8Array = new Uint8Array(),
): Uint8Array {
  if (session.ctr >= CTR_MAX) throw new RangeError('the command counter of this session is used up');
  if (header.length !== command.header) throw new RangeError(`header of ${header.length}, not ${command.header} bytes`);
  const enciphers = protection === 'full' && data.length > 0;
  const body = enciphers
    ? encrypt(session.encKey, iv('command', session.encKey, session.ti, session.ctr), pad2(data))
    : data;
  const signed = new Uint8Array(header.length + body.length);
  signed.set(header);
  signed.set(body, header.length);
  if (protection === 'plain') return native(command.ins, signed);
  const whole = new Uint8Array(signed.length + MAC_LENGTH);
  whole.set(signed);
  whole.set(mac(session, command.ins, session.ctr, signed), signed.length);
  return native(command.ins, whole);
}

/** The session after one command and its reply. */
export function advance(session: Session): Session {
  return { ...session, ctr: session.ctr + 1 };
}

/**
 * Checks and opens the reply to the command that was wrapped with this same session.
 * @returns the plain data, or null unless the status is 9100 and the MAC, the card's only proof, is right.
 */
export function unwrap(session: Session, protection: Protection, response: Response): Uint8Array | null {
  if (response.status !== OK) return null;
  if (protection === 'plain') return response.data;
  if (response.data.length < MAC_LENGTH) return null;
  const ctr = session.ctr + 1;
  const payload = response.data.subarray(0, -MAC_LENGTH);
  if (!equal(mac(session, 0x00, ctr, payload), response.data.subarray(-MAC_LENGTH))) return null;
  if (protection === 'mac' || payload.length === 0) return payload;
  if (payload.length % BLOCK !== 0) return null;
  return unpad2(decrypt(session.encKey, iv('reply', session.encKey, session.ti, ctr), payload));
}
