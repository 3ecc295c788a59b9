/** Tariffs between hub and kiosk: a sale is priced by what its kiosk had acknowledged for it (TRUTH section 10). */
import { createPublicKey, verify } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hubPaths } from '../../../hub/config.ts';
import { openRegistry } from '../../../hub/store/sqlite/registry.ts';
import type { KioskNo } from '../../../protocol/ids.ts';
import { BOOK_CONTEXT, readBook, type TariffsAnswer } from '../../../protocol/tariffbook.ts';
import type { Tariff } from '../../../protocol/tariffs.ts';
import { tapRequest } from '../taps.ts';
import { ask, join, read, type Wire } from '../wire.ts';
import { openWorld, type TestKiosk, type World } from '../world.ts';

/** Others use the machine too. */
const PATIENCE = { timeout: 30_000 };

/** Cards of the other five cooperatives: each pays once a minute at one kiosk. */
const uids = Array.from({ length: 10 }, (_, at) => `04${(0x13 + at).toString(16)}5350554c80`);
let world: World;
let cards = 0;

beforeAll(async () => {
  world = await openWorld({}, {}, afterAll);
}, PATIENCE.timeout);

interface Stall {
  readonly kiosk: TestKiosk;
  readonly wire: Wire;
  said: number;
}

async function stall(name: string, outlet = 'stall-12'): Promise<Stall> {
  const kiosk = await world.enrol(name, outlet);
  return { kiosk, wire: await join(world, kiosk), said: 0 };
}

async function tariffs(of: Stall, body: object) {
  const answer = await ask(of.wire, of.kiosk.name, 'tariffs', body, ++of.said);
  return answer.name === 'refusal' ? String(answer.body.code) : (answer.body as unknown as TariffsAnswer);
}

type Sent = NonNullable<TariffsAnswer['book']>;

/** The newest book as a kiosk without one gets it. */
async function newest(of: Stall): Promise<Sent> {
  const answer = await tariffs(of, { holds: null, class: null, from: 1 });
  if (typeof answer === 'string' || answer.book === null) throw new Error('no book came');
  return answer.book;
}

const numberOf = ({ text }: Sent): number => readBook(text)?.book ?? 0;
const holding = (sent: Sent, from: number, named = 'micro') => {
  return { holds: { book: numberOf(sent), signature: sent.signature }, class: named, from };
};

/** The fee of a sale of Rp 50.000 with a card of another cooperative. */
async function fee(of: Stall, seq: number, tariff?: number, amount = 50_000, price?: number) {
  const uid = uids[cards++ % uids.length] ?? '';
  if (cards % uids.length === 0) world.shift += 61_000;
  const tap = { uid, amount, seq, tmc: 4 + cards, at: Date.now() + world.shift };
  const request = { ...tapRequest(world.hub, of.kiosk, tap), ...(tariff === undefined ? {} : { tariff }) };
  if (price !== undefined) Object.assign(request, { price });
  const { body } = await ask(of.wire, of.kiosk.name, 'purchase', request, ++of.said);
  const { outcome, reason, fee } = body.receipt as Record<string, unknown>;
  return outcome === 'approved' ? fee : reason;
}

/** Two officers' command in another process; resolves when the hub has signed the book of it. */
async function added(terms: Partial<Tariff>): Promise<void> {
  const { registry } = world.hub;
  const [off] = registry.tariffs().filter(({ kind, reach }) => kind === 'purchase' && reach === 'off-us');
  if (off === undefined) throw new Error('the pilot has no tariff for purchases');
  const { version: _, ...base } = off;
  const before = registry.newestTariffBook()?.book;
  const other = openRegistry({ path: hubPaths(world.directory).registry });
  other.addTariffs([{ ...base, ...terms }], ['Ani', 'Budi'], Date.now());
  other.close();
  await expect.poll(() => registry.newestTariffBook()?.book, PATIENCE).not.toBe(before);
}

const alarms = async (kind: string) =>
  (await world.hub.ledger.alarms(100)).filter((alarm) => alarm.kind === kind).map(({ kiosk }) => kiosk);

test('a kiosk gets the whole table, numbered and signed by the hub, the class of its outlet, and hears of newer ones', {
  ...PATIENCE,
}, async () => {
  const one = await stall('lapak-1');
  const answer = await tariffs(one, { holds: null, class: null, from: 1 });
  if (typeof answer === 'string' || answer.book === null) throw new Error('no book came');
  expect(answer.class).toBe('micro');
  const { text, signature } = answer.book;
  const x = Buffer.from(one.kiosk.grant.statementKey, 'base64').toString('base64url');
  const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } });
  const signed = (said: string) => verify(null, Buffer.from(said), key, Buffer.from(signature, 'base64'));
  expect([signed(BOOK_CONTEXT + text), signed(text), signed(`${BOOK_CONTEXT}${text} `)]).toEqual([true, false, false]);
  expect(readBook(text)?.tariffs.map(({ version }) => version)).toEqual([1, 2, 3, 4]);
  const beacon = await one.wire.find((packet) => packet.cmd === 'publish' && packet.topic === 'simpul/v1/hub/beacon');
  expect(read(beacon).body.tariffs).toBe(numberOf(answer.book));
  expect(await tariffs(one, holding(answer.book, 1))).toEqual({ book: null, class: 'micro' });
});

