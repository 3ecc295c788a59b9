/** A DESFire EV2 or EV3 from the factory to a ready card, torn at any command; then it is used exactly as a Light. */
import { describe, expect, test } from 'vitest';
import { diversification, diversifier } from '../../cards/diversify.ts';
import { greet } from '../../cards/greet.ts';
import type { Keyring } from '../../cards/keyring.ts';
import { LIGHT } from '../../cards/layout.ts';
import { look } from '../../cards/look.ts';
import { profileOf } from '../../cards/opening.ts';
import { genuine } from '../../cards/originality.ts';
import { account, coveredCommands, drain, type PaymentDone, purchaseFromPurse } from '../../cards/payment.ts';
import { type PersonaliseOrder, personalise } from '../../cards/personalise.ts';
import { type Generation, generationOf, type PrepareEvOrder, prepareEv } from '../../cards/prepareev.ts';
import { buildRecord, buildTmri, type Deed, proof } from '../../cards/record.ts';
import { credit, reloadCommands, startReload } from '../../cards/reload.ts';
import { type RollOrder, roll } from '../../cards/roll.ts';
import { type Failure, play, type Script } from '../../cards/script.ts';
import { tmv, transactionInput, transactionKeys } from '../../cards/tmac.ts';
import { ask, askFull, login, wrap } from '../town/barereader.ts';
import type { Card } from '../town/card.ts';
import type { CardMemory } from '../town/cardfiles.ts';
import { anyBlankCard, anyDesfire, anyNtag, countingRandom, UID, WITNESS } from '../town/deck.ts';
import type { DesfireCard } from '../town/desfire.ts';
import { field, type Trouble } from '../town/field.ts';
import { falseMaker } from '../town/maker.ts';
import { bytes, hex } from './hex.ts';

const CEILING = 200_000;
const PICC = 0x10;
const makers = { ev2: falseMaker(2), ev3: falseMaker(3) };
const master = (fill: number) => diversifier(new Uint8Array(16).fill(fill));
const masters = new Map([0, 1, 2, 3, 4, PICC].map((no) => [no, master(0xa0 + (no % PICC))]));
const TMAC = new Uint8Array(16).fill(0xaf);
const key = (no: number, version: number): Uint8Array =>
  masters.get(no)?.(diversification(UID, no, version)) ?? new Uint8Array();
const ring: Keyring = (no, version) => (version === 1 || version === 2 ? key(no, version) : null);

/** What somebody signs who made a deed with the card: record and reader id. */
function marksOf(kind: Deed['kind'], amount: bigint, kioskSeq: number) {
  const deed: Deed = { kind, amount, kioskNo: 3, kioskSeq, minute: 0 };
  const signed = proof(WITNESS, UID, deed, new Uint8Array(4));
  return { record: buildRecord(deed, signed), tmri: buildTmri(deed, signed) };
}
const first = (seq: number) => marksOf('personalise', 0n, seq);

/** What the vault's host wrote down before it sent it. */
interface Journal {
  readonly changes: { readonly no: number; readonly from: number; readonly to: number }[];
}
const journalOf = (): Journal => ({ changes: [] });

const preparing = (journal: Journal): PrepareEvOrder => ({
  ring,
  version: 1,
  random: countingRandom(),
  genuine: (signature, generation) => genuine(UID, signature, makers[generation].publicKey),
  known: false,
  journal: (change) => void journal.changes.push(change),
});

const personalising = (journal: Journal): PersonaliseOrder => ({
  chip: 'ev',
  ring,
  version: 1,
  tmac: { key: TMAC, version: 1 },
  ceiling: CEILING,
  statement: Uint8Array.from({ length: 240 }, (_, at) => (at * 5 + 1) & 0xff),
  profile: Uint8Array.from({ length: 32 }, (_, at) => at + 1),
  marks: [first(1), first(2), first(3), first(4)],
  random: countingRandom(),
  journal: (change) => void journal.changes.push(change),
});

const rolling = (journal: Journal): RollOrder => ({
  ring,
  version: 2,
  random: countingRandom(),
  journal: (change) => void journal.changes.push(change),
});

