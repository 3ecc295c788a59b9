/** Lays an emulated card on a virtual PC/SC reader: a client of vpcd, pcscd's listening driver (CARDS section 11.3). */
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Pace } from './airtime.ts';
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
    socket.once('error', reject);
    socket.once('connect', () => resolve(lay(card, socket, trouble)));
  });
}

/**
 * Lays the card on a reader's slot that is already connected.
 * @param pace how long its answers take; at once when left out
 */
export function lay(card: Card, slot: Duplex, trouble: Trouble = {}, pace: Pace | null = null): Offer {
  const gone = new Promise<void>((left) => slot.once('close', () => left()));
  // A reader that died took the card's field with it: `gone` says so.
  slot.on('error', () => slot.destroy());
  slot.once('close', () => card.reset());
  answerAll(slot, card, present(card, trouble), pace === null ? send : paced(pace));
  return {
    gone,
    remove: () => {
      slot.destroy();
      return gone;
    },
  };
}

/** Gives the reader the answer to an APDU that arrived at this time. */
type Answer = (socket: Duplex, reply: Uint8Array, apdu: Uint8Array, arrived: number) => void;

/**
 * Answers that take their time. Timers are late by up to a millisecond: what one answer is late, the next is early, so
 * that a conversation as a whole takes what the table says.
 */
function paced(pace: Pace): Answer {
  let late = 0;
  return (socket, reply, apdu, arrived) => {
    const due = arrived + pace(apdu, reply) - late;
    const wait = Math.max(0, Math.floor(due - performance.now()));
    setTimeout(() => {
      late = performance.now() - due;
      if (!socket.destroyed) send(socket, reply);
    }, wait);
  };
}

function answerAll(socket: Duplex, card: Card, presence: Presence, give: Answer): void {
  let waiting = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    waiting = Buffer.concat([waiting, chunk]);
    while (waiting.length >= LENGTH_BYTES && waiting.length >= LENGTH_BYTES + waiting.readUInt16BE(0)) {
      const end = LENGTH_BYTES + waiting.readUInt16BE(0);
      const message = new Uint8Array(waiting.subarray(LENGTH_BYTES, end));
      waiting = waiting.subarray(end);
      if (message.length <= 1) {
        const reply = control(card, message[0]);
        if (reply.length > 0) send(socket, reply);
        continue;
      }
      const arrived = performance.now();
      const reply = presence(message);
      if (reply === null) {
        socket.destroy();
        return;
      }
      if (reply.length > 0) give(socket, reply, message, arrived);
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
function send(socket: Duplex, reply: Uint8Array): void {
  const message = Buffer.alloc(LENGTH_BYTES + reply.length);
  message.writeUInt16BE(reply.length);
  message.set(reply, LENGTH_BYTES);
  socket.write(message);
}
