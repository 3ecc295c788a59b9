/** The hub is killed between a tap and its answer: the kiosk says unknown, and ends in what the ledger says. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Account } from '../../hub/rules/accounts.ts';
import type { CardUid, CooperativeId } from '../../protocol/ids.ts';
import type { Card } from '../town/card.ts';
import { type HubProcess, hubProcess, steadyPort } from '../town/hubprocess.ts';
import { eventually, openKiosk, type TownKiosk } from '../town/kiosk.ts';
import { type LedgerFile, ledgerFile } from '../town/ledgerfile.ts';
import { openPcscd, type Pcscd } from '../town/pcscd.ts';
import { type DelayProxy, openProxy } from '../town/proxy.ts';
import { enrolKiosk, issueCard, makePlace, openOffice, type Place, removePlace } from '../town/town.ts';

/** The commit's number among the commands of a sale to a card not met before, which first tells its key version. */
const COMMIT = 10;
const AMOUNT = 20_000n;
/** On the kiosk's screen, in its first language. */
const CHECKING = 'Sedang dicek';
const CANCELLING = 'Sedang dibatalkan';
const PAID = 'Dibayar. Terima kasih';
const NOT_PAID = 'Tidak dibayar';
const OFFLINE = 'Terputus';

let place: Place;
let hub: HubProcess;
let ledger: LedgerFile;
let pcscd: Pcscd;
let office: ReturnType<typeof openOffice>;

interface Stall {
  readonly kiosk: TownKiosk;
  readonly proxy: DelayProxy;
  readonly member: Account;
  /**
   * Arms a sale and lays the card down. From the commit on what is said this way stays at the proxy: the card's key
   * has come by then, and the request is the first thing said after it.
   */
  tap(hold: 'up' | 'down'): Promise<void>;
}

beforeAll(async () => {
  place = await makePlace(undefined, await steadyPort());
  office = openOffice(place);
  hub = hubProcess(place);
  ledger = ledgerFile(place);
  [pcscd] = await Promise.all([openPcscd(), hub.start()]);
});
afterAll(async () => {
  await hub?.kill();
  await pcscd?.close();
  office?.close();
  removePlace(place);
});

/** A stall whose kiosk dials the hub through a proxy, with a card that never paid before; closed after the test. */
async function stall(uid: string): Promise<Stall> {
  await hub.start();
  const dir = await enrolKiosk(place, office, `lapak-${uid}`, 'stall-12');
  const proxy = await openProxy(office.port);
  onTestFinished(() => proxy.close());
  const kiosk = await openKiosk(dir, pcscd, proxy.port);
  onTestFinished(() => kiosk.close());
  const card: Card = issueCard(office.vault, office.registry, uid);
  const { issuer, member } = office.registry.card(uid as CardUid) ?? { issuer: '' as CooperativeId, member: '' };
  return {
    kiosk,
    proxy,
    member: { cooperative: issuer, kind: 'member', owner: member },
    async tap(hold) {
      await kiosk.arm(`${AMOUNT}`);
      const change = (reply: Uint8Array) => {
        proxy.hold(hold);
        return reply;
      };
      await kiosk.lay(card, { wrong: { apdu: COMMIT, change } });
      await kiosk.until(CHECKING);
    },
  };
}

/** Until the hub's word arrives the screen may say neither yes nor no. */
function expectUnknown({ screens }: TownKiosk): void {
  expect(screens.filter((screen) => screen.includes(NOT_PAID) || screen.includes(PAID))).toEqual([]);
}

/** The hub has committed the sale, and its answer is kept from the kiosk. */
async function committed({ kiosk, proxy }: Stall): Promise<void> {
  await eventually(
    () => 'the decision in the ledger file',
    () => ledger.decision(kiosk.no, 1),
  );
  await eventually(
    () => 'the answer at the proxy',
    () => proxy.held('down') > 0,
  );
}

/** The request has left the kiosk and has not reached the hub. */
async function underway({ proxy }: Stall): Promise<void> {
  await eventually(
    () => 'the request at the proxy',
    () => proxy.held('up') > 0,
  );
}

/** Kills the hub; resolves when the kiosk shows that it is alone, and still does not know. */
async function crash({ kiosk, proxy }: Stall): Promise<void> {
  await hub.kill();
  await kiosk.until(CHECKING, OFFLINE);
  expectUnknown(kiosk);
  proxy.release();
}

/** What the ledger holds in the end, that it was shown so and never otherwise, and that the books balance. */
function expectEnd({ kiosk, member }: Stall, shown: 'paid' | 'not paid', balance: bigint): void {
  const other = shown === 'paid' ? NOT_PAID : PAID;
  expect(kiosk.screens.filter((screen) => screen.includes(other))).toEqual([]);
  expect(ledger.balance(member)).toBe(balance);
  expect(ledger.decision(kiosk.no, 2)).toBeNull();
  expect(ledger.faults()).toEqual([]);
}

test('the hub dies after booking a sale and before saying so: checked, then shown as paid, booked once', async () => {
  const town = await stall('04175350554c80');
  const { kiosk, member } = town;
  const before = ledger.balance(member);
  await town.tap('down');
  await committed(town);
  expectUnknown(kiosk);
  await crash(town);
  expect(ledger.decision(kiosk.no, 1)).toMatchObject({ outcome: 'approved', entry: true });
  await hub.start();
  await kiosk.until(PAID);
  expect(ledger.decision(kiosk.no, 1)).toMatchObject({ outcome: 'approved', entry: true, voided: false });
  expectEnd(town, 'paid', before - AMOUNT);
});

test('the hub dies before a request reached it: checked, asked again after its return, and paid once', async () => {
  const town = await stall('04135350554c80');
  const { kiosk, member } = town;
  const before = ledger.balance(member);
  await town.tap('up');
  await underway(town);
  await crash(town);
  expect(ledger.decision(kiosk.no, 1)).toBeNull();
  await hub.start();
  await kiosk.until(PAID);
  expect(ledger.decision(kiosk.no, 1)).toMatchObject({ outcome: 'approved', entry: true, voided: false });
  expectEnd(town, 'paid', before - AMOUNT);
});

test('the trader gives up a sale that the dead hub never saw: not paid once the hub says so', async () => {
  const town = await stall('04125350554c80');
  const { kiosk, member } = town;
  const before = ledger.balance(member);
  await town.tap('up');
  await underway(town);
  await crash(town);
  kiosk.press('c');
  await kiosk.until(CANCELLING);
  expectUnknown(kiosk);
  await hub.start();
  await kiosk.until(NOT_PAID, 'Dibatalkan, tidak ada yang dibayar');
  expect(ledger.decision(kiosk.no, 1)).toMatchObject({ outcome: 'cancelled', entry: false, voided: false });
  expectEnd(town, 'not paid', before);
});

test('the trader gives up a sale that the dead hub had booked: not paid, the money is back', async () => {
  const town = await stall('041b5350554c80');
  const { kiosk, member } = town;
  const before = ledger.balance(member);
  await town.tap('down');
  await committed(town);
  await crash(town);
  expect(ledger.balance(member)).toBe(before - AMOUNT);
  kiosk.press('c');
  await kiosk.until(CANCELLING);
  expectUnknown(kiosk);
  await hub.start();
  await kiosk.until(NOT_PAID, 'Dibatalkan, tidak ada yang dibayar');
  expect(ledger.decision(kiosk.no, 1)).toMatchObject({ outcome: 'approved', entry: true, voided: true });
  expectEnd(town, 'not paid', before);
});
