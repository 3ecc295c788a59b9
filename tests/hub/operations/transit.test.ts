/** What a hub that starts again knows of reloads that are on their way. */
import { expect, test } from 'vitest';
import { type Asked, openTransit, packAsked } from '../../../hub/operations/transit.ts';
import { type OpenReload, RELEASE_ORIGIN } from '../../../hub/store/ledger.ts';
import type { CardUid, CooperativeId } from '../../../protocol/ids.ts';

const card = '04a1b2c3d4e5f6' as CardUid;
const filled = (length: number, fill: number) => new Uint8Array(length).fill(fill);
const asked: Asked = {
  keyVersion: 2,
  before: Uint8Array.of(7, 0, 0, 0, ...filled(8, 1)),
  records: filled(64, 2),
  record: filled(16, 3),
  tmri: filled(16, 4),
  encTmri: filled(16, 5),
};
const open: OpenReload = {
  key: { origin: RELEASE_ORIGIN + 7, seq: 3 },
  card,
  issuer: 'angkot' as CooperativeId,
  amount: 50_000n,
  at: 1_000,
  evidence: packAsked(asked),
  filled: [],
};
const opened = (change: Partial<OpenReload>) => openTransit({ openReloads: async () => [{ ...open, ...change }] });

test('all that the certificate follows from is read back from the release', async () => {
  const transit = await opened({});
  expect(transit.of(card)).toEqual({ ...open, asked, keyVersion: 2, tmc: 7, releasedAt: 1_000, othersUpTo: 7 });
});

test('slots that claims have filled since the release are another’s, up to the first one that is missing', async () => {
  const slots = [10, 8, 9, 12].map((tmc) => ({ keyVersion: 2, tmc }));
  const transit = await opened({ filled: [...slots, { keyVersion: 1, tmc: 11 }] });
  expect(transit.of(card)?.othersUpTo).toBe(10);
});

test('a reload that ended leaves a later one of its card on its way', async () => {
  const transit = await opened({});
  transit.end({ card, key: { ...open.key, seq: 2 } });
  expect(transit.of(card)).toBeDefined();
  transit.end(open);
  expect(transit.of(card)).toBeUndefined();
});

test('a release without its evidence stops the hub: its file was changed by hand', async () => {
  for (const evidence of [null, new Uint8Array(126), packAsked(asked).subarray(1)]) {
    await expect(opened({ evidence })).rejects.toThrow(/evidence/);
  }
});
