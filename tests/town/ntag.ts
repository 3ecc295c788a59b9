/** An emulated NTAG 424 DNA as it leaves the factory (CARDS section 7; "table" is one of data sheet NT4H2421Gx 3.0). */
import { type BlankCard, blankMemory } from './blank.ts';
import { type Card, createCard } from './card.ts';
import { type CardCommand, cardCommands, type Workplace } from './cardcommands.ts';
import { type Core, MAC_LENGTH, type Profile, STATUS } from './cardcore.ts';
import { concat, fromLsb, lsb } from './cardcrypto.ts';
import { type CardFile, type CardMemory, type CardMode, SDM_ON } from './cardfiles.ts';
import { sdmFrom } from './cardsdm.ts';
import { master, settingsCommands, settingsFrom } from './cardsettings.ts';
import { phoneCommands, view } from './ntagiso.ts';

const INS = { read: 0xad, changeFileSettings: 0x5f, fileCounters: 0xf6, setConfiguration: 0x5c } as const;
/** What is as on every card: GetCardUID, GetKeyVersion, GetFileSettings, Read_Sig, WriteData, ChangeKey. */
const COMMON: readonly number[] = [0x51, 0x64, 0xf5, 0x3c, 0x8d, 0xc4];
const DONE = new Uint8Array();
const ANSWER_MAX = 256;
const NDEF_FILE = 0x02;
/** The smallest nibbles of access rights that name no key: free, and never. */
const FREE = 0xe;

/** How long the answer is, its protection included. */
const lengthIn: Readonly<Record<CardMode, (length: number) => number>> = {
  plain: (length) => length,
  mac: (length) => length + MAC_LENGTH,
  full: (length) => length + 16 - (length % 16) + MAC_LENGTH,
};

/** Table 78: a length of 0 means up to the end, and no answer is longer than 256 bytes; its error byte is assumed. */
const readData = (core: Core) => (place: Workplace, header: Uint8Array) => {
  const no = header[0] ?? 0;
  const file = place.memory.files.get(no);
  if (file?.kind !== 'standard') return STATUS.noFile;
  const [from, length] = [fromLsb(header.subarray(1, 4)), fromLsb(header.subarray(4, 7))];
  const end = length === 0 ? file.content.length : from + length;
  if (from >= file.content.length || end > file.content.length) return STATUS.parameter;
  if (lengthIn[place.mode](end - from) > ANSWER_MAX) return STATUS.length;
  return view(core, INS.read, no, file)?.slice(from, end) ?? STATUS.denied;
};

function namesNoKey(access: readonly [number, number], keys: number): boolean {
  return access.flatMap((byte) => [byte >> 4, byte & 0x0f]).some((key) => key >= keys && key < FREE);
}

/** Tables 69 and 71. */
function changeFileSettings({ memory }: Workplace, header: Uint8Array, data: Uint8Array): Uint8Array | number {
  const no = header[0] ?? 0;
  const file = memory.files.get(no);
  if (file?.kind !== 'standard') return STATUS.noFile;
  const [option = 0] = data;
  const dynamic = (option & SDM_ON) !== 0;
  if (dynamic ? data.length < 6 : data.length !== 3) return STATUS.length;
  const settings = settingsFrom(concat([option & ~SDM_ON], data.subarray(1, 3)), file.kind);
  if (settings === null || namesNoKey(settings.access, memory.keys.length)) return STATUS.parameter;
  if (dynamic && no !== NDEF_FILE) return STATUS.denied;
  // Switching it on anew begins a new count; changing what is on goes on with the old one.
  const count = file.sdm === undefined ? 0 : (file.readCtr ?? 0);
  const sdm = dynamic ? sdmFrom(data.slice(3), file.content.length, memory.keys.length, count) : undefined;
  if (typeof sdm === 'number') return sdm;
  Object.assign(file, settings, { sdm, readCtr: count });
  return DONE;
}

/** Table 76: two bytes that mean nothing follow the counter. */
function fileCounters({ memory }: Workplace, header: Uint8Array): Uint8Array | number {
  const file = memory.files.get(header[0] ?? 0);
  return file?.kind === 'standard' ? concat(lsb(file.readCtr ?? 0, 3), [0, 0]) : STATUS.noFile;
}

