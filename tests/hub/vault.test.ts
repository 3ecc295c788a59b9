/** The vault opens with its own secret only, keeps what it holds, and gives keys that differ where they must. */

import { randomBytes } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { diversification, diversifier } from '../../cards/diversify.ts';
import { sealText, unsealText } from '../../hub/sealedfile.ts';
import { createVault, openVault, type Vault } from '../../hub/vault.ts';
import type { CardUid, CooperativeId } from '../../protocol/ids.ts';
import { seal } from '../../protocol/sealed.ts';
import { temporary, VAULT_COST } from './world.ts';

const deps = { random: randomBytes };
const secret = Buffer.from('kopi tubruk');
const PASAR = 'pasar' as CooperativeId;
const KUD = 'kud' as CooperativeId;
const UID = '04115350554c80' as CardUid;

async function makeVault(): Promise<{ path: string; vault: Vault }> {
  const path = join(temporary(), 'vault.json');
  await createVault(deps, path, secret, [PASAR, KUD], VAULT_COST);
  const opened = openVault(deps, path, secret);
  if (!opened.ok) throw new Error(opened.error);
  return { path, vault: opened.vault };
}

test('a vault opened twice gives the same keys, and only its owner may read the file', async () => {
  const { path, vault } = await makeVault();
  const again = openVault(deps, path, secret);
  if (!again.ok) throw new Error(again.error);
  expect(again.vault.cardKey1(UID, 1)).toEqual(vault.cardKey1(UID, 1));
  expect(again.vault.tmacKey(PASAR, UID, 1)).toEqual(vault.tmacKey(PASAR, UID, 1));
  expect(again.vault.beacon(7)).toEqual(vault.beacon(7));
  expect(again.vault.receiptMac('{}')).toBe(vault.receiptMac('{}'));
  expect(again.vault.sealingKey).toEqual(vault.sealingKey);
  expect(again.vault.caKey.export({ type: 'pkcs8', format: 'pem' })).toEqual(
    vault.caKey.export({ type: 'pkcs8', format: 'pem' }),
  );
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('a wrong passphrase fails with one clear line that gives nothing away', async () => {
  const { path } = await makeVault();
  const opened = openVault(deps, path, Buffer.from('kopi susu'));
  expect(opened).toEqual({
    ok: false,
    error: `vault ${path} does not open with this passphrase or key file; give the one it was made with`,
  });
});

test('a missing, cut or altered vault is named as such', async () => {
  const { path } = await makeVault();
  const text = readFileSync(path, 'utf8');
  const refusal = (contents: string) => {
    writeFileSync(path, contents);
    const opened = openVault(deps, path, secret);
    return opened.ok ? 'opened' : opened.error;
  };
  expect(refusal(text.slice(0, 200))).toContain('damaged or not a vault');
  expect(refusal(text.replace('simpul-1 vault', 'simpul-1 vaults'))).toContain('damaged or not a vault');
  expect(refusal(text.replace(/"N": \d+/, '"N": 1099511627776'))).toContain('damaged or not a vault');
  // A weaker derivation or a changed box does not authenticate.
  expect(refusal(text.replace(`"N": ${VAULT_COST}`, `"N": ${2 * VAULT_COST}`))).toContain('does not open');
  expect(refusal(text.replace(/"sealed": "(.)/, (_, first) => `"sealed": "${first === 'A' ? 'B' : 'A'}`))).toContain(
    'does not open',
  );
  expect(openVault(deps, join(path, 'not-there'), secret)).toMatchObject({ ok: false });
});

test('a key that does not match its check value makes the vault damaged, not silently wrong', async () => {
  const { path } = await makeVault();
  const opened = unsealText('simpul-1 vault', secret, readFileSync(path, 'utf8'));
  if (!opened.ok) throw new Error(opened.why);
  const contents = JSON.parse(opened.text);
  const { key } = contents.masters[1];
  contents.masters[1].key = `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`;
  writeFileSync(path, sealText(randomBytes, 'simpul-1 vault', secret, JSON.stringify(contents), VAULT_COST));
  expect(openVault(deps, path, secret)).toMatchObject({ ok: false, error: expect.stringContaining('damaged') });
});

test('no key stands readable in the file', async () => {
  const { path, vault } = await makeVault();
  const text = readFileSync(path, 'utf8');
  const opened = unsealText('simpul-1 vault', secret, text);
  if (!opened.ok) throw new Error(opened.why);
  for (const { key } of JSON.parse(opened.text).masters) expect(text).not.toContain(key);
  expect(text).not.toContain(vault.caKey.export({ type: 'pkcs8', format: 'pem' }).toString().slice(30, 60));
});

test('card keys follow AN10922 from their master, and differ by card, version, purpose and issuer', async () => {
  const { path, vault } = await makeVault();
  const opened = unsealText('simpul-1 vault', secret, readFileSync(path, 'utf8'));
  if (!opened.ok) throw new Error(opened.why);
  const debit = JSON.parse(opened.text).masters.find(({ purpose }: { purpose: string }) => purpose === 'debit');
  const input = diversification(Buffer.from(UID, 'hex'), 1, 3);
  const derived = diversifier(Buffer.from(debit.key, 'hex'))(input);
  expect(Buffer.from(vault.cardKey1(UID, 3))).toEqual(Buffer.from(derived));

  const other = '04125350554c80' as CardUid;
  const versions = { keyVersion: 1, tmacKeyVersion: 1 };
  const keys = [UID, other].flatMap((uid) =>
    [PASAR, KUD].flatMap((issuer) => Object.values(vault.cardKeys(issuer, uid, versions) ?? {})),
  );
  const all = [...keys, vault.cardKey1(UID, 2), vault.tmacKey(PASAR, UID, 2) ?? Buffer.alloc(0)];
  // Both issuers share `app`, `debit` and the two `spare` keys: 2 cards × (4 + 2 issuers × 2) + 2 other versions.
  expect(new Set(all.map((key) => Buffer.from(key).toString('hex'))).size).toBe(2 * (4 + 2 * 2) + 2);
  expect(vault.tmacKey('toko' as CooperativeId, UID, 1)).toBeNull();
});

test('remembered card keys stay right when more cards come than are remembered', async () => {
  const { vault } = await makeVault();
  const first = Buffer.from(vault.tmacKey(PASAR, UID, 1) ?? []);
  for (let n = 0; n < 20_100; n++) {
    vault.tmacKey(PASAR, `04${n.toString(16).padStart(12, '0')}` as CardUid, 1);
  }
  expect(Buffer.from(vault.tmacKey(PASAR, UID, 1) ?? [])).toEqual(first);
});

test('a witness key is wrapped at rest; a changed or foreign one does not open', async () => {
  const { vault } = await makeVault();
  const { vault: stranger } = await makeVault();
  const key = randomBytes(32);
  const box = vault.wrap(key);
  expect(Buffer.from(box).includes(key)).toBe(false);
  expect(Buffer.from(vault.unwrap(box) ?? [])).toEqual(key);
  expect(stranger.unwrap(box)).toBeNull();
  for (let at = 0; at < box.length; at++) {
    const changed = Uint8Array.from(box);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(vault.unwrap(changed)).toBeNull();
  }
});

test('what is sealed to the hub opens under its own context only', async () => {
  const { vault } = await makeVault();
  const box = await seal(vault.sealingKey, 'simpul-1 witness of lapak-12', Buffer.from('satu'));
  expect(Buffer.from((await vault.openSealed('simpul-1 witness of lapak-12', box)) ?? []).toString()).toBe('satu');
  expect(await vault.openSealed('simpul-1 witness of lapak-13', box)).toBeNull();
});

test('a beacon is 4 bytes, another each slot; a receipt MAC is 16 bytes and moves with every character', async () => {
  const { vault } = await makeVault();
  const beacons = Array.from({ length: 200 }, (_, slot) => Buffer.from(vault.beacon(slot)).toString('hex'));
  expect(beacons.every((beacon) => beacon.length === 8)).toBe(true);
  expect(new Set(beacons).size).toBe(200);
  expect(vault.receiptMac('{"amount":1}')).toMatch(/^[0-9a-f]{32}$/);
  expect(vault.receiptMac('{"amount":1}')).not.toBe(vault.receiptMac('{"amount":2}'));
});
