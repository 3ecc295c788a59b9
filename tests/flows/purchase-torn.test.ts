/** Cards torn before and at the commit, accounts that hold too little: what the stall shows, what the ledger holds. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import { account } from '../../cards/payment.ts';
import { buildRecord, buildTmri, type Deed, proof } from '../../cards/record.ts';
import { play } from '../../cards/script.ts';
import type { Account } from '../../hub/rules/accounts.ts';
import { configPath } from '../../kiosk/config.ts';
import type { CardUid, CooperativeId } from '../../protocol/ids.ts';
import type { Card } from '../town/card.ts';
import type { Trouble } from '../town/field.ts';
import { type HubProcess, hubProcess, steadyPort } from '../town/hubprocess.ts';
import { openKiosk, type TownKiosk } from '../town/kiosk.ts';
import { type LedgerFile, ledgerFile } from '../town/ledgerfile.ts';
import { openPool, type Pool } from '../town/pcscd.ts';
import { enrolKiosk, issueCard, makePlace, openOffice, type Place, removePlace } from '../town/town.ts';

/** The commit's number among the commands of a sale to a card not met before, which first tells its key version. */
const COMMIT = 10;
/** Counter of a card that was personalised and never paid. */
const FRESH = 4;
const AMOUNT = 20_000n;
/** On the kiosk's screen, in its first language. */
const PAID = 'Dibayar. Terima kasih';
const NOT_PAID = 'Tidak dibayar';
const TORN_EARLY = 'Belum terbayar. Tap lagi, tahan kartu';
const IN_DOUBT = 'Tap lagi kartu yang sama';

let place: Place;
let hub: HubProcess;
let ledger: LedgerFile;
let pool: Pool;
let office: ReturnType<typeof openOffice>;

beforeAll(async () => {
  place = await makePlace(undefined, await steadyPort());
  office = openOffice(place);
  hub = hubProcess(place);
  ledger = ledgerFile(place);
  [pool] = await Promise.all([openPool(3), hub.start()]);
});
afterAll(async () => {
  await pool?.close();
  await hub?.kill();
  office?.close();
  expect(ledger.faults()).toEqual([]);
  removePlace(place);
});

interface Stall {
  readonly kiosk: TownKiosk;
  readonly card: Card;
  readonly member: Account;
}

/** A stall of its own with a card that never paid before; closed when the test is over. */
async function stall(uid: string, { onTestFinished }: TestContext, language = 'id'): Promise<Stall> {
  const { pcscd, release } = await pool.lease();
  onTestFinished(release);
  const dir = await enrolKiosk(place, office, `lapak-${uid}`, 'stall-12');
  const settings = JSON.parse(readFileSync(configPath(dir), 'utf8')) as object;
  writeFileSync(configPath(dir), JSON.stringify({ ...settings, language }));
  const kiosk = await openKiosk(dir, pcscd);
  onTestFinished(() => kiosk.close());
  const { issuer, member } = office.registry.card(uid as CardUid) ?? { issuer: '' as CooperativeId, member: '' };
  const card = issueCard(office.vault, office.registry, uid);
  return { kiosk, card, member: { cooperative: issuer, kind: 'member', owner: member } };
}

const counter = ({ memory }: Card) => {
  const file = memory.files.get(0x0f);
  return file?.kind === 'tmac' ? file.tmc : null;
};

/** Lays the card down, waits until the trouble has torn it away and the reader has noticed. */
async function tear({ kiosk, card }: Stall, trouble: Trouble, shown: string): Promise<void> {
  const torn = await kiosk.lay(card, trouble);
  await torn.gone;
  await kiosk.until(shown);
  await kiosk.left();
}

/** The card pays at other kiosks meanwhile. */
async function payElsewhere(card: Card, uid: string, times: number): Promise<void> {
  const key1 = office.vault.cardKey1(uid as CardUid, 1);
  for (let i = 1; i <= times; i++) {
    const deed: Deed = { kind: 'account', amount: 1_000n, kioskNo: 999, kioskSeq: i, minute: 0 };
    const full = proof(randomBytes(32), Buffer.from(uid, 'hex'), deed, new Uint8Array(4));
    const order = { record: buildRecord(deed, full), tmri: buildTmri(deed, full), journal: () => undefined };
    card.reset();
    const done = await play(account({ key1, rndA: randomBytes(16), ...order }), async (apdu) => card.process(apdu));
    expect(done.ok).toBe(true);
  }
  card.reset();
}

const early = [
  { uid: '04115350554c80', apdu: 0, when: 'before', what: 'before it said anything' },
  { uid: '04125350554c80', apdu: 5, when: 'before', what: 'in the middle of its reading' },
  { uid: '04135350554c80', apdu: COMMIT - 1, when: 'after', what: 'with nothing but the commit left' },
] as const;

