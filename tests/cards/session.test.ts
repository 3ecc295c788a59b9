/** What a session refuses: replies without proof, cards that do not prove the key, a counter that would wrap. */
import { describe, expect, test } from 'vitest';
import { encrypt } from '../../cards/aes.ts';
import { commands, little, range } from '../../cards/commands.ts';
import { advance, answerChallenge, openFirst, openNonFirst, type Session, unwrap, wrap } from '../../cards/session.ts';
import { bytes, hex } from './hex.ts';

const key = bytes('00112233445566778899aabbccddeeff');
const rndA = bytes('0123456789abcdef0123456789abcdef');
const turnedA = '23456789abcdef0123456789abcdef01';
const ZERO = new Uint8Array(16);
const session: Session = { encKey: key, macKey: key, ti: bytes('01020304'), ctr: 0 };

function challenge() {
  const answer = answerChallenge(key, rndA, encrypt(key, ZERO, rndA));
  if (answer === null) throw new Error('no challenge');
  return answer.challenge;
}
const first = (plain: string) => openFirst(challenge(), encrypt(key, ZERO, bytes(plain)));

describe('authentication', () => {
  test('opens a session with the card that holds the key', () => {
    expect(first(`01020304${turnedA}${'00'.repeat(12)}`)?.ti).toEqual(bytes('01020304'));
  });

  test('refuses a card that does not turn our challenge, or claims capabilities we did not send', () => {
    expect(first(`01020304${'00'.repeat(16)}${'00'.repeat(12)}`)).toBeNull();
    expect(first(`01020304${turnedA}${'00'.repeat(11)}01`)).toBeNull();
    expect(openNonFirst(challenge(), session, encrypt(key, ZERO, ZERO))).toBeNull();
  });

  test('refuses answers of another length', () => {
    expect(answerChallenge(key, rndA, bytes('00'.repeat(8)))).toBeNull();
    expect(openFirst(challenge(), ZERO)).toBeNull();
    expect(openNonFirst(challenge(), session, new Uint8Array(32))).toBeNull();
  });

  test('with another key in the middle keeps transaction identifier and count', () => {
    const before = { ...session, ctr: 7 };
    const after = openNonFirst(challenge(), before, encrypt(key, ZERO, bytes(turnedA)));
    expect(after).toMatchObject({ ti: session.ti, ctr: 7 });
    expect(hex(after?.macKey ?? ZERO)).not.toBe(hex(before.macKey));
  });
});

describe('a session', () => {
  test('counts each command and never wraps', () => {
    expect(advance(session).ctr).toBe(1);
    const last = { ...session, ctr: 0xffff };
    expect(() => wrap(last, commands.getValue, 'mac', Uint8Array.of(3))).toThrow('used up');
  });

  test('refuses to send a header of the wrong length', () => {
    expect(() => wrap(session, commands.readData, 'mac', Uint8Array.of(3))).toThrow('header of 1, not 7 bytes');
  });

  test('sends plain commands bare', () => {
    expect(hex(wrap(session, commands.readData, 'plain', range(0x1f, 0, 32)))).toBe('90ad0000071f00000020000000');
  });

  test('takes no reply for proof without status 9100 and a MAC', () => {
    for (const protection of ['mac', 'full'] as const) {
      expect(unwrap(session, protection, { data: new Uint8Array(), status: 0x9100 })).toBeNull();
      expect(unwrap(session, protection, { data: new Uint8Array(8), status: 0x9100 })).toBeNull();
      expect(unwrap(session, protection, { data: new Uint8Array(8), status: 0x91ca })).toBeNull();
    }
    expect(unwrap(session, 'plain', { data: bytes('0102'), status: 0x9100 })).toEqual(bytes('0102'));
    expect(unwrap(session, 'plain', { data: bytes('0102'), status: 0x91af })).toBeNull();
  });
});

test('numbers go out little-endian, also beyond 31 bits', () => {
  expect(hex(little(0x010203, 3))).toBe('030201');
  expect(hex(little(0xfffefdfc, 4))).toBe('fcfdfeff');
});
