/** How the emulated NTAG 424 answers phones: select, read and update by ISO commands (NT4H2421Gx section 10.9). */
import { type Core, forget } from './cardcore.ts';
import { concat, same } from './cardcrypto.ts';
import { permit, type StandardFile } from './cardfiles.ts';
import { mirrored } from './cardsdm.ts';

const INS = { select: 0xa4, read: 0xb0, update: 0xd6 } as const;
const ROOT_NAME = Uint8Array.of(0xd2, 0x76, 0x00, 0x00, 0x85, 0x01, 0x00);
const ROOT_ID = 0x3f00;
const APPLICATION_ID = 0xe110;
/** File number → ISO file id; its last five bits are the short one. */
const FILE_IDS: readonly (readonly [number, number])[] = [
  [0x01, 0xe103],
  [0x02, 0xe104],
  [0x03, 0xe105],
];
const READS_MAX = 0xffffff;
const SHORT_ID = 0x80;

const OK = Uint8Array.of(0x90, 0x00);
const WRONG_LENGTH = Uint8Array.of(0x67, 0x00);
const NOT_SATISFIED = Uint8Array.of(0x69, 0x82);
const NOT_NOW = Uint8Array.of(0x69, 0x85);
const NOT_FOUND = Uint8Array.of(0x6a, 0x82);
const WRONG_PLACE = Uint8Array.of(0x6a, 0x86);
const WRONG_REFERENCE = Uint8Array.of(0x6a, 0x87);

/** An error; like a native one it ends whatever was open. */
function no(core: Core, status: Uint8Array): Uint8Array {
  forget(core);
  return status;
}

function go(core: Core, selected: boolean, file: number | null = null): Uint8Array {
  forget(core);
  core.live.selected = selected;
  core.live.file = file;
  return OK;
}

const busy = ({ live }: Core): boolean => live.challenge !== null || live.frames !== null;

/** ISOSelectFile ends the session whatever becomes of it; what was selected stays so after an error. */
function select(core: Core, apdu: Uint8Array): Uint8Array {
  if (busy(core)) return no(core, NOT_NOW);
  const [, , how = 0, option] = apdu;
  const length = apdu.length > 5 ? (apdu[4] ?? 0) : 0;
  if (apdu.length > 5 && apdu.length !== 5 + length && apdu.length !== 6 + length) return no(core, WRONG_LENGTH);
  if (option !== 0x00 && option !== 0x0c) return no(core, WRONG_PLACE);
  const data = apdu.subarray(5, 5 + length);
  if (how === 0x04) {
    if (same(data, ROOT_NAME)) return go(core, false);
    return same(data, core.memory.dfName) ? go(core, true) : no(core, NOT_FOUND);
  }
  if (how > 0x02) return no(core, WRONG_PLACE);
  if (how === 0x00 && length === 0) return go(core, false);
  if (length !== 2) return no(core, WRONG_REFERENCE);
  const id = (data[0] ?? 0) * 256 + (data[1] ?? 0);
  if (how === 0x00 && id === ROOT_ID) return go(core, false);
  if (how !== 0x02 && id === APPLICATION_ID) return go(core, true);
  const file = how === 0x01 ? undefined : FILE_IDS.find(([, each]) => each === id)?.[0];
  if (file === undefined || !core.live.selected) return no(core, NOT_FOUND);
  return go(core, true, file);
}

interface Place {
  readonly no: number;
  readonly file: StandardFile;
  readonly offset: number;
}

/** Which file P1 and P2 speak of, and where in it. @returns the status of an error if they do not say */
function placeOf(core: Core, apdu: Uint8Array): Place | Uint8Array {
  const { live, memory } = core;
  if (busy(core)) return NOT_NOW;
  if (live.session !== null) return NOT_SATISFIED;
  const [, , p1 = 0, p2 = 0] = apdu;
  const short = (p1 & SHORT_ID) === 0 ? 0 : p1 & 0x1f;
  if ((p1 & SHORT_ID) !== 0 && ((p1 & 0x60) !== 0 || short === 0x1f)) return WRONG_PLACE;
  if (short !== 0) {
    const found = FILE_IDS.find(([, id]) => (id & 0x1f) === short);
    if (found === undefined || !live.selected) return NOT_FOUND;
    live.file = found[0];
  }
  const file = memory.files.get(live.file ?? -1);
  if (live.file === null || file?.kind !== 'standard') return NOT_NOW;
  const offset = (p1 & SHORT_ID) === 0 ? p1 * 256 + p2 : p2;
  return offset < file.content.length ? { no: live.file, file, offset } : WRONG_PLACE;
}

/**
 * What a read by this command shows. Without a session the first read raises the counter and mirrors; the next ones by
 * the same command show the same, so that a phone may read in pieces (NT4H2421Gx sections 9.3.1 and 9.3.4).
 * @returns null where the counter has come to its end
 */
export function view({ live, memory, random }: Core, ins: number, no: number, file: StandardFile): Uint8Array | null {
  const { sdm } = file;
  if (live.session !== null || sdm === undefined) {
    live.reading = null;
    return file.content;
  }
  if (live.reading?.ins === ins && live.reading.no === no) return live.reading.content;
  const count = (file.readCtr ?? 0) + (sdm.counter ? 1 : 0);
  if (count > (sdm.limit ?? READS_MAX)) return null;
  file.readCtr = count;
  const content = mirrored(memory, file.content, sdm, count, random);
  live.reading = { ins, no, content };
  return content;
}

function read(core: Core, apdu: Uint8Array): Uint8Array {
  if (apdu.length !== 5) return no(core, WRONG_LENGTH);
  const place = placeOf(core, apdu);
  if (place instanceof Uint8Array) return no(core, place);
  if (permit(place.file, 'read', null) !== 'plain') return no(core, NOT_SATISFIED);
  const content = view(core, INS.read, place.no, place.file);
  if (content === null) return no(core, NOT_SATISFIED);
  const end = apdu[4] === 0 ? content.length : place.offset + (apdu[4] ?? 0);
  return concat(content.slice(place.offset, end), OK);
}

/** Writes at once. Its error past the end of the file is from memory. */
function update(core: Core, apdu: Uint8Array): Uint8Array {
  const length = apdu[4] ?? 0;
  if (length === 0 || apdu.length !== 5 + length) return no(core, WRONG_LENGTH);
  const place = placeOf(core, apdu);
  if (place instanceof Uint8Array) return no(core, place);
  const { file, offset } = place;
  if (permit(file, 'write', null) !== 'plain') return no(core, NOT_SATISFIED);
  if (offset + length > file.content.length) return no(core, WRONG_LENGTH);
  const content = file.content.slice();
  content.set(apdu.subarray(5), offset);
  file.content = content;
  return OK;
}

/** By INS. */
export const phoneCommands = { [INS.select]: select, [INS.read]: read, [INS.update]: update };
