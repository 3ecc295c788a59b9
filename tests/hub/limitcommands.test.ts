/** `simpul-hub limits` as officers run it beside a hub that serves: who, what, before, after; and what it then refuses. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Command, CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { hubPaths } from '../../hub/config.ts';
import { addLimitCommands } from '../../hub/limitcommands.ts';
import type { CooperativeId, MemberId } from '../../protocol/ids.ts';
import { spellRupiah } from '../../protocol/money.ts';
import { repository } from '../town/repository.ts';
import { tapRequest } from './taps.ts';
import { ask, join as dialIn } from './wire.ts';
import { openWorld } from './world.ts';

/** Commands are whole processes, and others use the machine too. */
const PATIENCE_MS = 90_000;
const BIN = join(repository(), 'hub/bin/simpul-hub.js');
const NOW = Date.parse('2026-11-24T12:00:00+07:00');
const BOTH = ['--officer', 'Ani Rahayu', 'Budi Santoso'] as const;

interface Done {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** As officers run it: a process of its own. */
function limitsAlone(directory: string, ...args: string[]): Done {
  const all = [BIN, 'limits', ...args, '--data', directory];
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

/** The same commands in this process, which is sooner; they open the registry for themselves. */
function limits(directory: string, ...args: string[]): Done {
  let code = 0;
  const [out, err]: [string[], string[]] = [[], []];
  const root = new Command().exitOverride().configureOutput({ writeErr: (text) => void err.push(text) });
  const fail = (error: string) => {
    code = 1;
    err.push(error);
  };
  addLimitCommands(root, { say: (text) => void out.push(`${text}\n`), fail, now: () => NOW });
  try {
    root.parse(['limits', ...args, '--data', directory], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    code = 2;
  }
  return { code, out: out.join(''), err: err.join('') };
}

const objects = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** Keeps asking the clock of a test that the hub has taken up what a command wrote. */
const TOKO = 'toko' as CooperativeId;
const soon = <T>(look: () => T) => expect.poll(look, { timeout: PATIENCE_MS });

test('two officers lower a member’s limits, a profile and a cap; the hub that serves binds them, the trace names both', {
  timeout: PATIENCE_MS,
}, async () => {
  const world = await openWorld();
  const { directory } = world;
  const { registry } = world.hub;
  const kiosk = await world.enrol('lapak-12');
  const wire = await dialIn(world, kiosk);
  const card = registry.cards().find(({ issuer }) => issuer === TOKO);
  const [uid = '', member = '' as MemberId] = [card?.uid, card?.member];
  let seq = 0;
  const pay = async (amount: number, pinVerified?: boolean) => {
    seq += 1;
    world.shift += 61_000;
    const at = Date.now() + world.shift;
    const tap = tapRequest(world.hub, kiosk, { uid, amount, seq, tmc: 4 + seq, at });
    const { body } = await ask(
      wire,
      kiosk.name,
      'purchase',
      pinVerified === undefined ? tap : { ...tap, pinVerified },
      seq,
    );
    const { outcome, reason } = body.receipt as Record<string, unknown>;
    return reason === null ? outcome : reason;
  };
  expect(await pay(5_001)).toBe('approved');

  const chosen = limitsAlone(directory, 'set-member', member, '--per-tap', '5000', ...BOTH, '--json');
  expect(chosen).toMatchObject({ code: 0, err: '' });
  const before = { profile: 'registered', perTap: null, perDay: null };
  const officers = ['Ani Rahayu', 'Budi Santoso'];
  expect(objects(chosen.out)).toMatchObject([
    { what: 'member', name: member, before, after: { ...before, perTap: 5_000 }, officers },
  ]);
  await soon(() => registry.limitsOf(member).perTap).toBe(5_000n);
  expect(await pay(5_001)).toBe('pay-limit');
  expect(await pay(5_000)).toBe('approved');

  expect(limits(directory, 'set-profile', 'registered', '--pin-above', '4000', ...BOTH).code).toBe(0);
  await soon(() => registry.limitsOf(member).pinAbove).toBe(4_000n);
  expect([await pay(4_001), await pay(4_001, false), await pay(4_001, true)]).toEqual([
    'pin-needed',
    'pin-needed',
    'approved',
  ]);

  // What toko owes pasar by now, and 4.000 more.
  const owing = (['pasar', 'platform'] as const).map(
    (owner) => ({ cooperative: TOKO, kind: 'position', owner }) as const,
  );
  const owed = (await world.hub.ledger.balances(owing)).reduce((sum, balance) => sum + balance, 0n);
  const cap = owed + 4_000n;
  expect(limits(directory, 'set-cap', TOKO, String(cap), '--alert', '8000', ...BOTH).code).toBe(0);
  await soon(() => registry.cooperative(TOKO)?.netDebitCap).toBe(cap);
  expect([await pay(4_000), await pay(4_000)]).toEqual(['approved', 'debit-cap']);
  const alarms = await world.hub.ledger.alarms(10);
  expect(alarms.map(({ kind }) => kind)).toEqual(['cap-near']);

  const [newest, ...earlier] = objects(limits(directory, 'history', '--json').out);
  expect(newest).toMatchObject({
    what: 'cap',
    name: TOKO,
    before: { netDebitCap: 20_000_000, capAlert: 8_000 },
    after: { netDebitCap: Number(cap), capAlert: 8_000 },
    officers,
  });
  expect(earlier.map(({ what, name }) => `${what} ${name}`)).toEqual(['profile registered', `member ${member}`]);
  const listed = objects(limits(directory, 'list', '--json').out);
  expect(listed.find(({ what }) => what === 'member')).toEqual({
    what: 'member',
    name: member,
    profile: 'registered',
    perTap: 5_000,
    perDay: null,
  });
  expect(limits(directory, 'list').out).toContain(`Cooperative toko: may owe ${spellRupiah(cap)}, an alarm from `);
  wire.socket.destroy();
});

test('one officer, the same twice, unknown names, limits that do not fit: nothing changes, the error says why', {
  timeout: PATIENCE_MS,
}, async () => {
  const world = await openWorld();
  const { directory } = world;
  const [member = ''] = world.hub.registry.cards().map((card) => card.member);
  const wrong: readonly (readonly [string[], number, RegExp])[] = [
    [['set-cap', 'pasar', '1', '--officer', 'Ani'], 1, /two officers/],
    [['set-cap', 'pasar', '1', '--officer', 'Ani', ' ani '], 1, /two people/],
    [['set-cap', 'pasar', '1'], 2, /--officer/],
    [['set-cap', 'nowhere', '1', ...BOTH], 1, /"nowhere" is not registered/],
    [['set-cap', 'pasar', '-1', ...BOTH], 2, /unknown option|whole rupiah/],
    [['set-cap', 'pasar', '1', '--alert', '10001', ...BOTH], 2, /from 0 to 10000/],
    [['set-profile', 'anak', '--per-tap', '1', ...BOTH], 1, /needs --per-day .*--no-pin-per-day too/],
    [['set-profile', 'registered', '--per-day', '40000001', ...BOTH], 1, /must not be above that of a month/],
    [['set-profile', 'registered', '--per-tap', '1.5', ...BOTH], 2, /whole rupiah/],
    [['set-member', 'nobody', '--per-tap', '1', ...BOTH], 1, /"nobody" is not registered/],
    [['set-member', member, '--profile', 'anak', ...BOTH], 1, /no profile is called "anak"; there are: registered/],
    [['set-member', member, '--per-day', '10000001', ...BOTH], 1, /an own limit may only be lower/],
    [['set-member', member, '--per-tap', 'all', ...BOTH], 2, /whole rupiah/],
  ];
  for (const [args, code, why] of wrong) {
    const done = limits(directory, ...args);
    expect([done.code, done.out], args.join(' ')).toEqual([code, '']);
    expect(done.err).toMatch(why);
  }
  expect(limits(directory, 'history')).toEqual({ code: 0, out: 'No limit was changed\n', err: '' });
});

test('own limits are taken away again with none; a profile lowered below them binds at once', {
  timeout: PATIENCE_MS,
}, async () => {
  const world = await openWorld();
  const { directory } = world;
  const { registry } = world.hub;
  const [member = '' as MemberId] = registry.cards().map((card) => card.member);
  expect(limits(directory, 'set-member', member, '--per-day', '900000', '--per-tap', '800000', ...BOTH).code).toBe(0);
  expect(limits(directory, 'set-member', member, '--per-tap', 'none', ...BOTH).code).toBe(0);
  const figures = ['--per-tap', '100000', '--per-day', '500000'];
  expect(limits(directory, 'set-profile', 'registered', ...figures, ...BOTH).code).toBe(0);
  await soon(() => registry.limitsOf(member)).toMatchObject({ perTap: 100_000n, perDay: 500_000n });
  expect(limits(directory, 'set-profile', 'registered', '--per-day', '40000000', ...BOTH).code).toBe(0);
  await soon(() => registry.limitsOf(member)).toMatchObject({ perTap: 100_000n, perDay: 900_000n });
});

test('who changed a limit is never changed or forgotten', async () => {
  const world = await openWorld();
  const signed = { officers: ['Ani', 'Budi'], at: 1 };
  world.hub.registry.changeCap('pasar' as CooperativeId, signed, (before) => ({ ...before, netDebitCap: 1n }));
  const db = new Database(hubPaths(world.directory).registry);
  expect(() => db.exec("UPDATE limit_change SET officers = '[]'")).toThrow(/never changes/);
  expect(() => db.exec('DELETE FROM limit_change')).toThrow(/never forgotten/);
  db.close();
  expect(world.hub.registry.cooperative('pasar' as CooperativeId)).toMatchObject({ netDebitCap: 1n, capAlert: 8_000 });
});
