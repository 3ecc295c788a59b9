/** A reader program at the hub may die, hang or talk nonsense: one sentence says so, and no card is left in hand. */
import { afterEach, describe, expect, test } from 'vitest';
import { type CardReader, openCardReader, type ReaderProgram, type ReaderState } from '../../hub/cardreader.ts';
import { edges } from './chips.ts';

const open: CardReader[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((reader) => reader.close()));
});

/** A reader whose program is this JavaScript; `say` writes a message, `heard` gets the hub's. */
function readerOf(script: string, settings: Partial<ReaderProgram> = {}): CardReader {
  const prelude = `
    const say = (message) => process.stdout.write(JSON.stringify(message) + '\\n');
    const ready = () => say({ type: 'ready', name: 'scripted' });
    const card = (presence) => say({ type: 'card', presence, uid: '04112233445566', atr: '3b8180018080' });
    let heard = () => {};
    process.stdin.on('data', (chunk) => String(chunk).trim().split('\\n').forEach((line) => heard(JSON.parse(line))));
    process.stdin.on('end', () => process.exit());`;
  const reader = openCardReader(edges, { command: [process.execPath, '-e', prelude + script], ...settings });
  open.push(reader);
  return reader;
}

async function until(reader: CardReader, wanted: (state: ReaderState) => boolean): Promise<ReaderState> {
  for (;;) {
    const state = reader.state();
    if (wanted(state)) return state;
    if (state.type === 'ended') throw new Error(state.why);
    await reader.change();
  }
}

/** Waits until so many cards lie there. */
const cards = (reader: CardReader, count: number) =>
  until(reader, (state) => state.type === 'ready' && state.cards.length === count);
const end = async (reader: CardReader) => {
  const state = await until(reader, ({ type }) => type === 'ended');
  return state.type === 'ended' ? state.why : '';
};

const command = Uint8Array.of(0x90, 0x60, 0, 0, 0);

describe('a reader program that works', () => {
  test('tells its cards as they come and go, and passes commands and answers on unchanged', async () => {
    const reader = readerOf(`ready(); card(1); card(2);
      heard = ({ id, presence, hex }) => {
        say({ type: 'reply', id, hex });
        say({ type: 'gone', presence });
      }`);
    expect(await cards(reader, 2)).toMatchObject({ name: 'scripted', cards: [{ presence: 1 }, { presence: 2 }] });
    expect([...(await reader.transmit(2, command))]).toEqual([...command]);
    expect(await cards(reader, 1)).toMatchObject({ cards: [{ presence: 1, uid: '04112233445566' }] });
    expect(await reader.transmit(2, command)).toHaveLength(0);
  });

  test('a fault takes its cards and open commands away until it is ready again', async () => {
    const reader = readerOf(`ready(); card(1); heard = ({ id }) => {
      say({ type: 'fault', why: 'unplugged\\u001b[2J' });
      say({ type: 'reply', id, hex: '9000' });
      heard = () => {};
      process.once('SIGUSR2', () => { ready(); card(2); });
      say({ type: 'fault', why: String(process.pid) }) }`);
    await cards(reader, 1);
    expect(await reader.transmit(1, command)).toHaveLength(0);
    const state = await until(reader, (now) => now.type === 'fault' && /^\d+$/.test(now.why));
    process.kill(Number(state.type === 'fault' && state.why), 'SIGUSR2');
    expect(await cards(reader, 1)).toMatchObject({ cards: [{ presence: 2 }] });
  });

  test('it is not told the secrets of the hub', async () => {
    process.env.SIMPUL_PASSPHRASE = 'kopi tubruk';
    const reader = readerOf(`
      say({ type: 'fault', why: Object.keys(process.env).filter((name) => /^(SIMPUL|PATH$)/.test(name)).join() })`);
    delete process.env.SIMPUL_PASSPHRASE;
    const state = await until(reader, ({ type }) => type === 'fault');
    expect(state).toEqual({ type: 'fault', why: 'PATH' });
  });
});

describe('a reader program that fails', () => {
  test.each([
    ['noise', `process.stdout.write('hello\\n')`, 'no reader message'],
    ['an endless line', `process.stdout.write('x'.repeat(100000))`, 'endless line'],
    ['bytes that are no text', `process.stdout.write(Buffer.from([0xff, 0, 0xfe, 10]))`, 'no reader message'],
    ['an answer without a status word', `say({ type: 'reply', id: 1, hex: '90' })`, 'no reader message'],
    ['an answer to a command never sent', `say({ type: 'reply', id: 9, hex: '9000' })`, 'never sent'],
    ['the loss of a command never sent', `say({ type: 'lost', id: 1 })`, 'never sent'],
    ['a card number used twice', `card(5); card(5)`, 'twice'],
    ['too many cards', `for (let n = 1; n < 20; n++) card(n)`, 'more than 8'],
    ['a card while out of order', `say({ type: 'fault', why: 'broken' }); card(1)`, 'before it was ready'],
    ['its death', `console.error('out of luck'); process.exitCode = 3; process.exit()`, 'exit code 3): out of luck'],
  ])('%s ends it with a sentence', async (_, nonsense, why) => {
    const reader = readerOf(`ready(); ${nonsense}; setInterval(() => {}, 1000)`);
    expect(await end(reader)).toContain(why);
    expect(await reader.transmit(1, command)).toHaveLength(0);
  });

  test('one that never speaks, or stops, is not waited for', async () => {
    expect(await end(readerOf('setInterval(() => {}, 1000)', { startMs: 100 }))).toContain('silent for 100 ms');
    expect(await end(readerOf('ready(); setInterval(() => {}, 1000)', { silentMs: 100 }))).toContain('silent');
  });

  test('one that beats but leaves a command unanswered is ended, and the command is lost', async () => {
    const reader = readerOf(`ready(); card(1); setInterval(() => say({ type: 'beat' }), 20)`, { answerMs: 100 });
    await cards(reader, 1);
    expect(await reader.transmit(1, command)).toHaveLength(0);
    expect(await end(reader)).toContain('did not answer');
  });

  test('one that dies in the middle of a command loses it', async () => {
    const reader = readerOf(`ready(); card(1); heard = () => process.exit(0)`);
    await cards(reader, 1);
    expect(await reader.transmit(1, command)).toHaveLength(0);
    expect(await end(reader)).toContain('exit code 0');
  });

  test('one that is not there is named, with where to get it', async () => {
    const reader = openCardReader(edges, { command: ['simpul-no-such-reader'] });
    expect(await end(reader)).toContain('simpul-no-such-reader is not found; npm install -w kiosk');
    await reader.close();
  });
});

test('closing also ends a program that will not go', async () => {
  const reader = readerOf(`process.exit = () => {}; ready(); setInterval(() => {}, 1000);
    say({ type: 'card', presence: process.pid, uid: '04112233445566', atr: '' })`);
  const state = await cards(reader, 1);
  const pid = state.type === 'ready' ? (state.cards[0]?.presence ?? 0) : 0;
  await reader.close();
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  expect(reader.state()).toMatchObject({ type: 'ended' });
});
