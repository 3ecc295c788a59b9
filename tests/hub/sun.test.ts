/** SUN: a fresh tap is accepted once, whoever brings it and however often; nothing old, false or swapped is. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { cmac, encrypt, truncate } from '../../cards/aes.ts';
import { hubPaths } from '../../hub/config.ts';
import { makeLog, realEdges } from '../../hub/edges.ts';
import type { Ledger } from '../../hub/store/ledger.ts';
import { makeAcceptTap, type TapParts, tapPartsOf } from '../../hub/sun.ts';
import type { CardUid } from '../../protocol/ids.ts';
import type { Card } from '../town/card.ts';
import { hexUid } from '../town/cardstock.ts';
import { readAddress } from '../town/phone.ts';
import { repository } from '../town/repository.ts';
import { issuedTag, serving } from '../town/tags.ts';
import { makePlace, openOffice, type Place, removePlace } from '../town/town.ts';
import { edges } from './chips.ts';

let place: Place;
let office: ReturnType<typeof openOffice>;
let ledger: Ledger;
let tag: Card;
let logged: object[];
let accept: (parts: TapParts | null) => boolean;

const issue = () => issuedTag({ ...office, ledger }, 'tk-0001');

beforeAll(async () => {
  place = await makePlace();
  office = openOffice(place);
  ledger = await realEdges(makeLog('silent')).openLedger(hubPaths(place.directory).ledger, () => undefined);
  return async () => {
    await ledger.close();
    office.close();
    removePlace(place);
  };
});
beforeEach(async () => {
  tag = await issue();
  logged = [];
  const log = { ...edges.log, info: (what: object) => void logged.push(what) } as typeof edges.log;
  const ask = makeAcceptTap({ ...office, log });
  accept = (parts) => parts !== null && ask(parts);
});

const upper = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').toUpperCase();
const tap = (card = tag) => tapPartsOf(readAddress(card));

describe('a tap', () => {
  test('that is fresh is accepted once, and its replay is not', () => {
    const parts = tap();
    expect([accept(parts), accept(parts), accept(parts)]).toEqual([true, false, false]);
    expect(logged).toMatchObject([{ why: 'seen-before' }, { why: 'seen-before' }]);
    expect(accept(tap())).toBe(true);
  });

  test('that was read before one that was accepted is not fresh any more, and gaps between taps are', () => {
    const [first, second] = [tap(), tap()];
    for (let unread = 0; unread < 300; unread += 1) tap();
    const last = tap();
    expect([accept(second), accept(first), accept(last), accept(second)]).toEqual([true, false, true, false]);
  });

  test('of which any one digit is another is refused, and the genuine one is fresh still', () => {
    const parts = tap();
    if (parts === null) throw new Error('the tag gave no address of ours');
    for (const name of ['p', 'm'] as const) {
      for (const at of parts[name].split('').keys()) {
        const other = parts[name][at] === '0' ? '1' : '0';
        const changed = parts[name].slice(0, at) + other + parts[name].slice(at + 1);
        expect([name, at, accept({ ...parts, [name]: changed })]).toEqual([name, at, false]);
      }
    }
    expect(accept(parts)).toBe(true);
  });

  test('whose MAC is wrong, whose UID is of another tag, or that no card of ours gave, is refused', async () => {
    const other = await issue();
    const [mine, its] = [tap(), tap(other)];
    if (mine === null || its === null) throw new Error('a tag gave no address of ours');
    expect(accept({ p: mine.p, m: its.m })).toBe(false);
    expect(accept({ p: its.p, m: mine.m })).toBe(false);
    expect(accept({ p: mine.p, m: '0'.repeat(16) })).toBe(false);
    expect([accept(mine), accept(its)]).toEqual([true, true]);
    other.memory.uid.set([0x04, 1, 2, 3, 4, 5, 6]);
    expect(accept(tap(other) ?? its)).toBe(false);
  });

  test('of a card that is frozen or has ended is not fresh, and of one that is ready it is', () => {
    const uid = hexUid(tag);
    const card = office.registry.card(uid);
    if (card === undefined) throw new Error('no card was made');
    for (const status of ['frozen', 'replaced'] as const) {
      office.registry.putCard({ ...card, status });
      expect(accept(tap())).toBe(false);
      expect(logged.at(-1)).toMatchObject({ why: 'card-ended' });
    }
  });

  test.each([
    'http://localhost/t?p=00&m=00',
    'https://localhost/t?m=00&p=00',
    'https://localhost/t?p=zz&m=00',
    'https://localhost/t',
    `https://localhost/t?p=${'0'.repeat(65)}&m=00`,
    `https://localhost/t?p=${'0'.repeat(32)}&m=${'0'.repeat(16)}\n`,
    '',
  ])('with the address %j is none of ours', (address) => {
    expect(tapPartsOf(address)).toBeNull();
  });
});

test('of a DESFire EV3 that mirrors under our keys, a tap is fresh once as well', () => {
  const uid = '04a1a2a3a4a5a6' as CardUid;
  const { vault, registry } = office;
  const card = registry.card(hexUid(tag));
  if (card === undefined) throw new Error('no card was made');
  registry.putChip({ uid, profile: 'desfire-ev', keyVersion: 1 });
  registry.putCard({ ...card, uid, number: '98765432', made: null });
  const read = (counter: number) => {
    const about = Uint8Array.of(...Buffer.from(uid, 'hex'), counter, 0, 0);
    const picc = Uint8Array.of(0xc7, ...about, ...randomBytes(5));
    const p = upper(encrypt(vault.sunMetaKey(1), new Uint8Array(16), picc));
    const session = cmac(vault.sunFileKey(uid, 1), Uint8Array.of(0x3c, 0xc3, 0, 1, 0, 0x80, ...about));
    return { p, m: upper(truncate(cmac(session, Buffer.from(`${p}&m=`)))) };
  };
  const [first, second] = [read(1), read(2)];
  expect([accept(second), accept(first), accept(second), accept(read(3))]).toEqual([true, false, false, true]);
});

test('after new keys the tag counts anew under them, and readings from before stay shut', async () => {
  const before = tap();
  const uid = hexUid(tag);
  const card = office.registry.card(uid);
  if (card === undefined) throw new Error('no card was made');
  expect(accept(tap())).toBe(true);
  const { versions } = office.vault;
  const vault = { ...office.vault, versions: () => ({ ...versions(), keyVersion: 2 }) };
  const renewed = await serving({ vault, registry: office.registry, ledger }, tag);
  expect(renewed).toMatchObject({ done: 'renewed' });
  expect(accept(before)).toBe(false);
  const after = tap();
  expect([accept(after), accept(after)]).toEqual([true, false]);
});

const BIN = join(repository(), 'hub/bin/simpul-hub.js');

function tapCommand(address: string): { readonly child: ChildProcess; readonly end: Promise<[number | null, string]> } {
  const args = ['cards', 'tap', address, '--data', place.directory];
  const env = { PATH: process.env.PATH };
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, BIN, ...args], { env });
  onTestFinished(() => void child.kill('SIGKILL'));
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  const end = once(child, 'close').then(([code]): [number | null, string] => [code as number | null, out.trim()]);
  return { child, end };
}

test('a technician is told "fresh" once, with exit code 0, then 1; and 1 for what is no address of a tag', async () => {
  const address = readAddress(tag);
  expect(await tapCommand(address).end).toEqual([0, 'fresh']);
  expect(await tapCommand(address).end).toEqual([1, '']);
  expect(await tapCommand('https://localhost/t').end).toEqual([1, '']);
});

test('100 submissions of one tap at the same time, from four processes on one file, give one acceptance', async () => {
  const dist = (path: string) => JSON.stringify(new URL(`../../${path}`, import.meta.url).href);
  const code = `const { openOffice } = await import(${dist('tests/town/town.js')});
    const { makeAcceptTap } = await import(${dist('hub/sun.js')});
    const { makeLog } = await import(${dist('hub/edges.js')});
    const [place, parts] = JSON.parse(process.argv[1]);
    const accept = makeAcceptTap({ ...openOffice(place), log: makeLog('silent') });
    process.stdout.write('ready ');
    process.stdin.once('data', () => {
      for (let no = 0; no < 25; no += 1) process.stdout.write(accept(parts) ? 'accepted ' : 'refused ');
      process.exitCode = 0;
      process.stdin.destroy();
    });`;
  const parts = tap();
  const started = Array.from({ length: 4 }, async () => {
    const args = ['--input-type=module', '-e', code, JSON.stringify([place, parts])];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, ...args]);
    onTestFinished(() => void child.kill('SIGKILL'));
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    const end = once(child, 'close').then(() => out);
    await Promise.race([once(child.stdout, 'data'), end]);
    return { child, end };
  });
  const ready = await Promise.all(started);
  for (const { child } of ready) child.stdin.write('go');
  const answers = (await Promise.all(ready.map(({ end }) => end))).join('').match(/accepted|refused/g) ?? [];
  expect(answers).toHaveLength(100);
  expect(answers.filter((answer) => answer === 'accepted')).toHaveLength(1);
});
