/** Bills over real MQTT and a real biller: what a kiosk is answered, and the treasurer's books, to the rupiah. */
import { describe, expect, test } from 'vitest';
import { PAY_AGAIN_MS } from '../../../hub/operations/billsettling.ts';
import type { CardUid } from '../../../protocol/ids.ts';
import { BAMBANG, BILL, inCash, openBills, TOTAL, WAYAN } from '../bills.ts';

const decided = (outcome: string, reason: string | null = null) => ({ body: { receipt: { outcome, reason } } });
const waits = { body: { hold: { state: 'released', amount: TOTAL } } };
const refused = (code: string) => ({ name: 'refusal', body: { code } });

const BEFORE = {
  'angkot/member/ak-0001': 1_000_000,
  'kud/member/kd-0001': 1_000_000,
  'kud/biller-deposit/ppob': -300_000,
};
/** TRUTH section 11, row "bill". */
const PAID = {
  account: {
    ...BEFORE,
    'angkot/member/ak-0001': 897_000,
    'angkot/position/kud': 102_400,
    'angkot/fee-income/-': 600,
    'kud/biller-deposit/ppob': -198_800,
    'kud/position/angkot': -102_400,
    'kud/position/platform': 300,
    'kud/fee-income/-': 900,
    'platform/position/kud': -300,
    'platform/fee-income/-': 300,
  },
  cash: {
    ...BEFORE,
    'kud/drawer/kud-loket': -103_000,
    'kud/biller-deposit/ppob': -198_800,
    'kud/position/platform': 300,
    'kud/fee-income/-': 1_500,
    'platform/position/kud': -300,
    'platform/fee-income/-': 300,
  },
} as const;

test('an inquiry says whose bill it is, what leaves the payer and who earns what, and changes nothing', async () => {
  const { say, page, biller } = await openBills();
  const { product, customer } = BILL;
  const inquire = (more: object = {}) => say({ seq: 1, ask: 'inquire', product, customer, amount: null, ...more });
  expect((await inquire()).body).toEqual({
    quote: {
      product,
      productName: 'Listrik',
      customer,
      holder: 'SITI AMINAH',
      amount: 100_000,
      admin: 3_000,
      shares: { aggregator: 1_200, acquirer: 900, issuer: 600, platform: 300 },
      total: 103_000,
    },
  });
  expect(await inquire({ customer: '530000000000' })).toMatchObject(refused('bill-none'));
  expect(await inquire({ product: 'pdam' })).toMatchObject(refused('product-unknown'));
  biller.mood = 'deaf';
  expect(await inquire()).toMatchObject(refused('biller-silent'));
  expect([await page(), biller.orders()]).toEqual([BEFORE, {}]);
});

describe.each(['account', 'cash'] as const)('100.000 and an admin of 3.000, from %s', (from) => {
  const open = async () => {
    const bills = await openBills(from === 'cash' ? 'counter' : 'bills');
    const request = from === 'cash' ? { seq: 1, ...inCash } : bills.fromAccount(1);
    return { ...bills, pay: () => bills.say(request) };
  };

  test('paid: once, with the token for the meter, however often the kiosk asks', async () => {
    const { pay, page, biller, resolve, reference, world } = await open();
    const first = await pay();
    const balance = from === 'cash' ? null : 897_000;
    const receipt = { outcome: 'approved', amount: TOTAL, fee: 1_800, balance, card: from === 'cash' ? null : BAMBANG };
    expect(first.body).toMatchObject({ receipt, said: { serial: `TOKEN-${reference(1)}`, text: 'Lunas' } });
    expect(first.body.mac).toBe(world.hub.vault.receiptMac(JSON.stringify(first.body.receipt)));
    expect([(await pay()).body, (await resolve(1)).body]).toEqual([first.body, first.body]);
    expect([await page(), biller.charged()]).toEqual([PAID[from], 101_200]);
    expect(biller.heard.map(({ path }) => path)).toEqual(['pay']);
    expect(await world.hub.ledger.float('kud-loket' as never)).toBe(from === 'cash' ? 103_000n : 0n);
  });

  test('refused: nothing moved, and the cash goes back to the customer', async () => {
    const { pay, page, biller, resolve } = await open();
    biller.mood = 'refuse';
    const first = await pay();
    expect(first.body).toMatchObject({
      receipt: { outcome: 'declined', reason: 'bill-refused', balance: null },
      said: { serial: null, text: 'Tagihan sudah lunas' },
    });
    expect((await resolve(1)).body).toEqual(first.body);
    expect([await page(), biller.charged()]).toEqual([BEFORE, 0]);
  });

  test.each([
    'paid',
    'refused',
  ] as const)('unsure, then %s: it is being checked until the biller has said it', async (end) => {
    const { pay, page, biller, resolve, reference, ended } = await open();
    biller.mood = 'pending';
    expect(await pay()).toMatchObject(waits);
    expect(await resolve(1)).toMatchObject(waits);
    expect(await page()).toEqual(BEFORE);
    biller.end(reference(1), end);
    expect(await ended(1)).toMatchObject(end === 'paid' ? decided('approved') : decided('declined', 'bill-refused'));
    expect(await page()).toEqual(end === 'paid' ? PAID[from] : BEFORE);
    expect(biller.heard.filter(({ path }) => path === 'pay')).toHaveLength(1);
  });

  test.each([
    ['pays and hangs up', 'lose', 1],
    ['pays and says nothing in time', 'hang-paid', 1],
    ['hangs up before it did anything', 'deaf', 2],
    ['fails before it did anything', 'fail', 2],
  ] as const)('a biller that %s is asked again, and pays once', async (_what, mood, pays) => {
    const { pay, page, biller, ended } = await open();
    biller.mood = mood;
    const answer = pay();
    await biller.until('pay');
    biller.mood = 'well';
    expect([waits.body.hold.state, 'approved']).toContain(stateOf((await answer).body));
    expect(await ended(1)).toMatchObject(decided('approved'));
    expect([await page(), biller.charged()]).toEqual([PAID[from], 101_200]);
    expect(biller.heard.filter(({ path }) => path === 'pay')).toHaveLength(pays);
  });
});

