/** The emulated card as a client of vpcd: framing, control messages, leaving, and tearing by closing the connection. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { anyCard } from './deck.ts';
import type { Trouble } from './field.ts';
import { type Offer, offer } from './vpicc.ts';

const SELECT = '00a4040c10a00000039656434103f015400000000b00';
const framed = (message: string) =>
  Buffer.from(`${(message.length / 2).toString(16).padStart(4, '0')}${message}`, 'hex');

interface Slot {
  readonly offered: Offer;
  readonly socket: Socket;
  /** Sends one message and resolves with the next answer, or '' when the card closed the connection. */
  ask(message: string): Promise<string>;
  close(): void;
}
const slots: Slot[] = [];
afterEach(() => {
  for (const slot of slots.splice(0)) slot.close();
});

/** The driver's end, of few lines: listens, sends, reads one answer. */
async function slot(trouble?: Trouble): Promise<Slot> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connected = once(server, 'connection');
  const offered = await offer(anyCard(), (server.address() as AddressInfo).port, trouble);
  const [socket] = (await connected) as [Socket];
  const ask = async (message: string) => {
    socket.write(framed(message));
    const answered = await Promise.race([once(socket, 'data'), once(socket, 'close')]);
    const [chunk] = answered as [Buffer | boolean];
    if (!(chunk instanceof Buffer)) return '';
    expect(chunk.readUInt16BE(0)).toBe(chunk.length - 2);
    return chunk.toString('hex', 2);
  };
  const made = { offered, socket, ask, close: () => server.close() };
  slots.push(made);
  return made;
}

test('the card gives its activation data and answers APDUs, each in one message', async () => {
  const { ask, offered } = await slot();
  expect(await ask('04')).toBe('3b8180018080');
  expect(await ask('ffca000000')).toBe('045a115a3461809000');
  expect(await ask(SELECT)).toBe('9000');
  await offered.remove();
});

test('power and reset are not answered, and end what was open on the card', async () => {
  const { ask, socket, offered } = await slot();
  expect(await ask(SELECT)).toBe('9000');
  expect(await ask('9071000002010000')).toMatch(/91af$/);
  for (const control of ['00', '01', '02']) socket.write(framed(control));
  expect(await ask('90af0000')).toBe('917e');
  await offered.remove();
});

test('messages that arrive in pieces, or several at once, are understood', async () => {
  const { socket, offered } = await slot();
  socket.setNoDelay(true);
  const both = Buffer.concat([framed(SELECT), framed('04'), framed('01')]);
  socket.write(both.subarray(0, 1));
  socket.write(both.subarray(1, 9));
  socket.write(both.subarray(9));
  let answers = '';
  for await (const chunk of socket) {
    answers += (chunk as Buffer).toString('hex');
    if (answers.length >= 24) break;
  }
  expect(answers).toBe('0002900000063b8180018080');
  await offered.gone;
});

test('taking the card away closes the connection', async () => {
  const { offered, socket } = await slot();
  const closed = once(socket, 'close');
  await offered.remove();
  await closed;
  await offered.gone;
});

for (const when of ['before', 'after'] as const) {
  test(`a card torn ${when} a command closes the connection in place of an answer`, async () => {
    const { ask, offered } = await slot({ tear: { apdu: 1, when } });
    expect(await ask('ffca000000')).toBe('045a115a3461809000');
    expect(await ask(SELECT)).toBe('9000');
    expect(await ask('9060000000')).toBe('');
    await offered.gone;
  });
}

test('without a reader the card cannot be laid down', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  await expect(offer(anyCard(), port)).rejects.toThrow('ECONNREFUSED');
});
