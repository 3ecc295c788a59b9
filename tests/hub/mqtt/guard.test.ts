/** The byte guard follows frames however the network cuts them, and bounds strangers and kiosks alike. */
import fc from 'fast-check';
import mqtt from 'mqtt-packet';
import { expect, test } from 'vitest';
import { ackFrame, answerFrame } from '../../../hub/mqtt/frames.ts';
import { FRAME_BYTES, makeGuard, STRANGER_BYTES } from '../../../hub/mqtt/guard.ts';

/** A frame whose body has so many bytes. */
function frame(body: number): Buffer {
  const length: number[] = [];
  let left = body;
  do {
    length.push((left & 0x7f) | (left >= 128 ? 0x80 : 0));
    left >>>= 7;
  } while (left > 0);
  return Buffer.concat([Buffer.of(0x30, ...length), Buffer.alloc(body)]);
}

const accepted = () => {
  const guard = makeGuard();
  guard.accept();
  return guard;
};

test('a stranger may send 16 KiB in all and not one byte more', () => {
  const guard = makeGuard();
  for (let sent = 0; sent < STRANGER_BYTES / 1024; sent++) expect(guard.feed(frame(1021))).toBe('pass');
  expect(guard.feed(Buffer.of(0x30))).toBe('too-much-before-connect');
});

test('a stranger who announces a long frame is stopped at its header', () => {
  expect(makeGuard().feed(frame(STRANGER_BYTES).subarray(0, 4))).toBe('too-much-before-connect');
});

test('a kiosk may send frames of 64 KiB for ever, and none longer', () => {
  const guard = accepted();
  for (let n = 0; n < 20; n++) expect(guard.feed(frame(FRAME_BYTES - 4))).toBe('pass');
  expect(guard.feed(frame(FRAME_BYTES - 3).subarray(0, 5))).toBe('frame-too-long');
});

test('a length of five bytes is malformed', () => {
  expect(accepted().feed(Buffer.of(0x30, 0xff, 0xff, 0xff, 0xff, 0x01))).toBe('length-malformed');
});

test('any cutting of good frames passes, and a bad one after them is seen', () => {
  const bodies = fc.array(fc.nat(3000), { maxLength: 20 });
  const cuts = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 });
  fc.assert(
    fc.property(bodies, cuts, (bodies, cuts) => {
      const guard = accepted();
      const stream = Buffer.concat(bodies.map(frame));
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const cut = cuts[turn % cuts.length] ?? 1;
        expect(guard.feed(stream.subarray(at, at + cut))).toBe('pass');
        at += cut;
      }
      expect(guard.feed(frame(2 ** 20).subarray(0, 4))).toBe('frame-too-long');
    }),
  );
});

test('an acknowledgement and an answer in one write read back as the two packets they are', () => {
  const packetId = fc.integer({ min: 1, max: 65_535 });
  const ack = fc.record({ type: fc.constantFrom('puback', 'pubrec'), packetId });
  const payload = fc.string({ unit: 'grapheme', maxLength: 20_000, size: 'max' });
  fc.assert(
    fc.property(fc.option(ack), payload, fc.option(packetId), (ack, payload, packetId) => {
      const topic = 'simpul/v1/lapak-12/dn/purchase';
      const packets: mqtt.Packet[] = [];
      const parser = mqtt.parser();
      parser.on('packet', (packet) => packets.push(packet));
      parser.parse(answerFrame(ack as Parameters<typeof answerFrame>[0], Buffer.from(topic), payload, packetId));
      if (ack !== null) expect(packets.shift()).toMatchObject({ cmd: ack.type, messageId: ack.packetId });
      const [published] = packets;
      expect(published).toMatchObject({
        cmd: 'publish',
        topic,
        qos: packetId === null ? 0 : 1,
        retain: false,
        dup: false,
      });
      if (packetId !== null) expect(published).toMatchObject({ messageId: packetId });
      expect(published?.cmd === 'publish' && published.payload.toString()).toBe(Buffer.from(payload).toString());
      expect(packets).toHaveLength(1);
    }),
  );
});

test('an acknowledgement alone is the four bytes of the standard', () => {
  expect([...ackFrame({ type: 'puback', packetId: 0x1234 })]).toEqual([0x40, 2, 0x12, 0x34]);
  expect([...ackFrame({ type: 'pubrec', packetId: 1 })]).toEqual([0x50, 2, 0, 1]);
});
