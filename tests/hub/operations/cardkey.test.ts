/** Card keys: two hundred new cards a day and kiosk; and of a card between two key versions, the one that it tells. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeCardKey } from '../../../hub/operations/cardkey.ts';
import type { KeyChange } from '../../../hub/store/cardstock.ts';
import type { Card, Kiosk } from '../../../hub/store/registry.ts';
import { createVault, openVault } from '../../../hub/vault.ts';
import { type CardKeyGrant, cardKeyContext } from '../../../protocol/cardkey.ts';
import type { CardUid, CooperativeId, KioskName, KioskNo, MemberId, OutletId } from '../../../protocol/ids.ts';
import { makeSealingKeys, open } from '../../../protocol/sealed.ts';
import { temporary, VAULT_COST } from '../world.ts';

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

async function counter(changes: readonly KeyChange[] = []) {
  const path = `${temporary()}/vault.json`;
  await createVault({ random: randomBytes }, path, Buffer.from('x'), ['pasar' as CooperativeId], VAULT_COST);
  const opened = openVault({ random: randomBytes }, path, Buffer.from('x'));
  if (!opened.ok) throw new Error(opened.error);
  const { vault } = opened;
  const { publicKey, privateKey } = await makeSealingKeys();
  const clock = { now: Date.UTC(2026, 5, 1) };
  const registry = { card, chip: () => undefined, openChanges: () => changes };
  const ask = makeCardKey({ vault, registry, now: () => clock.now });
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
  return { vault, clock, ask, kiosk, privateKey };
}

test('the quota counts new cards within 24 hours, per kiosk', async () => {
  const { clock, ask, kiosk } = await counter();
  const reply = async (no: number, at: number) => {
    const given = await ask({ kiosk: kiosk(no), body: { uid: `04${at.toString(16).padStart(12, '0')}` }, hash: '' });
    return 'body' in given ? 'given' : given;
  };
  for (let at = 0; at < 200; at++) expect(await reply(1, at)).toBe('given');
  expect(await reply(1, 200)).toMatchObject({ refusal: 'key-quota', alarm: 'key-quota' });
  expect(await reply(1, 199)).toBe('given');
  expect(await reply(2, 200)).toBe('given');
  clock.now += 24 * 3_600_000 + 1;
  expect(await reply(1, 200)).toBe('given');
});

test('a card whose renewal was torn gets the key it tells; a version that was never begun is not given', async () => {
  const uid = '04a1b2c3d4e5f6' as CardUid;
  const change = (no: number, to: number) => ({ uid, no, from: 1, to, at: 0 });
  const { vault, ask, kiosk, privateKey } = await counter([change(1, 2), change(3, 3)]);
  for (const [told, given] of [
    [undefined, 1],
    [1, 1],
    [2, 2],
    [3, 1],
    [0, 1],
  ] as const) {
    const reply = await ask({ kiosk: kiosk(1), body: told === undefined ? { uid } : { uid, told }, hash: '' });
    if (!('body' in reply)) throw new Error(reply.refusal);
    const grant = JSON.parse(reply.body) as CardKeyGrant;
    expect([told, grant.keyVersion]).toEqual([told, given]);
    const key = await open(privateKey, cardKeyContext(uid, given), Buffer.from(grant.sealed, 'base64'));
    expect(Buffer.from(key ?? [])).toEqual(Buffer.from(vault.cardKey1(uid, given)));
  }
});
