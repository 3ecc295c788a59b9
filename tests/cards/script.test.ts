/** How scripts are played: in order, and nothing after a lost or bad reply. */
import { describe, expect, test } from 'vitest';
import { goesOn, native, parseResponse, select, statusName } from '../../cards/apdu.ts';
import { play, type Script } from '../../cards/script.ts';
import { bytes, hex } from './hex.ts';

const three = [bytes('01'), bytes('02'), bytes('03')];

function* batch(): Script<readonly string[]> {
  const replies = yield three;
  return replies.map(hex);
}

async function playAgainst(replies: readonly string[]) {
  const sent: string[] = [];
  const result = await play(batch(), async (apdu) => {
    sent.push(hex(apdu));
    return bytes(replies[sent.length - 1] ?? '');
  });
  return { sent, result };
}

describe('a batch', () => {
  test('is sent whole when every reply is good', async () => {
    const { sent, result } = await playAgainst(['91af', 'aa9100', '9000']);
    expect(sent).toEqual(['01', '02', '03']);
    expect(result).toEqual(['91af', 'aa9100', '9000']);
  });

  test('stops at a lost reply, which the script sees as empty', async () => {
    expect(await playAgainst(['9100', ''])).toEqual({ sent: ['01', '02'], result: ['9100', ''] });
  });

  test('stops at an error and at half a status', async () => {
    expect((await playAgainst(['91ae'])).sent).toEqual(['01']);
    expect((await playAgainst(['9100', '91'])).sent).toEqual(['01', '02']);
  });

  test('stops when the script throws: the fault reaches whoever plays it', async () => {
    function* faulty(): Script<void> {
      yield [bytes('01')];
      throw new Error('disk full');
    }
    await expect(play(faulty(), async () => bytes('9100'))).rejects.toThrow('disk full');
  });
});

describe('an APDU', () => {
  test('wraps native commands with and without data', () => {
    expect(hex(native(0x60, new Uint8Array()))).toBe('9060000000');
    expect(hex(native(0x71, bytes('0100')))).toBe('9071000002010000');
    expect(() => native(0x8d, new Uint8Array(256))).toThrow(RangeError);
  });

  test('selects by name', () => {
    expect(hex(select(bytes('d2760000850101')))).toBe('00a4040c07d276000085010100');
  });

  test('splits data and status, and takes less than two bytes for a lost reply', () => {
    expect(parseResponse(bytes('aabb91af'))).toEqual({ data: bytes('aabb'), status: 0x91af });
    expect(parseResponse(bytes('9100'))).toEqual({ data: bytes(''), status: 0x9100 });
    expect(parseResponse(bytes('91'))).toBeNull();
    expect(parseResponse(bytes(''))).toBeNull();
  });

  test('goes on after success and more only, and every status has words', () => {
    expect([0x9000, 0x9100, 0x91af, 0x9190].every(goesOn)).toBe(true);
    expect([0x91ae, 0x6a82, 0x6f00, 0x9101, 0x910c].some(goesOn)).toBe(false);
    expect(statusName(0x91ae)).toBe('authentication');
    expect(statusName(0x6f00)).toBe('6f00');
  });
});
