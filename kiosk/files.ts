/** Writes the kiosk's small files whole or not at all, readable by their owner only. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const OWNER_ONLY = 0o600;

/**
 * Replaces a file so that a crash leaves either the old or the new one: temporary file, fsync, rename, fsync of the
 * directory.
 * @throws the system's error; the temporary file may remain then.
 */
export function writePrivate(path: string, text: string): void {
  const temporary = `${path}.new`;
  const file = openSync(temporary, 'w', OWNER_ONLY);
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

/** The text of a file, or null when there is none. @throws the system's error for anything else. */
export function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
