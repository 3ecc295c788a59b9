/** What the vault does with keys that never leave it: rings, SUN keys, deeds, boxes for kiosks, signed statements. */
import { createDecipheriv, createHmac, createPublicKey, randomBytes, verify } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Compile } from 'typebox/compile';
import { beforeAll, expect, test } from 'vitest';
import { diversification, diversifier } from '../../cards/diversify.ts';
import { type Deed, parseRecord, parseTmri } from '../../cards/record.ts';
import { sealText, unsealText } from '../../hub/sealedfile.ts';
import { createVault, openVault, type Vault } from '../../hub/vault.ts';
import type { CardUid, CooperativeId, KioskNo } from '../../protocol/ids.ts';
import { DebitMasters, MasterBox, masterBoxContext } from '../../protocol/masterbox.ts';
import { temporary, VAULT_COST } from './world.ts';

const deps = { random: randomBytes };
const secret = Buffer.from('kopi tubruk');
const PASAR = 'pasar' as CooperativeId;
const KUD = 'kud' as CooperativeId;
const UID = '04115350554c80' as CardUid;
const OTHER = '04125350554c80' as CardUid;
const KIOSK = 12 as KioskNo;

interface Row {
  readonly purpose: string;
  readonly issuer: string;
  readonly from: number;
  readonly key: string;
  readonly check: string;
}

interface Opened {
  readonly vault: Vault;
  readonly contents: { readonly masters: Row[]; readonly secrets: Row[] };
  /** The same vault with more masters in it. */
  readonly withMasters: (rows: Row[]) => Vault;
}

async function makeVault(directory: string): Promise<Opened> {
  const path = join(directory, 'vault.json');
  await createVault(deps, path, secret, [PASAR, KUD], VAULT_COST);
  const file = unsealText('simpul-1 vault', secret, readFileSync(path, 'utf8'));
  if (!file.ok) throw new Error(file.why);
  const contents = JSON.parse(file.text);
  const open = () => {
    const opened = openVault(deps, path, secret);
    if (!opened.ok) throw new Error(opened.error);
    return opened.vault;
  };
  const withMasters = (rows: Row[]) => {
    const text = JSON.stringify({ ...contents, masters: [...contents.masters, ...rows] });
    writeFileSync(path, sealText(randomBytes, 'simpul-1 vault', secret, text, VAULT_COST));
    return open();
  };
  return { vault: open(), contents, withMasters };
}

const hex = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes ?? []).toString('hex');
const keyOf = ({ contents }: Opened, kind: 'masters' | 'secrets', purpose: string) => {
  const key = contents[kind].find((row) => row.purpose === purpose)?.key;
  if (key === undefined) throw new Error(`no ${purpose}`);
  return Buffer.from(key, 'hex');
};

let opened: Opened;
let vault: Vault;

beforeAll(async () => {
  let clean = () => {};
  opened = await makeVault(
    temporary((run) => {
      clean = () => void run();
    }),
  );
  ({ vault } = opened);
  return () => clean();
});

test('a ring holds the five keys that the card is given, each from its own master and number', () => {
  const ring = vault.keyring(PASAR, UID);
  const keys = vault.cardKeys(PASAR, UID, { keyVersion: 3, tmacKeyVersion: 1 });
  expect([0, 1, 2, 3, 4].map((no) => hex(ring(no, 3)))).toEqual(
    [keys?.app, keys?.debit, keys?.spare2, keys?.credit, keys?.spare4].map(hex),
  );
  const spare = diversifier(keyOf(opened, 'masters', 'spare'));
  expect(hex(ring(2, 3))).toBe(hex(spare(diversification(Buffer.from(UID, 'hex'), 2, 3))));
  expect(hex(ring(4, 3))).toBe(hex(spare(diversification(Buffer.from(UID, 'hex'), 4, 3))));
  expect(hex(ring(1, 3))).toBe(hex(vault.cardKey1(UID, 3)));
  const all = [UID, OTHER].flatMap((uid) =>
    [1, 2].flatMap((version) => [0, 1, 2, 3, 4].map((no) => hex(vault.keyring(PASAR, uid)(no, version)))),
  );
  expect(all.every((key) => key.length === 32)).toBe(true);
  expect(new Set(all).size).toBe(20);
});

