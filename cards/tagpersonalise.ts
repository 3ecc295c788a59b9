/** Personalise an NTAG 424: keys, rights, address, mirroring, in this order; each step asks if it is so already. */
import { commands, little, range } from './commands.ts';
import { changeOthers, FACTORY_VERSION, type JournalChange, type Keyring, mustBeVersion } from './keyring.ts';
import { NTAG, TAG_KEY_NO, type TagFile } from './layout.ts';
import { type TagContent, tagContent } from './ndef.ts';
import { authenticate, keyVersions, selectOurs } from './opening.ts';
import { type Answer, ask, type Failure, failure, type Script } from './script.ts';
import type { Protection, Session } from './session.ts';

export interface TagOrder {
  /** Key 3 is the same for every card; all others are this card's own. */
  readonly ring: Keyring;
  /** Version of the keys 0 to 4, 1 to 255. */
  readonly version: number;
  /** What a phone opens, `https://host/path`: the tag adds `?p=…&m=…`. */
  readonly address: string;
  /**
   * Allows another address on a tag that mirrors already, whose count of readings then begins at zero again. Only after
   * a roll-over, before a phone reads it: under one key no count may come twice, or a page opens for an old reading.
   */
  readonly restart?: boolean;
  /** Gives 16 random bytes at a time. */
  readonly random: (bytes: number) => Uint8Array;
  readonly journal: JournalChange;
}

type Opened = { readonly ok: true; readonly session: Session } | Failure;

const { capabilities, ndef, proprietary } = NTAG.files;
const STANDARD = 0x00;
const MODES: Readonly<Record<Protection, number>> = { plain: 0x00, mac: 0x01, full: 0x03 };
const MIRRORING = 0x40;
/** UID and counter mirrored, as ASCII (CARDS section 7). No counter limit: it would end the card. */
const SDM_OPTIONS = 0xc1;
/** F ‖ counter return, meta read ‖ file read: nobody asks for the counter, which every reading shows the hub. */
const SDM_ACCESS = [0xff, (TAG_KEY_NO.metaRead << 4) | TAG_KEY_NO.fileRead] as const;
/** Half of file 02: longest that fits one APDU beside header and MAC in whole parts. */
const PART = 128;
const MAC = { protection: 'mac', otherwise: 'not-executed' } as const;

const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, at) => byte === b[at]);

function* open({ ring, version, random }: TagOrder, no: number): Script<Opened> {
  const selected = yield* selectOurs(NTAG);
  if (!selected.ok) return selected;
  const key = ring(no, version);
  if (key === null) throw new RangeError(`no key ${no} of version ${version}`);
  return yield* authenticate({ no, key }, random(16));
}

/**
 * Everything between `prepared` and `ready` on an NTAG 424. May be played again whatever became of it before.
 *
 * Why in this order: key 0 is ours since `prepare`, so nobody else changes keys or rights from then on. Keys come
 * first, since file 03 is the factory's key 3's to write and a mirrored MAC would be the factory's key 2's: there is no
 * moment at which the tag mirrors under a known key. Then every right of others goes, and only then the address is
 * written and read back, under MAC: what a stranger wrote while file 02 was free to all does not survive. Mirroring
 * comes last. A tear before it leaves a tag that no page believes; a tear anywhere leaves key 1 the factory's or ours,
 * and the hub never pays under the factory's.
 *
 * What cannot be undone (random UID, LRP, Change = F) is not offered here at all (CARDS section 3.8).
 * @throws RangeError for an order that no tag could hold.
 */
export function* personaliseTag(order: TagOrder): Script<{ readonly ok: true } | Failure> {
  mustBeVersion(order.version);
  const content = tagContent(order.address);
  const told = yield* keyVersions(NTAG);
  if (!told.ok) return told;
  const own = told.versions[TAG_KEY_NO.app];
  if (own === FACTORY_VERSION) return failure('key 0', 'not-prepared', 'not-executed', null);
  if (own !== order.version) return failure('key 0', 'other-version', 'not-executed', null);
  const opened = yield* open(order, TAG_KEY_NO.app);
  if (!opened.ok) return opened;
  const { ring, journal, version: to } = order;
  const keys = yield* changeOthers(opened.session, { ring, journal, to });
  if (!keys.ok) return keys;
  const files = yield* setFiles(keys.session, content, order.restart === true);
  if (!files.ok) return files;
  const proven = yield* proveKeys(order);
  return proven.ok ? { ok: true } : proven;
}

/** The answer of GetFileSettings for a file that is as it should be; what follows its size is mirroring. */
function settingsOf({ access, mode, size }: TagFile, mirroring?: Uint8Array): Uint8Array {
  const option = MODES[mode] | (mirroring === undefined ? 0 : MIRRORING);
  return Uint8Array.of(STANDARD, option, ...access, ...little(size, 3), ...(mirroring ?? []));
}

