/** Each member of a list is ordered one card, whatever runs beside it, and the watch tells what becomes of it. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { doDeed, withdraw } from '../../hub/carddeeds.ts';
import { hubPaths } from '../../hub/config.ts';
import { orderCards, standingOf } from '../../hub/issue.ts';
import { type Listed, readMemberList } from '../../hub/memberlist.ts';
import { spellNumber } from '../../hub/rules/cardnumber.ts';
import type { Registry } from '../../hub/store/registry.ts';
import { type Sight, watchCards } from '../../hub/watchcards.ts';
import type { CooperativeId, MemberId } from '../../protocol/ids.ts';
import { finish, issueTown, layDown, listOf, memberId } from './issuetown.ts';

const deps = (registry: Registry) => ({ registry, now: Date.now, random: randomBytes });
const row = (id: string, name = id, cooperative = 'pasar', line = 2): Listed => ({
  line,
  member: { id: memberId(id), cooperative: cooperative as CooperativeId, name },
});
const list = (...rows: Listed[]) => ({ rows, faults: [] });
const order = (registry: Registry, ...rows: Listed[]) => orderCards(deps(registry), list(...rows), 'b', false);
const counts = (members: number, ordered: number, registered: number, hasCard: number, waits: number) => ({
  ok: true,
  counts: { members, ordered, registered, hasCard, waits },
});
const none = { waiting: 0, orders: 0 };
const extent = (registry: Registry) => {
  const orders = registry.orders();
  return { waiting: orders.filter(({ uid }) => uid === null).length, orders: orders.length };
};

test('new members are registered and ordered a card; who has one or waits for one gets no second', async () => {
  const { registry } = await issueTown();
  const siti = row('ps-0001', 'Siti Aminah');
  expect(order(registry, row('ani'), row('budi'), siti)).toEqual(counts(3, 2, 2, 1, 0));
  expect(registry.member(memberId('ani'))).toEqual({ id: 'ani', cooperative: 'pasar', name: 'ani' });
  expect(order(registry, row('ani'), row('budi'), siti, row('citra'))).toEqual(counts(4, 1, 1, 1, 2));
  const card = layDown(registry);
  expect(card.member).toBe('ani');
  expect(order(registry, row('ani'))).toEqual(counts(1, 0, 0, 1, 0));
  expect(registry.orders('b').map(({ member }) => member)).toEqual(['ani', 'budi', 'citra']);
  for (const { number } of registry.orders()) expect(number).toMatch(/^9360[0-9]{12}$/);
});

test('one wrong row, and nothing is written; so does a dry run', async () => {
  const { registry, beside } = await issueTown();
  const wrong = [row('ani'), row('ps-0001', 'Siti Aminah', 'kud', 3), row('ps-0002', 'Slamet', 'pasar', 4)];
  const result = order(registry, ...wrong, row('x', 'X', 'nirgendwo', 5));
  expect(result).toEqual({
    ok: false,
    faults: [
      { line: 3, error: expect.stringContaining('"Siti Aminah" of pasar') },
      { line: 4, error: expect.stringContaining('"Slamet Riyadi" of pasar') },
      { line: 5, error: 'no cooperative is called nirgendwo' },
    ],
  });
  expect(orderCards(deps(registry), list(row('ani')), 'b', true)).toEqual(counts(1, 1, 1, 0, 0));
  const form = { rows: [row('ani')], faults: [{ line: 9, error: 'wrong' }] };
  expect(orderCards(deps(registry), form, 'b', false)).toEqual({ ok: false, faults: form.faults });
  for (const one of [registry, beside()]) {
    expect(extent(one)).toEqual(none);
    expect(one.member(memberId('ani'))).toBeUndefined();
  }
});

test('a number that an order or a card has is drawn again, and the disk itself gives it to no second one', async () => {
  const { registry } = await issueTown();
  const draws = ['979200000001', '9360000000000008', '9360000000000008', '9360999999999997'];
  const draw = () => draws.shift() ?? '979200000001';
  const members = [row('ani').member, row('budi').member];
  registry.orderCards({ members, batch: 'b', at: 1, draw, dry: false });
  expect(registry.orders().map(({ number }) => number)).toEqual(['9360000000000008', '9360999999999997']);
  const stuck = { members: [row('citra').member], batch: 'b', at: 1, draw, dry: false };
  expect(() => registry.orderCards(stuck)).toThrow(/given before/);
  expect(registry.member(memberId('citra'))).toBeUndefined();
  const taken = { number: '979200000001', member: memberId('ps-0002'), batch: 'b', at: 1 };
  expect(() => registry.placeOrders([taken])).toThrow(/a card has this number/);
  expect(() => registry.placeOrders([{ ...taken, number: '1234', member: memberId('ani') }])).toThrow(/UNIQUE/);
});

test('commands that order the same 500 members at once order 500 cards', async () => {
  const { registry, directory, write } = await issueTown();
  const path = write('all.csv', listOf(500));
  const at = (name: string) => JSON.stringify(new URL(`../../hub/${name}`, import.meta.url).href);
  const code = `const { openRegistry } = await import(${at('store/sqlite/registry.js')});
    const { orderCards } = await import(${at('issue.js')});
    const { readMemberList } = await import(${at('memberlist.js')});
    const { randomBytes } = await import('node:crypto');
    const registry = openRegistry({ path: ${JSON.stringify(hubPaths(directory).registry)} });
    process.stdin.once('data', () => {
      const list = readMemberList(${JSON.stringify(path)});
      const result = orderCards({ registry, now: Date.now, random: randomBytes }, list, 'all', false);
      registry.close();
      process.exit(result.ok ? 0 : 1);
    });
    process.stdout.write('open');`;
  const children = [1, 2, 3].map(() => spawn(process.execPath, ['--input-type=module', '-e', code]));
  const ends = children.map((child) => once(child, 'exit'));
  await Promise.all(children.map((child) => once(child.stdout, 'data')));
  for (const child of children) child.stdin.end('go');
  expect((await Promise.all(ends)).map(([exit]) => exit)).toEqual([0, 0, 0]);
  registry.refresh();
  expect(extent(registry)).toEqual({ waiting: 500, orders: 500 });
  expect(new Set(registry.orders().map(({ member }) => member)).size).toBe(500);
  expect(readMemberList(path).rows.every(({ member }) => registry.member(member.id) !== undefined)).toBe(true);
});

test('a spoilt card is retired and another ordered for its member in the same list, once', async () => {
  const { registry, beside } = await issueTown();
  order(registry, row('ani'), row('budi'));
  const card = layDown(registry);
  const redone = doDeed(deps(registry), card.number, 'redo');
  const fresh = registry.orders('b').find(({ member, uid }) => member === 'ani' && uid === null);
  expect(redone).toMatchObject({ ok: true, said: expect.stringContaining('waits for another chip') });
  expect(fresh?.number).not.toBe(card.number);
  for (const one of [registry, beside()]) expect(one.card(card.uid)?.status).toBe('retired');
  expect(doDeed(deps(registry), card.number, 'redo')).toMatchObject({ ok: false });
  expect(extent(registry)).toEqual({ waiting: 2, orders: 3 });
  expect(order(registry, row('ani'), row('budi'))).toEqual(counts(2, 0, 0, 0, 2));
});

test('a lost card is replaced: it has ended, another is ordered once, and where its money goes is said', async () => {
  const { registry, beside } = await issueTown();
  order(registry, row('ani'), row('budi'));
  const cards = [finish(registry, layDown(registry)), finish(registry, layDown(registry))];
  for (const [at, status] of (['active', 'frozen'] as const).entries()) {
    const card = cards[at];
    if (card === undefined) throw new Error('no card');
    registry.putCard({ ...card, status: 'active' });
    if (status === 'frozen') registry.putCard({ ...card, status });
    const replaced = doDeed(deps(registry), card.number, 'replace');
    const fresh = registry.orders('b').find(({ member, uid }) => member === card.member && uid === null);
    expect(replaced).toMatchObject({ ok: true, said: expect.stringContaining('when the card is laid on an issuing') });
    expect('said' in replaced && replaced.said).toContain(spellNumber(fresh?.number ?? ''));
    for (const one of [registry, beside()]) expect(one.card(card.uid)?.status).toBe('replaced');
    expect(doDeed(deps(registry), card.number, 'replace')).toMatchObject({ ok: false });
  }
  expect(extent(registry)).toEqual({ waiting: 2, orders: 4 });
});

test('a card that was retired by a command does not live again by a hub that has not read it yet', async () => {
  const { registry: hub, beside } = await issueTown();
  order(hub, row('ani'));
  const card = layDown(hub);
  const officer = beside();
  expect(doDeed(deps(officer), card.number, 'retire').ok).toBe(true);
  expect(() => finish(hub, card)).toThrow(/changed by another process/);
  hub.refresh();
  expect(hub.card(card.uid)?.status).toBe('retired');
  // The other way round, the officer's word is judged by what the hub wrote meanwhile.
  order(hub, row('budi'));
  const second = layDown(hub);
  officer.refresh();
  finish(hub, second);
  expect(doDeed(deps(officer), second.number, 'activate')).toMatchObject({ ok: false });
  officer.refresh();
  expect(doDeed(deps(officer), second.number, 'activate')).toMatchObject({ ok: true });
  const third = { ...second, status: 'frozen' as const };
  expect(() => hub.putCard(third)).toThrow();
});

test('a number is found as people type it, and what is none is answered with a hint', async () => {
  const { registry } = await issueTown();
  const freeze = (text: string) => doDeed(deps(registry), text, 'freeze');
  expect(freeze('9792-0000 0001')).toMatchObject({ ok: true, said: expect.stringContaining('is frozen') });
  order(registry, row('ani'));
  const number = registry.orders()[0]?.number ?? '';
  expect(freeze(number)).toMatchObject({ ok: false, error: expect.stringContaining(`cards withdraw ${number}`) });
  const typo = `${number.slice(0, -1)}${(Number(number.at(-1)) + 1) % 10}`;
  expect(freeze(typo)).toMatchObject({ ok: false, error: expect.stringContaining('a digit was mistyped') });
  expect(freeze('1234')).toMatchObject({ ok: false, error: expect.stringContaining('cards list') });
  const long = freeze(`\u001b[2J${'x'.repeat(999)}`);
  expect(long.ok ? '' : long.error).toMatch(/^"\ufffd\[2Jx{36}…" is no card number/);
});

test('orders are taken back while they have no chip', async () => {
  const { registry } = await issueTown();
  order(registry, row('ani'), row('budi'));
  const [ani, budi] = registry.orders().map(({ number }) => number);
  layDown(registry);
  expect(withdraw(registry, ani ?? '')).toMatchObject({ ok: false, error: expect.stringContaining('personalising') });
  expect(withdraw(registry, budi?.replace(/(.{4})/g, '$1 ') ?? '')).toMatchObject({ ok: true });
  expect(withdraw(registry, budi ?? '')).toMatchObject({
    ok: false,
    error: expect.stringContaining('no card or order'),
  });
  expect(extent(registry)).toEqual({ waiting: 0, orders: 1 });
});

/** A watch whose clock and turns are in the test's hands. */
function watching(registry: Registry, members: readonly MemberId[]) {
  const told: string[] = [];
  const stop = new AbortController();
  const hands = { at: Date.now(), turn: () => {} };
  const later = (run: () => void) => {
    hands.turn = run;
    return () => {
      hands.turn = () => {};
    };
  };
  const tell = (sight: Sight) => {
    const { made, next } = sight.standing;
    const who = 'card' in sight ? sight.card.member : 'member' in sight ? sight.member : '';
    told.push(`${sight.state} ${who} ${made.length} next ${next?.member ?? '-'}`);
  };
  const ended = watchCards({ registry, now: () => hands.at, later }, { members, stop: stop.signal, tell });
  return { told, stop, hands, ended };
}

