/** `simpul-hub limits` beside a hub that serves: who, what, before, after; and what the hub then refuses. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { hubPaths } from '../../hub/config.ts';
import {
  type LimitCommandDeps,
  limitHistory,
  listLimits,
  setCap,
  setMember,
  setProfile,
} from '../../hub/limitcommands.ts';
import type { CooperativeId, MemberId } from '../../protocol/ids.ts';
import { registered } from '../../protocol/limits.ts';
import { spellRupiah } from '../../protocol/money.ts';
import { repository } from '../town/repository.ts';
import { tapRequest } from './taps.ts';
import { ask, join as dialIn } from './wire.ts';
import { openWorld } from './world.ts';

/** Commands are whole processes, and others use the machine too. */
const PATIENCE_MS = 90_000;
const BIN = join(repository(), 'hub/bin/simpul-hub.js');
const NOW = Date.parse('2026-11-24T12:00:00+07:00');
const OFFICERS = ['Ani Rahayu', 'Budi Santoso'];
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

/** The same in this process, which is sooner; the registry is opened anew all the same. */
function limits(run: (deps: LimitCommandDeps) => void): Done {
  let code = 0;
  const [out, err]: [string[], string[]] = [[], []];
  const fail = (error: string) => {
    code = 1;
    err.push(error);
  };
  run({ say: (text) => void out.push(`${text}\n`), fail, now: () => NOW });
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

test('two officers lower a member’s limits, a profile and a cap; the hub that serves holds to them', {
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
  const officers = OFFICERS;
  const flags = { data: directory, officer: OFFICERS };
  expect(objects(chosen.out)).toMatchObject([
    { what: 'member', name: member, before, after: { ...before, perTap: 5_000 }, officers },
  ]);
  await soon(() => registry.limitsOf(member).perTap).toBe(5_000n);
  expect(await pay(5_001)).toBe('pay-limit');
  expect(await pay(5_000)).toBe('approved');

  expect(limits((deps) => setProfile(deps, 'registered', { ...flags, pinAbove: 4_000n })).code).toBe(0);
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
  expect(limits((deps) => setCap(deps, TOKO, cap, { ...flags, alert: 8_000 })).code).toBe(0);
  await soon(() => registry.cooperative(TOKO)?.netDebitCap).toBe(cap);
  expect([await pay(4_000), await pay(4_000)]).toEqual(['approved', 'debit-cap']);
  const alarms = await world.hub.ledger.alarms(10);
  expect(alarms.map(({ kind }) => kind)).toEqual(['cap-near']);

  const [newest, ...earlier] = objects(limits((deps) => limitHistory(deps, { data: directory, json: true })).out);
  expect(newest).toMatchObject({
    what: 'cap',
    name: TOKO,
    before: { netDebitCap: 20_000_000, capAlert: 8_000 },
    after: { netDebitCap: Number(cap), capAlert: 8_000 },
    officers,
  });
  expect(earlier.map(({ what, name }) => `${what} ${name}`)).toEqual(['profile registered', `member ${member}`]);
  const listed = objects(limits((deps) => listLimits(deps, { data: directory, json: true })).out);
  expect(listed.find(({ what }) => what === 'member')).toEqual({
    what: 'member',
    name: member,
    profile: 'registered',
    perTap: 5_000,
    perDay: null,
  });
  expect(limits((deps) => listLimits(deps, { data: directory })).out).toContain(
    `Cooperative toko: may owe ${spellRupiah(cap)}, an alarm from `,
  );
  wire.socket.destroy();
});

test('one officer, unknown names, limits that do not fit: nothing changes, and the error says why', async () => {
  const world = await openWorld();
  const { directory } = world;
  const flags = { data: directory, officer: OFFICERS };
  const [member = ''] = world.hub.registry.cards().map((card) => card.member);
  const wrong: readonly (readonly [(deps: LimitCommandDeps) => void, RegExp])[] = [
    [(deps) => setCap(deps, 'pasar', 1n, { ...flags, officer: ['Ani'] }), /two officers/],
    [(deps) => setCap(deps, 'pasar', 1n, { ...flags, officer: ['Ani', ' ani '] }), /two people/],
    [(deps) => setCap(deps, 'nowhere', 1n, flags), /"nowhere" is not registered/],
    [(deps) => setCap(deps, 'pasar', 1n, { ...flags, data: '/nonexistent' }), /simpul-hub init/],
    [(deps) => setProfile(deps, 'anak', { ...flags, perTap: 1n }), /needs --per-day .*--no-pin-per-day too/],
    [(deps) => setProfile(deps, 'registered', { ...flags, perDay: 40_000_001n }), /not be above that of a month/],
    [(deps) => setProfile(deps, 'registered', { ...flags, perTap: 10_000_001n }), /not be above that of a day/],
    [(deps) => setProfile(deps, 'A b', { ...flags, ...registered }), /small letters/],
    [(deps) => setMember(deps, 'nobody', { ...flags, perTap: 1n }), /"nobody" is not registered/],
    [(deps) => setMember(deps, member, { ...flags, profile: 'anak' }), /no profile is called "anak"; .* registered/],
    [(deps) => setMember(deps, member, { ...flags, perDay: 10_000_001n }), /an own limit may only be lower/],
    [(deps) => setMember(deps, member, { ...flags, perTap: 2_000_001n }), /an own limit may only be lower/],
  ];
  for (const [run, why] of wrong) {
    const done = limits(run);
    expect([done.code, done.out], String(why)).toEqual([1, '']);
    expect(done.err).toMatch(why);
  }
  const nothing = { code: 0, out: 'No limit was changed\n', err: '' };
  expect(limits((deps) => limitHistory(deps, { data: directory }))).toEqual(nothing);
});

test('called wrongly, a command says so and ends with 2', { timeout: PATIENCE_MS }, () => {
  const misused: readonly (readonly [string[], RegExp])[] = [
    [['set-cap', 'pasar', '1'], /--officer/],
    [['set-cap', 'pasar', '1', '--alert', '10001', ...BOTH], /from 0 to 10000/],
    [['set-member', 'ps-0001', '--per-tap', 'all', ...BOTH], /whole rupiah/],
  ];
  for (const [args, why] of misused) {
    const done = limitsAlone('/nonexistent', ...args);
    expect([done.code, done.out], args.join(' ')).toEqual([2, '']);
    expect(done.err).toMatch(why);
  }
});

test('own limits are taken away again with none; a profile lowered below them binds at once', async () => {
  const world = await openWorld();
  const { registry } = world.hub;
  const flags = { data: world.directory, officer: OFFICERS };
  const [member = '' as MemberId] = registry.cards().map((card) => card.member);
  const done = (run: (deps: LimitCommandDeps) => void) => expect(limits(run)).toMatchObject({ code: 0, err: '' });
  done((deps) => setMember(deps, member, { ...flags, perDay: 900_000n, perTap: 800_000n }));
  done((deps) => setMember(deps, member, { ...flags, perTap: 'none' }));
  done((deps) => setProfile(deps, 'registered', { ...flags, perTap: 100_000n, perDay: 500_000n }));
  await soon(() => registry.limitsOf(member)).toMatchObject({ perTap: 100_000n, perDay: 500_000n });
  done((deps) => setProfile(deps, 'registered', { ...flags, perDay: 40_000_000n }));
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
