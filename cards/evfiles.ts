/** Our files on an EV2 or EV3, which has none: each made if it is missing, and looked at if it is there. */
import { type Command, commands, little } from './commands.ts';
import { EV, LIGHT } from './layout.ts';
import { type Answer, ask, type Failure, failure, type Script } from './script.ts';
import type { Session } from './session.ts';
import { COMMON, type OurFile, rightsOf, same, setCounterFile, setRights, settingsOf } from './settings.ts';

const { statement, spare, profile, records, purse } = LIGHT.files;
/** All but the counter file, which is made the way it is made on a Light. */
const MADE = [statement, spare, profile, records, purse] as const;
type MadeFile = (typeof MADE)[number];

export interface EvFiles {
  /** Key of the counter file, 16 bytes, and its version. */
  readonly tmac: { readonly key: Uint8Array; readonly version: number };
  /** Most that the purse may hold, in rupiah. */
  readonly ceiling: number;
}

const MAC = { protection: 'mac' } as const;
const NONE = new Uint8Array();
/** First byte of GetFileSettings (CARDS section 3.6). */
const TYPES = { standard: 0x00, value: 0x02, cyclic: 0x04 } as const;
/** In the second byte of GetKeySettings: kind and number of keys. What the other bits tell was not seen. */
const KINDS_AND_NUMBER = 0xcf;

/** Lower ‖ upper limit of the purse, 4 bytes each. */
const limits = (ceiling: number) => Uint8Array.of(...little(0, 4), ...little(ceiling, 4));

/** What cannot be changed of a file once it is there, as both the making and the settings of it write it. */
function shape(file: MadeFile, ceiling: number): Uint8Array {
  if (file.kind === 'value') return limits(ceiling);
  if (file.kind === 'standard') return little(file.size, 3);
  return Uint8Array.of(...little(file.size, 3), ...little(EV.recordSlots, 3));
}

/** Empty, without LimitedCredit and without free GetValue. */
const EMPTY = Uint8Array.of(...little(0, 4), 0);
const MAKING: Readonly<Record<MadeFile['kind'], Command>> = {
  standard: commands.createStandardFile,
  cyclic: commands.createCyclicFile,
  value: commands.createValueFile,
};

/** With its final rights at once: there is never a file of ours with others (CARDS section 5.4). */
function make(session: Session, file: MadeFile, ceiling: number): Script<Answer | Failure> {
  // A file id of ISO 7816 as on a Light, EF and its number, for the kinds that have one.
  const isoId = file.kind === 'value' ? NONE : Uint8Array.of(file.no, 0xef);
  const rest = file.kind === 'value' ? EMPTY : NONE;
  return ask(session, {
    at: `make file ${file.no}`,
    command: MAKING[file.kind],
    ...MAC,
    header: Uint8Array.of(file.no),
    data: Uint8Array.of(...isoId, ...rightsOf(file), ...shape(file, ceiling), ...rest),
    replyLength: 0,
    otherwise: 'unknown',
  });
}

/** A file that is there has our kind, sizes and limits, whatever its rights: those follow. */
function* mustBeAlike(session: Session, file: MadeFile, ceiling: number): Script<Answer | Failure> {
  const settings = yield* settingsOf(session, file);
  if (!settings.ok) return settings;
  const { data } = settings;
  const wanted = shape(file, ceiling);
  const alike = data[0] === TYPES[file.kind] && same(data.subarray(COMMON, COMMON + wanted.length), wanted);
  const generous = file.kind === 'value' && data.at(-1) !== 0;
  return alike && !generous ? settings : failure(`file ${file.no}`, 'other-files', 'not-executed', null);
}

/** The application is as `prepareEv` makes it, and holds no file but ours. @returns the numbers of its files. */
function* look(before: Session): Script<Answer | Failure> {
  const reading = { ...MAC, header: NONE, replyLength: null, otherwise: 'not-executed' } as const;
  const told = yield* ask(before, { at: 'application', command: commands.getKeySettings, ...reading });
  if (!told.ok) return told;
  const [settings, keys = 0] = told.data;
  if (settings !== EV.settings || (keys & KINDS_AND_NUMBER) !== (EV.keys & KINDS_AND_NUMBER)) {
    return failure('application', 'other-files', 'not-executed', null);
  }
  const listed = yield* ask(told.session, { at: 'list files', command: commands.getFileIds, ...reading });
  if (!listed.ok) return listed;
  const ours = new Set<number>(Object.values(LIGHT.files).map(({ no }: OurFile) => no));
  const foreign = listed.data.find((no) => !ours.has(no));
  return foreign === undefined ? listed : failure(`file ${foreign}`, 'other-files', 'not-executed', null);
}

/**
 * All six files with rights, limits and counter key of TRUTH section 14, in the session of key 0; the other keys come
 * before (see `personalise`). A purse with another ceiling is refused: it was made by somebody else.
 */
export function* makeFiles(before: Session, { tmac, ceiling }: EvFiles): Script<Answer | Failure> {
  const listed = yield* look(before);
  if (!listed.ok) return listed;
  let { session } = listed;
  for (const file of MADE) {
    const there = listed.data.includes(file.no);
    const done = yield* there ? mustBeAlike(session, file, ceiling) : make(session, file, ceiling);
    if (!done.ok) return done;
    session = done.session;
  }
  const counter = yield* setCounterFile(session, tmac);
  return counter.ok ? yield* setRights(counter.session) : counter;
}
