/** Disputes as people take them up and decide them: who may, what is promised, what each party has in the end. */
import { expect, test } from 'vitest';
import {
  type DisputeDeps,
  decideDispute,
  type Opening,
  openDispute,
  type Ruling,
} from '../../../hub/operations/dispute.ts';
import type { CardUid, CooperativeId, MemberId, OutletId } from '../../../protocol/ids.ts';
import { openWorld, type World } from '../world.ts';

const BAMBANG = '04135350554c80' as CardUid;
const HOME = 'angkot' as CooperativeId;
const MARKET = 'pasar' as CooperativeId;
const STALL = 'stall-12' as OutletId;
const PAYMENT = { origin: 7, seq: 1 };
const NUMBER = '7/1';
const DAY = 86_400_000;

/** A hub at which Bambang has paid 50,000 at a stall of the market. */
async function paid() {
  const world = await openWorld();
  const { ledger } = world.hub;
  const figures = { issuer: HOME, member: 'ak-0001' as MemberId, acquirer: MARKET, outlet: STALL, amount: 50_000n };
  await ledger.post({
    key: PAYMENT,
    hash: 'a'.repeat(32),
    at: Date.now(),
    verdict: { approve: { kind: 'purchase', figures: { ...figures, fee: 0n, shares: [] } }, guards: [] },
    slot: null,
    facts: { amount: 50_000n, card: BAMBANG, issuer: HOME, acquirer: MARKET, outlet: STALL },
    evidence: null,
  });
  const now = () => Date.now() + world.shift;
  const deps = (): DisputeDeps => ({ ledger: world.hub.ledger, registry: world.hub.registry, now });
  return { world, deps };
}

const opening = (more: Partial<Opening> = {}): Opening => ({
  payment: PAYMENT,
  by: { officer: 'Ani Rahayu', cooperative: HOME },
  amount: 30_000n,
  provisional: 30_000n,
  days: 14,
  reason: 'Barang tidak pernah diserahkan',
  evidence: ['foto 12'],
  ...more,
});

const ruling = (more: Partial<Ruling> = {}): Ruling => ({
  payment: PAYMENT,
  word: 'won',
  cooperative: HOME,
  officers: ['Ani Rahayu', 'Budi Santoso'],
  reason: 'Pedagang mengakui',
  evidence: [],
  ...more,
});

async function books({ hub }: World) {
  const { total, brokenPairs, brokenAccounts, brokenEntries } = await hub.ledger.trialBalance();
  expect([total, brokenPairs, brokenAccounts, brokenEntries]).toEqual([0n, [], [], []]);
  const balances = await hub.ledger.balances([
    { cooperative: HOME, kind: 'member', owner: 'ak-0001' },
    { cooperative: MARKET, kind: 'payout', owner: STALL },
    { cooperative: HOME, kind: 'provisional', owner: NUMBER },
  ]);
  return balances.map(Number);
}

test('an officer of the card’s cooperative takes it up: number, promised date, and what is known of it', async () => {
  const { world, deps } = await paid();
  const before = Date.now();
  const answer = await openDispute(deps(), opening());
  expect(answer).toMatchObject({ ok: true, number: NUMBER, amount: 30_000n });
  const until = answer.ok ? (answer.until ?? 0) : 0;
  expect(until - before >= 14 * DAY && until - before < 14 * DAY + 60_000).toBe(true);
  expect(await books(world)).toEqual([980_000, 50_000, -30_000]);
  expect(await openDispute(deps(), opening())).toEqual(answer);
  expect(await books(world)).toEqual([980_000, 50_000, -30_000]);
  const [open] = await world.hub.ledger.disputes();
  expect(open).toMatchObject({ key: PAYMENT, disputed: 30_000n, provisional: 30_000n, refunded: 0n, until });
  expect(world.hub.registry.disputeNotes(NUMBER)).toMatchObject([
    { step: 'open', by: ['Ani Rahayu'], reason: 'Barang tidak pernah diserahkan', evidence: ['foto 12'] },
  ]);
});

test('won: the outlet gives the money back; lost: the member does; the first decision stands', async () => {
  for (const word of ['won', 'lost'] as const) {
    const { world, deps } = await paid();
    await openDispute(deps(), opening());
    expect(await decideDispute(deps(), ruling({ word }))).toMatchObject({ ok: true, amount: 30_000n, until: null });
    const end = word === 'won' ? [980_000, 20_000, 0] : [950_000, 50_000, 0];
    expect(await books(world)).toEqual(end);
    const other = ruling({ word: word === 'won' ? 'lost' : 'won' });
    expect(await decideDispute(deps(), other)).toMatchObject({ ok: false, refuse: 'dispute-none' });
    expect(await decideDispute(deps(), ruling({ word }))).toMatchObject({ ok: true, amount: 30_000n });
    expect(await openDispute(deps(), opening({ amount: 1n, provisional: 0n }))).toMatchObject({
      refuse: 'dispute-exists',
    });
    expect(await books(world)).toEqual(end);
    expect(await world.hub.ledger.disputes()).toEqual([]);
  }
});

test('the member may take it up; another member or cooperative’s officer learns nothing of the payment', async () => {
  const { deps } = await paid();
  const strangers = [
    opening({ by: { member: 'ak-0002' as MemberId } }),
    opening({ by: { officer: 'Cici', cooperative: MARKET } }),
    opening({ payment: { origin: 7, seq: 2 } }),
  ];
  const said = await Promise.all(strangers.map((one) => openDispute(deps(), one)));
  expect(said.every((answer) => JSON.stringify(answer) === JSON.stringify(said[0]))).toBe(true);
  expect(said[0]).toMatchObject({ ok: false, refuse: 'payment-unknown' });
  expect(await openDispute(deps(), opening({ by: { member: 'ak-0001' as MemberId } }))).toMatchObject({ ok: true });
  expect(await decideDispute(deps(), ruling({ cooperative: MARKET }))).toMatchObject({ refuse: 'payment-unknown' });
});

test('one officer, the same twice, no reason, too long a one, more credit than dispute: nothing is moved', async () => {
  const { world, deps } = await paid();
  const long = 'x'.repeat(501);
  for (const wrong of [{ reason: ' ' }, { reason: long }, { provisional: 30_001n }, { amount: 0n, provisional: 0n }]) {
    expect(await openDispute(deps(), opening(wrong))).toMatchObject({ ok: false, refuse: 'message-malformed' });
  }
  const more = { amount: 50_001n, provisional: 0n };
  expect(await openDispute(deps(), opening(more))).toMatchObject({ refuse: 'refund-exceeds' });
  await openDispute(deps(), opening());
  for (const officers of [['Ani'], ['Ani', ' ani'], ['Ani', 'Budi', 'Cici']]) {
    expect(await decideDispute(deps(), ruling({ officers }))).toMatchObject({ refuse: 'approval-needed' });
  }
  expect(await books(world)).toEqual([980_000, 50_000, -30_000]);
});

test('a term that has run out ends at the cooperative’s cost, and a later decision is told so', async () => {
  const { world, deps } = await paid();
  await openDispute(deps(), opening());
  await world.hub.ledger.expire(Date.now() + 15 * DAY);
  const late = await decideDispute(deps(), ruling());
  expect(late).toMatchObject({ refuse: 'dispute-none', detail: expect.stringContaining('dispute-lapsed') });
  expect(await books(world)).toEqual([980_000, 50_000, 0]);
});
