/** The outbox on a real disk: numbers never return, answers stay, faults are loud. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Outbox, OutboxFault, openOutbox } from '../../kiosk/outbox.ts';
import { requestOf } from '../../kiosk/rules/request.ts';
import type { KioskNo } from '../../protocol/ids.ts';
import { CERTIFICATE, declined, INTENT, KIOSK, sealed, seqOf } from './rules/drill.ts';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'outbox-'));
  path = join(dir, 'outbox.sqlite');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const DAY = 86_400_000;
const open = (changes: Partial<Parameters<typeof openOutbox>[0]> = {}): Outbox =>
  openOutbox({ path, kiosk: KIOSK, now: () => 0, ...changes });
const sale = (seq: number) => ({
  seq: seqOf(seq),
  amount: 25_000n,
  price: 25_000n,
  mode: 'account' as const,
  prices: null,
});
const request = (seq: number) => requestOf(KIOSK, sale(seq), INTENT, CERTIFICATE);

describe('the outbox', () => {
  it('gives every sale the next number, and knows after a kill what was asked of a card, fee included', () => {
    const script = `
      import { openOutbox } from ${JSON.stringify(new URL('../../kiosk/outbox.js', import.meta.url).href)};
      const outbox = openOutbox({ path: ${JSON.stringify(path)}, kiosk: 7, now: () => 0 });
      for (let i = 0; i < 3; i++) outbox.mint(1000n, 'account');
      outbox.journal(3, ${JSON.stringify(INTENT)}, 1350n);
      process.kill(process.pid, 'SIGKILL');`;
    const killed = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
    expect(killed.signal).toBe('SIGKILL');
    const outbox = open();
    expect(outbox.unfinished()).toEqual([
      { seq: 1, amount: 1_000n, uid: null, ask: 'resolve' },
      { seq: 2, amount: 1_000n, uid: null, ask: 'resolve' },
      { seq: 3, amount: 1_350n, uid: INTENT.uid, ask: 'resolve' },
    ]);
    expect(outbox.next()).toBe(4);
    expect(outbox.mint(1n, 'account')).toBe(4);
    outbox.end();
  });

  it('does not reuse the numbers of sales that have left the disk', () => {
    const outbox = open({ keepRows: 0 });
    for (let seq = 1; seq <= 70; seq++) {
      outbox.mint(1n, 'account');
      outbox.keep(seqOf(seq), declined(seq), false);
    }
    outbox.end();
    const again = open({ keepRows: 0 });
    expect(again.mint(1n, 'account')).toBe(71);
    again.end();
  });

  it('counts each kiosk number by itself, so that a new enrolment starts anew', () => {
    const first = open();
    first.mint(1n, 'account');
    first.end();
    const second = open({ kiosk: 8 as KioskNo });
    expect(second.mint(1n, 'account')).toBe(1);
    expect(second.unfinished()).toHaveLength(1);
    second.end();
  });

  it('remembers how a closed sale is asked about', () => {
    const outbox = open();
    for (let seq = 1; seq <= 3; seq++) outbox.mint(1n, 'account');
    outbox.close(seqOf(1), 'cancel');
    outbox.drop(seqOf(2));
    expect(outbox.unfinished().map(({ seq, ask }) => [seq, ask])).toEqual([
      [1, 'cancel'],
      [3, 'resolve'],
    ]);
    expect(outbox.waiting()).toBe(2);
    outbox.end();
  });

  it('keeps the request and the receipt word for word', () => {
    const outbox = open();
    outbox.mint(25_000n, 'account');
    outbox.save(seqOf(1), request(1));
    outbox.keep(seqOf(1), sealed(1), false);
    outbox.end();
    const file = new Database(path, { readonly: true });
    expect(file.prepare('SELECT body FROM request').pluck().get()).toBe(JSON.stringify(request(1)));
    expect(file.prepare('SELECT body, mac FROM receipt').get()).toEqual({
      body: JSON.stringify(sealed(1).receipt),
      mac: sealed(1).mac,
    });
    file.close();
  });

  it('knows which green lights nobody has seen', () => {
    const outbox = open();
    for (let seq = 1; seq <= 4; seq++) outbox.mint(25_000n, 'account');
    outbox.keep(seqOf(1), sealed(1), false);
    outbox.green(seqOf(1));
    outbox.keep(seqOf(2), sealed(2), false);
    outbox.keep(seqOf(3), declined(3), false);
    outbox.keep(seqOf(4), sealed(4), true);
    expect(outbox.unshown(10)).toEqual([{ seq: 2, amount: 25_000n, fee: 0n, balance: 75_000n, uid: INTENT.uid }]);
    outbox.end();
  });

  it('lets finished sales go after their time and never an unanswered one', () => {
    const outbox = open();
    for (let seq = 1; seq <= 2; seq++) outbox.mint(1n, 'account');
    outbox.save(seqOf(1), request(1));
    outbox.keep(seqOf(1), sealed(1), false);
    outbox.end();
    open({ now: () => 61 * DAY }).end();
    const file = new Database(path, { readonly: true });
    expect(file.prepare('SELECT seq FROM sale').pluck().all()).toEqual([2]);
    expect(file.prepare('SELECT count(*) FROM request').pluck().get()).toBe(0);
    file.close();
  });

  it('is written through at every commit', () => {
    const outbox = open();
    expect(() => outbox.probe()).not.toThrow();
    outbox.end();
  });

  it('says loudly that the disk is full, and what was kept before stays', () => {
    const outbox = open({ bytesMax: 200_000 });
    let minted = 0;
    expect(() => {
      for (; minted < 100_000; minted++) {
        outbox.mint(1n, 'account');
        outbox.journal(seqOf(minted + 1), INTENT, 25_000n);
      }
    }).toThrow(OutboxFault);
    expect(minted).toBeGreaterThan(100);
    outbox.end();
    const again = open();
    expect(again.unfinished().length).toBeGreaterThanOrEqual(minted);
    again.end();
    expect(statSync(path).size).toBeLessThan(300_000);
  });

  it('says loudly that its file is damaged, missing its folder, or may not be written', () => {
    expect(() => open({ path: join(dir, 'none', 'outbox.sqlite') })).toThrow(OutboxFault);
    const outbox = open();
    outbox.mint(1n, 'account');
    outbox.end();
    const other = new Database(path);
    other.pragma('journal_mode = DELETE');
    other.exec('BEGIN EXCLUSIVE');
    expect(() => open({ patienceMs: 50 })).toThrow(OutboxFault);
    other.exec('ROLLBACK');
    other.close();
    writeFileSync(path, 'x'.repeat(8192));
    expect(() => open()).toThrow(/not a database/);
  });
});
