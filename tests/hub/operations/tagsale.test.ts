/** A tag pays only by proving its key to the hub now: for the amount that was bound before, once, and within limits. */
import { randomBytes } from 'node:crypto';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { play } from '../../../cards/script.ts';
import { startTagPayment, verifyTranscript } from '../../../cards/tagpayment.ts';
import { makeAlarms } from '../../../hub/alarms.ts';
import { hubPaths } from '../../../hub/config.ts';
import { makeMetrics } from '../../../hub/metrics.ts';
import { makePurchase } from '../../../hub/operations/purchase.ts';
import { makeRelay } from '../../../hub/operations/relay.ts';
import { makeResolve } from '../../../hub/operations/resolve.ts';
import { makeTagSale } from '../../../hub/operations/tagsale.ts';
import { openTransit } from '../../../hub/operations/transit.ts';
import { readTagEvidence } from '../../../hub/rules/tagevidence.ts';
import type { Hub } from '../../../hub/serve.ts';
import type { Kiosk } from '../../../hub/store/registry.ts';
import type { KioskName, KioskSeq, OutletId } from '../../../protocol/ids.ts';
import type { Receipt } from '../../../protocol/receipt.ts';
import type { RelayEnd, TagSale } from '../../../protocol/relay.ts';
import type { Card } from '../../town/card.ts';
import { hexUid, noReload, type Overheard, relayed } from '../../town/cardstock.ts';
import { field, type Trouble } from '../../town/field.ts';
import { ledgerFile } from '../../town/ledgerfile.ts';
import { issuedTag, kioskOf } from '../../town/tags.ts';
import { makePlace, type Place, removePlace, startPlace } from '../../town/town.ts';
import { edges } from '../chips.ts';
import { tapRequest } from '../taps.ts';
import type { TestKiosk } from '../world.ts';

const WITNESS = randomBytes(32);

let place: Place;
let hub: Hub;
let stall: Kiosk;
let seq = 0;
let clock = Date.UTC(2026, 5, 1);

beforeAll(async () => {
  place = await makePlace();
  hub = await startPlace(place);
  const named = { ...kioskOf('stall'), name: 'lapak-1' as KioskName, outlet: 'stall-12' as OutletId };
  stall = hub.registry.enrol({ ...named, witness: hub.vault.wrap(WITNESS) });
});
afterAll(async () => {
  await hub.close();
  removePlace(place);
});
beforeEach(() => {
  // The next business day: what other tests spent is no matter.
  clock += 86_400_000;
});

function desk() {
  const now = () => clock;
  const alarms = makeAlarms({ now, write: (alarm) => hub.ledger.alarm(alarm), metrics: makeMetrics(), log: edges.log });
  const { vault, registry, ledger } = hub;
  const relay = makeRelay({
    service: () => ({ refusal: 'not-allowed', detail: 'not at this desk' }),
    reload: noReload,
    'tag-sale': makeTagSale({ vault, registry, ledger, alarms, random: randomBytes, now }),
  });
  return { relay, resolve: makeResolve({ vault, ledger, alarms, now }) };
}

interface Sale {
  readonly amount?: number;
  readonly seq?: number;
  readonly trouble?: Trouble;
  readonly heard?: Overheard;
  readonly at?: Kiosk;
  /** What the start message says instead. */
  readonly change?: Partial<TagSale>;
  /** Between the start and the card's proof. */
  readonly meanwhile?: () => void;
}

/** One tap, as an honest kiosk plays it but for what is changed. */
async function pay(tag: Card, { relay }: ReturnType<typeof desk>, sale: Sale = {}) {
  seq += 1;
  const reader = field(tag);
  reader.insert(sale.trouble);
  const started = await play(startTagPayment(), reader.transmit);
  const challenge = started.ok ? Buffer.from(started.challenge).toString('hex') : '00'.repeat(16);
  const { amount = 25_000, change, at = stall } = sale;
  const start = { deed: 'tag-sale', uid: hexUid(tag), seq: sale.seq ?? seq, amount, challenge, ...change } as const;
  const transmit = (apdu: Uint8Array) => {
    sale.meanwhile?.();
    return reader.transmit(apdu);
  };
  const end = await relayed(relay, at, start, transmit, sale.heard);
  reader.remove();
  return end;
}

