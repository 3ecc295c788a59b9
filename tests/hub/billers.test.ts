/** What a biller answers over HTTP: only a whole answer to this very question ends a bill; all else is unsure. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { httpBiller } from '../../hub/billers/http.ts';
import { makeLog, realEdges } from '../../hub/edges.ts';

const ORDER = { reference: '7-12', product: 'pln', customer: '530012345678', amount: 100_000n };
const PAID = { reference: '7-12', status: 'paid', amount: 100_000, serial: 'T-1', text: 'Lunas' };
const REFUSED = { reference: '7-12', status: 'refused', text: 'Sudah lunas' };

async function biller(answer: (response: ServerResponse) => void) {
  const heard: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    heard.push(request.headers.authorization);
    answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/`;
  return { heard, speaks: httpBiller(realEdges(makeLog('silent')), { url, timeoutMs: 2_000, token: 'ours' }) };
}

const answers: readonly (readonly [string, string, object])[] = [
  ['paid', JSON.stringify(PAID), { kind: 'paid', serial: 'T-1', text: 'Lunas' }],
  ['refused', JSON.stringify(REFUSED), { kind: 'refused', text: 'Sudah lunas' }],
  ['not done yet', JSON.stringify({ ...REFUSED, status: 'pending' }), { kind: 'unsure' }],
  ['paid, another bill', JSON.stringify({ ...PAID, reference: '7-13' }), { kind: 'unsure' }],
  ['refused, another bill', JSON.stringify({ ...REFUSED, reference: '7-13' }), { kind: 'unsure' }],
  ['paid, another sum', JSON.stringify({ ...PAID, amount: 100_001 }), { kind: 'unsure' }],
  ['paid, without a sum', JSON.stringify({ ...PAID, amount: undefined }), { kind: 'unsure' }],
  ['a word nobody knows', JSON.stringify({ ...PAID, status: 'ok' }), { kind: 'unsure' }],
  ['half an answer', JSON.stringify(PAID).slice(0, 20), { kind: 'unsure' }],
  ['more than anybody reads', JSON.stringify({ ...PAID, more: 'x'.repeat(20_000) }), { kind: 'unsure' }],
  ['nothing', '', { kind: 'unsure' }],
];

test.each(answers)('a biller that answers: %s', async (_what, body, expected) => {
  const { speaks, heard } = await biller((response) => void response.end(body));
  expect(await speaks.pay(ORDER)).toMatchObject(expected);
  expect(await speaks.ask(ORDER)).toMatchObject(expected);
  expect(heard).toEqual(['Bearer ours', 'Bearer ours']);
});

test('a refusal under an error, a redirect, and a line that is cut say nothing about the bill', async () => {
  const refuses = JSON.stringify(REFUSED);
  const ways: readonly ((response: ServerResponse) => void)[] = [
    (response) => void response.writeHead(500).end(refuses),
    (response) => void response.writeHead(302, { location: '/elsewhere' }).end(refuses),
    (response) => void response.destroy(),
  ];
  for (const way of ways) {
    const { speaks } = await biller(way);
    expect(await speaks.pay(ORDER)).toMatchObject({ kind: 'unsure' });
  }
});
