/** A chip gets its own key 0 once, whatever tears it, and no chip that is not genuine, or not new, gets anything. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type CardReader, openCardReader, type ReaderProgram } from '../../hub/cardreader.ts';
import { type Note, prepareCard, prepareCards } from '../../hub/preparecards.ts';
import type { Registry } from '../../hub/store/registry.ts';
import type { Vault } from '../../hub/vault.ts';
import type { CardUid, CooperativeId, MemberId } from '../../protocol/ids.ts';
import { bytes, hex } from '../cards/hex.ts';
import { opens } from '../town/barereader.ts';
import type { Card } from '../town/card.ts';
import { openEmulatedSlot } from '../town/emulatedslot.ts';
import { field, type Trouble } from '../town/field.ts';
import { blankNtag } from '../town/ntag.ts';
import { openPcscd } from '../town/pcscd.ts';
import type { Slot } from '../town/slot.ts';
import { lay, type Offer } from '../town/vpicc.ts';
import {
  chipFromBox,
  edges,
  hubFolder,
  key0,
  LIGHT,
  LIGHT_UID,
  NTAG,
  prepareDeps,
  stockRoom,
  watched,
} from './chips.ts';

/** What is sent to a new chip from the factory: `Select · 64 0–4 · 3C · 71 · AF · C4`, then the proof. */
const NEW_CHIP = 'a4 64 64 64 64 64 3c 71 af c4 a4 64 64 64 64 64 71 af';
/** The same for one whose key is there. */
const PREPARED_CHIP = 'a4 64 64 64 64 64 3c a4 64 64 64 64 64 71 af';
/** To a new tag: it knows no name of a DESFire's, and is none by its version. */
const NEW_TAG = `a4 60 af af ${NEW_CHIP}`;
/** Where the key is changed. */
const CHANGE = NEW_CHIP.split(' ').indexOf('c4');
/** Commands to a chip whose key is there already: a tear that is planned after them does not come. */
const LEFT_TO_PROVE = PREPARED_CHIP.split(' ').length;
type Tear = { readonly when: 'before' | 'after' } | { readonly when: 'during'; readonly executed: boolean };
const FACTORY_KEY = new Uint8Array(16);

let vault: Vault;
let registry: Registry;
beforeAll(async () => {
  const cleaning: (() => void | Promise<void>)[] = [];
  ({ vault } = await hubFolder((clean) => void cleaning.push(clean)));
  for (const clean of cleaning) await clean();
});
beforeEach(() => {
  registry = stockRoom();
});

/** Lays a chip down once, without a reader. @returns what became of it, and the commands that reached it */
async function laidDown(card: Card, trouble: Trouble = {}, uid = hex(card.memory.uid)) {
  const sent: string[] = [];
  const on = field(
    watched(card, (apdu) => {
      sent.push(hex(apdu.subarray(1, 2)));
      return card.process(apdu);
    }),
  );
  on.insert(trouble);
  const told = await prepareCard(prepareDeps(vault, registry), { uid }, on.transmit);
  return { told, sent: sent.join(' ') };
}

const ours = (card: Card) => opens(card, 0, key0(vault, LIGHT_UID));
const whatIsKnown = () => ({ version: registry.chip(LIGHT_UID)?.keyVersion, open: registry.openChanges(LIGHT_UID) });
const OURS = { version: 1, open: [] };

