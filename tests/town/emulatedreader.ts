/** Reader program for machines without PC/SC: the wire of `kiosk/pcsc.ts`, and a small vpcd behind it. */
// Reader program for machines without PC/SC: speaks the same wire as `kiosk/pcsc.ts` and is a small vpcd: whoever
// connects to
// the Unix socket named by the first argument and speaks vpicc is the card on it.
import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { serveKiosk } from '../../kiosk/readerchild.ts';
import type { ToReader } from '../../protocol/readercommand.ts';

/** Control messages of vpcd (vsmartcard, virtualsmartcard/src/vpcd): one byte each; only the last is answered. */
const POWER_ON = Buffer.from([1]);
const GET_ATR = Buffer.from([4]);
/** PC/SC part 3 section 3.2.2.1.3: Get Data, UID. */
const GET_UID = Buffer.from('ffca000000', 'hex');
/** Longer than any answer to a short APDU: a longer one comes from no card. */
const ANSWER_BYTES_MAX = 512;
const WAITING_MAX = 8;

/** The card on the reader. */
interface Guest {
  readonly socket: Socket;
  /** Set once the card is told to the kiosk. */
  presence: number | undefined;
  rest: Buffer;
  /** Who waits for the next answers, in the order of the questions. */
  readonly asked: ((answer: Buffer | undefined) => void)[];
}

const path = process.argv[2];
const waiting: Socket[] = [];
let guest: Guest | undefined;
let presences = 0;

const say = serveKiosk(
  { input: process.stdin, output: process.stdout, timers: globalThis, end: () => process.exit(0) },
  forward,
);

function arrive(socket: Socket): void {
  socket.on('error', () => socket.destroy());
  if (waiting.length >= WAITING_MAX) socket.destroy();
  else waiting.push(socket);
  seat();
}

/** One card at a time: the next one is looked at when the last has left. */
function seat(): void {
  if (guest) return;
  const socket = waiting.shift();
  if (!socket) return;
  const seated: Guest = { socket, presence: undefined, rest: Buffer.alloc(0), asked: [] };
  guest = seated;
  socket.setNoDelay(true);
  socket.on('data', (chunk) => hear(seated, chunk));
  socket.once('close', () => leave(seated));
  if (socket.destroyed) leave(seated);
  else void welcome(seated);
}

function leave(left: Guest): void {
  if (guest !== left) return;
  guest = undefined;
  for (const answer of left.asked.splice(0)) answer(undefined);
  if (left.presence !== undefined) say({ type: 'gone', presence: left.presence });
  seat();
}

/** Cuts the stream into messages of a 2-byte big-endian length and its payload. */
function hear(from: Guest, chunk: Buffer): void {
  from.rest = Buffer.concat([from.rest, chunk]);
  while (from.rest.length >= 2) {
    const length = from.rest.readUInt16BE(0);
    if (length > ANSWER_BYTES_MAX) {
      from.socket.destroy();
      return;
    }
    if (from.rest.length < 2 + length) return;
    const answer = from.rest.subarray(2, 2 + length);
    from.rest = from.rest.subarray(2 + length);
    from.asked.shift()?.(answer);
  }
}

function send(to: Guest, payload: Buffer): void {
  const frame = Buffer.alloc(2 + payload.length);
  frame.writeUInt16BE(payload.length);
  payload.copy(frame, 2);
  to.socket.write(frame);
}

/** Undefined when the card left before it answered. */
function ask(whom: Guest, question: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    whom.asked.push(resolve);
    send(whom, question);
  });
}

async function welcome(seated: Guest): Promise<void> {
  send(seated, POWER_ON);
  const atr = await ask(seated, GET_ATR);
  const answer = await ask(seated, GET_UID);
  if (guest !== seated || !atr || !answer) return;
  const uid = answer.subarray(0, -2).toString('hex');
  if (answer.subarray(-2).toString('hex') !== '9000' || ![8, 14, 20].includes(uid.length)) {
    seated.socket.destroy();
    return;
  }
  presences += 1;
  seated.presence = presences;
  say({ type: 'card', presence: presences, uid, atr: atr.subarray(0, 33).toString('hex') });
}

async function forward({ id, presence, hex }: ToReader): Promise<void> {
  const asked = guest?.presence === presence ? await ask(guest, Buffer.from(hex, 'hex')) : undefined;
  if (asked && asked.length >= 2) say({ type: 'reply', id, hex: asked.toString('hex') });
  else say({ type: 'lost', id });
}

if (path === undefined) {
  say({ type: 'fault', why: 'The emulated reader was given no path for its socket.' });
} else {
  // A killed predecessor leaves its socket file behind.
  rmSync(path, { force: true });
  createServer(arrive).listen(path, () => say({ type: 'ready', name: 'emulated reader' }));
}
