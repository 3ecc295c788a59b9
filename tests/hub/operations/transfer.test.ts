/** Transfers over a real hub: from member to member, at home and across cooperatives. */
import { expect, test } from 'vitest';
import { cards, numbers, openTreasury, receiptOf, word } from './treasurer.ts';

const transfer = (seq: number, to: string, amount: number, more: object = {}) => ({
  seq,
  ask: 'transfer',
  amount,
  uid: cards.siti,
  to,
  pinVerified: true,
  ...more,
});

test('Siti sends 50.000 to Slamet of her own cooperative, and 100.000 to Dewi of toko', async () => {
  const { kiosk, table } = await openTreasury();
  const loket = await kiosk('loket-1', 'kud-loket', 'counter');
  const books = [
    'pasar/member/ps-0001',
    'pasar/member/ps-0002',
    'pasar/position/toko',
    'toko/position/pasar',
    'toko/member/tk-0001',
  ];
  const work = async () => {
    expect(word(await loket.say('transfer', transfer(1, numbers.slamet, 50_000)))).toBe('approved');
    const sent = await loket.say('transfer', transfer(2, numbers.dewi, 100_000));
    expect(receiptOf(sent)).toMatchObject({ outcome: 'approved', fee: 0, issuer: 'pasar', acquirer: 'toko' });
    expect(receiptOf(sent).balance).toBe(350_000);
  };
  expect(await table(books, work)).toEqual([
    ['pasar/member/ps-0001', 500_000, 350_000],
    ['pasar/member/ps-0002', 750_000, 800_000],
    ['pasar/position/toko', 0, 100_000],
    ['toko/position/pasar', 0, -100_000],
    ['toko/member/tk-0001', 1_000_000, 1_100_000],
  ]);
});

test('nothing is sent without PIN, beyond the balance, to oneself, to nobody or to a card that is frozen', async () => {
  const { kiosk, table, registry } = await openTreasury();
  const loket = await kiosk('loket-1', 'kud-loket', 'counter');
  const stall = await kiosk('lapak-1', 'stall-12');
  const work = async () => {
    expect(word(await stall.say('transfer', transfer(1, numbers.dewi, 1_000)))).toBe('not-allowed');
    const unproven = transfer(1, numbers.dewi, 1_000, { pinVerified: false });
    expect(word(await loket.say('transfer', unproven))).toBe('pin-needed');
    expect(word(await loket.say('transfer', transfer(1, numbers.dewi, 500_001)))).toBe('insufficient-funds');
    expect(word(await loket.say('transfer', transfer(2, numbers.siti, 1_000)))).toBe('transfer-self');
    expect(word(await loket.say('transfer', transfer(3, '979200009999', 1_000)))).toBe('receiver-unknown');
    expect(word(await loket.say('transfer', transfer(4, 'dewi', 1_000)))).toBe('message-malformed');
    const dewi = registry.cardByNumber(numbers.dewi);
    if (dewi === undefined) throw new Error('no card');
    registry.putCard({ ...dewi, status: 'frozen' });
    expect(word(await loket.say('transfer', transfer(5, numbers.dewi, 1_000)))).toBe('receiver-unknown');
    expect(word(await loket.say('transfer', transfer(6, numbers.siti, 1_000, { uid: cards.dewi })))).toBe(
      'card-blocked',
    );
  };
  const books = ['pasar/member/ps-0001', 'toko/member/tk-0001'];
  expect(await table(books, work)).toEqual([
    ['pasar/member/ps-0001', 500_000, 500_000],
    ['toko/member/tk-0001', 1_000_000, 1_000_000],
  ]);
});

test('a transfer that is asked for again is answered as it was decided, and moves money once', async () => {
  const { kiosk, table } = await openTreasury();
  const loket = await kiosk('loket-1', 'kud-loket', 'counter');
  const work = async () => {
    expect(word(await loket.say('transfer', { seq: 1, ask: 'resolve' }))).toBe('unknown');
    const sent = await loket.say('transfer', transfer(1, numbers.bambang, 20_000));
    expect((await loket.say('transfer', transfer(1, numbers.bambang, 20_000))).body).toEqual(sent.body);
    expect((await loket.say('transfer', { seq: 1, ask: 'resolve' })).body).toEqual(sent.body);
    expect(word(await loket.say('transfer', transfer(1, numbers.dewi, 20_000)))).toBe('body-differs');
  };
  expect(await table(['pasar/member/ps-0001', 'angkot/member/ak-0001'], work)).toEqual([
    ['pasar/member/ps-0001', 500_000, 480_000],
    ['angkot/member/ak-0001', 1_000_000, 1_020_000],
  ]);
});
