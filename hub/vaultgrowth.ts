/** How a vault grows: made, completed, given new masters; only while no hub has it in memory. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { RETIRED_VERSION } from '../cards/keyring.ts';
import type { HubPaths } from './config.ts';
import { writeAtomic } from './files.ts';
import { holdAlone } from './store/sqlite/alone.ts';
import type { GivenVersions } from './store/sqlite/givenversions.ts';
import {
  completed,
  describe,
  describeMaster,
  freshContents,
  freshMaster,
  type KeyDescription,
  namesOfLacking,
} from './vaultcontents.ts';
import { readContents, type VaultFile, writeContents } from './vaultfile.ts';
import { ALL_ISSUERS, type Master, newestVersion } from './vaultmasters.ts';

interface Refused {
  readonly ok: false;
  readonly error: string;
}

interface GrowthDeps {
  readonly random: (bytes: number) => Uint8Array;
}

const refused = (error: string): Refused => ({ ok: false, error });

/**
 * Does something to the vault while no hub serves the directory, nor another command changes the vault: a hub would go
 * on with the masters that it read, and nothing may be given keys that the running hub does not know.
 */
async function alone<Result>(paths: HubPaths, change: () => Result | Promise<Result>): Promise<Result | Refused> {
  const letGo = holdAlone(paths.lock);
  if (letGo === null) {
    return refused(`a hub serves ${paths.directory}: nothing was changed; stop the hub first, then do this again`);
  }
  try {
    return await change();
  } finally {
    letGo();
  }
}

export interface VaultOrder {
  /** Cooperatives that need masters of their own. */
  readonly issuers: readonly string[];
  /** Opens the vault; when left out, the directory's key file does, which is made if there is no vault yet. */
  readonly passphrase?: string | undefined;
  /** Opens the vault in place of both: what the settings of a hub name. */
  readonly secret?: Uint8Array | undefined;
  /** scrypt's N; leave it out in production. */
  readonly cost?: number | undefined;
}

export type GrownVault =
  | {
      readonly ok: true;
      /** Whether there was no vault before. */
      readonly made: boolean;
      /** What opens it. */
      readonly secret: Uint8Array;
      /** The keys that were made now; none if nothing was lacking. */
      readonly added: readonly KeyDescription[];
    }
  | Refused;

/** What opens the vault of a directory. A key file that lies there is never written over: it may open a backup. */
function secretOf(deps: GrowthDeps, paths: HubPaths, { passphrase, secret }: VaultOrder): Uint8Array | null {
  if (secret !== undefined) return secret;
  if (passphrase !== undefined) return Buffer.from(passphrase.normalize('NFC'));
  if (existsSync(paths.vaultKey)) return readFileSync(paths.vaultKey);
  if (existsSync(paths.vault)) return null;
  const text = `${Buffer.from(deps.random(32)).toString('hex')}\n`;
  writeAtomic(paths.vaultKey, text, 0o600);
  return Buffer.from(text);
}

/**
 * Makes the vault of a directory, or adds to one of an older make what it lacks; no key that is there is touched. Done
 * twice, the second time adds nothing.
 */
export async function growVault(deps: GrowthDeps, paths: HubPaths, order: VaultOrder): Promise<GrownVault> {
  const orphan = [paths.config, paths.ledger, paths.registry].find((path) => existsSync(path));
  if (orphan !== undefined && !existsSync(paths.vault)) {
    const why = `${orphan} is there, but no vault: a new one would know none of the cards and kiosks`;
    return refused(`${why}; nothing was changed; restore ${paths.vault} from the backup`);
  }
  mkdirSync(paths.directory, { recursive: true, mode: 0o700 });
  // A first look without the lock: where nothing is lacking, a running hub need not stop for it.
  if (existsSync(paths.vault)) {
    const secret = secretOf(deps, paths, order);
    const read = secret === null ? keyless(paths) : readContents(paths.vault, secret);
    if (!read.ok) return read;
    if (secret !== null && namesOfLacking(read.contents, order.issuers).length === 0) {
      return { ok: true, made: false, secret, added: [] };
    }
  }
  return alone(paths, () => grow(deps, paths, order));
}

function keyless({ vault }: HubPaths): Refused {
  const next = 'bring vault.key back, or give its passphrase: set SIMPUL_PASSPHRASE and add --passphrase';
  return refused(`vault ${vault} has no key file beside it; ${next}`);
}

