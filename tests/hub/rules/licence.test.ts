/** What a licence refuses, as a table; money on its way back is never kept, and half a licence is no licence. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { judgeCash } from '../../../hub/rules/cash.ts';
import {
  DEMO_LICENCE,
  DUE_DILIGENCE,
  type Holder,
  isBelow,
  LICENSED_KINDS,
  type Licence,
  type LicensedKind,
  licenceFault,
  licenceRefusal,
  mayHold,
  NO_LICENCE,
  PLAIN_HOLDER,
} from '../../../hub/rules/licence.ts';
import type { CardUid, CooperativeId, MemberId, OutletId } from '../../../protocol/ids.ts';
import { registered } from '../../../protocol/limits.ts';
import { refusals } from '../../../protocol/refusals.ts';

const ALL: Licence = { ...NO_LICENCE, offUs: true, purse: true, deposits: true, membersOnly: false };

/** Kinds that are refused, in the order of the table. */
const refused = (away: boolean, issuer: Licence, acquirer = issuer): LicensedKind[] =>
  LICENSED_KINDS.filter((kind) => licenceRefusal(kind, away, issuer, acquirer) !== null);

const ABROAD: LicensedKind[] = [
  'purchase',
  'purse-sale',
  'deposit',
  'withdrawal',
  'transfer',
  'payout',
  'bill',
  'cashback',
  'points',
  'redeem',
];
const BACK: LicensedKind[] = [
  'claim',
  'reload',
  'reload-void',
  'drain',
  'purse-return',
  'void',
  'refund',
  'reward-return',
  'dispute',
  'dispute-won',
  'dispute-lost',
  'dispute-lapsed',
  'hold-release',
  'hold-settle',
];

test.each<readonly [string, Partial<Licence>, Partial<Licence>, LicensedKind[], LicensedKind[]]>([
  ['with all switches on nothing is refused', {}, {}, [], []],
  ['off-us off at the member’s: all that goes elsewhere', { offUs: false }, {}, [], ABROAD],
  ['off-us off at the other’s: the same', {}, { offUs: false }, [], ABROAD],
  [
    'purse off: what loads a purse or sells from it',
    { purse: false },
    {},
    ['purse-sale', 'reload-release'],
    ['purse-sale', 'reload-release'],
  ],
  ['purse off at the other’s is nothing to the member', {}, { purse: false }, [], []],
  ['deposits off: cash in and out', { deposits: false }, {}, ['deposit', 'withdrawal'], ['deposit', 'withdrawal']],
  ['deposits off at the counter’s is nothing to the member', {}, { deposits: false }, [], []],
  ['members only is no matter of kinds', { membersOnly: true }, { membersOnly: true }, [], []],
])('%s', (_what, issuer, acquirer, atHome, away) => {
  const [home, other] = [
    { ...ALL, ...issuer },
    { ...ALL, ...acquirer },
  ];
  expect(refused(false, home)).toEqual(atHome);
  expect(refused(true, home, other)).toEqual(away);
});

test('a demonstration refuses nothing, and no licence at all still sells at home', () => {
  expect([refused(false, DEMO_LICENCE), refused(true, DEMO_LICENCE)]).toEqual([[], []]);
  expect(refused(false, NO_LICENCE)).toEqual(['purse-sale', 'reload-release', 'deposit', 'withdrawal']);
});

const licences = fc.record({
  offUs: fc.boolean(),
  purse: fc.boolean(),
  deposits: fc.boolean(),
  membersOnly: fc.boolean(),
});

test('whatever is off, claims, refunds, voids, drains, returns and ends of holds are never refused', () => {
  fc.assert(
    fc.property(fc.boolean(), licences, licences, (away, issuer, acquirer) => {
      const word = refused(away, { ...ALL, ...issuer }, { ...ALL, ...acquirer });
      expect(word.filter((kind) => BACK.includes(kind))).toEqual([]);
    }),
  );
});

test('another switch on never refuses what was allowed before', () => {
  fc.assert(
    fc.property(fc.boolean(), licences, licences, licences, (away, issuer, acquirer, more) => {
      const wider = { ...ALL };
      for (const name of ['offUs', 'purse', 'deposits'] as const)
        wider[name as never] = (issuer[name] || more[name]) as never;
      const before = refused(away, { ...ALL, ...issuer }, { ...ALL, ...acquirer });
      expect(before).toEqual(expect.arrayContaining(refused(away, wider, { ...ALL, ...acquirer })));
    }),
  );
});

const HOME = 'angkot' as CooperativeId;
const cash = (kind: 'deposit' | 'withdrawal', licence: Licence, holder: Holder) => {
  const verdict = judgeCash({
    kind,
    date: '2026-11-24',
    amount: 50_000n,
    card: { uid: '04a1b2c3d4e5f6' as CardUid, issuer: HOME, member: 'siti' as MemberId, active: true },
    outlet: { id: 'loket-1' as OutletId, cooperative: HOME, class: 'counter', open: true },
    teller: { member: 'ani' as MemberId, cooperative: HOME, active: true },
    approver: null,
    tariffs: [],
    limits: registered,
    netDebitCap: () => 0n,
    capAlert: () => 0n,
    licenceOf: () => licence,
    holderOf: () => holder,
  });
  return 'refuse' in verdict ? verdict.refuse : verdict.approve.kind;
};

test('one of the public may put no money into a cooperative for members only, and gets out what is there', () => {
  const stranger = { ...PLAIN_HOLDER, isPublic: true };
  expect(cash('deposit', { ...ALL, membersOnly: true }, stranger)).toBe('members-only');
  expect(cash('withdrawal', { ...ALL, membersOnly: true }, stranger)).toBe('withdrawal');
  expect(cash('deposit', ALL, stranger)).toBe('deposit');
  expect(cash('deposit', { ...ALL, membersOnly: true }, PLAIN_HOLDER)).toBe('deposit');
  expect(mayHold(DEMO_LICENCE, stranger)).toBe(true);
});

test('a level below the least of the cooperative is below it, and no other', () => {
  const below = DUE_DILIGENCE.map((least) =>
    DUE_DILIGENCE.map((level) => isBelow({ ...ALL, dueDiligence: least }, { ...PLAIN_HOLDER, level })),
  );
  expect(below).toEqual([
    [false, false, false],
    [true, false, false],
    [true, true, false],
  ]);
});

test('a licence whose parts do not fit is told what is wrong', () => {
  const fault = (parts: Partial<Licence>) => licenceFault({ ...NO_LICENCE, ...parts });
  expect(fault({})).toBeNull();
  expect(licenceFault(DEMO_LICENCE)).toBeNull();
  expect(fault({ cashThreshold: null })).toBeNull();
  expect(fault({ cashNotice: 100_000_000n })).toBeNull();
  expect(fault({ cashNotice: 500_000_000n })).toMatch(/below its threshold/);
  expect(fault({ cashThreshold: 0n })).toMatch(/Rp 1 to/);
  expect(fault({ retentionYears: 0 })).toMatch(/whole years/);
  expect(fault({ profiles: { ...NO_LICENCE.profiles, full: 'Full!' } })).toMatch(/level full is no name/);
});

test('the numbers of the refusals are their own', () => {
  expect([refusals['not-licensed'].no, refusals['members-only'].no]).toEqual([135, 136]);
  const numbers = Object.values(refusals).map(({ no }) => no as number);
  expect(new Set(numbers).size).toBe(numbers.length);
});
