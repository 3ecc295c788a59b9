/** The hub as a whole, over real TLS: sales are decided, and repeated answers are the same bytes. */
import { readFileSync } from 'node:fs';
import { Compile } from 'typebox/compile';
import { expect, test } from 'vitest';
import { hubPaths } from '../../hub/config.ts';
import { makeLog, realEdges } from '../../hub/edges.ts';
import { startHub } from '../../hub/serve.ts';
import { cardKeyContext } from '../../protocol/cardkey.ts';
import type { CardUid } from '../../protocol/ids.ts';
import { SealedReceipt } from '../../protocol/receipt.ts';
import { open } from '../../protocol/sealed.ts';
import { tapRequest } from './taps.ts';
import { ask, join, publish, read } from './wire.ts';
import { openWorld } from './world.ts';

const SITI = '04115350554c80';
const BAMBANG = '04135350554c80';
const sealedReceipt = Compile(SealedReceipt);
const receiptOf = (answer: { body: Record<string, unknown> }) => answer.body.receipt as Record<string, unknown>;

test('a member of one cooperative pays at another: approved, fee 350 of 50,000, books at zero', async () => {
  const world = await openWorld();
  const kiosk = await world.enrol('lapak-12', 'stall-12');
  const wire = await join(world, kiosk);
  const request = tapRequest(world.hub, kiosk, { uid: BAMBANG, amount: 50_000, seq: 1, tmc: 5, at: Date.now() });
  const answer = await ask(wire, kiosk.name, 'purchase', request, 1);
  expect(sealedReceipt.Check(answer.body)).toBe(true);
  expect(receiptOf(answer)).toMatchObject({
    outcome: 'approved',
    reason: null,
    amount: 50_000,
    fee: 350,
    issuer: 'angkot',
  });
  expect(answer.body.mac).toBe(world.hub.vault.receiptMac(JSON.stringify(receiptOf(answer))));
  expect((await world.hub.ledger.trialBalance()).total).toBe(0n);

  const again = await ask(wire, kiosk.name, 'purchase', request, 2);
  expect(JSON.stringify(again.body)).toBe(JSON.stringify(answer.body));
  await world.restart();
  const later = await join(world, kiosk);
  const third = await ask(later, kiosk.name, 'purchase', request, 1);
  expect(JSON.stringify(third.body)).toBe(JSON.stringify(answer.body));
});

test('the same request with another body is refused and raises an alarm, a log line and a counter', async () => {
  const world = await openWorld();
  const kiosk = await world.enrol('lapak-12');
  const wire = await join(world, kiosk);
  const request = tapRequest(world.hub, kiosk, { uid: SITI, amount: 10_000, seq: 1, tmc: 5, at: Date.now() });
  await ask(wire, kiosk.name, 'purchase', request, 1);
  const answer = await ask(wire, kiosk.name, 'purchase', { ...request, amount: 20_000 }, 2);
  expect(answer).toMatchObject({ name: 'refusal', body: { code: 'body-differs' } });
  expect((await world.hub.ledger.alarms(10)).map(({ kind }) => kind)).toContain('body-differs');
  expect(world.logged.some((line) => line.includes('"alarm":"body-differs"'))).toBe(true);
  expect(await world.hub.metrics.registry.metrics()).toContain('simpul_alarms_total{kind="body-differs"} 1');
});

test('a sale asked about before it arrived is cancelled; cancelling an approved one posts its void once', async () => {
  const world = await openWorld();
  const kiosk = await world.enrol('lapak-12');
  const wire = await join(world, kiosk);
  const question = (seq: number, word: string) => ({ kiosk: kiosk.grant.kiosk, seq, kind: 'account', ask: word });
  const asked = await ask(wire, kiosk.name, 'resolve', question(1, 'resolve'), 1);
  expect(receiptOf(asked)).toMatchObject({ outcome: 'cancelled', reason: 'cancelled' });
  const late = tapRequest(world.hub, kiosk, { uid: SITI, amount: 10_000, seq: 1, tmc: 5, at: Date.now() });
  expect(receiptOf(await ask(wire, kiosk.name, 'purchase', late, 2))).toEqual(receiptOf(asked));

  const paid = tapRequest(world.hub, kiosk, { uid: BAMBANG, amount: 10_000, seq: 2, tmc: 5, at: Date.now() });
  const approved = await ask(wire, kiosk.name, 'purchase', paid, 3);
  for (const n of [4, 5]) {
    const cancelled = await ask(wire, kiosk.name, 'resolve', question(2, 'cancel'), n);
    expect(cancelled.body).toMatchObject({ voided: true, receipt: receiptOf(approved) });
  }
  expect((await world.hub.ledger.trialBalance()).entries).toBe(12 + 2);
});

