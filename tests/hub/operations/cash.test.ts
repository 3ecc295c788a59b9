/** Cash at a counter over real MQTT: what a kiosk is answered at each step, and what the books say then. */
import { Compile } from 'typebox/compile';
import { expect, test } from 'vitest';
import { HUB_ORIGIN } from '../../../hub/store/ledger.ts';
import { CashAnswer } from '../../../protocol/cash.ts';
import type { CardUid, CooperativeId, MemberId, OutletId } from '../../../protocol/ids.ts';
import { counterLimits } from '../../../protocol/limits.ts';
import { ask, join } from '../wire.ts';
import { openWorld } from '../world.ts';

/** Bambang of angkot; teller and her colleague at the counter of the savings cooperative, and a member of another. */
const BAMBANG = '04135350554c80';
const TELLER = '04195350554c80';
const COLLEAGUE = '041a5350554c80';
const SITI = '04115350554c80';
const HOME = 'angkot' as CooperativeId;
const HERE = 'simpan-pinjam' as CooperativeId;
const COUNTER = 'ksp-loket' as OutletId;

const fits = Compile(CashAnswer);

async function counter() {
  const world = await openWorld();
  const { hub } = world;
  const kiosk = await world.enrol('loket-1', COUNTER, 'counter');
  const figures = { cooperative: HERE, outlet: COUNTER, amount: 400_000n };
  await hub.ledger.post({
    key: { origin: HUB_ORIGIN, seq: 1_000 },
    hash: '',
    at: Date.now(),
    verdict: {
      approve: { kind: 'funding', figures },
      guards: [{ kind: 'float', outlet: COUNTER, delta: figures.amount }],
    },
    slot: null,
    facts: { amount: figures.amount, card: null, issuer: null, acquirer: HERE, outlet: COUNTER },
    evidence: null,
  });
  let wire = await join(world, kiosk);
  let said = 0;
  const sale = { kiosk: kiosk.grant.kiosk, kind: 'account', ask: 'cancel' };
  const closeSale = (seq: number) => {
    said += 1;
    return ask(wire, kiosk.name, 'resolve', { ...sale, seq }, said);
  };
  const say = async (body: object) => {
    said += 1;
    const answer = await ask(wire, kiosk.name, 'cash', { kiosk: kiosk.grant.kiosk, ...body }, said);
    if (answer.name === 'cash') expect(fits.Check(answer.body), JSON.stringify(answer.body)).toBe(true);
    return answer;
  };
  const service = { amount: 100_000, uid: BAMBANG, teller: TELLER, approver: null };
  return {
    world,
    kiosk,
    say,
    closeSale,
    deposit: (seq: number, more: object = {}) => say({ seq, ask: 'deposit', ...service, ...more }),
    hold: (seq: number, more: object = {}) => say({ seq, ask: 'hold', ...service, ...more }),
    release: (seq: number, pinVerified = true) => say({ seq, ask: 'release', pinVerified }),
    step: (seq: number, word: 'paid' | 'cancel' | 'resolve') => say({ seq, ask: word }),
    /** Bambang's account, the cash in the drawer by the books, the float. */
    async books() {
      const { ledger } = world.hub;
      const [member = 0n, drawer = 0n] = await ledger.balances([
        { cooperative: HOME, kind: 'member', owner: 'ak-0001' },
        { cooperative: HERE, kind: 'drawer', owner: COUNTER },
      ]);
      const { total, brokenPairs, brokenAccounts, brokenEntries } = await ledger.trialBalance();
      expect([total, brokenPairs, brokenAccounts, brokenEntries]).toEqual([0n, [], [], []]);
      return [member, -drawer, await ledger.float(COUNTER)].map(Number);
    },
    async reconnect() {
      wire = await join(world, kiosk);
      said = 0;
    },
  };
}

const decided = (outcome: string, reason: string | null = null) => ({ body: { receipt: { outcome, reason } } });
const state = (state: string) => ({ body: { hold: { state } } });
const refused = (code: string) => ({ name: 'refusal', body: { code } });

