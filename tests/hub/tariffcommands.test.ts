/** `simpul-hub tariffs` as officers run it: real processes, beside a hub that serves. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hubPaths } from '../../hub/config.ts';
import type { CashKind } from '../../hub/rules/entries.ts';
import { auditFile } from '../../hub/store/sqlite/audit.ts';
import type { CooperativeId, KioskNo, MemberId, OutletId } from '../../protocol/ids.ts';
import { quote } from '../../protocol/tariffs.ts';
import { repository } from '../town/repository.ts';
import { openWorld, type World } from './world.ts';

/** Commands are whole processes, and others use the machine too. */
const PATIENCE_MS = 240_000;
const BIN = join(repository(), 'hub/bin/simpul-hub.js');
const BOTH = ['--officer', 'Ani Rahayu', 'Budi Santoso'] as const;

function tariffs(directory: string, ...args: string[]) {
  const all = [BIN, 'tariffs', ...args, '--data', directory];
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

function fileOf({ directory }: World, name: string, content: unknown): string {
  const path = join(directory, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const shares = [
  { to: 'issuer', weight: 3 },
  { to: 'acquirer', weight: 3 },
  { to: 'platform', weight: 1 },
];
const retail = { kind: 'purchase', reach: 'off-us', fixed: 0, basisPoints: 100, min: 0, max: 50_000, shares };
const free = { ...retail, class: 'micro', basisPoints: 0, max: 0, shares: [] };
const half = [
  { to: 'acquirer', weight: 1 },
  { to: 'platform', weight: 1 },
];
const cash = { kind: 'deposit', direction: 'issuer', reach: 'off-us', fixed: 1000, basisPoints: 0, min: 0, max: 1000 };
const proposal = {
  v: 1,
  tariffs: [
    { ...retail, from: '2030-01-01' },
    { ...free, from: '2030-01-01' },
    { ...cash, shares: half, from: '2030-01-01' },
  ],
};

const KIOSK = 7 as KioskNo;

/** Books a payment under the tariffs that the hub has, at a moment of its own. */
async function book(
  { hub }: World,
  seq: number,
  when: string,
  kind: 'purchase' | Exclude<CashKind, 'withdrawal'>,
  [who, home]: readonly [string, string],
  [where, acquirer]: readonly [string, string],
  amount: bigint,
) {
  const [issuer, here] = [home as CooperativeId, acquirer as CooperativeId];
  const outlet = hub.registry.outlet(where as OutletId);
  if (outlet === undefined) throw new Error(`no outlet ${where}`);
  const priced = { kind, issuer, acquirer: here, class: outlet.class, amount, date: when.slice(0, 10) };
  const { fee, shares } = quote(hub.registry.tariffs(), priced);
  const figures = { issuer, member: who as MemberId, acquirer: here, outlet: outlet.id, amount, fee, shares };
  const posting = await hub.ledger.post({
    key: { origin: KIOSK, seq },
    hash: '0'.repeat(32),
    at: Date.parse(`${when}+07:00`),
    verdict: { approve: { kind, figures }, guards: [] },
    slot: null,
    facts: { amount, card: null, issuer, acquirer: here, outlet: outlet.id },
    evidence: null,
  });
  expect(posting).toMatchObject({ kind: 'decided', receipt: expect.stringContaining('"outcome":"approved"') });
}

const ANGKOT = ['ak-0001', 'angkot'] as const;
const PASAR = ['ps-0001', 'pasar'] as const;
const STALL = ['stall-12', 'pasar'] as const;
const SHOP = ['toko-kasir', 'toko'] as const;

async function october(world: World) {
  await book(world, 1, '2026-09-30T23:59', 'purchase', PASAR, SHOP, 10_000n);
  await book(world, 2, '2026-10-01T00:00', 'purchase', ANGKOT, STALL, 50_000n);
  await book(world, 3, '2026-10-10T12:00', 'purchase', PASAR, SHOP, 100_000n);
  await book(world, 4, '2026-10-10T12:00', 'purchase', PASAR, STALL, 10_000n);
  await book(world, 5, '2026-10-11T12:00', 'deposit', ANGKOT, ['ksp-loket', 'simpan-pinjam'], 100_000n);
  await book(world, 6, '2026-10-31T23:59', 'purchase', ANGKOT, SHOP, 20_000n);
  const voided = Date.parse('2026-10-31T23:59+07:00');
  for (const seq of [1, 6]) await world.hub.ledger.cancel({ origin: KIOSK, seq }, voided);
  await book(world, 7, '2026-11-01T00:00', 'purchase', PASAR, SHOP, 30_000n);
}

test('a month is priced again beside a hub that serves, to the rupiah by hand, and nothing is changed by it', {
  timeout: PATIENCE_MS,
}, async () => {
  const world = await openWorld();
  const { directory } = world;
  await october(world);
  const file = fileOf(world, 'proposal.json', proposal);
  const before = auditFile(hubPaths(directory).ledger);
  const { code, out, err } = tariffs(directory, 'simulate', file, '--month', '2026-10', '--json');
  expect([code, err]).toEqual([0, '']);
  const none = { was: 0, would: 0, difference: 0 };
  const change = (was: number, would: number) => ({ was, would, difference: would - was });
  const rest = { merchants: none, own: none, members: none };
  // 1% of 100.000 is 1.000 = 429 + 428 + 143; of the voided 10.000 it is 100 = 43 + 43 + 14, which goes back.
  expect(
    out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { cooperative: 'angkot', sales: 0, earned: change(150, 0), ...rest, own: change(1500, 1000) },
    { cooperative: 'pasar', sales: 2, earned: change(420, 386), ...rest, merchants: change(350, 0) },
    { cooperative: 'platform', sales: 0, earned: change(640, 629), ...rest },
    { cooperative: 'simpan-pinjam', sales: 1, earned: change(1000, 500), ...rest },
    { cooperative: 'toko', sales: 0, earned: change(270, 385), ...rest, merchants: change(630, 900) },
  ]);
  const spelt = tariffs(directory, 'simulate', file, '--month', '2026-10').out;
  expect(spelt).toContain('pasar: 2 payments at its outlets\n  earns Rp 420, would be Rp 386 (-Rp 34)\n');
  expect(spelt).toContain('  its outlets pay Rp 630, would be Rp 900 (+Rp 270)\n');
  expect(tariffs(directory, 'simulate', file, '--month', '2025-01').out).toBe('Nothing was paid in 2025-01\n');
  expect(auditFile(hubPaths(directory).ledger)).toEqual(before);
  expect(tariffs(directory, 'list').out).not.toContain('2030');
});

test('two officers add tariffs, which a hub that serves takes up; each states its version, its terms and its state', {
  timeout: PATIENCE_MS,
}, async () => {
  const world = await openWorld();
  const { directory, hub } = world;
  const file = fileOf(world, 'proposal.json', proposal);
  const { code, out, err } = tariffs(directory, 'add', file, ...BOTH);
  expect([code, err]).toEqual([0, '']);
  expect(out.split('\n').slice(0, 2)).toEqual([
    'Added 5: purchase off-us, the outlet pays: Rp 0 + 1%, at least Rp 0, at most Rp 50.000; ' +
      'shared issuer 3, acquirer 3, platform 1; from 2030-01-01',
    'Added 6: purchase off-us at outlets of class micro, the outlet pays: free; from 2030-01-01',
  ]);
  await expect
    .poll(() => hub.registry.tariffs().map(({ version }) => version), { timeout: PATIENCE_MS })
    .toEqual([1, 2, 3, 4, 5, 6, 7]);
  const lines = tariffs(directory, 'list').out.trim().split('\n');
  expect(lines[1]).toMatch(/^2 {2}in force {2}purchase off-us, .* \+ 0\.7%, /);
  expect(lines[6]).toMatch(/^7 {2}to come {2}deposit .*; from 2030-01-01; added by Ani Rahayu and Budi Santoso$/);
  const rows = tariffs(directory, 'list', '--json')
    .out.trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(rows[5]).toMatchObject({ version: 6, class: 'micro', state: 'to come', added: { officers: BOTH.slice(1) } });
});

test('a table with a fault, from the past, or without two people behind it is refused in words and adds nothing', {
  timeout: PATIENCE_MS,
}, async () => {
  const world = await openWorld();
  const { directory } = world;
  const one = (terms: object) => ({ v: 1, tariffs: [{ ...retail, from: '2030-01-01' }, terms] });
  const sound = { ...retail, from: '2030-01-01' };
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [one({ ...sound, direction: 'issuer' }), /tariff 2: a purchase cannot be paid for by the issuer/],
    [one({ ...sound, until: '2029-12-31' }), /tariff 2: the last date must not be before the first/],
    [one({ ...sound, from: '2020-01-01' }), /tariff 2 would begin on 2020-01-01, and today is /],
    [one({ ...sound, version: 9 }), /does not fit: \/tariffs\/1\/version /],
    [one({ ...sound, fixed: 0.5 }), /does not fit: \/tariffs\/1\/fixed /],
    [{ v: 1, tariffs: [] }, /does not fit/],
    ['{', /is not JSON/],
    [' '.repeat(65_537), /longer than 65536 bytes/],
  ];
  for (const [content, why] of cases) {
    const done = tariffs(directory, 'add', fileOf(world, 'wrong.json', content), ...BOTH);
    expect([done.code, done.out], String(why)).toEqual([1, '']);
    expect(done.err).toMatch(why);
  }
  const file = fileOf(world, 'proposal.json', proposal);
  const wrong: readonly (readonly [string[], number, RegExp])[] = [
    [['add', file, '--officer', 'Ani'], 1, /two officers/],
    [['add', file, '--officer', 'Ani', ' ani '], 1, /two people/],
    [['add', file], 2, /--officer/],
    [['add', join(directory, 'nowhere.json'), ...BOTH], 1, /cannot be read \(ENOENT\)/],
    [['simulate', file, '--month', '2026-13'], 2, /YYYY-MM/],
  ];
  for (const [args, code, why] of wrong) {
    const done = tariffs(directory, ...args);
    expect([done.code, done.out], args.join(' ')).toEqual([code, '']);
    expect(done.err).toMatch(why);
  }
  expect(tariffs(directory, 'list').out.trim().split('\n')).toHaveLength(4);
});