/** Everything that passed between reader and card in one presence. */
interface Presence<T> {
  readonly result: T;
  readonly exchanges: readonly { readonly sent: Uint8Array; readonly got: Uint8Array }[];
}

async function lay<T>(card: Card, script: Script<T>, trouble?: Trouble, journal?: Journal): Promise<Presence<T>> {
  const reader = field(card);
  reader.insert(trouble);
  const exchanges: { sent: Uint8Array; got: Uint8Array }[] = [];
  let changes = 0;
  const result = await play(script, async (sent) => {
    // Written down before it is sent: one more note for each ChangeKey that leaves.
    if (sent[1] === 0xc4) changes += 1;
    if (journal !== undefined) expect(journal.changes.length).toBe(changes);
    const got = await reader.transmit(sent);
    exchanges.push({ sent, got });
    return got;
  });
  reader.remove();
  return { result, exchanges };
}

const told = ({ exchanges }: Presence<unknown>) => exchanges.map(({ sent }) => hex(sent.subarray(1, 2))).join(' ');
const failedTries = ({ exchanges }: Presence<unknown>) =>
  exchanges.filter(({ got }) => hex(got.slice(-2)) === '91ae').length;

const blank = (generation: Generation): DesfireCard =>
  anyDesfire({ generation: generation === 'ev2' ? 'EV2' : 'EV3', signature: makers[generation].sign(UID) });

async function prepared(generation: Generation): Promise<DesfireCard> {
  const card = blank(generation);
  expect((await lay(card, prepareEv(preparing(journalOf())))).result).toEqual({ ok: true, changed: true });
  return card;
}

async function ready(generation: Generation): Promise<DesfireCard> {
  const card = await prepared(generation);
  expect((await lay(card, personalise(personalising(journalOf())))).result).toMatchObject({ ok: true });
  return card;
}

/** What the card holds at its own level, where it is whenever it left the field. */
function ownLevel(card: DesfireCard): CardMemory {
  card.reset();
  return card.memory;
}

function application({ applications }: DesfireCard): CardMemory {
  const [made] = applications.values();
  if (made === undefined || applications.size !== 1) throw new Error(`${applications.size} applications`);
  return made;
}

/** The card's own key and settings, and those of our application, as TRUTH section 14 has them. */
function expectPrepared(card: DesfireCard): void {
  const own = ownLevel(card);
  expect(own.keys.map((held) => [hex(held.key), held.version, held.des])).toEqual([[hex(key(PICC, 1)), 1, undefined]]);
  const ours = application(card);
  expect([own.keySettings, ours.keySettings]).toEqual([0x09, 0x0b]);
  expect(hex(ours.dfName)).toBe('a00000039656434103f015400000000b');
  expect(ours.keys).toHaveLength(5);
  expect([own.failures, ours.failures]).toEqual([0, 0]);
}

/** Rights and modes of TRUTH section 14, written out once more: not the client's table. */
const FILES = {
  0: { kind: 'standard', access: [0x30, 0x1f], mode: 'mac' },
  4: { kind: 'standard', access: [0x30, 0x1f], mode: 'mac', content: new Uint8Array(256) },
  31: { kind: 'standard', access: [0x30, 0xef], mode: 'plain' },
  1: { kind: 'cyclic', access: [0x30, 0x11], mode: 'full', recordSize: 16, slots: 5 },
  3: { kind: 'value', access: [0x30, 0x1f], mode: 'full', lower: 0, upper: CEILING, value: 0 },
  15: { kind: 'tmac', access: [0x10, 0x1f], mode: 'mac', key: TMAC, keyVersion: 1, tmc: 4 },
} as const;

