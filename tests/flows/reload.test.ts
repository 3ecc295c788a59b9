/** Loading a purse through a kiosk: one wait for the hub, and whatever breaks, the card's next tap puts it right. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decrypt, encrypt } from '../../cards/aes.ts';
import { iv, sessionKeys } from '../../cards/session.ts';
import type { Account } from '../../hub/rules/accounts.ts';
import type { Hub } from '../../hub/serve.ts';
import type { CardUid } from '../../protocol/ids.ts';
import { BEACON_SECONDS } from '../../protocol/status.ts';
import type { Card } from '../town/card.ts';
import { chance } from '../town/chance.ts';
import { type Counter, openCounter, type Passed } from '../town/counter.ts';
import type { Trouble } from '../town/field.ts';
import { eventually } from '../town/kiosk.ts';
import { type LedgerFile, ledgerFile } from '../town/ledgerfile.ts';
import { type DelayProxy, openProxy } from '../town/proxy.ts';
import { enrolKiosk, issueCard, makePlace, type Place, removePlace, startPlace } from '../town/town.ts';

/** Seven commands of the kiosk, five of the hub. */
const COMMANDS = 12;
const COMMIT = COMMANDS - 1;
const AMOUNT = 10_000n;
const PRICE = 1_000n;
/** Beyond the pause between two sales, and the age of a beacon. */
const LATER_MS = 70_000;

let place: Place;
let hub: Hub;
let ledger: LedgerFile;
let proxy: DelayProxy;
let counter: Counter;
let stall: Counter;
/** Milliseconds by which the town's clock is ahead. */
let shift = 0;

const now = () => Date.now() + shift;
const beacon = () => {
  const slot = Math.floor(now() / 1000 / BEACON_SECONDS);
  return { slot, value: Buffer.from(hub.vault.beacon(slot)).toString('hex') };
};

beforeAll(async () => {
  place = await makePlace();
  hub = await startPlace(place, { now });
  ledger = ledgerFile(place);
  proxy = await openProxy(hub.port);
  const [one, other] = [
    await enrolKiosk(place, hub, 'loket-1', 'stall-12'),
    await enrolKiosk(place, hub, 'lapak-1', 'stall-12'),
  ];
  counter = openCounter(one, proxy.port, beacon);
  stall = openCounter(other, hub.port, beacon);
  await Promise.all([counter.online(), stall.online()]);
});
afterAll(async () => {
  await Promise.all([counter?.close(), stall?.close()]);
  await proxy?.close();
  await hub?.close();
  expect(ledger.faults()).toEqual([]);
  removePlace(place);
});

const purseOf = (card: Card): bigint => {
  const file = card.memory.files.get(0x03);
  return BigInt(file?.kind === 'value' ? file.value : -1);
};

const holders = new Map<string, Holder>();

/** A member's card, always the same one, with the accounts it has in the books. */
function holder(uid: string): Holder {
  const found = holders.get(uid) ?? newHolder(uid);
  holders.set(uid, found);
  return found;
}

function newHolder(uid: string) {
  const known = hub.registry.card(uid as CardUid);
  if (known === undefined) throw new Error(`no card ${uid}`);
  const account = (kind: Account['kind'], owner: string) => ({ cooperative: known.issuer, kind, owner });
  const [member, transit, purse] = [account('member', known.member), account('in-transit', uid), account('purse', uid)];
  return {
    card: issueCard(hub.vault, hub.registry, uid),
    /** Member's account, money on its way, purse: as the books have them. */
    books: () => hub.ledger.balances([member, transit, purse]),
  };
}

type Holder = ReturnType<typeof newHolder>;

/** The card at the counter, under a plan of trouble. */
async function load({ card }: Holder, trouble?: Trouble, amount = AMOUNT) {
  await counter.lay(card, trouble);
  counter.passed.length = 0;
  const loaded = await counter.reload(amount);
  counter.lift();
  return loaded;
}

/** The next tap, at another kiosk, a little later. */
async function tap({ card }: Holder) {
  shift += LATER_MS;
  await stall.lay(card);
  const receipt = await stall.pay(PRICE);
  stall.lift();
  return receipt;
}

/** Nothing is on its way, the purse of the card is that of the books, and no rupiah came or went but for the sales. */
async function expectWhole(who: Holder, before: readonly bigint[], paid: bigint) {
  const [member = 0n, transit, purse = 0n] = await who.books();
  expect({ transit, purse, whole: member + purse + paid }).toEqual({
    transit: 0n,
    purse: purseOf(who.card),
    whole: before.reduce((sum, one) => sum + one, 0n),
  });
}

test('a load of 10.000 is in the purse of the card and in the books, and the member is told', async () => {
  const who = holder('04175350554c80');
  const [member = 0n] = await who.books();
  const loaded = await load(who);
  expect(loaded).toMatchObject({
    kind: 'loaded',
    receipt: { kiosk: counter.no, outcome: 'approved', amount: 10_000, balance: Number(member - AMOUNT) },
  });
  expect(purseOf(who.card)).toBe(AMOUNT);
  expect(await who.books()).toEqual([member - AMOUNT, 0n, AMOUNT]);
  expect(counter.open()).toEqual([]);
  expect(await tap(who)).toMatchObject({ outcome: 'approved' });
});

