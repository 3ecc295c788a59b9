/** Refunds over real MQTT: which kiosk may give which sale back, and what anybody else is told. */
import { Compile } from 'typebox/compile';
import { expect, test } from 'vitest';
import type { CardUid } from '../../../protocol/ids.ts';
import { RefundAnswer } from '../../../protocol/refund.ts';
import { tapRequest } from '../taps.ts';
import { ask, join, type Wire } from '../wire.ts';
import { openWorld, type TestKiosk, type World } from '../world.ts';

/** Bambang of angkot pays; Siti trades at the market; a teller of the savings cooperative, one of the angkot's. */
const BAMBANG = '04135350554c80';
const SITI = '04115350554c80';
const SLAMET = '04125350554c80';
const TELLER = '04195350554c80';

const fits = Compile(RefundAnswer);

interface Desk {
  readonly kiosk: TestKiosk;
  say(conversation: 'purchase' | 'refund' | 'resolve', body: object): ReturnType<typeof ask>;
  refund(seq: number, of: readonly [TestKiosk, number], amount: number, more?: object): ReturnType<typeof ask>;
  resolve(seq: number): ReturnType<typeof ask>;
}

async function desk(world: World, name: string, outlet: string, role: 'stall' | 'counter' | 'issuing' = 'stall') {
  const kiosk = await world.enrol(name, outlet, role);
  let wire: Wire = await join(world, kiosk);
  let said = 0;
  const no = kiosk.grant.kiosk;
  const say = async (conversation: 'purchase' | 'refund' | 'resolve', body: object) => {
    said += 1;
    const answer = await ask(wire, kiosk.name, conversation, body, said);
    if (answer.name === 'refund') expect(fits.Check(answer.body), JSON.stringify(answer.body)).toBe(true);
    return answer;
  };
  const opened: Desk & { reconnect(): Promise<void> } = {
    kiosk,
    say,
    refund: (seq, [of, original], amount, more = {}) =>
      say('refund', {
        kiosk: no,
        seq,
        ask: 'refund',
        original: { kiosk: of.grant.kiosk, seq: original },
        amount,
        reason: 'goods-returned',
        teller: SITI,
        ...more,
      }),
    resolve: (seq) => say('refund', { kiosk: no, seq, ask: 'resolve' }),
    async reconnect() {
      wire = await join(world, kiosk);
      said = 0;
    },
  };
  return opened;
}

let counter = 4;

/** Bambang, or another, pays at a stall. */
async function buy(world: World, stall: Desk, seq: number, amount: number, uid = BAMBANG) {
  counter += 1;
  const at = Date.now() + world.shift;
  const answer = await stall.say(
    'purchase',
    tapRequest(world.hub, stall.kiosk, { uid, amount, seq, tmc: counter, at }),
  );
  expect(answer.body).toMatchObject({ receipt: { outcome: 'approved' } });
}

async function books(world: World) {
  const { ledger } = world.hub;
  const [member = 0n, payout = 0n] = await ledger.balances([
    { cooperative: 'angkot' as never, kind: 'member', owner: 'ak-0001' },
    { cooperative: 'pasar' as never, kind: 'payout', owner: 'stall-12' },
  ]);
  const { total, brokenPairs, brokenAccounts, brokenEntries } = await ledger.trialBalance();
  expect([total, brokenPairs, brokenAccounts, brokenEntries]).toEqual([0n, [], [], []]);
  return [Number(member), Number(payout)];
}

const decided = (outcome: string, reason: string | null = null) => ({ body: { receipt: { outcome, reason } } });
const UNKNOWN = decided('declined', 'payment-unknown');

test('a stall gives a sale back in part and in full, to the account; more than the sale is refused', async () => {
  const world = await openWorld();
  const stall = await desk(world, 'lapak-12', 'stall-12');
  await buy(world, stall, 1, 50_000);
  const start = await books(world);
  expect(start[0]).toBe(950_000);
  const first = await stall.refund(2, [stall.kiosk, 1], 20_000);
  expect(first).toMatchObject({
    name: 'refund',
    body: { receipt: { outcome: 'approved', amount: 20_000, balance: null, card: BAMBANG, outlet: 'stall-12' } },
  });
  expect((await books(world))[0]).toBe(970_000);
  expect(await stall.refund(3, [stall.kiosk, 1], 30_001)).toMatchObject(decided('declined', 'refund-exceeds'));
  expect(await stall.refund(4, [stall.kiosk, 1], 30_000)).toMatchObject(decided('approved'));
  expect(await books(world)).toEqual([1_000_000, 0]);
});

