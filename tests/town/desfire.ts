/** An emulated MIFARE DESFire EV2 or EV3 as it leaves the factory (CARDS section 5.4; sources are named where used). */
import { type BlankCard, blankMemory, FAILURE_LIMIT } from './blank.ts';
import { type Card, createCard } from './card.ts';
import { type CardCommand, cardCommands, type Workplace } from './cardcommands.ts';
import { asleep, type Core, forget, type Profile, STATUS } from './cardcore.ts';
import { same } from './cardcrypto.ts';
import type { CardMemory } from './cardfiles.ts';
import { master, settingsCommands } from './cardsettings.ts';
import { createsForMaster, fileCommands, levelled, listsForMaster, MASTER_NAME } from './desfirefiles.ts';
import { AES_MASTER, legacyCommand, settable } from './desfirelegacy.ts';

const INS = {
  selectApplication: 0x5a,
  applicationIds: 0x6a,
  createApplication: 0xca,
  deleteApplication: 0xda,
  format: 0xfc,
  keySettings: 0x45,
  changeKeySettings: 0x54,
  changeKey: 0xc4,
  fileIds: 0x6f,
  fileSettings: 0xf5,
} as const;
const MASTER_LEVEL = '000000';
/**
 * Free to create and to list, the master key and these settings can be changed: the bits are in proxmark3's
 * desfirecore.c, PrintKeySettings, and that cards are sold so is from memory (CARDS section 5.4).
 */
const FACTORY_SETTINGS = 0x0f;
const MASTER_CHANGEABLE = 0x01;
/** Who may change keys, in an application's key settings: key 0 alone is what this card knows. */
const CHANGE_KEY = 0xf0;
/** KeySett2: kind of keys, further settings, ISO file ids, number of keys (libfreefare, create_application). */
const AES_KEYS = 0x80;
const KIND_OF_KEYS = 0xc0;
const FURTHER_SETTINGS = 0x10;
const ISO_FILE_IDS = 0x20;
const KEYS_MOST = 14;
const NAME_LONGEST = 16;
const DUPLICATE = 0xde;
const DONE = new Uint8Array();

export interface BlankDesfire extends BlankCard {
  readonly generation: 'EV2' | 'EV3';
}

interface Application extends CardMemory {
  readonly isoId: string;
}

/** What the card holds besides its master level, by AID as it is sent, in hex. */
type Applications = Map<string, Application>;

