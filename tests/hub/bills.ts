/** A kiosk for bills at the village cooperative over real MQTT, its biller a real server: what tests say and read. */
import { join as joinPath } from 'node:path';
import { Compile } from 'typebox/compile';
import { expect } from 'vitest';
import { type Edges, makeLog, realEdges } from '../../hub/edges.ts';
import { type Account, accountName, bankOf, billerOf } from '../../hub/rules/accounts.ts';
import { type Ledger, OFFICE_ORIGIN } from '../../hub/store/ledger.ts';
import { BillAnswer } from '../../protocol/bill.ts';
import type { KioskRole } from '../../protocol/enrolment.ts';
import type { CooperativeId } from '../../protocol/ids.ts';
import { billerSettings, openBiller } from '../town/biller.ts';
import { tapRequest } from './taps.ts';
import { ask, join } from './wire.ts';
import { openWorld, temporary } from './world.ts';

/** Bambang of angkot; Wayan of the village cooperative itself. */
export const BAMBANG = '04135350554c80';
export const WAYAN = '041b5350554c80';
export const HERE = 'kud' as CooperativeId;
export const BILL = { product: 'pln', customer: '530012345678', amount: 100_000, admin: 3_000 };
export const TOTAL = BILL.amount + BILL.admin;
export const DEPOSIT = 300_000n;

const fits = Compile(BillAnswer);

const account = (cooperative: string, kind: Account['kind'], owner: string): Account => ({
  cooperative: cooperative as CooperativeId,
  kind,
  owner,
});
/** All that a bill can touch, as the treasurer reads it. */
const PAGE: readonly Account[] = [
  account('angkot', 'member', 'ak-0001'),
  account('angkot', 'position', 'kud'),
  account('angkot', 'fee-income', '-'),
  account('kud', 'member', 'kd-0001'),
  account('kud', 'drawer', 'kud-loket'),
  account('kud', 'biller-deposit', 'ppob'),
  account('kud', 'position', 'angkot'),
  account('kud', 'position', 'platform'),
  account('kud', 'fee-income', '-'),
  account('platform', 'position', 'kud'),
  account('platform', 'fee-income', '-'),
];

/** The balances that a bill can touch, those of zero left out. */
export async function billPage(ledger: Ledger): Promise<Record<string, number>> {
  const { total, brokenPairs, brokenAccounts, brokenEntries } = await ledger.trialBalance();
  expect([total, brokenPairs, brokenAccounts, brokenEntries]).toEqual([0n, [], [], []]);
  const balances = await ledger.balances(PAGE);
  const named = PAGE.map((one, at) => [accountName(one), Number(balances[at])] as const);
  return Object.fromEntries(named.filter(([, balance]) => balance !== 0));
}

/** Two officers prepay the biller. */
export async function prepay(ledger: Ledger, amount = DEPOSIT): Promise<void> {
  const figures = { debit: billerOf(HERE, 'ppob'), credit: bankOf(HERE), amount, reason: 'deposit' };
  const posting = await ledger.post({
    key: { origin: OFFICE_ORIGIN, seq: 1 },
    hash: '',
    at: Date.now(),
    verdict: { approve: { kind: 'provision', figures }, guards: [] },
    slot: null,
    facts: { amount, card: null, issuer: HERE, acquirer: HERE, outlet: null },
    evidence: null,
  });
  expect(posting).toMatchObject({ kind: 'decided', receipt: expect.stringContaining('"approved"') });
}

/** What a kiosk says to pay this bill in cash. */
export const inCash = { ask: 'pay', from: 'cash', ...BILL, teller: WAYAN, approver: null };

/** What may be another than Bambang's tap of now for the bill. */
interface Tapped {
  readonly uid?: string;
  readonly at?: number;
  readonly amount?: number;
  readonly product?: string;
}

/** The hub's timers run this much faster, its clock does not. */
const HASTE = 5;

export async function openBills(role: KioskRole = 'bills', edges: Partial<Edges> = {}) {
  const real = realEdges(makeLog('silent'));
  const biller = await openBiller(joinPath(temporary(), 'biller.json'));
  const hasty = { later: (run: () => void, ms: number) => real.later(run, ms / HASTE), ...edges };
  const world = await openWorld({ billers: [billerSettings(biller.url)] }, hasty);
  await prepay(world.hub.ledger);
  const kiosk = await world.enrol('tagihan-1', 'kud-loket', role);
  let wire = await join(world, kiosk);
  let said = 0;
  let tmc = 4;
  const say = async (body: object) => {
    said += 1;
    const answer = await ask(wire, kiosk.name, 'bill', { kiosk: kiosk.grant.kiosk, ...body }, said);
    if (answer.name === 'bill') expect(fits.Check(answer.body), JSON.stringify(answer.body)).toBe(true);
    return answer;
  };
  /** The same tap told as a sale. */
  const sale = (body: object) => {
    said += 1;
    return ask(wire, kiosk.name, 'purchase', { kiosk: kiosk.grant.kiosk, ...body }, said);
  };
  /** The whole request for a bill from an account, under the next counter of the card. */
  const fromAccount = (seq: number, more: Tapped = {}) => {
    tmc += 1;
    const { uid = BAMBANG, at = Date.now() + world.shift, amount = BILL.amount, ...rest } = more;
    const { claim } = tapRequest(world.hub, kiosk, { uid, amount: amount + BILL.admin, seq, tmc, at });
    return { seq, ask: 'pay', from: 'account', ...BILL, amount, claim, ...rest };
  };
  return {
    world,
    biller,
    kiosk,
    say,
    sale,
    fromAccount,
    reference: (seq: number) => `${kiosk.grant.kiosk}-${seq}`,
    resolve: (seq: number) => say({ seq, ask: 'resolve' }),
    page: () => billPage(world.hub.ledger),
    /** Asks until the bill has ended. */
    async ended(seq: number) {
      await expect
        .poll(async () => (await say({ seq, ask: 'resolve' })).body, { timeout: 8000 })
        .toHaveProperty('receipt');
      return say({ seq, ask: 'resolve' });
    },
    async reconnect() {
      wire = await join(world, kiosk);
      said = 0;
    },
    async alarms() {
      return (await world.hub.ledger.alarms(20)).map(({ kind }) => kind);
    },
  };
}
