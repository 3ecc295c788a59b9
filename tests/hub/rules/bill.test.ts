/** Bills, judged by tables: what of an outlet and of licences bears on a bill, and what only bears on sales. */
import { expect, test } from 'vitest';
import { type AccountBillFacts, judgeAccountBill } from '../../../hub/rules/bill.ts';
import { DEMO_LICENCE, NO_LICENCE } from '../../../hub/rules/licence.ts';
import type { CardUid, CooperativeId, KioskNo, MemberId, OutletId } from '../../../protocol/ids.ts';
import { registered } from '../../../protocol/limits.ts';

const [HERE, HOME, ELSEWHERE] = ['kud', 'angkot', 'pasar'] as CooperativeId[] as [
  CooperativeId,
  CooperativeId,
  CooperativeId,
];
const driver = { to: 'member', cooperative: ELSEWHERE, member: 'ps-0001' as MemberId, weight: 1 } as const;

/** A bill of 100.000 and 3.000 by a member of angkot at a counter whose sales go to a member of the market. */
function facts(unlicensed: CooperativeId | null): AccountBillFacts {
  const proven = { valid: true, wellFormed: true, sender: true, proven: true, beaconAgeSeconds: 1 };
  return {
    amount: 100_000n,
    admin: 3_000n,
    product: { biller: 'ppob', shares: { aggregator: 1_200n, acquirer: 900n, issuer: 600n, platform: 300n } },
    outlet: { id: 'kud-loket' as OutletId, cooperative: HERE, class: 'counter', open: true, payees: [driver] },
    capOf: () => ({ netDebitCap: 20_000_000n, capAlert: 16_000_000n }),
    sale: {
      date: '2026-06-01',
      kiosk: 7 as KioskNo,
      card: { uid: '04135350554c80' as CardUid, issuer: HOME, member: 'ak-0001' as MemberId, active: true },
      certificate: { ...proven, recordAmount: 103_000n },
      limits: registered,
      pinVerified: false,
      licenceOf: (cooperative) => (cooperative === unlicensed ? NO_LICENCE : DEMO_LICENCE),
    },
  };
}

test('a bill is paid to the biller: who earns the outlet’s sales, and under which licence, does not matter', () => {
  for (const unlicensed of [null, ELSEWHERE]) {
    const verdict = judgeAccountBill(facts(unlicensed));
    if ('refuse' in verdict) throw new Error(`refused: ${verdict.refuse}`);
    if (verdict.approve.kind !== 'bill') throw new Error('no bill');
    expect(verdict.approve.figures.to).toEqual([
      { account: { cooperative: HERE, kind: 'biller-deposit', owner: 'ppob' }, amount: 101_200n },
    ]);
    const capped = verdict.guards.filter((guard) => guard.kind === 'cap').map(({ cooperative }) => cooperative);
    expect(capped).toEqual([HOME]);
  }
});

test('a bill at another cooperative needs the licence of both', () => {
  for (const unlicensed of [HERE, HOME]) {
    expect(judgeAccountBill(facts(unlicensed))).toEqual({ refuse: 'not-licensed', outcome: 'declined' });
  }
});
