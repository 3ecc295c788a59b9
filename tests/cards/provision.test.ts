/** From a blank chip to a ready card, and to newer keys: torn at any command, it goes on where the card is. */
import { describe, expect, test } from 'vitest';
import { decrypt } from '../../cards/aes.ts';
import { diversification, diversifier } from '../../cards/diversify.ts';
import type { Keyring } from '../../cards/keyring.ts';
import { look } from '../../cards/look.ts';
import { genuine } from '../../cards/originality.ts';
import { type PersonaliseOrder, personalise } from '../../cards/personalise.ts';
import { type PrepareOrder, prepare } from '../../cards/prepare.ts';
import { buildRecord, buildTmri, type Deed, proof } from '../../cards/record.ts';
import { type RollOrder, roll } from '../../cards/roll.ts';
import { type Failure, play, type Script } from '../../cards/script.ts';
import { iv, sessionKeys } from '../../cards/session.ts';
import { blankCard } from '../town/blank.ts';
import type { Card } from '../town/card.ts';
import { countingRandom, UID, WITNESS } from '../town/deck.ts';
import { field, type Trouble } from '../town/field.ts';
import { bytes, hex } from './hex.ts';

/** The maker's own signature of this UID (AN12343 table 44). */
const SIGNATURE = bytes(
  '1ca298fc3f0f04a329254ac0df7a3eb8e756c076cd1baaf47b8bba6dcd78bcc64dfd3e80e679d9a663cae9e4d4c2c77023077cc549ce4a61',
);
const CEILING = 200_000;
const master = (fill: number) => diversifier(new Uint8Array(16).fill(fill));
const masters = [master(0xa0), master(0xa1), master(0xa0), master(0xa3), master(0xa0)];
const TMAC = new Uint8Array(16).fill(0xaf);
const key = (no: number, version: number): Uint8Array =>
  masters[no]?.(diversification(UID, no, version)) ?? new Uint8Array();
/** Versions 1 and 2 were given; no other. */
const ring: Keyring = (no, version) => (version === 1 || version === 2 ? key(no, version) : null);

function marks(seq: number) {
  const deed: Deed = { kind: 'personalise', amount: 0n, kioskNo: 3, kioskSeq: seq, minute: 0 };
  const signed = proof(WITNESS, UID, deed, new Uint8Array(4));
  return { record: buildRecord(deed, signed), tmri: buildTmri(deed, signed) };
}

/** What the vault's host wrote down before it sent it. */
interface Journal {
  readonly changes: { readonly no: number; readonly from: number; readonly to: number }[];
}

const preparing = (journal: Journal): PrepareOrder => ({
  ring,
  version: 1,
  random: countingRandom(),
  genuine: (signature) => genuine(UID, signature),
  known: false,
  journal: (change) => void journal.changes.push(change),
});

