/** A licensed hub at work: each switch that is off refuses exactly its kinds and books nothing; what runs goes on. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildTmri, type Deed, proof } from '../../../cards/record.ts';
import { startReload } from '../../../cards/reload.ts';
import { play } from '../../../cards/script.ts';
import { startTagPayment } from '../../../cards/tagpayment.ts';
import { makeCash } from '../../../hub/operations/cash.ts';
import { makePurchase } from '../../../hub/operations/purchase.ts';
import { makeRelay } from '../../../hub/operations/relay.ts';
import { makeReload } from '../../../hub/operations/reload.ts';
import { makeTagSale } from '../../../hub/operations/tagsale.ts';
import { type Licence, NO_LICENCE } from '../../../hub/rules/licence.ts';
import type { Hub } from '../../../hub/serve.ts';
import { HUB_ORIGIN } from '../../../hub/store/ledger.ts';
import type { Kiosk } from '../../../hub/store/registry.ts';
import type { Town } from '../../../hub/town.ts';
import type { CardUid, CooperativeId, KioskName, MemberId, OutletId } from '../../../protocol/ids.ts';
import { BEACON_SECONDS, minuteOfSlot } from '../../../protocol/status.ts';
import type { Card } from '../../town/card.ts';
import { hexUid, quiet, relayed } from '../../town/cardstock.ts';
import { field } from '../../town/field.ts';
import { repository } from '../../town/repository.ts';
import { issuedTag, kioskOf } from '../../town/tags.ts';
import { issueCard, makePlace, type Place, removePlace, startPlace } from '../../town/town.ts';
import { tapRequest } from '../taps.ts';
import type { TestKiosk } from '../world.ts';

/** Members of the market, whose stall it is, and of the taxi cooperative; the counter is the savings cooperative's. */
const SLAMET = '04125350554c80';
const RUDI = '04165350554c80';
const LOADED = '04155350554c80' as CardUid;
const TELLER = '04195350554c80';
const OWN = '041a5350554c80';
const MARKET = 'pasar' as CooperativeId;
const TAXI = 'taksi' as CooperativeId;
const SHOP = 'toko' as CooperativeId;
const COUNTERS = 'simpan-pinjam' as CooperativeId;
const WITNESS = randomBytes(32);
const OPEN: Partial<Licence> = { offUs: true, purse: true, deposits: true, membersOnly: false };
const BY = { at: 1, officers: ['Ani', 'Budi'] };

let place: Place;
let hub: Hub;
let stall: Kiosk;
let counter: Kiosk;
let loaded: Card;
let tag: Card;
let clock = Date.UTC(2026, 5, 1);
let seq = 0;

/** The pilot's town where all cooperatives hold every licence. */
function licensedTown(): Town {
  const pilot = JSON.parse(readFileSync(`${repository()}/hub/pilot.json`, 'utf8')) as Town;
  const licence = { offUs: true, purse: true, deposits: true, membersOnly: false };
  const cooperatives = pilot.cooperatives.map((one) => ({ ...one, licence }));
  return { ...pilot, licence: { mode: 'licensed' }, cooperatives };
}

beforeAll(async () => {
  place = await makePlace(licensedTown());
  hub = await startPlace(place);
  const witness = hub.vault.wrap(WITNESS);
  const at = (role: Kiosk['role'], name: string, outlet: string) =>
    hub.registry.enrol({
      ...kioskOf(role),
      serial: name,
      name: name as KioskName,
      outlet: outlet as OutletId,
      witness,
    });
  stall = at('stall', 'lapak-1', 'stall-12');
  counter = at('counter', 'loket-1', 'ksp-loket');
  loaded = issueCard(hub.vault, hub.registry, LOADED);
  tag = await issuedTag(hub, 'tk-0001');
  const figures = { cooperative: COUNTERS, outlet: counter.outlet, amount: 400_000n };
  const guards = [{ kind: 'float', outlet: counter.outlet, delta: figures.amount }] as const;
  await hub.ledger.post({
    key: { origin: HUB_ORIGIN, seq: 1_000 },
    hash: '',
    at: clock,
    verdict: { approve: { kind: 'funding', figures }, guards },
    slot: null,
    facts: { amount: figures.amount, card: null, issuer: null, acquirer: COUNTERS, outlet: counter.outlet },
    evidence: null,
  });
});
afterAll(async () => {
  await hub.close();
  removePlace(place);
});
beforeEach(() => {
  // The next business day: what other tests spent is no matter.
  clock += 86_400_000;
  for (const { id } of licensedTown().cooperatives) hub.registry.changeLicence(id as CooperativeId, OPEN, BY);
});

async function desk() {
  const parts = { ...hub, ...(await quiet(hub)), random: randomBytes, now: () => clock };
  const relay = makeRelay({
    service: () => ({ refusal: 'not-allowed', detail: 'not at this desk' }),
    reload: makeReload(parts),
    'tag-sale': makeTagSale(parts),
  });
  return { relay, purchase: makePurchase(parts), cash: makeCash(parts) };
}

