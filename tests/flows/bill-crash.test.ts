/** The hub is killed while a bill is paid: neither the payer nor the deposit at the biller is ever wrong. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hubPaths } from '../../hub/config.ts';
import { billerOf, drawerOf, memberOf } from '../../hub/rules/accounts.ts';
import { openLedger } from '../../hub/store/sqlite/ledger.ts';
import type { CardUid, OutletId } from '../../protocol/ids.ts';
import { BILL, DEPOSIT, HERE, inCash, prepay, TOTAL } from '../hub/bills.ts';
import { tapRequest } from '../hub/taps.ts';
import { ask, join as dialIn, type Wire } from '../hub/wire.ts';
import type { TestKiosk } from '../hub/world.ts';
import { billerSettings, type Mood, openBiller, type TestBiller } from '../town/biller.ts';
import { type HubProcess, hubProcess, steadyPort } from '../town/hubprocess.ts';
import { type LedgerFile, ledgerFile } from '../town/ledgerfile.ts';
import { enrolKiosk, identityOf, makePlace, openOffice, type Place, removePlace } from '../town/town.ts';

const OUTLET = 'kud-loket' as OutletId;
/** One card a case: a card pays once a minute at a kiosk. */
const CARDS = ['04115350554c80', '04125350554c80', '04135350554c80', '04145350554c80', '04155350554c80'] as CardUid[];

let place: Place;
let office: ReturnType<typeof openOffice>;
let biller: TestBiller;
let hub: HubProcess;
let ledger: LedgerFile;
let kiosk: Pick<TestKiosk, 'name' | 'key' | 'grant' | 'witness'>;
let port: number;
let wire: Wire;
let said = 0;
let seq = 0;

beforeAll(async () => {
  port = await steadyPort();
  place = await makePlace(undefined, port);
  biller = await openBiller(joinPath(place.folder, 'biller.json'));
  const { config, ledger: path } = hubPaths(place.directory);
  const settings = JSON.parse(readFileSync(config, 'utf8'));
  writeFileSync(config, JSON.stringify({ ...settings, billers: [billerSettings(biller.url)] }));
  const books = await openLedger({ path });
  await prepay(books, DEPOSIT * 4n);
  await books.close();
  office = openOffice(place);
  const identity = identityOf(await enrolKiosk(place, office, 'loket-1', OUTLET, { role: 'counter' }));
  const { name, key, sealingKey: _sealing, witness, ...duties } = identity;
  kiosk = { name, key, witness, grant: { v: 1, name, ...duties, statementKey: '' } };
  hub = hubProcess(place);
  ledger = ledgerFile(place);
  await up();
});
afterAll(async () => {
  await hub?.kill();
  office?.close();
  await biller?.close();
  expect(ledger.faults()).toEqual([]);
  removePlace(place);
});

async function up(): Promise<void> {
  await hub.start();
  wire = await dialIn({ hub: { port } }, kiosk, {}, afterAll);
  said = 0;
}

/** SIGKILL and back: whatever was not on the disk is gone, and the biller behaves from now on as it is told. */
async function crash(mood: Mood = 'well'): Promise<void> {
  await hub.kill();
  expect(ledger.faults()).toEqual([]);
  biller.mood = mood;
  await up();
}

async function say(body: object) {
  said += 1;
  const answer = await ask(wire, kiosk.name, 'bill', { kiosk: kiosk.grant.kiosk, ...body }, said);
  return answer.body as Record<string, { readonly outcome?: string; readonly reason?: string } | undefined>;
}

/** The whole request for a bill, from this card's account or in cash. */
function request(uid: CardUid | null): object {
  seq += 1;
  if (uid === null) return { seq, ...inCash };
  const tap = { uid, amount: TOTAL, seq, tmc: 5, at: Date.now() };
  const { claim } = tapRequest(office, kiosk as TestKiosk, tap);
  return { seq, ask: 'pay', from: 'account', ...BILL, claim };
}