/** A new meaning of the memory for each option of table 50, or the second status byte of an error. */
const configurations: Readonly<Record<number, { length: number; run(m: CardMemory, data: Uint8Array): number }>> = {
  0: {
    length: 1,
    run: (memory, [config = 0]) => {
      if ((config & ~0x02) !== 0) return STATUS.parameter;
      if (config !== 0) memory.randomId = true;
      return STATUS.ok;
    },
  },
  // Chained writing, which lies below this card.
  4: { length: 2, run: () => STATUS.ok },
  5: {
    length: 10,
    run: (memory, data) => {
      if (((data[4] ?? 0) & 0x02) === 0) return STATUS.ok;
      memory.lrp = true;
      // Section 9.3.4.2: what AES mirrored is too short for LRP.
      for (const file of memory.files.values()) if (file.kind === 'standard') file.sdm = undefined;
      return STATUS.ok;
    },
  },
  10: {
    length: 5,
    run: (memory, data) => {
      const [limit, decrement] = [fromLsb(data.subarray(1, 3)), fromLsb(data.subarray(3, 5))];
      const on = ((data[0] ?? 0) & 0x01) !== 0;
      if (on && limit === 0) return STATUS.parameter;
      memory.failureTotal = on ? { limit, decrement } : null;
      return STATUS.ok;
    },
  },
  // Back modulation, which no byte shows.
  11: { length: 1, run: () => STATUS.ok },
};

/** Does what is asked, also what can never be undone: to refuse that is the caller's business. */
function setConfiguration({ memory }: Workplace, header: Uint8Array, data: Uint8Array): Uint8Array | number {
  const configuration = configurations[header[0] ?? 0];
  if (configuration === undefined) return STATUS.parameter;
  if (data.length !== configuration.length) return STATUS.length;
  const status = configuration.run(memory, data);
  return status === STATUS.ok ? DONE : status;
}

function commands(core: Core): Readonly<Record<number, CardCommand>> {
  const common = Object.entries({ ...cardCommands, ...settingsCommands });
  return {
    ...Object.fromEntries(common.filter(([ins]) => COMMON.includes(Number(ins)))),
    [INS.read]: { header: 7, data: 0, guard: 'read', run: readData(core) },
    [INS.changeFileSettings]: { header: 1, data: 'any', guard: 'change', run: changeFileSettings },
    [INS.fileCounters]: { header: 1, data: 0, guard: 'counter', run: fileCounters },
    [INS.setConfiguration]: {
      header: 1,
      data: 'any',
      guard: 'full',
      ...master(STATUS.authentication),
      run: setConfiguration,
    },
  };
}

const NTAG: Profile = {
  commands,
  iso: phoneCommands,
  // Tables 54, 56 and 58; batch, week and year are anyone's.
  made: [
    Uint8Array.of(0x04, 0x04, 0x02, 0x30, 0x00, 0x11, 0x05),
    Uint8Array.of(0x04, 0x04, 0x02, 0x01, 0x02, 0x11, 0x05),
    Uint8Array.of(0xcf, 0x39, 0xd4, 0x49, 0x80, 0x34, 0x20),
  ],
  wrongKey: STATUS.authentication,
};

/** The name that phones select. */
const NTAG_NAME = Uint8Array.of(0xd2, 0x76, 0x00, 0x00, 0x85, 0x01, 0x01);

/** 23 bytes of capability container: version 2.0, reads of 256 and writes of 255 bytes, and the two files' TLVs. */
const CONTAINER = Uint8Array.of(
  ...[0x00, 0x17, 0x20, 0x01, 0x00, 0x00, 0xff],
  ...[0x04, 0x06, 0xe1, 0x04, 0x01, 0x00, 0x00, 0x00],
  ...[0x05, 0x06, 0xe1, 0x05, 0x00, 0x80, 0x82, 0x83],
);

/** Rights and modes as delivered are from memory; AN12196's examples agree with those of file 02. */
function files(): Map<number, CardFile> {
  const container = concat(CONTAINER, new Uint8Array(32 - CONTAINER.length));
  return new Map<number, CardFile>([
    [0x01, { kind: 'standard', access: [0x00, 0xe0], mode: 'plain', content: container }],
    [NDEF_FILE, { kind: 'standard', access: [0xe0, 0xee], mode: 'plain', content: new Uint8Array(256) }],
    [0x03, { kind: 'standard', access: [0x30, 0x23], mode: 'full', content: new Uint8Array(128) }],
  ]);
}

/** Makes a tag that nobody has touched since the factory. */
export function blankNtag(blank: BlankCard): Card {
  return createCard(blankMemory(blank, NTAG_NAME, files()), blank.random, NTAG);
}
