/** `simpul-hub report` beside a hub that serves: what customers hold is covered or not, and whose cash is reported. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Town } from '../../hub/town.ts';
import { businessDate } from '../../protocol/dates.ts';
import { repository } from '../town/repository.ts';
import { tapRequest } from './taps.ts';
import { ask, join as dialIn } from './wire.ts';
import { openWorld, type TestKiosk, temporary } from './world.ts';

/** Commands are whole processes, and others use the machine too. */
const PATIENCE_MS = 90_000;
const BIN = join(repository(), 'hub/bin/simpul-hub.js');
const PILOT = JSON.parse(readFileSync(join(repository(), 'hub/pilot.json'), 'utf8')) as Town;

function report(directory: string, ...args: string[]) {
  const all = [BIN, 'report', ...args, '--data', directory];
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

/** A licensed town; the angkot cooperative reports cash from 300.000 on and notes it from 100.000 on. */
function townFile(): string {
  const licence = { offUs: true, purse: true, deposits: true };
  const marks = { cashThreshold: 300_000, cashNotice: 100_000, retentionYears: 30 };
  const cooperatives = PILOT.cooperatives.map((one) => {
    return { ...one, licence: one.id === 'angkot' ? { ...licence, ...marks } : licence };
  });
  const path = join(temporary(), 'town.json');
  writeFileSync(path, JSON.stringify({ ...PILOT, licence: { mode: 'licensed' }, cooperatives }));
  return path;
}

const BAMBANG = '04135350554c80';
const service = { uid: BAMBANG, teller: '04195350554c80', approver: null };

async function openTown() {
  const world = await openWorld({}, {}, onTestFinished, { town: townFile() });
  const counter = await world.enrol('loket-1', 'ksp-loket', 'counter');
  const wire = await dialIn(world, counter);
  let seq = 0;
  const say = async (body: object) => {
    seq += 1;
    const answer = await ask(wire, counter.name, 'cash', { kiosk: counter.grant.kiosk, ...body }, seq);
    expect(answer.name).toBe('cash');
  };
  const cash = {
    in: async (amount: number) => say({ seq: seq + 1, ask: 'deposit', amount, ...service }),
    out: async (amount: number) => {
      const no = seq + 1;
      await say({ seq: no, ask: 'hold', amount, ...service });
      await say({ seq: no, ask: 'release', pinVerified: true });
      await say({ seq: no, ask: 'paid' });
    },
  };
  return { world, cash };
}

async function sell(world: Awaited<ReturnType<typeof openWorld>>, stall: TestKiosk) {
  const wire = await dialIn(world, stall);
  const tap = { uid: BAMBANG, amount: 50_000, seq: 1, tmc: 5, at: Date.now() };
  await ask(wire, stall.name, 'purchase', tapRequest(world.hub, stall, tap), 1);
}

interface FloatRow {
  readonly cooperative: string;
  readonly held: number;
  readonly covering: number;
  readonly difference: number;
  readonly covered: boolean;
}

test('the float report shows to the rupiah what a sale, a deposit and its fee leave with each cooperative', {
  timeout: PATIENCE_MS,
}, async () => {
  const { world, cash } = await openTown();
  const before = report(world.directory, 'float', '--json');
  expect([before.code, before.err]).toEqual([0, '']);
  const opened = (JSON.parse(before.out) as { cooperatives: FloatRow[] }).cooperatives;
  expect(opened.map(({ difference }) => difference)).toEqual([0, 0, 0, 0, 0, 0]);
  await sell(world, await world.enrol('lapak-12'));
  await cash.in(100_000);
  const after = report(world.directory, 'float', '--json');
  const rows = (JSON.parse(after.out) as { cooperatives: FloatRow[] }).cooperatives;
  const of = (id: string) => rows.find(({ cooperative }) => cooperative === id);
  // Bambang of angkot: 1.000.000 - 50.000 + 100.000, and Joko's 250.000. At the bank 1.250.000; due from the counter
  // 100.000 less its fee of 1.000; owed to the market 50.000 less 150, to Simpul 500.
  const covering = 1_250_000 + 99_000 - 49_850 - 500;
  expect(of('angkot')).toMatchObject({
    members: 1_300_000,
    held: 1_300_000,
    bank: 1_250_000,
    position: 48_650,
    covering,
    difference: -1_350,
    covered: false,
    required: true,
  });
  // The market: 1.250.000 of its members and 49.650 of the stall; its own part of the fee is 150.
  expect(of('pasar')).toMatchObject({
    held: 1_299_650,
    payouts: 49_650,
    position: 49_800,
    difference: 150,
    covered: true,
  });
  expect(of('simpan-pinjam')).toMatchObject({ drawers: 100_000, position: -99_000, difference: 1_000, covered: true });
  expect([after.code, after.err]).toEqual([1, expect.stringContaining('not covered: angkot;')]);
  expect(report(world.directory, 'float').out).toMatch(/NOT COVERED, Rp 1\.350 missing/);
});

test('cash of one person on one day is reported at 300.000 and noted at 100.000, in and out apart', {
  timeout: PATIENCE_MS,
}, async () => {
  const { world, cash } = await openTown();
  await cash.in(150_000);
  await cash.in(149_999);
  await cash.out(50_000);
  const date = businessDate(Date.now());
  const cashReport = (...args: string[]) => report(world.directory, 'cash', '--month', date.slice(0, 7), ...args);
  const line = { date, cooperative: 'angkot', home: 'angkot', person: 'ak-0001', name: 'Bambang Sutrisno' };
  const noted = { ...line, direction: 'in', movements: 2, sum: 299_999, mark: 'notice' };
  expect(JSON.parse(cashReport('--json').out)).toEqual({ month: date.slice(0, 7), movements: 3, lines: [noted] });
  await cash.in(1);
  await cash.out(60_000);
  const out = { ...line, direction: 'out', movements: 2, sum: 110_000, mark: 'notice' };
  const reported = { ...noted, movements: 3, sum: 300_000, mark: 'report' };
  expect(JSON.parse(cashReport('--json').out)).toMatchObject({ movements: 5, lines: [reported, out] });
  expect(cashReport().out).toContain(
    `${date}  angkot  Bambang Sutrisno (ak-0001 of angkot)  deposit Rp 300.000 in 3  report`,
  );
  expect(cashReport('--csv').out).toBe(
    'report of;date;cooperative;account;name;direction;movements;rupiah;mark\r\n' +
      `angkot;${date};angkot;ak-0001;Bambang Sutrisno;deposit;3;300000;report\r\n` +
      `angkot;${date};angkot;ak-0001;Bambang Sutrisno;withdrawal;2;110000;notice\r\n`,
  );
  const empty = report(world.directory, 'cash', '--month', '2020-01');
  expect(empty).toMatchObject({ code: 0, out: 'Of 0 movements of cash in 2020-01 none reaches a mark\n' });
  expect(report(world.directory, 'cash', '--month', '2020-13')).toMatchObject({ code: 2, out: '' });
});

test('what is older than its retention is counted with its oldest date, and stays', {
  timeout: PATIENCE_MS,
}, async () => {
  const { world, cash } = await openTown();
  const [years, day] = [20, 86_400_000];
  // Bambang's deposit was made twenty years ago; his cooperative keeps thirty, the counter's ten.
  world.shift = -years * 365 * day;
  await cash.in(100_000);
  const old = businessDate(Date.now() + world.shift);
  world.shift = 0;
  const told = report(world.directory, 'retention', '--json');
  expect([told.code, told.err]).toEqual([0, '']);
  const { cooperatives, hub } = JSON.parse(told.out) as {
    cooperatives: { cooperative: string; years: number; entries: object }[];
    hub: { years: number; decisions: object };
  };
  const of = (id: string) => cooperatives.find(({ cooperative }) => cooperative === id);
  expect(of('simpan-pinjam')).toMatchObject({ years: 10, entries: { count: 1, oldest: old } });
  expect(of('angkot')).toMatchObject({ years: 30, entries: { count: 0, oldest: null } });
  expect(of('pasar')).toMatchObject({ entries: { count: 0 } });
  expect(hub).toMatchObject({ years: 30, decisions: { count: 0 } });
  expect(report(world.directory, 'retention').out).toContain('Nothing is deleted');
  expect(JSON.parse(report(world.directory, 'retention', '--json').out)).toEqual({ cooperatives, hub });
  expect((await world.hub.ledger.trialBalance()).total).toBe(0n);
});

test('a directory without a hub is told what to do, and nothing is made there', { timeout: PATIENCE_MS }, () => {
  for (const args of [['float'], ['cash', '--month', '2026-11'], ['retention']]) {
    const done = report('/nowhere', ...args);
    expect(done).toMatchObject({ code: 1, out: '', err: expect.stringContaining('simpul-hub init') });
  }
});
