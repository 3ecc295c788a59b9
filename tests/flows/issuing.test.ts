/** Cards are made at an issuing kiosk: real hub, real line, real reader stack, chips prepared with the hub's keys. */
import { expect, onTestFinished, test } from 'vitest';
import { grouped } from '../../kiosk/rules/issuescreens.ts';
import { hexUid, newChip, newDesfire, orderCard, prepareChip } from '../town/cardstock.ts';
import { enrolIssuing, openIssuing, wasServed } from '../town/issuing.ts';
import { ledgerFile } from '../town/ledgerfile.ts';
import { openPcscd } from '../town/pcscd.ts';
import { makePlace, removePlace, startPlace } from '../town/town.ts';

const [SITI, SLAMET] = ['ps-0001', 'ps-0002'];

async function desk() {
  const pcscd = await openPcscd();
  onTestFinished(() => pcscd.close());
  const place = await makePlace();
  onTestFinished(() => removePlace(place));
  const hub = await startPlace(place);
  onTestFinished(() => hub.close());
  const dir = await enrolIssuing(place, hub, 'meja-1');
  const kiosk = await openIssuing(dir, pcscd);
  onTestFinished(() => kiosk.close());
  const prepared = async () => {
    const card = newChip();
    expect(await prepareChip(hub, card)).toMatchObject({ ok: true });
    return card;
  };
  return { hub, kiosk, prepared, ledger: ledgerFile(place) };
}

test('a prepared chip becomes the card of the member who ordered first, and the screen names both', async () => {
  const { hub, kiosk, prepared, ledger } = await desk();
  const [first, second] = [orderCard(hub, SITI), orderCard(hub, SLAMET)];
  const card = await prepared();
  const screen = await kiosk.serve(card);
  for (const words of ['[OK] (green) Kartu jadi', grouped(first), 'Siti Aminah', 'Sisa 1']) {
    expect(screen).toContain(words);
  }
  expect(hub.registry.card(hexUid(card))).toMatchObject({ status: 'ready', number: first, member: SITI });
  expect(hub.registry.untold()).toEqual([]);
  expect(ledger.cardStatus(hexUid(card))).toBe('ready');
  const steps = kiosk.screens.filter((text) => text.includes('langkah'));
  expect(steps.length).toBeGreaterThan(30);

  const blank = newChip();
  const refused = await kiosk.serve(blank);
  expect(wasServed(refused)).toBe(false);
  expect(refused).toContain('Taruh di kotak kartu yang belum disiapkan');
  expect(hub.registry.chip(hexUid(blank))).toBeUndefined();
  expect(blank.memory.keys.map(({ version }) => version)).toEqual([0, 0, 0, 0, 0]);

  expect(await kiosk.serve(await prepared())).toContain(grouped(second));
  expect(await kiosk.serve(await prepared())).toContain('Minta operator memasukkan pesanan kartu');
});

test('a card torn in the middle goes on where it stopped when it is laid down again, under its number', async () => {
  const { hub, kiosk, prepared } = await desk();
  const number = orderCard(hub, SITI);
  orderCard(hub, SLAMET);
  const card = await prepared();
  for (const [apdu, when] of [
    [12, 'before'],
    [30, 'after'],
    [70, 'before'],
  ] as const) {
    const torn = await kiosk.serve(card, { tear: { apdu, when } });
    expect(torn).toContain('Letakkan lagi kartu yang sama: lanjut dari tempat berhenti');
    expect(hub.registry.card(hexUid(card))).toMatchObject({ status: 'personalising', number });
  }
  const screen = await kiosk.serve(card);
  expect(wasServed(screen)).toBe(true);
  expect(screen).toContain(grouped(number));
  expect(hub.registry.card(hexUid(card))).toMatchObject({ status: 'ready', number, member: SITI });
  expect(card.memory.failures).toBe(0);
});

test('a prepared EV3 becomes a card like any other, torn in the middle of its files or not', async () => {
  const { hub, kiosk } = await desk();
  const number = orderCard(hub, SITI);
  const card = newDesfire();
  expect(await prepareChip(hub, card, undefined, 'desfire-ev')).toMatchObject({ ok: true });
  const torn = await kiosk.serve(card, { tear: { apdu: 24, when: 'after' } });
  expect(torn).toContain('Letakkan lagi kartu yang sama: lanjut dari tempat berhenti');
  const screen = await kiosk.serve(card);
  expect(wasServed(screen)).toBe(true);
  expect(screen).toContain(grouped(number));
  expect(hub.registry.card(hexUid(card))).toMatchObject({ status: 'ready', number, member: SITI });
  const [made] = card.applications.values();
  expect([made?.files.size, made?.failures, made?.keys.map(({ version }) => version)]).toEqual([6, 0, [1, 1, 1, 1, 1]]);
});

test('a card of a chip that this hub never prepared is told so by the hub, and gets no command of it', async () => {
  const { hub, kiosk } = await desk();
  orderCard(hub, SITI);
  const foreign = newChip();
  foreign.memory.keys.splice(0, 1, { key: new Uint8Array(16).fill(7), version: 1 });
  const heard: string[] = [];
  const process = (apdu: Uint8Array) => {
    heard.push(Buffer.from(apdu.subarray(0, 2)).toString('hex'));
    return foreign.process(apdu);
  };
  const screen = await kiosk.serve({ memory: foreign.memory, reset: foreign.reset, process });
  // The kiosk's own questions: which application, and which version each key has.
  expect(heard.filter((command) => command !== 'ffca')).toEqual(['00a4', ...Array(5).fill('9064')]);
  expect(screen).toContain('Kartu belum disiapkan');
  expect(screen).toContain('Sisihkan');
  expect(screen).toContain(hexUid(foreign));
  expect(foreign.memory.failures).toBe(0);
  expect(hub.registry.card(hexUid(foreign))).toBeUndefined();
});
