/** A card that is frozen or has ended gives its money back once, whatever tears it, and then opens for nobody. */
import { expect, onTestFinished, test } from 'vitest';
import { hubPaths } from '../../../hub/config.ts';
import type { CardStatus } from '../../../hub/rules/lifecycle.ts';
import { auditFile } from '../../../hub/store/sqlite/audit.ts';
import { HUB_KIOSK_NO } from '../../../protocol/ids.ts';
import type { Card } from '../../town/card.ts';
import { failedTries, hexUid, newChip, orderCard, prepareChip } from '../../town/cardstock.ts';
import { type Desk, openDesk } from '../../town/desk.ts';
import type { Trouble } from '../../town/field.ts';

const MEMBER = 'tk-0001';
const AMOUNT = 35_000n;
/** Select, five versions, select, two of the authentication, counter, records, balance, debit, record, reader id. */
const DRAIN_COMMIT = 15;

async function open(): Promise<Desk> {
  const desk = await openDesk();
  onTestFinished(async () => {
    await desk.close();
  });
  return desk;
}

/** Nothing came or went: what the books have of this card is what the member had, and the purse is the card's. */
async function expectEmptied(desk: Desk, card: Card, whole: bigint, at: unknown) {
  expect([at, await desk.money(card)]).toEqual([at, { account: whole, transit: 0n, purse: 0n, card: 0n }]);
  expect([at, card.memory.failures]).toEqual([at, 0]);
  expect([at, desk.hub.registry.drainsOf(hexUid(card))]).toEqual([at, []]);
}

const versions = (card: Card) => card.memory.keys.map(({ version }) => version);
const RETIRED = [255, 255, 255, 255, 255];

async function loaded(desk: Desk, amount = AMOUNT, member = MEMBER): Promise<Card> {
  const card = await desk.make(member);
  expect(await desk.load(card, amount)).toMatchObject({ done: 'reload', receipt: { outcome: 'approved' } });
  return card;
}

const accountOf = async (desk: Desk, card: Card) => (await desk.money(card)).account;

const numberOf = (desk: Desk, card: Card) => desk.known(card).number;

test('a frozen card is emptied into the account, keeps its keys, and pays again once it is unfrozen', async () => {
  const desk = await open();
  const card = await loaded(desk);
  const whole = (await accountOf(desk, card)) + AMOUNT;
  await desk.become(card, 'frozen');
  const number = numberOf(desk, card);
  expect(await desk.serve(card)).toEqual({ done: 'drained', number, amount: 35_000 });
  await expectEmptied(desk, card, whole, 'frozen');
  expect(versions(card)).toEqual([1, 1, 1, 1, 1]);
  // Again: its answer may have been lost. It commits, and books nothing.
  expect(await desk.serve(card)).toEqual({ done: 'drained', number, amount: 0 });
  await expectEmptied(desk, card, whole, 'again');
  await desk.become(card, 'active');
  desk.later();
  expect(await desk.sell(card, 1_000n)).toMatchObject({ outcome: 'approved' });
  expect(await desk.load(card, 20_000n)).toMatchObject({ receipt: { outcome: 'approved' } });
  expect(desk.alarms).toEqual([]);
});

test.each([
  'replaced',
  'retired',
] as const)('a %s card is emptied, and its keys tell that it has ended', async (status) => {
  const desk = await open();
  const card = await loaded(desk);
  const whole = (await accountOf(desk, card)) + AMOUNT;
  await desk.become(card, status);
  const retired = { done: 'retired', number: numberOf(desk, card), amount: 35_000 };
  expect(await desk.serve(card)).toEqual(retired);
  await expectEmptied(desk, card, whole, status);
  expect(versions(card)).toEqual(RETIRED);
  expect(desk.hub.registry.openChanges(hexUid(card))).toEqual([]);
  // Said again without a word to the card.
  const before = structuredClone(card.memory.files);
  expect(await desk.serveBy(card, () => Promise.reject(new Error('the card was asked')))).toEqual(retired);
  expect(structuredClone(card.memory.files)).toEqual(before);
  expect(desk.alarms).toEqual([]);
});

test('a card that has ended gets no key at a stall, whatever version it tells', async () => {
  const desk = await open();
  const card = await loaded(desk);
  await desk.become(card, 'retired');
  await desk.serve(card);
  for (const told of [1, 2, 255]) expect(await desk.askKey(card, told)).toMatchObject({ refusal: 'card-blocked' });
  // Not even for one who had the key.
  expect(await desk.load(card, AMOUNT)).toMatchObject({ receipt: { outcome: 'declined', reason: 'card-blocked' } });
});