/** The same without type and size, which nothing changes: data of ChangeFileSettings. */
const changing = (settings: Uint8Array) => Uint8Array.of(...settings.subarray(1, 4), ...settings.subarray(7));

function askSettings(session: Session, { no }: TagFile): Script<Answer | Failure> {
  const asked = { at: `settings of file ${no}`, command: commands.getFileSettings, header: Uint8Array.of(no) };
  return ask(session, { ...asked, ...MAC, replyLength: null });
}

/** @param now answer of GetFileSettings, with the session to go on in */
function* settle(now: Answer, { no }: TagFile, wanted: Uint8Array): Script<Answer | Failure> {
  if (same(now.data, wanted)) return now;
  return yield* ask(now.session, {
    at: `rights of file ${no}`,
    command: commands.changeFileSettings,
    protection: 'full',
    header: Uint8Array.of(no),
    data: changing(wanted),
    replyLength: 0,
    otherwise: 'unknown',
  });
}

/** All three files, in the session of key 0. */
function* setFiles(before: Session, content: TagContent, restart: boolean): Script<Answer | Failure> {
  let session = before;
  for (const file of [capabilities, proprietary]) {
    const now = yield* askSettings(session, file);
    if (!now.ok) return now;
    const settled = yield* settle(now, file, settingsOf(file));
    if (!settled.ok) return settled;
    session = settled.session;
  }
  return yield* setAddress(session, content, restart);
}

/**
 * File 02. While its content is settled it mirrors nothing and key 0 reads and writes it under MAC: in its last state
 * it is plain, and a plain answer is nobody's proof. A tag that is in that state already is asked plainly all the same:
 * only key 0 could bring it there, and a false answer could hide no more than an older address.
 */
function* setAddress(before: Session, { file, piccData, mac }: TagContent, restart: boolean): Script<Answer | Failure> {
  const places = [piccData, piccData, mac].flatMap((offset) => [...little(offset, 3)]);
  const ready = settingsOf(ndef, Uint8Array.of(SDM_OPTIONS, ...SDM_ACCESS, ...places));
  let now = yield* askSettings(before, ndef);
  if (!now.ok) return now;
  if (same(now.data, ready)) {
    const read = yield* readAll(now.session, 'plain');
    if (!read.ok || same(read.data, file)) return read;
    now = { ...now, session: read.session };
  }
  if (((now.data[1] ?? 0) & MIRRORING) !== 0 && !restart) return failure('address', 'in-use', 'not-executed', null);
  const closed = yield* settle(now, ndef, settingsOf({ ...ndef, mode: 'mac' }));
  if (!closed.ok) return closed;
  let there = yield* readAll(closed.session, 'mac');
  if (!there.ok) return there;
  if (!same(there.data, file)) {
    const written = yield* writeAll(there.session, file);
    if (!written.ok) return written;
    there = yield* readAll(written.session, 'mac');
    if (!there.ok) return there;
    if (!same(there.data, file)) return failure('read address', 'garbled', 'unknown', null);
  }
  const asked = yield* askSettings(there.session, ndef);
  return asked.ok ? yield* settle(asked, ndef, ready) : asked;
}

function* readAll(before: Session, protection: Protection): Script<Answer | Failure> {
  const data = new Uint8Array(ndef.size);
  let session = before;
  for (let from = 0; from < ndef.size; from += PART) {
    const header = range(ndef.no, from, PART);
    const reading = { at: 'read address', command: commands.readData, header, protection, replyLength: PART } as const;
    const read = yield* ask(session, { ...reading, otherwise: 'not-executed' });
    if (!read.ok) return read;
    data.set(read.data, from);
    session = read.session;
  }
  return { ok: true, data, session };
}

function* writeAll(before: Session, file: Uint8Array): Script<Answer | Failure> {
  let last: Answer = { ok: true, data: new Uint8Array(), session: before };
  for (let from = 0; from < file.length; from += PART) {
    const written = yield* ask(last.session, {
      at: 'write address',
      command: commands.writeData,
      protection: 'mac',
      header: range(ndef.no, from, PART),
      data: file.slice(from, from + PART),
      replyLength: 0,
      otherwise: 'unknown',
    });
    if (!written.ok) return written;
    last = written;
  }
  return last;
}

/** Each key of the tag, tried once: what was written is what is there. */
function* proveKeys(order: TagOrder): Script<Opened> {
  let opened = yield* open(order, TAG_KEY_NO.app);
  for (const no of [TAG_KEY_NO.pay, TAG_KEY_NO.fileRead, TAG_KEY_NO.metaRead, TAG_KEY_NO.spare4]) {
    if (!opened.ok) return opened;
    opened = yield* open(order, no);
  }
  return opened;
}
