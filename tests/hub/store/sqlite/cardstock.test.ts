/** The card stock keeps every chip, every change of a key and every card number, and gives each number to one chip. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import type { Registry } from '../../../../hub/store/registry.ts';
import { openRegistry } from '../../../../hub/store/sqlite/registry.ts';
import type { CardUid, CooperativeId, MemberId } from '../../../../protocol/ids.ts';
import { ledgerPath } from './ledgerfile.ts';

const uid = (no: number) => `04${no.toString(16).padStart(12, '0')}` as CardUid;
const PASAR = 'pasar' as CooperativeId;
const member = (name: string) => ({ id: name as MemberId, cooperative: PASAR, name });
const order = (number: string, name = 'siti') => ({ number, member: name as MemberId, batch: 'b', at: 5 });
const binding = (no: number) => ({
  uid: uid(no),
  keyVersion: 1,
  tmacKeyVersions: new Map([[PASAR, 1]]),
  slot: 77,
  at: 9,
});
const change = (no: number, to = 1, from = 0) => ({ uid: uid(1), no, from, to, at: 3 });

function newStock(path = ledgerPath()): { registry: Registry; path: string } {
  const registry = openRegistry({ path });
  onTestFinished(() => registry.close());
  registry.putCooperative({ id: PASAR, name: 'Koperasi Pasar', netDebitCap: 0n });
  for (const name of ['siti', 'budi', 'tini', 'joko']) registry.putMember(member(name));
  return { registry, path };
}

test('a chip is blank until it has proved a key of ours, and what it proved never goes back', () => {
  const { registry } = newStock();
  expect(registry.chip(uid(1))).toBeUndefined();
  registry.putChip({ uid: uid(1), profile: 'desfire-light', keyVersion: 0 });
  expect(registry.chips()).toEqual({ blank: 1, prepared: 0 });
  registry.proveKeys(uid(1), 2);
  expect(registry.chip(uid(1))).toEqual({ uid: uid(1), profile: 'desfire-light', keyVersion: 2 });
  expect(registry.chips()).toEqual({ blank: 0, prepared: 1 });
  expect(() => registry.putChip({ uid: uid(1), profile: 'desfire-light', keyVersion: 0 })).toThrow(/never go back/);
});

test('a change of a key is open until the card has proved it, and the history keeps all of them', () => {
  const { registry, path } = newStock();
  registry.putChip({ uid: uid(1), profile: 'desfire-light', keyVersion: 0 });
  registry.journalKey(change(0));
  registry.journalKey(change(0));
  expect(registry.openChanges(uid(1))).toEqual([change(0), change(0)]);
  registry.proveKeys(uid(1), 1);
  registry.journalKey(change(3, 2, 1));
  expect(registry.openChanges(uid(1))).toEqual([change(3, 2, 1)]);
  expect(registry.keyHistory(uid(1)).map(({ no, proven }) => [no, proven])).toEqual([
    [0, true],
    [0, true],
    [3, false],
  ]);
  const db = new Database(path);
  onTestFinished(() => void db.close());
  expect(() => db.exec('DELETE FROM key_change')).toThrow(/never forgotten/);
  expect(() => db.exec('UPDATE key_change SET to_version = 9')).toThrow(/never changes/);
  expect(() => registry.journalKey({ ...change(0), uid: uid(9) })).toThrow(/FOREIGN KEY/);
});

test("a version of the counter file's key is given to a card once", () => {
  const { registry } = newStock();
  registry.putChip({ uid: uid(1), profile: 'desfire-light', keyVersion: 1 });
  registry.journalKey(change(15, 1));
  expect(() => registry.journalKey(change(15, 1))).toThrow(/UNIQUE/);
  registry.journalKey(change(15, 2, 1));
});

test('chips get the waiting orders in turn, one number each, and their records get seqs that nobody had', () => {
  const { registry, path } = newStock();
  for (const no of [1, 2, 3]) registry.putChip({ uid: uid(no), profile: 'desfire-light', keyVersion: 1 });
  registry.placeOrders([order('9001'), order('9002', 'budi')]);
  const cards = [1, 2, 3].map((no) => registry.bindCard(binding(no)));
  expect(cards.map((card) => card?.number)).toEqual(['9001', '9002', undefined]);
  expect(cards[0]).toMatchObject({ member: 'siti', issuer: 'pasar', status: 'personalising' });
  expect(cards.map((card) => card?.made)).toEqual([
    { seq: 1, slot: 77, at: 9 },
    { seq: 5, slot: 77, at: 9 },
    undefined,
  ]);
  expect(() => registry.bindCard(binding(1))).not.toThrow();
  expect(newStock(path).registry.cardByNumber('9002')).toEqual(cards[1]);
  expect(registry.orders('b').map((one) => one.uid)).toEqual([uid(1), uid(2)]);
});

test('a number is given once: not to two orders, not after it was taken back, and to no second chip', () => {
  const { registry, path } = newStock();
  for (const no of [1, 2]) registry.putChip({ uid: uid(no), profile: 'desfire-light', keyVersion: 1 });
  registry.placeOrders([order('9001'), order('9002', 'budi')]);
  expect(() => registry.placeOrders([order('9003', 'tini'), order('9001', 'joko')])).toThrow(/UNIQUE/);
  expect(registry.orders().map(({ number }) => number)).toEqual(['9001', '9002']);
  expect([registry.withdrawOrder('9001'), registry.withdrawOrder('9001')]).toEqual([true, false]);
  expect(() => registry.placeOrders([order('9001')])).toThrow(/UNIQUE/);
  expect(registry.bindCard(binding(1))?.number).toBe('9002');
  expect(registry.withdrawOrder('9002')).toBe(false);
  registry.placeOrders([order('9004')]);
  expect(() => registry.bindCard(binding(1))).toThrow(/UNIQUE/);
  expect(registry.orders().find(({ number }) => number === '9004')?.uid).toBeNull();
  const db = new Database(path);
  onTestFinished(() => void db.close());
  expect(() => db.exec("UPDATE card SET number = '9009'")).toThrow(/keeps its number/);
  expect(() => db.exec('DELETE FROM card_order')).toThrow(/never given up/);
});

test('a blank chip, or one nobody has seen, becomes nobody’s card', () => {
  const { registry } = newStock();
  registry.placeOrders([order('9001')]);
  expect(() => registry.bindCard(binding(1))).toThrow(/not prepared/);
  registry.putChip({ uid: uid(1), profile: 'desfire-light', keyVersion: 0 });
  expect(() => registry.bindCard(binding(1))).toThrow(/not prepared/);
});

test('a card that ended does not live again, and the ledger is told of every change once', () => {
  const { registry } = newStock();
  registry.putChip({ uid: uid(1), profile: 'desfire-light', keyVersion: 1 });
  registry.placeOrders([order('9001')]);
  const card = registry.bindCard(binding(1));
  if (card === null) throw new Error('nothing was bound');
  expect(registry.untold()).toEqual([]);
  expect(() => registry.putCard({ ...card, status: 'active' })).toThrow(/cannot become active/);
  const ready = { ...card, status: 'ready' as const };
  registry.putCard(ready);
  expect(registry.untold()).toEqual([ready]);
  registry.told(ready);
  expect(registry.untold()).toEqual([]);
  registry.putCard({ ...card, status: 'retired' });
  expect(registry.untold()).toHaveLength(1);
  expect(() => registry.putCard({ ...card, status: 'active' })).toThrow(/cannot become active/);
});

test('processes that bind chips at the same time give no number twice', async () => {
  const { registry, path } = newStock();
  const numbers = Array.from({ length: 40 }, (_, at) => String(9000 + at));
  for (const number of numbers) registry.putMember(member(`m${number}`));
  registry.placeOrders(numbers.map((number) => order(number, `m${number}`)));
  for (let no = 1; no <= 40; no++) registry.putChip({ uid: uid(no), profile: 'desfire-light', keyVersion: 1 });
  const module = new URL('../../../../hub/store/sqlite/registry.js', import.meta.url).href;
  const code = `const { openRegistry } = await import(${JSON.stringify(module)});
    const registry = openRegistry({ path: ${JSON.stringify(path)} });
    for (const no of JSON.parse(process.argv[1])) {
      const uid = '04' + no.toString(16).padStart(12, '0');
      registry.bindCard({ uid, keyVersion: 1, tmacKeyVersions: new Map([['pasar', 1]]), slot: 1, at: 1 });
    }
    registry.close();`;
  const shares = [0, 1, 2, 3].map((at) => numbers.flatMap((_, no) => (no % 4 === at ? [no + 1] : [])));
  const ends = shares.map((share) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', code, JSON.stringify(share)]);
    return once(child, 'exit').then(([exit]) => exit);
  });
  expect(await Promise.all(ends)).toEqual([0, 0, 0, 0]);
  registry.refresh();
  const given = registry.orders().map((one) => one.uid);
  expect(new Set(given).size).toBe(40);
  expect(given).not.toContain(null);
  expect(new Set(registry.cards().map(({ made }) => made?.seq)).size).toBe(40);
});
