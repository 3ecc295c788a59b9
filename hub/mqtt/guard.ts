/** The byte guard in front of the broker: counts frames as they are read, before anything is buffered for them. */
import type { Duplex } from 'node:stream';

/** Bytes a socket may send before its CONNECT is accepted. */
export const STRANGER_BYTES = 16_384;
/** Largest frame of an accepted kiosk, header included. */
export const FRAME_BYTES = 65_536;

export type GuardVerdict = 'pass' | 'too-much-before-connect' | 'frame-too-long' | 'length-malformed';

/** Follows one socket's frames. */
export interface Guard {
  /** Judges the next bytes of the stream. */
  feed(bytes: Uint8Array): GuardVerdict;
  /** CONNECT was accepted: from now on frames count, not the total. */
  accept(): void;
}

/** MQTT 3.1.1 section 2.2: one byte of type, then a length of one to four bytes of seven bits. */
export function makeGuard(): Guard {
  let accepted = false;
  let total = 0;
  /** Body bytes still to come; while 0 a header is being read. */
  let body = 0;
  /** Header bytes seen of the current frame: 0 = none, 1 = type, 2… = length bytes. */
  let header = 0;
  let length = 0;

  return {
    accept() {
      accepted = true;
    },
    feed(bytes) {
      total += bytes.length;
      if (!accepted && total > STRANGER_BYTES) return 'too-much-before-connect';
      let at = 0;
      while (at < bytes.length) {
        if (body > 0) {
          const step = Math.min(body, bytes.length - at);
          body -= step;
          at += step;
          continue;
        }
        const byte = bytes[at++] ?? 0;
        if (header === 0) {
          header = 1;
          length = 0;
          continue;
        }
        length += (byte & 0x7f) * 128 ** (header - 1);
        header++;
        if (byte >= 0x80) {
          if (header > 4) return 'length-malformed';
          continue;
        }
        if (length + header > FRAME_BYTES) return 'frame-too-long';
        if (!accepted && length + header > STRANGER_BYTES) return 'too-much-before-connect';
        body = length;
        header = 0;
      }
      return 'pass';
    },
  };
}

/**
 * Puts a guard on a socket: aedes reads with `read(null)`, so what it parses has passed here first.
 * @param onBad is called once, at the first verdict other than `pass`; nothing is read afterwards.
 */
export function guardSocket(socket: Duplex, guard: Guard, onBad: (verdict: GuardVerdict) => void): void {
  const read = socket.read;
  let bad = false;
  socket.read = (size) => {
    const bytes: Uint8Array | null = read.call(socket, size);
    if (bytes === null || bad) return null;
    const verdict = guard.feed(bytes);
    if (verdict === 'pass') return bytes;
    bad = true;
    onBad(verdict);
    return null;
  };
}