const receiptOf = (end: RelayEnd | { readonly refusal: unknown }): Receipt => {
  if (!('done' in end) || end.done !== 'tag-sale') throw new Error(`no decision: ${JSON.stringify(end)}`);
  return end.receipt;
};
const balance = async (member: string) => {
  const [held] = await hub.ledger.balances([
    { cooperative: member.startsWith('tk') ? 'toko' : 'pasar', kind: 'member', owner: member } as never,
  ]);
  return held;
};
const faults = () => ledgerFile(place).faults();
const decision = (no: number) => ledgerFile(place).decision(stall.no, no);

describe('a sale with a tag', () => {
  test('takes two round trips, one of them with the card in the field, and moves what was asked', async () => {
    const tag = await issuedTag(hub, 'tk-0001');
    const before = (await balance('tk-0001')) ?? 0n;
    const heard: Overheard = { said: [], exchanges: [] };
    const receipt = receiptOf(await pay(tag, desk(), { heard }));
    expect(receipt).toMatchObject({ outcome: 'approved', amount: 25_000, seq, kiosk: stall.no, card: hexUid(tag) });
    expect(receipt).toMatchObject({ issuer: 'toko', acquirer: 'pasar', outlet: 'stall-12' });
    // Asked and answered, twice; the hub's one command went to the card between them.
    expect(heard.said).toHaveLength(4);
    expect(heard.exchanges.map(({ sent }) => sent[1])).toEqual([0xaf]);
    expect(await balance('tk-0001')).toBe(before - 25_000n);
    expect(faults()).toEqual([]);
  });

  test('for a group says how many rode, and is another sale for another number of them', async () => {
    const tag = await issuedTag(hub, 'tk-0001');
    const receipt = receiptOf(await pay(tag, desk(), { change: { passengers: 5 } }));
    expect(receipt).toMatchObject({ outcome: 'approved', amount: 25_000, passengers: 5 });
    const again = { seq: receipt.seq, change: { passengers: 4 } };
    expect(await pay(tag, desk(), again)).toMatchObject({ refusal: 'body-differs' });
    const uneven = receiptOf(await pay(tag, desk(), { change: { passengers: 3 } }));
    expect(uneven).toMatchObject({ outcome: 'declined', reason: 'fare-uneven' });
    expect(faults()).toEqual([]);
  });

  test('leaves its transcript in the ledger, which the key confirms and the audit ties to the sale', async () => {
    const tag = await issuedTag(hub, 'tk-0001');
    receiptOf(await pay(tag, desk(), { amount: 1_500 }));
    const db = new Database(hubPaths(place.directory).ledger);
    try {
      const row = db.prepare('SELECT authority, evidence FROM entry ORDER BY id DESC LIMIT 1').get();
      const { authority, evidence } = row as { authority: string; evidence: Uint8Array };
      expect(authority).toBe('hub-relayed-session');
      const said = readTagEvidence(evidence);
      if (said === null) throw new Error('no transcript');
      expect(said).toMatchObject({ keyVersion: 1, kiosk: stall.no, seq, amount: 1_500n });
      const ring = hub.vault.tagKeyring('toko' as never, hexUid(tag));
      expect(verifyTranscript(ring(1, 1) ?? new Uint8Array(16), said)).toBe(true);
      expect(verifyTranscript(ring(1, 2) ?? new Uint8Array(16), said)).toBe(false);
      expect(readTagEvidence(evidence.subarray(1))).toBeNull();
    } finally {
      db.close();
    }
  });

  test('that is asked again once it is decided gets the same decision, and the card is asked nothing', async () => {
    const tag = await issuedTag(hub, 'tk-0001');
    const at = desk();
    const first = await pay(tag, at);
    const after = await balance('tk-0001');
    const heard: Overheard = { said: [], exchanges: [] };
    const no = receiptOf(first).seq;
    expect(await pay(tag, at, { seq: no, heard })).toEqual(first);
    expect(await pay(tag, desk(), { seq: no, heard })).toEqual(first);
    expect(heard.exchanges).toEqual([]);
    expect(await pay(tag, at, { seq: no, amount: 26_000 })).toMatchObject({ refusal: 'body-differs' });
    expect(receiptOf(first).outcome).toBe('approved');
    expect(await balance('tk-0001')).toBe(after);
    expect(faults()).toEqual([]);
  });

  test('whose answer was lost is told by resolve, as every sale of the account is', async () => {
    const tag = await issuedTag(hub, 'tk-0001');
    const at = desk();
    const receipt = receiptOf(await pay(tag, at));
    const ask = (no: number) =>
      at.resolve({
        kiosk: stall,
        body: { kiosk: stall.no, seq: no as KioskSeq, kind: 'account', ask: 'resolve' },
        hash: '',
      });
    const told = await ask(receipt.seq);
    expect('body' in told && JSON.parse(told.body)).toMatchObject({ receipt, voided: false });
    // Asked about before the card has proven itself, it is closed for good.
    seq += 1;
    await ask(seq);
    expect(receiptOf(await pay(tag, at, { seq }))).toMatchObject({ outcome: 'cancelled' });
    expect(faults()).toEqual([]);
  });
});

