/** Cuts the byte stream between a reader program and its parent into lines: bytes in, strings out. */

/** Longest line either side accepts, in bytes. The longest legal one carries a response of 512 bytes as hex. */
const LINE_BYTES_MAX = 2048;

/**
 * Cuts a byte stream into lines of at most `LINE_BYTES_MAX`.
 * @param onLine one whole line without its end.
 * @param onTooLong called once when a line passes the limit; whatever follows is dropped, for no line end in it can
 * be trusted.
 */
export function lineCutter(onLine: (line: string) => void, onTooLong: () => void): (chunk: Uint8Array) => void {
  let rest: Uint8Array = new Uint8Array(0);
  let broken = false;
  return (chunk) => {
    if (broken) return;
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = bytes.indexOf(10); end >= 0 && end <= LINE_BYTES_MAX; end = bytes.indexOf(10)) {
      onLine(Buffer.from(bytes.subarray(0, end)).toString('utf8'));
      bytes = bytes.subarray(end + 1);
    }
    if (bytes.length > LINE_BYTES_MAX) {
      broken = true;
      bytes = new Uint8Array(0);
      onTooLong();
    }
    rest = Uint8Array.from(bytes);
  };
}