describe('a chip that is laid down', () => {
  test('gets its own key 0, proves it, and is known from then on; the second time it only proves it', async () => {
    const card = chipFromBox();
    expect(await laidDown(card)).toEqual({ told: { result: 'prepared' }, sent: NEW_CHIP });
    expect([ours(card), opens(card, 0, FACTORY_KEY), card.memory.keys.map(({ version }) => version)]).toEqual([
      true,
      false,
      [1, 0, 0, 0, 0],
    ]);
    expect(whatIsKnown()).toEqual(OURS);
    expect(registry.keyHistory(LIGHT_UID)).toMatchObject([{ no: 0, from: 0, to: 1, proven: true }]);
    expect(await laidDown(card)).toEqual({ told: { result: 'already' }, sent: PREPARED_CHIP });
    expect(registry.keyHistory(LIGHT_UID)).toHaveLength(1);
  });

  test('of which the registry was lost proves its key and is known again', async () => {
    const card = chipFromBox();
    await laidDown(card);
    registry = stockRoom();
    expect((await laidDown(card)).told).toEqual({ result: 'already' });
    expect(whatIsKnown()).toEqual(OURS);
  });

  test('keeps the version under which it was begun when the vault has a newer one', async () => {
    const card = chipFromBox();
    await laidDown(card, { tear: { apdu: CHANGE, when: 'after' } });
    const on = field(card);
    on.insert();
    const newer = prepareDeps(vault, registry, { newest: 2 });
    expect(await prepareCard(newer, { uid: LIGHT_UID }, on.transmit)).toEqual({ result: 'prepared' });
    expect(whatIsKnown()).toEqual(OURS);
    on.insert();
    expect(await prepareCard(newer, { uid: LIGHT_UID }, on.transmit)).toEqual({ result: 'already' });
  });

  const tears: [string, Tear][] = [
    ['before', { when: 'before' }],
    ['during, undone', { when: 'during', executed: false }],
    ['during, done', { when: 'during', executed: true }],
    ['after', { when: 'after' }],
  ];
  test.each(
    tears,
  )('torn %s any command, once and twice, is prepared once when it is laid down again', async (_, how) => {
    for (const apdu of NEW_CHIP.split(' ').keys()) {
      registry = stockRoom();
      const card = chipFromBox();
      const trouble = { tear: { apdu, ...how } };
      const first = await laidDown(card, trouble);
      expect(first.told).toMatchObject({ result: 'again', failure: { reason: 'lost' } });
      const results = [await laidDown(card, trouble), await laidDown(card)].map(({ told }) => told.result);
      expect(results).toEqual(
        [
          ['again', 'prepared'],
          ['prepared', 'already'],
        ][apdu < LEFT_TO_PROVE ? 0 : 1],
      );
      expect([ours(card), card.memory.failures, whatIsKnown()]).toEqual([true, 0, OURS]);
    }
  });
});

describe('an NTAG 424 that is laid down', () => {
  const uid = hex(NTAG.uid) as CardUid;
  const tagFromBox = (change: Partial<typeof NTAG> = {}) => blankNtag({ ...NTAG, random: randomBytes, ...change });

  test('gets its own key 0 and is known as what it is; the second time it only proves it', async () => {
    const tag = tagFromBox();
    expect(await laidDown(tag)).toEqual({ told: { result: 'prepared' }, sent: NEW_TAG });
    expect(opens(tag, 0, key0(vault, uid))).toBe(true);
    expect(registry.chip(uid)).toEqual({ uid, profile: 'ntag424', keyVersion: 1 });
    expect(await laidDown(tag)).toEqual({ told: { result: 'already' }, sent: PREPARED_CHIP });
  });

  test('torn at any command is prepared once when it is laid down again', async () => {
    for (const apdu of NEW_TAG.split(' ').keys()) {
      registry = stockRoom();
      const tag = tagFromBox();
      expect((await laidDown(tag, { tear: { apdu, when: 'after' } })).told).toMatchObject({ result: 'again' });
      expect((await laidDown(tag)).told).toEqual({ result: 'prepared' });
      expect([opens(tag, 0, key0(vault, uid)), tag.memory.failures]).toEqual([true, 0]);
    }
  });

  test("with a Light's signature, or under the number of a Light that is known, gets nothing", async () => {
    const { told } = await laidDown(tagFromBox(LIGHT));
    expect(told).toMatchObject({ result: 'aside', failure: { reason: 'not-genuine' } });
    expect(registry.chip(LIGHT_UID)).toBeUndefined();
    await laidDown(chipFromBox());
    const copy = await laidDown(tagFromBox({ uid: LIGHT.uid }));
    expect(copy).toMatchObject({ told: { result: 'aside', failure: { reason: 'not-ours' } }, sent: 'a4' });
  });
});

