/** At an issuing kiosk a prepared chip becomes the next member's card, and cards in use get newer keys. */
import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { makeRelay } from '../../../hub/operations/relay.ts';
import { makeService } from '../../../hub/operations/service.ts';
import type { Hub } from '../../../hub/serve.ts';
import type { Kiosk } from '../../../hub/store/registry.ts';
import type { CooperativeId, KioskName, KioskNo, OutletId } from '../../../protocol/ids.ts';
import { readStatement, STATEMENT_BYTES, STATEMENT_CONTEXT } from '../../../protocol/statement.ts';
import type { Card } from '../../town/card.ts';
import { hexUid, newChip, noReload, noTagSale, orderCard, prepareChip, quiet, relayed } from '../../town/cardstock.ts';
import { field, type Trouble } from '../../town/field.ts';
import { makePlace, removePlace, startPlace } from '../../town/town.ts';

const kiosk = (role: Kiosk['role'], no = 1): Kiosk => ({
  no: no as KioskNo,
  name: `meja-${no}` as KioskName,
  outlet: 'stall-12' as OutletId,
  serial: `0${no}`,
  sealingKey: new Uint8Array(65),
  witness: new Uint8Array(),
  role,
  offline: false,
  revoked: false,
});
const DESK = kiosk('issuing');
const MEMBER = 'tk-0001';
const TAG_ADDRESS = 'https://hub.example.org/t';

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
    reload: noReload,
    'tag-sale': noTagSale,
  });
  const serve = async (card: Card, trouble?: Trouble, at = DESK) => {
    const reader = field(card);
    reader.insert(trouble);
    const end = await relayed(relay, at, { deed: 'service', uid: hexUid(card) }, reader.transmit);
    reader.remove();
    return end;
  };
  const rotate = (version: number) => {
    newest = version;
  };
  return { hub, relay, serve, rotate };
}

async function prepared(hub: Hub): Promise<Card> {
  const card = newChip();
  expect(await prepareChip(hub, card)).toMatchObject({ ok: true });
  return card;
}

test('the chip becomes the card of the member who waited longest, ready, and the ledger knows it', async () => {
  const { hub, serve } = await town();
  const [first, second] = [orderCard(hub, MEMBER), orderCard(hub, 'ps-0001')];
  const card = await prepared(hub);
  expect(await serve(card)).toEqual({ done: 'personalise', number: first, holder: expect.any(String), left: 1 });
  const known = hub.registry.card(hexUid(card));
  expect(known).toMatchObject({ status: 'ready', member: MEMBER, issuer: 'toko', keyVersion: 1, tmacKeyVersion: 1 });
  expect(hub.registry.untold()).toEqual([]);
  expect(hub.registry.openChanges(hexUid(card))).toEqual([]);
  const keys = hub.vault.cardKeys('toko' as CooperativeId, hexUid(card), { keyVersion: 1, tmacKeyVersion: 1 });
  const held = card.memory.keys.map(({ key }) => Buffer.from(key));
  const wanted = [keys?.app, keys?.debit, keys?.spare2, keys?.credit, keys?.spare4];
  expect(held).toEqual(wanted.map((key) => Buffer.from(key ?? [])));
  expect(await serve(await prepared(hub))).toMatchObject({ number: second, left: 0 });
});

test("the statement on the card is the hub's word, for this card and to the letter", async () => {
  const { hub, serve } = await town();
  const number = orderCard(hub, MEMBER);
  const card = await prepared(hub);
  await serve(card);
  const file = card.memory.files.get(0x00);
  if (file?.kind !== 'standard') throw new Error('no statement');
  const content = Buffer.from(file.content);
  const said = content.subarray(0, STATEMENT_BYTES);
  expect(readStatement(said)).toMatchObject({ uid: hexUid(card), number, issuer: 'toko', ceiling: 200_000 });
  const x = Buffer.from(hub.vault.statementKey).toString('base64url');
  const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } });
  const holds = (bytes: Uint8Array) =>
    verify(null, Buffer.concat([Buffer.from(STATEMENT_CONTEXT), bytes]), key, content.subarray(STATEMENT_BYTES, 117));
  expect(holds(said)).toBe(true);
  for (let at = 0; at < STATEMENT_BYTES; at++) {
    expect(holds(said.map((byte, index) => (index === at ? byte ^ 1 : byte)))).toBe(false);
  }
});

