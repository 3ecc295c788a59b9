/** An account sale is judged in a fixed order, and the first thing that is wrong is the answer. */
import { expect, test } from 'vitest';
import { DEMO_LICENCE, NO_LICENCE } from '../../../hub/rules/licence.ts';
import { entryOf, type Static } from '../../../hub/rules/postings.ts';
import { judgePurchase, type PurchaseFacts } from '../../../hub/rules/purchase.ts';
import type { CardUid, CooperativeId, KioskNo, MemberId, OutletId } from '../../../protocol/ids.ts';
import { registered } from '../../../protocol/limits.ts';
import type { Outcome } from '../../../protocol/receipt.ts';
import type { Refusal } from '../../../protocol/refusals.ts';
import type { Tariff } from '../../../protocol/tariffs.ts';

const uid = '04a1b2c3d4e5f6' as CardUid;
const card = { uid, issuer: 'angkot' as CooperativeId, member: 'siti' as MemberId, active: true };
const account = { cooperative: card.issuer, kind: 'member', owner: card.member };
const outlet = { id: 'lapak-12' as OutletId, cooperative: 'pasar' as CooperativeId, class: 'retail', open: true };
const certificate = {
  valid: true,
  wellFormed: true,
  recordAmount: 50_000n,
  sender: true,
  proven: true,
  beaconAgeSeconds: 12,
};
const sound: PurchaseFacts = {
  date: '2026-11-24',
  amount: 50_000n,
  kiosk: 7 as KioskNo,
  card,
  outlet,
  certificate,
  tariffs: [],
  limits: registered,
  pinVerified: false,
  netDebitCap: 5_000_000n,
  licenceOf: () => DEMO_LICENCE,
  capAlert: 4_000_000n,
};

/** One thing wrong at a time, in the order of judging. */
const wrong: readonly (readonly [string, (facts: PurchaseFacts) => PurchaseFacts, Refusal, Outcome])[] = [
  ['a card nobody registered', (f) => ({ ...f, card: null }), 'card-unknown', 'declined'],
  ['a certificate that does not verify', (f) => certified(f, { valid: false }), 'certificate-invalid', 'declined'],
  ['another list of commands', (f) => certified(f, { wellFormed: false }), 'certificate-malformed', 'declined'],
  ['another amount on the card', (f) => certified(f, { recordAmount: 49_999n }), 'certificate-malformed', 'declined'],
  ['no record that can be read', (f) => certified(f, { recordAmount: null }), 'certificate-malformed', 'declined'],
  ['another kiosk or seq on the card', (f) => certified(f, { sender: false }), 'certificate-malformed', 'declined'],
  ['a proof that is not the kiosk’s', (f) => certified(f, { proven: false }), 'certificate-malformed', 'declined'],
  ['a beacon of 61 seconds', (f) => certified(f, { beaconAgeSeconds: 61 }), 'expired', 'expired'],
  ['no beacon of this hub', (f) => certified(f, { beaconAgeSeconds: null }), 'expired', 'expired'],
  ['a beacon of the future', (f) => certified(f, { beaconAgeSeconds: -1 }), 'expired', 'expired'],
  ['a blocked card', (f) => ({ ...f, card: f.card && { ...f.card, active: false } }), 'card-blocked', 'declined'],
  ['a kiosk without outlet', (f) => ({ ...f, outlet: null }), 'outlet-closed', 'declined'],
  ['a closed outlet', (f) => ({ ...f, outlet: f.outlet && { ...f.outlet, open: false } }), 'outlet-closed', 'declined'],
  ['a licence for home only', (f) => ({ ...f, licenceOf: () => NO_LICENCE }), 'not-licensed', 'declined'],
  ['a rupiah above the limit', (f) => ({ ...f, limits: { ...f.limits, perTap: 49_999n } }), 'pay-limit', 'declined'],
  ['more than goes without PIN', (f) => ({ ...f, limits: { ...f.limits, pinAbove: 1n } }), 'pin-needed', 'declined'],
  ['a fare not the same for each', (f) => ({ ...f, passengers: 3 }), 'fare-uneven', 'declined'],
];

function certified(facts: PurchaseFacts, change: Partial<PurchaseFacts['certificate']>): PurchaseFacts {
  return { ...facts, certificate: { ...facts.certificate, ...change } };
}

test.each(wrong)('%s is refused', (_name, change, refuse, outcome) => {
  expect(judgePurchase(change(sound))).toEqual({ refuse, outcome });
});

test('of any two things wrong the earlier in the order is the answer', () => {
  for (const [index, [, first, refuse, outcome]] of wrong.entries()) {
    for (const [, second] of wrong.slice(index + 1)) {
      expect(judgePurchase(second(first(sound)))).toEqual({ refuse, outcome });
    }
  }
});

