/** `simpul-hub incentives` by two officers, and what a hub that serves then gives, takes back and redeems. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { hubPaths } from '../../hub/config.ts';
import type { Account } from '../../hub/rules/accounts.ts';
import { REWARD_ORIGIN } from '../../hub/store/ledger.ts';
import { auditFile } from '../../hub/store/sqlite/audit.ts';
import type { CooperativeId } from '../../protocol/ids.ts';
import { repository } from '../town/repository.ts';
import { tapRequest } from './taps.ts';
import { ask, join as dialIn } from './wire.ts';
import { openWorld, type World } from './world.ts';

/** Commands are whole processes, and others use the machine too. */
const PATIENCE_MS = 90_000;
const BIN = join(repository(), 'hub/bin/simpul-hub.js');
const BOTH = ['--officer', 'Ani Rahayu', 'Budi Santoso'] as const;
const [TOKO, PASAR] = ['toko', 'pasar'] as CooperativeId[] as [CooperativeId, CooperativeId];

function incentives(world: World, ...args: string[]) {
  const all = [BIN, 'incentives', ...args, '--data', world.directory];
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

/** Runs commands while the hub is stopped, as it must be for those. */
async function stopped(world: World, ...commands: (readonly string[])[]) {
  await world.hub.close();
  const done = commands.map((args) => incentives(world, ...args));
  await world.restart();
  return done;
}

const budget = (cooperative: CooperativeId): Account => ({ cooperative, kind: 'incentive-budget', owner: 'ramadan' });

/** A member of toko with a card, and a stall of pasar that sells to it. */
async function town() {
  const world = await openWorld();
  const kiosk = await world.enrol('lapak-12');
  const card = world.hub.registry.cards().find(({ issuer }) => issuer === TOKO);
  const [uid, owner] = [card?.uid ?? '', card?.member ?? ''];
  let [seq, said, wire] = [0, 0, await dialIn(world, kiosk)];
  const say = async (operation: 'purchase' | 'resolve', body: object) => {
    said += 1;
    return (await ask(wire, kiosk.name, operation, body, said)).body;
  };
  return {
    world,
    owner,
    kiosk,
    money: { cooperative: TOKO, kind: 'member', owner } as Account,
    points: { cooperative: PASAR, kind: 'points', owner } as Account,
    redial: async () => {
      wire = await dialIn(world, kiosk);
    },
    async pay(amount: number) {
      seq += 1;
      world.shift += 61_000;
      const tap = tapRequest(world.hub, kiosk, { uid, amount, seq, tmc: 4 + seq, at: Date.now() + world.shift });
      const answers = [await say('purchase', tap), await say('purchase', tap)];
      return answers.map(({ receipt }) => (receipt as { readonly outcome: string }).outcome);
    },
    undo: () => say('resolve', { kiosk: kiosk.grant.kiosk, seq, kind: 'account', ask: 'cancel' }),
  };
}

test('two officers fund a budget and add a rule; members of another cooperative get their 5% at the stall', {
  timeout: PATIENCE_MS,
}, async () => {
  const { world, kiosk, money, pay, undo, redial } = await town();
  const funded = await stopped(
    world,
    ['fund', PASAR, 'ramadan', '1200', ...BOTH],
    ['fund', PASAR, 'ramadan', '1200', ...BOTH],
    ['fund', PASAR, 'ramadan', '1200', '--officer', 'Ani Rahayu', 'ani rahayu'],
    ['fund', 'nobody', 'ramadan', '1200', ...BOTH],
  );
  expect(funded.map(({ code }) => code)).toEqual([0, 1, 1, 1]);
  expect(funded[1]?.err).toContain('--again');
  await redial();
  const [before = 0n] = await world.hub.ledger.balances([money]);
  expect(await pay(10_000)).toEqual(['approved', 'approved']);

  const rule = ['--cooperative', PASAR, '--budget', 'ramadan', '--form', 'cashback', '--points', '500'];
  const added = incentives(world, 'add', 'lima', ...rule, '--most', '5000', '--members-of', TOKO, ...BOTH);
  expect(added).toMatchObject({ code: 0, err: '' });
  const wrong = incentives(world, 'add', 'lima', ...rule, '--most', '5000', ...BOTH);
  expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('is there already')]);
  expect(incentives(world, 'add', 'enam', ...rule, '--most', '1', '--outlet', 'x', ...BOTH).code).toBe(1);
  await expect.poll(() => world.hub.registry.incentives().size, { timeout: PATIENCE_MS }).toBe(1);

  expect(await pay(20_000)).toEqual(['approved', 'approved']);
  const left = () => world.hub.ledger.balances([money, budget(PASAR)]);
  expect(await left()).toEqual([before - 29_000n, 200n]);
  // The void brings the price back, and the reward goes.
  await undo();
  await undo();
  expect(await left()).toEqual([before - 10_000n, 1_200n]);
  expect(await pay(23_000)).toEqual(['approved', 'approved']);
  expect(await pay(2_000)).toEqual(['approved', 'approved']);
  expect(await left()).toEqual([before - 33_850n, 50n]);
  const standing = await world.hub.ledger.standing({ origin: REWARD_ORIGIN + kiosk.grant.kiosk, seq: 4 });
  expect(JSON.parse(standing?.receipt ?? '')).toMatchObject({ outcome: 'declined', reason: 'budget-spent' });
  const alarms = await world.hub.ledger.alarms(10);
  expect(alarms.map(({ kind }) => kind)).toEqual(['budget-spent', 'budget-low']);

  expect(incentives(world, 'end', 'lima', ...BOTH).code).toBe(0);
  const history = incentives(world, 'history', '--json').out.trim().split('\n');
  expect(history.map((line) => (JSON.parse(line) as { readonly what: string }).what)).toEqual(['end', 'add', 'fund']);
  expect(JSON.parse(incentives(world, 'list', '--json').out)).toMatchObject({ id: 'lima', basisPoints: 500 });
  const db = new Database(hubPaths(world.directory).registry);
  expect(() => db.exec("UPDATE incentive SET most = 1 WHERE id = 'lima'")).toThrow('end a rule and add another');
  expect(() => db.exec('DELETE FROM incentive_change')).toThrow('never forgotten');
  db.close();
  await world.hub.close();
  const audit = { total: 0n, brokenPairs: [], brokenAccounts: [], brokenEntries: [] };
  expect(auditFile(hubPaths(world.directory).ledger)).toMatchObject(audit);
  await world.restart();
});