test('asked again, also after a restart, a refund is answered the same and moves nothing more', async () => {
  const world = await openWorld();
  const stall = await desk(world, 'lapak-12', 'stall-12');
  await buy(world, stall, 1, 50_000);
  expect(await stall.resolve(2)).toMatchObject({ body: { unknown: true } });
  const first = await stall.refund(2, [stall.kiosk, 1], 20_000);
  const refused = await stall.refund(3, [stall.kiosk, 9], 20_000);
  expect(refused).toMatchObject(UNKNOWN);
  await world.restart();
  await stall.reconnect();
  expect((await stall.refund(2, [stall.kiosk, 1], 20_000)).body).toEqual(first.body);
  expect((await stall.resolve(2)).body).toEqual(first.body);
  expect((await stall.refund(3, [stall.kiosk, 9], 20_000)).body).toEqual(refused.body);
  const differs = await stall.refund(2, [stall.kiosk, 1], 20_001);
  expect(differs).toMatchObject({ name: 'refusal', body: { code: 'body-differs' } });
  expect(first.body.mac).toBe(world.hub.vault.receiptMac(JSON.stringify(first.body.receipt)));
  expect((await books(world))[0]).toBe(970_000);
});

test('another outlet’s sale, another cooperative’s, a declined one, one that never was: told the same', async () => {
  const world = await openWorld();
  const stall = await desk(world, 'lapak-12', 'stall-12');
  const other = await desk(world, 'lapak-31', 'stall-31');
  const away = await desk(world, 'loket-1', 'ksp-loket', 'counter');
  await buy(world, stall, 1, 50_000);
  const said = [
    await other.refund(1, [stall.kiosk, 1], 1_000, { teller: SLAMET }),
    await away.refund(1, [stall.kiosk, 1], 1_000, { teller: TELLER }),
    await away.refund(2, [stall.kiosk, 77], 1_000, { teller: TELLER }),
    await other.refund(2, [stall.kiosk, 77], 1_000, { teller: SLAMET }),
  ];
  for (const answer of said) {
    expect(answer).toMatchObject(UNKNOWN);
    expect(answer.body.receipt).toMatchObject({ card: null, issuer: null, balance: null });
  }
  expect((await books(world))[0]).toBe(950_000);
});

test('a counter of the outlet’s cooperative gives back what any of its outlets sold', async () => {
  const world = await openWorld();
  const stall = await desk(world, 'lapak-12', 'stall-12');
  const office = await desk(world, 'loket-pasar', 'stall-31', 'counter');
  await buy(world, stall, 1, 50_000);
  expect(await office.refund(1, [stall.kiosk, 1], 50_000, { teller: SLAMET })).toMatchObject(decided('approved'));
  expect(await books(world)).toEqual([1_000_000, 0]);
});

test('who gives back is of the outlet’s cooperative, with a card that pays, and never the one who paid', async () => {
  const world = await openWorld();
  const { registry } = world.hub;
  const stall = await desk(world, 'lapak-12', 'stall-12');
  await buy(world, stall, 1, 10_000, SLAMET);
  const sale = [stall.kiosk, 1] as const;
  const unknown = decided('declined', 'teller-unknown');
  expect(await stall.refund(2, sale, 10_000, { teller: SLAMET })).toMatchObject(unknown);
  expect(await stall.refund(3, sale, 10_000, { teller: TELLER })).toMatchObject(unknown);
  expect(await stall.refund(4, sale, 10_000, { teller: '04ffffffffffff' })).toMatchObject(unknown);
  const siti = registry.card(SITI as CardUid);
  if (siti === undefined) throw new Error('Siti has a card');
  registry.putCard({ ...siti, status: 'frozen' });
  expect(await stall.refund(5, sale, 10_000)).toMatchObject(unknown);
});

test('a replaced card does not keep the money from its member, and no card is asked for', async () => {
  const world = await openWorld();
  const { registry } = world.hub;
  const stall = await desk(world, 'lapak-12', 'stall-12');
  await buy(world, stall, 1, 50_000);
  const card = registry.card(BAMBANG as CardUid);
  if (card === undefined) throw new Error('Bambang has a card');
  registry.putCard({ ...card, status: 'replaced' });
  expect(await stall.refund(2, [stall.kiosk, 1], 50_000)).toMatchObject(decided('approved'));
  expect(await books(world)).toEqual([1_000_000, 0]);
});

test('an issuing kiosk, another kiosk’s number, a reason nobody knows, nothing to give: refused', async () => {
  const world = await openWorld();
  const stall = await desk(world, 'lapak-12', 'stall-12');
  const issuing = await desk(world, 'kartu-1', 'stall-12', 'issuing');
  await buy(world, stall, 1, 50_000);
  const refused = (code: string) => ({ name: 'refusal', body: { code } });
  const sale = [stall.kiosk, 1] as const;
  expect(await issuing.refund(1, sale, 1_000)).toMatchObject(refused('not-allowed'));
  const foreign = { kiosk: issuing.kiosk.grant.kiosk };
  expect(await stall.refund(2, sale, 1_000, foreign)).toMatchObject(refused('not-yours'));
  for (const wrong of [{ reason: 'because' }, { amount: 0 }, { amount: 1.5 }, { teller: 'SITI' }, { original: {} }]) {
    expect(await stall.refund(3, sale, 1_000, wrong)).toMatchObject(refused('message-malformed'));
  }
  expect((await books(world))[0]).toBe(950_000);
});