test('torn at any command the card goes on at the next try, under the number it had', async () => {
  const { hub, serve } = await town();
  let commands = 0;
  for (let apdu = 0; ; apdu++) {
    const number = orderCard(hub, MEMBER);
    const card = await prepared(hub);
    const torn = await serve(card, { tear: { apdu, when: apdu % 2 === 0 ? 'after' : 'before' } });
    if ('done' in torn && torn.done !== null) break;
    commands += 1;
    expect([apdu, torn]).toEqual([apdu, { done: null, failure: 'lost', at: expect.any(String) }]);
    expect(hub.registry.card(hexUid(card))).toMatchObject({ status: 'personalising', number });
    expect([apdu, await serve(card)]).toEqual([apdu, expect.objectContaining({ done: 'personalise', number })]);
    expect(card.memory.failures).toBe(0);
    expect(hub.registry.keyHistory(hexUid(card)).every(({ proven }) => proven)).toBe(true);
    const counters = hub.registry.keyHistory(hexUid(card)).filter(({ no }) => no === 15);
    expect(counters.map(({ to }) => to)).toEqual([1]);
  }
  expect(commands).toBeGreaterThan(60);
});

test('a card whose last answer was lost is told its number again, and nothing on it changes', async () => {
  const { hub, serve } = await town();
  const number = orderCard(hub, MEMBER);
  const card = await prepared(hub);
  await serve(card);
  const before = structuredClone(card.memory.files);
  expect(await serve(card)).toMatchObject({ done: 'personalise', number, left: 0 });
  expect(structuredClone(card.memory.files)).toEqual(before);
});

test('a chip from the box, a chip without an order, a kiosk that sells: each is refused in its own words', async () => {
  const { hub, serve } = await town();
  expect(await serve(newChip())).toMatchObject({ refusal: 'card-not-prepared' });
  const card = await prepared(hub);
  expect(await serve(card)).toMatchObject({ refusal: 'nothing-to-issue' });
  orderCard(hub, MEMBER);
  expect(await serve(card, undefined, kiosk('stall'))).toMatchObject({ refusal: 'not-allowed', alarm: 'role-foreign' });
  expect(hub.registry.card(hexUid(card))).toBeUndefined();
});

test('a copy that tells factory keys under a known UID gets nothing written, and no key is tried on it', async () => {
  const { hub, serve } = await town();
  orderCard(hub, MEMBER);
  const card = await prepared(hub);
  const copy = newChip();
  copy.memory.uid.set(card.memory.uid);
  expect(await serve(copy)).toEqual({ done: null, failure: 'not-prepared', at: 'key 0' });
  expect(copy.memory.keys.every(({ version }) => version === 0)).toBe(true);
});

test('a request that comes twice gets the same answer, and the card is asked nothing new', async () => {
  const { hub, relay } = await town();
  orderCard(hub, MEMBER);
  const card = await prepared(hub);
  const talk = 'aabbccddeeff0011';
  const start = { talk, turn: 0 as const, start: { deed: 'service' as const, uid: hexUid(card) } };
  const first = await relay({ kiosk: DESK, body: start, hash: '' });
  expect(await relay({ kiosk: DESK, body: start, hash: '' })).toEqual(first);
  const next = { talk, turn: 1, responses: ['9000'] };
  const second = await relay({ kiosk: DESK, body: next, hash: '' });
  expect(second).not.toEqual(first);
  expect(await relay({ kiosk: DESK, body: next, hash: '' })).toEqual(second);
  for (const body of [
    { ...next, turn: 3 },
    { ...next, talk: '00'.repeat(8) },
  ]) {
    expect(await relay({ kiosk: DESK, body, hash: '' })).toMatchObject({ refusal: 'talk-lost' });
  }
  expect(await relay({ kiosk: kiosk('issuing', 2), body: next, hash: '' })).toMatchObject({ refusal: 'talk-lost' });
  const last = { talk, turn: 2, responses: [''] };
  expect(await relay({ kiosk: DESK, body: last, hash: '' })).toMatchObject({ body: expect.stringContaining('"end"') });
  const beyond = { talk, turn: 3, responses: ['9000'] };
  expect(await relay({ kiosk: DESK, body: beyond, hash: '' })).toMatchObject({ refusal: 'talk-lost' });
});

