/** `simpul-hub init` asks what kind of hub it makes; `simpul-hub licence` as officers run it, also beside a hub. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { hubPaths } from '../../hub/config.ts';
import { makeLog, realEdges } from '../../hub/edges.ts';
import { initHub } from '../../hub/init.ts';
import { DEMO_LICENCE, type Licence, NO_LICENCE } from '../../hub/rules/licence.ts';
import { openRegistry } from '../../hub/store/sqlite/registry.ts';
import { parseTown } from '../../hub/town.ts';
import type { CooperativeId, MemberId } from '../../protocol/ids.ts';
import { repository } from '../town/repository.ts';
import { tapRequest } from './taps.ts';
import { ask, join as dialIn } from './wire.ts';
import { openWorld, temporary, VAULT_COST } from './world.ts';

/** Commands are whole processes, and others use the machine too. */
const PATIENCE_MS = 90_000;
const BIN = join(repository(), 'hub/bin/simpul-hub.js');
const PILOT = readFileSync(join(repository(), 'hub/pilot.json'), 'utf8');
const BOTH = ['--officer', 'Ani Rahayu', 'Budi Santoso'] as const;
const MARKET = 'pasar' as CooperativeId;

function simpul(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], { encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

/** What the registry of a directory says. */
function registryOf(directory: string) {
  const registry = openRegistry({ path: hubPaths(directory).registry });
  onTestFinished(() => registry.close());
  return registry;
}

test('without a terminal init makes nothing until it is told what kind of hub, then either kind', {
  timeout: PATIENCE_MS,
}, () => {
  const directory = join(temporary(), 'data');
  const silent = simpul('init', '--data', directory);
  expect([silent.code, silent.out, existsSync(directory)]).toEqual([1, '', false]);
  expect(silent.err).toMatch(/--mode demo .* or --mode licensed .*; nothing was made/);
  expect(simpul('init', '--data', directory, '--mode', 'real')).toMatchObject({ code: 2 });
  const demo = simpul('init', '--data', directory, '--mode', 'demo');
  expect(demo).toMatchObject({ code: 0, out: expect.stringContaining('Made a demo hub') });
  expect(registryOf(directory).mode()).toBe('demo');
  const other = join(temporary(), 'data');
  const licensed = simpul('init', '--data', other, '--mode', 'licensed');
  expect(licensed.out).toMatch(/Made a licensed hub.*licence show/s);
  const registry = registryOf(other);
  expect([registry.mode(), registry.licence(MARKET)]).toEqual(['licensed', NO_LICENCE]);
});

test('on a terminal init asks, again if the answer is neither, and makes what was said', {
  timeout: PATIENCE_MS,
}, async () => {
  const directory = join(temporary(), 'data');
  const line = `${process.execPath} ${BIN} init --data ${directory}`;
  const child = spawn('script', ['-qec', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let shown = '';
  child.stdout.on('data', (bytes: Buffer) => {
    shown += bytes.toString('utf8');
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await expect.poll(() => shown, { timeout: PATIENCE_MS }).toContain('Software is no licence');
  child.stdin.write('ya\n');
  const questions = () => shown.split('demo or licensed?').length - 1;
  await expect.poll(questions, { timeout: PATIENCE_MS }).toBe(2);
  child.stdin.write('Licensed\n');
  expect(await ended).toBe(0);
  expect(shown).toContain('Made a licensed hub');
  expect(registryOf(directory).mode()).toBe('licensed');
});

test('a town file may say the mode and the licences; a contradiction makes no hub', async () => {
  const pilot = JSON.parse(PILOT);
  const withLicence = (licence: object, more: object = {}) => ({
    ...pilot,
    licence: { mode: 'licensed' },
    cooperatives: pilot.cooperatives.map((one: { id: string }) => (one.id === MARKET ? { ...one, licence } : one)),
    ...more,
  });
  const fault = (town: object) => {
    const read = parseTown(JSON.stringify(town), 'town.json');
    return read.ok ? null : read.error;
  };
  expect(fault(withLicence({ offUs: true, cashNotice: 100_000_000 }))).toBeNull();
  expect(fault(withLicence({ offUs: 'yes' }))).toContain('does not fit');
  expect(fault(withLicence({ cashNotice: 600_000_000 }))).toContain('pasar: the notice of cash must lie below');
  expect(fault({ ...withLicence({}), licence: { mode: 'demo' } })).toContain('a demonstration knows none');
  const [first, ...rest] = pilot.members;
  const strangers = [{ ...first, public: true }, ...rest];
  expect(fault(withLicence({}, { members: strangers }))).toContain(
    'ps-0001 is of the public, and pasar serves members',
  );
  const members = [{ ...first, public: true, level: 'simple' }, ...rest];
  const good = withLicence({ offUs: true, membersOnly: false, cashNotice: 100_000_000, profiles: { full: 'besar' } });
  const home = temporary();
  const [town, directory] = [join(home, 'town.json'), join(home, 'data')];
  writeFileSync(town, JSON.stringify({ ...good, members }));
  const edges = realEdges(makeLog('silent'));
  const make = (mode?: 'demo') => initHub(edges, { directory, town, mode, port: 0, vaultCost: VAULT_COST });
  expect(await make('demo')).toMatchObject({ ok: false, error: expect.stringContaining('for a licensed hub, not a') });
  expect(existsSync(directory)).toBe(false);
  expect(await make()).toMatchObject({ ok: true, mode: 'licensed' });
  const registry = registryOf(directory);
  const profiles = { ...NO_LICENCE.profiles, full: 'besar' };
  const licence = { ...NO_LICENCE, offUs: true, membersOnly: false, cashNotice: 100_000_000n, profiles };
  expect(registry.licence(MARKET)).toEqual(licence);
  expect(registry.holder('ps-0001' as MemberId)).toEqual({ level: 'simple', isPublic: true });
  expect(registry.licenceChanges().map(({ what, officers }) => [what, ...officers])).toEqual(
    ['off-us', 'members-only', 'profiles', 'cash-notice', 'level', 'public'].map((what) => [what, 'simpul-hub init']),
  );
});

test('a demonstration says once at each start that it is one, allows everything, and takes no licence', {
  timeout: PATIENCE_MS,
}, async () => {
  const world = await openWorld();
  const loud = () => world.logged.filter((line) => line.includes('THIS HUB IS A DEMONSTRATION'));
  expect(loud()).toHaveLength(1);
  await world.restart();
  expect(loud()).toHaveLength(2);
  expect(world.hub.registry.licence(MARKET)).toBe(DEMO_LICENCE);
  const tried = simpul('licence', 'set', '--data', world.directory, '--cooperative', 'pasar', '--purse', 'no', ...BOTH);
  expect(tried).toMatchObject({ code: 1, out: '', err: expect.stringContaining('is a demonstration') });
  expect(simpul('licence', 'show', '--data', world.directory).out).toContain('nothing in it is real');
  const db = new Database(hubPaths(world.directory).registry);
  onTestFinished(() => void db.close());
  expect(() => db.prepare("UPDATE hub SET mode = 'licensed'").run()).toThrow('a hub stays what it is');
  expect(() => world.hub.registry.putMode('licensed')).toThrow('this hub is demo');
});

test('serve prints that it is a demonstration, and not on a licensed hub', { timeout: PATIENCE_MS }, async () => {
  for (const [mode, times] of [
    ['demo', 1],
    ['licensed', 0],
  ] as const) {
    const directory = join(temporary(), 'data');
    const edges = realEdges(makeLog('silent'));
    await initHub(edges, { directory, mode, port: 0, vaultCost: VAULT_COST });
    const child = spawn(process.execPath, [BIN, 'serve', '--data', directory]);
    onTestFinished(() => void child.kill('SIGKILL'));
    let [out, err] = ['', ''];
    child.stdout.on('data', (bytes: Buffer) => {
      out += bytes.toString('utf8');
    });
    child.stderr.on('data', (bytes: Buffer) => {
      err += bytes.toString('utf8');
    });
    await expect.poll(() => out, { timeout: PATIENCE_MS }).toContain('"ready":true');
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
    expect(out.split('\n').filter((line) => line !== '')).toHaveLength(1);
    expect(err.split('\n').filter((line) => line.startsWith('***'))).toHaveLength(times);
  }
});

test('two officers open the way abroad while the hub serves: refused before, paid within seconds, both names kept', {
  timeout: PATIENCE_MS,
}, async () => {
  const world = await openWorld({}, {}, onTestFinished, { mode: 'licensed' });
  expect(world.logged.filter((line) => line.includes('DEMONSTRATION'))).toEqual([]);
  const { directory } = world;
  const kiosk = await world.enrol('lapak-12');
  const wire = await dialIn(world, kiosk);
  let seq = 0;
  const sale = async () => {
    seq += 1;
    const tap = { uid: '04135350554c80', amount: 1_000 + seq, seq, tmc: 4 + seq, at: Date.now() };
    const { body } = await ask(wire, kiosk.name, 'purchase', tapRequest(world.hub, kiosk, tap), seq);
    const { outcome, reason } = body.receipt as { outcome: string; reason: string | null };
    return reason ?? outcome;
  };
  expect(await sale()).toBe('not-licensed');
  const set = (cooperative: string, ...args: string[]) =>
    simpul('licence', 'set', '--data', directory, '--cooperative', cooperative, ...args);
  const opened = set('pasar', '--off-us', 'yes', '--due-diligence', 'full', '--retention', '30', ...BOTH, '--json');
  expect([opened.code, opened.err]).toEqual([0, '']);
  const officers = ['Ani Rahayu', 'Budi Santoso'];
  const change = (cooperative: string, what: string, before: string, after: string) => {
    return { at: expect.any(Number), cooperative, member: null, what, before, after, officers };
  };
  const first = [
    change('pasar', 'off-us', 'no', 'yes'),
    change('pasar', 'due-diligence', 'simple', 'full'),
    change('pasar', 'retention', '10', '30'),
  ];
  expect(
    opened.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual(first);
  // One of the two is not enough.
  expect(await sale()).toBe('not-licensed');
  expect(set('angkot', '--off-us', 'yes', ...BOTH).out).toContain('off-us: no -> yes  by Ani Rahayu and Budi Santoso');
  expect(set('angkot', '--off-us', 'yes', ...BOTH).out).toContain('Nothing changes');
  await expect.poll(() => world.hub.registry.licence('angkot' as CooperativeId).offUs, { timeout: 5_000 }).toBe(true);
  expect(await sale()).toBe('approved');
  const level = simpul('licence', 'member', 'ps-0001', '--level', 'full', ...BOTH, '--data', directory);
  expect(level.out).toContain('ps-0001 of pasar  level: none -> full');
  const shown = simpul('licence', 'show', '--data', directory, '--cooperative', 'pasar', '--json');
  expect(JSON.parse(shown.out)).toMatchObject({
    mode: 'licensed',
    licences: [{ cooperative: 'pasar', offUs: true, purse: false, cashThreshold: 500_000_000, belowDueDiligence: 1 }],
  });
  const kept = simpul('licence', 'changes', '--data', directory, '--json').out.trim().split('\n');
  const member = { ...change('pasar', 'level', 'none', 'full'), member: 'ps-0001' };
  const all = [...first, change('angkot', 'off-us', 'no', 'yes'), member];
  expect(kept.map((line) => JSON.parse(line))).toEqual(all);
  const db = new Database(hubPaths(directory).registry);
  onTestFinished(() => void db.close());
  expect(() => db.prepare('DELETE FROM licence_change').run()).toThrow('never forgotten');
  expect(() => db.prepare("UPDATE licence_change SET after = 'x'").run()).toThrow('never changes');
});

test('what is wrong with a change is said, and nothing is changed', { timeout: PATIENCE_MS }, async () => {
  const directory = join(temporary(), 'data');
  const edges = realEdges(makeLog('silent'));
  await initHub(edges, { directory, mode: 'licensed', port: 0, vaultCost: VAULT_COST });
  const market = ['set', '--cooperative', 'pasar'];
  const wrong: readonly (readonly [string[], number, RegExp])[] = [
    [[...market, '--purse', 'yes', '--officer', 'Ani', ' ANI '], 1, /two people/],
    [[...market, '--purse', 'ja', ...BOTH], 2, /yes or no/],
    [[...market, '--cash-threshold', '5e8', ...BOTH], 2, /digits only/],
    [[...market, ...BOTH], 1, /at least one thing/],
    [['set', '--cooperative', 'platform', '--purse', 'yes', ...BOTH], 1, /no cooperative is called "platform"/],
    [[...market, '--cash-notice', '500000000', ...BOTH], 1, /below its threshold; nothing was changed/],
    [['member', 'ps-0001', '--public', 'yes', ...BOTH], 1, /serves members only.*; nothing was changed/],
  ];
  for (const [args, code, why] of wrong) {
    const done = simpul('licence', ...args, '--data', directory);
    expect([done.code, done.out], args.join(' ')).toEqual([code, '']);
    expect(done.err).toMatch(why);
  }
  const registry = registryOf(directory);
  const by = { at: 1, officers: ['Ani', 'Budi'] };
  const change = (parts: Partial<Licence>, id = MARKET) => registry.changeLicence(id, parts, by);
  expect(() => change({ offUs: true, retentionYears: 0 })).toThrow('whole years');
  expect(() => change({ offUs: true }, 'nowhere' as CooperativeId)).toThrow('no cooperative is called nowhere');
  expect(() => registry.changeHolder('ps-9999' as MemberId, { level: 'full' }, by)).toThrow('no member is called');
  expect(registry.licence(MARKET)).toEqual(NO_LICENCE);
  expect(registry.licenceChanges()).toEqual([]);
});