const personalising = (journal: Journal): PersonaliseOrder => ({
  ring,
  version: 1,
  tmac: { key: TMAC, version: 1 },
  ceiling: CEILING,
  statement: Uint8Array.from({ length: 240 }, (_, at) => (at * 5 + 1) & 0xff),
  profile: Uint8Array.from({ length: 32 }, (_, at) => at + 1),
  marks: [marks(1), marks(2), marks(3), marks(4)],
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

const blank = () => blankCard({ uid: UID, random: countingRandom(), signature: SIGNATURE });
const journalOf = (): Journal => ({ changes: [] });
const failedTries = ({ exchanges }: Pick<Presence<unknown>, 'exchanges'>) =>
  exchanges.filter(({ got }) => hex(got.slice(-2)) === '91ae').length;

async function prepared(): Promise<Card> {
  const card = blank();
  const { result } = await lay(card, prepare(preparing(journalOf())));
  expect(result).toEqual({ ok: true, changed: true });
  return card;
}

async function ready(): Promise<Card> {
  const card = await prepared();
  const { result } = await lay(card, personalise(personalising(journalOf())));
  expect(result).toMatchObject({ ok: true });
  return card;
}

/** Keys and rights of TRUTH section 14, written out once more: not the client's table. */
const RIGHTS = { 0: '301f', 4: '301f', 31: '30ef', 1: '3011', 3: '301f', 15: '101f' } as const;
const MODES = { 0: 'mac', 4: 'mac', 31: 'plain', 1: 'full', 3: 'full', 15: 'mac' } as const;

function expectReady({ memory }: Card, version: number): void {
  expect(memory.keys.map(({ version: held }) => held)).toEqual(Array(5).fill(version));
  expect(memory.keys.map((held) => hex(held.key))).toEqual([0, 1, 2, 3, 4].map((no) => hex(key(no, version))));
  for (const [no, rights] of Object.entries(RIGHTS)) {
    const file = memory.files.get(Number(no));
    expect([no, hex(Uint8Array.from(file?.access ?? [])), file?.mode]).toEqual([
      no,
      rights,
      MODES[Number(no) as keyof typeof MODES],
    ]);
  }
  expect(memory.files.size).toBe(6);
  expect(memory.files.get(0x03)).toMatchObject({ lower: 0, upper: CEILING, value: 0 });
  expect(memory.files.get(0x0f)).toMatchObject({ key: TMAC, keyVersion: 1, tmc: 4 });
  const records = memory.files.get(0x01);
  expect(records?.kind === 'cyclic' && records.records.map(hex)).toEqual([1, 2, 3, 4].map((n) => hex(marks(n).record)));
  const statement = memory.files.get(0x00);
  const profile = memory.files.get(0x1f);
  const { statement: wanted, profile: named } = personalising(journalOf());
  expect(statement?.kind === 'standard' && hex(statement.content.slice(0, 240))).toBe(hex(wanted));
  expect(profile?.kind === 'standard' && hex(profile.content)).toBe(hex(named));
  expect(memory.failures).toBe(0);
}

describe('a card on its way', () => {
  test('a blank chip becomes ready, and pays at once', async () => {
    const card = await ready();
    expectReady(card, 1);
    const { result } = await lay(card, look({ key1: key(1, 1), rndA: new Uint8Array(16).fill(9) }));
    expect(result).toMatchObject({ ok: true });
  });

  test('a chip whose signature is not the maker’s keeps the factory’s key', async () => {
    const card = blankCard({ uid: UID, random: countingRandom(), signature: new Uint8Array(56) });
    const journal = journalOf();
    const { result } = await lay(card, prepare(preparing(journal)));
    expect(result).toMatchObject({ ok: false, reason: 'not-genuine', outcome: 'not-executed' });
    expect(journal.changes).toEqual([]);
    expect(card.memory.keys[0]?.version).toBe(0);
  });

  test('a card with the factory’s key 0 is refused by who personalises, before a key is tried', async () => {
    const card = blank();
    const { result, exchanges } = await lay(card, personalise(personalising(journalOf())));
    expect(result).toMatchObject({ ok: false, reason: 'not-prepared', outcome: 'not-executed' });
    expect(exchanges.map(({ sent }) => sent[1])).not.toContain(0x71);
  });

  test('a card under a version that was never given is left alone', async () => {
    const card = await ready();
    for (const held of card.memory.keys) held.version = 7;
    for (const script of [
      personalise(personalising(journalOf())),
      roll(rolling(journalOf())),
      prepare(preparing(journalOf())),
    ]) {
      const { result, exchanges } = await lay<{ ok: true } | Failure>(card, script);
      expect(result).toMatchObject({ ok: false, reason: 'other-version', outcome: 'not-executed' });
      expect(exchanges.map(({ sent }) => sent[1])).not.toContain(0x71);
    }
  });

  test('a card in use is not set anew: another ceiling is refused, and what it holds stays', async () => {
    const card = await ready();
    const purse = card.memory.files.get(0x03);
    if (purse?.kind === 'value') purse.value = 60_000;
    const { result } = await lay(card, personalise({ ...personalising(journalOf()), ceiling: 500_000 }));
    expect(result).toMatchObject({ ok: false, reason: 'in-use' });
    expect(card.memory.files.get(0x03)).toMatchObject({ value: 60_000, upper: CEILING });
    expect((await lay(card, personalise(personalising(journalOf())))).result).toEqual({ ok: true, commits: [] });
    expect(card.memory.files.get(0x03)).toMatchObject({ value: 60_000 });
  });
});

/** A reply that somebody between card and reader puts in place of the card's: the nth to this command. */
const forged = (
  sent: readonly Uint8Array[],
  is: (apdu: Uint8Array) => boolean,
  nth: number,
  reply: Uint8Array,
): Trouble => {
  const places = sent.flatMap((apdu, at) => (is(apdu) ? [at] : []));
  return { wrong: { apdu: places[nth] ?? -1, change: () => reply } };
};

describe('who answers in place of the card', () => {
  const versionOf = (no: number) => (apdu: Uint8Array) => apdu[1] === 0x64 && apdu[5] === no && apdu.length === 7;

  test('cannot make a roll-over pass over a key by saying that it is changed already', async () => {
    const whole = await lay(await ready(), roll(rolling(journalOf())));
    const sent = whole.exchanges.map((one) => one.sent);
    const card = await ready();
    const { result } = await lay(
      card,
      roll(rolling(journalOf())),
      forged(sent, versionOf(1), 0, Uint8Array.of(2, 0x91, 0)),
    );
    expect(result).toMatchObject({ ok: true });
    expectReady(card, 2);
  });

  test('cannot make a change of key 0 look undone: it is unknown until the new key proves it', async () => {
    const whole = await lay(blank(), prepare(preparing(journalOf())));
    const sent = whole.exchanges.map((one) => one.sent);
    const card = blank();
    const lie = forged(sent, versionOf(0), 1, Uint8Array.of(0, 0x91, 0));
    const { result } = await lay(card, prepare(preparing(journalOf())), lie);
    expect(result).toMatchObject({ ok: false, outcome: 'unknown' });
    expect(card.memory.keys[0]?.version).toBe(1);
  });

  test('is not given the key of a card that was prepared before, by a copy that says it is blank', async () => {
    const { result, exchanges } = await lay(blank(), prepare({ ...preparing(journalOf()), known: true }));
    expect(result).toMatchObject({ ok: false, reason: 'other-version', outcome: 'not-executed' });
    expect(exchanges.map(({ sent }) => sent[1])).not.toContain(0x71);
  });

  test('cannot send a card back to older keys, nor to a version that wraps around to the factory’s', async () => {
    const card = await ready();
    for (const held of card.memory.keys) held.version = 2;
    for (const [no, held] of card.memory.keys.entries()) held.key = key(no, 2);
    const { result } = await lay(card, roll({ ...rolling(journalOf()), version: 1 }));
    expect(result).toMatchObject({ ok: false, reason: 'other-version', outcome: 'not-executed' });
    await expect(lay(card, roll({ ...rolling(journalOf()), version: 256 }))).rejects.toThrow(RangeError);
    expect(card.memory.keys.map(({ version }) => version)).toEqual([2, 2, 2, 2, 2]);
  });
});

describe('a card that is not as it should be before its first commits', () => {
  test('has its keys before it has a ceiling: torn between, nobody can fill the purse with a factory key', async () => {
    const whole = await lay(await prepared(), personalise(personalising(journalOf())));
    const order = whole.exchanges.map(({ sent }) => sent[1]);
    expect(order.lastIndexOf(0xc4)).toBeLessThan(order.indexOf(0xce));
    expect(order.lastIndexOf(0xc4)).toBeLessThan(order.indexOf(0x5f));
    expect(order.lastIndexOf(0xc4)).toBeLessThan(order.indexOf(0x5c));
  });

  test.each([
    ['value in its purse', (card: Card) => Object.assign(card.memory.files.get(0x03) ?? {}, { value: 1_000 })],
    ['another counter', (card: Card) => Object.assign(card.memory.files.get(0x0f) ?? {}, { tmc: 9 })],
    [
      'a record of somebody else',
      (card: Card) => {
        const file = card.memory.files.get(0x01);
        Object.assign(card.memory.files.get(0x0f) ?? {}, { tmc: 1 });
        if (file?.kind === 'cyclic') file.records = [new Uint8Array(16).fill(7)];
      },
    ],
  ] as const)('with %s it does not become ready', async (_, spoil) => {
    const card = await prepared();
    const whole = await lay(await prepared(), personalise(personalising(journalOf())));
    const first = whole.exchanges.findIndex(({ sent }) => sent[1] === 0x8b);
    await lay(card, personalise(personalising(journalOf())), { tear: { apdu: first, when: 'before' } });
    spoil(card);
    const { result } = await lay(card, personalise(personalising(journalOf())));
    expect(result).toMatchObject({ ok: false, reason: 'in-use' });
  });

  test('whose counter file is gone after it was used is not begun anew under the same version', async () => {
    const card = await ready();
    card.memory.files.delete(0x0f);
    const { result } = await lay(card, personalise(personalising(journalOf())));
    expect(result).toMatchObject({ ok: false, at: 'counter file', reason: 'in-use' });
    expect(card.memory.files.has(0x0f)).toBe(false);
  });

  test('with records under the factory’s counter file keeps that file', async () => {
    const card = await prepared();
    const file = card.memory.files.get(0x01);
    if (file?.kind === 'cyclic') file.records = [new Uint8Array(16).fill(7)];
    const { result, exchanges } = await lay(card, personalise(personalising(journalOf())));
    expect(result).toMatchObject({ ok: false, at: 'counter file', reason: 'in-use' });
    expect(exchanges.map(({ sent }) => sent[1])).not.toContain(0xdf);
    expect(card.memory.files.get(0x0f)).toMatchObject({ keyVersion: 0 });
  });

  test('with a counter file of an older version keeps it, and what it holds', async () => {
    const card = await ready();
    const file = card.memory.files.get(0x0f);
    card.memory.files.set(0x0f, { ...(file as Extract<typeof file, { kind: 'tmac' }>), keyVersion: 2 });
    const { result } = await lay(card, personalise(personalising(journalOf())));
    expect(result).toMatchObject({ ok: false, at: 'counter file', reason: 'other-version' });
    expect(card.memory.files.get(0x0f)).toMatchObject({ keyVersion: 2, tmc: 4 });
  });
});

interface Journey {
  readonly name: string;
  readonly start: () => Promise<Card>;
  readonly script: (journal: Journal) => Script<{ readonly ok: true } | Failure>;
  readonly arrived: (card: Card) => void;
}

const journeys: readonly Journey[] = [
  {
    name: 'preparing',
    start: async () => blank(),
    script: (journal) => prepare(preparing(journal)),
    arrived: ({ memory }) =>
      expect([memory.keys[0]?.version, hex(memory.keys[0]?.key ?? new Uint8Array())]).toEqual([1, hex(key(0, 1))]),
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

describe.each(journeys)('$name', ({ start, script, arrived }) => {
  test('torn at any command, the next try arrives without a failed authentication', async () => {
    const whole = await lay(await start(), script(journalOf()));
    expect(whole.result).toMatchObject({ ok: true });
    const places = whole.exchanges.flatMap((_, apdu): NonNullable<Trouble['tear']>[] => [
      { apdu, when: 'before' },
      { apdu, when: 'after' },
      { apdu, when: 'during', executed: true },
      { apdu, when: 'during', executed: false, written: 7 },
    ]);
    for (const tear of places) {
      const card = await start();
      const held = card.memory.keys.map(({ version }) => version);
      const journal = journalOf();
      const torn = await lay(card, script(journal), { tear }, journal);
      const again = await lay(card, script(journal));
      const place = JSON.stringify(tear);
      expect({ place, torn: torn.result.ok, again: again.result.ok }).toEqual({ place, torn: false, again: true });
      arrived(card);
      expect({ place, failed: failedTries(torn) + failedTries(again) }).toEqual({ place, failed: 0 });
      const changed = held.filter((version, no) => card.memory.keys[no]?.version !== version).length;
      const noted = new Set(journal.changes.map(({ no }) => no)).size;
      expect({ place, noted }).toEqual({ place, noted: changed });
    }
  });

  test('torn again and again, one command later each time, it still arrives', async () => {
    const card = await start();
    const journal = journalOf();
    for (let apdu = 0; apdu < 90; apdu += 1) {
      const when = apdu % 2 === 0 ? 'after' : 'before';
      const { result } = await lay(card, script(journal), { tear: { apdu, when } });
      if (result.ok) break;
    }
    expect((await lay(card, script(journal))).result).toMatchObject({ ok: true });
    arrived(card);
  });

  test('played once more on a card that has arrived, it changes nothing', async () => {
    const card = await start();
    await lay(card, script(journalOf()));
    const journal = journalOf();
    const { result, exchanges } = await lay(card, script(journal));
    expect(result).toMatchObject({ ok: true });
    expect(journal.changes).toEqual([]);
    const changing = [0xc4, 0x5f, 0x5c, 0xce, 0xdf, 0x8d, 0x8b, 0xc7];
    expect(exchanges.filter(({ sent }) => changing.includes(sent[1] ?? 0))).toEqual([]);
    arrived(card);
  });
});

/** What somebody who recorded a conversation, and knows one key, learns of the keys that were written in it. */
function eavesdrop({ exchanges }: Pick<Presence<unknown>, 'exchanges'>, known: Uint8Array): string[] {
  const learned: string[] = [];
  let overheard: { encKey: Uint8Array; ti: Uint8Array; ctr: number } | null = null;
  const none = new Uint8Array(16);
  for (let at = 0; at < exchanges.length; at += 1) {
    const { sent = none, got = none } = exchanges[at] ?? {};
    if (sent[1] === 0x71) {
      at += 1;
      const { sent: proved = none, got: answered = none } = exchanges[at] ?? {};
      const rndB = decrypt(known, none, got.slice(0, 16));
      const rndA = decrypt(known, none, proved.slice(5, 37)).slice(0, 16);
      const ti = decrypt(known, none, answered.slice(0, 32)).slice(0, 4);
      overheard = { encKey: sessionKeys({ key: known, rndA, rndB }).encKey, ti, ctr: 0 };
    } else if (overheard !== null) {
      const { encKey, ti, ctr } = overheard;
      // ChangeKey carries one byte in clear, CreateTransactionMACFile five; a factory key leaves the new one as it is.
      const clear = { 196: 1, 206: 5 }[sent[1] ?? 0];
      if (clear !== undefined) {
        learned.push(hex(decrypt(encKey, iv('command', encKey, ti, ctr), sent.slice(5 + clear, -9)).slice(0, 16)));
      }
      overheard.ctr += 1;
    }
  }
  return learned;
}

describe('who listens and knows the factory’s key', () => {
  test('learns key 0 when a card is prepared, which is why that happens at the vault’s own host', async () => {
    const heard = await lay(blank(), prepare(preparing(journalOf())));
    expect(eavesdrop(heard, new Uint8Array(16))).toEqual([hex(key(0, 1))]);
  });

  test('learns no key of a card that is personalised, in clear or by undoing what was sent', async () => {
    const heard = await lay(await prepared(), personalise(personalising(journalOf())));
    const secrets = [...[0, 1, 2, 3, 4].map((no) => hex(key(no, 1))), hex(TMAC)];
    const bytes = heard.exchanges.map(({ sent, got }) => hex(sent) + hex(got)).join();
    expect(secrets.filter((secret) => bytes.includes(secret))).toEqual([]);
    const learned = eavesdrop(heard, new Uint8Array(16));
    expect(learned).toHaveLength(5);
    expect(learned.filter((one) => secrets.includes(one))).toEqual([]);
    // The same ears with key 0 would hear them all: the check can fail.
    expect(eavesdrop(heard, key(0, 1)).sort()).toEqual([...secrets.slice(1)].sort());
  });
});
