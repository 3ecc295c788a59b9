/** At an issuing kiosk a prepared NTAG 424 becomes a member's card, and gets newer keys, torn anywhere or not. */
import { expect, onTestFinished, test } from 'vitest';
import { TAG_KEY_NO } from '../../../cards/layout.ts';
import type { Hub } from '../../../hub/serve.ts';
import type { CooperativeId } from '../../../protocol/ids.ts';
import type { Card } from '../../town/card.ts';
import { hexUid, newTag, orderCard, prepareChip } from '../../town/cardstock.ts';
import type { Trouble } from '../../town/field.ts';
import { ledgerFile } from '../../town/ledgerfile.ts';
import { readAddress } from '../../town/phone.ts';
import { serving, TAG_ADDRESS } from '../../town/tags.ts';
import { makePlace, removePlace, startPlace } from '../../town/town.ts';

const TOKO = 'toko' as CooperativeId;
const MEMBER = 'tk-0001';

async function town() {
  const place = await makePlace();
  onTestFinished(() => removePlace(place));
  const hub = await startPlace(place);
  onTestFinished(() => hub.close());
  let newest = 1;
  const vault = { ...hub.vault, versions: () => ({ ...hub.vault.versions(), keyVersion: newest }) };
  const serve = (card: Card, trouble?: Trouble) => serving({ ...hub, vault }, card, trouble);
  const rotate = (version: number) => {
    newest = version;
  };
  return { hub, serve, rotate, ledger: ledgerFile(place) };
}

async function prepared(hub: Hub): Promise<Card> {
  const tag = newTag();
  expect(await prepareChip(hub, tag, {}, 'ntag424')).toMatchObject({ ok: true });
  return tag;
}

/** Each key from the master that it should come from, asked for on other ways than the ring. */
function expectKeys(hub: Hub, tag: Card, version: number): void {
  const uid = hexUid(tag);
  const light = hub.vault.cardKeys(TOKO, uid, { keyVersion: version, tmacKeyVersion: 1 });
  if (light === null) throw new Error('no keys of toko');
  const held = tag.memory.keys.map(({ key, version }) => [version, Buffer.from(key).toString('hex')]);
  const hex = (key: Uint8Array) => [version, Buffer.from(key).toString('hex')];
  expect(held).toMatchObject([
    hex(light.app),
    [version, expect.any(String)],
    hex(hub.vault.sunFileKey(uid, version)),
    hex(hub.vault.sunMetaKey(version)),
    hex(light.spare4),
  ]);
  const pay = Buffer.from(tag.memory.keys[TAG_KEY_NO.pay]?.key ?? []).toString('hex');
  const others = [light.debit, light.credit, light.app, light.spare2, new Uint8Array(16)];
  expect(others.map((key) => Buffer.from(key).toString('hex'))).not.toContain(pay);
  expect(pay).toBe(Buffer.from(hub.vault.tagKeyring(TOKO, uid)(TAG_KEY_NO.pay, version) ?? []).toString('hex'));
  expect(pay).not.toBe(
    Buffer.from(hub.vault.tagKeyring('pasar' as CooperativeId, uid)(1, version) ?? []).toString('hex'),
  );
}

test('a tag becomes the card of the member who ordered, under keys of which no kiosk ever gets one', async () => {
  const { hub, serve, ledger } = await town();
  const number = orderCard(hub, MEMBER);
  const tag = await prepared(hub);
  expect(await serve(tag)).toEqual({ done: 'personalise', number, holder: expect.any(String), left: 0 });
  expect(hub.registry.card(hexUid(tag))).toMatchObject({ status: 'ready', member: MEMBER, issuer: 'toko' });
  expect(hub.registry.chip(hexUid(tag))).toMatchObject({ profile: 'ntag424', keyVersion: 1 });
  expect(hub.registry.openChanges(hexUid(tag))).toEqual([]);
  // It has no counter file, and so no version of its key was given.
  expect(hub.registry.keyHistory(hexUid(tag)).map(({ no }) => no)).toEqual([0, 1, 2, 3, 4]);
  expect(ledger.cardStatus(hexUid(tag))).toBe('ready');
  expectKeys(hub, tag, 1);
  expect(readAddress(tag)).toMatch(new RegExp(`^${TAG_ADDRESS}\\?p=[0-9A-F]{32}&m=[0-9A-F]{16}$`));
  expect(await serve(tag)).toMatchObject({ done: 'personalise', number });
});

test('torn at any command a tag goes on at the next try, and no key is tried in vain', async () => {
  const { hub, serve } = await town();
  let commands = 0;
  for (let apdu = 0; ; apdu += 1) {
    const number = orderCard(hub, MEMBER);
    const tag = await prepared(hub);
    const torn = await serve(tag, { tear: { apdu, when: apdu % 2 === 0 ? 'after' : 'before' } });
    if ('done' in torn && torn.done !== null) break;
    commands += 1;
    expect([apdu, await serve(tag)]).toEqual([apdu, expect.objectContaining({ done: 'personalise', number })]);
    expect(tag.memory.failures).toBe(0);
  }
  expect(commands).toBeGreaterThan(30);
});

test('a tag in use gets newer keys, torn in the middle or not', async () => {
  const { hub, serve, rotate } = await town();
  for (const apdu of [null, 3, 10, 15, 20]) {
    rotate(1);
    orderCard(hub, MEMBER);
    const tag = await prepared(hub);
    await serve(tag);
    const uid = hexUid(tag);
    const ready = hub.registry.card(uid);
    if (ready === undefined) throw new Error('no card was made');
    hub.registry.putCard({ ...ready, status: 'active' });
    expect(await serve(tag)).toEqual({ done: 'sound', number: ready.number });
    rotate(2);
    if (apdu !== null) {
      expect(await serve(tag, { tear: { apdu, when: 'after' } })).toMatchObject({ done: null, failure: 'lost' });
    }
    expect(await serve(tag)).toEqual({ done: 'renewed', number: ready.number });
    expectKeys(hub, tag, 2);
    expect(tag.memory.failures).toBe(0);
  }
});
