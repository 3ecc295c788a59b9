/** The command line: join, run, leave. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeFolder, makeTown } from './enrolled.ts';

const BIN = new URL('../../kiosk/main.js', import.meta.url).pathname;
const EMULATED = new URL('../town/emulatedreader.js', import.meta.url).pathname;
let folder: ReturnType<typeof makeFolder>;
beforeEach(() => {
  folder = makeFolder();
});
afterEach(() => folder.remove());

function simpul(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], { encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

it('a kiosk joins in two commands, shows that it is offline, and leaves in good order', async () => {
  // Nobody listens at port 1.
  const town = await makeTown(1);
  const dir = join(folder.dir, 'kiosk');
  const card = join(folder.dir, 'hub-card.json');
  const [asked, granted] = [join(folder.dir, 'request.json'), join(folder.dir, 'grant.json')];
  writeFileSync(card, JSON.stringify(town.card));
  expect(simpul('enrol', 'request', '--hub-card', card, '--name', 'lapak-1', '--dir', dir, '--out', asked).code).toBe(
    0,
  );
  writeFileSync(granted, JSON.stringify(await town.grant(JSON.parse(readFileSync(asked, 'utf8')))));
  expect(simpul('enrol', 'accept', granted, '--dir', dir).out).toContain('kiosk 7 (lapak-1) at Lapak Bu Sri');
  const settings = JSON.parse(readFileSync(join(dir, 'kiosk.json'), 'utf8'));
  rmSync(join(dir, 'outbox.sqlite'));
  expect(simpul('run', '--dir', dir).err).toContain('outbox.sqlite is missing');
  expect(simpul('enrol', 'accept', granted, '--dir', dir).code).toBe(0);
  const reader = { command: [process.execPath, EMULATED, join(folder.dir, 'card.sock')] };
  writeFileSync(join(dir, 'kiosk.json'), JSON.stringify({ ...settings, reader }));

  const child = spawn(process.execPath, [BIN, 'run', '--dir', dir]);
  let screen = '';
  child.stderr.resume();
  await new Promise<void>((seen) => {
    child.stdout.on('data', (chunk: Buffer) => {
      screen += chunk.toString();
      if (screen.includes('Not connected to the hub')) seen();
    });
  });
  child.stdin.write('25000\n\n');
  await new Promise<void>((seen) => {
    child.stdout.on('data', () => {
      if (screen.includes('Rp 25.000')) seen();
    });
  });
  child.kill('SIGTERM');
  expect(await once(child, 'close')).toEqual([0, null]);
});

it('a command that does not exist, or lacks what it needs, is misuse: exit code 2', () => {
  expect(simpul('dance').code).toBe(2);
  expect(simpul('enrol', 'request')).toMatchObject({ code: 2, err: expect.stringContaining('--hub-card') });
  expect(simpul('--help').code).toBe(0);
});

it('what is missing is said in one sentence with the next step, and the exit code is 1', () => {
  const run = simpul('run', '--dir', folder.dir);
  expect(run).toMatchObject({ code: 1, out: '' });
  expect(run.err).toMatch(/kiosk\.json is missing: run `simpul-kiosk enrol accept GRANT`\n$/);
  const card = join(folder.dir, 'none.json');
  expect(simpul('enrol', 'request', '--hub-card', card, '--name', 'lapak-1', '--dir', folder.dir).err).toContain(
    `'${card}': check that it is there`,
  );
  expect(simpul('enrol', 'request', '--hub-card', card, '--name', 'Lapak 1', '--dir', folder.dir).err).toContain(
    'is no kiosk name',
  );
});
