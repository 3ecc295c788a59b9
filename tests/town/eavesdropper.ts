/** Who has recorded what passed between a reader and a card, and tries keys on it (CARDS section 3). */
import { cardSessionKeys, concat, lsb, openZeroIv, same, sealZeroIv, turned } from './cardcrypto.ts';

export interface Exchange {
  readonly sent: Uint8Array;
  readonly got: Uint8Array;
}

/** One authentication that the card accepted, and what came after it. */
export interface RecordedSession {
  readonly keyNo: number;
  /** The card's, under the key. */
  readonly challenge: Uint8Array;
  /** The reader's, under the key. */
  readonly proof: Uint8Array;
  readonly answer: Uint8Array;
  readonly commands: readonly Uint8Array[];
}

const AUTHENTICATE = 0x71;
const CHANGE_KEY = 0xc4;
const CREATE_COUNTER = 0xce;
const MAC = 8;

export function sessionsOf(exchanges: readonly Exchange[]): RecordedSession[] {
  return exchanges.flatMap(({ sent, got }, at) => {
    const next = exchanges[at + 1];
    if (sent[1] !== AUTHENTICATE || next?.sent[1] !== 0xaf || next.got.length !== 34) return [];
    const after = exchanges.slice(at + 2).map((exchange) => exchange.sent);
    const end = after.findIndex((command) => command[1] === AUTHENTICATE || command[0] === 0x00);
    return {
      keyNo: sent[5] ?? 0,
      challenge: got.slice(0, 16),
      proof: next.sent.slice(5, 37),
      answer: next.got.slice(0, 32),
      commands: after.slice(0, end < 0 ? after.length : end),
    };
  });
}

/** Whether this key is the session's: what the reader proved holds the card's challenge. */
export function opens({ challenge, proof }: RecordedSession, key: Uint8Array): boolean {
  return same(openZeroIv(key, proof).slice(16), turned(openZeroIv(key, challenge)));
}

/** Each key that was written in the session, as far as its first block, as this key shows it: true if it is its own. */
export function written(session: RecordedSession, key: Uint8Array): string[] {
  const rndB = openZeroIv(key, session.challenge);
  const rndA = openZeroIv(key, session.proof).slice(0, 16);
  const ti = openZeroIv(key, session.answer).slice(0, 4);
  const { enc } = cardSessionKeys(key, rndA, rndB);
  return session.commands.flatMap((command, ctr) => {
    // In clear: the key's number, or the file's settings.
    const clear = command[1] === CHANGE_KEY ? 1 : command[1] === CREATE_COUNTER ? 5 : null;
    if (clear === null) return [];
    const iv = sealZeroIv(enc, concat([0xa5, 0x5a], ti, lsb(ctr, 2), new Uint8Array(8)));
    const block = openZeroIv(enc, command.slice(5 + clear, -1 - MAC).slice(0, 16));
    return Buffer.from(block.map((byte, i) => byte ^ (iv[i] ?? 0))).toString('hex');
  });
}

/** Every run of 16 bytes in a text: whatever was sent in clear is among them. */
export function windows(text: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.max(0, text.length - 15) }, (_, at) => text.subarray(at, at + 16));
}
