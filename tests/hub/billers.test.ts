/** What a biller answers over HTTP: only a whole answer to this very question ends a bill; all else is unsure. */
import { writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { httpBiller } from '../../hub/billers/http.ts';
import { type BillerSettings, openBillers } from '../../hub/billers/settings.ts';
import { makeLog, realEdges } from '../../hub/edges.ts';
import type { CooperativeId } from '../../protocol/ids.ts';
import { temporary } from './world.ts';

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

test('what a biller says that is no JSON is not repeated: it may hold what the hub is known by', async () => {
  const { speaks } = await biller((response) => void response.end('Bearer ours'));
  expect(await speaks.pay(ORDER)).toEqual({ kind: 'unsure', why: 'the answer is no JSON' });
});

test('words of a biller cannot move a cursor or turn a line around', async () => {
  const words = { ...PAID, serial: 'T\u001b[2J', text: 'Lunas\u202e' };
  const { speaks } = await biller((response) => void response.end(JSON.stringify(words)));
  expect(await speaks.pay(ORDER)).toEqual({ kind: 'paid', serial: 'T\ufffd[2J', text: 'Lunas\ufffd' });
});

test('a hub does not start with a token or an address that would show up in errors, and never repeats it', () => {
  const directory = temporary();
  const open = (token: string, url = 'https://h2h.example.org/v1') => {
    writeFileSync(join(directory, 'ppob.token'), token);
    const cooperative = 'kud' as CooperativeId;
    const settings: BillerSettings = { id: 'ppob', url, cooperative, tokenFile: 'ppob.token', products: [] };
    return openBillers(realEdges(makeLog('silent')), directory, [settings]);
  };
  expect(open('rahasia\n').biller('ppob')).not.toBeNull();
  for (const token of ['', 'rahasia\nkedua', 'rahasia\u2026', 'rahasia dua']) {
    expect(() => open(token)).toThrow(/^biller ppob: its token file ppob\.token must hold one line/);
    expect(() => open(token)).not.toThrow(/rahasia/);
  }
  const urls = ['https://kami:rahasia@example.org/v1', 'http://localhost:80@example.org/', 'https://a.id/v1?k=rahasia'];
  for (const url of urls) {
    expect(() => open('t', url)).toThrow(/^biller ppob: its url must be an address and path alone/);
    expect(() => open('t', url)).not.toThrow(/rahasia/);
  }
  const lost: BillerSettings = {
    id: 'ppob',
    url: 'https://a.id/v1',
    cooperative: 'kud' as CooperativeId,
    tokenFile: 'lost',
    products: [],
  };
  expect(() => openBillers(realEdges(makeLog('silent')), directory, [lost])).toThrow(
    'biller ppob: its token file lost cannot be read (ENOENT); bring it back or correct tokenFile in hub.json',
  );
});