function expectReady(card: DesfireCard, version: number): void {
  expectPrepared(card);
  const { keys, files } = application(card);
  expect(keys.map((held) => [hex(held.key), held.version])).toEqual(
    [0, 1, 2, 3, 4].map((no) => [hex(key(no, version)), version]),
  );
  expect(files.size).toBe(6);
  for (const [no, wanted] of Object.entries(FILES)) expect(files.get(Number(no))).toMatchObject(wanted);
  const [records, statement, profile] = [files.get(0x01), files.get(0x00), files.get(0x1f)];
  expect(records?.kind === 'cyclic' && records.records.map(hex)).toEqual([1, 2, 3, 4].map((n) => hex(first(n).record)));
  const wanted = personalising(journalOf());
  expect(statement?.kind === 'standard' && hex(statement.content)).toBe(hex(wanted.statement) + '00'.repeat(16));
  expect(profile?.kind === 'standard' && hex(profile.content)).toBe(hex(wanted.profile));
}

/** `60 AF AF · 5A 64 · 3C · A4`, then DES key, settings, application and key 0. */
const NEW_CARD =
  '60 af af 5a 64 3c a4 5a 0a af c4 5a 64 71 af 45 54 ca a4 64 64 64 64 64 71 af c4 a4 64 64 64 64 64 71 af';
const PREPARED_CARD = '60 af af 5a 64 3c a4 5a 64 71 af 45 a4 64 64 64 64 64 a4 64 64 64 64 64 71 af';

describe.each(['ev2', 'ev3'] as const)('a new %s', (generation) => {
  test('gets a master key of ours, its settings, and our application with a key 0 of its own', async () => {
    const card = blank(generation);
    const whole = await lay(card, prepareEv(preparing(journalOf())));
    expect([told(whole), whole.result]).toEqual([NEW_CARD, { ok: true, changed: true }]);
    expectPrepared(card);
    expect(application(card).keys.map(({ version }) => version)).toEqual([1, 0, 0, 0, 0]);
    const again = await lay(card, prepareEv({ ...preparing(journalOf()), known: true }));
    expect([told(again), again.result]).toEqual([PREPARED_CARD, { ok: true, changed: false }]);
  });

  test('is nobody’s card before it is prepared, and a Light to whoever meets it afterwards', async () => {
    expect((await lay(blank(generation), profileOf())).result).toMatchObject({ ok: false, reason: 'not-ours' });
    expect((await lay(await prepared(generation), profileOf())).result).toEqual({ ok: true, profile: LIGHT });
  });

  test('is told from a Light and from a tag, and its generation by itself', async () => {
    expect((await lay(blank(generation), generationOf())).result).toEqual({ ok: true, generation });
    for (const other of [anyBlankCard(), anyNtag()]) {
      expect((await lay(other, generationOf())).result).toMatchObject({ ok: false, reason: 'not-ours' });
    }
  });

  test('keeps the factory’s key if its signature is of the other generation’s maker, or of nobody', async () => {
    const other = generation === 'ev2' ? makers.ev3 : makers.ev2;
    for (const signature of [other.sign(UID), new Uint8Array(56)]) {
      const card = anyDesfire({ generation: generation === 'ev2' ? 'EV2' : 'EV3', signature });
      const journal = journalOf();
      const { result } = await lay(card, prepareEv(preparing(journal)));
      expect(result).toMatchObject({ ok: false, reason: 'not-genuine', outcome: 'not-executed' });
      expect([journal.changes, ownLevel(card).keys[0]?.des, card.applications.size]).toEqual([[], true, 0]);
    }
  });
});

