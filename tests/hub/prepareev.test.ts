/** An EV2 or EV3 from the box gets the hub's master key and our application, whatever tears it; copies get nothing. */
import { randomBytes } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { MAKER_KEYS } from '../../cards/originality.ts';
import { openCardReader } from '../../hub/cardreader.ts';
import { type Note, prepareCard, prepareCards } from '../../hub/preparecards.ts';
import type { Registry } from '../../hub/store/registry.ts';
import type { Vault } from '../../hub/vault.ts';
import { hex } from '../cards/hex.ts';
import { opens, wrap } from '../town/barereader.ts';
import { blankDesfire, type DesfireCard } from '../town/desfire.ts';
import { openEmulatedSlot } from '../town/emulatedslot.ts';
import { field, type Trouble } from '../town/field.ts';
import { falseMaker } from '../town/maker.ts';
import { lay } from '../town/vpicc.ts';
import { cardMaster, edges, hubFolder, key0, LIGHT, LIGHT_UID, prepareDeps, stockRoom, watched } from './chips.ts';

const makers = { ev2: falseMaker(2), ev3: falseMaker(3) };
const MAKERS = { ...MAKER_KEYS, ev2: makers.ev2.publicKey, ev3: makers.ev3.publicKey };
/** Taken for a Light at first, by the one command that finds no application; then as `prepareEv` goes. */
const AS_LIGHT = 'a4 60 af af';
const CARD = '60 af af 5a 64 3c a4 5a 0a af c4 5a 64 71 af 45 54 ca';
const KEY_0 = 'a4 64 64 64 64 64 71 af c4 a4 64 64 64 64 64 71 af';
const NEW_CHIP = `${AS_LIGHT} ${CARD} ${KEY_0}`;
const COMMANDS = NEW_CHIP.split(' ').length;
const DESFIRE_LEVEL = wrap('5a', '000000');

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

const chip = (generation: 'EV2' | 'EV3' = 'EV3', signature?: Uint8Array): DesfireCard => {
  const own = generation === 'EV2' ? makers.ev2 : makers.ev3;
  const signed = { uid: LIGHT.uid, signature: signature ?? own.sign(LIGHT.uid) };
  return blankDesfire({ ...signed, generation, random: randomBytes });
};
const deps = (change: object = {}) => prepareDeps(vault, registry, { makers: MAKERS, ...change });

async function laidDown(card: DesfireCard, trouble: Trouble = {}, change: object = {}) {
  const sent: string[] = [];
  const on = field(
    watched(card, (apdu) => {
      sent.push(hex(apdu.subarray(1, 2)));
      return card.process(apdu);
    }),
  );
  on.insert(trouble);
  const told = await prepareCard(deps(change), { uid: LIGHT_UID }, on.transmit);
  card.reset();
  return { told, sent: sent.join(' ') };
}

/** Whether key 0 of our application and the card's own master key are the vault's. */
const ours = (card: DesfireCard) => [
  opens(card, 0, key0(vault, LIGHT_UID)),
  opens(card, 0, cardMaster(vault, LIGHT_UID), DESFIRE_LEVEL),
];
const whatIsKnown = () => ({ ...registry.chip(LIGHT_UID), open: registry.openChanges(LIGHT_UID) });
const OURS = { uid: LIGHT_UID, profile: 'desfire-ev', keyVersion: 1, open: [] };