test('a card in use that tells the version of those that ended gets no key either', async () => {
  const desk = await open();
  const card = await loaded(desk);
  expect(await desk.askKey(card, 255)).toMatchObject({ refusal: 'card-blocked' });
  expect(await desk.askKey(card, 1)).toMatchObject({ body: expect.stringContaining('"keyVersion":1') });
});

test('torn before or after any command, it is brought to its end the next time, with every rupiah', async () => {
  const desk = await open();
  for (const when of ['before', 'after'] as const) {
    for (let apdu = 0; ; apdu++) {
      const card = await loaded(desk);
      const whole = (await accountOf(desk, card)) + AMOUNT;
      await desk.become(card, 'replaced');
      const torn = await desk.serve(card, { tear: { apdu, when } });
      const { account, transit, purse, card: held } = await desk.money(card);
      expect([apdu, when, account + transit + purse]).toEqual([apdu, when, whole]);
      expect([apdu, when, purse === held || held === 0n]).toEqual([apdu, when, true]);
      const number = numberOf(desk, card);
      if ('done' in torn && torn.done === 'retired') {
        expect(apdu).toBeGreaterThan(DRAIN_COMMIT + 15);
        break;
      }
      expect([apdu, when, torn]).toEqual([apdu, when, { done: null, failure: 'lost', at: expect.any(String) }]);
      expect([apdu, when, await desk.serve(card)]).toEqual([apdu, when, { done: 'retired', number, amount: 35_000 }]);
      await expectEmptied(desk, card, whole, [apdu, when]);
      expect([apdu, when, versions(card)]).toEqual([apdu, when, RETIRED]);
    }
  }
  expect(desk.alarms).toEqual([]);
  expect(await desk.hub.ledger.trialBalance()).toMatchObject({ total: 0n, brokenAccounts: [], brokenEntries: [] });
}, 60_000);

test('torn again and again at the commit, a card loses nothing and is booked once', async () => {
  const desk = await open();
  for (const plan of ['aaa', 'bba', 'aab', 'aba', 'baa', 'bbb']) {
    const card = await loaded(desk);
    const whole = (await accountOf(desk, card)) + AMOUNT;
    await desk.become(card, 'retired');
    for (const [at, letter] of [...plan].entries()) {
      const empty = (await desk.money(card)).card === 0n;
      // Without a debit the commit comes one command sooner.
      const apdu = empty ? DRAIN_COMMIT - 1 : DRAIN_COMMIT;
      const torn = await desk.serve(card, { tear: { apdu, when: letter === 'a' ? 'after' : 'before' } });
      expect([plan, at, torn]).toEqual([plan, at, { done: null, failure: 'lost', at: 'commit' }]);
    }
    expect([plan, await desk.serve(card)]).toEqual([
      plan,
      expect.objectContaining({ done: 'retired', amount: 35_000 }),
    ]);
    await expectEmptied(desk, card, whole, plan);
  }
  expect(desk.alarms).toEqual([]);
});

const lostCommit: Trouble = { tear: { apdu: DRAIN_COMMIT, when: 'after' } };

test('a hub that dies between the card’s commit and its answer books it when the card comes back', async () => {
  const desk = await open();
  const card = await loaded(desk);
  const whole = (await accountOf(desk, card)) + AMOUNT;
  await desk.become(card, 'replaced');
  await desk.serve(card, lostCommit);
  expect(await desk.money(card)).toMatchObject({ account: whole - AMOUNT, purse: AMOUNT, card: 0n });
  await desk.restart();
  expect(desk.hub.registry.drainsOf(hexUid(card))).toMatchObject([{ amount: AMOUNT, state: 'open' }]);
  expect(await desk.serve(card)).toMatchObject({ done: 'retired', amount: 35_000 });
  await expectEmptied(desk, card, whole, 'restarted');
});

test('a hub that dies when the ledger has the drain and the registry does not, books it no second time', async () => {
  const desk = await open();
  const card = await loaded(desk);
  const whole = (await accountOf(desk, card)) + AMOUNT;
  await desk.become(card, 'retired');
  const { registry } = desk.hub;
  const { bookDrain } = registry;
  registry.bookDrain = () => {
    throw new Error('the power went');
  };
  await expect(desk.serve(card)).rejects.toThrow('the power went');
  registry.bookDrain = bookDrain;
  await desk.restart();
  expect(await desk.money(card)).toMatchObject({ account: whole, purse: 0n });
  expect(await desk.serve(card)).toMatchObject({ done: 'retired', amount: 35_000 });
  await expectEmptied(desk, card, whole, 'restarted');
});