interface Told {
  readonly receipt?: { readonly outcome: string; readonly reason: string | null };
  readonly hold?: { readonly state: string };
  readonly voided?: boolean;
}

/** What a member reads at the end: `approved`, the reason of a refusal, or what a hold waits for. */
function word({ receipt, hold }: Told): string {
  if (hold !== undefined) return hold.state;
  return receipt?.reason ?? receipt?.outcome ?? 'unknown';
}

const hashOf = (body: object) => createHash('sha256').update(JSON.stringify(body)).digest('hex').slice(0, 32);

/** The deeds as members do them, each anew; they say how it ended. */
const deeds = {
  async sale(uid: string) {
    seq += 1;
    const kiosk = { grant: { kiosk: stall.no }, witness: WITNESS } as unknown as TestKiosk;
    const body = tapRequest(hub, kiosk, { uid, amount: 10_000, seq, tmc: 4 + seq, at: clock });
    const reply = await (await desk()).purchase({ kiosk: stall, hash: hashOf(body), body: body as never });
    return word('body' in reply ? JSON.parse(reply.body) : {});
  },
  async tagSale() {
    seq += 1;
    const reader = field(tag);
    reader.insert();
    const started = await play(startTagPayment(), reader.transmit);
    const challenge = started.ok ? Buffer.from(started.challenge).toString('hex') : '';
    const start = { deed: 'tag-sale', uid: hexUid(tag), seq, amount: 10_000, challenge } as const;
    const end = await relayed((await desk()).relay, stall, start, reader.transmit);
    reader.remove();
    return word(end as Told);
  },
  /** @param meanwhile done when the hub has released the money and before the card gets it */
  async reload(meanwhile = () => {}) {
    seq += 1;
    const reader = field(loaded);
    reader.insert();
    const slot = Math.floor(clock / 1000 / BEACON_SECONDS);
    const minute = minuteOfSlot(slot);
    const deed: Deed = { kind: 'reload', amount: 20_000n, kioskNo: stall.no, kioskSeq: seq, minute };
    const full = proof(WITNESS, Buffer.from(LOADED, 'hex'), deed, hub.vault.beacon(slot));
    const key1 = hub.vault.cardKey1(LOADED, 1);
    const begun = await play(
      startReload({ key1, rndA: randomBytes(16), tmri: buildTmri(deed, full) }),
      reader.transmit,
    );
    if (!begun.ok) throw new Error('the card did not begin');
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
    const { before, records, encTmri, ti, ctr, challenge } = begun;
    const read = { before: hex(before), records: hex(records), encTmri: hex(encTmri), ti: hex(ti) };
    const named = { deed: 'reload', uid: LOADED, seq, amount: 20_000, slot, keyVersion: 1, tmacKeyVersion: 1 } as const;
    const start = { ...named, ...read, ctr, challenge: hex(challenge) };
    const transmit = (apdu: Uint8Array) => {
      meanwhile();
      return reader.transmit(apdu);
    };
    const end = await relayed((await desk()).relay, stall, start, transmit);
    reader.remove();
    return word(end as Told);
  },
  async cash(ask: string, uid = RUDI, no = 0) {
    if (no === 0) seq += 1;
    const asked = { deposit: 1, hold: 1 }[ask] === 1;
    const service = asked ? { amount: 50_000, uid, teller: TELLER, approver: null } : {};
    const body = {
      kiosk: counter.no,
      seq: no || seq,
      ask,
      ...service,
      ...(ask === 'release' ? { pinVerified: true } : {}),
    };
    const reply = await (await desk()).cash({ kiosk: counter, hash: hashOf(body), body: body as never });
    return word('body' in reply ? JSON.parse(reply.body) : {});
  },
};

const set = (cooperative: CooperativeId, parts: Partial<Licence>) => hub.registry.changeLicence(cooperative, parts, BY);

/** Every balance of the ledger that a member, card, outlet or counter has; and whether the books hold together. */
async function books() {
  const { total, entries, brokenPairs, brokenAccounts, brokenEntries } = await hub.ledger.trialBalance();
  expect([total, brokenPairs, brokenAccounts, brokenEntries]).toEqual([0n, [], [], []]);
  return entries;
}

/** Each deed as it ends, and how many entries it left in the books. */
async function day() {
  const before = await books();
  const told = {
    'sale at home': await deeds.sale(SLAMET),
    'sale abroad': await deeds.sale(RUDI),
    'sale abroad with a tag': await deeds.tagSale(),
    reload: await deeds.reload(),
    'deposit at home': await deeds.cash('deposit', OWN),
    'deposit abroad': await deeds.cash('deposit'),
    'withdrawal abroad': await deeds.cash('hold'),
  };
  if (told['withdrawal abroad'] === 'held') await deeds.cash('cancel', RUDI, seq);
  return { told, booked: (await books()) - before };
}

