/** An issuing kiosk in wrong hands uses up no order, and hands out no card that an officer has ended. */
import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { makeRelay } from '../../../hub/operations/relay.ts';
import { makeService } from '../../../hub/operations/service.ts';
import type { Kiosk } from '../../../hub/store/registry.ts';
import type { KioskName, KioskNo, OutletId } from '../../../protocol/ids.ts';
import type { Card } from '../../town/card.ts';
import { hexUid, newChip, noReload, noTagSale, orderCard, prepareChip, quiet, relayed } from '../../town/cardstock.ts';
import { field } from '../../town/field.ts';
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

async function town() {
  const place = await makePlace();
  onTestFinished(() => removePlace(place));
  const hub = await startPlace(place);
  onTestFinished(() => hub.close());
  const service = makeService({
    ...hub,
    ...(await quiet(hub)),
    random: randomBytes,
    now: Date.now,
    tagAddress: TAG_ADDRESS,
  });
  const relay = makeRelay({ service, reload: noReload, 'tag-sale': noTagSale });
  const serve = async (card: Card, uid = hexUid(card), meanwhile = () => {}) => {
    const reader = field(card);
    reader.insert();
    const end = await relayed(relay, DESK, { deed: 'service', uid }, (apdu) => {
      meanwhile();
      return reader.transmit(apdu);
    });
    reader.remove();
    return end;
  };
  const prepared = async () => {
    const card = newChip();
    expect(await prepareChip(hub, card)).toMatchObject({ ok: true });
    return card;
  };
  return { hub, relay, serve, prepared };
}

test('a copy of the UID of a chip in the box uses up no order, and the chip itself still becomes a card', async () => {
  const { hub, serve, prepared } = await town();
  const number = orderCard(hub, 'tk-0001');
  const inTheBox = await prepared();
  const copy = newChip();
  copy.memory.uid.set(inTheBox.memory.uid);
  for (const key of copy.memory.keys) key.version = 1;
  expect(await serve(copy)).toMatchObject({ done: null, failure: 'wrong-key' });
  expect(hub.registry.card(hexUid(inTheBox))).toBeUndefined();
  const another = await prepared();
  expect(await serve(another)).toMatchObject({ done: 'personalise', number });
  const second = orderCard(hub, 'ps-0001');
  expect(await serve(inTheBox)).toMatchObject({ done: 'personalise', number: second });
});

test('a kiosk that answers for chips that are not there leaves every order to those who wait', async () => {
  const { hub, relay, prepared } = await town();
  for (const member of ['tk-0001', 'ps-0001']) orderCard(hub, member);
  for (const answer of ['', '9000', '019100', `${'5a'.repeat(16)}91af`]) {
    const uid = hexUid(await prepared());
    const end = await relayed(relay, DESK, { deed: 'service', uid }, async () => Buffer.from(answer, 'hex'));
    expect(end).toMatchObject({ done: null });
    expect(hub.registry.card(uid)).toBeUndefined();
  }
  expect(hub.registry.waiting()).toBe(2);
});

test('a card that an officer ended while it was made is not told as made', async () => {
  const { hub, serve, prepared } = await town();
  orderCard(hub, 'tk-0001');
  const card = await prepared();
  const end = await serve(card, hexUid(card), () => {
    const made = hub.registry.card(hexUid(card));
    if (made?.status === 'personalising') hub.registry.putCard({ ...made, status: 'retired' });
  });
  expect(end).toEqual({ done: null, failure: 'refused', at: 'ended by an officer' });
  expect(hub.registry.card(hexUid(card))).toMatchObject({ status: 'retired' });
});

test("a chip whose key 0 has a version beyond the vault's newest becomes a card like any other", async () => {
  const { hub, serve } = await town();
  const number = orderCard(hub, 'tk-0001');
  const card = newChip();
  const versions = () => ({ ...hub.vault.versions(), keyVersion: 3 });
  expect(await prepareChip({ ...hub, vault: { ...hub.vault, versions } }, card)).toMatchObject({ ok: true });
  expect(await serve(card)).toMatchObject({ done: 'personalise', number });
  const ready = hub.registry.card(hexUid(card));
  if (ready === undefined) throw new Error('no card was made');
  hub.registry.putCard({ ...ready, status: 'active' });
  expect(await serve(card)).toEqual({ done: 'sound', number });
  expect(card.memory.keys.map(({ version }) => version)).toEqual([3, 3, 3, 3, 3]);
  expect(Buffer.from(card.memory.keys[1]?.key ?? [])).toEqual(Buffer.from(hub.vault.cardKey1(hexUid(card), 3)));
});
