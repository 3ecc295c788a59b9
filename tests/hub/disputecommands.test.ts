/** `simpul-hub disputes` as officers run it: taken up, listed with all that is known, decided by two, by name. */
import { expect, test } from 'vitest';
import type { Account } from '../../hub/rules/accounts.ts';
import { businessDate } from '../../protocol/dates.ts';
import type { CooperativeId, MemberId, OutletId } from '../../protocol/ids.ts';
import { BOTH, openOffice } from './officecommands.ts';

/** Commands are whole processes, and others use the machine too. */
const PATIENCE_MS = 180_000;
const HOME = 'angkot' as CooperativeId;
const MARKET = 'pasar' as CooperativeId;
const DAY = 86_400_000;
const ends: readonly Account[] = [
  { cooperative: HOME, kind: 'member', owner: 'ak-0001' },
  { cooperative: MARKET, kind: 'payout', owner: 'stall-12' },
];

/** Bambang of angkot has paid 50,000 at a stall of the market. */
async function paid() {
  const office = await openOffice();
  const figures = { issuer: HOME, member: 'ak-0001' as MemberId, acquirer: MARKET, outlet: 'stall-12' as OutletId };
  const sale = { ...figures, amount: 50_000n, fee: 0n, shares: [] };
  office.post(7, 1, { kind: 'purchase', figures: sale }, '04135350554c80');
  return office;
}

const open = (amount: string, ...more: string[]) => [
  'disputes',
  'open',
  '7/1',
  '--issuer',
  HOME,
  '--officer',
  'Ani',
  '--amount',
  amount,
  '--reason',
  'tak kenal',
  ...more,
];

test('officers take a payment up, see it in the list, also while the hub serves, and decide it', {
  timeout: PATIENCE_MS,
}, async () => {
  const office = await paid();
  expect(office.run('disputes', 'list').out).toBe('No payment is in dispute\n');
  const taken = office.run(...open('30000', '--credit', '10000', '--evidence', 'surat 4'));
  const date = businessDate(Date.now() + 14 * DAY);
  expect(taken).toMatchObject({
    code: 0,
    out: `Payment 7/1 is in dispute over Rp 30.000; promised until ${date}\n`,
  });
  expect(office.balances(...ends)).toEqual([960_000, 50_000]);
  await office.world.restart();
  const listed = office.run('disputes', 'list').out;
  expect(listed).toMatch(/^7\/1 {2}until \d{4}-\d\d-\d\d {2}disputed Rp 30\.000, at once Rp 10\.000, refunded Rp 0/);
  expect(listed).toMatch(/open by Ani: tak kenal \(surat 4\)/);
  const decide = ['disputes', 'won', '7/1', '--issuer', HOME, '--reason', 'diakui'];
  expect(office.run(...decide, ...BOTH).err).toMatch(/a hub serves/);
  await office.world.hub.close();
  expect(office.run(...decide, '--officer', 'Ani').err).toMatch(/two officers decide/);
  expect(office.run(...decide, ...BOTH)).toMatchObject({ code: 0, out: expect.stringContaining('is won') });
  expect(office.balances(...ends)).toEqual([980_000, 20_000]);
  const late = ['disputes', 'lost', '7/1', '--issuer', HOME, '--reason', 'lain', ...BOTH];
  expect(office.run(...late)).toMatchObject({ code: 1, err: expect.stringContaining('No dispute is open') });
  expect(office.balances(...ends)).toEqual([980_000, 20_000]);
});

test('another cooperative’s officers, too much, and a payment nobody made are refused, and nothing is moved', {
  timeout: PATIENCE_MS,
}, async () => {
  const office = await paid();
  const foreign = open('30000').map((word) => (word === HOME ? MARKET : word));
  expect(office.run(...foreign).err).toMatch(/That payment is not known/);
  expect(office.run(...open('50001')).err).toMatch(/More than is left/);
  expect(office.run(...open('1').map((word) => (word === '7/1' ? '7/2' : word))).err).toMatch(/not known/);
  expect(office.run(...open('1').map((word) => (word === '7/1' ? '7' : word))).code).toBe(2);
  expect(office.balances(...ends)).toEqual([950_000, 50_000]);
});
