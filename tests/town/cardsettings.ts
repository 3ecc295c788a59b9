/** What the emulated card does when its keys, files' settings and certificate file are changed (CARDS 3.5 to 3.8). */
import type { CardCommand, Workplace } from './cardcommands.ts';
import { fromLsb, lsb, same } from './cardcrypto.ts';
import type { CardFile, CardMode, TmacFile } from './cardfiles.ts';

const INS = {
  changeKey: 0xc4,
  changeFileSettings: 0x5f,
  createTmacFile: 0xce,
  deleteFile: 0xdf,
  setConfiguration: 0x5c,
} as const;

const INTEGRITY = 0x1e;
const NO_SUCH_KEY = 0x40;
const WRONG_LENGTH = 0x7e;
const PERMISSION_DENIED = 0x9d;
const PARAMETER = 0x9e;
const NO_AUTHENTICATION = 0xae;
const DUPLICATE = 0xde;
const NO_SUCH_FILE = 0xf0;
const DONE = new Uint8Array();

const KEY_BYTES = 16;
const VERSION_BYTES = 1;
const CHECKSUM_BYTES = 4;
const MASTER_KEY = 0;
const VALUE_FILE = 0x03;
const TMAC_FILE = 0x0f;
const AES_KEY = 0x02;
const VALUE_FILE_OPTION = 0x09;
const NEVER = 0x0f;

/** CRC-32, reflected, without the last inversion (CARDS section 3.7). */
export function checksum(data: Uint8Array): Uint8Array {
  let sum = 0xffffffff;
  for (const byte of data) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return lsb(sum >>> 0, CHECKSUM_BYTES);
}

const ownKey = (header: Uint8Array): boolean => header[0] === MASTER_KEY;

/** Key and version are replaced in one assignment: a tear finds the old pair or the new one. */
function changeKey({ memory }: Workplace, header: Uint8Array, data: Uint8Array): Uint8Array | number {
  const no = header[0] ?? 0;
  const old = memory.keys[no];
  if (old === undefined) return NO_SUCH_KEY;
  const own = ownKey(header);
  if (data.length !== KEY_BYTES + VERSION_BYTES + (own ? 0 : CHECKSUM_BYTES)) return WRONG_LENGTH;
  const sent = data.slice(0, KEY_BYTES);
  const version = data[KEY_BYTES] ?? 0;
  const key = own ? sent : sent.map((byte, i) => byte ^ (old.key[i] ?? 0));
  if (!own && !same(data.subarray(KEY_BYTES + VERSION_BYTES), checksum(key))) return INTEGRITY;
  memory.keys[no] = { key, version };
  return DONE;
}

const modes: Readonly<Record<number, CardMode>> = { 0: 'plain', 1: 'mac', 3: 'full' };

/** FileOption and AccessRights, or null for what this card does not know; nobody writes a certificate file. */
export function settingsFrom(data: Uint8Array, kind: CardFile['kind']): Pick<CardFile, 'mode' | 'access'> | null {
  const [option = 0, first = 0, second = 0] = data;
  const mode = modes[option];
  if (mode === undefined || (kind === 'tmac' && (second & 0x0f) !== NEVER)) return null;
  return { mode, access: [first, second] };
}

function changeFileSettings({ memory }: Workplace, header: Uint8Array, data: Uint8Array): Uint8Array | number {
  const file = memory.files.get(header[0] ?? 0);
  if (file === undefined) return NO_SUCH_FILE;
  const settings = settingsFrom(data, file.kind);
  if (settings === null) return PARAMETER;
  Object.assign(file, settings);
  return DONE;
}

/** The certificate's input exists only as long as its file does, which is assumed: no note says what becomes of it. */
export function forgetCertificate(place: Workplace): void {
  place.transaction.tmi = new Uint8Array();
  place.transaction.tmri = null;
}

/** Any number but 0F is refused, which is assumed: the Light's files have fixed numbers. */
function createTransactionMacFile(place: Workplace, header: Uint8Array, data: Uint8Array): Uint8Array | number {
  const { files } = place.memory;
  const no = header[0] ?? 0;
  if (files.has(no) || [...files.values()].some(({ kind }) => kind === 'tmac')) return DUPLICATE;
  const settings = settingsFrom(header.subarray(1, 4), 'tmac');
  if (no !== TMAC_FILE || settings === null || header[4] !== AES_KEY) return PARAMETER;
  const file: TmacFile = {
    kind: 'tmac',
    ...settings,
    key: data.slice(0, KEY_BYTES),
    keyVersion: data[KEY_BYTES] ?? 0,
    tmc: 0,
    tmv: new Uint8Array(8),
    tmriPrev: new Uint8Array(16),
  };
  files.set(no, file);
  forgetCertificate(place);
  return DONE;
}

function deleteFile(place: Workplace, header: Uint8Array): Uint8Array | number {
  const no = header[0] ?? 0;
  const file = place.memory.files.get(no);
  if (file === undefined) return NO_SUCH_FILE;
  if (file.kind !== 'tmac') return PERMISSION_DENIED;
  place.memory.files.delete(no);
  forgetCertificate(place);
  return DONE;
}

/**
 * Option 09 only. Its data are from memory, no source at hand shows them: lower limit 4, upper limit 4, value 4,
 * flags 1, all least byte first. This card has neither LimitedCredit nor free GetValue, so it refuses their flags.
 */
function setConfiguration({ memory }: Workplace, header: Uint8Array, data: Uint8Array): Uint8Array | number {
  if (header[0] !== VALUE_FILE_OPTION) return PARAMETER;
  if (data.length !== 13) return WRONG_LENGTH;
  const file = memory.files.get(VALUE_FILE);
  if (file?.kind !== 'value') return NO_SUCH_FILE;
  const signed = (from: number) => fromLsb(data.subarray(from, from + 4)) | 0;
  const [lower, upper, value, flags] = [signed(0), signed(4), signed(8), data[12]];
  if (lower > value || value > upper || flags !== 0) return PARAMETER;
  Object.assign(file, { lower, upper, value });
  return DONE;
}

/** The refusal of any key but key 0; where there is no session at all, it is AE. */
export const master = (otherKey: number) => ({ session: true, otherKey }) as const;

/** The commands that change keys and settings, by INS. */
export const settingsCommands: Readonly<Record<number, CardCommand>> = {
  // ChangeKey from another key's session is AE, not 9D (CARDS section 8).
  [INS.changeKey]: {
    header: 1,
    data: 'any',
    guard: 'full',
    ...master(NO_AUTHENTICATION),
    endsSession: ownKey,
    run: changeKey,
  },
  [INS.changeFileSettings]: { header: 1, data: 3, guard: 'change', run: changeFileSettings },
  [INS.createTmacFile]: {
    header: 5,
    data: 17,
    guard: 'full',
    ...master(PERMISSION_DENIED),
    run: createTransactionMacFile,
  },
  [INS.deleteFile]: { header: 1, data: 0, guard: 'mac', ...master(PERMISSION_DENIED), run: deleteFile },
  [INS.setConfiguration]: {
    header: 1,
    data: 'any',
    guard: 'full',
    ...master(PERMISSION_DENIED),
    run: setConfiguration,
  },
};