for (const { uid, apdu, when, what } of early) {
  test.concurrent(`a card torn ${what} is told to tap again, and its return pays once`, async (context) => {
    const town = await stall(uid, context);
    const { kiosk, card, member } = town;
    const before = ledger.balance(member);
    await kiosk.arm(`${AMOUNT}`);
    await tear(town, { tear: { apdu, when } }, TORN_EARLY);
    expect(counter(card)).toBe(FRESH);
    expect(ledger.decision(kiosk.no, 1)).toBeNull();
    await kiosk.lay(card);
    await kiosk.until(PAID);
    expect(counter(card)).toBe(FRESH + 1);
    expect(ledger.decision(kiosk.no, 1)).toMatchObject({ outcome: 'approved', entry: true, voided: false });
    expect(ledger.decision(kiosk.no, 2)).toBeNull();
    expect(ledger.balance(member)).toBe(before - AMOUNT);
  });
}

/** TRUTH section 4, row by row: what the card's return says of a sale left in doubt. */
const late = [
  {
    uid: '04145350554c80',
    when: 'before',
    elsewhere: 0,
    end: 'paid anew',
    title: 'a card that left before it committed is asked back: its return starts the sale again, and it pays once',
  },
  {
    uid: '04155350554c80',
    when: 'after',
    elsewhere: 0,
    end: 'paid',
    title: 'a card that committed and left is asked back: it returns with the certificate that was lost, paid once',
  },
  {
    uid: '04165350554c80',
    when: 'before',
    elsewhere: 1,
    end: 'paid anew',
    title: 'a card that left before it committed and paid elsewhere since: the sale starts again, and it pays once',
  },
  {
    uid: '04175350554c80',
    when: 'after',
    elsewhere: 1,
    end: 'not paid',
    title: 'a card that committed and paid elsewhere since has lost its certificate: the hub ends the sale unpaid',
  },
  {
    uid: '04195350554c80',
    when: 'after',
    elsewhere: 5,
    end: 'not paid',
    title: 'a card that paid elsewhere too often since tells nothing any more: the hub ends the sale unpaid',
  },
] as const;

for (const { uid, when, elsewhere, end, title } of late) {
  test.concurrent(title, async (context) => {
    const town = await stall(uid, context);
    const { kiosk, card, member } = town;
    const before = ledger.balance(member);
    await kiosk.arm(`${AMOUNT}`);
    await tear(town, { tear: { apdu: COMMIT, when } }, IN_DOUBT);
    expect(counter(card)).toBe(when === 'after' ? FRESH + 1 : FRESH);
    expect(ledger.decision(kiosk.no, 1)).toBeNull();
    expect(kiosk.screens.filter((screen) => screen.includes(PAID) || screen.includes(NOT_PAID))).toEqual([]);
    await payElsewhere(card, uid, elsewhere);
    const back = await kiosk.lay(card);
    if (end === 'paid anew') {
      await kiosk.until('Belum terbayar; sebentar lagi tap ulang');
      await kiosk.until('Tap kartu di sini', 'Angkat kartu dulu');
      await back.remove();
      await kiosk.left();
      await kiosk.lay(card);
    }
    await kiosk.until(end === 'not paid' ? NOT_PAID : PAID);
    const [paid, cancelled] = [
      { outcome: 'approved', entry: true, voided: false },
      { outcome: 'cancelled', entry: false, voided: false },
    ];
    const first = ledger.decision(kiosk.no, 1);
    const second = ledger.decision(kiosk.no, 2);
    expect(first).toMatchObject(end === 'paid' ? paid : cancelled);
    if (end === 'paid anew') expect(second).toMatchObject(paid);
    else expect(second).toBeNull();
    expect(ledger.balance(member)).toBe(end === 'not paid' ? before : before - AMOUNT);
  });
}

/** Members with Rp 250.000 each. */
const poor = [
  {
    uid: '041c5350554c80',
    language: 'id',
    title: 'Tidak dibayar / Not paid',
    why: 'Saldo tidak cukup / Not enough balance',
  },
  {
    uid: '04185350554c80',
    language: 'en',
    title: 'Not paid / Tidak dibayar',
    why: 'Not enough balance / Saldo tidak cukup',
  },
] as const;

for (const { uid, language, title, why } of poor) {
  test.concurrent(`an account that holds too little is declined in plain words, ${language} first`, async (context) => {
    const { kiosk, card, member } = await stall(uid, context, language);
    const before = ledger.balance(member);
    await kiosk.arm(`${before + 1n}`);
    await kiosk.lay(card);
    const screen = await kiosk.until('Rp', title);
    expect(screen).toContain('[X] (red)');
    expect(screen).toContain(why);
    const written = ledger.decision(kiosk.no, 1);
    expect(written).toMatchObject({ outcome: 'declined', reason: 'insufficient-funds', entry: false });
    expect(ledger.balance(member)).toBe(before);
  });
}
