/** A town in a folder of its own: a real hub, enrolled kiosks and issued cards, for tests, demo and benchmarks. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hubPaths, readConfig } from '../../hub/config.ts';
import { type Edges, makeLog, realEdges } from '../../hub/edges.ts';
import { initHub, writeHubCard } from '../../hub/init.ts';
import { readSecret } from '../../hub/secret.ts';
import { type Hub, startHub } from '../../hub/serve.ts';
import { type Duties, signRequest } from '../../hub/sign.ts';
import type { Registry } from '../../hub/store/registry.ts';
import { openRegistry } from '../../hub/store/sqlite/registry.ts';
import type { Town as TownFile } from '../../hub/town.ts';
import { openVault, type Vault } from '../../hub/vault.ts';
import { type Identity, loadIdentity, requestEnrolment } from '../../kiosk/keys.ts';
import { joinHub } from '../../kiosk/start.ts';
import type { CardUid, KioskName } from '../../protocol/ids.ts';
import type { Card } from './card.ts';
import { readyCard } from './ready.ts';

/** scrypt's N for towns that live a minute. */
const QUICK_VAULT = 1024;
/** The number under which cards of a town were personalised: no kiosk has it. */
const PERSONALISER = 2 ** 24 - 1;

export interface Place {
  readonly folder: string;
  /** The hub's data directory. */
  readonly directory: string;
}

/** Makes a hub's data in a fresh folder. @param town the pilot's when left out. */
export async function makePlace(town?: TownFile, port = 0): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'simpul-town-'));
  const directory = join(folder, 'hub');
  const path = town === undefined ? undefined : join(folder, 'town.json');
  if (path !== undefined) writeFileSync(path, JSON.stringify(town));
  const options = { directory, town: path, port, vaultCost: QUICK_VAULT, mode: town?.licence?.mode ?? 'demo' };
  const made = await initHub(realEdges(makeLog('silent')), options);
  if (!made.ok) throw new Error(made.error);
  return { folder, directory };
}

/** Starts the hub of a place in this process. @param edges what a test wants to hand in instead of the real thing. */
export async function startPlace({ directory }: Place, edges: Partial<Edges> = {}, port?: number): Promise<Hub> {
  const read = readConfig(hubPaths(directory));
  if (!read.ok) throw new Error(read.error);
  const secret = readSecret(hubPaths(directory), read.config, {});
  if (!secret.ok) throw new Error(secret.error);
  const onFatal = (fault: Error) => {
    throw fault;
  };
  const deps = { ...realEdges(makeLog('silent')), onFatal, ...edges };
  const config = { ...read.config, port: port ?? read.config.port };
  const started = await startHub(deps, { directory, config, secret: secret.secret });
  if (!started.ok) throw new Error(started.error);
  return started.hub;
}

/** What kiosks are enrolled and cards issued with: a running hub has it, and so has the office of one that is not. */
export type Office = Pick<Hub, 'vault' | 'registry' | 'port'>;

/** Opens the vault and the registry of a place whose hub is served by another process, or not at all. */
export function openOffice({ directory }: Place): Office & { close(): void } {
  const paths = hubPaths(directory);
  const read = readConfig(paths);
  if (!read.ok) throw new Error(read.error);
  const secret = readSecret(paths, read.config, {});
  if (!secret.ok) throw new Error(secret.error);
  const opened = openVault({ random: randomBytes }, paths.vault, secret.secret);
  if (!opened.ok) throw new Error(opened.error);
  const registry = openRegistry({ path: paths.registry });
  return { vault: opened.vault, registry, port: read.config.port, close: () => registry.close() };
}

/**
 * Enrols a kiosk as a technician does: its own keys, a request, the hub's signature, the grant.
 * @param duties a stall's when left out
 * @returns the kiosk's directory, ready for `simpul-kiosk run`.
 */
export async function enrolKiosk(
  place: Place,
  office: Office,
  name: string,
  outlet: string,
  duties: Duties = {},
): Promise<string> {
  const { vault, registry, port } = office;
  const paths = hubPaths(place.directory);
  const ca = readFileSync(paths.ca, 'utf8');
  writeHubCard(paths, vault, ca, 'localhost', port);
  const dir = join(place.folder, name);
  const hubCard = readFileSync(paths.hubCard, 'utf8');
  mkdirSync(dir, { recursive: true });
  const request = await requestEnrolment({ randomBytes }, dir, name as KioskName, hubCard);
  const edges = realEdges(makeLog('silent'));
  const signed = await signRequest({ ...edges, vault, registry, ca }, JSON.stringify(request), outlet, duties);
  if (!signed.ok) throw new Error(signed.error);
  joinHub(dir, JSON.stringify(signed.grant));
  return dir;
}

export const identityOf = (dir: string): Identity => loadIdentity(dir);

/** Makes the card that the registry holds under this UID, with the keys that the vault gives it. */
export function issueCard(vault: Vault, registry: Registry, uid: string): Card {
  const card = registry.card(uid as CardUid);
  if (card === undefined) throw new Error(`no card ${uid} in the registry`);
  const keys = vault.cardKeys(card.issuer, card.uid, card);
  if (keys === null) throw new Error(`no keys for cards of ${card.issuer}`);
  return readyCard({
    uid: Buffer.from(uid, 'hex'),
    keys: { ...keys, k2: keys.spare2, k4: keys.spare4 },
    versions: { debit: card.keyVersion, tmac: card.tmacKeyVersion },
    personaliser: { witnessKey: randomBytes(32), kioskNo: PERSONALISER, kioskSeq: 1 },
    random: randomBytes,
  });
}

/** Removes a place that is no longer used. */
export const removePlace = ({ folder }: Place): void => rmSync(folder, { recursive: true, force: true });
