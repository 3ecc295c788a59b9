/** Fares over a real hub: who earns what of them, to the rupiah, and one who pays for several. */
import { expect, test } from 'vitest';
import type { CooperativeId } from '../../../protocol/ids.ts';
import { cards, openTreasury, receiptOf, word } from './treasurer.ts';

test('of a fare of 5.000 the driver earns 3.500, the owner 1.200 and the cooperative 300', async () => {
  const { kiosk, table } = await openTreasury();
  const angkot = await kiosk('angkot-1', 'angkot-07');
  const books = [
    'angkot/member/ak-0001',
    'angkot/payout/angkot-07-sopir',
    'angkot/payout/angkot-07',
    'angkot/fee-income/-',
  ];
  expect(await table(books, () => angkot.sell(1, cards.bambang, 5_000))).toEqual([
    ['angkot/member/ak-0001', 1_000_000, 995_000],
    ['angkot/payout/angkot-07-sopir', 0, 3_500],
    ['angkot/payout/angkot-07', 0, 1_200],
    ['angkot/fee-income/-', 0, 300],
  ]);
});

test('Siti of pasar pays for five: one payment of 25.000 less 175, split, and her receipt says 5 orang', async () => {
  const { kiosk, table } = await openTreasury();
  const angkot = await kiosk('angkot-1', 'angkot-07');
  const books = [
    'pasar/member/ps-0001',
    'pasar/position/angkot',
    'pasar/fee-income/-',
    'angkot/position/pasar',
    'angkot/payout/angkot-07-sopir',
    'angkot/payout/angkot-07',
    'angkot/fee-income/-',
    'angkot/position/platform',
    'platform/position/angkot',
    'platform/fee-income/-',
  ];
  const work = async () => {
    const paid = await angkot.sell(1, cards.siti, 25_000, 5);
    expect(receiptOf(paid)).toMatchObject({ outcome: 'approved', amount: 25_000, fee: 175, passengers: 5 });
    const uneven = await angkot.sell(2, cards.siti, 25_001, 5);
    expect([word(uneven), receiptOf(uneven).passengers]).toEqual(['fare-uneven', 5]);
    expect(word(await angkot.sell(3, cards.dewi, 21_000, 21))).toBe('message-malformed');
  };
  expect(await table(books, work)).toEqual([
    ['pasar/member/ps-0001', 500_000, 475_000],
    ['pasar/position/angkot', 0, 24_925],
    ['pasar/fee-income/-', 0, 75],
    ['angkot/position/pasar', 0, -24_925],
    ['angkot/payout/angkot-07-sopir', 0, 17_378],
    ['angkot/payout/angkot-07', 0, 5_958],
    // 1.489 of the fare, 75 of the fee.
    ['angkot/fee-income/-', 0, 1_564],
    ['angkot/position/platform', 0, 25],
    ['platform/position/angkot', 0, -25],
    ['platform/fee-income/-', 0, 25],
  ]);
});

test('an owner at the savings cooperative has the part at once, as far as angkot may owe there', async () => {
  const { kiosk, table, registry } = await openTreasury();
  const angkot = await kiosk('angkot-1', 'angkot-09');
  const books = [
    'angkot/member/ak-0001',
    'angkot/payout/angkot-09-sopir',
    'angkot/fee-income/-',
    'angkot/position/simpan-pinjam',
    'simpan-pinjam/position/angkot',
    'simpan-pinjam/member/sp-0001',
  ];
  expect(await table(books, () => angkot.sell(1, cards.bambang, 5_000))).toEqual([
    ['angkot/member/ak-0001', 1_000_000, 995_000],
    ['angkot/payout/angkot-09-sopir', 0, 3_500],
    ['angkot/fee-income/-', 0, 300],
    ['angkot/position/simpan-pinjam', 0, 1_200],
    ['simpan-pinjam/position/angkot', 0, -1_200],
    ['simpan-pinjam/member/sp-0001', 500_000, 501_200],
  ]);
  const angkotItself = registry.cooperative('angkot' as CooperativeId);
  if (angkotItself === undefined) throw new Error('no such cooperative');
  registry.putCooperative({ ...angkotItself, netDebitCap: 2_000n });
  expect(word(await angkot.sell(2, cards.joko, 5_000))).toBe('debit-cap');
});
