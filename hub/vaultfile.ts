/** The vault's file: read with what to do when it cannot be, and written so that a crash leaves the old or the new. */
import { readFileSync } from 'node:fs';
import { writeAtomic } from './files.ts';
import { sealText, unsealText } from './sealedfile.ts';
import { type Contents, parseContents, spellContents } from './vaultcontents.ts';

const HOLDS = 'simpul-1 vault';

export interface VaultFile {
  readonly path: string;
  /** Passphrase or key file contents that open it. */
  readonly secret: Uint8Array;
  /** scrypt's N; leave it out in production. */
  readonly cost?: number | undefined;
}

export type ReadContents =
  | { readonly ok: true; readonly contents: Contents }
  | { readonly ok: false; readonly error: string };

/** Reads and opens a vault file; the error is one line that says what to do. */
export function readContents(path: string, secret: Uint8Array): ReadContents {
  let file: string;
  try {
    file = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { ok: false, error: `vault ${path} cannot be read (${code}); run simpul-hub init, or restore it` };
  }
  const opened = unsealText(HOLDS, secret, file);
  if (!opened.ok && opened.why === 'wrong-secret') {
    const error = `vault ${path} does not open with this passphrase or key file; give the one it was made with`;
    return { ok: false, error };
  }
  const contents = opened.ok ? parseContents(opened.text) : null;
  if (contents !== null) return { ok: true, contents };
  return { ok: false, error: `vault ${path} is damaged or not a vault; restore it from the backup` };
}

/**
 * Seals contents into the file, mode 0600, in place of what was there.
 * @throws the system's error when it cannot be written, RangeError for contents that would not open again; the old
 * file is untouched then.
 */
export function writeContents(
  deps: { readonly random: (bytes: number) => Uint8Array },
  { path, secret, cost }: VaultFile,
  contents: Contents,
): void {
  writeAtomic(path, sealText(deps.random, HOLDS, secret, spellContents(contents), cost), 0o600);
}