test('a sound sale is approved, and the ledger is asked for status, pause, limits and cap in this order', () => {
  const verdict = judgePurchase(sound);
  if (!('approve' in verdict)) throw new Error(`refused: ${verdict.refuse}`);
  expect(verdict.approve.kind).toBe('purchase');
  expect(entryOf(verdict.approve as Static).legs).toHaveLength(4);
  expect(verdict.guards).toEqual([
    { kind: 'card-active', card: uid },
    { kind: 'pause', card: uid, kiosk: 7, seconds: 60 },
    { kind: 'day', card: uid, amount: 50_000n, max: 1_000_000n },
    { kind: 'no-pin', card: uid, amount: 50_000n, max: 2_000_000n },
    { kind: 'spend', account, amount: 50_000n, day: 10_000_000n, month: 40_000_000n },
    { kind: 'cap', cooperative: 'angkot', max: 5_000_000n, alert: 4_000_000n },
  ]);
});

test('with the PIN a payment above the threshold is approved, and starts the sum without PIN anew', () => {
  const limits = { ...registered, pinAbove: 49_999n };
  const verdict = judgePurchase({ ...sound, limits, pinVerified: true });
  if (!('approve' in verdict)) throw new Error(`refused: ${verdict.refuse}`);
  expect(verdict.guards.map(({ kind }) => kind)).toEqual(['card-active', 'pause', 'pin', 'spend', 'cap']);
});

test('the limit per payment holds with the PIN too', () => {
  const limits = { ...registered, perTap: 49_999n };
  expect(judgePurchase({ ...sound, limits, pinVerified: true })).toEqual({ refuse: 'pay-limit', outcome: 'declined' });
});

test('a beacon of exactly 60 seconds and a sale of exactly the limit still pass', () => {
  const edge = certified(
    { ...sound, limits: { ...registered, perTap: 50_000n, pinAbove: 50_000n } },
    { beaconAgeSeconds: 60 },
  );
  expect('approve' in judgePurchase(edge)).toBe(true);
  expect('approve' in judgePurchase(certified(sound, { beaconAgeSeconds: 0 }))).toBe(true);
});

test('the fee of the tariff in force is taken from the outlet, not from the member', () => {
  const tariff = {
    version: 1,
    kind: 'purchase',
    reach: 'off-us',
    fixed: 350n,
    basisPoints: 0,
    min: 0n,
    max: 350n,
    shares: [{ to: 'acquirer', weight: 1 }],
    from: '2026-01-01',
  } as const;
  const verdict = judgePurchase({ ...sound, tariffs: [tariff] });
  if (!('approve' in verdict)) throw new Error(`refused: ${verdict.refuse}`);
  const { legs, fee } = entryOf(verdict.approve as Static);
  const amountOf = (kind: string) => legs.find((leg) => leg.account.kind === kind)?.amount;
  expect([fee, amountOf('member'), amountOf('payout')]).toEqual([350n, -50_000n, 49_650n]);
});

test('a fee that the member pays is in the certified total: the outlet gets its price, and no other total pays', () => {
  const tariff: Tariff = {
    version: 1,
    kind: 'purchase',
    direction: 'member',
    reach: 'off-us',
    fixed: 0n,
    basisPoints: 100,
    min: 500n,
    max: 500n,
    shares: [{ to: 'acquirer', weight: 1 }],
    from: '2026-01-01',
  };
  const verdict = judgePurchase({ ...sound, tariffs: [tariff] });
  if (!('approve' in verdict)) throw new Error(`refused: ${verdict.refuse}`);
  const { legs, fee } = entryOf(verdict.approve as Static);
  const amountOf = (kind: string) => legs.find((leg) => leg.account.kind === kind)?.amount;
  expect([fee, amountOf('member'), amountOf('payout')]).toEqual([500n, -50_000n, 49_500n]);
  const dear: Tariff = { ...tariff, min: 50_000n, max: 50_000n };
  expect(judgePurchase({ ...sound, tariffs: [dear] })).toEqual({ refuse: 'tariff-differs', outcome: 'declined' });
});

test('where a payee lives elsewhere the outlet’s cooperative comes to owe too, and its cap is guarded', () => {
  const payees = [
    { to: 'cooperative', weight: 76 },
    { to: 'member', cooperative: 'kud' as CooperativeId, member: 'wayan' as MemberId, weight: 24 },
  ] as const;
  const guarded = (changes: Partial<PurchaseFacts>) => {
    const verdict = judgePurchase({ ...sound, acquirerCap: 7n, ...changes });
    if (!('approve' in verdict)) throw new Error(verdict.refuse);
    return verdict.guards.filter(({ kind }) => kind === 'cap');
  };
  const issuer = { kind: 'cap', cooperative: 'angkot', max: 5_000_000n, alert: 4_000_000n };
  expect(guarded({})).toEqual([issuer]);
  expect(guarded({ outlet: { ...outlet, payees: payees.slice(0, 1) } })).toEqual([issuer]);
  expect(guarded({ outlet: { ...outlet, payees } })).toEqual([issuer, { kind: 'cap', cooperative: 'pasar', max: 7n }]);
});
