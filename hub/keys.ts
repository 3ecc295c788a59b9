/** Keys as officers may know them: a list that shows none, and an issuer's own masters in a file sealed for it. */
import { lstatSync } from 'node:fs';
import { writeAtomic } from './files.ts';
import type { Vault } from './vault.ts';
import type { KeyDescription } from './vaultcontents.ts';

/** Spells the vault's keys as a table; by the check values two people can tell whether they hold the same keys. */
export function spellKeys(keys: readonly KeyDescription[]): string {
  const rows = keys.map(({ kind, purpose, issuer, from, check }) => {
    return [kind, purpose, issuer ?? (kind === 'master' ? 'all' : '-'), String(from), check];
  });
  const table = [['kind', 'purpose', 'issuer', 'from version', 'check'], ...rows];
  const widths = [8, 11, 18, 14, 0];
  return `${table.map((row) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('')).join('\n')}\n`;
}

/** The passphrase over handed-over masters, in the same bytes from every keyboard; null when it is not set. */
export function masterPassphrase(environment: NodeJS.ProcessEnv): Uint8Array | null {
  const passphrase = environment.SIMPUL_MASTER_PASSPHRASE;
  return passphrase ? Buffer.from(passphrase.normalize('NFC')) : null;
}

export interface HandOver {
  readonly issuer: string;
  /** File to make, mode 0600; one that exists is left as it is. */
  readonly out: string;
  readonly passphrase: Uint8Array;
  /** scrypt's N; leave it out in production. */
  readonly cost?: number | undefined;
}

export type HandOverResult =
  /** The masters that are in the file. */
  { readonly ok: true; readonly masters: readonly KeyDescription[] } | { readonly ok: false; readonly error: string };

/**
 * Writes an issuer's `tmac` masters to a sealed file. Who opens it can verify the certificates of the issuer's cards,
 * and could make such certificates too (TRUTH section 12).
 */
export function handOver(vault: Vault, { issuer, out, passphrase, cost }: HandOver): HandOverResult {
  if (lstatSync(out, { throwIfNoEntry: false }) !== undefined) {
    return { ok: false, error: `${out} exists: nothing was changed; choose another name, or move it away` };
  }
  const served = vault.descriptions().filter(({ purpose }) => purpose === 'tmac');
  const file = vault.handOver(issuer, passphrase, cost);
  if (file === null) {
    const known = new Set(served.map((row) => row.issuer));
    return { ok: false, error: `the vault holds no masters of ${issuer}; name one of ${[...known].join(', ')}` };
  }
  try {
    writeAtomic(out, file, 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { ok: false, error: `${out} cannot be written (${code}); name a file in a folder that may be written` };
  }
  return { ok: true, masters: served.filter((row) => row.issuer === issuer) };
}