describe('nothing is decided', () => {
  test('when the card is torn at any command, and the same sale may be paid afterwards', async () => {
    const tag = await issuedTag(hub, 'tk-0001');
    const at = desk();
    for (const [apdu, when] of [
      [2, 'before'],
      [2, 'after'],
    ] as const) {
      const end = await pay(tag, at, { trouble: { tear: { apdu, when } } });
      expect(end).toMatchObject({ done: null, failure: 'lost' });
      expect(decision(seq)).toBeNull();
    }
    expect(receiptOf(await pay(tag, at, { seq })).outcome).toBe('approved');
  });

  test('for a card without the key, one that answers with an older proof, or a challenge of another card', async () => {
    const [tag, other] = [await issuedTag(hub, 'tk-0001'), await issuedTag(hub, 'ps-0001')];
    const heard: Overheard = { said: [], exchanges: [] };
    receiptOf(await pay(tag, desk(), { heard }));
    const old = heard.exchanges[0]?.got ?? new Uint8Array();
    const at = desk();
    const replay: Card = { ...tag, process: (apdu) => (apdu[1] === 0xaf ? old : tag.process(apdu)) };
    expect(await pay(replay, at)).toMatchObject({ done: null, failure: 'garbled' });
    expect(decision(seq)).toBeNull();
    // The card that lies there is another one than the kiosk says.
    expect(await pay(other, at, { change: { uid: hexUid(tag) } })).toMatchObject({ done: null, failure: 'wrong-key' });
    expect(decision(seq)).toBeNull();
    expect(await pay(tag, at, { change: { challenge: '11'.repeat(16) } })).toMatchObject({ done: null });
    expect(decision(seq)).toBeNull();
  });

  test('and no key is tried twice on a card that refused it, at the kiosk where it did', async () => {
    const tag = await issuedTag(hub, 'tk-0001');
    tag.memory.keys.splice(1, 1, { key: new Uint8Array(16).fill(9), version: 1 });
    const at = desk();
    for (let tap = 0; tap < 5; tap += 1) expect(await pay(tag, at)).toMatchObject({ failure: 'wrong-key' });
    expect(tag.memory.failures).toBe(1);
  });

  test('for a Light, an unknown card, or at a kiosk that makes cards', async () => {
    const tag = await issuedTag(hub, 'tk-0001');
    const at = desk();
    for (const uid of ['04175350554c80', '04ffffffffffff']) {
      expect(await pay(tag, at, { change: { uid } })).toMatchObject({ refusal: 'card-unknown' });
    }
    expect(await pay(tag, at, { at: kioskOf('issuing', 99) })).toMatchObject({ refusal: 'not-allowed' });
  });
});

