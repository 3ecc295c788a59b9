/** Takings over a real hub: to their owner's account or as cash, at any cooperative, and to nobody else. */
import { Compile } from 'typebox/compile';
import { expect, test } from 'vitest';
import { DecisionAnswer } from '../../../protocol/receipt.ts';
import { cards, openTreasury, receiptOf, word } from './treasurer.ts';

const fits = Compile(DecisionAnswer);
const TAXI = { cooperative: 'taksi', name: 'taksi-03' };
const TAKINGS = 'taksi/payout/taksi-03';
const OWED = 'taksi/receivable/taksi-03';
const AGUS = 'taksi/member/tx-0001';

const payout = (seq: number, amount: number, more: object = {}) => ({
  seq,
  ask: 'payout',
  payee: TAXI,
  amount,
  uid: cards.agus,
  pinVerified: true,
  ...more,
});

/** A taxi that has earned 99.300: 60.000 from Siti, 40.000 from Dewi, less 700. */
async function taxi() {
  const treasury = await openTreasury();
  const inTaxi = await treasury.kiosk('taksi-1', 'taksi-03');
  expect(word(await inTaxi.sell(1, cards.siti, 60_000))).toBe('approved');
  expect(word(await inTaxi.sell(2, cards.dewi, 40_000))).toBe('approved');
  return { ...treasury, inTaxi };
}

test('Agus drives his taxi, and has the day’s takings in cash at the savings cooperative', async () => {
  const { kiosk, table, fund } = await taxi();
  await fund('simpan-pinjam', 'ksp-loket', 400_000n);
  const loket = await kiosk('loket-1', 'ksp-loket', 'counter');
  const cash = { amount: 99_300, uid: cards.agus, teller: cards.hasan, approver: null, payee: TAXI };
  const books = [
    TAKINGS,
    AGUS,
    'simpan-pinjam/drawer/ksp-loket',
    'taksi/position/simpan-pinjam',
    'simpan-pinjam/position/taksi',
    'taksi/fee-expense/-',
    'simpan-pinjam/fee-income/-',
  ];
  const work = async () => {
    expect(word(await loket.say('cash', { seq: 1, ask: 'hold', ...cash, uid: cards.rudi }))).toBe('payee-foreign');
    const nobodys = { cooperative: 'taksi', name: 'taksi-04' };
    expect(word(await loket.say('cash', { seq: 2, ask: 'hold', ...cash, payee: nobodys }))).toBe('payee-unknown');
    expect(word(await loket.say('cash', { seq: 3, ask: 'hold', ...cash, amount: 99_301 }))).toBe('payout-short');
    expect(word(await loket.say('cash', { seq: 4, ask: 'hold', ...cash }))).toBe('held');
    expect(word(await loket.say('payout', payout(5, 1)))).toBe('payout-short');
    expect(word(await loket.say('cash', { seq: 4, ask: 'release', pinVerified: true }))).toBe('released');
    const paid = await loket.say('cash', { seq: 4, ask: 'paid' });
    expect(receiptOf(paid)).toMatchObject({ outcome: 'approved', issuer: 'taksi', fee: 1_500, balance: 0 });
  };
  expect(await table(books, work)).toEqual([
    [TAKINGS, 99_300, 0],
    [AGUS, 500_000, 500_000],
    ['simpan-pinjam/drawer/ksp-loket', -400_000, -300_700],
    ['taksi/position/simpan-pinjam', 0, 100_300],
    ['simpan-pinjam/position/taksi', 0, -100_300],
    ['taksi/fee-expense/-', 0, -1_500],
    ['simpan-pinjam/fee-income/-', 0, 1_000],
  ]);
});

test('Joko shops at the consumer cooperative with what his angkot has just earned', async () => {
  const { kiosk, table } = await openTreasury();
  const angkot = await kiosk('angkot-1', 'angkot-07');
  const shop = await kiosk('kasir-1', 'toko-kasir');
  const counter = await kiosk('loket-1', 'toko-kasir', 'counter');
  const mine = { payee: { cooperative: 'angkot', name: 'angkot-07' }, uid: cards.joko };
  const books = [
    'pasar/member/ps-0001',
    'angkot/payout/angkot-07',
    'angkot/member/ak-0002',
    'toko/payout/toko-kasir',
    'toko/position/angkot',
    'angkot/position/toko',
  ];
  const work = async () => {
    expect(word(await shop.sell(1, cards.joko, 260_000))).toBe('insufficient-funds');
    expect(word(await angkot.sell(1, cards.siti, 100_000, 20))).toBe('approved');
    expect(word(await counter.say('payout', payout(1, 23_832, mine)))).toBe('approved');
    expect(word(await shop.sell(2, cards.joko, 260_000))).toBe('approved');
  };
  expect(await table(books, work)).toEqual([
    ['pasar/member/ps-0001', 500_000, 400_000],
    ['angkot/payout/angkot-07', 0, 0],
    // 250.000 and 23.832 from the angkot, less 260.000.
    ['angkot/member/ak-0002', 250_000, 13_832],
    // Less 1.820: 780 to angkot, 780 to toko, 260 to Simpul.
    ['toko/payout/toko-kasir', 0, 258_180],
    ['toko/position/angkot', 0, -259_220],
    ['angkot/position/toko', 0, 259_220],
  ]);
});

