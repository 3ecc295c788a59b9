/** The hub is killed while a replaced card is emptied: when it is back, the money is, once, and the screen says so. */
import { expect, onTestFinished, test } from 'vitest';
import type { Account } from '../../hub/rules/accounts.ts';
import type { CardStatus } from '../../hub/rules/lifecycle.ts';
import type { Card } from '../town/card.ts';
import { hexUid, newChip, orderCard, prepareChip } from '../town/cardstock.ts';
import { openCounter } from '../town/counter.ts';
import { hubProcess, steadyPort } from '../town/hubprocess.ts';
import { enrolIssuing, openIssuing, wasServed } from '../town/issuing.ts';
import { eventually } from '../town/kiosk.ts';
import { ledgerFile } from '../town/ledgerfile.ts';
import { openPcscd } from '../town/pcscd.ts';
import { enrolKiosk, makePlace, openOffice, removePlace } from '../town/town.ts';

const AMOUNT = 35_000n;
const COMMIT_TRANSACTION = 0xc7;
const TRIES = 5;

async function town() {
  const pcscd = await openPcscd();
  onTestFinished(() => pcscd.close());
  const place = await makePlace(undefined, await steadyPort());
  onTestFinished(() => removePlace(place));
  const office = openOffice(place);
  onTestFinished(() => office.close());
  const hub = hubProcess(place);
  await hub.start();
  onTestFinished(() => hub.kill());
  const kiosk = await openIssuing(await enrolIssuing(place, office, 'meja-1'), pcscd);
  onTestFinished(() => kiosk.close());
  const counter = openCounter(await enrolKiosk(place, office, 'loket-1', 'stall-12'), office.port);
  onTestFinished(() => counter.close());
  const ledger = ledgerFile(place);

  /** What an officer's command writes; resolves when the hub's ledger knows it. */
  async function become(card: Card, status: CardStatus): Promise<void> {
    office.registry.refresh();
    const known = office.registry.card(hexUid(card));
    if (known === undefined) throw new Error('no such card');
    office.registry.putCard({ ...known, status });
    await eventually(
      () => `the hub to know that the card is ${status}`,
      () => ledger.cardStatus(known.uid) === status,
    );
  }
  return { office, hub, kiosk, counter, ledger, become };
}

/** The same card, with something that happens when it has committed and before its answer leaves. */
function atCommit(card: Card, then: () => void): Card {
  let once = false;
  const process = (apdu: Uint8Array) => {
    const reply = card.process(apdu);
    if (apdu[1] === COMMIT_TRANSACTION && !once) {
      once = true;
      then();
    }
    return reply;
  };
  return { memory: card.memory, reset: card.reset, process };
}

test('killed between the card’s commit and its answer, the hub books the money when the card comes back', async () => {
  const { office, hub, kiosk, counter, ledger, become } = await town();
  orderCard(office, 'tk-0001');
  const card = newChip();
  await prepareChip(office, card);
  expect(wasServed(await kiosk.serve(card))).toBe(true);
  await become(card, 'active');
  await counter.online();
  await counter.lay(card);
  expect(await counter.reload(AMOUNT)).toMatchObject({ kind: 'loaded' });
  counter.lift();
  const known = office.registry.card(hexUid(card));
  if (known === undefined) throw new Error('no card');
  const account = (kind: Account['kind'], owner: string) => ({ cooperative: known.issuer, kind, owner });
  const books = () => [account('member', known.member), account('purse', known.uid)].map((one) => ledger.balance(one));
  const [member = 0n, purse = 0n] = books();
  expect(purse).toBe(AMOUNT);

  await become(card, 'replaced');
  let killed: Promise<void> | undefined;
  const screen = await kiosk.serve(
    atCommit(card, () => {
      killed = hub.kill();
    }),
  );
  await killed;
  expect(wasServed(screen)).toBe(false);
  expect(card.memory.files.get(0x03)).toMatchObject({ value: 0 });
  expect(books()).toEqual([member, AMOUNT]);
  await hub.start();
  const from = kiosk.screens.length;
  await eventually(
    () => 'the kiosk to find the hub again',
    () => kiosk.screens.slice(from).some((screen) => screen.includes('Terhubung / Online')),
  );
  let last = '';
  for (let at = 0; at < TRIES && !wasServed(last); at++) last = await kiosk.serve(card);
  for (const words of ['Kartu ini tidak berlaku lagi', 'Rp 35.000 kembali ke rekening', 'Gunting kartunya']) {
    expect(last).toContain(words);
  }
  expect(books()).toEqual([member + AMOUNT, 0n]);
  expect(card.memory.keys.map(({ version }) => version)).toEqual([255, 255, 255, 255, 255]);
  expect([card.memory.failures, ledger.faults(), ledger.alarms()]).toEqual([0, [], []]);
}, 90_000);
