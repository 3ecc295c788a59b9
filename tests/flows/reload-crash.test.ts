/** The hub is killed while a purse is being loaded: no second credit, and the next tap tells where the money went. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Account } from '../../hub/rules/accounts.ts';
import { RELEASE_ORIGIN, RELOAD_ORIGIN } from '../../hub/store/ledger.ts';
import type { CardUid } from '../../protocol/ids.ts';
import type { Card } from '../town/card.ts';
import { type Counter, openCounter } from '../town/counter.ts';
import type { Trouble } from '../town/field.ts';
import { type HubProcess, hubProcess, steadyPort } from '../town/hubprocess.ts';
import { eventually } from '../town/kiosk.ts';
import { type LedgerFile, ledgerFile } from '../town/ledgerfile.ts';
import { type DelayProxy, openProxy } from '../town/proxy.ts';
import { enrolKiosk, issueCard, makePlace, openOffice, type Place, removePlace } from '../town/town.ts';

/** Commands of the kiosk before the hub's batch, and the batch's last. */
const START = 7;
const COMMIT = 11;
const AMOUNT = 50_000n;
const PRICE = 1_000n;

let place: Place;
let hub: HubProcess;
let ledger: LedgerFile;
let office: ReturnType<typeof openOffice>;

beforeAll(async () => {
  place = await makePlace(undefined, await steadyPort());
  office = openOffice(place);
  hub = hubProcess(place);
  ledger = ledgerFile(place);
  await hub.start();
});
afterAll(async () => {
  await hub?.kill();
  office?.close();
  expect(ledger.faults()).toEqual([]);
  removePlace(place);
});

interface Town {
  readonly counter: Counter;
  readonly proxy: DelayProxy;
  readonly card: Card;
  /** Member's account, money on its way, purse: as the books have them. */
  books(): readonly bigint[];
  /** What the hub decided on the first number of the counter: the release, or what became of it. */
  decided(origin: number): { outcome: string } | null;
  /** The hub dies and comes back; whatever was underway is lost. */
  crash(): Promise<void>;
  /** The card's next tap, at a stall, under a beacon later than now. */
  tap(): Promise<void>;
}

async function town(uid: string): Promise<Town> {
  await hub.start();
  const dir = await enrolKiosk(place, office, `loket-${uid}`, 'stall-12');
  const proxy = await openProxy(office.port);
  onTestFinished(() => proxy.close());
  const counter = openCounter(dir, proxy.port);
  onTestFinished(() => counter.close());
  await counter.online();
  const known = office.registry.card(uid as CardUid);
  if (known === undefined) throw new Error(`no card ${uid}`);
  const account = (kind: Account['kind'], owner: string) => ({ cooperative: known.issuer, kind, owner });
  const accounts = [account('member', known.member), account('in-transit', uid), account('purse', uid)];
  const card = issueCard(office.vault, office.registry, uid);
  return {
    counter,
    proxy,
    card,
    books: () => accounts.map((one) => ledger.balance(one)),
    decided: (origin) => ledger.decision(origin + counter.no, 1),
    async crash() {
      await hub.kill();
      proxy.release();
      await hub.start();
    },
    async tap() {
      const since = Date.now();
      const stall = openCounter(await enrolKiosk(place, office, `lapak-${uid}`, 'stall-31'), office.port);
      onTestFinished(() => stall.close());
      await stall.beaconAfter(since);
      await stall.lay(card);
      expect(await stall.pay(PRICE)).toMatchObject({ outcome: 'approved' });
      stall.lift();
    },
  };
}

const purseOf = ({ memory }: Card): bigint => {
  const file = memory.files.get(0x03);
  return BigInt(file?.kind === 'value' ? file.value : -1);
};

/** From this command's response on, nothing that is said this way arrives. */
const holding = ({ proxy }: Town, way: 'up' | 'down', apdu: number): Trouble => ({
  wrong: {
    apdu,
    change: (reply) => {
      proxy.hold(way);
      return reply;
    },
  },
});

test('killed with the money released and no batch sent: the card’s next tap brings the money back, once', async () => {
  const here = await town('04175350554c80');
  const { counter, proxy, card, books } = here;
  const [member = 0n] = books();
  await counter.lay(card, holding(here, 'down', START - 1));
  const loading = counter.reload(AMOUNT);
  await eventually(
    () => 'the release in the ledger, and the batch at the proxy',
    () => here.decided(RELEASE_ORIGIN)?.outcome === 'approved' && proxy.held('down') > 0,
  );
  await here.crash();
  expect(await loading).toEqual({ kind: 'checking' });
  counter.lift();
  expect(books()).toEqual([member - AMOUNT, AMOUNT, 0n]);
  expect(purseOf(card)).toBe(0n);
  await here.tap();
  expect(books()).toEqual([member - PRICE, 0n, 0n]);
  expect(here.decided(RELOAD_ORIGIN)).toMatchObject({ outcome: 'approved' });
});

test('killed with the batch done and no response heard: the card’s next tap proves the load, once', async () => {
  const here = await town('04135350554c80');
  const { counter, proxy, card, books } = here;
  const [member = 0n] = books();
  await counter.lay(card, holding(here, 'up', START));
  const loading = counter.reload(AMOUNT);
  await eventually(
    () => 'the responses at the proxy',
    () => purseOf(card) === AMOUNT && proxy.held('up') > 0,
  );
  await here.crash();
  expect(await loading).toEqual({ kind: 'checking' });
  counter.lift();
  expect(books()).toEqual([member - AMOUNT, AMOUNT, 0n]);
  await here.tap();
  expect(books()).toEqual([member - AMOUNT - PRICE, 0n, AMOUNT]);
  expect(purseOf(card)).toBe(AMOUNT);
});

test('killed with the load proven and not told: nothing is left to prove, and it is not loaded again', async () => {
  const here = await town('04125350554c80');
  const { counter, card, books } = here;
  const [member = 0n] = books();
  await counter.lay(card, holding(here, 'down', COMMIT));
  const loading = counter.reload(AMOUNT);
  await eventually(
    () => 'the proof in the ledger',
    () => here.decided(RELOAD_ORIGIN)?.outcome === 'approved',
  );
  await here.crash();
  expect(await loading).toEqual({ kind: 'checking' });
  counter.lift();
  expect(books()).toEqual([member - AMOUNT, 0n, AMOUNT]);
  await here.tap();
  expect(books()).toEqual([member - AMOUNT - PRICE, 0n, AMOUNT]);
  expect(purseOf(card)).toBe(AMOUNT);
});
