/** At an issuing kiosk a prepared EV3 becomes the next member's card as a Light does, and later gets newer keys. */
import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { makeRelay } from '../../../hub/operations/relay.ts';
import { makeService } from '../../../hub/operations/service.ts';
import type { Hub } from '../../../hub/serve.ts';
import type { Kiosk } from '../../../hub/store/registry.ts';
import type { CooperativeId, KioskName, KioskNo, OutletId } from '../../../protocol/ids.ts';
import type { CardMemory } from '../../town/cardfiles.ts';
import {
  hexUid,
  newChip,
  newDesfire,
  noReload,
  noTagSale,
  orderCard,
  prepareChip,
  quiet,
  relayed,
} from '../../town/cardstock.ts';
import type { DesfireCard } from '../../town/desfire.ts';
import { field, type Trouble } from '../../town/field.ts';
import { TAG_ADDRESS } from '../../town/tags.ts';
import { makePlace, removePlace, startPlace } from '../../town/town.ts';

const DESK: Kiosk = {
  no: 1 as KioskNo,
  name: 'meja-1' as KioskName,
  outlet: 'stall-12' as OutletId,
  serial: '01',
  sealingKey: new Uint8Array(65),
  witness: new Uint8Array(),
  role: 'issuing',
  offline: false,
  revoked: false,
};
const MEMBER = 'tk-0001';

async function town() {
  const place = await makePlace();
  onTestFinished(() => removePlace(place));
  const hub = await startPlace(place);
  onTestFinished(() => hub.close());
  let newest = 1;
  const versions = () => ({ ...hub.vault.versions(), keyVersion: newest });
  const vault = { ...hub.vault, versions };
  const relay = makeRelay({
    service: makeService({
      ...hub,
      ...(await quiet(hub)),
      vault,
      random: randomBytes,
      now: Date.now,
      tagAddress: TAG_ADDRESS,
    }),
    'tag-sale': noTagSale,
    reload: noReload,
  });
  const serve = async (card: DesfireCard, trouble?: Trouble) => {
    const reader = field(card);
    reader.insert(trouble);
    const end = await relayed(relay, DESK, { deed: 'service', uid: hexUid(card) }, reader.transmit);
    reader.remove();
    return end;
  };
  const rotate = (version: number) => {
    newest = version;
  };
  return { hub, serve, rotate };
}

async function prepared(hub: Hub): Promise<DesfireCard> {
  const card = newDesfire();
  expect(await prepareChip(hub, card, undefined, 'desfire-ev')).toMatchObject({ ok: true });
  return card;
}

function application({ applications }: DesfireCard): CardMemory {
  const [made] = applications.values();
  if (made === undefined) throw new Error('no application');
  return made;
}

const keysOf = (hub: Hub, card: DesfireCard, keyVersion: number) => {
  const keys = hub.vault.cardKeys('toko' as CooperativeId, hexUid(card), { keyVersion, tmacKeyVersion: 1 });
  return [keys?.app, keys?.debit, keys?.spare2, keys?.credit, keys?.spare4].map((key) => Buffer.from(key ?? []));
};
const held = (card: DesfireCard) => application(card).keys.map(({ key }) => Buffer.from(key));

test('it becomes the card of the member who waited longest, with all keys and files, and says what it is', async () => {
  const { hub, serve } = await town();
  const number = orderCard(hub, MEMBER);
  const card = await prepared(hub);
  expect(await serve(card)).toEqual({ done: 'personalise', number, holder: expect.any(String), left: 0 });
  expect(hub.registry.card(hexUid(card))).toMatchObject({ status: 'ready', member: MEMBER, keyVersion: 1 });
  expect(hub.registry.openChanges(hexUid(card))).toEqual([]);
  expect(held(card)).toEqual(keysOf(hub, card, 1));
  const { files } = application(card);
  expect([...files.keys()].sort((a, b) => a - b)).toEqual([0x00, 0x01, 0x03, 0x04, 0x0f, 0x1f]);
  expect(files.get(0x03)).toMatchObject({ lower: 0, upper: 200_000, value: 0 });
  expect(files.get(0x0f)).toMatchObject({ tmc: 4, keyVersion: 1 });
  const profile = files.get(0x1f);
  expect(profile?.kind === 'standard' && [...profile.content.slice(0, 4)]).toEqual([1, 2, 1, 0]);
});

test('torn at any command it goes on at the next try, under the number it had', async () => {
  const { hub, serve } = await town();
  let commands = 0;
  for (let apdu = 0; ; apdu++) {
    const number = orderCard(hub, MEMBER);
    const card = await prepared(hub);
    const torn = await serve(card, { tear: { apdu, when: apdu % 2 === 0 ? 'after' : 'before' } });
    if ('done' in torn && torn.done !== null) break;
    commands += 1;
    expect([apdu, torn]).toEqual([apdu, { done: null, failure: 'lost', at: expect.any(String) }]);
    expect([apdu, await serve(card)]).toEqual([apdu, expect.objectContaining({ done: 'personalise', number })]);
    expect(application(card).failures).toBe(0);
    expect(hub.registry.keyHistory(hexUid(card)).every(({ proven }) => proven)).toBe(true);
  }
  expect(commands).toBeGreaterThan(60);
});

test('in use it gets newer keys; its own master key stays the one it was prepared with', async () => {
  const { hub, serve, rotate } = await town();
  orderCard(hub, MEMBER);
  const card = await prepared(hub);
  await serve(card);
  const known = hub.registry.card(hexUid(card));
  if (known === undefined) throw new Error('no card was made');
  hub.registry.putCard({ ...known, status: 'active' });
  expect(await serve(card)).toEqual({ done: 'sound', number: known.number });
  rotate(2);
  expect(await serve(card)).toEqual({ done: 'renewed', number: known.number });
  expect(held(card)).toEqual(keysOf(hub, card, 2));
  card.reset();
  expect(card.memory.keys.map(({ version }) => version)).toEqual([1]);
  expect(hub.registry.card(hexUid(card))).toMatchObject({ keyVersion: 2 });
});

test('files that somebody else made on it keep it from becoming a card, and the kiosk is told why', async () => {
  const { hub, serve } = await town();
  orderCard(hub, MEMBER);
  const card = await prepared(hub);
  application(card).files.set(0x07, {
    kind: 'standard',
    access: [0xee, 0xee],
    mode: 'plain',
    content: new Uint8Array(8),
  });
  expect(await serve(card)).toEqual({ done: null, failure: 'other-files', at: 'file 7' });
});

test('a Light that lies there in its place, under its UID, is not taken for it', async () => {
  const { hub, serve } = await town();
  orderCard(hub, MEMBER);
  const card = await prepared(hub);
  const light = newChip();
  light.memory.uid.set(card.memory.uid);
  const copy = Object.assign(light, { applications: new Map() });
  expect(await serve(copy)).toEqual({ done: null, failure: 'not-prepared', at: 'key 0' });
});