describe('a chip that is put aside', () => {
  test('one without the signature of its maker gets no command after it, and is not kept', async () => {
    const forged = Uint8Array.from(LIGHT.signature, (byte, at) => (at === 20 ? byte ^ 1 : byte));
    for (const signature of [forged, new Uint8Array(56)]) {
      const { told, sent } = await laidDown(chipFromBox({ signature }));
      expect(told).toMatchObject({ result: 'aside', failure: { reason: 'not-genuine' } });
      expect(sent).toBe('a4 64 64 64 64 64 3c');
    }
    expect(registry.chip(LIGHT_UID)).toBeUndefined();
  });

  test('a genuine signature of another kind of chip is not enough', async () => {
    const { told } = await laidDown(chipFromBox(NTAG));
    expect(told).toMatchObject({ result: 'aside', failure: { reason: 'not-genuine' } });
  });

  test('a copy of a prepared chip that says it is new is refused before any key is used', async () => {
    await laidDown(chipFromBox());
    const copy = await laidDown(chipFromBox());
    expect(copy.told).toMatchObject({ result: 'aside', failure: { reason: 'other-version' } });
    expect(copy.sent).toBe('a4 64 64 64 64 64');
    expect(whatIsKnown()).toEqual(OURS);
  });

  test("a card of another hub fails one authentication; a member's card, or no DESFire, gets no command", async () => {
    const foreign = chipFromBox();
    foreign.memory.keys[0] = { key: new Uint8Array(16).fill(7), version: 1 };
    const { told } = await laidDown(foreign);
    expect(told).toMatchObject({ result: 'aside', failure: { reason: 'wrong-key' } });
    expect(foreign.memory.failures).toBe(1);
    const held = {
      issuer: 'pasar' as CooperativeId,
      member: 'siti' as MemberId,
      keyVersion: 1,
      tmacKeyVersion: 1,
      made: null,
    };
    registry.putChip({ uid: LIGHT_UID, profile: 'desfire-light', keyVersion: 1 });
    registry.putCard({ uid: LIGHT_UID, number: 'PS-1', status: 'active', ...held });
    for (const uid of [LIGHT_UID, '08aabbcc', '0411223344556677889a']) {
      const { told, sent } = await laidDown(chipFromBox(), {}, uid);
      expect([told, sent]).toEqual([{ result: 'aside', why: expect.stringContaining('aside'), failure: null }, '']);
    }
  });
});