test('a sale costs what its kiosk had acknowledged for it, whatever it names; without a word, what is in force', {
  ...PATIENCE,
}, async () => {
  const [told, silent] = [await stall('lapak-2'), await stall('lapak-3')];
  const before = await newest(told);
  await tariffs(told, holding(before, 1));
  expect(await fee(told, 1, numberOf(before))).toBe(350);
  const today = '2026-01-01';
  await added({ basisPoints: 140, from: today });
  const after = await newest(told);
  expect(readBook(after.text)?.tariffs.map(({ version }) => version)).toEqual([1, 3, 4, 5]);
  expect([await fee(told, 2, numberOf(before)), await fee(silent, 1)]).toEqual([350, 700]);
  expect(await alarms('tariff-other')).toEqual([]);
  expect(await fee(told, 3, numberOf(after))).toBe(350);
  await tariffs(told, holding(after, 5));
  expect([await fee(told, 6, numberOf(after)), await fee(told, 5), await fee(told, 4)]).toEqual([700, 700, 350]);
  expect(await fee(told, 7, numberOf(before))).toBe(700);
  expect(await fee(silent, 2, 77)).toBe(700);
  expect(await alarms('tariff-other')).toEqual(['lapak-3', 'lapak-2', 'lapak-2']);
  await world.restart();
  const again = { ...told, wire: await join(world, told.kiosk), said: 0 };
  expect([await fee(again, 8), await fee({ ...again, said: 1 }, 3_000)]).toEqual([700, 700]);
  expect(world.hub.registry.shownTariffs(told.kiosk.grant.kiosk as KioskNo, 4)?.book).toBe(numberOf(before));
});

test('a kiosk that holds what the hub never made, or goes back, is refused with an alarm, and its sales stay priced', {
  ...PATIENCE,
}, async () => {
  const one = await stall('lapak-4');
  const book = await newest(one);
  const strange = { book: numberOf(book), signature: `${'A'.repeat(86)}==` };
  expect(await tariffs(one, { holds: strange, class: 'micro', from: 1 })).toBe('tariffs-unknown');
  const older = { ...strange, book: numberOf(book) - 1 };
  expect(await tariffs(one, { holds: older, class: 'micro', from: 1 })).toMatchObject({ book: { text: book.text } });
  expect(await tariffs(one, holding(book, 5, 'retail'))).toMatchObject({ book: null, class: 'micro' });
  const no = one.kiosk.grant.kiosk as KioskNo;
  expect(world.hub.registry.heldTariffs(no)).toBeNull();
  await tariffs(one, holding(book, 5));
  expect(world.hub.registry.heldTariffs(no)).toMatchObject({ book: numberOf(book), class: 'micro', from: 5 });
  await tariffs(one, holding(book, 9));
  expect(world.hub.registry.heldTariffs(no)?.from).toBe(5);
  expect(await tariffs(one, holding(book, 4))).toBe('tariffs-gone-back');
  expect(await tariffs(one, { holds: null, class: null, from: 6, refused: 'forged' })).toMatchObject({ book: null });
  expect([await alarms('tariffs-unknown'), await alarms('tariffs-gone-back'), await alarms('tariffs-refused')]).toEqual(
    [['lapak-4', 'lapak-4'], ['lapak-4'], ['lapak-4']],
  );
  expect(await fee(one, 6)).toBe(700);
});

test('a total that the member pays is checked: the price in it is found, and a total of another tariff pays nobody', {
  ...PATIENCE,
}, async () => {
  await added({ direction: 'member', basisPoints: 100, min: 0n, max: 1_000_000n, from: '2026-02-01' });
  const one = await stall('lapak-5');
  await tariffs(one, holding(await newest(one), 1));
  expect(await fee(one, 1, undefined, 50_500)).toBe(500);
  expect(await fee(one, 2, undefined, 50_095)).toBe('tariff-differs');
  // Rp 50.700 contains a price too, but not the one that the outlet asked under another tariff.
  expect(await fee(one, 4, undefined, 50_700)).toBe(501);
  expect(await fee(one, 5, undefined, 50_700, 50_000)).toBe('tariff-differs');
  expect(await fee(one, 6, undefined, 50_000, 50_000)).toBe('tariff-differs');
  expect(await fee(one, 7, undefined, 50_500, 50_000)).toBe(500);
  const payout = { cooperative: 'pasar', kind: 'payout', owner: 'stall-12' } as never;
  const [before = 0n] = await world.hub.ledger.balances([payout]);
  expect(await fee(one, 3, undefined, 101_000)).toBe(1_000);
  const [after = 0n] = await world.hub.ledger.balances([payout]);
  expect(after - before).toBe(100_000n);
});
