/** A phone that reads a tag as ISO 7816-4 lets it, without any key, and opens the address that it finds. */
import type { Card } from './card.ts';

const APPLICATION = '00a4040007d276000085010100';
const NDEF = '00a4000c02e104';
const READ = '00b0000000';

/** One reading. @returns the address, `https://` put in front. */
export function readAddress(card: Card): string {
  const iso = (apdu: string) => Buffer.from(card.process(Buffer.from(apdu, 'hex')));
  for (const select of [APPLICATION, NDEF]) {
    if (!iso(select).toString('hex').endsWith('9000')) throw new Error('the tag cannot be selected');
  }
  const file = iso(READ);
  return `https://${file.subarray(7, 2 + file.readUInt16BE(0)).toString('latin1')}`;
}
