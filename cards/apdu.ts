/** Bytes ⇄ command and response, and the words of the card's status codes (CARDS section 2). */

/** A command is at most 255 bytes of data long: extended lengths are not used. */
const DATA_MAX = 255;

/** Wraps a native command: `90 INS 00 00 [Lc data] 00`. */
export function native(ins: number, data: Uint8Array): Uint8Array {
  if (data.length > DATA_MAX) throw new RangeError(`${data.length} bytes do not fit one APDU`);
  const bare = data.length === 0;
  const apdu = new Uint8Array(bare ? 5 : data.length + 6);
  apdu[0] = 0x90;
  apdu[1] = ins;
  if (!bare) {
    apdu[4] = data.length;
    apdu.set(data, 5);
  }
  return apdu;
}

/** ISOSelectFile by DF name without file control information: `00 A4 04 0C Lc name 00`. */
export function select(dfName: Uint8Array): Uint8Array {
  return Uint8Array.of(0x00, 0xa4, 0x04, 0x0c, dfName.length, ...dfName, 0x00);
}

export interface Response {
  readonly data: Uint8Array;
  /** Both status bytes, for example 0x9100. */
  readonly status: number;
}

/** Splits data and status. @returns null if the reply was lost: fewer than two bytes (CARDS section 6). */
export function parseResponse(bytes: Uint8Array): Response | null {
  if (bytes.length < 2) return null;
  const data = new Uint8Array(bytes.subarray(0, -2));
  return { data, status: ((bytes.at(-2) ?? 0) << 8) | (bytes.at(-1) ?? 0) };
}

export const OK = 0x9100;
export const MORE = 0x91af;
export const ISO_OK = 0x9000;
/** Read_Sig ends with this instead of 9100. */
export const SIGNATURE_OK = 0x9190;

/** Whether a conversation may go on after this status. */
export function goesOn(status: number): boolean {
  return status === OK || status === MORE || status === ISO_OK || status === SIGNATURE_OK;
}

const statuses = {
  36864: 'ok',
  37120: 'ok',
  37295: 'more',
  37264: 'signature',
  37132: 'no changes',
  37134: 'memory write failed',
  37148: 'illegal command',
  37150: 'integrity',
  37184: 'no such key',
  37246: 'length',
  37277: 'permission denied',
  37278: 'parameter',
  37280: 'application not found',
  37293: 'authentication delay',
  37294: 'authentication',
  37310: 'boundary',
  37313: 'card integrity',
  37322: 'aborted',
  37326: 'count',
  37342: 'duplicate',
  37355: 'memory',
  37358: 'memory',
  37360: 'file not found',
  37361: 'file integrity',
  25219: 'counter limit reached',
  26368: 'length',
  27266: 'application not found',
  27270: 'parameter',
  27271: 'parameter',
} as const;

/** A status in words for logs and technicians; unknown ones as four hex digits. */
export function statusName(status: number): string {
  const names: Readonly<Record<number, string>> = statuses;
  return names[status] ?? status.toString(16).padStart(4, '0');
}
