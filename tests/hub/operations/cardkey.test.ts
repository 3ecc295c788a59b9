/** Card keys: two hundred new cards a day and kiosk, asking again is free, and a day later there is room again. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeCardKey } from '../../../hub/operations/cardkey.ts';
import type { Card, Kiosk } from '../../../hub/store/registry.ts';
import { createVault, openVault } from '../../../hub/vault.ts';
import type { CardUid, CooperativeId, KioskName, KioskNo, MemberId, OutletId } from '../../../protocol/ids.ts';
import { makeSealingKeys } from '../../../protocol/sealed.ts';
import { temporary, VAULT_COST } from '../world.ts';

test('the quota counts new cards within 24 hours, per kiosk', async () => {
  const path = `${temporary()}/vault.json`;
  await createVault({ random: randomBytes }, path, Buffer.from('x'), ['pasar' as CooperativeId], VAULT_COST);
  const opened = openVault({ random: randomBytes }, path, Buffer.from('x'));
  if (!opened.ok) throw new Error(opened.error);
  const { publicKey } = await makeSealingKeys();
  let now = Date.UTC(2026, 5, 1);
  const card = (uid: CardUid): Card => ({
    uid,
    number: '97920001',
    issuer: 'pasar' as CooperativeId,
    member: 'ps-0001' as MemberId,
    keyVersion: 1,
    tmacKeyVersion: 1,
    status: 'active',
    made: null,
  });
  const ask = makeCardKey({ vault: opened.vault, registry: { card, chip: () => undefined }, now: () => now });
  const kiosk = (no: number): Kiosk => ({
    no: no as KioskNo,
    name: `kiosk-${no}` as KioskName,
    outlet: 'stall-12' as OutletId,
    serial: 'aa',
    sealingKey: publicKey,
    witness: new Uint8Array(),
    role: 'stall',
    offline: false,
    revoked: false,
  });
  const reply = async (no: number, at: number) => {
    const given = await ask({ kiosk: kiosk(no), body: { uid: `04${at.toString(16).padStart(12, '0')}` }, hash: '' });
    return 'body' in given ? 'given' : given;
  };
  for (let at = 0; at < 200; at++) expect(await reply(1, at)).toBe('given');
  expect(await reply(1, 200)).toMatchObject({ refusal: 'key-quota', alarm: 'key-quota' });
  expect(await reply(1, 199)).toBe('given');
  expect(await reply(2, 200)).toBe('given');
  now += 24 * 3_600_000 + 1;
  expect(await reply(1, 200)).toBe('given');
});
