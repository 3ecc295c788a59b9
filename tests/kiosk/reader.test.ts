/** A reader program may die, hang or talk nonsense; the kiosk goes on, and never takes silence for an answer. */
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { openReader, type Reader, type ReaderCommand } from '../../kiosk/reader.ts';
import { eventsOf } from '../town/readerevents.ts';

const open: Reader[] = [];
const delays: number[] = [];

/** Timers that run, and note how long each was to be. */
const timers = {
  setTimeout: (callback: () => void, ms: number): unknown => {
    delays.push(ms);
    return setTimeout(callback, ms);
  },
  clearTimeout: (timer: unknown) => clearTimeout(timer as NodeJS.Timeout),
};

/** A reader whose program is this JavaScript; `say` writes a message, `heard` gets the kiosk's. */
function readerOf(script: string, settings: Partial<ReaderCommand> = {}, random = () => 0): Reader {
  const prelude = `
    const say = (message) => process.stdout.write(JSON.stringify(message) + '\\n');
    const ready = () => say({ type: 'ready', name: 'scripted' });
    const card = (presence) => say({ type: 'card', presence, uid: '04112233445566', atr: '3b8180018080' });
    let heard = () => {};
    process.stdin.on('data', (chunk) => String(chunk).trim().split('\\n').forEach((line) => heard(JSON.parse(line))));
    process.stdin.on('end', () => process.exit());`;
  const reader = openReader({ timers, random }, { command: [process.execPath, '-e', prelude + script], ...settings });
  open.push(reader);
  return reader;
}

const command = Uint8Array.of(0x90, 0x60, 0, 0, 0);

afterEach(async () => {
  await Promise.all(open.splice(0).map((reader) => reader.close()));
  delays.length = 0;
});

describe('a reader program that works', () => {
  test('what happened before anyone listened is told in order, nothing twice', async () => {
    const reader = readerOf(`ready(); card(1); heard = ({ id }) => say({ type: 'reply', id, hex: '9100' })`);
    while ((await reader.transmit(1, command)).length === 0) await wait(5);
    const events = eventsOf(reader);
    expect(events.all.map((event) => event.type)).toEqual(['ready', 'card']);
    const again = eventsOf(reader);
    expect(again.all).toEqual([]);
  });

  test('commands and answers pass unchanged, each to the one who asked', async () => {
    const reader = readerOf(`ready(); card(1);
      const held = [];
      heard = (m) => {
        held.push(m);
        if (held.length === 2) held.reverse().forEach(({ id, hex }) => say({ type: 'reply', id, hex }));
      }`);
    const { presence, uid, atr } = await eventsOf(reader).next('card');
    expect({ uid, atr }).toEqual({ uid: '04112233445566', atr: '3b8180018080' });
    const two = [Uint8Array.of(0, 1, 2, 3), Uint8Array.from({ length: 261 }, (_, i) => i % 256)];
    const answers = await Promise.all(two.map((each) => reader.transmit(presence, each)));
    expect(answers.map((each) => [...each])).toEqual(two.map((each) => [...each]));
  });

  test('a command to a card that has left is lost at once', async () => {
    const reader = readerOf(`ready(); card(1); say({ type: 'gone', presence: 1 }); card(2)`);
    const events = eventsOf(reader);
    const { presence } = await events.next('card');
    await events.next('gone');
    expect(await reader.transmit(presence, command)).toHaveLength(0);
    expect(await reader.transmit(presence + 7, command)).toHaveLength(0);
  });

  test('a card that leaves in mid-command loses that command and no other', async () => {
    const reader = readerOf(`ready(); card(1); card(2);
      heard = ({ id, presence }) => {
        if (presence === 1) say({ type: 'gone', presence });
        else say({ type: 'reply', id, hex: '9000' });
      }`);
    const events = eventsOf(reader);
    const first = await events.next('card');
    const second = await events.next('card');
    const [lost, kept] = await Promise.all([
      reader.transmit(first.presence, command),
      reader.transmit(second.presence, command),
    ]);
    expect([lost.length, kept.length]).toEqual([0, 2]);
  });

  test('nobody listening for days costs no memory: only the latest events are kept', async () => {
    const reader =
      readerOf(`ready(); for (let n = 1; n < 2000; n++) { card(n); say({ type: 'gone', presence: n }) } card(2000);
      heard = ({ id }) => say({ type: 'reply', id, hex: '9000' })`);
    while ((await reader.transmit(2000, command)).length === 0) await wait(5);
    const { all } = eventsOf(reader);
    expect(all.length).toBeLessThanOrEqual(256);
    expect(all.at(-1)).toMatchObject({ type: 'card', presence: 2000 });
  });
});