describe('an EV3 that is not as the factory or we left it', () => {
  test('gets no key once it was prepared, when it says that it is blank: it is a copy', async () => {
    const copy = await lay(blank('ev3'), prepareEv({ ...preparing(journalOf()), known: true }));
    expect(copy.result).toMatchObject({ ok: false, at: 'master key', reason: 'other-version' });
    expect(told(copy)).toBe('60 af af 5a 64');
  });

  test('under a master key of another version is not tried', async () => {
    const card = await prepared('ev3');
    const held = ownLevel(card).keys[0];
    if (held !== undefined) held.version = 7;
    const { result, exchanges } = await lay(card, prepareEv(preparing(journalOf())));
    expect(result).toMatchObject({ ok: false, at: 'master key', reason: 'other-version' });
    expect(exchanges.map(({ sent }) => sent[1])).not.toContain(0x71);
  });

  test('under another DES key fails one authentication, and no more', async () => {
    const card = blank('ev3');
    const held = ownLevel(card).keys[0];
    if (held !== undefined) held.key = new Uint8Array(16).fill(0x22);
    const whole = await lay(card, prepareEv(preparing(journalOf())));
    expect(whole.result).toMatchObject({ ok: false, at: 'factory key', reason: 'wrong-key', outcome: 'not-executed' });
    expect(failedTries(whole)).toBe(1);
  });

  test('with an application of our name under the factory’s master key is refused before any key is used', async () => {
    const card = blank('ev3');
    const made = card.process(wrap('ca', 'a1b2c30ba5df01a00000039656434103f015400000000b'));
    expect(hex(made)).toBe('9100');
    const whole = await lay(card, prepareEv(preparing(journalOf())));
    expect(whole.result).toMatchObject({ ok: false, at: 'application', reason: 'other-files' });
    expect(told(whole)).toBe('60 af af 5a 64 3c a4');
  });

  const inside = (card: Card) => login((apdu) => card.process(apdu), 0, key(0, 1));
  test.each([
    ['other settings', (card: Card) => askFull(inside(card), '54', '', '0f')],
    ['a file more', (card: Card) => ask(inside(card), 'cd', '0703eeee200000')],
    ['a smaller statement file', (card: Card) => ask(inside(card), 'cd', '0001301f200000')],
    ['a purse that holds more', (card: Card) => ask(inside(card), 'cc', '0303301f00000000ffffff0f0000000000')],
    ['fewer records', (card: Card) => ask(inside(card), 'c0', '01033011100000030000')],
  ])('with %s in our application does not become ready', async (_, spoil) => {
    const card = await prepared('ev3');
    expect(spoil(card)).toBe('9100');
    const { result } = await lay(card, personalise(personalising(journalOf())));
    expect(result).toMatchObject({ ok: false, reason: 'other-files', outcome: 'not-executed' });
    expect(application(card).files.has(0x0f)).toBe(false);
  });

  test('with our files under rights of somebody else gets ours', async () => {
    const card = await prepared('ev3');
    expect(ask(inside(card), 'cd', '00030000000100')).toBe('9100');
    expect(ask(inside(card), 'cc', '03000000000000400d03000000000000')).not.toBe('9100');
    expect(ask(inside(card), 'cc', '0300000000000000400d03000000000000')).toBe('9100');
    expect((await lay(card, personalise(personalising(journalOf())))).result).toMatchObject({ ok: true });
    expectReady(card, 1);
  });

  test('with value in the purse before its first commits does not become ready', async () => {
    const card = await prepared('ev3');
    expect(ask(inside(card), 'cc', '0303301f00000000400d03006400000000')).toBe('9100');
    const { result } = await lay(card, personalise(personalising(journalOf())));
    expect(result).toMatchObject({ ok: false, reason: 'in-use' });
  });
});

interface Journey {
  readonly name: string;
  readonly start: (generation: Generation) => Promise<DesfireCard>;
  readonly script: (journal: Journal) => Script<{ readonly ok: true } | Failure>;
  readonly arrived: (card: DesfireCard) => void;
}

const journeys: readonly Journey[] = [
  {
    name: 'preparing',
    start: async (generation) => blank(generation),
    script: (journal) => prepareEv(preparing(journal)),
    arrived: (card) => {
      expectPrepared(card);
      expect(hex(application(card).keys[0]?.key ?? new Uint8Array())).toBe(hex(key(0, 1)));
    },
  },
  {
    name: 'personalising',
    start: prepared,
    script: (journal) => personalise(personalising(journal)),
    arrived: (card) => expectReady(card, 1),
  },
  {
    name: 'rolling keys over',
    start: ready,
    script: (journal) => roll(rolling(journal)),
    arrived: (card) => expectReady(card, 2),
  },
];

