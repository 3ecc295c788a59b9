/** `simpul-hub cards` as officers run it: real processes, killed and called wrongly too. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { hubPaths } from '../../hub/config.ts';
import type { Registry } from '../../hub/store/registry.ts';
import type { CardUid } from '../../protocol/ids.ts';
import { repository } from '../town/repository.ts';
import { finish, type IssueTown, issueTown, layDown, listOf, memberId } from './issuetown.ts';
import { openWorld, temporary } from './world.ts';

/** Commands are whole processes, and others use the machine too. */
const PATIENCE_MS = 90_000;

const BIN = join(repository(), 'hub/bin/simpul-hub.js');

function cards(directory: string, ...args: string[]) {
  const all = [BIN, 'cards', ...args, '--data', directory];
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

/** Starts a command that waits; it does not outlive the test. */
function start(directory: string, args: string[], options: readonly string[] = []): ChildProcess {
  const bound = ['--pdeathsig', 'KILL', process.execPath, ...options, BIN, 'cards', ...args, '--data', directory];
  const child = spawn('setpriv', bound, { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** Everything a process says, and the first line that fits. */
function hearing(child: ChildProcess) {
  const lines: string[] = [];
  const heard = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface(stream).on('line', (line) => {
      lines.push(line);
      for (const wake of heard) wake();
    });
  }
  const line = (fits: RegExp) =>
    new Promise<string>((resolve) => {
      const look = () => {
        const found = lines.find((one) => fits.test(one));
        if (found !== undefined) resolve(found);
      };
      heard.add(look);
      look();
    });
  return { lines, line, ended: once(child, 'close').then(([code, signal]) => ({ code, signal })) };
}

const oneEach = (registry: Registry, members: number) => {
  registry.refresh();
  const orders = registry.orders();
  expect(orders).toHaveLength(members);
  expect(new Set(orders.map(({ member }) => member)).size).toBe(members);
  expect(new Set(orders.map(({ number }) => number)).size).toBe(members);
};

/** Ends the process by SIGKILL when it draws its n-th card number. */
function killedAt(draw: number): string[] {
  const code = `import crypto from 'node:crypto'; import { syncBuiltinESMExports } from 'node:module';
    const real = crypto.randomBytes; let drawn = 0;
    crypto.randomBytes = (...args) => {
      if (args[0] === 5 && ++drawn === ${draw}) process.kill(process.pid, 'SIGKILL');
      return real(...args);
    };
    syncBuiltinESMExports();`;
  return ['--import', `data:text/javascript,${encodeURIComponent(code)}`];
}

test(
  'a command killed in the middle of 500 orders is run again, and each member has one',
  async () => {
    const { directory, registry, write } = await issueTown();
    const batch = write('market.csv', listOf(500));
    for (const draw of [1, 250, 500]) {
      const child = start(directory, ['issue', '--batch', batch, '--no-wait'], killedAt(draw));
      expect(await hearing(child).ended).toEqual({ code: null, signal: 'SIGKILL' });
      oneEach(registry, 0);
      expect(registry.member(memberId('m1'))).toBeUndefined();
    }
    const waits = start(directory, ['issue', '--batch', batch]);
    const ears = hearing(waits);
    await ears.line(/500 cards ordered/);
    waits.kill('SIGKILL');
    expect((await ears.ended).signal).toBe('SIGKILL');
    oneEach(registry, 500);
    const again = cards(directory, 'issue', '--batch', batch, '--no-wait');
    expect(again).toMatchObject({
      code: 0,
      out: expect.stringContaining('0 cards ordered; 0 have a card, 500 waited'),
    });
    oneEach(registry, 500);
  },
  PATIENCE_MS,
);

test(
  'the command tells each card that is made, ends when all are, and the labels are there',
  async () => {
    const { directory, registry, write } = await issueTown();
    const out = write('labels.csv', '');
    const html = `${out.slice(0, -4)}.html`;
    const child = start(directory, ['issue', '--batch', write('market.csv', listOf(2)), '--labels', html]);
    const { lines, line, ended } = hearing(child);
    await line(/0 of 2 are made; next: Member 1/);
    registry.refresh();
    const [first, second] = [layDown(registry), layDown(registry, Date.now() - 61_000)];
    finish(registry, first);
    await line(/Member 1: made, 1 of 2; nobody waits/);
    expect(await line(/Member 2: begun/)).toContain(`simpul-hub cards redo ${second.number}`);
    finish(registry, second);
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(lines.filter((one) => one.startsWith('Missing:'))).toHaveLength(3);
    expect(lines.slice(-2)).toEqual(['Done: 2 of 2 are made', `2 labels are in ${html}`]);
    const page = readFileSync(html, 'utf8');
    expect(page.indexOf('Member 1')).toBeLessThan(page.indexOf('Member 2'));
    const table = `${out.slice(0, -4)}-2.csv`;
    expect(cards(directory, 'labels', '--batch', 'market', '--out', table).code).toBe(0);
    expect(readFileSync(table, 'utf8')).toContain(`https://kartu.example.org/k/${first.number}`);
    expect(cards(directory, 'labels', '--batch', 'market', '--out', out).code).toBe(1);
  },
  PATIENCE_MS,
);

test(
  'Ctrl-C leaves the orders, labels what is made, and says how to go on',
  async () => {
    const { directory, registry, write } = await issueTown();
    const labels = `${write('x', '')}.html`;
    const child = start(directory, ['issue', '--batch', write('market.csv', listOf(2)), '--labels', labels, '--json']);
    const { lines, line, ended } = hearing(child);
    await line(/"waiting"/);
    registry.refresh();
    finish(registry, layDown(registry));
    await line(/"state":"made"/);
    child.kill('SIGINT');
    expect(await ended).toEqual({ code: 1, signal: null });
    const notes = lines.filter((one) => one.startsWith('{')).map((one) => JSON.parse(one));
    expect(notes.map(({ state }) => state)).toEqual([
      ...['ordered', 'missing', 'missing', 'missing', 'waiting', 'made', 'end', 'labels'],
    ]);
    expect(notes[5]).toMatchObject({ made: 1, of: 2, member: 'm1', next: { member: 'm2', name: 'Member 2' } });
    expect(notes[6]).toEqual({ state: 'end', made: 1, of: 2, gone: 0, stopped: true });
    expect(lines.join('\n')).toMatch(/the orders stay where they are.*withdraw NUMBER/);
    expect(readFileSync(labels, 'utf8')).not.toContain('Member 2');
  },
  PATIENCE_MS,
);

test(
  'on a terminal a bar shows how many are made, who was last and who is next',
  async () => {
    const { directory, registry, write } = await issueTown();
    const batch = write('market.csv', listOf(2));
    const line = `stty cols 160; ${process.execPath} ${BIN} cards issue --data ${directory} --batch ${batch}`;
    const child = spawn('script', ['-qec', line, '/dev/null'], { stdio: ['ignore', 'pipe', 'pipe'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const ears = hearing(child);
    let shown = '';
    child.stdout.on('data', (bytes: Buffer) => {
      shown += bytes.toString('utf8');
    });
    await expect.poll(() => shown, { timeout: PATIENCE_MS }).toContain('0/2');
    registry.refresh();
    const number = finish(registry, layDown(registry)).number.replace(/(.{4})(?=.)/g, '$1 ');
    await expect.poll(() => shown, { timeout: PATIENCE_MS }).toContain(`1/2  last: ${number} Member 1  next: Member 2`);
    finish(registry, layDown(registry));
    expect((await ears.ended).code).toBe(0);
    expect(shown).toContain('2/2');
    expect(shown).toContain('Done: 2 of 2 are made');
  },
  PATIENCE_MS,
);

test(
  'what is wrong with a list is told line by line, and nothing is ordered',
  async () => {
    const { directory, registry, write } = await issueTown();
    const batch = write('bad.csv', 'cooperative;member;name\npasar;ani;Ani\nnowhere;budi;Budi\nkud;ps-0001;"x\n');
    const told = cards(directory, 'issue', '--batch', batch);
    expect(told).toMatchObject({ code: 1, out: '' });
    expect(told.err).toMatch(/has 2 faults; nothing was ordered:\n {2}line 3: no cooperative.*\n {2}line 4: a quote/);
    const lines = cards(directory, 'issue', '--batch', batch, '--dry-run', '--json').out.trim().split('\n');
    expect(lines.map((one) => JSON.parse(one))).toMatchObject([
      { state: 'fault', line: 3 },
      { state: 'fault', line: 4 },
    ]);
    oneEach(registry, 0);
    const evil = write('\u001b[2J.csv', listOf(1));
    const refused = cards(directory, 'issue', '--batch', evil, '--no-wait');
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('plain name') });
    expect(refused.err).not.toContain('\u001b');
  },
  PATIENCE_MS,
);

test(
  'a dry run and an order without waiting end with 0, and one member is ordered by id',
  async () => {
    const { directory, registry, write } = await issueTown();
    const batch = write('market.csv', listOf(3));
    const dry = cards(directory, 'issue', '--batch', batch, '--dry-run');
    expect(dry).toMatchObject({ code: 0, out: expect.stringContaining('3 cards would be ordered (3 members would') });
    oneEach(registry, 0);
    expect(cards(directory, 'issue', '--batch', batch, '--no-wait').code).toBe(0);
    oneEach(registry, 3);
    expect(cards(directory, 'issue', '--member', 'nobody', '--no-wait').err).toContain('no member is called "nobody"');
    // Siti has an active card: nothing to wait for.
    const siti = cards(directory, 'issue', '--member', 'ps-0001');
    expect(siti).toMatchObject({ code: 0, out: expect.stringContaining('1 have a card') });
    oneEach(registry, 3);
  },
  PATIENCE_MS,
);

test(
  'commands called wrongly end with 2, those that cannot be done with 1',
  async () => {
    const { directory, write } = await issueTown([]);
    const batch = write('a.csv', listOf(1));
    const misused = [['issue'], ['issue', '--batch', batch, '--member', 'x']];
    for (const args of misused) expect(cards(directory, ...args).code).toBe(2);
    const labels = `${batch}.html`;
    expect(cards(directory, 'issue', '--batch', batch, '--labels', labels)).toMatchObject({
      code: 1,
      err: expect.stringContaining('names no host'),
    });
    expect(cards(directory, 'labels', '--batch', 'a', '--out', labels).code).toBe(1);
    expect(existsSync(labels)).toBe(false);
    const empty = temporary();
    expect(cards(empty, 'list')).toMatchObject({ code: 1, err: expect.stringContaining('simpul-hub init') });
    writeFileSync(join(empty, 'hub.json'), readFileSync(hubPaths(directory).config));
    expect(cards(empty, 'list')).toMatchObject({ code: 1, err: expect.stringContaining('registry.db is missing') });
    expect(existsSync(hubPaths(empty).registry)).toBe(false);
  },
  PATIENCE_MS,
);

/** A card of a new member, whose chip was laid down. */
async function madeCard(): Promise<IssueTown & { readonly number: string; readonly uid: CardUid }> {
  const town = await issueTown();
  expect(cards(town.directory, 'issue', '--batch', town.write('a.csv', listOf(1)), '--no-wait').code).toBe(0);
  town.registry.refresh();
  const { number, uid } = layDown(town.registry);
  return { ...town, number, uid };
}

test(
  'a card goes from ready to active, is frozen and unfrozen, and ends; a refusal says what is possible',
  async () => {
    const { directory, registry, number, uid } = await madeCard();
    const status = () => registry.refresh() && registry.card(uid)?.status;
    const early = cards(directory, 'activate', number);
    expect(early.code).toBe(1);
    expect(early.err).toContain('is personalising; possible: simpul-hub cards retire');
    const card = registry.card(uid);
    if (card !== undefined) finish(registry, card);
    for (const [deed, to] of Object.entries({
      activate: 'active',
      freeze: 'frozen',
      unfreeze: 'active',
      retire: 'retired',
    })) {
      expect(cards(directory, deed, number.replace(/(.{4})(?=.)/g, '$1 ')).code).toBe(0);
      expect(status()).toBe(to);
    }
    expect(cards(directory, 'replace', number).code).toBe(1);
    const late = cards(directory, 'unfreeze', number);
    expect(late).toMatchObject({ code: 1, err: expect.stringContaining('simpul-hub cards issue --member m1') });
  },
  PATIENCE_MS,
);

test(
  'the list and the history of keys are told as lines and as objects, without a key',
  async () => {
    const { directory, registry, number, uid } = await madeCard();
    registry.journalKey({ uid, no: 0, from: 0, to: 1, at: 1_800_000_000_000 });
    registry.proveKeys(uid, 1);
    registry.journalKey({ uid, no: 15, from: 0, to: 1, at: 1_800_000_001_000 });
    const listed = cards(directory, 'list', '--status', 'personalising', '--json').out.trim().split('\n');
    expect(listed.map((one) => JSON.parse(one))).toEqual([
      { number, status: 'personalising', uid, member: 'm1', name: 'Member 1', cooperative: 'pasar', batch: 'a' },
    ]);
    expect(cards(directory, 'list').out).toMatch(/\n13 listed; chips that are no card yet: 0 prepared, 0 blank\n$/);
    const byNumber = cards(directory, 'history', number, '--json');
    const spelled = uid.toUpperCase().replace(/(..)(?=.)/g, '$1:');
    expect(cards(directory, 'history', spelled, '--json').out).toBe(byNumber.out);
    expect(JSON.parse(byNumber.out).changes).toEqual([
      { key: '0', from: 0, to: 1, at: 1_800_000_000_000, proven: true },
      { key: 'counter', from: 0, to: 1, at: 1_800_000_001_000, proven: false },
    ]);
    expect(cards(directory, 'history', number).out).toMatch(/counter {6}0 {4}1 {2}open: old or new\n$/);
    expect(cards(directory, 'history', '04ffffffffffff').code).toBe(1);
  },
  PATIENCE_MS,
);

test(
  'a hub that serves learns of a frozen card from the command, and its ledger too',
  async () => {
    const world = await openWorld();
    const [card] = world.hub.registry.cards();
    if (card === undefined) throw new Error('the town has no card');
    expect(cards(world.directory, 'freeze', card.number).code).toBe(0);
    const { registry } = world.hub;
    await expect.poll(() => registry.card(card.uid)?.status, { timeout: PATIENCE_MS }).toBe('frozen');
    await expect.poll(() => registry.untold(), { timeout: PATIENCE_MS }).toEqual([]);
  },
  PATIENCE_MS,
);
