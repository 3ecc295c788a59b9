/** Journeys as a treasurer writes them down: who had what before and after, with every book they touch. */
import { expect, test } from 'vitest';
import type { CardMoneyKind } from '../../../hub/rules/entries.ts';
import { OFFICE_ORIGIN, RELEASE_ORIGIN, RELOAD_ORIGIN } from '../../../hub/store/ledger.ts';
import type { CardUid, CooperativeId, MemberId } from '../../../protocol/ids.ts';
import { cards, openTreasury, word } from './treasurer.ts';

const COUNTER = 'ksp-loket';
const HOME = 'angkot' as CooperativeId;
const BAMBANG = 'ak-0001' as MemberId;
const CARD = cards.bambang as CardUid;

test('off-us purchase: Bambang of angkot buys for 50.000 at a stall of the market', async () => {
  const { kiosk, table } = await openTreasury();
  const stall = await kiosk('stall-1', 'stall-12');
  const books = [
    'angkot/member/ak-0001',
    'angkot/position/pasar',
    'angkot/fee-income/-',
    'pasar/position/angkot',
    'pasar/payout/stall-12',
    'pasar/fee-income/-',
    'pasar/position/platform',
    'platform/position/pasar',
    'platform/fee-income/-',
  ];
  expect(await table(books, async () => expect(word(await stall.sell(1, CARD, 50_000))).toBe('approved'))).toEqual([
    ['angkot/member/ak-0001', 1_000_000, 950_000],
    ['angkot/position/pasar', 0, 49_850],
    ['angkot/fee-income/-', 0, 150],
    ['pasar/position/angkot', 0, -49_850],
    ['pasar/payout/stall-12', 0, 49_650],
    ['pasar/fee-income/-', 0, 150],
    ['pasar/position/platform', 0, 50],
    ['platform/position/pasar', 0, -50],
    ['platform/fee-income/-', 0, 50],
  ]);
});

test('cash at another cooperative: Bambang pays 100.000 in and takes 200.000 out, his own pays', async () => {
  const { kiosk, table, fund } = await openTreasury();
  await fund('simpan-pinjam', COUNTER, 400_000n);
  const counter = await kiosk('loket-1', COUNTER, 'counter');
  const books = [
    'angkot/member/ak-0001',
    'angkot/fee-expense/-',
    'angkot/position/simpan-pinjam',
    'angkot/position/platform',
    'simpan-pinjam/drawer/ksp-loket',
    'simpan-pinjam/position/angkot',
    'simpan-pinjam/fee-income/-',
    'platform/position/angkot',
    'platform/fee-income/-',
  ];
  const served = { uid: CARD, teller: cards.hasan, approver: null };
  const payIn = async () => {
    const answer = await counter.say('cash', { seq: 1, ask: 'deposit', amount: 100_000, ...served });
    expect(word(answer)).toBe('approved');
  };
  expect(await table(books, payIn)).toEqual([
    ['angkot/member/ak-0001', 1_000_000, 1_100_000],
    ['angkot/fee-expense/-', 0, -1_500],
    ['angkot/position/simpan-pinjam', 0, -99_000],
    ['angkot/position/platform', 0, 500],
    ['simpan-pinjam/drawer/ksp-loket', -400_000, -500_000],
    ['simpan-pinjam/position/angkot', 0, 99_000],
    ['simpan-pinjam/fee-income/-', 0, 1_000],
    ['platform/position/angkot', 0, -500],
    ['platform/fee-income/-', 0, 500],
  ]);
  const takeOut = async () => {
    const steps = [
      { seq: 2, ask: 'hold', amount: 200_000, ...served },
      { seq: 2, ask: 'release', pinVerified: true },
      { seq: 2, ask: 'paid' },
    ];
    const said: string[] = [];
    for (const step of steps) said.push(word(await counter.say('cash', step)));
    expect(said).toEqual(['held', 'released', 'approved']);
  };
  expect(await table(books, takeOut)).toEqual([
    ['angkot/member/ak-0001', 1_100_000, 900_000],
    ['angkot/fee-expense/-', -1_500, -3_000],
    ['angkot/position/simpan-pinjam', -99_000, 102_000],
    ['angkot/position/platform', 500, 1_000],
    ['simpan-pinjam/drawer/ksp-loket', -500_000, -300_000],
    ['simpan-pinjam/position/angkot', 99_000, -102_000],
    ['simpan-pinjam/fee-income/-', 1_000, 2_000],
    ['platform/position/angkot', -500, -1_000],
    ['platform/fee-income/-', 500, 1_000],
  ]);
});

