/** Any row of sales, loads, drains, tears and lost answers on one card: the ledger says where every rupiah is. */
import { expect, onTestFinished, test } from 'vitest';
import { hubPaths } from '../../hub/config.ts';
import { auditFile } from '../../hub/store/sqlite/audit.ts';
import type { Card } from '../town/card.ts';
import { failedTries, hexUid } from '../town/cardstock.ts';
import { type Chance, chance } from '../town/chance.ts';
import { type Desk, openDesk } from '../town/desk.ts';
import type { Trouble } from '../town/field.ts';

/** Commands of a load, a sale and a drain, the last of each the commit. */
const LENGTH = { load: 12, sell: 9, drain: 16 } as const;
const STEPS = 120;
const PRICE = 500n;

/** Where the rupiah of this member and card are. */
interface Whole {
  /** Account, on its way and purse before the first step. */
  readonly before: bigint;
  paid: bigint;
}

/** What holds at any moment, whatever is in doubt. */
async function expectHeld(desk: Desk, card: Card, whole: Whole, at: unknown) {
  const { account, transit, purse, card: held } = await desk.money(card);
  expect([at, account + transit + purse + whole.paid]).toEqual([at, whole.before]);
  // Only loads and drains without an answer may part the card from its purse in the books.
  const drains = desk.hub.registry.drainsOf(hexUid(card)).map(({ amount }) => amount);
  const may = [purse, purse + transit, 0n, ...drains.map((amount) => purse - amount)];
  expect([at, may.includes(held), drains.length > 0 || held === purse || held === purse + transit]).toEqual([
    at,
    true,
    true,
  ]);
}

const isOpen = async (desk: Desk, card: Card) =>
  (await desk.money(card)).transit > 0n || desk.hub.registry.drainsOf(hexUid(card)).length > 0;

async function sell(desk: Desk, card: Card, whole: Whole, trouble?: Trouble) {
  desk.later();
  const receipt = await desk.sell(card, PRICE, trouble);
  if (receipt?.outcome === 'approved') whole.paid += PRICE;
  return receipt;
}

async function drain(desk: Desk, card: Card, trouble?: Trouble) {
  await desk.become(card, 'frozen');
  await desk.serve(card, trouble);
  await desk.become(card, 'active');
}

async function move(desk: Desk, card: Card, whole: Whole, { below, pick }: Chance): Promise<string> {
  const what = pick<keyof typeof LENGTH | 'restart'>([
    'load',
    'load',
    'load',
    'sell',
    'sell',
    'drain',
    'drain',
    'restart',
  ]);
  if (what === 'restart') {
    await desk.restart();
    return what;
  }
  const when = pick<'before' | 'after'>(['before', 'after']);
  // Half of the tears at the commit: nowhere else can anything be lost.
  const apdu = below(2) === 0 ? LENGTH[what] - 1 : below(LENGTH[what]);
  const torn = below(2) === 0;
  const trouble: Trouble | undefined = torn ? { tear: { apdu, when } } : undefined;
  if (what === 'load') await desk.load(card, BigInt(1_000 * (1 + below(5))), trouble);
  else if (what === 'drain') await drain(desk, card, trouble);
  else {
    // A certificate that nobody has covers the proof of what is open: rebuilding such rows is not done yet.
    const covers = torn && apdu === LENGTH.sell - 1 && when === 'after' && (await isOpen(desk, card));
    await sell(desk, card, whole, covers ? undefined : trouble);
  }
  return `${what} ${torn ? `torn ${when} ${apdu}` : ''}`;
}

test('after any such row one quiet tap leaves nothing in doubt, and the card holds what the books say', async () => {
  const luck = chance('sales, loads and drains');
  const desk = await openDesk();
  onTestFinished(() => desk.close());
  const card = await desk.make('tk-0001');
  const failed = failedTries(card);
  const whole: Whole = { before: (await desk.money(card)).account, paid: 0n };
  const history: string[] = [];
  for (let step = 0; step < STEPS; step += 1) {
    history.push(await move(desk, card, whole, luck));
    const told = () => history.slice(-8).join(', ');
    await expectHeld(desk, card, whole, told());
    if (luck.below(6) > 0) continue;
    expect([told(), await sell(desk, card, whole)]).toEqual([told(), expect.objectContaining({ outcome: 'approved' })]);
    const { transit, purse, card: held } = await desk.money(card);
    expect([told(), transit, held]).toEqual([told(), 0n, purse]);
    expect([told(), desk.hub.registry.drainsOf(hexUid(card))]).toEqual([told(), []]);
  }
  await sell(desk, card, whole);
  expect(await isOpen(desk, card)).toBe(false);
  await desk.become(card, 'retired');
  const { account, purse } = await desk.money(card);
  expect(await desk.serve(card)).toMatchObject({ done: 'retired', amount: Number(purse) });
  expect(await desk.money(card)).toEqual({ account: account + purse, transit: 0n, purse: 0n, card: 0n });
  expect(failed()).toBe(0);
  expect(desk.alarms).toEqual([]);
  const audit = auditFile(hubPaths(desk.place.directory).ledger);
  expect(audit).toMatchObject({ total: 0n, brokenPairs: [], brokenAccounts: [], brokenEntries: [] });
}, 120_000);
