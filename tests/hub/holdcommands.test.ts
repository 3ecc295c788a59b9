/** `simpul-hub holds` as officers run it: real processes, on a hub's own directory. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { hubPaths } from '../../hub/config.ts';
import { auditFile } from '../../hub/store/sqlite/audit.ts';
import type { CooperativeId, OutletId } from '../../protocol/ids.ts';
import { repository } from '../town/repository.ts';
import { ask, join as dialIn } from './wire.ts';
import { openWorld, type TestKiosk, type World } from './world.ts';

/** Commands are whole processes, and others use the machine too. */
const PATIENCE_MS = 90_000;
const BIN = join(repository(), 'hub/bin/simpul-hub.js');
const HERE = 'simpan-pinjam' as CooperativeId;
const COUNTER = 'ksp-loket' as OutletId;

function holds(directory: string, ...args: string[]) {
  const all = [BIN, 'holds', ...args, '--data', directory];
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

const BOTH = ['--officer', 'Ani Rahayu', 'Budi Santoso'] as const;

/** Runs a command while the hub is stopped, as it must be. */
async function stopped(world: World, ...args: string[]) {
  await world.hub.close();
  const done = holds(world.directory, ...args);
  await world.restart();
  return done;
}

async function serve(world: World, kiosk: TestKiosk, ...bodies: object[]) {
  const wire = await dialIn(world, kiosk);
  for (const [at, body] of bodies.entries()) {
    const answer = await ask(wire, kiosk.name, 'cash', { kiosk: kiosk.grant.kiosk, ...body }, at + 1);
    expect(answer.name).toBe('cash');
  }
  wire.socket.destroy();
}

const service = { amount: 100_000, uid: '04135350554c80', teller: '04195350554c80', approver: null };
const held = (seq: number) => ({ seq, ask: 'hold', ...service });
const released = (seq: number) => ({ seq, ask: 'release', pinVerified: true });

async function drawer(world: World) {
  const account = { cooperative: HERE, kind: 'drawer', owner: COUNTER } as const;
  const [balance = 0n] = await world.hub.ledger.balances([account]);
  return [Number(-balance), Number(await world.hub.ledger.float(COUNTER))];
}

test('officers fund a counter, see what waits there, and end one as paid and one as not paid, both by name', {
  timeout: PATIENCE_MS,
}, async () => {
  const world = await openWorld();
  const kiosk = await world.enrol('loket-1', COUNTER, 'counter');
  const { directory } = world;
  const funded = await stopped(world, 'fund', COUNTER, '500000', '--float', '300000', ...BOTH);
  expect(funded).toMatchObject({ code: 0, err: '' });
  expect(await drawer(world)).toEqual([500_000, 300_000]);
  // The terminal may have died before it said so: asked again, it must not put the same cash there twice.
  const twice = await stopped(world, 'fund', COUNTER, '500000', '--float', '300000', ...BOTH);
  expect(twice).toMatchObject({ code: 1, out: '', err: expect.stringContaining('--again') });
  expect(await drawer(world)).toEqual([500_000, 300_000]);
  await serve(world, kiosk, held(1), released(1), held(2), released(2), held(3));
  const { out } = holds(directory, 'list');
  const no = kiosk.grant.kiosk;
  expect(out.split('\n').map((line) => line.split(/ {2,}/).slice(0, 3).join(' '))).toEqual([
    `${no}/1 released Rp 100.000`,
    `${no}/2 released Rp 100.000`,
    `${no}/3 held Rp 100.000`,
    '',
  ]);
  const paid = await stopped(world, 'post', `${no}/1`, ...BOTH, '--counted', '400000');
  expect(paid).toMatchObject({ code: 0, out: expect.stringContaining('is booked: Rp 100.000 left the drawer') });
  // The terminal may have died before it said so: asked again, it says what stands, and moves nothing.
  const again = await stopped(world, 'post', `${no}/1`, ...BOTH, '--counted', '400000');
  expect(again).toMatchObject({ code: 0, out: expect.stringContaining('it had ended before, and that stands') });
  expect(again.out).toContain('is booked: Rp 100.000 left the drawer');
  const other = await stopped(world, 'void', `${no}/1`, ...BOTH, '--counted', '400000');
  expect(other).toMatchObject({ code: 1, out: '', err: expect.stringContaining('is booked: Rp 100.000 left') });
  const kept = await stopped(world, 'void', `${no}/2`, ...BOTH, '--counted', '400000');
  expect(kept).toMatchObject({ code: 0, out: expect.stringContaining('is void') });
  expect(await drawer(world)).toEqual([400_000, 100_000]);
  await world.hub.close();
  const { ledger } = hubPaths(directory);
  const db = new Database(ledger, { readonly: true });
  const rows = db.prepare('SELECT state, officers FROM hold ORDER BY key').all() as {
    state: string;
    officers: string;
  }[];
  db.close();
  expect(rows.map(({ state }) => state)).toEqual(['posted', 'voided', 'held']);
  const officers = ['Ani Rahayu', 'Budi Santoso'];
  expect(rows.slice(0, 2).map((row) => JSON.parse(row.officers))).toEqual([
    { officers, counted: 400_000, books: 500_000 },
    { officers, counted: 400_000, books: 400_000 },
  ]);
  expect(auditFile(ledger)).toMatchObject({ total: 0n, brokenPairs: [], brokenAccounts: [], brokenEntries: [] });
  await world.restart();
});

test('one officer, the same twice, a hub that serves, no such withdrawal: nothing is moved, the error says why', {
  timeout: PATIENCE_MS,
}, async () => {
  const world = await openWorld();
  const { directory } = world;
  const count = ['--counted', '1'];
  expect(holds(directory, 'void', '1/1', ...BOTH, ...count).err).toMatch(/a hub serves .*; stop it first/);
  const wrong: readonly (readonly [string[], number, RegExp])[] = [
    [['void', '1/1', '--officer', 'Ani', ...count], 1, /two officers/],
    [['post', '1/1', '--officer', 'Ani', ' ani ', ...count], 1, /two people/],
    [['post', '1/1', ...BOTH], 2, /--counted/],
    [['post', '1', ...BOTH, ...count], 2, /KIOSK\/SEQ/],
    [['fund', COUNTER, '1000', '--float', '1001', ...BOTH], 1, /part of the cash/],
  ];
  for (const [args, code, why] of wrong) {
    const done = holds(directory, ...args);
    expect([done.code, done.out], args.join(' ')).toEqual([code, '']);
    expect(done.err).toMatch(why);
  }
  expect((await stopped(world, 'void', '1/1', ...BOTH, ...count)).err).toMatch(/no withdrawal 1\/1 waits/);
  const more = await stopped(world, 'fund', COUNTER, '999999999', ...BOTH);
  expect(more).toMatchObject({ code: 1, err: expect.stringContaining('nothing was moved') });
  expect(await drawer(world)).toEqual([0, 0]);
});

test('the same cash for the same drawer is booked twice only if the officers say that it came twice', {
  timeout: PATIENCE_MS,
}, async () => {
  const world = await openWorld();
  for (const [more, code] of [
    [[], 0],
    [[], 1],
    [['--again'], 0],
  ] as const) {
    expect(await stopped(world, 'fund', COUNTER, '50000', ...BOTH, ...more)).toMatchObject({ code });
  }
  expect(await stopped(world, 'fund', COUNTER, '40000', ...BOTH)).toMatchObject({ code: 0 });
  expect(await drawer(world)).toEqual([140_000, 140_000]);
});
