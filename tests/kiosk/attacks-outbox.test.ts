/** A card that leaves, or power that goes, before a load was asked for leaves nothing that the kiosk waits for. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openOutbox } from '../../kiosk/outbox.ts';
import type { ReloadAsked } from '../../protocol/relay.ts';
import { KIOSK } from './rules/drill.ts';

test('a load whose start never reached the disk is not counted as waiting, after a restart neither', () => {
  const dir = mkdtempSync(join(tmpdir(), 'outbox-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const open = () => openOutbox({ path: join(dir, 'outbox.sqlite'), kiosk: KIOSK, now: () => 0 });
  const before = open();
  before.mint(50_000n, 'reload');
  const asked: ReloadAsked = {
    deed: 'reload',
    uid: '04175350554c80',
    seq: before.mint(50_000n, 'reload'),
    amount: 50_000,
    slot: 1,
    keyVersion: 1,
    tmacKeyVersion: 1,
    before: '00'.repeat(12),
    records: '00'.repeat(64),
    encTmri: '00'.repeat(16),
    ti: '00'.repeat(4),
    ctr: 4,
    challenge: '00'.repeat(16),
  };
  before.journalReload(asked);
  before.mint(1_000n, 'account');
  expect(before.waiting()).toBe(2);
  before.end();
  const after = open();
  expect(after.waiting()).toBe(2);
  expect(after.openReloads()).toEqual([asked]);
  after.end();
});
