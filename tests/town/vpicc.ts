/** Lays an emulated card on a virtual PC/SC reader: a client of vpcd, pcscd's listening driver (CARDS section 11.3). */
import { connect, type Socket } from 'node:net';
import type { Card } from './card.ts';
import { type Presence, present, type Trouble } from './field.ts';

/** Card activation data of a DESFire as contactless readers report it. */
const ATR = Uint8Array.of(0x3b, 0x81, 0x80, 0x01, 0x80, 0x80);
/** One-byte messages are the slot's own; of these only the ATR is answered. */
const CONTROL = { off: 0x00, on: 0x01, reset: 0x02, atr: 0x04 } as const;
const LENGTH_BYTES = 2;

export interface Offer {
  /** Takes the card away; resolves when the slot is free again. */
  remove(): Promise<void>;
  /** Resolves when the card has left for whatever reason: taken away, torn, or the reader died. */
  readonly gone: Promise<void>;
}

/**
 * Lays the card on the reader at this loopback port and answers until it leaves.
 * @param trouble where the card is torn: the connection is closed in place of an answer
 * @returns once the reader's slot is connected; rejects if nothing listens there.
 */
export function offer(card: Card, port: number, trouble: Trouble = {}): Promise<Offer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const gone = new Promise<void>((left) => socket.once('close', () => left()));
    socket.on('error', reject);
    socket.once('connect', () => {
      answerAll(socket, card, present(card, trouble));
      resolve({
        gone,
        remove: () => {
          socket.destroy();
          return gone;
        },
      });
    });
    socket.once('close', () => card.reset());
  });
}

function answerAll(socket: Socket, card: Card, presence: Presence): void {
  let waiting = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    waiting = Buffer.concat([waiting, chunk]);
    while (waiting.length >= LENGTH_BYTES && waiting.length >= LENGTH_BYTES + waiting.readUInt16BE(0)) {
      const end = LENGTH_BYTES + waiting.readUInt16BE(0);
      const message = new Uint8Array(waiting.subarray(LENGTH_BYTES, end));
      waiting = waiting.subarray(end);
      const reply = message.length > 1 ? presence(message) : control(card, message[0]);
      if (reply === null) {
        socket.destroy();
        return;
      }
      if (reply.length > 0) send(socket, reply);
    }
  });
}

function control(card: Card, code: number | undefined): Uint8Array {
  if (code === CONTROL.atr) return ATR;
  // Losing power or being reset ends session and transaction; it does not move the card.
  if (code === CONTROL.off || code === CONTROL.on || code === CONTROL.reset) card.reset();
  return new Uint8Array();
}

/** Length and reply in one write, or the driver waits for the second half. */
function send(socket: Socket, reply: Uint8Array): void {
  const message = Buffer.alloc(LENGTH_BYTES + reply.length);
  message.writeUInt16BE(reply.length);
  message.set(reply, LENGTH_BYTES);
  socket.write(message);
}
