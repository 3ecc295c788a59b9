/** Hello: the key of a kiosk's sealed masters goes to a kiosk with the grant, sealed to its question. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeHello } from '../../../hub/operations/hello.ts';
import type { Kiosk } from '../../../hub/store/registry.ts';
import { createVault, openVault, type Vault } from '../../../hub/vault.ts';
import { makeMasters } from '../../../kiosk/masters.ts';
import type { HelloAnswer, HelloRequest } from '../../../protocol/hello.ts';
import type { CardUid, CooperativeId, KioskName, KioskNo, OutletId } from '../../../protocol/ids.ts';
import { makeFolder } from '../../kiosk/enrolled.ts';
import { temporary, VAULT_COST } from '../world.ts';

const UID = '04a1b2c3d4e5f6' as CardUid;

async function newVault(): Promise<Vault> {
  const path = join(temporary(), 'vault.json');
  const deps = { random: randomBytes };
  await createVault(deps, path, Buffer.from('secret'), ['pasar' as CooperativeId], VAULT_COST);
  const opened = openVault(deps, path, Buffer.from('secret'));
  if (!opened.ok) throw new Error(opened.error);
  return opened.vault;
}

const kioskOf = (no: number, offline = true): Kiosk => ({
  no: no as KioskNo,
  name: `angkot-${no}` as KioskName,
  outlet: 'stall-12' as OutletId,
  serial: `0${no}`,
  sealingKey: new Uint8Array(65),
  witness: new Uint8Array(),
  role: 'stall',
  offline,
  revoked: false,
});

function kioskSide(no: number) {
  const { dir, remove } = makeFolder();
  onTestFinished(remove);
  return makeMasters(dir, no as KioskNo);
}

async function ask(vault: Vault, kiosk: Kiosk, body: HelloRequest): Promise<HelloAnswer> {
  const reply = await makeHello({ vault })({ kiosk, body, hash: '' });
  if (!('body' in reply)) throw new Error(reply.refusal);
  return JSON.parse(reply.body) as HelloAnswer;
}

test('a kiosk with the grant makes the same card keys as the vault, and gets its box once', async () => {
  const vault = await newVault();
  const masters = kioskSide(1);
  const first = await ask(vault, kioskOf(1), await masters.ask());
  expect(first.box).not.toBeNull();
  expect(await masters.accept(first)).toBeNull();
  for (const version of [1, 2, 254]) expect(masters.key1(UID, version)).toEqual(vault.cardKey1(UID, version));
  const second = await ask(vault, kioskOf(1), await masters.ask());
  expect(second.box).toBeNull();
  expect(await masters.accept(second)).toBeNull();
});

test('a kiosk without the grant is refused, with an alarm', async () => {
  const vault = await newVault();
  const body = await kioskSide(1).ask();
  expect(await makeHello({ vault })({ kiosk: kioskOf(1, false), body, hash: '' })).toMatchObject({
    refusal: 'not-allowed',
    alarm: 'grant-missing',
  });
});

test("one kiosk's answer opens nothing at another, and an answer overheard opens nothing later", async () => {
  const vault = await newVault();
  const [one, two] = [kioskSide(1), kioskSide(2)];
  const overheard = await ask(vault, kioskOf(1), await one.ask());
  await two.ask();
  expect(await two.accept(overheard)).toMatch(/not sealed to what was asked/);
  await one.ask();
  expect(await one.accept(overheard)).toMatch(/not sealed to what was asked/);
  expect(one.key1(UID, 1)).toBeNull();
});

test('a key that is no point of the curve is refused as malformed', async () => {
  const vault = await newVault();
  const key = Buffer.alloc(65, 4).toString('base64');
  const reply = await makeHello({ vault })({ kiosk: kioskOf(1), body: { key, box: 0 }, hash: '' });
  expect(reply).toMatchObject({ refusal: 'message-malformed' });
});
