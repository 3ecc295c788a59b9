/** The emulated card's memory: keys, files and who may do what with them (CARDS section 3.6). */
import { concat, lsb } from './cardcrypto.ts';
import type { Sdm } from './cardsdm.ts';

export type CardMode = 'plain' | 'mac' | 'full';

interface Guarded {
  /** Wire bytes: ReadWrite‖Change, Read‖Write. */
  access: readonly [number, number];
  mode: CardMode;
}
export interface StandardFile extends Guarded {
  readonly kind: 'standard';
  content: Uint8Array;
  /** Secure Dynamic Messaging, where it is on. */
  sdm?: Sdm | undefined;
  /** How often it was read since that was switched on. */
  readCtr?: number;
}
/** Written only by a commit (DESFire EV2 and EV3). */
export interface BackupFile extends Guarded {
  readonly kind: 'backup';
  content: Uint8Array;
}
export interface ValueFile extends Guarded {
  readonly kind: 'value';
  lower: number;
  upper: number;
  value: number;
}
export interface CyclicFile extends Guarded {
  readonly kind: 'cyclic';
  readonly recordSize: number;
  /** One slot more than can be read: the card writes the next record there. */
  readonly slots: number;
  /** Oldest first. */
  records: readonly Uint8Array[];
}
export interface TmacFile extends Guarded {
  readonly kind: 'tmac';
  readonly key: Uint8Array;
  readonly keyVersion: number;
  tmc: number;
  tmv: Uint8Array;
  tmriPrev: Uint8Array;
}
export type CardFile = StandardFile | BackupFile | ValueFile | CyclicFile | TmacFile;

export interface CardKey {
  key: Uint8Array;
  version: number;
  /** Failed authentications in all, less what was forgiven. */
  failures?: number;
  /** Whether it is a DES key, eight bytes twice: such a key opens no AES session. */
  readonly des?: true;
}

/** Everything that survives when the card leaves the field. */
export interface CardMemory {
  readonly uid: Uint8Array;
  /** The maker's originality signature, 56 bytes; zeros where there is none. */
  readonly signature?: Uint8Array;
  readonly dfName: Uint8Array;
  readonly keys: CardKey[];
  readonly files: Map<number, CardFile>;
  /** Authentications that failed since the last good one. */
  failures: number;
  /** From this many on the card answers 91AD. */
  failureLimit: number;
  /** From how many failures in all a key is locked for ever; null where that is switched off. */
  failureTotal?: { readonly limit: number; readonly decrement: number } | null;
  /** Whether each presence has an identifier of its own. */
  randomId?: boolean;
  /** Whether the card left AES for LRP. */
  lrp?: boolean;
  /** The key settings of a DESFire's master level or application, which no other card has. */
  keySettings?: number;
  /** Whether files of this application may have ISO file ids. */
  readonly isoFileIds?: boolean;
}

export type Deed = 'read' | 'write' | 'take' | 'add' | 'reader id' | 'change' | 'counter';

const FREE = 0xe;
const NEVER = 0xf;
const NO_AUTHENTICATION = 0xae;
const PERMISSION_DENIED = 0x9d;

/** The keys that may do a deed: Debit with the Read key, Credit with the ReadWrite key only. */
function keysFor(file: CardFile, deed: Deed): number[] {
  const [first, second] = file.access;
  const readWrite = first >> 4;
  const read = second >> 4;
  const write = second & 0x0f;
  if (deed === 'read') return [read, readWrite];
  if (deed === 'write') return [write, readWrite];
  if (deed === 'take') return [read, write, readWrite];
  if (deed === 'change') return [first & 0x0f];
  if (deed === 'counter') return [file.kind === 'standard' ? (file.sdm?.counterKey ?? NEVER) : NEVER];
  return [readWrite];
}

/** Whether the file may be read without a session because it proves itself (NT4H2421Gx table 80). */
const dynamic = (file: CardFile): boolean => file.kind === 'standard' && (file.sdm?.fileKey ?? NEVER) !== NEVER;

/** How the command must be protected, or the error byte. Access that is free only is plain, also inside a session. */
export function permit(
  file: CardFile,
  deed: Deed,
  keyNo: number | null,
  wrongKey = PERMISSION_DENIED,
): CardMode | number {
  const keys = keysFor(file, deed);
  if (keyNo !== null && keys.includes(keyNo)) return file.mode;
  if (keys.includes(FREE)) return 'plain';
  if (deed === 'read' && keyNo === null && dynamic(file)) return 'plain';
  if (keys.every((key) => key === NEVER)) return PERMISSION_DENIED;
  return keyNo === null ? NO_AUTHENTICATION : wrongKey;
}

export const tmacFile = (memory: CardMemory): TmacFile | null => {
  const file = memory.files.get(0x0f);
  return file?.kind === 'tmac' ? file : null;
};

const typeBytes = { standard: 0x00, backup: 0x01, value: 0x02, cyclic: 0x04, tmac: 0x05 } as const;
const modeBytes = { plain: 0x00, mac: 0x01, full: 0x03 } as const;
/** FileOption's bit for Secure Dynamic Messaging. */
export const SDM_ON = 0x40;

/** The answer of GetFileSettings. */
export function settingsOf(file: CardFile): Uint8Array {
  const sdm = file.kind === 'standard' ? file.sdm : undefined;
  const option = modeBytes[file.mode] + (sdm === undefined ? 0 : SDM_ON);
  const common = concat([typeBytes[file.kind], option], file.access);
  switch (file.kind) {
    case 'standard':
      return concat(common, lsb(file.content.length, 3), sdm?.wire ?? []);
    case 'backup':
      return concat(common, lsb(file.content.length, 3));
    case 'value':
      return concat(common, lsb(file.lower, 4), lsb(file.upper, 4), new Uint8Array(5));
    case 'cyclic':
      return concat(common, lsb(file.recordSize, 3), lsb(file.slots, 3), lsb(file.records.length, 3));
    case 'tmac':
      return concat(common, [0x02, file.keyVersion]);
  }
}