test('what a drain took from a frozen card without an answer is told when the card has ended', async () => {
  const desk = await open();
  const card = await loaded(desk);
  const whole = (await accountOf(desk, card)) + AMOUNT;
  await desk.become(card, 'frozen');
  await desk.serve(card, lostCommit);
  await desk.become(card, 'replaced');
  expect(await desk.serve(card)).toMatchObject({ done: 'retired', amount: 35_000 });
  await expectEmptied(desk, card, whole, 'replaced');
});

test('the next payment from the account books what a drain without an answer took, and can spend it', async () => {
  const desk = await open();
  const card = await loaded(desk, 150_000n, 'tk-0002');
  const whole = (await accountOf(desk, card)) + 150_000n;
  await desk.become(card, 'frozen');
  await desk.serve(card, lostCommit);
  await desk.become(card, 'active');
  desk.later();
  const price = (await accountOf(desk, card)) + 1n;
  expect(await desk.sell(card, price)).toMatchObject({ outcome: 'approved' });
  await expectEmptied(desk, card, whole - price, 'paid');
});

test('a load whose own commit hides a drain without an answer has it booked before it begins', async () => {
  const desk = await open();
  const card = await loaded(desk);
  const whole = (await accountOf(desk, card)) + AMOUNT;
  await desk.become(card, 'frozen');
  await desk.serve(card, lostCommit);
  await desk.become(card, 'active');
  expect(await desk.load(card, 20_000n)).toMatchObject({ receipt: { outcome: 'approved' } });
  expect(await desk.money(card)).toEqual({ account: whole - 20_000n, transit: 0n, purse: 20_000n, card: 20_000n });
  expect(desk.hub.registry.drainsOf(hexUid(card))).toEqual([]);
  expect(desk.alarms).toEqual([]);
});

test('a drain that the card never committed is void when the next tap fills its place', async () => {
  const desk = await open();
  const card = await loaded(desk);
  await desk.become(card, 'frozen');
  await desk.serve(card, { tear: { apdu: DRAIN_COMMIT, when: 'before' } });
  await desk.become(card, 'active');
  desk.later();
  expect(await desk.sell(card, 1_000n)).toMatchObject({ outcome: 'approved' });
  expect(desk.hub.registry.drainsOf(hexUid(card))).toEqual([]);
  expect(await desk.money(card)).toMatchObject({ purse: AMOUNT, card: AMOUNT });
  expect(desk.alarms).toEqual([]);
});

test('a drain that never was is void too when a tap was lost after it: its record is not on the card', async () => {
  const desk = await open();
  const card = await loaded(desk);
  await desk.become(card, 'frozen');
  await desk.serve(card, { tear: { apdu: DRAIN_COMMIT, when: 'before' } });
  await desk.become(card, 'active');
  expect(await desk.sell(card, 1_000n, { tear: { apdu: 8, when: 'after' } })).toBeNull();
  desk.later();
  expect(await desk.sell(card, 1_000n)).toMatchObject({ outcome: 'approved' });
  expect(desk.hub.registry.drainsOf(hexUid(card))).toEqual([]);
  expect(desk.alarms).toEqual([]);
});

test('a drain whose proof a lost tap has covered is neither booked nor void, and no key is retired', async () => {
  const desk = await open();
  const card = await loaded(desk);
  await desk.become(card, 'frozen');
  await desk.serve(card, lostCommit);
  expect(await desk.sell(card, 1_000n, { tear: { apdu: 8, when: 'after' } })).toBeNull();
  await desk.become(card, 'retired');
  const before = await desk.money(card);
  expect(await desk.serve(card)).toEqual({ done: 'unknown' });
  expect(desk.hub.registry.drainsOf(hexUid(card))).toMatchObject([{ amount: AMOUNT, state: 'open' }]);
  expect(await desk.money(card)).toEqual(before);
  expect(versions(card)).toEqual([1, 1, 1, 1, 1]);
  expect(desk.alarms).toContain('drain-open');
});

test('a reload without an answer is proven by the drain after it, and its money comes back with the rest', async () => {
  const desk = await open();
  for (const when of ['before', 'after'] as const) {
    for (const drainTorn of [false, true]) {
      const card = await loaded(desk, 10_000n);
      const whole = (await accountOf(desk, card)) + 10_000n;
      expect(await desk.load(card, 25_000n, { tear: { apdu: 11, when } })).toEqual({ done: 'unknown' });
      await desk.become(card, 'replaced');
      if (drainTorn) await desk.serve(card, lostCommit);
      const amount = when === 'after' ? 35_000 : 10_000;
      expect([when, drainTorn, await desk.serve(card)]).toMatchObject([when, drainTorn, { done: 'retired', amount }]);
      await expectEmptied(desk, card, whole, [when, drainTorn]);
    }
  }
  expect(desk.alarms).toEqual([]);
});

