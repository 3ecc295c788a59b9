/** Tariffs at a kiosk: only what the hub signed comes to the disk, and what is shown is what the card certifies. */
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { PurchaseRequest } from '../../protocol/purchase.ts';
import type { Tariff } from '../../protocol/tariffs.ts';
import { anyCard } from '../town/deck.ts';
import { makeFolder } from './enrolled.ts';
import { Decider, Stall, signedBook } from './stall.ts';

const offUs: Tariff = {
  version: 1,
  kind: 'purchase',
  direction: 'merchant',
  reach: 'off-us',
  fixed: 0n,
  basisPoints: 70,
  min: 0n,
  max: 50_000n,
  shares: [{ to: 'acquirer', weight: 1 }],
  from: '2020-01-01',
};
const onTop: Tariff = { ...offUs, version: 2, direction: 'member', fixed: 500n };

function stall() {
  const { dir, remove } = makeFolder();
  onTestFinished(remove);
  const decider = new Decider();
  return { dir, decider, path: join(dir, 'tariffs.json') };
}

function opened(dir: string, decider: Decider): Stall {
  const made = new Stall(dir, decider);
  onTestFinished(() => made.off());
  return made;
}

const shown = ({ screen }: Stall) => screen.lines.map(({ id, en }) => `${id} / ${en}`);

/** Turns of the event loop until what was asked is answered. */
async function talked(stall: Stall): Promise<Stall> {
  await stall.settled();
  return stall;
}

const charged = ({ decider }: Stall) =>
  decider.bodies
    .map((body) => JSON.parse(body) as PurchaseRequest)
    .map(({ seq, amount, tariff, price }) => ({ seq, amount, tariff, price }));

test('a book is verified, kept on the disk, acknowledged with the next sale, and shown after a restart', async () => {
  const { dir, decider, path } = stall();
  decider.book = signedBook(3, [offUs]);
  const first = await talked(opened(dir, decider));
  const holds = { book: 3, signature: decider.book.signature };
  expect(decider.tariffsAsked).toEqual([
    { holds: null, class: null, from: 1 },
    { holds, class: 'retail', from: 1 },
  ]);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ text: decider.book.text, class: 'retail', from: 1 });
  first.press('5', '0', '0', '0', '0', 'enter');
  expect(shown(first)[0]).toBe('Kartu koperasi lain: biaya lapak Rp 350 / Cards of others: the outlet pays Rp 350');
  decider.silent = true;
  const again = first.again();
  onTestFinished(() => again.off());
  again.press('5', '0', '0', '0', '0', 'enter');
  expect(shown(again)[0]).toMatch(/^Kartu koperasi lain: biaya lapak Rp 350/);
});

test('a sale names the book that was shown; one that comes later is for the sales after it', async () => {
  const { dir, decider } = stall();
  decider.book = signedBook(3, [offUs]);
  const kiosk = await talked(opened(dir, decider));
  kiosk.arm();
  decider.book = signedBook(9, [offUs, onTop]);
  decider.issuer = 'angkot';
  kiosk.beacon(9);
  kiosk.clock.pass(1);
  await talked(kiosk);
  expect(decider.tariffsAsked.at(-1)).toMatchObject({ holds: { book: 9 }, from: 2 });
  kiosk.beacon(9);
  await kiosk.tap(anyCard());
  expect(charged(kiosk)).toEqual([{ seq: 1, amount: 25_000, tariff: 3, price: 25_000 }]);
});

test('a total that the member pays is shown, the card certifies it, and a sale armed again asks anew', async () => {
  const { dir, decider } = stall();
  decider.book = signedBook(3, [onTop]);
  decider.issuer = 'angkot';
  const kiosk = await talked(opened(dir, decider));
  kiosk.arm();
  expect(shown(kiosk)[0]).toBe(
    'Kartu koperasi lain: bayar Rp 25.675, biaya Rp 675 / Cards of others: pay Rp 25.675, fee Rp 675',
  );
  await kiosk.tap(anyCard(), { tear: { apdu: 4, when: 'before' } });
  expect(kiosk.phase).toMatchObject({ name: 'armed', sale: { amount: 25_000n } });
  await kiosk.tap(anyCard());
  expect(kiosk.screen).toMatchObject({ light: 'green', amount: 'Rp 25.675' });
  expect(charged(kiosk)).toEqual([{ seq: 1, amount: 25_675, tariff: 3, price: 25_000 }]);
});

