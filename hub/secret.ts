/** Where the vault's passphrase or key file comes from. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { HubConfig, HubPaths } from './config.ts';

export type ReadSecret =
  | { readonly ok: true; readonly secret: Uint8Array }
  | { readonly ok: false; readonly error: string };

/**
 * Reads what opens the vault: the key file that the settings name, otherwise SIMPUL_PASSPHRASE.
 * Passphrases are taken as NFC, so that two keyboards spell them alike.
 */
export function readSecret(paths: HubPaths, config: HubConfig, environment: NodeJS.ProcessEnv): ReadSecret {
  if (config.vaultKeyFile === undefined) {
    const passphrase = environment.SIMPUL_PASSPHRASE;
    if (passphrase) return { ok: true, secret: Buffer.from(passphrase.normalize('NFC')) };
    return { ok: false, error: 'the vault needs its passphrase: set SIMPUL_PASSPHRASE, or vaultKeyFile in hub.json' };
  }
  const path = resolve(paths.directory, config.vaultKeyFile);
  try {
    return { ok: true, secret: readFileSync(path) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return {
      ok: false,
      error: `the vault's key file ${path} cannot be read (${code}); bring it back or correct vaultKeyFile`,
    };
  }
}
