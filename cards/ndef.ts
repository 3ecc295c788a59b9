/** The address that a tag gives to a phone, as the NDEF file holds it, and the places that the tag fills in. */
import { NTAG } from './layout.ts';

const NLEN = 2;
/** One short record, first and last, of the NFC Forum's well-known type U; its payload's length stands third. */
const RECORD = [0xd1, 0x01, 0x00, 0x55] as const;
/** Stands for `https://` (NFC Forum, URI record). */
const HTTPS = 0x04;
const SCHEME = 'https://';
const PICC_DATA = '0'.repeat(32);
const MAC = '0'.repeat(16);

/** The whole file, and where in it the tag mirrors: offsets count from the file's first byte (CARDS section 7). */
export interface TagContent {
  /** NLEN ‖ NDEF record ‖ zeros, 256 bytes. */
  readonly file: Uint8Array;
  /** First of 32 hex digits: enciphered PICCData. The MAC is over the text from here on. */
  readonly piccData: number;
  /** First of 16 hex digits: the MAC, which is over everything between `piccData` and here. */
  readonly mac: number;
}

/**
 * The file for `address?p=<32 hex digits>&m=<16 hex digits>`.
 * @param address `https://host/path`, without query or fragment
 * @throws RangeError for another address, or one that does not fit the file.
 */
export function tagContent(address: string): TagContent {
  if (!/^https:\/\/[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?(\/[A-Za-z0-9._~-]+)+$/.test(address)) {
    throw new RangeError('an address for a tag is https://host/path, without query: write it so');
  }
  const before = `${address.slice(SCHEME.length)}?p=`;
  const between = '&m=';
  const text = Buffer.from(before + PICC_DATA + between + MAC, 'latin1');
  const start = NLEN + RECORD.length + 1;
  if (start + text.length > NTAG.files.ndef.size) {
    throw new RangeError(`an address of ${address.length} characters does not fit a tag: take a shorter one`);
  }
  const file = new Uint8Array(NTAG.files.ndef.size);
  file[1] = RECORD.length + 1 + text.length;
  file.set(RECORD, NLEN);
  file[NLEN + 2] = 1 + text.length;
  file[start - 1] = HTTPS;
  file.set(text, start);
  const piccData = start + before.length;
  return { file, piccData, mac: piccData + PICC_DATA.length + between.length };
}