test('a ring holds the master key of an EV2 or EV3, of key 0’s master under a number that no other key has', () => {
  const app = diversifier(keyOf(opened, 'masters', 'app'));
  const own = vault.keyring(PASAR, UID)(0x10, 3);
  expect(hex(own)).toBe(hex(app(diversification(Buffer.from(UID, 'hex'), 0x10, 3))));
  const others = [0, 1, 2, 3, 4].map((no) => hex(vault.keyring(PASAR, UID)(no, 3)));
  expect([...others, hex(vault.tmacKey(PASAR, UID, 3))]).not.toContain(hex(own));
  expect(hex(vault.keyring('toko' as CooperativeId, UID)(0x10, 3))).toBe(hex(own));
});

test('a ring has no key for a place, version or cooperative that does not exist', () => {
  const ring = vault.keyring(PASAR, UID);
  for (const no of [-1, 5, 15, 17, 1.5]) expect(ring(no, 1)).toBeNull();
  for (const version of [0, -1, 256, 1.5, Number.NaN]) expect(ring(0, version)).toBeNull();
  const stranger = vault.keyring('toko' as CooperativeId, UID);
  expect(stranger(3, 1)).toBeNull();
  expect(vault.cardKeys('toko' as CooperativeId, UID, { keyVersion: 1, tmacKeyVersion: 1 })).toBeNull();
});

test('all tags share one meta key, made from no UID that a chip can have; each has a file key of its own', () => {
  const sun = diversifier(keyOf(opened, 'masters', 'sun'));
  const input = Buffer.concat([Buffer.alloc(7), Buffer.of(3, 0), Buffer.from('SIMPUL')]);
  expect(hex(vault.sunMetaKey(1))).toBe(hex(sun(input)));
  expect(hex(vault.sunMetaKey(200))).toBe(hex(vault.sunMetaKey(1)));
  expect(hex(vault.sunFileKey(UID, 1))).toBe(hex(sun(diversification(Buffer.from(UID, 'hex'), 2, 1))));
  const keys = [UID, OTHER].flatMap((uid) => [1, 2].map((version) => hex(vault.sunFileKey(uid, version))));
  expect(new Set([...keys, hex(vault.sunMetaKey(1)), keyOf(opened, 'masters', 'sun').toString('hex')]).size).toBe(6);
});

test("what the hub does to a card is proven with the hub's own witness key, and with nothing else", () => {
  const deed: Deed = { kind: 'drain', amount: 12_500n, kioskNo: 1, kioskSeq: 77, minute: 3_600_000 };
  const beacon = vault.beacon(21_600_003);
  const { record, tmri } = vault.signDeed(UID, deed, beacon);
  const message = Buffer.alloc(36);
  message.write('simpul-1');
  message.write(UID, 8, 'hex');
  message[15] = 4;
  message.writeUInt32BE(12_500, 16);
  message.writeUInt32BE(1, 20);
  message.writeUInt32BE(77, 24);
  message.writeUInt32BE(3_600_000, 28);
  message.set(beacon, 32);
  const proof = createHmac('sha256', keyOf(opened, 'secrets', 'witness'))
    .update(message)
    .digest();
  expect(parseRecord(record)).toMatchObject({ ...deed, proof: new Uint8Array(proof.subarray(0, 3)) });
  expect(parseTmri(tmri)).toEqual({ kioskNo: 1, kioskSeq: 77, proof: new Uint8Array(proof.subarray(0, 8)) });
  expect(() => vault.signDeed(UID, { ...deed, amount: 1n << 28n }, beacon)).toThrow(RangeError);
  expect(() => vault.signDeed(UID, deed, beacon.subarray(1))).toThrow(RangeError);
});