/** Versions of all keys by number, as far as there is a place for them. */
function versions(card: DesfireCard): number[] {
  const [made] = card.applications.values();
  return [ownLevel(card), made].flatMap((memory) => memory?.keys.map(({ version }) => version) ?? []);
}

describe.each(
  journeys.flatMap((journey) => [
    { ...journey, generation: 'ev2' as const },
    { ...journey, generation: 'ev3' as const },
  ]),
)('$name an $generation', ({ generation, start, script, arrived }) => {
  test.each([
    ['before', { when: 'before' }],
    ['after', { when: 'after' }],
    ['during, done,', { when: 'during', executed: true }],
    ['during, undone,', { when: 'during', executed: false, written: 7 }],
  ] as const)('torn %s any command, the next try arrives without a failed authentication', async (_, how) => {
    const whole = await lay(await start(generation), script(journalOf()));
    expect(whole.result).toMatchObject({ ok: true });
    const places = whole.exchanges.map((_, apdu): NonNullable<Trouble['tear']> => ({ apdu, ...how }));
    for (const tear of places) {
      const card = await start(generation);
      const held = versions(card);
      const journal = journalOf();
      const torn = await lay(card, script(journal), { tear }, journal);
      const again = await lay(card, script(journal));
      const place = JSON.stringify(tear);
      expect({ place, torn: torn.result.ok, again: again.result }).toMatchObject({
        place,
        torn: false,
        again: { ok: true },
      });
      arrived(card);
      expect({ place, failed: failedTries(torn) + failedTries(again) }).toEqual({ place, failed: 0 });
      const changed = versions(card).filter((version, at) => version !== (held[at] ?? 0)).length;
      const noted = new Set(journal.changes.map(({ no }) => no)).size;
      expect({ place, noted }).toEqual({ place, noted: changed });
    }
  });

  test('torn again and again, one command later each time, it still arrives', async () => {
    const card = await start(generation);
    const journal = journalOf();
    for (let apdu = 0; apdu < 120; apdu += 1) {
      const when = apdu % 2 === 0 ? 'after' : 'before';
      const { result } = await lay(card, script(journal), { tear: { apdu, when } });
      if (result.ok) break;
    }
    expect((await lay(card, script(journal))).result).toMatchObject({ ok: true });
    arrived(card);
  });

  test('played once more on a card that has arrived, it changes nothing', async () => {
    const card = await start(generation);
    await lay(card, script(journalOf()));
    const journal = journalOf();
    const whole = await lay(card, script(journal));
    expect(whole.result).toMatchObject({ ok: true });
    expect(journal.changes).toEqual([]);
    const changing = /\b(0a|c4|54|ca|cd|cc|c0|5f|5c|ce|df|8d|8b|c7)\b/;
    expect(told(whole)).not.toMatch(changing);
    arrived(card);
  });
});