async function grow(deps: GrowthDeps, paths: HubPaths, order: VaultOrder): Promise<GrownVault> {
  const secret = secretOf(deps, paths, order);
  if (secret === null) return keyless(paths);
  const file: VaultFile = { path: paths.vault, secret, cost: order.cost };
  if (!existsSync(paths.vault)) {
    const contents = await freshContents(deps.random, order.issuers);
    writeContents(deps, file, contents);
    return { ok: true, made: true, secret, added: describe(contents) };
  }
  const read = readContents(paths.vault, secret);
  if (!read.ok) return read;
  const before = new Set(describe(read.contents).map((row) => JSON.stringify(row)));
  const contents = completed(deps.random, read.contents, order.issuers);
  writeContents(deps, file, contents);
  return { ok: true, made: false, secret, added: describe(contents).filter((row) => !before.has(JSON.stringify(row))) };
}

/** Masters that can be followed by new ones. */
export const ROTATED = ['app', 'debit', 'credit', 'tmac', 'spare', 'sun'] as const satisfies Master['purpose'][];

export interface Rotation {
  readonly purpose: Master['purpose'];
  /** Cooperative whose masters they are: with `tmac` and `credit`, and only with them. */
  readonly issuer?: string | undefined;
  /** Looks up what cards have got so far: asked when nobody can make another card. */
  readonly given: () => GivenVersions;
}

export type Rotated = { readonly ok: true; readonly master: KeyDescription } | Refused;

/** The one after it means that a card has ended. */
const LAST_VERSION = RETIRED_VERSION - 1;
const MASTERS_MAX = 4096;

/**
 * Adds a master that serves card key versions from the next one on that no card can have; the old one stays for the old
 * cards. A crash leaves the old file or the new one.
 */
export async function rotateMaster(
  deps: GrowthDeps,
  paths: HubPaths,
  file: Omit<VaultFile, 'path'>,
  rotation: Rotation,
): Promise<Rotated> {
  return alone(paths, () => {
    const read = readContents(paths.vault, file.secret);
    if (!read.ok) return read;
    const { contents } = read;
    const master = nextMaster(deps, contents.masters, rotation);
    if ('error' in master) return master;
    writeContents(deps, { ...file, path: paths.vault }, { ...contents, masters: [...contents.masters, master] });
    return { ok: true, master: describeMaster(master) };
  });
}

function nextMaster(deps: GrowthDeps, masters: readonly Master[], { purpose, issuer, given }: Rotation) {
  const rows = masters.filter((row) => row.purpose === purpose);
  const known = [...new Set(rows.map((row) => row.issuer))];
  const common = known.every((id) => id === ALL_ISSUERS);
  if (rows.length === 0) return refused(`the vault holds no ${purpose} master; run simpul-hub keys init to add it`);
  if (common && issuer !== undefined) {
    return refused(`the ${purpose} master serves the cards of all cooperatives; leave out --issuer`);
  }
  const whose = common ? ALL_ISSUERS : issuer;
  if (whose === undefined) {
    return refused(`each cooperative has ${purpose} masters of its own; add --issuer, one of ${known.join(', ')}`);
  }
  if (!known.includes(whose)) {
    return refused(`the vault holds no ${purpose} master of ${whose}; name one of ${known.join(', ')}`);
  }
  const last = lastVersion(masters, { purpose, issuer: whose, given });
  if (last >= LAST_VERSION || masters.length >= MASTERS_MAX) {
    const why =
      last >= LAST_VERSION
        ? `cards may have key version ${LAST_VERSION} already, which is the last, and none is used twice`
        : `the vault holds ${masters.length} masters, which is all that it can`;
    const next = 'to go on, make a new hub with simpul-hub init in an empty directory, and give out new cards from it';
    return refused(`${why}; nothing was changed; ${next}`);
  }
  return freshMaster(deps.random, purpose, whose, last + 1);
}

/**
 * The highest version that a card may have got under these masters. Cards are made with the newest version of all
 * masters, so that one which is not in the registry yet has that at most.
 */
function lastVersion(masters: readonly Master[], { purpose, issuer, given }: Rotation & { issuer: string }): number {
  if (purpose !== 'tmac') {
    return Math.max(given().keyVersion, newestVersion(masters.filter((row) => row.purpose !== 'tmac')));
  }
  const own = masters.filter((row) => row.purpose === 'tmac' && row.issuer === issuer);
  return Math.max(given().tmacKeyVersions.get(issuer) ?? 0, newestVersion(own));
}