/** A run over a reader, and what it told. */
function running(program: ReaderProgram, count: number | null = null) {
  const notes: Note[] = [];
  const stop = new AbortController();
  let wake = () => {};
  const tell = (note: Note) => {
    notes.push(note);
    wake();
  };
  const reader: CardReader = openCardReader(edges, program);
  const end = prepareCards(prepareDeps(vault, registry), reader, { count, stop: stop.signal, tell });
  return {
    notes,
    stop: () => stop.abort(),
    end: end.finally(() => reader.close()),
    /** Waits until something of this kind was told for the nth time. */
    async told(kind: string, times = 1): Promise<void> {
      const heard = () => notes.filter((note) => kind === (note.state === 'card' ? note.result : note.state)).length;
      while (heard() < times) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
}

const putDown = async (slot: Slot, card: Card, trouble?: Trouble): Promise<Offer> =>
  lay(card, await slot.connect(), trouble);

describe('a box of chips at a reader', () => {
  let slot: Slot;
  beforeAll(() => {
    slot = openEmulatedSlot();
  });
  afterAll(() => slot.close());

  test('a chip is played once as long as it lies there, and the run ends when told to', async () => {
    const box = running({ command: slot.reader.command });
    const card = chipFromBox();
    let selects = 0;
    const seen = watched(card, (apdu) => {
      if (apdu[1] === 0xa4) selects += 1;
      return card.process(apdu);
    });
    const torn = await putDown(slot, seen, { tear: { apdu: CHANGE, when: 'after' } });
    await box.told('again');
    await torn.gone;
    const offer = await putDown(slot, seen);
    await box.told('prepared');
    await offer.remove();
    const other = await putDown(slot, chipFromBox({ signature: NTAG.signature }));
    await box.told('aside');
    await other.remove();
    const same = await putDown(slot, seen);
    await box.told('already');
    box.stop();
    expect(await box.end).toEqual({ counts: { prepared: 1, already: 1, aside: 1 }, error: null });
    expect(selects).toBe(5);
    expect(box.notes.map((note) => (note.state === 'card' ? note.result : note.state))).toEqual([
      'ready',
      'again',
      'prepared',
      'aside',
      'already',
    ]);
    await same.gone;
  });

  test('the run ends by itself when so many are prepared', async () => {
    const box = running({ command: slot.reader.command }, 1);
    const offer = await putDown(slot, chipFromBox());
    expect(await box.end).toEqual({ counts: { prepared: 1, already: 0, aside: 0 }, error: null });
    await offer.gone;
  });

  test('a card of another hub is tried once, however often it is laid down', async () => {
    const box = running({ command: slot.reader.command });
    const foreign = chipFromBox();
    foreign.memory.keys[0] = { key: new Uint8Array(16).fill(7), version: 1 };
    for (const times of [1, 2, 3]) {
      const offer = await putDown(slot, foreign);
      await box.told('aside', times);
      await offer.remove();
    }
    box.stop();
    await box.end;
    expect(foreign.memory.failures).toBe(1);
  });
});

test('a chip is prepared through a real PC/SC service, and torn there it is prepared the next time', async () => {
  const pcscd = await openPcscd();
  const { command, env } = pcscd.reader;
  const box = running({ command, ...(env && { env }) }, 1);
  const card = chipFromBox();
  await box.told('ready');
  const torn = await putDown(pcscd, card, { tear: { apdu: CHANGE, when: 'after' } });
  await box.told('again');
  await torn.gone;
  const offer = await putDown(pcscd, card);
  expect(await box.end).toMatchObject({ counts: { prepared: 1 }, error: null });
  await offer.remove();
  await pcscd.close();
  expect(ours(card)).toBe(true);
});

describe('a reader that cannot be trusted', () => {
  /** `answer` is what a card says to a command; the chip is laid down at once. */
  const program = (script: string, beforeReady = ''): ReaderProgram => ({
    command: [
      process.execPath,
      '-e',
      `const say = (message) => process.stdout.write(JSON.stringify(message) + '\\n');
        const card = (presence, uid = '${LIGHT_UID}') => say({ type: 'card', presence, uid, atr: '' });
        ${beforeReady}
        say({ type: 'ready', name: String(process.pid) });
        let heard = () => {};
        process.stdin.on('data', (chunk) => String(chunk).trim().split('\\n').forEach((l) => heard(JSON.parse(l))));
        process.stdin.on('end', () => process.exit());
        ${script}`,
    ],
  });

  /** Such a program gives its own number as its name. */
  const pidOf = ([ready]: readonly Note[]) => Number(ready?.state === 'ready' && ready.reader);

  test.each([
    ['garbage in the middle', `card(1); heard = () => process.stdout.write('{}\\n')`, 'no reader message'],
    ['an endless line', `card(1); heard = () => process.stdout.write('9'.repeat(100000))`, 'endless line'],
    [
      'a reply never asked for',
      `card(1); heard = ({ id }) => say({ type: 'reply', id: id + 1, hex: '9000' })`,
      'never',
    ],
    ['its death', `card(1); heard = () => process.exit(4)`, 'exit code 4'],
  ])('%s ends the run with a sentence, and nothing is counted', async (_, script, why) => {
    const box = running(program(script));
    expect(await box.end).toEqual({
      counts: { prepared: 0, already: 0, aside: 0 },
      error: expect.stringContaining(why),
    });
    expect(registry.chip(LIGHT_UID)).toBeUndefined();
  });

  test('answers that no card gives prepare nothing', async () => {
    const said = ['9000', '9100', '009100', '019100', `${hex(LIGHT.signature)}9190`, `${'00'.repeat(16)}91af`, '91ae'];
    const answer = fc.oneof(fc.constantFrom(...said.map(bytes)), fc.uint8Array({ maxLength: 300 }));
    await fc.assert(
      fc.asyncProperty(fc.array(answer, { maxLength: 30 }), fc.nat(8), async (answers, honest) => {
        const card = chipFromBox();
        const replies = answers[Symbol.iterator]();
        let asked = 0;
        const transmit = async (apdu: Uint8Array) => {
          asked += 1;
          return asked <= honest ? card.process(apdu) : (replies.next().value ?? new Uint8Array());
        };
        const told = await prepareCard(prepareDeps(vault, registry), { uid: LIGHT_UID }, transmit);
        expect(told.result).toMatch(/again|aside/);
        expect(registry.chip(LIGHT_UID)).toBeUndefined();
      }),
    );
  });

  test('two cards at once are told, and neither is touched until one is alone', async () => {
    const two = `process.once('SIGUSR2', () => [1, 3].forEach((presence) => say({ type: 'gone', presence })));`;
    const three = `process.stdout.write([1, 2, 3].map((presence) =>
      JSON.stringify({ type: 'card', presence, uid: '08aabbc' + presence, atr: '' }) + '\\n').join(''));`;
    const box = running(program(three, two));
    await box.told('crowded');
    process.kill(pidOf(box.notes), 'SIGUSR2');
    await box.told('aside');
    box.stop();
    await box.end;
    expect(box.notes).toMatchObject([
      { state: 'ready' },
      { state: 'crowded' },
      { state: 'card', uid: '08aabbc2', result: 'aside' },
    ]);
  });

  test('a reader that is out of order from the start ends the run; later it is waited for', async () => {
    const broken = running({ command: [process.execPath, '-e', `console.log('{"type":"fault","why":"plug it in"}')`] });
    expect((await broken.end).error).toBe('plug it in');
    const again = `process.once('SIGUSR2', () => { say({ type: 'ready', name: 'again' }); card(1, '08aabbcc'); });`;
    const flat = `process.once('SIGUSR2', () => { ${again} say({ type: 'fault', why: 'hold it flat' }); });`;
    const box = running(program('', flat));
    await box.told('ready');
    const pid = pidOf(box.notes);
    process.kill(pid, 'SIGUSR2');
    await box.told('fault');
    process.kill(pid, 'SIGUSR2');
    await box.told('aside');
    expect(box.notes.map(({ state }) => state)).toEqual(['ready', 'fault', 'ready', 'card']);
    box.stop();
    expect((await box.end).error).toBeNull();
  });

  test('nothing more is sent when the disk refuses the note of a change', async () => {
    const card = chipFromBox();
    const sent: string[] = [];
    const full: Registry = {
      ...registry,
      journalKey: () => {
        throw new Error('disk full');
      },
    };
    const transmit = async (apdu: Uint8Array) => {
      sent.push(hex(apdu.subarray(1, 2)));
      return card.process(apdu);
    };
    await expect(prepareCard(prepareDeps(vault, full), { uid: LIGHT_UID }, transmit)).rejects.toThrow('disk');
    expect(sent.at(-1)).toBe('af');
    expect(opens(card, 0, FACTORY_KEY)).toBe(true);
  });
});