function openBox(box: MasterBox, key: Uint8Array, context = masterBoxContext(box.kiosk, box.version)): unknown {
  const bytes = Buffer.from(box.sealed, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(box.nonce, 'hex'));
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(bytes.subarray(-16));
  const text = Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]).toString();
  return JSON.parse(text);
}

test('a release key is an HMAC over kiosk number and version; no two are alike', () => {
  const message = Buffer.concat([Buffer.from('simpul-1 release key'), Buffer.of(0, 0, 0, 12, 3)]);
  const key = createHmac('sha256', keyOf(opened, 'secrets', 'release'))
    .update(message)
    .digest('hex');
  expect(hex(vault.releaseKey(KIOSK, 3))).toBe(key);
  const keys = [12, 13, 12 * 256].flatMap((no) => [1, 2, 3].map((at) => hex(vault.releaseKey(no as KioskNo, at))));
  expect(new Set(keys).size).toBe(9);
  expect(() => vault.releaseKey(KIOSK, 256)).toThrow(RangeError);
});

test("a kiosk's box opens with its release key of the box's version only, and gives every debit master", async () => {
  const { withMasters, contents } = await makeVault(temporary());
  const first = contents.masters.find(({ purpose }) => purpose === 'debit');
  const other = contents.masters.find(({ purpose }) => purpose === 'app');
  if (!first || !other) throw new Error('no masters');
  const grown = withMasters([{ ...other, purpose: 'debit', from: 7 }]);
  const box = grown.sealDebitMasters(KIOSK);
  expect(Compile(MasterBox).Check(JSON.parse(JSON.stringify(box)))).toBe(true);
  expect(box).toMatchObject({ kiosk: 12, version: 7 });
  const inside = openBox(box, grown.releaseKey(KIOSK, 7));
  expect(Compile(DebitMasters).Check(inside)).toBe(true);
  expect(inside).toEqual({
    v: 1,
    masters: [
      { from: 0, key: first.key },
      { from: 7, key: other.key },
    ],
  });
  expect(grown.sealDebitMasters(KIOSK).sealed).not.toBe(box.sealed);
  for (const [kiosk, version] of [
    [13, 7],
    [12, 6],
    [12, 8],
  ] as const) {
    expect(() => openBox(box, grown.releaseKey(kiosk as KioskNo, version))).toThrow();
    expect(() => openBox(box, grown.releaseKey(KIOSK, 7), masterBoxContext(kiosk, version))).toThrow();
  }
  expect(vault.sealDebitMasters(KIOSK)).toMatchObject({ kiosk: 12, version: 1 });
});

test('a card statement is signed so that whoever has the 32-byte public key can check it', () => {
  const statement = Buffer.from('card 0001 of pasar');
  const signature = vault.signStatement(statement);
  const x = Buffer.from(vault.statementKey).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  expect([vault.statementKey.length, signature.length]).toEqual([32, 64]);
  expect(verify(null, statement, key, signature)).toBe(true);
  expect(verify(null, Buffer.from('card 0002 of pasar'), key, signature)).toBe(false);
});

test('new cards get version 1 at first, and later the newest that any of their masters begins with', async () => {
  expect(vault.versions()).toEqual({
    keyVersion: 1,
    tmacKeyVersions: new Map([
      ['pasar', 1],
      ['kud', 1],
    ]),
  });
  const { withMasters, contents } = await makeVault(temporary());
  const of = (purpose: string, issuer: string, from: number) => {
    const row = contents.masters.find((master) => master.purpose === purpose && master.issuer === issuer);
    if (row === undefined) throw new Error(`no ${purpose} master of ${issuer}`);
    return { ...row, from };
  };
  const grown = withMasters([of('credit', 'kud', 5), of('sun', '-', 4), of('tmac', 'pasar', 9)]);
  expect(grown.versions().keyVersion).toBe(5);
  expect([...grown.versions().tmacKeyVersions]).toEqual([
    ['pasar', 9],
    ['kud', 1],
  ]);
});