describe.each(['EV2', 'EV3'] as const)('an %s that is laid down', (generation) => {
  test('gets both keys, each journaled under its number, and is known as what it is', async () => {
    const card = chip(generation);
    expect(await laidDown(card)).toEqual({ told: { result: 'prepared' }, sent: NEW_CHIP });
    expect([ours(card), card.applications.size, whatIsKnown()]).toEqual([[true, true], 1, OURS]);
    expect(registry.keyHistory(LIGHT_UID)).toMatchObject([
      { no: 16, from: 0, to: 1, proven: true },
      { no: 0, from: 0, to: 1, proven: true },
    ]);
    expect((await laidDown(card)).told).toEqual({ result: 'already' });
    expect(registry.keyHistory(LIGHT_UID)).toHaveLength(2);
  });

  test('of which the registry was lost proves its keys and is known again', async () => {
    const card = chip(generation);
    await laidDown(card);
    registry = stockRoom();
    expect((await laidDown(card)).told).toEqual({ result: 'already' });
    expect(whatIsKnown()).toEqual(OURS);
  });

  test('torn at any command, before, during or after it, is prepared once when laid down again', async () => {
    const kinds = [
      { when: 'during', executed: true },
      { when: 'before' },
      { when: 'during', executed: false },
      { when: 'after' },
    ] as const;
    for (let apdu = 0; apdu < COMMANDS; apdu += 1) {
      registry = stockRoom();
      const card = chip(generation);
      const how = kinds[(apdu + (generation === 'EV2' ? 0 : 1)) % kinds.length] ?? kinds[0];
      const torn = await laidDown(card, { tear: { apdu, ...how } });
      expect([apdu, torn.told]).toMatchObject([apdu, { result: 'again', failure: { reason: 'lost' } }]);
      expect([apdu, (await laidDown(card)).told]).toEqual([apdu, { result: 'prepared' }]);
      expect([apdu, ours(card), card.memory.failures, whatIsKnown()]).toEqual([apdu, [true, true], 0, OURS]);
      expect((await laidDown(card)).told).toEqual({ result: 'already' });
    }
  });
});

test('a chip that was begun ends under the version it was begun with, whatever the vault has since', async () => {
  const card = chip();
  const begun = NEW_CHIP.split(' ').indexOf('c4');
  await laidDown(card, { tear: { apdu: begun, when: 'after' } });
  expect((await laidDown(card, {}, { newest: 2 })).told).toEqual({ result: 'prepared' });
  expect([ours(card), whatIsKnown()]).toEqual([[true, true], OURS]);
});

describe('an EV that is put aside', () => {
  test('one without its maker’s signature gets no key, is not kept, and the line doubts the maker’s key', async () => {
    for (const signature of [new Uint8Array(56), makers.ev2.sign(LIGHT.uid)]) {
      const card = chip('EV3', signature);
      const { told, sent } = await laidDown(card);
      expect(told).toMatchObject({ result: 'aside', failure: { reason: 'not-genuine' } });
      expect(told).toMatchObject({ why: expect.stringContaining('never tried before') });
      expect(sent).toBe('a4 60 af af 60 af af 5a 64 3c');
      expect([card.memory.keys[0]?.des, registry.chip(LIGHT_UID)]).toEqual([true, undefined]);
    }
  });

  test('one signed by a false maker is refused under the published keys', async () => {
    const { told } = await laidDown(chip(), {}, { makers: MAKER_KEYS });
    expect(told).toMatchObject({ result: 'aside', failure: { reason: 'not-genuine' } });
  });

  test('a copy of a prepared one that says it is new is refused before any key is used', async () => {
    await laidDown(chip());
    const copy = await laidDown(chip());
    expect(copy.told).toMatchObject({ result: 'aside', failure: { reason: 'other-version' } });
    expect(copy.sent).toBe('60 af af 5a 64');
    expect(whatIsKnown()).toEqual(OURS);
  });

  test('one with an application of our name made by somebody else gets no key', async () => {
    const card = chip();
    card.process(wrap('ca', 'a1b2c30fa5df01a00000039656434103f015400000000b'));
    const { told } = await laidDown(card);
    expect(told).toMatchObject({ result: 'aside', failure: { reason: 'other-files', at: 'application' } });
    expect(card.memory.keys[0]?.des).toBe(true);
  });
});

test('a box with both generations is prepared at a reader, one torn in between', async () => {
  const slot = openEmulatedSlot();
  const notes: Note[] = [];
  let wake = () => {};
  const tell = (note: Note) => {
    notes.push(note);
    wake();
  };
  const heard = async (result: string) => {
    while (!notes.some((note) => note.state === 'card' && note.result === result)) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const reader = openCardReader(edges, { command: slot.reader.command });
  const end = prepareCards(deps(), reader, { count: 1, stop: new AbortController().signal, tell });
  const card = chip('EV2');
  const torn = await lay(card, await slot.connect(), { tear: { apdu: 20, when: 'after' } });
  await heard('again');
  await torn.gone;
  const offer = await lay(card, await slot.connect());
  expect(await end).toEqual({ counts: { prepared: 1, already: 0, aside: 0 }, error: null });
  await reader.close();
  await offer.gone;
  await slot.close();
  expect([ours(card), whatIsKnown()]).toEqual([[true, true], OURS]);
});
