/** Payment with an NTAG 424: the kiosk fetches a challenge, the hub alone has the key and proves it in one command. */
import { BLOCK, decrypt, equal } from './aes.ts';
import { MORE, native, OK, parseResponse } from './apdu.ts';
import { commands } from './commands.ts';
import { NTAG, TAG_KEY_NO } from './layout.ts';
import { plain, selectOurs } from './opening.ts';
import { type Failure, failure, type Script } from './script.ts';
import { answerChallenge, openFirst, type Session } from './session.ts';

/** What the hub needs to go on with the card in the field; it opens nothing. */
export interface TagStart {
  readonly ok: true;
  /** The card's challenge for key 1, 16 bytes. */
  readonly challenge: Uint8Array;
}

/**
 * The kiosk's half, without any key: `Select · 71 key 1` (TRUTH section 14). The card binds no amount: the hub asks for
 * the proof for one amount, and books that one.
 */
export function* startTagPayment(): Script<TagStart | Failure> {
  const selected = yield* selectOurs(NTAG);
  if (!selected.ok) return selected;
  const ask = native(commands.authenticateFirst.ins, Uint8Array.of(TAG_KEY_NO.pay, 0));
  const asked = yield* plain('authenticate', ask, MORE);
  if (!asked.ok) return asked;
  if (asked.data.length !== BLOCK) return failure('authenticate', 'garbled', 'not-executed', MORE);
  return { ok: true, challenge: asked.data };
}

export interface TagProof {
  /** Key 1 of this card, 16 bytes: diversified by the UID, so that the key proves the UID. */
  readonly key: Uint8Array;
  /** 16 random bytes, used once: a reply to another challenge proves nothing. */
  readonly rndA: Uint8Array;
  /** As the kiosk sent it; of any length. */
  readonly challenge: Uint8Array;
}

/**
 * What passed between hub and card, all of it enciphered: whoever has the key can check it later. It convinces nobody
 * else, since with the key one can make one.
 */
export interface Transcript {
  /** The card's challenge, 16 bytes. */
  readonly challenge: Uint8Array;
  /** The hub's command, 38 bytes. */
  readonly command: Uint8Array;
  /** The card's reply with its status, 34 bytes. */
  readonly reply: Uint8Array;
}

export interface TagProven {
  readonly ok: true;
  readonly session: Session;
  readonly transcript: Transcript;
}

/**
 * The hub's half: `AF`, one wait for the network with the card in the field. The card holds the key, and is there now,
 * if and only if this succeeds: nothing may be booked on any failure. Nothing on the card changes, so that every
 * failure is `not-executed`.
 */
export function* proveTag({ key, rndA, challenge }: TagProof): Script<TagProven | Failure> {
  const answer = answerChallenge(key, rndA, challenge);
  if (answer === null) return failure('authenticate', 'garbled', 'not-executed', null);
  const command = native(commands.additionalFrame.ins, answer.data);
  const proved = yield* plain('prove key', command, OK);
  if (!proved.ok) return proved;
  const session = openFirst(answer.challenge, proved.data);
  if (session === null) return failure('prove key', 'garbled', 'not-executed', OK);
  const reply = Uint8Array.of(...proved.data, OK >> 8, OK & 0xff);
  return { ok: true, session, transcript: { challenge: challenge.slice(), command, reply } };
}

/**
 * Whether the card with this key took part in this conversation: challenge, command and reply belong together.
 * @param key key 1 of the card, 16 bytes
 * @param transcript from anywhere; every length is checked here
 */
export function verifyTranscript(key: Uint8Array, { challenge, command, reply }: Transcript): boolean {
  const data = command.slice(5, -1);
  if (data.length !== 2 * BLOCK || !equal(command, native(commands.additionalFrame.ins, data))) return false;
  const response = parseResponse(reply);
  if (response === null || response.status !== OK) return false;
  const rndA = decrypt(key, new Uint8Array(BLOCK), data).slice(0, BLOCK);
  const answer = answerChallenge(key, rndA, challenge);
  return answer !== null && equal(answer.data, data) && openFirst(answer.challenge, response.data) !== null;
}
