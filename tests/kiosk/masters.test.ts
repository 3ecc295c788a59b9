/** A kiosk's debit masters open by the hub's word alone, live in memory, and are lost with the power. */
import { createCipheriv, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { diversification, diversifier } from '../../cards/diversify.ts';
import { boxPath, makeMasters } from '../../kiosk/masters.ts';
import { type HelloAnswer, type HelloRequest, releaseContext } from '../../protocol/hello.ts';
import type { KioskNo } from '../../protocol/ids.ts';
import { type MasterBox, masterBoxContext } from '../../protocol/masterbox.ts';
import { seal } from '../../protocol/sealed.ts';
import { makeFolder } from './enrolled.ts';

const NO = 7 as KioskNo;
const UID = '04a1b2c3d4e5f6';
const old = randomBytes(16);
const newer = randomBytes(16);
const releaseKey = randomBytes(32);

/** As the hub seals it, written once more. */
function boxOf(version: number, kiosk = NO, inside: object = ours): MasterBox {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', releaseKey, nonce);
  cipher.setAAD(Buffer.from(masterBoxContext(kiosk, version)));
  const box = Buffer.concat([cipher.update(JSON.stringify(inside)), cipher.final(), cipher.getAuthTag()]);
  return { v: 1, kiosk, version, nonce: nonce.toString('hex'), sealed: box.toString('base64') };
}
const ours = {
  v: 1,
  masters: [
    { from: 0, key: old.toString('hex') },
    { from: 3, key: newer.toString('hex') },
  ],
};

async function answer(asked: HelloRequest, version: number, box: MasterBox | null, key = releaseKey) {
  const release = await seal(Buffer.from(asked.key, 'base64'), releaseContext(NO, version), key);
  return { version, release: Buffer.from(release).toString('base64'), box } satisfies HelloAnswer;
}

const keyOf = (master: Uint8Array, version: number) =>
  diversifier(master)(diversification(Buffer.from(UID, 'hex'), 1, version));

function folder(): string {
  const { dir, remove } = makeFolder();
  onTestFinished(remove);
  return dir;
}

test('the masters open with the box and the key of one hello, each version by its own master', async () => {
  const dir = folder();
  const masters = makeMasters(dir, NO);
  const asked = await masters.ask();
  expect(asked.box).toBe(0);
  expect(masters.key1(UID, 1)).toBeNull();
  expect(await masters.accept(await answer(asked, 3, boxOf(3)))).toBeNull();
  expect([1, 2, 3, 254].map((version) => masters.key1(UID, version))).toEqual([
    keyOf(old, 1),
    keyOf(old, 2),
    keyOf(newer, 3),
    keyOf(newer, 254),
  ]);
  // 255 is the version of cards that have ended.
  expect([0, 255, 256].map((version) => masters.key1(UID, version))).toEqual([null, null, null]);
  masters.forget();
  expect(masters.key1(UID, 1)).toBeNull();
});

test('after a power cut the box on the disk is closed until the hub is met, and need not be sent again', async () => {
  const dir = folder();
  const first = makeMasters(dir, NO);
  await first.accept(await answer(await first.ask(), 3, boxOf(3)));
  const again = makeMasters(dir, NO);
  expect(again.key1(UID, 1)).toBeNull();
  const asked = await again.ask();
  expect(asked.box).toBe(3);
  expect(await again.accept(await answer(asked, 3, null))).toBeNull();
  expect(again.key1(UID, 1)).toEqual(keyOf(old, 1));
});

test('neither a master nor the release key is in the file, and its box opens under no other key', async () => {
  const dir = folder();
  const masters = makeMasters(dir, NO);
  await masters.accept(await answer(await masters.ask(), 3, boxOf(3)));
  const text = readFileSync(boxPath(dir), 'utf8');
  for (const secret of [old, newer, releaseKey]) {
    for (const spelling of ['hex', 'base64', 'base64url'] as const)
      expect(text).not.toContain(secret.toString(spelling));
  }
  const again = makeMasters(dir, NO);
  expect(await again.accept(await answer(await again.ask(), 3, null, randomBytes(32)))).toMatch(/does not open/);
  expect(again.key1(UID, 1)).toBeNull();
});

test("another kiosk's box, another version's, a damaged one and a stranger's answer open nothing", async () => {
  const dir = folder();
  const masters = makeMasters(dir, NO);
  const wrong: [MasterBox | null, RegExp][] = [
    [boxOf(3, 8 as KioskNo), /does not open/],
    [{ ...boxOf(3, 8 as KioskNo), kiosk: NO }, /does not open/],
    [{ ...boxOf(2), version: 3 }, /does not open/],
    [boxOf(2), /no box of version 3/],
    [{ ...boxOf(3), sealed: 'AAAA' }, /does not open/],
    [boxOf(3, NO, { v: 1, masters: [] }), /does not open/],
    [null, /no box/],
  ];
  for (const [box, why] of wrong) expect(await masters.accept(await answer(await masters.ask(), 3, box))).toMatch(why);
  const before = await masters.ask();
  await masters.ask();
  expect(await masters.accept(await answer(before, 3, boxOf(3)))).toMatch(/not sealed to what was asked/);
  expect(masters.key1(UID, 1)).toBeNull();
});

test('an answer that nobody asked for, or that comes twice, is passed over', async () => {
  const masters = makeMasters(folder(), NO);
  const asked = await masters.ask();
  const once = await answer(asked, 3, boxOf(3));
  expect(await makeMasters(folder(), NO).accept(once)).toBe('nothing was asked');
  expect(await masters.accept(once)).toBeNull();
  expect(await masters.accept(once)).toBe('nothing was asked');
  expect(masters.key1(UID, 1)).not.toBeNull();
});

test('a file that is no box is asked for anew', async () => {
  const dir = folder();
  for (const text of ['no JSON', '{"v":1}', JSON.stringify(boxOf(3, 8 as KioskNo))]) {
    writeFileSync(boxPath(dir), text);
    expect((await makeMasters(dir, NO).ask()).box).toBe(0);
  }
});