export interface DesfireCard extends Card {
  readonly applications: ReadonlyMap<string, CardMemory>;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/**
 * `AID 3 · KeySett1 · KeySett2 [· ISO file id 2 [· DF name 1 to 16]]`. Bit 5 of KeySett2 is about the ids of files and
 * not about these two (libfreefare's test_mifare_desfire_ev1_iso sends both without it).
 */
const createApplication =
  (picc: CardMemory, applications: Applications) =>
  (_: Workplace, __: Uint8Array, sent: Uint8Array): Uint8Array | number => {
    if (sent.length < 5 || sent.length === 6 || sent.length > 7 + NAME_LONGEST) return STATUS.length;
    const aid = hex(sent.subarray(0, 3));
    const [keySettings = 0, kind = 0] = sent.subarray(3);
    const keys = kind & 0x0f;
    if (aid === MASTER_LEVEL || keys === 0 || keys > KEYS_MOST) return STATUS.parameter;
    // Other keys than AES, key sets, and other changers than key 0 exist on cards, but not on this one.
    if ((kind & KIND_OF_KEYS) !== AES_KEYS || (kind & FURTHER_SETTINGS) !== 0) return STATUS.parameter;
    if ((keySettings & CHANGE_KEY) !== 0) return STATUS.parameter;
    const [isoId, dfName] = [hex(sent.subarray(5, 7)), sent.slice(7)];
    const taken = (other: Application) =>
      (isoId !== '' && other.isoId === isoId) || (dfName.length > 0 && same(other.dfName, dfName));
    if (applications.has(aid) || [...applications.values()].some(taken)) return DUPLICATE;
    const { uid, signature, failureLimit } = picc;
    const memory = blankMemory({ uid, random: () => DONE, failureLimit }, dfName, new Map(), keys);
    const made = { ...memory, signature: signature ?? new Uint8Array(56), keySettings, isoId };
    applications.set(aid, { ...made, isoFileIds: (kind & ISO_FILE_IDS) !== 0 });
    return DONE;
  };

/** The number of keys and their kind, as KeySett2 tells them. */
function keySettings({ memory }: Workplace): Uint8Array {
  const kind = memory.keys[0]?.des === true ? 0 : AES_KEYS;
  const ids = memory.isoFileIds === true ? ISO_FILE_IDS : 0;
  return Uint8Array.of(memory.keySettings ?? 0, kind + ids + memory.keys.length);
}

/** This card keeps to key 0 as the changer of keys. */
function changeKeySettings({ memory }: Workplace, _: Uint8Array, [settings = 0]: Uint8Array): Uint8Array | number {
  if (!settable(memory)) return STATUS.denied;
  if ((settings & CHANGE_KEY) !== 0) return STATUS.parameter;
  memory.keySettings = settings;
  return DONE;
}

/** At master level the key's number carries the new key's kind (libfreefare, mifare_desfire_change_key). */
function changeKey(place: Workplace, header: Uint8Array, data: Uint8Array): Uint8Array | number {
  const masterLevel = place.memory.dfName === MASTER_NAME;
  const no = header[0] ?? 0;
  if (masterLevel && no !== AES_MASTER) return STATUS.parameter;
  const own = masterLevel || no === 0;
  if (own && ((place.memory.keySettings ?? 0) & MASTER_CHANGEABLE) === 0) return STATUS.denied;
  return settingsCommands[INS.changeKey]?.run(place, own ? Uint8Array.of(0) : header, data) ?? STATUS.illegal;
}

/** The commands that need to know all applications. */
function masterCommands(core: Core, picc: CardMemory, applications: Applications): Record<number, CardCommand> {
  const go = (memory: CardMemory): Uint8Array => {
    core.memory = memory;
    return DONE;
  };
  const byMaster = { ...master(STATUS.authentication), guard: 'mac', header: 0 } as const;
  return {
    [INS.selectApplication]: {
      header: 0,
      data: 3,
      guard: 'plain',
      endsSession: () => true,
      run: (_, __, aid) => {
        const found = hex(aid) === MASTER_LEVEL ? picc : applications.get(hex(aid));
        return found === undefined ? STATUS.noApplication : go(found);
      },
    },
    [INS.applicationIds]: levelled(false, {
      ...byMaster,
      session: listsForMaster,
      data: 0,
      run: () => Uint8Array.from(Buffer.from([...applications.keys()].join(''), 'hex')),
    }),
    [INS.createApplication]: levelled(false, {
      ...byMaster,
      session: createsForMaster,
      data: 'any',
      run: createApplication(picc, applications),
    }),
    // By a proven key also where creating is free (Ingenico's Desfire.h, desfire_DeleteApplication). The application's
    // own master key, which it names as well, does not do here.
    [INS.deleteApplication]: levelled(false, {
      ...byMaster,
      data: 3,
      run: (_, __, aid) => (applications.delete(hex(aid)) ? DONE : STATUS.noApplication),
    }),
    // Key and settings of the master level stay; that the session does too is assumed.
    [INS.format]: levelled(false, {
      ...byMaster,
      data: 0,
      run: () => {
        applications.clear();
        return DONE;
      },
    }),
  };
}

/** Listing the files is what the key settings may keep for key 0. */
function listing(ins: number): CardCommand {
  return levelled(true, { ...cardCommands[ins], ...master(STATUS.denied), session: listsForMaster } as CardCommand);
}

function commands(core: Core, picc: CardMemory, applications: Applications): Record<number, CardCommand> {
  const ownKey = (header: Uint8Array) => header[0] === 0 || header[0] === AES_MASTER;
  const change = { ...settingsCommands[INS.changeKey], endsSession: ownKey, run: changeKey } as CardCommand;
  const settings = { ...master(STATUS.authentication), header: 0 } as const;
  // SetConfiguration has nothing here that a purse needs: a value file gets its limits when it is created.
  const { 92: _, ...common } = settingsCommands;
  return {
    ...cardCommands,
    ...common,
    ...fileCommands,
    ...masterCommands(core, picc, applications),
    [INS.fileIds]: listing(INS.fileIds),
    [INS.fileSettings]: listing(INS.fileSettings),
    [INS.keySettings]: { ...settings, session: listsForMaster, data: 0, guard: 'mac', run: keySettings },
    [INS.changeKeySettings]: { ...settings, data: 1, guard: 'full', run: changeKeySettings },
    [INS.changeKey]: change,
  };
}

/** By DF name only; an error ends the session, and what was selected stays so, which is assumed. */
const selectByName = (picc: CardMemory, applications: Applications) => (core: Core, apdu: Uint8Array) => {
  forget(core);
  if (apdu[2] !== 0x04 || (apdu[3] !== 0x0c && apdu[3] !== 0x00)) return Uint8Array.of(0x6a, 0x86);
  const length = apdu[4] ?? 0;
  if (apdu.length !== 5 + length && apdu.length !== 6 + length) return Uint8Array.of(0x67, 0x00);
  const name = apdu.subarray(5, 5 + length);
  const found = [picc, ...applications.values()].find(({ dfName }) => length > 0 && same(dfName, name));
  if (found === undefined) return Uint8Array.of(0x6a, 0x82);
  core.memory = found;
  core.live = { ...asleep(true), nuid: core.live.nuid };
  return Uint8Array.of(0x90, 0x00);
};

/**
 * Versions as real 4 KB cards tell them: EV3 in issue 1029 of Proxmark/proxmark3, EV2 in issue 589 of
 * RfidResearchGroup/proxmark3. Batch, week and year are anyone's.
 */
const MADE: Readonly<Record<BlankDesfire['generation'], readonly [Uint8Array, Uint8Array]>> = {
  EV2: [
    Uint8Array.of(0x04, 0x01, 0x01, 0x12, 0x00, 0x18, 0x05),
    Uint8Array.of(0x04, 0x01, 0x01, 0x02, 0x01, 0x18, 0x05),
  ],
  EV3: [
    Uint8Array.of(0x04, 0x01, 0x01, 0x33, 0x00, 0x18, 0x05),
    Uint8Array.of(0x04, 0x01, 0x01, 0x03, 0x00, 0x18, 0x05),
  ],
};

/** Makes a card that nobody has touched since the factory: no application, a master key that is DES and zeros. */
export function blankDesfire({ generation, ...blank }: BlankDesfire): DesfireCard {
  const { failureLimit = FAILURE_LIMIT } = blank;
  const picc = blankMemory({ ...blank, failureLimit }, MASTER_NAME, new Map(), 1);
  picc.keys[0] = { key: new Uint8Array(16), version: 0, des: true };
  picc.keySettings = FACTORY_SETTINGS;
  const applications: Applications = new Map();
  const profile: Profile = {
    commands: (core) => commands(core, picc, applications),
    iso: { 164: selectByName(picc, applications) },
    made: [...MADE[generation], Uint8Array.of(0x20, 0x88, 0x54, 0x30, 0x30, 0x42, 0x23)],
    wrongKey: STATUS.denied,
    awake: true,
    before: legacyCommand,
  };
  return Object.assign(createCard(picc, blank.random, profile), { applications });
}
