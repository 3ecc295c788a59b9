/** `simpul-hub books` as officers run it: each deed once, with both names, and nothing that is proven elsewhere. */
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { hubPaths } from '../../hub/config.ts';
import type { Account } from '../../hub/rules/accounts.ts';
import { OFFICE_ORIGIN, RELEASE_ORIGIN, RELOAD_ORIGIN } from '../../hub/store/ledger.ts';
import { openRegistry } from '../../hub/store/sqlite/registry.ts';
import type { CardUid, CooperativeId, MemberId, OutletId } from '../../protocol/ids.ts';
import { BOTH, openOffice } from './officecommands.ts';

/** Commands are whole processes, and others use the machine too. */
const PATIENCE_MS = 180_000;
const MARKET = 'pasar' as CooperativeId;
const SITI = '04115350554c80' as CardUid;
const NUMBER = '979200000001';
const at = (kind: Account['kind'], owner: string): Account => ({ cooperative: MARKET, kind, owner });
const why = (id: string) => ['--reason', 'salah catat', '--id', id];

/** What the stall owes the market: more was given back than it had. */
const owing = {
  kind: 'adjustment',
  figures: { debit: at('receivable', 'stall-12'), credit: at('equity', '-'), amount: 9_000n, reason: 'before' },
} as const;

test('a correction names both sides, both officers and why; the same id enters it once', {
  timeout: PATIENCE_MS,
}, async () => {
  const office = await openOffice();
  const sides = ['--debit', 'equity/-', '--credit', 'member/ps-0001'];
  const adjust = ['books', 'adjust', '7000', '--cooperative', MARKET, ...sides, ...BOTH, ...why('koreksi 1')];
  expect(office.run(...adjust)).toMatchObject({
    code: 0,
    out: `Rp 7.000 from pasar/equity/- to pasar/member/ps-0001: entry ${OFFICE_ORIGIN}/1\n`,
  });
  expect(office.run(...adjust)).toMatchObject({ code: 0, out: expect.stringContaining('entered before') });
  const other = adjust.map((word) => (word === '7000' ? '7001' : word));
  expect(office.run(...other)).toMatchObject({ code: 1, err: expect.stringContaining('names another deed') });
  expect(office.balances(at('member', 'ps-0001'), at('equity', '-'))).toEqual([507_000, -7_000]);
  const db = new Database(hubPaths(office.world.directory).ledger, { readonly: true });
  const [row] = db.prepare("SELECT authority, evidence FROM entry WHERE kind = 'adjustment'").all() as {
    authority: string;
    evidence: Buffer;
  }[];
  db.close();
  expect(row?.authority).toBe('two-officers');
  const officers = ['Ani Rahayu', 'Budi Santoso'];
  expect(JSON.parse(String(row?.evidence))).toEqual({ id: 'koreksi 1', officers, reason: 'salah catat' });
});

test('what is proven elsewhere, a slip of the pen, one officer, more than there is: nothing is moved', {
  timeout: PATIENCE_MS,
}, async () => {
  const office = await openOffice();
  const { directory } = office.world;
  const adjust = (debit: string, credit: string, ...more: string[]) =>
    office.run('books', 'adjust', '7000', '--cooperative', MARKET, '--debit', debit, '--credit', credit, ...more);
  const both = [...BOTH, ...why('x')];
  expect(adjust(`purse/${SITI}`, 'member/ps-0001', ...both).err).toMatch(/no account|not moved by hand/);
  expect(adjust('equity/-', 'member/ps-9999', ...both).err).toMatch(/no account pasar\/member\/ps-9999/);
  expect(adjust('equity/-', 'member/ak-0001', ...both).err).toMatch(/no account/);
  expect(adjust('position/-', 'member/ps-0001', ...both).err).toMatch(/not moved by hand/);
  expect(adjust('equity/-', 'member/ps-0001', '--officer', 'Ani', ...why('x')).err).toMatch(/two officers/);
  const much = ['books', 'adjust', '99999999', '--cooperative', MARKET, '--debit', 'member/ps-0001'];
  expect(office.run(...much, '--credit', 'equity/-', ...both).err).toMatch(/Not enough balance; nothing was moved/);
  expect(office.balances(at('member', 'ps-0001'), at('equity', '-'))).toEqual([500_000, 0]);
  await office.world.restart();
  expect(adjust('equity/-', 'member/ps-0001', ...both).err).toMatch(`a hub serves ${directory}`);
});