const isRelay = (one: Passed) => one.what !== 'card' && one.conversation === 'relay';

describe('the card waits in the field', () => {
  test.each([0, 50, 150])('for the network exactly once, with %d ms to the hub and back', async (roundTripMs) => {
    const who = holder('04135350554c80');
    proxy.delay(roundTripMs / 2);
    const loaded = await load(who);
    proxy.delay(0);
    expect(loaded).toMatchObject({ kind: 'loaded' });
    const { passed } = counter;
    const first = passed.findIndex(({ what }) => what === 'card');
    const last = passed.findLastIndex(({ what }) => what === 'card');
    const meanwhile = passed.slice(first, last + 1);
    expect(meanwhile.filter(({ what }) => what === 'card')).toHaveLength(COMMANDS);
    expect(meanwhile.filter(({ what }) => what !== 'card').map(({ what }) => what)).toEqual(['up', 'down']);
    const start = meanwhile.find(isRelay);
    const batch = meanwhile.slice(start === undefined ? 0 : meanwhile.indexOf(start));
    const cardMs = batch.reduce((sum, one) => sum + (one.what === 'card' ? one.ms : 0), 0);
    const end = batch.at(-1);
    const waitedMs = (end?.at ?? 0) + (end?.what === 'card' ? end.ms : 0) - (start?.at ?? 0) - cardMs;
    process.stdout.write(
      `round trip ${roundTripMs} ms: the card waited ${waitedMs.toFixed(1)} ms, worked ${cardMs.toFixed(1)} ms\n`,
    );
    expect(waitedMs).toBeGreaterThanOrEqual(roundTripMs);
    if (roundTripMs === 150) expect(waitedMs).toBeLessThan(2 * roundTripMs);
    await tap(who);
  });
});

const tears = Array.from({ length: COMMANDS }, (_, apdu) => apdu).flatMap((apdu) =>
  (['before', 'after'] as const).map((when) => ({ apdu, when })),
);

describe('a load torn', () => {
  test.each(tears)('$when command $apdu is whole again after the next tap', async (tear) => {
    const who = holder('04125350554c80');
    const before = await who.books();
    const purse = before[2] ?? 0n;
    const loaded = await load(who, { tear });
    const mine = tear.apdu < 7;
    expect(loaded.kind).toBe(mine ? 'torn' : 'checking');
    expect((await who.books())[1]).toBe(mine ? 0n : AMOUNT);
    const open = counter.open();
    expect(open).toHaveLength(mine ? 0 : 1);
    expect(await tap(who)).toMatchObject({ outcome: 'approved' });
    await expectWhole(who, before, PRICE);
    const committed = tear.apdu === COMMIT && tear.when === 'after';
    expect(purseOf(who.card) - purse).toBe(committed ? AMOUNT : 0n);
    for (const start of open) {
      expect(await counter.ask(start)).toMatchObject({ kind: committed ? 'loaded' : 'not-loaded' });
    }
    expect(counter.open()).toEqual([]);
  });
});

test('a sale can be paid with what comes back from a load that the same tap makes void', async () => {
  const who = holder('04145350554c80');
  const [member = 0n] = await who.books();
  const amount = 150_000n;
  expect(await load(who, { tear: { apdu: COMMIT, when: 'before' } }, amount)).toEqual({ kind: 'checking' });
  expect(await who.books()).toEqual([member - amount, amount, 0n]);
  shift += LATER_MS;
  await stall.lay(who.card);
  expect(await stall.pay(member - amount + 1n)).toMatchObject({ outcome: 'approved' });
  stall.lift();
  expect(await who.books()).toEqual([amount - 1n, 0n, 0n]);
  for (const start of counter.open()) expect(await counter.ask(start)).toEqual({ kind: 'not-loaded', reason: null });
});

test('a load is asked about once its start is too old to be released, and loads nothing when said again', async () => {
  const who = holder('04115350554c80');
  const before = await who.books();
  expect(await load(who, { tear: { apdu: COMMIT, when: 'after' } })).toEqual({ kind: 'checking' });
  const [start] = counter.open();
  if (start === undefined) throw new Error('no load is open');
  counter.passed.length = 0;
  expect(await counter.ask(start)).toEqual({ kind: 'checking' });
  expect(counter.passed).toEqual([]);
  expect(await counter.repeat(start)).toEqual({ kind: 'ended', end: { done: 'unknown' } });
  await tap(who);
  expect(await counter.repeat(start)).toMatchObject({ kind: 'ended', end: { done: 'reload', voided: false } });
  expect(await counter.ask(start)).toMatchObject({ kind: 'loaded' });
  await expectWhole(who, before, PRICE);
});

