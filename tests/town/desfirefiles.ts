/** How an application of the emulated DESFire gets and loses its files (libfreefare, mifare_desfire.c). */
import type { CardCommand, Workplace } from './cardcommands.ts';
import { STATUS } from './cardcore.ts';
import { fromLsb } from './cardcrypto.ts';
import type { CardFile, CardMemory } from './cardfiles.ts';
import { forgetCertificate, master, settingsCommands, settingsFrom } from './cardsettings.ts';

const INS = { standard: 0xcd, backup: 0xcb, value: 0xcc, cyclic: 0xc0, tmac: 0xce, deleteFile: 0xdf } as const;
const OUT_OF_MEMORY = 0x0e;
const DUPLICATE = 0xde;
const LAST_FILE = 0x1f;
/** The smallest nibbles of access rights that name no key: free, and never. */
const FREE = 0xe;
/** What a 4 KB card can hold at all; how much is left of it nobody counts here. */
const MEMORY = 4096;
const DONE = new Uint8Array();

/** Bits of key settings (proxmark3, desfirecore.c, PrintKeySettings). */
const FREE_LISTING = 0x02;
const FREE_CREATING = 0x04;

/** Whether only the master key may list what is there. */
export const listsForMaster = ({ keySettings = 0 }: CardMemory): boolean => (keySettings & FREE_LISTING) === 0;

/** Whether only the master key may create, and in an application delete, what is there. */
export const createsForMaster = ({ keySettings = 0 }: CardMemory): boolean => (keySettings & FREE_CREATING) === 0;

/**
 * A command of the master level or of applications. At the other one it is refused whoever asks, with an error byte
 * that is assumed.
 */
export const levelled = (application: boolean, command: CardCommand): CardCommand => {
  const { session, run } = command;
  const here = (memory: CardMemory) => isApplication(memory) === application;
  return {
    ...command,
    session: (memory) => here(memory) && (typeof session === 'function' ? session(memory) : session === true),
    run: (place, header, sent) => (here(place.memory) ? run(place, header, sent) : STATUS.denied),
  };
};

const isApplication = ({ dfName }: CardMemory): boolean => dfName !== MASTER_NAME;

/** The DF name of the master level, from memory: as long as nothing else is selected, this one is. */
export const MASTER_NAME = Uint8Array.of(0xd2, 0x76, 0x00, 0x00, 0x85, 0x01, 0x00);

type Rights = Pick<CardFile, 'access' | 'mode'>;
/** A new file of what follows the access rights, or the second status byte of an error. */
type Maker = (rights: Rights, rest: Uint8Array) => CardFile | number;

const data =
  (kind: 'standard' | 'backup'): Maker =>
  (rights, rest) => {
    const size = fromLsb(rest);
    if (size === 0) return STATUS.parameter;
    // A backup file takes its size twice (from memory).
    if (size * (kind === 'backup' ? 2 : 1) > MEMORY) return OUT_OF_MEMORY;
    return { kind, ...rights, content: new Uint8Array(size) };
  };

/** Limits and value are signed. LimitedCredit and free GetValue are not known here: their flags are refused. */
const value: Maker = (rights, rest) => {
  const [lower = 0, upper = 0, first = 0] = [0, 4, 8].map((from) => fromLsb(rest.subarray(from, from + 4)) | 0);
  if (lower > first || first > upper || rest[12] !== 0) return STATUS.parameter;
  return { kind: 'value', ...rights, lower, upper, value: first };
};

/** At least two records, one of which is always the next one (from memory). */
const cyclic: Maker = (rights, rest) => {
  const [recordSize, slots] = [fromLsb(rest.subarray(0, 3)), fromLsb(rest.subarray(3, 6))];
  if (recordSize === 0 || slots < 2) return STATUS.parameter;
  if (recordSize * slots > MEMORY) return OUT_OF_MEMORY;
  return { kind: 'cyclic', ...rights, recordSize, slots, records: [] };
};

function namesNoKey(access: readonly [number, number], keys: number): boolean {
  return access.flatMap((byte) => [byte >> 4, byte & 0x0f]).some((key) => key >= keys && key < FREE);
}

/** Room for an ISO file id behind the file's number, in an application that has them; what it is does not matter. */
const isoBytes = (memory: CardMemory, sent: number, length: number): number =>
  memory.isoFileIds === true && sent === length + 2 ? 2 : 0;

/** `FileNo [ISO file id 2] CommSet AR2` and what the kind of file needs, all in clear. */
function create(length: number, named: boolean, make: Maker): CardCommand {
  const run = ({ memory }: Workplace, _: Uint8Array, sent: Uint8Array): Uint8Array | number => {
    const skipped = 1 + (named ? isoBytes(memory, sent.length, 4 + length) : 0);
    if (sent.length !== skipped + 3 + length) return STATUS.length;
    const no = sent[0] ?? 0;
    const settings = settingsFrom(sent.subarray(skipped, skipped + 3), 'standard');
    if (no > LAST_FILE || settings === null || namesNoKey(settings.access, memory.keys.length)) return STATUS.parameter;
    if (memory.files.has(no)) return DUPLICATE;
    const file = make(settings, sent.subarray(skipped + 3));
    if (typeof file === 'number') return file;
    memory.files.set(no, file);
    return DONE;
  };
  return levelled(true, { ...guarded, header: 0, data: 'any', guard: 'mac', run });
}

const guarded = { ...master(STATUS.denied), session: createsForMaster };

/** Any file goes, with all that is in it. */
function deleteFile(place: Workplace, header: Uint8Array): Uint8Array | number {
  const no = header[0] ?? 0;
  const file = place.memory.files.get(no);
  if (file === undefined) return STATUS.noFile;
  place.memory.files.delete(no);
  if (file.kind === 'tmac') forgetCertificate(place);
  return DONE;
}

/** In a session MAC mode (proxmark3, desfiresecurechan.c, channel EV1), but full for CreateTransactionMACFile. */
export const fileCommands: Readonly<Record<number, CardCommand>> = {
  [INS.standard]: create(3, true, data('standard')),
  [INS.backup]: create(3, true, data('backup')),
  [INS.value]: create(13, false, value),
  [INS.cyclic]: create(6, true, cyclic),
  [INS.tmac]: levelled(true, { ...settingsCommands[INS.tmac], ...guarded } as CardCommand),
  [INS.deleteFile]: levelled(true, { header: 1, data: 0, guard: 'mac', ...guarded, run: deleteFile }),
};