describe('a reader program that fails', () => {
  test('its death loses the open command, sends the card away, tells one fault, and a new one takes over', async () => {
    const reader = readerOf(`ready(); card(1); heard = () => { console.error('out of luck'); process.exit(3) }`);
    const events = eventsOf(reader);
    const { presence } = await events.next('card');
    expect(await reader.transmit(presence, command)).toHaveLength(0);
    const { why } = await events.next('fault');
    expect(why).toContain('exit code 3');
    expect(why).toContain('out of luck');
    await events.next('ready');
    const next = await events.next('card');
    expect(next.presence).toBeGreaterThan(presence);
    expect(events.all.map((event) => event.type)).toEqual(['ready', 'card', 'gone', 'fault', 'ready', 'card']);
  });

  test('one that lives but has stopped beating is replaced', async () => {
    const reader = readerOf('ready(); card(1); setInterval(() => {}, 1000)', { silentMs: 100 });
    const events = eventsOf(reader);
    await events.next('card');
    expect((await events.next('fault')).why).toContain('silent');
    await events.next('ready');
  });

  test('one that never says a word is replaced', async () => {
    const events = eventsOf(readerOf('setInterval(() => {}, 1000)', { startMs: 200 }));
    expect((await events.next('fault')).why).toContain('silent for 200 ms');
  });

  test('one that beats but leaves a command unanswered is replaced, the command is lost', async () => {
    const reader = readerOf(`ready(); card(1); setInterval(() => say({ type: 'beat' }), 20)`, { answerMs: 100 });
    const events = eventsOf(reader);
    const { presence } = await events.next('card');
    expect(await reader.transmit(presence, command)).toHaveLength(0);
    expect((await events.next('fault')).why).toContain('did not answer');
    await events.next('ready');
  });

  test('a fault it reports itself takes its cards away until it is ready again', async () => {
    const reader = readerOf(`ready(); card(1); heard = ({ id }) => {
      say({ type: 'fault', why: 'reader unplugged\\u001b[2J' });
      say({ type: 'reply', id, hex: '9000' }); ready(); card(2) }`);
    const events = eventsOf(reader);
    const { presence } = await events.next('card');
    expect(await reader.transmit(presence, command)).toHaveLength(0);
    expect((await events.next('fault')).why).toBe('reader unplugged [2J');
    await events.next('card');
    expect(events.all.map((event) => event.type)).toEqual(['ready', 'card', 'gone', 'fault', 'ready', 'card']);
  });

  test.each([
    ['noise', `process.stdout.write('hello\\n')`],
    ['an endless line', `process.stdout.write('x'.repeat(100000))`],
    ['bytes that are no text', `process.stdout.write(Buffer.from([0xff, 0, 0xfe, 10]))`],
    ['an unknown message', `say({ type: 'money', amount: 1 })`],
    ['an answer without a status word', `say({ type: 'reply', id: 1, hex: '90' })`],
    ['an answer to a command never sent', `say({ type: 'reply', id: 9, hex: '9000' })`],
    ['a UID of a wrong length', `say({ type: 'card', presence: 1, uid: '0411', atr: '' })`],
    ['a card number used twice', `card(5); card(5)`],
    ['too many cards', `for (let n = 1; n < 20; n++) card(n)`],
    ['a card while out of order', `say({ type: 'fault', why: 'broken' }); card(1)`],
  ])('%s is a fault, not a crash', async (_, nonsense) => {
    const late = { restartMs: 20_000 };
    const events = eventsOf(readerOf(`ready(); ${nonsense}; setInterval(() => {}, 1000)`, late, () => 0.9));
    await events.next('ready');
    let fault = await events.next('fault');
    if (fault.why === 'broken') fault = await events.next('fault');
    expect(fault.why).toContain('The reader program');
    expect(delays).toContain(18_000);
  });

  test('one that cannot be started is named, told once, and tried again ever more rarely', async () => {
    const settings: ReaderCommand = { command: ['/nonexistent/reader'], restartMs: 2 };
    const reader = openReader({ timers, random: () => 0.5 }, settings);
    open.push(reader);
    const events = eventsOf(reader);
    expect((await events.next('fault')).why).toContain('/nonexistent/reader');
    const restarts = () => delays.filter((ms) => ms < 300);
    while (restarts().length < 6) await wait(5);
    expect(restarts().slice(0, 6)).toEqual([1, 2, 4, 8, 16, 32]);
    expect(events.all).toHaveLength(1);
  });
});

describe('closing', () => {
  test('ends the program and loses what is open', async () => {
    const reader = readerOf(`ready(); card(1); heard = () => {}`);
    const { presence } = await eventsOf(reader).next('card');
    const answer = reader.transmit(presence, command);
    await reader.close();
    expect(await answer).toHaveLength(0);
    expect(await reader.transmit(presence, command)).toHaveLength(0);
  });

  test('also ends a program that will not go', async () => {
    const reader = readerOf(
      `process.exit = () => {}; ready(); setInterval(() => {}, 1000);
        say({ type: 'card', presence: process.pid, uid: '04112233445566', atr: '' })`,
    );
    const { presence: pid } = await eventsOf(reader).next('card');
    await reader.close();
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });
});
