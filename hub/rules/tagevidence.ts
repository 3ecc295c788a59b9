/** The evidence of a sale with an NTAG 424, packed: what passed between hub and card, and what the hub bound it to. */

export interface TagEvidence {
  /** Of key 1, under which hub and card spoke. */
  readonly keyVersion: number;
  readonly kiosk: number;
  readonly seq: number;
  /** In rupiah. */
  readonly amount: bigint;
  /** The card's challenge, 16 bytes; the hub's command, 38; the card's reply with its status, 34. */
  readonly challenge: Uint8Array;
  readonly command: Uint8Array;
  readonly reply: Uint8Array;
}

/** First byte; a certificate's evidence has 1 there. */
const VERSION = 0x20;
const LENGTHS = { challenge: 16, command: 38, reply: 34 } as const;
const NUMBERS = 18;
const TOTAL = NUMBERS + LENGTHS.challenge + LENGTHS.command + LENGTHS.reply;

/**
 * Version 1 ‖ key version 1 ‖ kiosk 4 ‖ seq 4 ‖ amount 8 ‖ challenge 16 ‖ command 38 ‖ reply 34, numbers big-endian:
 * 106 bytes, from which the conversation can be checked by whoever has the card's key (cards/tagpayment.ts).
 * @throws RangeError if a part has another length.
 */
export function packTagEvidence(evidence: TagEvidence): Uint8Array {
  const { keyVersion, kiosk, seq, amount, challenge, command, reply } = evidence;
  const packed = new Uint8Array(TOTAL);
  const view = new DataView(packed.buffer);
  packed.set([VERSION, keyVersion]);
  view.setUint32(2, kiosk);
  view.setUint32(6, seq);
  view.setBigUint64(10, amount);
  let at = NUMBERS;
  for (const [name, part] of Object.entries({ challenge, command, reply })) {
    if (part.length !== LENGTHS[name as keyof typeof LENGTHS])
      throw new RangeError(`a ${name} of ${part.length} bytes`);
    packed.set(part, at);
    at += part.length;
  }
  return packed;
}

/** Reads what `packTagEvidence` made; null for anything else. */
export function readTagEvidence(packed: Uint8Array): TagEvidence | null {
  const [version, keyVersion = 0] = packed;
  if (packed.length !== TOTAL || version !== VERSION) return null;
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  let at = NUMBERS;
  const next = (length: number) => {
    at += length;
    return packed.slice(at - length, at);
  };
  return {
    keyVersion,
    kiosk: view.getUint32(2),
    seq: view.getUint32(6),
    amount: view.getBigUint64(10),
    challenge: next(LENGTHS.challenge),
    command: next(LENGTHS.command),
    reply: next(LENGTHS.reply),
  };
}