test('a card of the outlet’s own cooperative pays by the tariff for those; a fee of 0 is not said', async () => {
  const { dir, decider } = stall();
  decider.book = signedBook(3, [{ ...offUs, reach: 'on-us', basisPoints: 0, max: 0n, shares: [] }, onTop]);
  const kiosk = await talked(opened(dir, decider));
  kiosk.press('2', '5', '0', '0', '0', 'enter');
  expect(shown(kiosk).filter((line) => /biaya/.test(line))).toHaveLength(1);
  kiosk.press('enter');
  await kiosk.tap(anyCard());
  expect(charged(kiosk)).toEqual([{ seq: 1, amount: 25_000, tariff: 3, price: 25_000 }]);
});

test('one fee for all cards is said once, without a book none, and a total over the limit is not armed', async () => {
  const { dir, decider } = stall();
  decider.book = signedBook(3, [{ ...onTop, version: 1, reach: 'on-us' }, onTop]);
  const kiosk = opened(dir, decider);
  kiosk.press('2', '5', '0', '0', '0', 'enter');
  expect(shown(kiosk)[0]).toBe('Dari saldo anggota, tanpa PIN / From the account, no PIN');
  await talked(kiosk);
  kiosk.press('back', 'enter');
  expect(shown(kiosk)[0]).toBe('Bayar Rp 25.675, biaya Rp 675 / Pay Rp 25.675, fee Rp 675');
  kiosk.press('cancel', '4', '9', '9', '0', '0', '0', 'enter');
  expect(kiosk.phase).toMatchObject({ name: 'typing', note: 'tap-limit' });
});

const forged = generateKeyPairSync('ed25519').privateKey;

test.each([
  ['forged', () => signedBook(9, [onTop], forged)],
  ['gone-back', () => signedBook(2, [onTop])],
  ['gone-back', () => signedBook(3, [onTop])],
  ['unreadable', () => ({ ...signedBook(9, [{ ...offUs, from: 'soon' }]) })],
] as const)('a book that is %s is refused aloud, once, and the one before stays', async (why, made) => {
  const { dir, decider, path } = stall();
  decider.book = signedBook(3, [offUs]);
  const kiosk = await talked(opened(dir, decider));
  const before = readFileSync(path, 'utf8');
  decider.book = made();
  kiosk.online(false);
  kiosk.online(true);
  await talked(kiosk);
  expect(kiosk.log).toContain(`tariffs refused: the hub sent a book that is ${why}; the one before stays in force`);
  expect(decider.tariffsAsked.at(-1)).toMatchObject({ holds: { book: 3 }, refused: why });
  expect(readFileSync(path, 'utf8')).toBe(before);
  kiosk.press('5', '0', '0', '0', '0', 'enter');
  expect(shown(kiosk)[0]).toMatch(/biaya lapak Rp 350/);
});

test('a book that was changed on the disk is not believed, and the hub is asked for its own', async () => {
  const { dir, decider, path } = stall();
  decider.book = signedBook(3, [offUs]);
  (await talked(opened(dir, decider))).off();
  writeFileSync(path, readFileSync(path, 'utf8').replace(' 70 ', ' 1 '));
  const kiosk = opened(dir, decider);
  expect(kiosk.log.some((line) => /^tariffs refused: .* is not what the hub signed/.test(line))).toBe(true);
  await talked(kiosk);
  expect(JSON.parse(readFileSync(path, 'utf8')).text).toBe(decider.book.text);
});

test('another class of the outlet is taken up and acknowledged from the next sale on', async () => {
  const { dir, decider } = stall();
  decider.book = signedBook(3, [offUs, { ...offUs, version: 2, class: 'micro', basisPoints: 0, max: 0n, shares: [] }]);
  const kiosk = await talked(opened(dir, decider));
  kiosk.arm();
  kiosk.press('cancel');
  decider.outletClass = 'micro';
  kiosk.online(false);
  kiosk.online(true);
  await talked(kiosk);
  expect(decider.tariffsAsked.at(-1)).toMatchObject({ holds: { book: 3 }, class: 'micro', from: 2 });
  kiosk.press('5', '0', '0', '0', '0', 'enter');
  expect(shown(kiosk).some((line) => /biaya/.test(line))).toBe(false);
});