test('points of a stall’s cooperative become money at the member’s own, and nobody redeems more than there is', {
  timeout: PATIENCE_MS,
}, async () => {
  const { world, owner, money, points, pay, redial } = await town();
  const rule = ['--cooperative', PASAR, '--budget', 'ramadan', '--form', 'points', '--fixed', '700'];
  const made = await stopped(
    world,
    ['fund', PASAR, 'ramadan', '100000', ...BOTH],
    ['add', 'poin', ...rule, '--most', '700', '--least', '5000', ...BOTH],
  );
  expect(made.map(({ code, err }) => [code, err])).toEqual([
    [0, ''],
    [0, ''],
  ]);
  await redial();
  expect([await pay(5_000), await pay(4_999)].flat()).toEqual(Array(4).fill('approved'));
  const all = () => world.hub.ledger.balances([points, budget(PASAR), money]);
  const [given, left, before = 0n] = await all();
  expect([given, left]).toEqual([700n, 99_300n]);
  const redeemed = await stopped(
    world,
    ['redeem', PASAR, owner, '300', ...BOTH],
    ['redeem', PASAR, owner, '401', ...BOTH],
    ['redeem', PASAR, owner, ...BOTH],
    ['redeem', PASAR, owner, ...BOTH],
    ['redeem', PASAR, 'nobody', ...BOTH],
  );
  expect(redeemed.map(({ code }) => code)).toEqual([0, 1, 0, 1, 1]);
  expect(await all()).toEqual([0n, 99_300n, before + 700n]);
});