describe.each(['ev2', 'ev3'] as const)('a ready %s is used as a Light', (generation) => {
  const rndA = new Uint8Array(16).fill(0x5c);
  const certificate = (tmc: number, covered: Parameters<typeof transactionInput>[0]) =>
    hex(tmv(transactionKeys(TMAC, UID, tmc), transactionInput(covered)));
  const purse = (card: DesfireCard) => application(card).files.get(0x03);

  async function pay(card: Card, kind: 'account' | 'purse', amount: bigint, seq: number, version = 1) {
    const marks = marksOf(kind, amount, seq);
    const order = { ...marks, key1: key(1, version), rndA, journal: () => {} };
    const script = kind === 'account' ? account(order) : purchaseFromPurse({ ...order, amount });
    const whole: Presence<PaymentDone | Failure> = await lay(card, script);
    const { result } = whole;
    if (!result.ok) throw new Error(`no payment: ${JSON.stringify(result)}`);
    const covered = coveredCommands(marks, result, kind === 'purse' ? amount : 0n);
    expect(hex(result.tmv)).toBe(certificate(result.tmc, covered));
    return { tmc: result.tmc, opening: result.opening, sent: told(whole) };
  }

  async function reload(card: Card, amount: bigint, seq: number) {
    const marks = marksOf('reload', amount, seq);
    const reader = field(card);
    reader.insert();
    const start = await play(startReload({ key1: key(1, 1), rndA, tmri: marks.tmri }), reader.transmit);
    if (!start.ok) throw new Error('no reload');
    const order = { key3: key(3, 1), rndA: new Uint8Array(16).fill(2), start, amount, record: marks.record };
    const result = await play(credit(order), reader.transmit);
    if (!result.ok) throw new Error(`no credit: ${JSON.stringify(result)}`);
    const covered = reloadCommands({ ...marks, amount }, start, result.opening);
    expect(hex(result.tmv)).toBe(certificate(result.tmc, covered));
    return result.tmc;
  }

  test('it sells from the account, is filled, pays from the purse, and does so under newer keys', async () => {
    const card = await ready(generation);
    expect(await pay(card, 'account', 50_000n, 1)).toEqual({
      tmc: 5,
      opening: 0n,
      sent: 'a4 71 af ad ab 6c 8b c8 c7',
    });
    expect(await reload(card, 60_000n, 2)).toBe(6);
    expect(purse(card)).toMatchObject({ value: 60_000 });
    expect(await pay(card, 'purse', 15_000n, 3)).toMatchObject({ tmc: 7, opening: 60_000n });
    expect((await lay(card, roll(rolling(journalOf())))).result).toEqual({ ok: true, changed: true });
    expect(await pay(card, 'purse', 5_000n, 4, 2)).toMatchObject({ tmc: 8, opening: 45_000n });
    expect(purse(card)).toMatchObject({ value: 40_000, upper: CEILING });
    const records = application(card).files.get(0x01);
    expect(records?.kind === 'cyclic' && records.records.map(hex)).toEqual(
      [
        marksOf('account', 50_000n, 1),
        marksOf('reload', 60_000n, 2),
        marksOf('purse', 15_000n, 3),
        marksOf('purse', 5_000n, 4),
      ].map(({ record }) => hex(record)),
    );
  });

  test('it is greeted without the hub, tells its state after a doubt, and is drained by the hub', async () => {
    const card = await ready(generation);
    await reload(card, 60_000n, 1);
    const order = { key1: (version: number) => key(1, version), rndA, statement: 117 };
    const { statement } = personalising(journalOf());
    const greeted = await lay(card, greet(order));
    expect(greeted.result).toMatchObject({ ok: true, keyVersion: 1, statement: statement.slice(0, 117) });
    const seen = await lay(card, look({ key1: key(1, 1), rndA }));
    const counter = application(card).files.get(0x0f);
    const before = `05000000${counter?.kind === 'tmac' ? hex(counter.tmv) : ''}`;
    expect(seen.result.ok && hex(seen.result.before)).toBe(before);
    const marks = (all: bigint) => marksOf('drain', all, 2);
    const { result } = await lay(card, drain({ key1: key(1, 1), rndA, marks, journal: () => {} }));
    if (!result.ok) throw new Error('no drain');
    expect(purse(card)).toMatchObject({ value: 0 });
    expect(hex(result.tmv)).toBe(certificate(6, coveredCommands(marks(60_000n), result, 60_000n)));
  });

  test('key 1 of its own takes money and never adds any, and its application gives nothing without a key', async () => {
    const card = await ready(generation);
    await reload(card, 60_000n, 1);
    const session = login((apdu) => card.process(apdu), 1, key(1, 1));
    expect(askFull(session, '0c', '03', '01000000')).not.toBe('9100');
    card.process(bytes('00a4040c10a00000039656434103f015400000000b00'));
    for (const [ins, body] of [
      ['6c', '03'],
      ['ad', '00000000000000'],
      ['ab', '01000000000000'],
      ['cd', '0703eeee200000'],
      ['df', '03'],
    ] as const) {
      expect(hex(card.process(wrap(ins, body))).slice(-4)).not.toBe('9100');
      card.process(bytes('00a4040c10a00000039656434103f015400000000b00'));
    }
  });
});
