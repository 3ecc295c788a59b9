/** Files whole or not at all: written by rename, with fsync of file and directory, and read within a bound. */
import { closeSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Replaces `path` by `text` so that a crash leaves either the old or the new file.
 * @param mode permission bits of the new file, for example 0o600.
 * @throws the system's error; the temporary file may remain then.
 */
export function writeAtomic(path: string, text: string, mode: number): void {
  const temporary = `${path}.new`;
  // A new file always: what lies there may be a link, or open to others; in a shared folder anybody can put it there.
  rmSync(temporary, { force: true });
  const file = openSync(temporary, 'wx', mode);
  try {
    // Unlike `writeSync` this writes until all is written, or throws: a full disk may take a part and say nothing.
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/**
 * Reads a file that somebody else may have made; never more than one byte beyond the bound.
 * @param most bytes that it may have.
 * @returns null when it is longer.
 * @throws the system's error when it cannot be read.
 */
export function readBounded(path: string, most: number): string | null {
  return readBoundedBytes(path, most)?.toString('utf8') ?? null;
}

/** The same, as the bytes that lie there. */
export function readBoundedBytes(path: string, most: number): Buffer | null {
  const bytes = readStart(path, most + 1);
  return bytes.length > most ? null : bytes;
}

/**
 * Reads a file's first bytes.
 * @param most how many; fewer if it is shorter.
 * @throws the system's error when it cannot be read.
 */
export function readStart(path: string, most: number): Buffer {
  const buffer = Buffer.allocUnsafe(most);
  const file = openSync(path, 'r');
  try {
    let length = 0;
    while (length < buffer.length) {
      const more = readSync(file, buffer, length, buffer.length - length, null);
      if (more === 0) break;
      length += more;
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(file);
  }
}
