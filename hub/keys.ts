/** Keys as officers may know them: the vault made and grown, a list that shows none, an issuer's masters sealed. */
import { existsSync, lstatSync } from 'node:fs';
import { PLATFORM } from '../protocol/ids.ts';
import { type HubPaths, hubPaths, readConfig } from './config.ts';
import type { Edges } from './edges.ts';
import { writeAtomic } from './files.ts';
import { readTown } from './init.ts';
import { type ReadSecret, readSecret } from './secret.ts';
import { givenVersions } from './store/sqlite/givenversions.ts';
import { openRegistry } from './store/sqlite/registry.ts';
import type { Vault } from './vault.ts';
import type { KeyDescription } from './vaultcontents.ts';
import { type GrownVault, growVault, ROTATED, type Rotated, rotateMaster } from './vaultgrowth.ts';

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

/** What opens the vault of a hub by its settings; null in a directory that has none yet. */
function secretBySettings(paths: HubPaths, environment: NodeJS.ProcessEnv): ReadSecret | null {
  if (!existsSync(paths.config)) return null;
  const read = readConfig(paths);
  return read.ok ? readSecret(paths, read.config, environment) : read;
}

/** Cooperatives that need masters: the registered ones, and those of the town file; the pilot's if there are none. */
function issuersOf(paths: HubPaths, town: string | undefined): readonly string[] | { readonly error: string } {
  const ids: string[] = [];
  if (existsSync(paths.registry)) {
    const registry = openRegistry({ path: paths.registry });
    ids.push(...registry.cooperatives().flatMap(({ id }) => (id === PLATFORM ? [] : id)));
    registry.close();
    if (town === undefined) return ids;
  }
  const read = readTown(town);
  return read.ok ? [...ids, ...read.town.cooperatives.map(({ id }) => id)] : { error: read.error };
}

export interface KeysInit {
  readonly directory: string;
  readonly town?: string | undefined;
  /** For a vault without settings beside it. */
  readonly passphrase?: string | undefined;
  readonly environment: NodeJS.ProcessEnv;
  /** scrypt's N; leave it out in production. */
  readonly cost?: number | undefined;
}

/** Makes the vault of a directory alone, or adds to the one that is there what it lacks. */
export async function initKeys(edges: Pick<Edges, 'random'>, options: KeysInit): Promise<GrownVault> {
  const { directory, town, passphrase, environment, cost } = options;
  const paths = hubPaths(directory);
  const set = secretBySettings(paths, environment);
  if (set !== null && !set.ok) return set;
  const issuers = issuersOf(paths, town);
  if ('error' in issuers) return { ok: false, error: issuers.error };
  return growVault(edges, paths, { issuers, passphrase, secret: set?.secret, cost });
}

/** Spells what `initKeys` did, for people. */
export function spellGrown(paths: HubPaths, { made, added }: GrownVault & { readonly ok: true }): string {
  if (added.length === 0) return `${paths.vault} lacks nothing: nothing was changed\n`;
  const keep = existsSync(paths.vaultKey) ? paths.vaultKey : 'what opens it';
  const head = made ? `Made ${paths.vault}; keep ${keep} safe` : `Added to ${paths.vault}, every other key as it was`;
  return `${head}:\n${spellKeys(added)}`;
}

export interface KeysRotate {
  readonly directory: string;
  readonly secret: Uint8Array;
  readonly purpose: string;
  readonly issuer?: string | undefined;
  /** scrypt's N; leave it out in production. */
  readonly cost?: number | undefined;
}

/** Adds a master for the cards to come, after every version that the registry knows of a card. */
export async function rotateKeys(edges: Pick<Edges, 'random'>, options: KeysRotate): Promise<Rotated> {
  const { directory, secret, issuer, cost } = options;
  const purpose = ROTATED.find((name) => name === options.purpose);
  if (purpose === undefined) {
    return { ok: false, error: `there are no ${options.purpose} masters; name one of ${ROTATED.join(', ')}` };
  }
  const paths = hubPaths(directory);
  return rotateMaster(edges, paths, { secret, cost }, { purpose, issuer, given: () => givenVersions(paths.registry) });
}

/** What has to be done about a new master, for people. */
export function afterRotation({ purpose, issuer, from }: KeyDescription): string {
  const next: Partial<Record<KeyDescription['purpose'], string>> = {
    debit: 'Kiosks that hold the debit masters need the new one before they can read such cards',
    tmac: `Hand ${issuer}'s masters over again: simpul-hub keys hand-over --issuer ${issuer}`,
  };
  const cards = `Cards made from now on have version ${from}; older ones keep their keys, and their masters stay`;
  return `${[cards, ...(next[purpose] === undefined ? [] : [next[purpose]])].join('\n')}\n`;
}
