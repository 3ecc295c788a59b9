/** Journey 11: a sale across cooperatives is refunded, voided and disputed; after each step the treasurer's table. */
import { expect, test } from 'vitest';
import { decideDispute, openDispute } from '../../hub/operations/dispute.ts';
import type { Account } from '../../hub/rules/accounts.ts';
import type { CooperativeId } from '../../protocol/ids.ts';
import { tapRequest } from '../hub/taps.ts';
import { ask, join } from '../hub/wire.ts';
import { openWorld, type World } from '../hub/world.ts';

const BAMBANG = '04135350554c80';
const SITI = '04115350554c80';
const HOME = 'angkot' as CooperativeId;
const MARKET = 'pasar' as CooperativeId;
const PLATFORM = 'platform' as CooperativeId;
/** What lies in the way of one journey in a test file of whole hubs. */
const PATIENCE_MS = 120_000;

const page: readonly (readonly [string, Account])[] = [
  ['Bambang', { cooperative: HOME, kind: 'member', owner: 'ak-0001' }],
  ['stall', { cooperative: MARKET, kind: 'payout', owner: 'stall-12' }],
  ['market owes home', { cooperative: MARKET, kind: 'position', owner: HOME }],
  ['home fees', { cooperative: HOME, kind: 'fee-income', owner: '-' }],
  ['market fees', { cooperative: MARKET, kind: 'fee-income', owner: '-' }],
  ['platform fees', { cooperative: PLATFORM, kind: 'fee-income', owner: '-' }],
  ['laid out', { cooperative: HOME, kind: 'provisional', owner: '' }],
];

/** The table without its zeros, after a sound audit. */
async function table({ hub }: World, payment: string) {
  const { total, brokenPairs, brokenAccounts, brokenEntries } = await hub.ledger.trialBalance();
  expect([total, brokenPairs, brokenAccounts, brokenEntries]).toEqual([0n, [], [], []]);
  const accounts = page.map(([, account]) => (account.owner === '' ? { ...account, owner: payment } : account));
  const balances = await hub.ledger.balances(accounts);
  return Object.fromEntries(page.map(([name], at) => [name, Number(balances[at])]).filter(([, sum]) => sum !== 0));
}

/** A stall of the market with Bambang of the angkot cooperative before it. */
async function market() {
  const world = await openWorld();
  const kiosk = await world.enrol('lapak-12', 'stall-12');
  const wire = await join(world, kiosk);
  const no = kiosk.grant.kiosk;
  let said = 0;
  const say = (conversation: 'purchase' | 'refund' | 'resolve', body: object) => {
    said += 1;
    return ask(wire, kiosk.name, conversation, body, said);
  };
  return {
    world,
    no,
    async buy(seq: number, amount: number) {
      const tap = { uid: BAMBANG, amount, seq, tmc: 4 + seq, at: Date.now() };
      const { body } = await say('purchase', tapRequest(world.hub, kiosk, tap));
      expect(body).toMatchObject({ receipt: { outcome: 'approved' } });
    },
    async refund(seq: number, of: number, amount: number) {
      const original = { kiosk: no, seq: of };
      const asked = { kiosk: no, seq, ask: 'refund', original, amount, reason: 'wrong-amount', teller: SITI };
      const { outcome, reason } = (await say('refund', asked)).body.receipt as Record<string, unknown>;
      return reason ?? outcome;
    },
    cancel: (seq: number) => say('resolve', { kiosk: no, seq, kind: 'account', ask: 'cancel' }),
  };
}

const SOLD = {
  Bambang: 950_000,
  stall: 49_650,
  'market owes home': -49_850,
  'home fees': 150,
  'market fees': 150,
  'platform fees': 50,
};
const NOTHING = { Bambang: 1_000_000 };

test('50,000 are refunded in two parts: at the end every account is as before the sale, the fees too', {
  timeout: PATIENCE_MS,
}, async () => {
  const { world, no, buy, refund } = await market();
  await buy(1, 50_000);
  expect(await table(world, `${no}/1`)).toEqual(SOLD);
  expect(await refund(2, 1, 20_000)).toBe('approved');
  expect(await table(world, `${no}/1`)).toEqual({
    Bambang: 970_000,
    stall: 29_790,
    'market owes home': -29_910,
    'home fees': 90,
    'market fees': 90,
    'platform fees': 30,
  });
  expect(await refund(3, 1, 30_001)).toBe('refund-exceeds');
  expect(await refund(4, 1, 30_000)).toBe('approved');
  expect(await table(world, `${no}/1`)).toEqual(NOTHING);
});

test('a sale is voided at once; a refund afterwards finds nothing left', { timeout: PATIENCE_MS }, async () => {
  const { world, no, buy, refund, cancel } = await market();
  await buy(1, 50_000);
  expect((await cancel(1)).body).toMatchObject({ receipt: { outcome: 'approved' }, voided: true });
  expect(await table(world, `${no}/1`)).toEqual(NOTHING);
  expect(await refund(2, 1, 1)).toBe('refund-exceeds');
  expect(await table(world, `${no}/1`)).toEqual(NOTHING);
});

test('a dispute lays the money out; a refund repays it first, and what is left of it is won', {
  timeout: PATIENCE_MS,
}, async () => {
  const { world, no, buy, refund, cancel } = await market();
  await buy(1, 50_000);
  const payment = { origin: no, seq: 1 };
  const deps = { ledger: world.hub.ledger, registry: world.hub.registry, now: Date.now };
  const words = { payment, reason: 'Tidak kenal', evidence: [] };
  const by = { officer: 'Ani', cooperative: HOME };
  await openDispute(deps, { ...words, by, amount: 50_000n, provisional: 50_000n, days: 14 });
  expect(await table(world, `${no}/1`)).toEqual({ ...SOLD, Bambang: 1_000_000, 'laid out': -50_000 });
  expect(await refund(2, 1, 20_000)).toBe('approved');
  expect(await table(world, `${no}/1`)).toEqual({
    Bambang: 1_000_000,
    stall: 29_790,
    'market owes home': -29_910,
    'home fees': 90,
    'market fees': 90,
    'platform fees': 30,
    'laid out': -30_000,
  });
  const officers = ['Ani', 'Budi'];
  const won = await decideDispute(deps, { ...words, word: 'won', cooperative: HOME, officers });
  expect(won).toMatchObject({ ok: true, amount: 30_000n });
  expect(await table(world, `${no}/1`)).toEqual(NOTHING);
  await cancel(1);
  expect(await refund(3, 1, 1)).toBe('refund-exceeds');
  expect(await table(world, `${no}/1`)).toEqual(NOTHING);
});
