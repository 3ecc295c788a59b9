/** The town of the bench: cards and enrolled kiosks in a hub's data directory, made once and copied for every run. */
import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { signKiosk } from '../../../hub/ca.ts';
import { hubPaths, readConfig } from '../../../hub/config.ts';
import { makeLog, realEdges } from '../../../hub/edges.ts';
import { initHub } from '../../../hub/init.ts';
import { openingEntry } from '../../../hub/rules/postings.ts';
import { readSecret } from '../../../hub/secret.ts';
import { HUB_ORIGIN } from '../../../hub/store/ledger.ts';
import { openDatabase } from '../../../hub/store/sqlite/database.ts';
import { openEngine, type Work } from '../../../hub/store/sqlite/engine.ts';
import { openRegistry } from '../../../hub/store/sqlite/registry.ts';
import type { Town } from '../../../hub/town.ts';
import { openVault, type Vault } from '../../../hub/vault.ts';
import type { CardUid, CooperativeId, KioskName, MemberId, OutletId } from '../../../protocol/ids.ts';
import { repository } from '../repository.ts';

/** The cheapest derivation a vault may have: every run opens it. */
const VAULT_COST = 2 ** 10;
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** One account sale in twenty meets an empty account. */
const POOR_EVERY = 20;
const RICH = 1_000_000n;
const POOR = 100n;
/** Kiosks whose certificates are signed side by side. */
const TOGETHER = 32;
/** Cards in one commit while the town is made. */
const BATCH = 512;
/** High enough that no cooperative reaches its cap within a run. */
const CAP = 10 ** 12;

/** The key that all kiosks of the bench share, and each one's certificate, PEM. */
export interface KioskPapers {
  readonly key: string;
  readonly certificates: Readonly<Record<string, string>>;
}

const papersOf = (directory: string) => join(directory, 'kiosks.json');

export const kioskName = (index: number) => `bench-${index + 1}` as KioskName;

/** Reads the papers of the kiosks of a bench town. */
export function readPapers(directory: string): KioskPapers {
  return JSON.parse(readFileSync(papersOf(directory), 'utf8')) as KioskPapers;
}

/** Opens the vault of a bench town. */
export function openBenchVault(directory: string): Vault {
  const paths = hubPaths(directory);
  const config = readConfig(paths);
  if (!config.ok) throw new Error(config.error);
  const secret = readSecret(paths, config.config, {});
  if (!secret.ok) throw new Error(secret.error);
  const opened = openVault({ random: randomBytes }, paths.vault, secret.secret);
  if (!opened.ok) throw new Error(opened.error);
  return opened.vault;
}

const uidOf = (index: number) => `04${index.toString(16).padStart(10, '0')}80` as CardUid;
const memberOf = (index: number) => `m-${index}` as MemberId;

/** Cards and openings go through the ledger's own engine; the registry's rows are written in one commit instead of 120,000. */
function settleCards(directory: string, cooperatives: readonly CooperativeId[], cards: number): void {
  const paths = hubPaths(directory);
  const engine = openEngine({ path: paths.ledger });
  const registry = openDatabase(paths.registry, 'registry.sql');
  const member = registry.prepare('INSERT INTO member (id, cooperative, name) VALUES (?, ?, ?)');
  const card = registry.prepare("INSERT INTO card VALUES (?, ?, ?, ?, 1, 1, 'active')");
  registry.exec('BEGIN');
  let batch: Work[] = [];
  for (let index = 0; index < cards; index += 1) {
    const cooperative = cooperatives[index % cooperatives.length];
    if (cooperative === undefined) throw new Error('the town has no cooperative');
    member.run(memberOf(index), cooperative, `Anggota ${index}`);
    card.run(uidOf(index), String(979_200_000_000 + index), cooperative, memberOf(index));
    const amount = Math.floor(index / cooperatives.length) % POOR_EVERY === 0 ? POOR : RICH;
    const facts = { amount, card: null, issuer: cooperative, acquirer: cooperative, outlet: null };
    const approve = openingEntry({ cooperative, member: memberOf(index), amount });
    const request = {
      key: { origin: HUB_ORIGIN, seq: index + 1 },
      hash: '',
      at: Date.now(),
      verdict: { approve, guards: [] },
      slot: null,
      facts,
      evidence: null,
    };
    batch.push({ do: 'card', card: { uid: uidOf(index), status: 'active', keyVersion: 1, tmc: 4 } });
    batch.push({ do: 'post', request });
    if (batch.length < BATCH && index < cards - 1) continue;
    const failed = engine.apply(batch).find((answer) => answer.kind !== 'done' && answer.kind !== 'decided');
    if (failed !== undefined) throw new Error(`the town was not settled: ${JSON.stringify(failed)}`);
    engine.tidy();
    batch = [];
  }
  registry.exec('COMMIT');
  engine.close();
  registry.close();
}

