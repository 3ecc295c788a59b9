/** The frames of the hot path: acknowledgement and receipt in one buffer, so that both leave in one write. */

const ACK_BYTES = 4;

function lengthBytes(length: number): number {
  if (length < 128) return 1;
  return length < 16_384 ? 2 : 3;
}

/** What acknowledges a publish: PUBACK for quality 1, PUBREC for quality 2 (which is answered and routed nowhere). */
export interface Ack {
  readonly type: 'puback' | 'pubrec';
  readonly packetId: number;
}

function writeAck(frame: Buffer, ack: Ack): number {
  frame[0] = ack.type === 'puback' ? 0x40 : 0x50;
  frame[1] = 2;
  frame.writeUInt16BE(ack.packetId, 2);
  return ACK_BYTES;
}

/** An acknowledgement alone. */
export function ackFrame(ack: Ack): Buffer {
  const frame = Buffer.allocUnsafe(ACK_BYTES);
  writeAck(frame, ack);
  return frame;
}

/**
 * Builds what a kiosk gets for one publish (MQTT 3.1.1 sections 3.3 and 3.4).
 * @param ack goes in front; null for a publish of quality 0.
 * @param topic as UTF-8 bytes.
 * @param packetId packet id of the PUBLISH, quality 1; null sends it with quality 0.
 */
export function answerFrame(ack: Ack | null, topic: Uint8Array, payload: string, packetId: number | null): Buffer {
  const rest = 2 + topic.length + (packetId === null ? 0 : 2) + Buffer.byteLength(payload);
  const ackBytes = ack === null ? 0 : ACK_BYTES;
  const frame = Buffer.allocUnsafe(ackBytes + 1 + lengthBytes(rest) + rest);
  let at = ack === null ? 0 : writeAck(frame, ack);
  frame[at++] = packetId === null ? 0x30 : 0x32;
  let left = rest;
  while (left >= 128) {
    frame[at++] = (left & 0x7f) | 0x80;
    left >>>= 7;
  }
  frame[at++] = left;
  at = frame.writeUInt16BE(topic.length, at);
  frame.set(topic, at);
  at += topic.length;
  if (packetId !== null) at = frame.writeUInt16BE(packetId, at);
  frame.write(payload, at);
  return frame;
}