test('responses that no card gave end the conversation and leave the card to be tried again', async () => {
  const { hub, relay, serve } = await town();
  orderCard(hub, MEMBER);
  const card = await prepared(hub);
  const start = { deed: 'service' as const, uid: hexUid(card) };
  const lies = [
    ['', 3],
    ['9000', 11],
    ['91af', 17],
    ['00'.repeat(258), 6],
  ] as const;
  for (const [lie, at] of lies) {
    const reader = field(card);
    reader.insert();
    let count = 0;
    const end = await relayed(relay, DESK, start, async (apdu) => {
      const got = await reader.transmit(apdu);
      return count++ === at ? Buffer.from(lie, 'hex') : got;
    });
    expect([lie, at, end]).toEqual([lie, at, expect.objectContaining({ done: null })]);
  }
  expect(await serve(card)).toMatchObject({ done: 'personalise' });
});

test('a card in use gets newer keys, torn at any command or not, and pays under them afterwards', async () => {
  const { hub, serve, rotate } = await town();
  const cards: Card[] = [];
  let commands = 0;
  for (let apdu = 0; ; apdu++) {
    rotate(1);
    orderCard(hub, MEMBER);
    const card = await prepared(hub);
    await serve(card);
    const uid = hexUid(card);
    const ready = hub.registry.card(uid);
    if (ready === undefined) throw new Error('no card was made');
    hub.registry.putCard({ ...ready, status: 'active' });
    expect(await serve(card)).toEqual({ done: 'sound', number: ready.number });
    rotate(2);
    const torn = await serve(card, { tear: { apdu, when: apdu % 2 === 0 ? 'after' : 'before' } });
    cards.push(card);
    if ('done' in torn && torn.done !== null) break;
    commands += 1;
    expect(hub.registry.card(uid)).toMatchObject({ status: 'active', keyVersion: 1 });
    expect([apdu, await serve(card)]).toEqual([apdu, { done: 'renewed', number: ready.number }]);
  }
  expect(commands).toBeGreaterThan(20);
  for (const card of cards) {
    const uid = hexUid(card);
    expect(card.memory.keys.map(({ version }) => version)).toEqual([2, 2, 2, 2, 2]);
    expect(card.memory.failures).toBe(0);
    expect(hub.registry.card(uid)).toMatchObject({ keyVersion: 2 });
    expect(hub.registry.openChanges(uid)).toEqual([]);
    expect(Buffer.from(card.memory.keys[1]?.key ?? [])).toEqual(Buffer.from(hub.vault.cardKey1(uid, 2)));
  }
});

test('a card that tells keys of a version long past gets no newer ones', async () => {
  const { hub, serve, rotate } = await town();
  orderCard(hub, MEMBER);
  const card = await prepared(hub);
  await serve(card);
  const uid = hexUid(card);
  const before = structuredClone(card.memory.keys);
  const ready = hub.registry.card(uid);
  if (ready === undefined) throw new Error('no card was made');
  hub.registry.putCard({ ...ready, status: 'active' });
  rotate(2);
  expect(await serve(card)).toMatchObject({ done: 'renewed' });
  rotate(3);
  card.memory.keys.splice(0, 5, ...before);
  expect(await serve(card)).toEqual({ done: null, failure: 'other-version', at: 'key 0' });
  expect(structuredClone(card.memory.keys)).toEqual(before);
});