test('the watch tells each card that another process made, what has stuck, and ends when nobody waits', async () => {
  const { registry, beside } = await issueTown();
  const ids = ['ani', 'budi', 'citra', 'dewi'];
  order(registry, ...ids.map((id) => row(id)));
  const kiosk = beside();
  const { told, hands, ended } = watching(registry, ids.map(memberId));
  const ani = layDown(kiosk);
  hands.turn();
  finish(kiosk, ani);
  const budi = layDown(kiosk);
  hands.turn();
  hands.at += 61_000;
  hands.turn();
  hands.turn();
  doDeed(deps(kiosk), budi.number, 'redo');
  finish(kiosk, layDown(kiosk));
  withdraw(kiosk, kiosk.orders().find(({ member }) => member === 'dewi')?.number ?? '');
  hands.turn();
  doDeed(deps(kiosk), ani.number, 'activate');
  finish(kiosk, layDown(kiosk));
  hands.turn();
  const standing = await ended;
  expect(standing.made.map(({ member }) => member)).toEqual(['ani', 'citra', 'budi']);
  expect(told).toEqual([
    'waiting  0 next ani',
    'made ani 1 next citra',
    'stuck budi 1 next citra',
    'made citra 2 next budi',
    'gone dewi 2 next budi',
    'made budi 3 next -',
  ]);
});

test('a watch that is stopped leaves the orders, and one of finished cards ends at once', async () => {
  const { registry } = await issueTown();
  order(registry, row('ani'));
  const { stop, hands, ended } = watching(registry, [memberId('ani')]);
  stop.abort();
  expect((await ended).waiting).toHaveLength(1);
  hands.turn();
  expect(extent(registry)).toEqual({ waiting: 1, orders: 1 });
  finish(registry, layDown(registry));
  expect((await watching(registry, [memberId('ani')]).ended).made).toHaveLength(1);
  expect(standingOf(registry, [memberId('ps-0001')]).made).toHaveLength(1);
});

test('a registry that is older than the wall against second orders gets it when it is opened', async () => {
  const { registry, directory, beside } = await issueTown();
  const db = new Database(hubPaths(directory).registry);
  onTestFinished(() => void db.close());
  db.exec('DROP INDEX card_order_once; DROP TRIGGER card_order_new; DROP INDEX card_of');
  beside();
  order(registry, row('ani'));
  const again = { number: '1234', member: memberId('ani'), batch: 'b', at: 1 };
  expect(() => registry.placeOrders([again])).toThrow(/UNIQUE/);
});