test('a second hub on the same directory is refused before it touches the books, and the first goes on', async () => {
  const world = await openWorld();
  const kiosk = await world.enrol('lapak-12');
  const { config, vaultKey } = hubPaths(world.directory);
  const settings = { ...JSON.parse(readFileSync(config, 'utf8')), port: world.hub.port };
  const deps = { ...realEdges(makeLog('silent')), onFatal: () => undefined };
  const secret = readFileSync(vaultKey);
  const second = await startHub(deps, { directory: world.directory, config: settings, secret });
  expect(second).toMatchObject({ ok: false, error: expect.stringContaining('a hub serves') });
  const wire = await join(world, kiosk);
  const request = tapRequest(world.hub, kiosk, { uid: SITI, amount: 10_000, seq: 1, tmc: 5, at: Date.now() });
  expect(receiptOf(await ask(wire, kiosk.name, 'purchase', request, 1))).toMatchObject({ outcome: 'approved' });
});

test('a kiosk gets the key of an active card sealed to itself, and not of an unknown or blocked one', async () => {
  const world = await openWorld();
  const kiosk = await world.enrol('lapak-12');
  const wire = await join(world, kiosk);
  const { body } = await ask(wire, kiosk.name, 'cardkey', { uid: SITI }, 1);
  const box = Buffer.from(String(body.sealed), 'base64');
  const key = await open(kiosk.sealing.privateKey, cardKeyContext(SITI, Number(body.keyVersion)), box);
  expect(Buffer.from(key ?? [])).toEqual(Buffer.from(world.hub.vault.cardKey1(SITI as CardUid, 1)));
  const unknown = await ask(wire, kiosk.name, 'cardkey', { uid: '04ffffffffffff' }, 2);
  expect(unknown).toMatchObject({ name: 'refusal', body: { code: 'card-unknown' } });
  const card = world.hub.registry.card(BAMBANG as CardUid);
  if (card !== undefined) world.hub.registry.putCard({ ...card, status: 'frozen' });
  const blocked = await ask(wire, kiosk.name, 'cardkey', { uid: BAMBANG }, 3);
  expect(blocked).toMatchObject({ name: 'refusal', body: { code: 'card-blocked' } });
});

test('beacon and hub state are there at once for a kiosk that subscribes, and the hub says goodbye', async () => {
  const world = await openWorld();
  const kiosk = await world.enrol('lapak-12');
  const wire = await join(world, kiosk);
  const beacon = await wire.find((packet) => packet.cmd === 'publish' && packet.topic === 'simpul/v1/hub/beacon');
  const { slot, value } = read(beacon).body;
  expect(value).toBe(Buffer.from(world.hub.vault.beacon(Number(slot))).toString('hex'));
  await wire.find((packet) => packet.cmd === 'publish' && read(packet).body.online === true);
  await world.hub.close();
  await wire.find((packet) => packet.cmd === 'publish' && read(packet).body.online === false);
  await world.restart();
});

test('messages of one connection are counted: a hole is seen', async () => {
  const world = await openWorld();
  const kiosk = await world.enrol('lapak-12');
  const wire = await join(world, kiosk);
  await ask(wire, kiosk.name, 'cardkey', { uid: SITI }, 1);
  await ask(wire, kiosk.name, 'cardkey', { uid: SITI }, 4);
  expect(await world.hub.metrics.registry.metrics()).toContain('simpul_missing_messages_total 2');
});

test('questions and the sales they overtake, sent in one breath, are posted as they were said', async () => {
  const world = await openWorld();
  const kiosk = await world.enrol('lapak-12');
  const wire = await join(world, kiosk);
  // Each is the last word on its number: the first asks, the second would pay; only order decides.
  const topic = (conversation: string) => `simpul/v1/${kiosk.name}/up/${conversation}`;
  const say = (conversation: string, n: number, body: unknown) =>
    publish(wire, topic(conversation), JSON.stringify({ v: 1, id: `m${n}`, at: 0, n, body }), { messageId: n });
  for (let pair = 0; pair < 20; pair++) {
    const seq = pair + 1;
    const at = Date.now();
    say('resolve', 2 * pair + 1, { kiosk: kiosk.grant.kiosk, seq, kind: 'account', ask: 'resolve' });
    say('purchase', 2 * pair + 2, tapRequest(world.hub, kiosk, { uid: SITI, amount: 1, seq, tmc: 5 + pair, at }));
  }
  const last = await wire.find((packet) => packet.cmd === 'publish' && read(packet).replyTo === 'm40');
  expect(receiptOf(read(last)).outcome).toBe('cancelled');
  const outcomes = wire.packets.map((packet) => receiptOf(read(packet))?.outcome).filter((outcome) => outcome);
  expect(new Set(outcomes)).toEqual(new Set(['cancelled']));
});
