/** Cash over a counter, judged: who may serve whom, and what the ledger has to guard. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CashFacts, judgeCash, type Staff } from '../../../hub/rules/cash.ts';
import { DEMO_LICENCE, PLAIN_HOLDER } from '../../../hub/rules/licence.ts';
import { entryOf, imbalance } from '../../../hub/rules/postings.ts';
import { type CardUid, type CooperativeId, type MemberId, type OutletId, PLATFORM } from '../../../protocol/ids.ts';
import { counterLimits, registered } from '../../../protocol/limits.ts';
import { quote, type Tariff, tariffFault } from '../../../protocol/tariffs.ts';

const A = 'pasar' as CooperativeId;
const I = 'angkot' as CooperativeId;
const CARD = '04a1b2c3d4e5f6' as CardUid;
const outlet = { id: 'loket-1' as OutletId, cooperative: A, class: 'counter', open: true };

/** The pilot's: 1.500 from the member's cooperative, two parts to the counter's and one to Simpul. */
const tariff = (kind: 'deposit' | 'withdrawal'): Tariff => ({
  version: kind === 'deposit' ? 3 : 4,
  kind,
  direction: 'issuer',
  reach: 'off-us',
  fixed: 1_500n,
  basisPoints: 0,
  min: 0n,
  max: 1_500n,
  shares: [
    { to: 'acquirer', weight: 2 },
    { to: 'platform', weight: 1 },
  ],
  from: '2020-01-01',
});

const SITI = { cooperative: I, kind: 'member', owner: 'siti' } as const;

const staff = (member: string, changes: Partial<Staff> = {}): Staff => ({
  member: member as MemberId,
  cooperative: A,
  active: true,
  ...changes,
});

const facts = (changes: Partial<CashFacts> = {}): CashFacts => ({
  kind: 'withdrawal',
  date: '2026-11-24',
  amount: 200_000n,
  card: { uid: CARD, issuer: I, member: 'siti' as MemberId, active: true },
  outlet,
  teller: staff('ani'),
  approver: null,
  tariffs: [tariff('deposit'), tariff('withdrawal')],
  limits: registered,
  netDebitCap: (cooperative) => (cooperative === A ? 1n : 2n),
  licenceOf: () => DEMO_LICENCE,
  holderOf: () => PLAIN_HOLDER,
  capAlert: (cooperative) => (cooperative === A ? 10n : 20n),
  ...changes,
});

const word = (changes: Partial<CashFacts>) => {
  const verdict = judgeCash(facts(changes));
  return 'refuse' in verdict ? verdict.refuse : verdict.approve.kind;
};

test('a withdrawal at another cooperative costs the member’s cooperative 1.500, and draws float and its cap', () => {
  const shares = [
    { to: A, amount: 1_000n },
    { to: PLATFORM, amount: 500n },
  ];
  const figures = { issuer: I, member: 'siti', acquirer: A, outlet: outlet.id, amount: 200_000n, fee: 1_500n, shares };
  expect(judgeCash(facts())).toEqual({
    approve: { kind: 'withdrawal', figures },
    guards: [
      { kind: 'card-active', card: CARD },
      { kind: 'float', outlet: outlet.id, delta: -200_000n },
      { kind: 'spend', account: SITI, amount: 200_000n, day: registered.perDay, month: registered.perMonth },
      { kind: 'cap', cooperative: I, max: 2n, alert: 20n },
    ],
  });
});

test('a deposit raises float and income, must fit in the account, and counts in the cap of the counter’s owner', () => {
  expect(judgeCash(facts({ kind: 'deposit' }))).toMatchObject({
    guards: [
      {},
      { delta: 200_000n },
      { kind: 'income', account: SITI, amount: 200_000n, month: registered.perMonthIn },
      { kind: 'room', account: SITI, amount: 200_000n, max: registered.maxBalance },
      { kind: 'cap', cooperative: A, max: 1n, alert: 10n },
    ],
  });
});

test('at home cash costs nothing', () => {
  const card = { uid: CARD, issuer: A, member: 'siti' as MemberId, active: true };
  expect(judgeCash(facts({ card }))).toMatchObject({ approve: { figures: { fee: 0n, shares: [] } } });
});