test('Bambang of angkot deposits 100.000 at the savings cooperative, and withdraws 200.000 there', async () => {
  const { world, deposit, hold, release, step, books } = await counter();
  expect(await books()).toEqual([1_000_000, 400_000, 400_000]);
  const paidIn = await deposit(1);
  expect(paidIn.body.receipt).toMatchObject({
    outcome: 'approved',
    amount: 100_000,
    fee: 1_500,
    shares: [
      { to: HERE, amount: 1_000 },
      { to: 'platform', amount: 500 },
    ],
    balance: 1_100_000,
  });
  expect(await books()).toEqual([1_100_000, 500_000, 500_000]);
  const held = await hold(2, { amount: 200_000 });
  expect(held).toMatchObject({ body: { hold: { state: 'held', amount: 200_000, fee: 1_500, card: BAMBANG } } });
  expect(held.body.mac).toBe(world.hub.vault.receiptMac(JSON.stringify(held.body.hold)));
  expect(await release(2)).toMatchObject(state('released'));
  expect(await books()).toEqual([1_100_000, 500_000, 300_000]);
  expect(await step(2, 'paid')).toMatchObject(decided('approved'));
  expect(await books()).toEqual([900_000, 300_000, 300_000]);
});

test('without the member’s PIN nothing is released, and the hold waits until it is too old', async () => {
  const { world, hold, release, step, books } = await counter();
  await hold(1);
  expect(await release(1, false)).toMatchObject(refused('pin-needed'));
  expect(await step(1, 'resolve')).toMatchObject(state('held'));
  world.shift += counterLimits.holdSeconds * 1000;
  expect(await release(1)).toMatchObject(decided('expired', 'hold-expired'));
  expect(await step(1, 'paid')).toMatchObject(decided('expired', 'hold-expired'));
  expect(await books()).toEqual([1_000_000, 400_000, 400_000]);
  expect((await world.hub.ledger.alarms(5)).map(({ kind }) => kind)).toEqual(['hold-ended']);
});

test('an unregistered holder keeps two million at most; an own limit of the day holds at the counter too', async () => {
  const { world, deposit, hold, release, step, books } = await counter();
  const { registry } = world.hub;
  const bambang = registry.card(BAMBANG as CardUid)?.member ?? ('' as MemberId);
  const signed = { officers: ['Ani', 'Budi'], at: Date.now() };
  registry.changeMember(bambang, signed, () => ({ profile: 'unregistered', perTap: null, perDay: 250_000n }));
  const approver = COLLEAGUE;
  expect(await deposit(1, { amount: 1_000_001, approver })).toMatchObject(decided('declined', 'balance-limit'));
  expect(await deposit(2, { amount: 1_000_000 })).toMatchObject(decided('approved'));
  expect(await hold(3, { amount: 200_000 })).toMatchObject(state('held'));
  expect(await hold(4, { amount: 50_001 })).toMatchObject(decided('declined', 'spend-day'));
  expect(await step(3, 'cancel')).toMatchObject(decided('cancelled', 'cancelled'));
  expect(await hold(5, { amount: 250_000 })).toMatchObject(state('held'));
  expect(await release(5)).toMatchObject(state('released'));
  expect(await step(5, 'paid')).toMatchObject(decided('approved'));
  expect(await hold(6, { amount: 1 })).toMatchObject(decided('declined', 'spend-day'));
  expect(await books()).toEqual([1_750_000, 1_150_000, 1_150_000]);
});

test('what was released may be out of the drawer: the kiosk cannot take it back, only say that it is', async () => {
  const { hold, release, step, books } = await counter();
  await hold(1);
  await release(1);
  expect(await step(1, 'cancel')).toMatchObject(refused('hold-released'));
  expect(await step(1, 'resolve')).toMatchObject(state('released'));
  expect(await step(1, 'paid')).toMatchObject(decided('approved'));
  expect(await step(1, 'cancel')).toMatchObject(decided('approved'));
  expect(await books()).toEqual([900_000, 300_000, 300_000]);
});

test('cash handed out before the release, or for what was never held, is refused with an alarm', async () => {
  const { world, hold, step, books } = await counter();
  await hold(1);
  expect(await step(1, 'paid')).toMatchObject(refused('hold-unreleased'));
  expect(await step(7, 'paid')).toMatchObject(refused('hold-unknown'));
  expect(await step(1, 'cancel')).toMatchObject(decided('cancelled', 'cancelled'));
  expect(await books()).toEqual([1_000_000, 400_000, 400_000]);
  const alarms = (await world.hub.ledger.alarms(5)).map(({ kind }) => kind);
  expect(alarms.sort()).toEqual(['hold-unknown', 'hold-unreleased']);
});

