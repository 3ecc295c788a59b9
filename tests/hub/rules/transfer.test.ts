/** Transfers, judged: what leaves the sender, what arrives, and what the post must guard. */
import { expect, test } from 'vitest';
import { accountName } from '../../../hub/rules/accounts.ts';
import { DEMO_LICENCE, NO_LICENCE, PLAIN_HOLDER } from '../../../hub/rules/licence.ts';
import { entryOf, imbalance, type Static } from '../../../hub/rules/postings.ts';
import { judgeTransfer, type TransferFacts } from '../../../hub/rules/transfer.ts';
import type { CardUid, CooperativeId, MemberId } from '../../../protocol/ids.ts';
import { registered } from '../../../protocol/limits.ts';
import type { Tariff } from '../../../protocol/tariffs.ts';

const uid = '04a1b2c3d4e5f6' as CardUid;
const facts: TransferFacts = {
  date: '2026-11-24',
  amount: 100_000n,
  card: { uid, issuer: 'pasar' as CooperativeId, member: 'siti' as MemberId, active: true, limits: registered },
  outlet: { class: 'counter', open: true },
  receiver: { issuer: 'toko' as CooperativeId, member: 'dewi' as MemberId, active: true, limits: registered },
  tariffs: [],
  licenceOf: () => DEMO_LICENCE,
  holderOf: () => PLAIN_HOLDER,
  netDebitCap: 5_000_000n,
  capAlert: 4_000_000n,
};

/** Off-us, but for members only. */
const CLOSED = { ...DEMO_LICENCE, membersOnly: true };

const approved = (changes: Partial<TransferFacts> = {}) => {
  const verdict = judgeTransfer({ ...facts, ...changes });
  if (!('approve' in verdict)) throw new Error(verdict.refuse);
  return verdict;
};

const charged = (direction: 'member' | 'issuer') => {
  const tariff: Tariff = {
    version: 9,
    kind: 'transfer',
    direction,
    reach: 'off-us',
    fixed: 1_000n,
    basisPoints: 0,
    min: 0n,
    max: 1_000n,
    shares: [
      { to: 'issuer', weight: 2 },
      { to: 'platform', weight: 2 },
      { to: 'acquirer', weight: 1 },
    ],
    from: '2020-01-01',
  };
  const { approve, guards } = approved({ tariffs: [tariff] });
  const { legs, fee, payer } = entryOf(approve as Static);
  expect([fee, payer && accountName(payer), imbalance(legs)]).toEqual([1_000n, 'pasar/member/siti', null]);
  const spent = guards.find(({ kind }) => kind === 'spend');
  const lines = legs.map(({ account, amount }) => `${amount < 0n ? 'Dr' : 'Cr'} ${accountName(account)} ${amount}`);
  return { lines, spent: spent?.kind === 'spend' ? spent.amount : null };
};

test('a fee of 1.000 is paid by the sender on top, and comes to those whom the tariff names', () => {
  const { lines, spent } = charged('member');
  expect(lines).toEqual([
    'Dr toko/position/pasar -101000',
    'Cr toko/member/dewi 100000',
    'Cr toko/fee-income/- 200',
    'Cr toko/position/pasar 400',
    'Cr toko/position/platform 400',
    'Dr pasar/member/siti -101000',
    'Cr pasar/position/toko 101000',
    'Dr pasar/position/toko -400',
    'Cr pasar/fee-income/- 400',
    'Dr platform/position/toko -400',
    'Cr platform/fee-income/- 400',
  ]);
  expect(spent).toBe(101_000n);
});

test('a fee that the sender’s cooperative pays is its expense, and nothing to the sender’s limits', () => {
  const { lines, spent } = charged('issuer');
  expect(lines.slice(5, 8)).toEqual([
    'Dr pasar/member/siti -100000',
    'Dr pasar/fee-expense/- -1000',
    'Cr pasar/position/toko 101000',
  ]);
  expect(spent).toBe(100_000n);
});

test('the post guards the sender’s card, day and month, the cap there, and the receiver’s room', () => {
  const sender = { cooperative: 'pasar', kind: 'member', owner: 'siti' };
  const receiver = { cooperative: 'toko', kind: 'member', owner: 'dewi' };
  const amount = 100_000n;
  expect(approved().guards).toEqual([
    { kind: 'card-active', card: uid },
    { kind: 'pin', card: uid },
    { kind: 'spend', account: sender, amount, day: 10_000_000n, month: 40_000_000n },
    { kind: 'cap', cooperative: 'pasar', max: 5_000_000n, alert: 4_000_000n },
    { kind: 'income', account: receiver, amount, month: 40_000_000n },
    { kind: 'room', account: receiver, amount, max: 20_000_000n },
  ]);
});

test.each<readonly [string, Partial<TransferFacts>]>([
  ['card-unknown', { card: null }],
  ['card-blocked', { card: facts.card && { ...facts.card, active: false } }],
  ['outlet-closed', { outlet: { class: 'counter', open: false } }],
  ['receiver-unknown', { receiver: null }],
  ['receiver-unknown', { receiver: facts.receiver && { ...facts.receiver, active: false } }],
  ['transfer-self', { receiver: facts.card }],
  ['not-licensed', { licenceOf: () => NO_LICENCE }],
  ['members-only', { licenceOf: () => CLOSED, holderOf: () => ({ level: 'full', isPublic: true }) }],
  ['pay-limit', { amount: 2_000_001n }],
])('%s is the answer to %o', (refuse, changes) => {
  expect(judgeTransfer({ ...facts, ...changes })).toEqual({ refuse, outcome: 'declined' });
});
