/** Lines between kiosk and reader program come in any pieces and with any content. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lineCutter } from '../../cards/readerlines.ts';
import { lineOf, readToReader, sentence } from '../../protocol/readercommand.ts';
import { readFromReader } from '../../protocol/readerwire.ts';

describe('the reader wire', () => {
  test('lines arrive whole however the stream is cut', () => {
    const texts = fc.array(fc.string({ maxLength: 80 }).map((text) => text.replaceAll('\n', '')));
    fc.assert(
      fc.property(texts, fc.infiniteStream(fc.nat(40)), (lines, cuts) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const heard: string[] = [];
        const cut = lineCutter((line) => heard.push(line), expect.unreachable);
        for (let at = 0; at < bytes.length; ) {
          const length = 1 + (cuts.next().value as number);
          cut(bytes.subarray(at, at + length));
          at += length;
        }
        expect(heard).toEqual(lines);
      }),
    );
  });

  test('a line past the limit is told once, and nothing after it is believed', () => {
    const heard: string[] = [];
    let tooLong = 0;
    const cut = lineCutter(
      (line) => heard.push(line),
      () => {
        tooLong += 1;
      },
    );
    cut(Buffer.from(`fine\n${'x'.repeat(3000)}`));
    cut(Buffer.from(`${'x'.repeat(3000)}\nlate\n`));
    expect({ heard, tooLong }).toEqual({ heard: ['fine'], tooLong: 1 });
  });

  test('no text makes the reading throw', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        readFromReader(text);
        readToReader(text);
      }),
    );
  });

  const hex = (fewest: number, most: number) =>
    fc.uint8Array({ minLength: fewest, maxLength: most }).map((bytes) => Buffer.from(bytes).toString('hex'));
  const counter = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

  test('a command arrives as it was sent', () => {
    fc.assert(
      fc.property(counter, counter, hex(4, 512), (id, presence, command) => {
        const message = { type: 'apdu', id, presence, hex: command } as const;
        expect(readToReader(lineOf(message))).toEqual(message);
      }),
    );
  });

  test.each([
    ['null', null],
    ['another message', { type: 'money', id: 1, presence: 1, hex: '00000000' }],
    ['no number', { type: 'apdu', presence: 1, hex: '00000000' }],
    ['number zero', { type: 'apdu', id: 0, presence: 1, hex: '00000000' }],
    ['half a card', { type: 'apdu', id: 1, presence: 0.5, hex: '00000000' }],
    ['three bytes', { type: 'apdu', id: 1, presence: 1, hex: '000000' }],
    ['half a byte', { type: 'apdu', id: 1, presence: 1, hex: '000000000' }],
    ['too many bytes', { type: 'apdu', id: 1, presence: 1, hex: '00'.repeat(513) }],
    ['no hex', { type: 'apdu', id: 1, presence: 1, hex: '0000000g' }],
  ])('%s is no command', (_, value) => {
    expect(readToReader(JSON.stringify(value))).toBeUndefined();
  });

  test('a sentence is one printable line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 700, size: 'max' }), (text) => {
        expect(sentence(text)).toMatch(/^\P{C}{1,300}$/u);
      }),
    );
  });
});