async function enrolKiosks(directory: string, outlets: readonly OutletId[], count: number): Promise<void> {
  const paths = hubPaths(directory);
  const vault = openBenchVault(directory);
  const ca = readFileSync(paths.ca, 'utf8');
  const keys = await webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ type: 'pkcs8', format: 'pem' });
  const registry = openRegistry({ path: paths.registry });
  const certificates: Record<string, string> = {};
  const enrol = async (index: number) => {
    const name = kioskName(index);
    const request = { name: `CN=${name}`, keys, signingAlgorithm: ECDSA };
    const csr = (await x509.Pkcs10CertificateRequestGenerator.create(request)).toString('pem');
    const issued = await signKiosk({ now: Date.now, random: randomBytes }, vault.caKey, ca, name, csr);
    if (!issued.ok) throw new Error(`kiosk ${name} was not signed: ${issued.fault}`);
    certificates[name] = issued.certificate;
    const outlet = outlets[index % outlets.length];
    if (outlet === undefined) throw new Error('the town has no outlet');
    const witness = vault.wrap(randomBytes(32));
    registry.enrol({ name, outlet, serial: issued.serial, sealingKey: vault.sealingKey, witness });
  };
  for (let index = 0; index < count; index += TOGETHER) {
    const some = Math.min(TOGETHER, count - index);
    await Promise.all(Array.from({ length: some }, (_, at) => enrol(index + at)));
  }
  registry.close();
  const papers: KioskPapers = { key: key.toString(), certificates };
  writeFileSync(papersOf(directory), JSON.stringify(papers));
}

/** Makes a hub's data directory with this many cards and kiosks; cooperatives, outlets and tariffs are the pilot's. */
export async function makeFleet(directory: string, size: { cards: number; kiosks: number }): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const pilot = JSON.parse(readFileSync(join(repository(), 'hub/pilot.json'), 'utf8')) as Town;
  const cooperatives = pilot.cooperatives.map((one) => ({ ...one, netDebitCap: CAP }));
  const town = join(directory, 'town.json');
  writeFileSync(town, JSON.stringify({ ...pilot, cooperatives, members: [], cards: [] }));
  const made = await initHub(realEdges(makeLog('error')), { directory, town, port: 0, vaultCost: VAULT_COST });
  if (!made.ok) throw new Error(made.error);
  settleCards(
    directory,
    cooperatives.map(({ id }) => id as CooperativeId),
    size.cards,
  );
  // One outlet a cooperative, so that each cooperative has as many kiosks as another.
  const outlets = cooperatives.map(({ id }) => pilot.outlets.find(({ cooperative }) => cooperative === id)?.id ?? '');
  await enrolKiosks(directory, outlets as OutletId[], size.kiosks);
}

/** Copies a fleet's closed data directory: each run starts on the same books. */
export function copyFleet(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  const names = ['config', 'vault', 'vaultKey', 'ca', 'certificate', 'ledger', 'registry'] as const;
  for (const name of names) copyFileSync(hubPaths(from)[name], hubPaths(to)[name]);
}
