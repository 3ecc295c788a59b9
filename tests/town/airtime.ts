/** What air and card take for one command, as a table (CARDS section 12): the emulated card answers no sooner. */

/** Bits a millisecond at 106 kbit/s: 13.56 MHz / 128 (ISO/IEC 14443-2). */
const BITS_PER_MS = 13_560 / 128;
/** Eight bits and a parity bit (ISO/IEC 14443-3, type A). */
const BYTE_BITS = 9;
/** Start and end of a frame take about a bit each (ISO/IEC 14443-3). */
const FRAME_BITS = 2;
/** PCB 1 and CRC 2 around each block (ISO/IEC 14443-4). */
const BLOCK_BYTES = 3;
/** Shortest pause before a frame in either direction, milliseconds; CARDS has it from memory. */
const FRAME_DELAY_MS = 0.086;
/** Longest block, PCB and CRC included; FSC 64 is CARDS's model, no card was asked for it. */
const FSC = 64;

/** REQA to RATS with PPS, always at 106 kbit/s, milliseconds: CARDS's model; over before a reader tells of the card. */
export const ACTIVATION_MS = 6.7;
/**
 * Milliseconds that the card computes. Estimates all, since nobody has published times of a DESFire Light: 2 for a
 * plain command, 5 for each of the two steps of an authentication, 5 to 10 for a commit, of which 8 is taken.
 */
const CARD_MS = { plain: 2, authenticate: 5, commit: 8 } as const;
/** INS of AuthenticateEV2First and of the frame behind it, and of CommitTransaction, from CARDS section 3.5. */
const CARD_MS_BY_INS: ReadonlyMap<number, number> = new Map([
  [0x71, CARD_MS.authenticate],
  [0xaf, CARD_MS.authenticate],
  [0xc7, CARD_MS.commit],
]);
/** What firmware and USB of a good reader add to each command, milliseconds: an estimate, poor ones take 18. */
export const GOOD_READER_MS = 3;

const NATIVE_CLASS = 0x90;

/** Milliseconds that one block with so many bytes inside takes, the pause before it included. */
const blockMs = (bytes: number) => FRAME_DELAY_MS + (FRAME_BITS + BYTE_BITS * (BLOCK_BYTES + bytes)) / BITS_PER_MS;

/** One direction; what exceeds a block is chained, and each block but the last is acknowledged by an empty one. */
function wayMs(bytes: number): number {
  const room = FSC - BLOCK_BYTES;
  const more = Math.max(0, Math.ceil(bytes / room) - 1);
  return more * (blockMs(room) + blockMs(0)) + blockMs(bytes - more * room);
}

/** Milliseconds in the air at 106 kbit/s of a command and a reply of these lengths in bytes, status included. */
export const airMs = (command: number, reply: number): number => wayMs(command) + wayMs(reply);

/** Milliseconds that the card computes over this command APDU. */
export function cardMs(apdu: Uint8Array): number {
  const own = apdu[0] === NATIVE_CLASS ? CARD_MS_BY_INS.get(apdu[1] ?? 0) : undefined;
  return own ?? CARD_MS.plain;
}

/** How long the answer to this command takes, milliseconds, counted from the command's arrival. */
export type Pace = (apdu: Uint8Array, reply: Uint8Array) => number;

/**
 * The pace of a real card in the air.
 * @param readerMs what the reader adds to each command: 0 for the floor that no reader is below
 */
export function realPace(readerMs: number): Pace {
  return (apdu, reply) => {
    // The reader's own question is answered from activation, once a presence.
    if (apdu[0] === 0xff) return ACTIVATION_MS;
    return airMs(apdu.length, reply.length) + cardMs(apdu) + readerMs;
  };
}
