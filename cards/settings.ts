/** A card's counter file, access rights and ceiling: looked at first, and changed only if they are not so already. */
import { commands, little } from './commands.ts';
import { FACTORY_VERSION } from './keyring.ts';
import { LIGHT } from './layout.ts';
import { type Answer, ask, type Failure, failure, type Script } from './script.ts';
import type { Protection, Session } from './session.ts';

const { counter, purse, statement, spare, profile, records } = LIGHT.files;
export type OurFile = (typeof LIGHT.files)[keyof typeof LIGHT.files];

/** Lower two bits of the file option (CARDS section 3.6). */
const MODES: Readonly<Record<Protection, number>> = { plain: 0x00, mac: 0x01, full: 0x03 };
const AES_KEY = 0x02;
/** Type, option and access rights come first in every answer of GetFileSettings. */
export const COMMON = 4;
const AMOUNT = 4;
/** Where a record file's answer says how many records are there. */
const RECORDS_THERE = 10;
/** Length of the answer by kind of file (CARDS section 3.6). */
const LENGTHS: Readonly<Record<OurFile['kind'], number>> = { standard: 7, cyclic: 13, value: 17, tmac: 6 };
const VALUE_CONFIGURATION = 0x09;
const NONE = new Uint8Array();

const MAC = { protection: 'mac' } as const;
const FULL = { protection: 'full', replyLength: 0, otherwise: 'unknown' } as const;

/** GetFileSettings of one of our files, in the session of any key. */
export function settingsOf(session: Session, { no, kind }: OurFile): Script<Answer | Failure> {
  const header = Uint8Array.of(no);
  const asked = { at: `settings of file ${no}`, command: commands.getFileSettings, header, replyLength: LENGTHS[kind] };
  return ask(session, { ...asked, ...MAC, otherwise: 'not-executed' });
}

/** File option and access rights as they are sent. */
export const rightsOf = ({ mode, access }: OurFile) => Uint8Array.of(MODES[mode], ...access);
export const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, at) => byte === b[at]);

/** A card with records has made transactions: its counters and its purse are not begun anew. */
function* mustBeUntouched(session: Session, at: string): Script<Answer | Failure> {
  const settings = yield* settingsOf(session, records);
  if (!settings.ok) return settings;
  const written = settings.data.subarray(RECORDS_THERE).some((byte) => byte > 0);
  return written ? failure(at, 'in-use', 'not-executed', null) : settings;
}

/**
 * The counter file under our key, in the session of key 0. The factory's is deleted and ours made with its rights in
 * one command: there is never a file of ours with other rights, and its version tells whose it is.
 * @param tmac key, 16 bytes, and version
 */
export function* setCounterFile(
  before: Session,
  { key, version }: { readonly key: Uint8Array; readonly version: number },
): Script<Answer | Failure> {
  const listed = yield* ask(before, {
    at: 'list files',
    command: commands.getFileIds,
    ...MAC,
    header: NONE,
    replyLength: null,
    otherwise: 'not-executed',
  });
  if (!listed.ok) return listed;
  const there = listed.data.includes(counter.no);
  let { session } = listed;
  if (there) {
    const settings = yield* settingsOf(session, counter);
    if (!settings.ok) return settings;
    const held = settings.data[COMMON + 1] ?? -1;
    const ours = same(settings.data.subarray(1, COMMON), rightsOf(counter));
    if (held === version && ours) return settings;
    // A file under a version that was given before has counters that were used before.
    if (held !== FACTORY_VERSION) return failure('counter file', 'other-version', 'not-executed', null);
    session = settings.session;
  }
  const untouched = yield* mustBeUntouched(session, 'counter file');
  if (!untouched.ok) return untouched;
  session = untouched.session;
  if (there) {
    const deleted = yield* ask(session, {
      at: 'delete counter file',
      command: commands.deleteFile,
      ...MAC,
      header: Uint8Array.of(counter.no),
      replyLength: 0,
      otherwise: 'unknown',
    });
    if (!deleted.ok) return deleted;
    session = deleted.session;
  }
  return yield* ask(session, {
    at: 'create counter file',
    command: commands.createTransactionMacFile,
    ...FULL,
    header: Uint8Array.of(counter.no, MODES[counter.mode], ...counter.access, AES_KEY),
    data: Uint8Array.of(...key, version),
  });
}

/** The rights of TRUTH section 14 on every other file, in the session of key 0. */
export function* setRights(before: Session): Script<Answer | Failure> {
  let last: Answer = { ok: true, data: NONE, session: before };
  for (const file of [statement, spare, profile, records, purse]) {
    const settings = yield* settingsOf(last.session, file);
    if (!settings.ok) return settings;
    last = settings;
    const rights = rightsOf(file);
    if (same(settings.data.subarray(1, COMMON), rights)) continue;
    const header = Uint8Array.of(file.no);
    const changing = { at: `rights of file ${file.no}`, command: commands.changeFileSettings, header, data: rights };
    const changed = yield* ask(settings.session, { ...changing, ...FULL });
    if (!changed.ok) return changed;
    last = changed;
  }
  return last;
}

/**
 * The purse's limits, in the session of key 0: 0 and the ceiling, empty, without LimitedCredit. SetConfiguration 09
 * takes them as lower ‖ upper ‖ value ‖ flags, from memory: check on hardware. It sets the value with them, and so
 * would take what a card in use holds: such a card is refused.
 * @param ceiling rupiah
 */
export function* setCeiling(before: Session, ceiling: number): Script<Answer | Failure> {
  const settings = yield* settingsOf(before, purse);
  if (!settings.ok) return settings;
  const limits = Uint8Array.of(...little(0, AMOUNT), ...little(ceiling, AMOUNT));
  const now = settings.data.subarray(COMMON, COMMON + limits.length);
  if (same(now, limits) && settings.data.at(-1) === 0) return settings;
  const untouched = yield* mustBeUntouched(settings.session, 'ceiling');
  if (!untouched.ok) return untouched;
  return yield* ask(untouched.session, {
    at: 'ceiling',
    command: commands.setConfiguration,
    ...FULL,
    header: Uint8Array.of(VALUE_CONFIGURATION),
    data: Uint8Array.of(...limits, ...little(0, AMOUNT), 0),
  });
}
