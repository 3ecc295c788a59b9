/** The simplest card on a slot: it says each command back with status 9000, so that a test sees what arrived. */
import type { Duplex } from 'node:stream';

export const ECHO_UID = '04112233445566';
/** DESFire's (PC/SC part 3 section 3.1.3.2.3.1: historical bytes 80). */
export const ECHO_ATR = '3b8180018080';

/**
 * Lays it on a connected slot.
 * @param obey called with each command's hex before the answer; false keeps the answer back for ever.
 * @param uidAnswer what the reader gets when it asks for the UID.
 */
export function layEchoCard(
  slot: Duplex,
  obey = (_command: string): boolean => true,
  uidAnswer = `${ECHO_UID}9000`,
): void {
  let rest = Buffer.alloc(0);
  const answer = (hex: string) => {
    const payload = Buffer.from(hex, 'hex');
    slot.write(Buffer.concat([Buffer.from([payload.length >> 8, payload.length & 0xff]), payload]));
  };
  const take = (message: Buffer) => {
    const hex = message.toString('hex');
    if (hex === '04') answer(ECHO_ATR);
    else if (message.length === 1) return;
    else if (hex === 'ffca000000') answer(uidAnswer);
    else if (obey(hex)) answer(`${hex}9000`);
  };
  slot.on('error', () => slot.destroy());
  slot.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const end = 2 + rest.readUInt16BE(0);
      take(rest.subarray(2, end));
      rest = rest.subarray(end);
    }
  });
}
