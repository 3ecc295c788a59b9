/** `simpul-hub bills` as officers run it: real processes, on a hub's own directory. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hubPaths } from '../../hub/config.ts';
import { billerSettings } from '../town/biller.ts';
import { repository } from '../town/repository.ts';
import { inCash, openBills } from './bills.ts';

/** Commands are whole processes, and others use the machine too. */
const PATIENCE_MS = 180_000;
const BIN = join(repository(), 'hub/bin/simpul-hub.js');
const BOTH = ['--officer', 'Ani Rahayu', 'Budi Santoso'];
const SAYS = ['--statement', 'not in the statement of 24 November'];

test('officers prepay a biller, see a bill that waits for its word, and end it by its statement', {
  timeout: PATIENCE_MS,
}, async () => {
  const { world, biller, say, kiosk, reconnect, resolve, page } = await openBills('counter');
  const { directory } = world;
  const run = (...args: string[]) => {
    const all = [BIN, ...args, '--data', directory];
    const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
    return { code: status, out: stdout, err: stderr };
  };
  const { config } = hubPaths(directory);
  const settings = JSON.parse(readFileSync(config, 'utf8'));
  writeFileSync(config, JSON.stringify({ ...settings, billers: [billerSettings(biller.url)] }));
  biller.mood = 'pending';
  await say({ seq: 1, ...inCash });
  const no = kiosk.grant.kiosk;
  expect(run('holds', 'list').out).toMatch(new RegExp(`^bill ${no}/1 {2}released {2}Rp 103.000 .*, in cash\\n$`));
  expect(run('bills', 'void', `${no}/1`, ...BOTH, ...SAYS).err).toMatch(/a hub serves .*; stop it first/);
  await world.hub.close();
  expect(run('bills', 'prepay', 'ppob', '200000', ...BOTH).out).toMatch(/its deposit is now Rp 500\.000\n/);
  expect(run('bills', 'prepay', 'ppob', '200000', ...BOTH).err).toMatch(/add --again/);
  expect(run('bills', 'void', `${no}/1`, '--officer', 'Ani', ...SAYS).err).toMatch(/two officers/);
  expect(run('bills', 'void', `${no}/2`, ...BOTH, ...SAYS).err).toMatch(/no bill .* waits/);
  const ended = run('bills', 'void', `${no}/1`, ...BOTH, ...SAYS);
  expect(ended).toMatchObject({ code: 0, out: `Bill ${no}/1 is void; the cash goes back to the customer\n` });
  expect(run('bills', 'post', `${no}/1`, ...BOTH, ...SAYS).err).toMatch(/it had ended before, and that stands/);
  await world.restart();
  await reconnect();
  expect(await resolve(1)).toMatchObject({ body: { receipt: { outcome: 'cancelled' }, said: null } });
  expect(await page()).toMatchObject({ 'kud/biller-deposit/ppob': -500_000 });
});
