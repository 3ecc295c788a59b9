/** The commands of a card: instruction, length of the clear header, protection inside a session (CARDS section 3.5). */

/** How a command is protected inside a session. `file` means: as the file's settings say. */
type Mode = 'plain' | 'mac' | 'full' | 'file';

export interface Command {
  readonly ins: number;
  /** Bytes of parameters that stay in clear; everything after them is data, enciphered in full mode. */
  readonly header: number;
  readonly mode: Mode;
}

export const commands = {
  authenticateFirst: { ins: 0x71, header: 2, mode: 'plain' },
  authenticateNonFirst: { ins: 0x77, header: 1, mode: 'plain' },
  additionalFrame: { ins: 0xaf, header: 0, mode: 'plain' },
  getVersion: { ins: 0x60, header: 0, mode: 'mac' },
  getCardUid: { ins: 0x51, header: 0, mode: 'full' },
  getFileSettings: { ins: 0xf5, header: 1, mode: 'mac' },
  getKeyVersion: { ins: 0x64, header: 1, mode: 'mac' },
  readData: { ins: 0xad, header: 7, mode: 'file' },
  writeData: { ins: 0x8d, header: 7, mode: 'file' },
  getValue: { ins: 0x6c, header: 1, mode: 'file' },
  credit: { ins: 0x0c, header: 1, mode: 'file' },
  debit: { ins: 0xdc, header: 1, mode: 'file' },
  readRecords: { ins: 0xab, header: 7, mode: 'file' },
  writeRecord: { ins: 0x8b, header: 7, mode: 'file' },
  commitReaderId: { ins: 0xc8, header: 0, mode: 'mac' },
  commitTransaction: { ins: 0xc7, header: 1, mode: 'mac' },
  abortTransaction: { ins: 0xa7, header: 0, mode: 'mac' },
  changeKey: { ins: 0xc4, header: 1, mode: 'full' },
  changeFileSettings: { ins: 0x5f, header: 1, mode: 'full' },
  setConfiguration: { ins: 0x5c, header: 1, mode: 'full' },
  createTransactionMacFile: { ins: 0xce, header: 5, mode: 'full' },
  deleteFile: { ins: 0xdf, header: 1, mode: 'mac' },
  getFileIds: { ins: 0x6f, header: 0, mode: 'mac' },
  // Of DESFire EV2 and EV3 alone (CARDS section 5.4).
  authenticateDes: { ins: 0x0a, header: 1, mode: 'plain' },
  selectApplication: { ins: 0x5a, header: 3, mode: 'plain' },
  getKeySettings: { ins: 0x45, header: 0, mode: 'mac' },
  changeKeySettings: { ins: 0x54, header: 0, mode: 'full' },
  createApplication: { ins: 0xca, header: 3, mode: 'mac' },
  createStandardFile: { ins: 0xcd, header: 1, mode: 'mac' },
  createValueFile: { ins: 0xcc, header: 1, mode: 'mac' },
  createCyclicFile: { ins: 0xc0, header: 1, mode: 'mac' },
  readSignature: { ins: 0x3c, header: 1, mode: 'plain' },
} as const satisfies Record<string, Command>;

/** A number as cards write it: little-endian, `length` bytes. */
export function little(value: number, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = 0, rest = value; i < length; i++, rest = Math.floor(rest / 256)) out[i] = rest % 256;
  return out;
}

/** Header of the commands that name a range of a file: file, offset or first record, length or count (3 bytes each). */
export function range(file: number, from: number, count: number): Uint8Array {
  return Uint8Array.of(file, ...little(from, 3), ...little(count, 3));
}