function stateOf(body: Record<string, unknown>): string | undefined {
  const { hold, receipt } = body as { hold?: { state: string }; receipt?: { outcome: string } };
  return hold?.state ?? receipt?.outcome;
}

test('a hub that starts again asks about what an earlier one had released, and never pays twice', async () => {
  const { say, fromAccount, world, biller, reconnect, ended, page } = await openBills();
  biller.mood = 'hang-paid';
  const request = fromAccount(1);
  void say(request).catch(() => undefined);
  await biller.until('pay');
  await world.restart();
  biller.mood = 'well';
  await reconnect();
  expect(await ended(1)).toMatchObject(decided('approved'));
  expect((await say(request)).body).toMatchObject({ receipt: { outcome: 'approved' } });
  expect([await page(), biller.charged()]).toEqual([PAID.account, 101_200]);
});

test('what a biller has forgotten for long is not paid again: it waits for two officers', async () => {
  const { say, biller, resolve, page, reference, world, reconnect, alarms } = await openBills('counter');
  biller.mood = 'pending';
  expect(await say({ seq: 1, ...inCash })).toMatchObject(waits);
  world.shift += PAY_AGAIN_MS;
  biller.forget(reference(1));
  biller.mood = 'well';
  const asked = biller.heard.length;
  await world.restart();
  await reconnect();
  await biller.until('ask', asked);
  expect(await resolve(1)).toMatchObject(waits);
  expect([await page(), biller.charged(), biller.orders()]).toEqual([BEFORE, 0, {}]);
  const key = (await world.hub.ledger.holds())[0]?.key;
  if (key === undefined) throw new Error('nothing waits');
  const officers = JSON.stringify({ officers: ['Ani', 'Budi'] });
  await world.hub.ledger.settle({ key, word: 'void', at: Date.now(), officers });
  expect(await resolve(1)).toMatchObject(decided('cancelled', 'cancelled'));
  // The biller's late word changes nothing, and is told.
  await world.hub.ledger.settle({ key, word: 'post', at: Date.now(), officers: null, answer: '{}' });
  expect(await alarms()).toEqual(['hold-ended', 'hold-waits']);
  expect(await page()).toEqual(BEFORE);
});

test('a tap pays one bill only, and what it was for does not change', async () => {
  const { say, fromAccount, biller, alarms, page } = await openBills();
  const request = fromAccount(1);
  expect(await say(request)).toMatchObject(decided('approved'));
  expect(await say({ ...request, customer: '530099999999' })).toMatchObject(refused('body-differs'));
  expect(await say({ ...request, seq: 2 })).toMatchObject(decided('declined', 'certificate-malformed'));
  expect(await alarms()).toEqual(['body-differs']);
  expect([await page(), biller.charged()]).toEqual([PAID.account, 101_200]);
});

test('one tap pays a sale or a bill, not both: whichever comes first, also under the same number', async () => {
  const { say, sale, fromAccount, world, reconnect, alarms, page } = await openBills('counter');
  const bill = fromAccount(1);
  expect(await say(bill)).toMatchObject(decided('approved'));
  await world.restart();
  await reconnect();
  const sold = { seq: 1, kind: 'account', amount: TOTAL, claim: bill.claim };
  expect(await sale(sold)).toMatchObject(decided('declined', 'slot-taken'));
  const second = fromAccount(2, { uid: WAYAN });
  const bought = await sale({ seq: 2, kind: 'account', amount: TOTAL, claim: second.claim });
  expect(bought).toMatchObject(decided('approved'));
  expect(await say(second)).toMatchObject(decided('declined', 'slot-taken'));
  expect(await alarms()).toEqual(['slot-taken', 'slot-taken']);
  expect(await page()).toMatchObject({ 'angkot/member/ak-0001': 897_000, 'kud/member/kd-0001': 897_000 });
});

