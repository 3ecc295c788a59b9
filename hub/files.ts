/** Writes a file whole or not at all: temporary file, fsync, rename, fsync of the directory. */
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Replaces `path` by `text` so that a crash leaves either the old or the new file.
 * @param mode permission bits of the new file, for example 0o600.
 * @throws the system's error; the temporary file may remain then.
 */
export function writeAtomic(path: string, text: string, mode: number): void {
  const temporary = `${path}.new`;
  const file = openSync(temporary, 'w', mode);
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