test('an owner who is a member elsewhere is paid there, and the two cooperatives’ positions cancel', async () => {
  const { kiosk, table, registry } = await taxi();
  const outlet = registry.outlet('taksi-03' as never);
  const hasan = registry.card(cards.hasan as never)?.member;
  if (outlet === undefined || hasan === undefined) throw new Error('the pilot town lacks a taxi or Hasan');
  registry.putOutlet({ ...outlet, owner: hasan });
  const loket = await kiosk('loket-1', 'kud-loket', 'counter');
  const books = [TAKINGS, 'simpan-pinjam/member/sp-0001', 'taksi/position/simpan-pinjam'];
  const work = async () => {
    expect(word(await loket.say('payout', payout(1, 90_000)))).toBe('payee-foreign');
    expect(word(await loket.say('payout', payout(2, 90_000, { uid: cards.hasan })))).toBe('approved');
  };
  expect(await table(books, work)).toEqual([
    [TAKINGS, 99_300, 9_300],
    ['simpan-pinjam/member/sp-0001', 500_000, 590_000],
    ['taksi/position/simpan-pinjam', 0, 90_000],
  ]);
});

test('what the takings owe is paid first; while a debt is left nothing goes out', async () => {
  const { inTaxi, table, owe } = await taxi();
  await owe('taksi', 'taksi-03', 30_000n);
  const books = [TAKINGS, OWED, AGUS];
  const first = async () => {
    expect(word(await inTaxi.say('payout', payout(3, 99_300)))).toBe('payout-short');
    expect(word(await inTaxi.say('payout', payout(4, 60_000)))).toBe('approved');
  };
  expect(await table(books, first)).toEqual([
    [TAKINGS, 99_300, 9_300],
    [OWED, -30_000, 0],
    [AGUS, 500_000, 560_000],
  ]);
  await owe('taksi', 'taksi-03', 10_000n);
  const second = async () => expect(word(await inTaxi.say('payout', payout(5, 1)))).toBe('takings-owe');
  expect(await table(books, second)).toEqual([
    [TAKINGS, 9_300, 0],
    [OWED, -10_000, -700],
    [AGUS, 560_000, 560_000],
  ]);
});

test('takings go out at counters and at their own outlet, by their owner’s card and PIN, and once', async () => {
  const { kiosk, inTaxi, table, registry } = await taxi();
  const stall = await kiosk('lapak-1', 'stall-12');
  const work = async () => {
    expect(word(await stall.say('payout', payout(1, 1_000)))).toBe('not-allowed');
    expect(word(await inTaxi.say('payout', payout(3, 1_000, { pinVerified: false })))).toBe('pin-needed');
    expect(word(await inTaxi.say('payout', payout(3, 1_000, { kiosk: inTaxi.no + 1 })))).toBe('not-yours');
    const asked = await inTaxi.say('payout', { seq: 3, ask: 'resolve' });
    expect([word(asked), fits.Check(asked.body)]).toEqual(['unknown', true]);
    const paid = await inTaxi.say('payout', payout(3, 1_000));
    expect([word(paid), receiptOf(paid).balance, fits.Check(paid.body)]).toEqual(['approved', 98_300, true]);
    expect((await inTaxi.say('payout', payout(3, 1_000))).body).toEqual(paid.body);
    expect((await inTaxi.say('payout', { seq: 3, ask: 'resolve' })).body).toEqual(paid.body);
    expect(word(await inTaxi.say('payout', payout(3, 2_000)))).toBe('body-differs');
    const agus = registry.card(cards.agus as never);
    if (agus === undefined) throw new Error('no card');
    registry.putCard({ ...agus, status: 'frozen' });
    expect(word(await inTaxi.say('payout', payout(4, 1_000)))).toBe('card-blocked');
    expect(word(await inTaxi.say('payout', payout(5, 1_000, { uid: '04ffffffffffff' })))).toBe('card-unknown');
  };
  expect(await table([TAKINGS, AGUS], work)).toEqual([
    [TAKINGS, 99_300, 98_300],
    [AGUS, 500_000, 501_000],
  ]);
});