test('the bank, a biller’s deposit, a budget and a drawer get what is laid there', {
  timeout: PATIENCE_MS,
}, async () => {
  const office = await openOffice();
  const provide = (what: string, sum: string, ...owner: string[]) =>
    office.run('books', 'provide', what, sum, '--cooperative', MARKET, ...owner, ...BOTH, ...why(`${what} ${sum}`));
  const [bank = 0] = office.balances(at('bank', '-'));
  expect(provide('bank', '500000').code).toBe(0);
  expect(provide('biller', '100000', '--owner', 'pln').code).toBe(0);
  expect(provide('budget', '50000', '--owner', 'lebaran').code).toBe(0);
  expect(provide('drawer', '30000', '--owner', 'stall-12').code).toBe(0);
  expect(provide('drawer', '30001', '--owner', 'ksp-loket').err).toMatch(/is not of pasar/);
  expect(provide('budget', '1').err).toMatch(/--owner/);
  expect(
    office.balances(
      at('bank', '-'),
      at('biller-deposit', 'pln'),
      at('incentive-budget', 'lebaran'),
      at('drawer', 'stall-12'),
      at('equity', '-'),
    ),
  ).toEqual([bank - 500_000 + 130_000, -100_000, 50_000, -30_000, 450_000]);
});

test('what a stall owes is taken from its takings as far as they go; the rest may be written off', {
  timeout: PATIENCE_MS,
}, async () => {
  const office = await openOffice();
  office.post(OFFICE_ORIGIN, 1, owing);
  const figures = { issuer: MARKET, member: 'ps-0002' as MemberId, acquirer: MARKET, outlet: 'stall-12' as OutletId };
  const sale = { ...figures, amount: 5_000n, fee: 0n, shares: [] };
  office.post(7, 1, { kind: 'purchase', figures: sale });
  const collect = ['books', 'collect', 'stall-12', '--cooperative', MARKET, ...BOTH, ...why('tagih 1')];
  expect(office.run(...collect)).toMatchObject({ code: 0, out: expect.stringContaining('Rp 5.000 of the takings') });
  expect(office.run(...collect)).toMatchObject({ code: 0, out: expect.stringContaining('entered before') });
  const forgive = ['books', 'write-off', 'stall-12', '4000', '--cooperative', MARKET, ...BOTH, ...why('hapus 1')];
  expect(office.run(...forgive).code).toBe(0);
  const more = office.run(...forgive.slice(0, -1), 'hapus 2');
  expect(more).toMatchObject({ code: 1, err: expect.stringContaining('Nothing of that amount is owed') });
  const ends = [at('payout', 'stall-12'), at('receivable', 'stall-12'), at('guarantee-loss', 'stall-12')];
  expect(office.balances(...ends)).toEqual([0, 0, -4_000]);
});

test('the purse of a lost card comes back once it has ended, at the issuer’s risk; a reload in transit stays there', {
  timeout: PATIENCE_MS,
}, async () => {
  const office = await openOffice();
  const load = { issuer: MARKET, member: 'ps-0001' as MemberId, card: SITI };
  const first = { ...load, amount: 60_000n };
  office.post(RELEASE_ORIGIN + 7, 1, { kind: 'reload-release', figures: first }, SITI);
  office.post(RELOAD_ORIGIN + 7, 1, { kind: 'reload', figures: first }, SITI);
  office.post(RELEASE_ORIGIN + 7, 2, { kind: 'reload-release', figures: { ...load, amount: 20_000n } }, SITI);
  const back = ['books', 'return-purse', NUMBER, ...BOTH, ...why('kartu hilang')];
  expect(office.run(...back).err).toMatch(/is active: replace or retire it first/);
  const registry = openRegistry({ path: hubPaths(office.world.directory).registry });
  const card = registry.card(SITI);
  if (card === undefined) throw new Error('Siti has a card');
  registry.putCard({ ...card, status: 'frozen' });
  registry.putCard({ ...card, status: 'replaced' });
  registry.close();
  expect(office.run(...back).err).toMatch(/was not emptied.*--at-issuers-risk/s);
  const said = office.run(...back, '--at-issuers-risk');
  expect(said).toMatchObject({ code: 0, out: expect.stringContaining('Rp 60.000 of card') });
  expect(said.out).toMatch(/stays in transit until its own rule ends it/);
  expect(office.run(...back, '--at-issuers-risk').out).toMatch(/entered before/);
  const ends = [at('member', 'ps-0001'), at('purse', SITI), at('in-transit', SITI)];
  expect(office.balances(...ends)).toEqual([480_000, 0, 20_000]);
  const again = office.run('books', 'return-purse', NUMBER, ...BOTH, ...why('sekali lagi'), '--at-issuers-risk');
  expect(again).toMatchObject({ code: 1, err: expect.stringContaining('The card held nothing') });
});