const above = counterLimits.approvalAbove + 1n;

test.each<readonly [string, Partial<CashFacts>, string]>([
  ['an unknown card', { card: null }, 'card-unknown'],
  ['a frozen card', { card: { uid: CARD, issuer: I, member: 'siti' as MemberId, active: false } }, 'card-blocked'],
  ['a counter that is not registered', { outlet: null }, 'outlet-closed'],
  ['a closed counter', { outlet: { ...outlet, open: false } }, 'outlet-closed'],
  ['no teller', { teller: null }, 'teller-unknown'],
  ['a teller whose card is frozen', { teller: staff('ani', { active: false }) }, 'teller-unknown'],
  ['a teller of another cooperative', { teller: staff('ani', { cooperative: I }) }, 'teller-unknown'],
  ['a teller who serves herself', { teller: staff('siti') }, 'teller-unknown'],
  ['a million, alone', { amount: counterLimits.approvalAbove }, 'withdrawal'],
  ['more, alone', { amount: above }, 'approval-needed'],
  ['more, approved by the teller herself', { amount: above, approver: staff('ani') }, 'approval-needed'],
  ['more, approved by the customer', { amount: above, approver: staff('siti') }, 'approval-needed'],
  ['more, approved from elsewhere', { amount: above, approver: staff('budi', { cooperative: I }) }, 'approval-needed'],
  ['more, approved by a colleague', { amount: above, approver: staff('budi') }, 'withdrawal'],
])('%s', (_what, changes, expected) => {
  expect(word(changes)).toBe(expected);
});

test('a fee on cash is the member’s cooperative’s, one on a sale the outlet’s; any other tariff is refused', () => {
  expect(tariffFault(tariff('deposit'))).toBeNull();
  const { direction: _issuer, ...merchant } = tariff('withdrawal');
  expect(tariffFault(merchant)).toMatch(/cannot be paid for by the merchant/);
  expect(tariffFault({ ...merchant, kind: 'purchase' })).toBeNull();
  expect(tariffFault({ ...tariff('deposit'), kind: 'purchase' })).toMatch(/cannot be paid for by the issuer/);
});

test('cash of any amount and fee balances in all, by cooperative and by pair, and moves what was counted', () => {
  const cooperatives = fc.constantFrom('pasar', 'angkot', 'taksi');
  const amounts = fc.oneof(fc.bigInt({ min: 1n, max: 2_000n }), fc.bigInt({ min: 1n, max: 2n ** 28n - 1n }));
  const weights = fc.tuple(
    fc.integer({ min: 0, max: 9 }),
    fc.integer({ min: 0, max: 9 }),
    fc.integer({ min: 1, max: 9 }),
  );
  const kinds = fc.constantFrom('deposit', 'withdrawal');
  fc.assert(
    fc.property(cooperatives, cooperatives, kinds, amounts, weights, (issuer, acquirer, kind, amount, [i, a, p]) => {
      const [home, here] = [issuer as CooperativeId, acquirer as CooperativeId];
      const shares = [
        { to: 'issuer', weight: i },
        { to: 'acquirer', weight: a },
        { to: 'platform', weight: p },
      ] as const;
      const reach = home === here ? 'on-us' : 'off-us';
      const priced = quote([{ ...tariff(kind), reach, shares }], {
        kind,
        issuer: home,
        acquirer: here,
        class: 'counter',
        amount,
        date: '2026-11-24',
      });
      const { fee, shares: parts } = priced;
      const figures = { issuer: home, member: 'siti' as MemberId, acquirer: here, outlet: outlet.id, amount };
      const { legs } = entryOf({ kind, figures: { ...figures, fee, shares: parts } });
      expect(imbalance(legs)).toBeNull();
      const moved = (account: string) =>
        legs.reduce((sum, leg) => (leg.account.kind === account ? sum + leg.amount : sum), 0n);
      const sign = kind === 'deposit' ? 1n : -1n;
      expect([moved('member'), moved('drawer'), moved('fee-expense')]).toEqual([
        sign * amount,
        -sign * amount,
        -priced.fee,
      ]);
    }),
    { numRuns: 500 },
  );
});
