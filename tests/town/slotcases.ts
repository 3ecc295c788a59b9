/** What holds on every slot, real PC/SC or not: the same emulated card must meet the same kiosk. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openReader, type Reader } from '../../kiosk/reader.ts';
import { ECHO_ATR, ECHO_UID, layEchoCard } from './echocard.ts';
import { eventsOf, type ReaderEvents } from './readerevents.ts';
import type { Slot } from './slot.ts';

const COMMAND = Uint8Array.of(0x90, 0x60, 0, 0, 0);

/** Registers the cases for one kind of slot. */
export function slotCases(slotOf: () => Slot): void {
  let reader: Reader;
  let events: ReaderEvents;

  beforeAll(() => {
    reader = openReader({ timers: globalThis, random: Math.random }, slotOf().reader);
    events = eventsOf(reader);
  });
  afterAll(() => reader.close());

  test('a card laid down is told with its UID and ATR, and answers commands of every length', async () => {
    const card = await slotOf().connect();
    layEchoCard(card);
    const { presence, uid, atr } = await events.next('card');
    expect({ uid, atr }).toEqual({ uid: ECHO_UID, atr: ECHO_ATR });
    for (const length of [5, 6, 64, 255, 256]) {
      const command = Uint8Array.from({ length }, (_, i) => (i === 4 ? length - 5 : 0x90 - i) & 0xff);
      const answer = await reader.transmit(presence, command);
      expect(Buffer.from(answer).toString('hex')).toBe(`${Buffer.from(command).toString('hex')}9000`);
    }
    card.destroy();
    expect((await events.next('gone')).presence).toBe(presence);
    expect(await reader.transmit(presence, COMMAND)).toHaveLength(0);
  });

  test('a card torn away in the middle of a command leaves that command without an answer', async () => {
    const card = await slotOf().connect();
    let commands = 0;
    layEchoCard(card, () => {
      commands += 1;
      if (commands === 2) card.destroy();
      return commands < 2;
    });
    const { presence } = await events.next('card');
    expect((await reader.transmit(presence, COMMAND)).length).toBe(7);
    expect(await reader.transmit(presence, COMMAND)).toHaveLength(0);
    expect((await events.next('gone')).presence).toBe(presence);
  });

  test('commands sent at once are answered in the order they were sent', async () => {
    const card = await slotOf().connect();
    const seen: string[] = [];
    layEchoCard(card, (command) => seen.push(command) > 0);
    const { presence } = await events.next('card');
    const commands = Array.from({ length: 20 }, (_, i) => Uint8Array.of(0x90, i, 0, 0, 0));
    const answers = await Promise.all(commands.map((command) => reader.transmit(presence, command)));
    expect(answers.map((answer) => answer[1])).toEqual(commands.map((command) => command[1]));
    expect(seen).toEqual(commands.map((command) => Buffer.from(command).toString('hex')));
    card.destroy();
    await events.next('gone');
  });

  test('the reader program ends with its kiosk', async () => {
    const { command, env } = slotOf().reader;
    const [file, ...args] = command;
    const program = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
    await once(program.stdout, 'data');
    program.stdin.end();
    const [code] = await once(program, 'exit');
    expect(code).toBe(0);
  });
}
