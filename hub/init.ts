/** Init: makes a hub's data directory with settings, vault, certificates, books and the registered town. */
import { existsSync, readFileSync } from 'node:fs';
import type { HubCard } from '../protocol/enrolment.ts';
import { makeCaCertificate, makeServerCertificate } from './ca.ts';
import { DEFAULT_CONFIG, type HubConfig, type HubPaths, hubPaths } from './config.ts';
import type { Edges } from './edges.ts';
import { writeAtomic } from './files.ts';
import type { HubMode } from './rules/licence.ts';
import { openRegistry } from './store/sqlite/registry.ts';
import { parseTown, settle, type Town } from './town.ts';
import { licenceFaults, settleLicences } from './townlicence.ts';
import { openVault, type Vault } from './vault.ts';
import { growVault } from './vaultgrowth.ts';

/** The pilot town lies beside the source; this file runs from `dist/hub`. */
const PILOT = new URL('../../hub/pilot.json', import.meta.url);

/** What to say where nobody said what kind of hub is to be made. */
export const MODE_MISSING =
  'say what kind of hub this is: --mode demo for a demonstration without real money, or --mode licensed where each ' +
  'cooperative holds a licence; nothing was made';

export interface InitOptions {
  readonly directory: string;
  /** Town file; the pilot's when left out. */
  readonly town?: string | undefined;
  /** What kind of hub it is; the town file's word when left out, and one of both must say it. */
  readonly mode?: HubMode | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly names?: readonly string[] | undefined;
  /** Opens the vault; when left out, the key file in the directory does, and is made if there is no vault yet. */
  readonly passphrase?: string | undefined;
  /** scrypt's N; leave it out in production. */
  readonly vaultCost?: number | undefined;
}

export type InitResult =
  | {
      readonly ok: true;
      readonly paths: HubPaths;
      readonly town: Town;
      readonly mode: HubMode;
      /** False if the vault was there before. */
      readonly vaultMade: boolean;
    }
  | { readonly ok: false; readonly error: string };

/** Reads a town file, or the pilot's; the error says everything that is wrong with it. */
export function readTown(path: string | undefined): ReturnType<typeof parseTown> {
  const from = path ?? 'the pilot town';
  try {
    return parseTown(readFileSync(path ?? PILOT, 'utf8'), from);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { ok: false, error: `town file ${from} cannot be read (${code}); check its name` };
  }
}

/**
 * Makes a hub; refuses a directory that already holds one, whole or half made. A vault that is there alone (`simpul-hub
 * keys init`) is used.
 */
export async function initHub(edges: Edges, options: InitOptions): Promise<InitResult> {
  const paths = hubPaths(options.directory);
  const taken = [paths.config, paths.ledger, paths.registry].find((path) => existsSync(path));
  if (taken !== undefined) {
    const error = `${taken} exists: nothing was changed; choose an empty directory, or serve the hub that is there`;
    return { ok: false, error };
  }
  const read = readTown(options.town);
  if (!read.ok) return read;
  const { town } = read;
  const mode = options.mode ?? town.licence?.mode;
  if (mode === undefined) return { ok: false, error: MODE_MISSING };
  const [fault] = licenceFaults(town, mode);
  if (fault !== undefined) return { ok: false, error: `${options.town ?? 'the pilot town'} does not fit: ${fault}` };

  const { passphrase, vaultCost: cost } = options;
  const grown = await growVault(edges, paths, { issuers: town.cooperatives.map(({ id }) => id), passphrase, cost });
  if (!grown.ok) return grown;
  const opened = openVault(edges, paths.vault, grown.secret);
  if (!opened.ok) return opened;
  const config: HubConfig = {
    ...DEFAULT_CONFIG,
    host: options.host ?? DEFAULT_CONFIG.host,
    port: options.port ?? DEFAULT_CONFIG.port,
    names: [...(options.names ?? [])],
    ...(options.passphrase === undefined ? { vaultKeyFile: 'vault.key' } : {}),
  };
  await writeCertificates(edges, paths, opened.vault, config);
  await writeBooks(edges, paths, town, mode);
  // Last, because a directory with settings counts as a whole hub.
  writeAtomic(paths.config, `${JSON.stringify(config, null, 2)}\n`, 0o600);
  return { ok: true, paths, town, mode, vaultMade: grown.made };
}

async function writeCertificates(edges: Edges, paths: HubPaths, vault: Vault, config: HubConfig): Promise<void> {
  const ca = await makeCaCertificate(edges, vault.caKey);
  const keys = { ca: vault.caKey, tls: vault.tlsKey };
  const certificate = await makeServerCertificate(edges, keys, ca, config.names);
  writeAtomic(paths.ca, ca, 0o644);
  writeAtomic(paths.certificate, certificate, 0o644);
  writeHubCard(paths, vault, ca, config.names[0] ?? 'localhost', config.port || DEFAULT_CONFIG.port);
}

/** Writes what technicians carry to a new kiosk. */
export function writeHubCard(paths: HubPaths, vault: Vault, ca: string, name: string, port: number): void {
  const sealingKey = Buffer.from(vault.sealingKey).toString('base64');
  const card: HubCard = { v: 1, ca, sealingKey, host: name, port, serverName: name };
  writeAtomic(paths.hubCard, `${JSON.stringify(card, null, 2)}\n`, 0o644);
}

async function writeBooks(edges: Edges, paths: HubPaths, town: Town, mode: HubMode): Promise<void> {
  const registry = openRegistry({ path: paths.registry });
  const ledger = await edges.openLedger(paths.ledger, (fault) => edges.log.error({ err: fault }, 'the ledger failed'));
  try {
    await settle(town, registry, ledger, edges.now);
    settleLicences(town, mode, registry, edges.now());
  } finally {
    await ledger.close();
    registry.close();
  }
}