test('a purse is loaded with 50.000 in two steps, and what a lost card held comes back to the account', async () => {
  const { world, table } = await openTreasury();
  const { ledger } = world.hub;
  const books = [`angkot/member/ak-0001`, `angkot/in-transit/${CARD}`, `angkot/purse/${CARD}`];
  const move = async (kind: CardMoneyKind, origin: number, seq: number) => {
    const figures = { issuer: HOME, member: BAMBANG, card: CARD, amount: 50_000n };
    const facts = { amount: 50_000n, card: CARD, issuer: HOME, acquirer: null, outlet: null };
    const verdict = { approve: { kind, figures }, guards: [] };
    const request = { key: { origin, seq }, hash: '', at: Date.now(), verdict, slot: null, facts, evidence: null };
    expect(await ledger.post(request)).toMatchObject({ receipt: expect.stringContaining('"approved"') });
  };
  expect(await table(books, () => move('reload-release', RELEASE_ORIGIN + 1, 1))).toEqual([
    ['angkot/member/ak-0001', 1_000_000, 950_000],
    [`angkot/in-transit/${CARD}`, 0, 50_000],
    [`angkot/purse/${CARD}`, 0, 0],
  ]);
  expect(await table(books, () => move('reload', RELOAD_ORIGIN + 1, 1))).toEqual([
    ['angkot/member/ak-0001', 950_000, 950_000],
    [`angkot/in-transit/${CARD}`, 50_000, 0],
    [`angkot/purse/${CARD}`, 0, 50_000],
  ]);
  expect(await table(books, () => move('purse-return', OFFICE_ORIGIN, 1))).toEqual([
    ['angkot/member/ak-0001', 950_000, 1_000_000],
    [`angkot/in-transit/${CARD}`, 0, 0],
    [`angkot/purse/${CARD}`, 50_000, 0],
  ]);
});

test('lost card: frozen, it pays nothing; its replacement pays from the same account', async () => {
  const { world, kiosk, table, registry } = await openTreasury();
  const stall = await kiosk('stall-1', 'stall-12');
  const card = registry.card(CARD);
  if (card === undefined) throw new Error('the pilot has no such card');
  const books = ['angkot/member/ak-0001', 'pasar/payout/stall-12'];
  registry.putCard({ ...card, status: 'frozen' });
  await world.hub.ledger.putCard({ uid: CARD, status: 'frozen', keyVersion: card.tmacKeyVersion, tmc: 4 });
  expect(await table(books, async () => expect(word(await stall.sell(1, CARD, 20_000))).toBe('card-blocked'))).toEqual([
    ['angkot/member/ak-0001', 1_000_000, 1_000_000],
    ['pasar/payout/stall-12', 0, 0],
  ]);
  registry.putCard({ ...card, status: 'replaced' });
  const uid = '04deadbeef5c80' as CardUid;
  registry.putChip({ uid, profile: 'desfire-light', keyVersion: card.keyVersion });
  registry.putCard({ ...card, uid, number: '979200000099', status: 'active' });
  await world.hub.ledger.putCard({ uid, status: 'active', keyVersion: card.tmacKeyVersion, tmc: 4 });
  expect(await table(books, async () => expect(word(await stall.sell(2, uid, 20_000))).toBe('approved'))).toEqual([
    ['angkot/member/ak-0001', 1_000_000, 980_000],
    ['pasar/payout/stall-12', 0, 19_860],
  ]);
});