test('answers are the same for every retry, before and after a restart; asking decides nothing', async () => {
  const { world, deposit, hold, release, step, books, reconnect } = await counter();
  expect(await step(1, 'resolve')).toMatchObject({ body: { unknown: true } });
  expect(await step(3, 'resolve')).toMatchObject({ body: { unknown: true } });
  const first = [await deposit(1), await hold(2), await release(3), await hold(3)];
  await world.restart();
  await reconnect();
  const again = [await deposit(1), await hold(2), await release(4), await hold(3)];
  expect(again.map(({ body }) => body)).toEqual([
    ...first.map(({ body }) => body).slice(0, 2),
    again[2]?.body,
    first[3]?.body,
  ]);
  expect(await step(1, 'resolve')).toMatchObject(decided('approved'));
  expect(await step(2, 'resolve')).toMatchObject(state('held'));
  expect(await deposit(1, { amount: 100_001 })).toMatchObject(refused('body-differs'));
  expect(await hold(2, { teller: COLLEAGUE })).toMatchObject(refused('body-differs'));
  expect(await deposit(2)).toMatchObject(refused('body-differs'));
  expect(await books()).toEqual([1_100_000, 500_000, 300_000]);
});

test('closing an account sale of the same number touches no cash, and cash closes no sale', async () => {
  const { deposit, hold, release, step, closeSale, books } = await counter();
  await hold(1);
  await deposit(2);
  expect(await closeSale(1)).toMatchObject(decided('cancelled', 'cancelled'));
  expect(await closeSale(2)).toMatchObject({ body: { voided: false } });
  expect(await release(1)).toMatchObject(state('released'));
  expect(await step(1, 'paid')).toMatchObject(decided('approved'));
  expect(await books()).toEqual([1_000_000, 400_000, 400_000]);
});

test('who serves must be active staff of the counter, not the customer, and above a million not alone', async () => {
  const { world, deposit, hold, books } = await counter();
  const much = Number(counterLimits.approvalAbove) + 1;
  const frozen = world.hub.registry.card(COLLEAGUE as CardUid);
  expect(await deposit(1, { teller: SITI })).toMatchObject(decided('declined', 'teller-unknown'));
  expect(await deposit(2, { teller: '04ffffffffffff' })).toMatchObject(decided('declined', 'teller-unknown'));
  expect(await deposit(3, { uid: TELLER })).toMatchObject(decided('declined', 'teller-unknown'));
  expect(await deposit(4, { amount: much })).toMatchObject(decided('declined', 'approval-needed'));
  expect(await deposit(5, { amount: much, approver: TELLER })).toMatchObject(decided('declined', 'approval-needed'));
  expect(await deposit(6, { amount: much, approver: SITI })).toMatchObject(decided('declined', 'approval-needed'));
  expect(await deposit(7, { amount: much - 1 })).toMatchObject(decided('approved'));
  expect(await deposit(8, { amount: much, approver: COLLEAGUE })).toMatchObject(decided('approved'));
  expect(await hold(9, { uid: '04ffffffffffff' })).toMatchObject(decided('declined', 'card-unknown'));
  expect(await books()).toEqual([3_000_001, 2_400_001, 2_400_001]);
  if (frozen === undefined) throw new Error('no card');
  world.hub.registry.putCard({ ...frozen, status: 'frozen' });
  expect(await hold(10, { teller: COLLEAGUE })).toMatchObject(decided('declined', 'teller-unknown'));
});

test('cash goes over counters only, and only in the kiosk’s own number', async () => {
  const { world, kiosk, say } = await counter();
  const stall = await world.enrol('lapak-12', 'stall-12');
  const wire = await join(world, stall);
  const body = { kiosk: stall.grant.kiosk, seq: 1, ask: 'resolve' };
  expect(await ask(wire, stall.name, 'cash', body, 1)).toMatchObject(refused('not-allowed'));
  expect(await say({ seq: 1, ask: 'resolve', kiosk: kiosk.grant.kiosk + 1 })).toMatchObject(refused('not-yours'));
  expect(await say({ seq: 1, ask: 'steal' })).toMatchObject(refused('message-malformed'));
  const alarms = (await world.hub.ledger.alarms(5)).map(({ kind }) => kind);
  expect(alarms).toEqual(expect.arrayContaining(['role-foreign', 'pair-foreign']));
});
