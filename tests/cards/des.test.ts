/** Native DES authentication against the bytes of a real card (mifare.net forum, answer 18844). */
import { createCipheriv } from 'node:crypto';
import { expect, test } from 'vitest';
import { authenticateDes, changeMasterKey, crc16 } from '../../cards/des.ts';
import { play } from '../../cards/script.ts';
import { bytes, hex } from './hex.ts';

/** Undoes what the reader did to each block. */
function encipher(key: Uint8Array, block: Uint8Array): Uint8Array {
  const machine = createCipheriv('des-ede3-ecb', Uint8Array.of(...key, ...key, ...key), null).setAutoPadding(false);
  return new Uint8Array(machine.update(block));
}

const xor = (a: Uint8Array, b: Uint8Array) => a.map((byte, at) => byte ^ (b[at] ?? 0));
const ZEROS = new Uint8Array(8);
const TOKEN = bytes('491e890de9ace9329c5c6d55d9fa36d7');
/** The reader's challenge of that trace: its key is all zeros, and so the token gives it away. */
const RND_A = encipher(ZEROS, TOKEN.subarray(0, 8));

async function traced(answer: string) {
  const sent: string[] = [];
  const replies = [bytes('63c54dcf6f3a6fc991af'), bytes(answer)];
  const result = await play(authenticateDes(RND_A), async (apdu) => {
    sent.push(hex(apdu));
    return replies.shift() ?? new Uint8Array();
  });
  return { sent, result };
}

test('the token of the real reader is the one that is sent, and the real card’s answer is accepted', async () => {
  const { sent, result } = await traced('b7d1da7ce0dd986b9100');
  expect(sent).toEqual(['900a0000010000', `90af000010${hex(TOKEN)}00`]);
  if (!result.ok) throw new Error(result.reason);
  // What followed in the trace is new settings and their checksum under the session's key, and nothing else fits.
  const settings = Uint8Array.of(0x0f);
  expect(hex(encipher(result.key, bytes('cb643fd030e687da')))).toBe(`0f${hex(crc16(settings))}0000000000`);
});

test('an answer that does not prove the key is refused, one byte changed or one too few', async () => {
  for (const answer of ['b7d1da7ce0dd986a9100', 'b7d1da7ce0dd989100', '9100']) {
    expect((await traced(answer)).result).toMatchObject({ ok: false, reason: 'garbled', outcome: 'not-executed' });
  }
});

test('a new master key goes as key, version, checksum over both, and zeros, block chained to block', () => {
  const key = bytes('0123456789abcdef');
  const next = Uint8Array.from({ length: 16 }, (_, at) => 0x10 + at);
  const apdu = changeMasterKey(key, next, 7);
  expect(hex(apdu.subarray(0, 6))).toBe('90c400001980');
  expect(apdu).toHaveLength(31);
  const blocks = [0, 8, 16].map((at) => apdu.slice(6 + at, 14 + at));
  const plain = blocks.map((block, at) => hex(xor(encipher(key, block), blocks[at - 1] ?? ZEROS))).join('');
  expect(plain).toBe(`${hex(next)}07${hex(crc16(Uint8Array.of(...next, 7)))}0000000000`);
});

test('the checksum is CRC_A of ISO 14443-3, whose annex B prints these two', () => {
  expect([crc16(bytes('0000')), crc16(bytes('1234'))].map(hex)).toEqual(['a01e', '26cf']);
});
