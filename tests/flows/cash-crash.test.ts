/** The hub is killed between the steps of cash: the kiosk asks again, and account, drawer and float are right. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Account } from '../../hub/rules/accounts.ts';
import { ask, join as dialIn, type Wire } from '../hub/wire.ts';
import type { TestKiosk } from '../hub/world.ts';
import { type HubProcess, hubProcess, steadyPort } from '../town/hubprocess.ts';
import { type LedgerFile, ledgerFile } from '../town/ledgerfile.ts';
import { repository } from '../town/repository.ts';
import { enrolKiosk, identityOf, makePlace, openOffice, type Place, removePlace } from '../town/town.ts';

/** Bambang of angkot at the counter of the savings cooperative. */
const service = { amount: 100_000, uid: '04135350554c80', teller: '04195350554c80', approver: null };
const ACCOUNTS: readonly Account[] = [
  { cooperative: 'angkot' as Account['cooperative'], kind: 'member', owner: 'ak-0001' },
  { cooperative: 'simpan-pinjam' as Account['cooperative'], kind: 'drawer', owner: 'ksp-loket' },
];

let place: Place;
let hub: HubProcess;
let ledger: LedgerFile;
let kiosk: Pick<TestKiosk, 'name' | 'key' | 'grant'>;
let port: number;
let wire: Wire;
let said = 0;

beforeAll(async () => {
  port = await steadyPort();
  place = await makePlace(undefined, port);
  const bin = join(repository(), 'hub/bin/simpul-hub.js');
  const fund = ['holds', 'fund', 'ksp-loket', '500000', '--officer', 'Ani', 'Budi', '--data', place.directory];
  expect(spawnSync(process.execPath, [bin, ...fund]).status).toBe(0);
  const office = openOffice(place);
  const identity = identityOf(await enrolKiosk(place, office, 'loket-1', 'ksp-loket', { role: 'counter' }));
  office.close();
  const { name, key, sealingKey: _sealing, witness: _witness, ...duties } = identity;
  kiosk = { name, key, grant: { v: 1, name, ...duties, statementKey: '' } };
  hub = hubProcess(place);
  ledger = ledgerFile(place);
  await up();
});
afterAll(async () => {
  await hub?.kill();
  expect(ledger.faults()).toEqual([]);
  removePlace(place);
});

async function up(): Promise<void> {
  await hub.start();
  wire = await dialIn({ hub: { port } }, kiosk, {}, afterAll);
  said = 0;
}

/** SIGKILL and back: whatever was not on the disk is gone. */
async function crash(): Promise<void> {
  await hub.kill();
  expect(ledger.faults()).toEqual([]);
  await up();
}

async function say(seq: number, step: string, more: object = {}) {
  said += 1;
  const { body } = await ask(wire, kiosk.name, 'cash', { kiosk: kiosk.grant.kiosk, seq, ask: step, ...more }, said);
  const { hold, receipt, code } = body as Record<string, { state?: string; outcome?: string } | undefined>;
  return hold?.state ?? receipt?.outcome ?? code;
}

const books = () => ACCOUNTS.map((account) => Number(ledger.balance(account)));

test('a deposit whose answer was lost in a crash is booked once', { timeout: 60_000 }, async () => {
  expect(await say(1, 'deposit', service)).toBe('approved');
  await crash();
  expect(await say(1, 'deposit', service)).toBe('approved');
  expect(books()).toEqual([1_100_000, -600_000]);
});

test('a withdrawal survives a crash after each of its steps, and is paid once', { timeout: 60_000 }, async () => {
  const steps = [
    ['hold', service, 'held', [1_100_000, -600_000]],
    ['release', { pinVerified: true }, 'released', [1_100_000, -600_000]],
    ['paid', {}, 'approved', [1_000_000, -500_000]],
  ] as const;
  for (const [step, body, state, after] of steps) {
    expect(await say(2, step, body)).toBe(state);
    await crash();
    expect(await say(2, 'resolve')).toBe(state);
    expect(await say(2, step, body)).toBe(state);
    expect(books(), step).toEqual(after);
  }
});