test('a kiosk that gives up a bill without knowing that it was paid learns so, and no alarm is raised', async () => {
  const { say, alarms, page } = await openBills('counter');
  expect(await say({ seq: 1, ...inCash })).toMatchObject(decided('approved'));
  expect(await say({ seq: 1, ask: 'cancel' })).toMatchObject(decided('approved'));
  expect([await alarms(), await page()]).toEqual([[], PAID.cash]);
});

test('an alarm about a bill names its kiosk and its number as officers know them', async () => {
  const { say, world, kiosk } = await openBills('counter');
  await say({ seq: 1, ...inCash });
  await say({ seq: 1, ...inCash, amount: 50_000 });
  const pair = `${kiosk.grant.kiosk}/1`;
  const alarm = { kind: 'body-differs', kiosk: String(kiosk.grant.kiosk), detail: expect.stringContaining(pair) };
  expect(await world.hub.ledger.alarms(5)).toMatchObject([alarm]);
});

test('a clock that is set back makes nothing young again: what a biller forgot is not paid a second time', async () => {
  const { say, biller, resolve, reference, world, reconnect } = await openBills('counter');
  biller.mood = 'pending';
  expect(await say({ seq: 1, ...inCash })).toMatchObject(waits);
  world.shift -= 24 * PAY_AGAIN_MS;
  biller.forget(reference(1));
  biller.mood = 'well';
  const asked = biller.heard.length;
  await world.restart();
  await reconnect();
  await biller.until('ask', asked);
  expect(await resolve(1)).toMatchObject(waits);
  expect(biller.orders()).toEqual({});
});

test('what does not fit is refused: nothing is held and no biller is asked', async () => {
  const { say, fromAccount, world, biller, page } = await openBills('counter');
  const wrongs: readonly [string, string, () => object][] = [
    ['more than the deposit at the biller', 'biller-short', () => fromAccount(1, { amount: 350_000 })],
    [
      'an admin that is not the one in force',
      'bill-changed',
      () => ({ ...fromAccount(2, { uid: WAYAN }), amount: BILL.amount + 500, admin: BILL.admin - 500 }),
    ],
    ['another sum than the card certified', 'certificate-malformed', () => ({ ...fromAccount(3), amount: 99_999 })],
    ['a product that nobody sells here', 'product-unknown', () => fromAccount(4, { product: 'pdam' })],
    ['more than one tap may pay', 'pay-limit', () => fromAccount(5, { amount: 1_998_000 })],
    ['much without a PIN', 'pin-needed', () => fromAccount(10, { amount: 498_000 })],
    ['a tap of two minutes ago', 'expired', () => fromAccount(6, { at: Date.now() - 120_000 })],
    ['a teller of another cooperative', 'teller-unknown', () => ({ seq: 7, ...inCash, teller: BAMBANG })],
    ['much cash without a second person', 'approval-needed', () => ({ seq: 8, ...inCash, amount: 5_000_000 })],
    ['a frozen card', 'card-blocked', () => fromAccount(9)],
  ];
  for (const [what, reason, request] of wrongs) {
    const card = world.hub.registry.card(BAMBANG as CardUid);
    if (reason === 'card-blocked' && card !== undefined) world.hub.registry.putCard({ ...card, status: 'frozen' });
    const { receipt } = (await say(request())).body as { receipt?: { outcome: string; reason: string } };
    expect([receipt?.outcome, receipt?.reason], what).toEqual([reason === 'expired' ? 'expired' : 'declined', reason]);
  }
  expect([biller.heard, await world.hub.ledger.holds(), await page()]).toEqual([[], [], BEFORE]);
});

test('bills are paid at kiosks for bills and at counters, and nowhere else', async () => {
  const { say, world } = await openBills('stall');
  expect(await say({ seq: 1, ...inCash })).toMatchObject(refused('not-allowed'));
  expect((await world.hub.ledger.alarms(5)).map(({ kind }) => kind)).toEqual(['role-foreign']);
});

test('a card may not pay a second bill within a minute, unless the first one was refused', async () => {
  const { say, fromAccount, biller, ended, reference } = await openBills();
  biller.mood = 'pending';
  expect(await say(fromAccount(1))).toMatchObject(waits);
  expect(await say(fromAccount(2))).toMatchObject(decided('declined', 'too-soon'));
  biller.end(reference(1), 'refused');
  await ended(1);
  biller.mood = 'well';
  expect(await say(fromAccount(3))).toMatchObject(decided('approved'));
});

test('a kiosk gives up what is not released, and never what is', async () => {
  const { say, biller, page } = await openBills('counter');
  expect(await say({ seq: 1, ask: 'resolve' })).toMatchObject({ body: { unknown: true } });
  expect(await say({ seq: 1, ask: 'cancel' })).toMatchObject(decided('cancelled', 'cancelled'));
  expect(await say({ seq: 1, ...inCash })).toMatchObject(decided('cancelled', 'cancelled'));
  biller.mood = 'pending';
  await say({ seq: 2, ...inCash });
  expect(await say({ seq: 2, ask: 'cancel' })).toMatchObject(refused('hold-released'));
  expect(await page()).toEqual(BEFORE);
});
