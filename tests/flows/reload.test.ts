/** Loading a purse through a kiosk: one wait for the hub, and whatever breaks, the card's next tap puts it right. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Account } from '../../hub/rules/accounts.ts';
import type { Hub } from '../../hub/serve.ts';
import type { CardUid } from '../../protocol/ids.ts';
import { BEACON_SECONDS } from '../../protocol/status.ts';
import type { Card } from '../town/card.ts';
import { type Counter, openCounter, type Passed } from '../town/counter.ts';
import type { Trouble } from '../town/field.ts';
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