test('what the books do not cover stays open with an alarm, no key is retired, and nothing is said away', async () => {
  const desk = await open();
  const card = await loaded(desk);
  const purse = card.memory.files.get(0x03);
  if (purse?.kind !== 'value') throw new Error('no purse');
  purse.value += 5_000;
  const before = await desk.money(card);
  await desk.become(card, 'retired');
  expect(await desk.serve(card)).toEqual({ done: 'unknown' });
  expect(desk.alarms).toContain('drain-open');
  expect(versions(card)).toEqual([1, 1, 1, 1, 1]);
  expect(await desk.money(card)).toEqual({ ...before, card: 0n });
  await desk.restart();
  expect(await desk.serve(card)).toEqual({ done: 'unknown' });
  const [first, ...more] = desk.hub.registry.drainsOf(hexUid(card));
  expect([first, more.length]).toMatchObject([{ amount: 40_000n, state: 'proven' }, 1]);
  // A decision would be final: there is none until the books are right.
  expect(await desk.hub.ledger.standing({ origin: HUB_KIOSK_NO, seq: first?.seq ?? 0 })).toBeNull();
  expect(versions(card)).toEqual([1, 1, 1, 1, 1]);
});

test('a commit that only a listener with key 1 could have answered is booked nowhere', async () => {
  const desk = await open();
  const card = await loaded(desk);
  await desk.become(card, 'frozen');
  const other = await loaded(desk);
  // A card with the same keys but another counter key: what a copy can be at best.
  const [mine, theirs] = [card.memory.files.get(0x0f), other.memory.files.get(0x0f)];
  if (mine?.kind !== 'tmac' || theirs?.kind !== 'tmac') throw new Error('no counter file');
  card.memory.files.set(0x0f, { ...mine, key: theirs.key });
  const before = await desk.money(card);
  expect(await desk.serve(card)).toEqual({ done: 'unknown' });
  expect(await desk.money(card)).toEqual({ ...before, card: 0n });
  expect(desk.alarms).toEqual(['drain-open']);
});

test('a card that tells a version which it never got is a copy: no key is tried on it, none is written', async () => {
  const desk = await open();
  const card = await loaded(desk);
  await desk.become(card, 'retired');
  const sound = structuredClone(card.memory.keys);
  for (const version of [2, 254, 255]) {
    const copied = sound.map((key) => ({ ...key, version }));
    card.memory.keys.splice(0, 5, ...copied);
    const failed = failedTries(card);
    expect(await desk.serve(card)).toEqual({ done: null, failure: 'other-version', at: 'key 1' });
    expect([failed(), structuredClone(card.memory.keys)]).toEqual([0, copied]);
  }
  expect((await desk.money(card)).purse).toBe(AMOUNT);
});

test('a spoilt chip that never became a card loses its keys without a word about money', async () => {
  const desk = await open();
  const seen: CardStatus[] = [];
  for (const apdu of [0, 14, 20, 27, 40, 70]) {
    const number = orderCard(desk.hub, MEMBER);
    const card = newChip();
    await prepareChip(desk.hub, card);
    await desk.serve(card, { tear: { apdu, when: 'after' } });
    seen.push(desk.known(card).status);
    desk.hub.registry.putCard({ ...desk.known(card), status: 'retired' });
    expect([apdu, await desk.serve(card)]).toEqual([apdu, { done: 'retired', number, amount: 0 }]);
    expect([apdu, versions(card), card.memory.failures]).toEqual([apdu, RETIRED, 0]);
    expect(desk.hub.registry.drainsOf(hexUid(card))).toEqual([]);
  }
  expect(new Set(seen)).toEqual(new Set(['personalising']));
});

test('the books of drains stand up to the audit, each under the hub’s own number', async () => {
  const desk = await open();
  const card = await loaded(desk);
  const { uid, issuer, member } = desk.known(card);
  await desk.become(card, 'retired');
  await desk.serve(card);
  const [line] = await desk.hub.ledger.lines({ cooperative: issuer, kind: 'purse', owner: uid }, null, 1);
  expect(line).toMatchObject({ kind: 'drain', amount: -AMOUNT, balance: 0n, key: { origin: HUB_KIOSK_NO } });
  const [back] = await desk.hub.ledger.lines({ cooperative: issuer, kind: 'member', owner: member }, null, 1);
  expect(back).toMatchObject({ kind: 'drain', amount: AMOUNT, key: line?.key });
  const audit = auditFile(hubPaths(desk.place.directory).ledger);
  expect(audit).toMatchObject({ total: 0n, brokenPairs: [], brokenAccounts: [], brokenEntries: [] });
});