const ALL_DONE = {
  'sale at home': 'approved',
  'sale abroad': 'approved',
  'sale abroad with a tag': 'approved',
  reload: 'approved',
  'deposit at home': 'approved',
  'deposit abroad': 'approved',
  'withdrawal abroad': 'held',
};
const NO = 'not-licensed';

test('with every switch on, all is done: six deeds leave seven entries, a reload being two', async () => {
  expect(await day()).toEqual({ told: ALL_DONE, booked: 7 });
});

test.each<readonly [string, CooperativeId, Partial<Licence>, Partial<typeof ALL_DONE>, number]>([
  [
    'the taxi cooperative may not go abroad',
    TAXI,
    { offUs: false },
    { 'sale abroad': NO, 'deposit abroad': NO, 'withdrawal abroad': NO },
    5,
  ],
  ['the shop may not go abroad: its tag does not pay', SHOP, { offUs: false }, { 'sale abroad with a tag': NO }, 6],
  [
    'the market serves nobody from abroad',
    MARKET,
    { offUs: false },
    { 'sale abroad': NO, 'sale abroad with a tag': NO },
    5,
  ],
  [
    'the savings cooperative serves nobody from abroad',
    COUNTERS,
    { offUs: false },
    { 'deposit abroad': NO, 'withdrawal abroad': NO },
    6,
  ],
  ['the taxi cooperative has no purses', TAXI, { purse: false }, { reload: NO }, 5],
  [
    'the taxi cooperative takes no deposits',
    TAXI,
    { deposits: false },
    { 'deposit abroad': NO, 'withdrawal abroad': NO },
    6,
  ],
  [
    'the savings cooperative takes none of its own, and still serves others',
    COUNTERS,
    { deposits: false },
    { 'deposit at home': NO },
    6,
  ],
  [
    'the market has no purses and deposits, and none were asked of it',
    MARKET,
    { purse: false, deposits: false },
    {},
    7,
  ],
])('%s', async (_what, cooperative, parts, refused, booked) => {
  set(cooperative, parts);
  expect(await day()).toEqual({ told: { ...ALL_DONE, ...refused }, booked });
});

test('without any licence members still pay at home, and nothing else is booked', async () => {
  for (const { id } of hub.registry.cooperatives()) set(id, NO_LICENCE);
  const { told, booked } = await day();
  expect(told).toEqual({
    ...Object.fromEntries(Object.keys(ALL_DONE).map((deed) => [deed, NO])),
    'sale at home': 'approved',
  });
  expect(booked).toBe(1);
});

test('money on its way to a card arrives though the licence ends meanwhile; the next load is refused', async () => {
  let ended = false;
  const end = () => {
    if (!ended) set(TAXI, { purse: false });
    ended = true;
  };
  const account = { cooperative: TAXI, kind: 'purse', owner: LOADED } as const;
  const [before = 0n] = await hub.ledger.balances([account]);
  expect(await deeds.reload(end)).toBe('approved');
  expect([ended, hub.registry.licence(TAXI).purse]).toEqual([true, false]);
  expect(await hub.ledger.balances([account])).toEqual([before + 20_000n]);
  expect(await deeds.reload()).toBe(NO);
  await books();
});

test('cash that is held is released and booked though the licence ends meanwhile', async () => {
  expect(await deeds.cash('hold')).toBe('held');
  const held = seq;
  for (const one of [TAXI, COUNTERS]) set(one, NO_LICENCE);
  expect(await deeds.cash('release', RUDI, held)).toBe('released');
  expect(await deeds.cash('paid', RUDI, held)).toBe('approved');
  await books();
});

test('a sale that is asked again is answered as it was decided, whatever the licence says now', async () => {
  seq += 1;
  const kiosk = { grant: { kiosk: stall.no }, witness: WITNESS } as unknown as TestKiosk;
  const body = tapRequest(hub, kiosk, { uid: RUDI, amount: 10_000, seq, tmc: 4 + seq, at: clock });
  const ask = async () => (await desk()).purchase({ kiosk: stall, hash: hashOf(body), body: body as never });
  const first = await ask();
  set(TAXI, { offUs: false });
  expect(await ask()).toEqual(first);
  expect('body' in first && word(JSON.parse(first.body))).toBe('approved');
});

test('one of the public may put nothing into a cooperative that serves members only', async () => {
  const rudi = 'tx-0002' as MemberId;
  hub.registry.changeHolder(rudi, { isPublic: true }, BY);
  expect(await deeds.cash('deposit')).toBe('approved');
  set(TAXI, { membersOnly: true });
  expect(await deeds.cash('deposit')).toBe('members-only');
  expect(await deeds.cash('hold')).toBe('held');
  await deeds.cash('cancel', RUDI, seq);
  hub.registry.changeHolder(rudi, { isPublic: false }, BY);
  expect(await deeds.cash('deposit')).toBe('approved');
});
