/** The envelope: what is written is read, and a body is known by its text. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bodyText, decode, encode } from '../../protocol/envelope.ts';
import { conversations } from '../../protocol/topics.ts';

const kind = conversations.resolve.up;
const body = { kiosk: 7, seq: 9, kind: 'account', ask: 'resolve' } as const;

const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,32}$/);
const head = fc.record({
  id,
  at: fc.integer({ min: 0, max: 2 ** 45 }),
  n: fc.integer({ min: 1, max: 2 ** 31 }),
  replyTo: fc.option(id, { nil: undefined }),
});

test('what is written around a body is read back, with its text to the byte', () => {
  fc.assert(
    fc.property(head, (around) => {
      const text = encode({ ...around, body });
      const decoded = decode(kind, text);
      expect(decoded).toEqual({ ok: true, message: JSON.parse(JSON.stringify({ v: 1, ...around, body })) });
      if (decoded.ok) expect(bodyText(decoded.message, text)).toBe(JSON.stringify(body));
    }),
  );
});

const bodyTextOf = (text: string) => {
  const decoded = decode(kind, text);
  if (!decoded.ok) throw new Error(decoded.refusal);
  return bodyText(decoded.message, text);
};

test('the same text of a body is known as such whatever stands around it, and in whatever order', () => {
  const json = JSON.stringify(body);
  const texts = [
    `{"v":1,"id":"a","at":1,"n":1,"body":${json}}`,
    `{"v":1,"id":"b","at":2,"n":2,"replyTo":"a","body":${json}}`,
    `{"body":${json},"v":1,"id":"c","at":3,"n":3}`,
    `{ "v": 1, "id": "d", "at": 4, "n": 4, "more": [1], "body": ${json} }`,
    `{"v":1,"id":"e","at":5,"n":5,"body":${json},"try":1}`,
    `{"v":1,"id":"f","at":6,"n":6,"body":${json}}\n`,
  ];
  expect(texts.map(bodyTextOf)).toEqual(texts.map(() => json));
});

test('a second body hidden behind the first is seen in the text', () => {
  const plain = `{"v":1,"id":"a","at":1,"n":1,"body":${JSON.stringify(body)}}`;
  const other = JSON.stringify({ ...body, seq: 10 });
  expect(bodyTextOf(`${plain.slice(0, -1)},"body":${other}}`)).not.toBe(bodyTextOf(plain));
  expect(bodyTextOf(`${plain.slice(0, -1)},"body":${other}}`)).not.toBe(other);
});
