/** `simpul-hub cards prepare` as a process: killed at any moment, stopped by a person, called wrongly. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { opens } from '../town/barereader.ts';
import type { Card } from '../town/card.ts';
import { openEmulatedSlot } from '../town/emulatedslot.ts';
import { openPcscd } from '../town/pcscd.ts';
import { repository } from '../town/repository.ts';
import type { Slot } from '../town/slot.ts';
import { lay } from '../town/vpicc.ts';
import { chipFromBox, copyOf, type HubFolder, hubFolder, key0, LIGHT_UID, watched } from './chips.ts';
import { temporary } from './world.ts';

const BIN = join(repository(), 'hub/bin/simpul-hub.js');

let made: HubFolder;
let folder: HubFolder;
const cleaning: (() => void | Promise<void>)[] = [];
beforeAll(async () => {
  made = await hubFolder((clean) => void cleaning.push(clean));
});
beforeEach(() => {
  folder = copyOf(made);
});
afterAll(async () => {
  for (const clean of cleaning) await clean();
});

interface Run {
  readonly child: ChildProcess;
  /** What it said, line by line. */
  readonly lines: string[];
  /** Waits for a line with this text. */
  said(text: string): Promise<void>;
  readonly end: Promise<{ readonly code: number | null; readonly err: string }>;
}

/** In a process group of its own, as a terminal starts it; it ends with the test. */
function prepare(args: readonly string[], environment: Record<string, string> = {}): Run {
  const command = ['--pdeathsig', 'KILL', process.execPath, BIN, 'cards', 'prepare', '--data', folder.directory];
  const env = { PATH: process.env.PATH, ...environment };
  const child = spawn('setpriv', [...command, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env, detached: true });
  const lines: string[] = [];
  let rest = '';
  let err = '';
  let wake = () => {};
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
    wake();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const end = once(child, 'close').then(([code]) => {
    wake();
    return { code: code as number | null, err };
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await end;
  });
  const said = async (text: string) => {
    while (!lines.some((line) => line.includes(text))) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended: ${lines.join('; ')} ${err}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return { child, lines, said, end };
}

const ours = (card: Card, version = 1) => opens(card, 0, key0(folder.vault, LIGHT_UID, version));

describe('with the emulated reader', () => {
  let slot: Slot;
  let reader: readonly string[];
  beforeAll(() => {
    slot = openEmulatedSlot();
    reader = ['--reader', ...slot.reader.command];
  });
  afterAll(() => slot.close());

  // Select · 64 0–4 · 3C · 71 · AF · C4 · Select · 64 0–4 · 71 · AF
  test.each([
    ['before anything is known of it', 0, true],
    ['before its change is noted', 7, true],
    ['as its key is changed, not done', 9, false],
    ['as its key is changed, done', 9, true],
    ['as it proves its key', 17, true],
  ])('killed with a chip in hand (%s), the next run prepares it', async (_, at, executed) => {
    const first = prepare([...reader, '--count', '1']);
    const card = chipFromBox();
    let asked = -1;
    const killing = watched(card, (apdu) => {
      if (apdu[0] === 0xff) return card.process(apdu);
      asked += 1;
      if (asked !== at) return card.process(apdu);
      first.child.kill('SIGKILL');
      return executed ? card.process(apdu) : Uint8Array.of(0x6f, 0x00);
    });
    await first.said('ready');
    await lay(killing, await slot.connect()).gone;
    expect((await first.end).code).toBeNull();
    const registry = folder.open();
    expect(registry.chip(LIGHT_UID)?.keyVersion).toBe(at < 9 ? undefined : 0);
    registry.close();
    const second = prepare([...reader, '--count', '1', '--json']);
    await second.said('ready');
    await lay(card, await slot.connect()).gone;
    expect(await second.end).toEqual({ code: 0, err: '' });
    expect(second.lines.map((line) => JSON.parse(line))).toMatchObject([
      { state: 'ready', reader: 'emulated reader' },
      { state: 'card', uid: LIGHT_UID, result: 'prepared' },
      { state: 'end', counts: { prepared: 1, already: 0, aside: 0 }, error: null },
    ]);
    // A key that was sent and not taken is sent to no chip again.
    const version = at === 9 && !executed ? 2 : 1;
    expect(ours(card, version)).toBe(true);
    const after = folder.open();
    expect([after.chip(LIGHT_UID)?.keyVersion, after.openChanges(LIGHT_UID)]).toEqual([version, []]);
    after.close();
  });

  test('Ctrl-C at the terminal lets the chip in hand be finished, then ends it', async () => {
    const run = prepare(reader);
    const card = chipFromBox();
    let asked = -1;
    const stopping = watched(card, (apdu) => {
      if (apdu[0] !== 0xff) asked += 1;
      if (asked === 9) process.kill(-(run.child.pid ?? 0), 'SIGINT');
      return card.process(apdu);
    });
    await run.said('ready');
    await lay(stopping, await slot.connect()).gone;
    expect(await run.end).toEqual({ code: 0, err: '' });
    expect(run.lines).toEqual([
      expect.stringContaining('emulated reader is ready'),
      `${LIGHT_UID}  prepared (1): the next`,
      '1 prepared, 0 prepared before, 0 put aside.',
    ]);
    expect(ours(card)).toBe(true);
  });

  test('stopped before its count is reached, it says so by its exit code', async () => {
    const run = prepare([...reader, '--count', '2']);
    await run.said('is ready');
    run.child.kill('SIGTERM');
    expect(await run.end).toEqual({ code: 1, err: expect.stringContaining('stopped before 2 were prepared') });
  });

  test('a forged chip is put aside in words, and costs no more than its line', async () => {
    const run = prepare(reader);
    await run.said('ready');
    const offer = lay(chipFromBox({ signature: new Uint8Array(56) }), await slot.connect());
    await run.said(`${LIGHT_UID}  put aside: Its maker's signature is not over its number`);
    run.child.kill('SIGINT');
    expect((await run.end).code).toBe(0);
    await offer.gone;
  });
});

test('with the reader program on the path, a chip on a real PC/SC reader is prepared', async () => {
  const pcscd = await openPcscd();
  const bin = temporary();
  symlinkSync(join(repository(), 'kiosk/bin/simpul-reader.js'), join(bin, 'simpul-reader'));
  const env = { PATH: `${bin}:${process.env.PATH}`, PCSCLITE_CSOCK_NAME: pcscd.socketName };
  const run = prepare(['--count', '1'], env);
  const card = chipFromBox();
  const offer = lay(card, await pcscd.connect());
  expect(await run.end).toEqual({ code: 0, err: '' });
  expect(run.lines[1]).toBe(`${LIGHT_UID}  prepared (1 of 1): the next`);
  await offer.remove();
  await pcscd.close();
  expect(ours(card)).toBe(true);
});

describe('called where it cannot work', () => {
  test('without the reader program it says in one line how to get it', async () => {
    const run = prepare([], { PATH: '/usr/bin:/bin' });
    const { code, err } = await run.end;
    expect(code).toBe(1);
    expect(err).toMatch(/^simpul-hub: .*simpul-reader is not found; npm install -w kiosk .*--reader.*\n$/);
  });

  test('a count that is none is a wrong call, and another folder is named', async () => {
    expect((await prepare(['--count', 'many']).end).code).toBe(2);
    const { code, err } = await prepare(['--data', join(folder.directory, 'nowhere')]).end;
    expect([code, err]).toEqual([1, expect.stringContaining('hub.json cannot be read')]);
  });
});