test('a start that never reached the hub is declined for good when it is asked about', async () => {
  const who = holder('041a5350554c80');
  const before = await who.books();
  await counter.lay(who.card);
  proxy.hold('up');
  const loading = counter.reload(AMOUNT);
  await eventually(
    () => 'the start at the proxy',
    () => proxy.held('up') > 0,
  );
  proxy.cut();
  expect(await loading).toEqual({ kind: 'checking' });
  counter.lift();
  proxy.release();
  await counter.online();
  shift += LATER_MS;
  const [start] = counter.open();
  if (start === undefined) throw new Error('no load is open');
  expect(await counter.ask(start)).toEqual({ kind: 'not-loaded', reason: 'expired' });
  expect(await who.books()).toEqual(before);
});

test('whoever hears a load and knows the factory’s key learns neither key 3 nor the counter file’s key', async () => {
  const uid = '041b5350554c80';
  const who = holder(uid);
  const known = hub.registry.card(uid as CardUid);
  const keys = known && hub.vault.cardKeys(known.issuer, known.uid, known);
  if (known === undefined || keys === null || keys === undefined) throw new Error('no keys');
  counter.line.length = 0;
  expect(await load(who)).toMatchObject({ kind: 'loaded' });
  const exchanges = counter.passed.flatMap((one) => (one.what === 'card' ? [one] : []));
  const secrets = [hex(keys.credit), hex(keys.tmac)];
  const bytes = hex(Buffer.concat(counter.line)) + exchanges.map(({ sent, got }) => hex(sent) + hex(got)).join();
  // On the line bytes are spelt as hex.
  const text = Buffer.concat(counter.line).toString('latin1');
  expect(text).toContain('"deed":"reload"');
  expect(secrets.filter((secret) => bytes.includes(secret) || text.includes(secret))).toEqual([]);
  const factory = new Uint8Array(16);
  const mine = hub.vault.cardKey1(known.uid, known.keyVersion);
  for (const key of [factory, mine]) {
    expect(amountHeard(exchanges, mine, key)).not.toBe(AMOUNT);
    expect(undone(exchanges, key).filter((block) => secrets.includes(block))).toEqual([]);
  }
  // The same ears with key 3 would hear the amount: the check can fail.
  expect(amountHeard(exchanges, mine, keys.credit)).toBe(AMOUNT);
});

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

type Exchange = Passed & { readonly what: 'card' };

/** Every 16 bytes that passed, deciphered and enciphered under a key that the listener knows. */
function undone(exchanges: readonly Exchange[], key: Uint8Array): string[] {
  const all = Buffer.concat(exchanges.flatMap(({ sent, got }) => [sent, got]));
  const none = new Uint8Array(16);
  return Array.from({ length: all.length - 15 }, (_, at) => all.subarray(at, at + 16)).flatMap((block) => [
    hex(decrypt(key, none, block)),
    hex(encrypt(key, none, block)),
  ]);
}

/** What the hub's Credit says to one who holds key 1 of the card and takes `key` for key 3. */
function amountHeard(exchanges: readonly Exchange[], key1: Uint8Array, key: Uint8Array): bigint {
  const none = new Uint8Array(16);
  const at = (place: number) => exchanges[place] ?? { sent: none, got: none };
  const ti = decrypt(key1, none, at(2).got.slice(0, 32)).slice(0, 4);
  const rndB = decrypt(key, none, at(6).got.slice(0, 16));
  const rndA = decrypt(key, none, at(7).sent.slice(5, 37)).slice(0, 16);
  const { encKey } = sessionKeys({ key, rndA, rndB });
  // Read, read, reader id, balance: four commands came before it in this session.
  const credited = decrypt(encKey, iv('command', encKey, ti, 4), at(9).sent.slice(6, 22));
  return BigInt(Buffer.from(credited).readUInt32LE(0));
}

test('after any row of loads, sales and tears no credit came twice, and books and card hold the same', async () => {
  const { below, pick } = chance('loads and sales');
  const who = holder('04165350554c80');
  const before = await who.books();
  let paid = 0n;
  let torn = false;
  for (let step = 0; step < 40; step += 1) {
    const tear = { apdu: below(COMMANDS), when: pick<'before' | 'after'>(['before', 'after']) };
    if (below(3) > 0) await load(who, below(2) > 0 ? { tear } : {}, BigInt(1_000 * (1 + below(9))));
    else {
      shift += LATER_MS;
      // Its claim is lost with it: the next one leaves a gap.
      const lost = below(8) === 0 ? ({ tear: { apdu: 8, when: 'after' } } as const) : undefined;
      torn ||= lost !== undefined;
      await stall.lay(who.card, lost);
      if ((await stall.pay(PRICE)) !== null) paid += PRICE;
      stall.lift();
    }
    const [member = 0n, transit = 0n, purse = 0n] = await who.books();
    expect([purse, purse + transit]).toContain(purseOf(who.card));
    expect(member + transit + purse + paid).toBe(before.reduce((sum, one) => sum + one, 0n));
  }
  if (!torn) {
    await tap(who);
    await expectWhole(who, before, paid + PRICE);
  }
});