/** What the kiosk hears in the end when it asks until it is told. */
async function ended(): Promise<unknown> {
  let receipt: { readonly outcome?: string; readonly reason?: string } | undefined;
  await expect
    .poll(async () => (receipt = (await say({ seq, ask: 'resolve' })).receipt), { timeout: 20_000 })
    .toBeDefined();
  return receipt?.reason ?? receipt?.outcome;
}

const balanceOf = (uid: CardUid | null) => {
  if (uid === null) return Number(-ledger.balance(drawerOf(HERE, OUTLET)));
  const card = office.registry.card(uid);
  return card === undefined ? Number.NaN : -Number(ledger.balance(memberOf(card.issuer, card.member)));
};
/** What the hub's books lack of the deposit. */
const drawn = () => Number(DEPOSIT * 4n + ledger.balance(billerOf(HERE, 'ppob')));

const [FIRST = '', SECOND = '', THIRD = '', FOURTH = '', FIFTH = ''] = CARDS;
const cases: readonly (readonly [string, Mood, Mood, string | null, string])[] = [
  ['asked, and the biller has not begun', 'hang', 'well', FIRST, 'approved'],
  ['asked, and the biller has paid', 'hang-paid', 'well', SECOND, 'approved'],
  ['asked in cash, and the biller has not begun', 'hang', 'well', null, 'approved'],
  ['asked in cash, and the biller has paid', 'hang-paid', 'well', null, 'approved'],
  ['asked, and the biller will refuse it', 'hang', 'refuse', THIRD, 'bill-refused'],
  ['asked in cash, and the biller will refuse it', 'hang', 'refuse', null, 'bill-refused'],
];

test.each(cases)('killed when it has %s', { timeout: 60_000 }, async (_what, before, after, uid, end) => {
  const card = uid as CardUid | null;
  const [mine, taken, heard] = [balanceOf(card), biller.charged(), biller.heard.length];
  biller.mood = before;
  const body = request(card);
  const lost = say(body).catch(() => 'lost');
  await biller.until('pay', heard);
  expect(drawn()).toBe(taken);
  await crash(after);
  expect(await lost).toBe('lost');
  // The kiosk, which heard nothing, says the same again.
  const again = await say(body);
  expect(await ended()).toBe(end);
  expect([undefined, end]).toContain(again.receipt?.reason ?? again.receipt?.outcome);
  const paid = end === 'approved';
  expect(balanceOf(card)).toBe(mine + (paid ? TOTAL : 0));
  expect(drawn()).toBe(biller.charged());
  expect(biller.charged()).toBe(taken + (paid ? 101_200 : 0));
});

test.each([FOURTH, null])('killed around the post of a bill, and after it: %s', { timeout: 60_000 }, async (uid) => {
  const card = uid as CardUid | null;
  const [mine, heard] = [balanceOf(card), biller.heard.length];
  biller.mood = 'well';
  const body = request(card);
  const lost = say(body).catch(() => null);
  // The answer is on its way: what the hub had written of it when it was killed is chance.
  await biller.until('pay', heard);
  await crash();
  await lost;
  expect(await ended()).toBe('approved');
  const receipt = (await say(body)).receipt;
  await crash();
  expect((await say(body)).receipt).toEqual(receipt);
  expect([balanceOf(card), drawn()]).toEqual([mine + TOTAL, biller.charged()]);
});

test('killed before the biller is asked, at any moment', { timeout: 60_000 }, async () => {
  const card = FIFTH as CardUid;
  const [mine, taken] = [balanceOf(card), biller.charged()];
  biller.mood = 'deaf';
  const body = request(card);
  const lost = say(body).catch(() => null);
  await crash();
  await lost;
  await say(body);
  expect(await ended()).toBe('approved');
  expect([balanceOf(card), drawn()]).toEqual([mine + TOTAL, biller.charged()]);
  expect(biller.charged()).toBe(taken + 101_200);
});