describe('the hub declines', () => {
  test('over the limit of a tap, twice within a minute, without funds, and of a card frozen meanwhile', async () => {
    const tag = await issuedTag(hub, 'tk-0001');
    const at = desk();
    const reason = async (sale: Sale = {}) => receiptOf(await pay(tag, at, sale)).reason;
    expect(await reason({ amount: 500_001 })).toBe('pin-needed');
    expect(await reason()).toBeNull();
    expect(await reason()).toBe('too-soon');
    const spend = async () => {
      clock += 86_400_000;
      return reason({ amount: 500_000 });
    };
    const reasons = [await spend(), await spend(), await spend()];
    expect(reasons.at(-1)).toBe('insufficient-funds');
    clock += 61_000;
    const uid = hexUid(tag);
    const freeze = () => {
      const card = hub.registry.card(uid);
      if (card?.status === 'active') hub.registry.putCard({ ...card, status: 'frozen' });
    };
    expect(await reason({ meanwhile: freeze })).toBe('card-blocked');
    expect(faults()).toEqual([]);
  });

  test('a proof that comes more than 60 s after the start, for good, and takes one that comes at 60', async () => {
    const tag = await issuedTag(hub, 'tk-0001');
    const at = desk();
    const late = (ms: number) => ({
      meanwhile: () => {
        clock += ms;
      },
    });
    expect(receiptOf(await pay(tag, at, late(60_001)))).toMatchObject({ outcome: 'expired', reason: 'expired' });
    expect(receiptOf(await pay(tag, at, { seq }))).toMatchObject({ outcome: 'expired' });
    expect(receiptOf(await pay(tag, at, late(60_000)))).toMatchObject({ outcome: 'approved' });
  });
});

test('a kiosk that does not wait, or says things twice, gets one decision', async () => {
  const tag = await issuedTag(hub, 'tk-0001');
  const { relay } = desk();
  seq += 1;
  const reader = field(tag);
  reader.insert();
  const started = await play(startTagPayment(), reader.transmit);
  if (!started.ok) throw new Error('the tag did not begin');
  const challenge = Buffer.from(started.challenge).toString('hex');
  const talk = randomBytes(8).toString('hex');
  const start = { deed: 'tag-sale', uid: hexUid(tag), seq: seq as KioskSeq, amount: 2_000, challenge } as const;
  const first = { kiosk: stall, body: { talk, turn: 0 as const, start }, hash: '' };
  const [said, again] = await Promise.all([relay(first), relay(first)]);
  expect(again).toEqual(said);
  if (!('body' in said)) throw new Error('the hub did not begin');
  const [command = ''] = JSON.parse(said.body).commands;
  const got = Buffer.from(await reader.transmit(Buffer.from(command, 'hex'))).toString('hex');
  const second = { kiosk: stall, body: { talk, turn: 1, responses: [got] }, hash: '' };
  const answers = await Promise.all([relay(second), relay(second), relay(second)]);
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  expect(await relay({ ...second, body: { ...second.body, turn: 2 } })).toMatchObject({ refusal: 'talk-lost' });
  expect(decision(seq)).toMatchObject({ outcome: 'approved' });
  expect(faults()).toEqual([]);
});

test('a certificate in the name of a tag pays nothing, whatever key of the counter file made it', async () => {
  const tag = await issuedTag(hub, 'tk-0001');
  const uid = hexUid(tag);
  const alarms = makeAlarms({ now: () => clock, write: hub.ledger.alarm, metrics: makeMetrics(), log: edges.log });
  const purchase = makePurchase({ ...hub, transit: await openTransit(hub.ledger), alarms, now: () => clock });
  const forger = { grant: { kiosk: stall.no }, witness: WITNESS } as unknown as TestKiosk;
  for (const tmc of [1, 5]) {
    seq += 1;
    const body = tapRequest(hub, forger, { uid, amount: 1_000, seq, tmc, at: clock });
    const reply = await purchase({ kiosk: stall, body, hash: 'ab'.repeat(16) });
    expect('body' in reply && JSON.parse(reply.body).receipt).toMatchObject({ reason: 'certificate-invalid' });
  }
  expect(ledgerFile(place).alarms()).toContain('chain-unknown');
  expect(faults()).toEqual([]);
});
