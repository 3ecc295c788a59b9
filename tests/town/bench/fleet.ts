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
import { readSecret } from '../../../hub/secret.ts';
import { openRegistry } from '../../../hub/store/sqlite/registry.ts';
import type { Town } from '../../../hub/town.ts';
import { openVault, type Vault } from '../../../hub/vault.ts';
import type { CooperativeId, KioskName, OutletId } from '../../../protocol/ids.ts';
import { repository } from '../repository.ts';
import { unowned } from '../unowned.ts';
import { startChild } from './children.ts';
import type { SettleOrder } from './settle.ts';

/** The cheapest derivation a vault may have: every run opens it. */
const VAULT_COST = 2 ** 10;
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** Kiosks whose certificates are signed side by side. */
const TOGETHER = 32;
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

interface Signed {
  readonly certificate: string;
  readonly serial: string;
}

/** Signs a certificate for each kiosk, all over one key, and leaves the papers in the directory. */
async function signKiosks(directory: string, count: number): Promise<Signed[]> {
  const vault = openBenchVault(directory);
  const ca = readFileSync(hubPaths(directory).ca, 'utf8');
  const keys = await webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ type: 'pkcs8', format: 'pem' });
  const sign = async (index: number): Promise<Signed> => {
    const name = kioskName(index);
    const request = { name: `CN=${name}`, keys, signingAlgorithm: ECDSA };
    const csr = (await x509.Pkcs10CertificateRequestGenerator.create(request)).toString('pem');
    const issued = await signKiosk({ now: Date.now, random: randomBytes }, vault.caKey, ca, name, csr);
    if (!issued.ok) throw new Error(`kiosk ${name} was not signed: ${issued.fault}`);
    return issued;
  };
  const signed: Signed[] = [];
  while (signed.length < count) {
    const some = Math.min(TOGETHER, count - signed.length);
    const from = signed.length;
    signed.push(...(await Promise.all(Array.from({ length: some }, (_, at) => sign(from + at)))));
  }
  const certificates = Object.fromEntries(signed.map(({ certificate }, index) => [kioskName(index), certificate]));
  const papers: KioskPapers = { key: key.toString(), certificates };
  writeFileSync(papersOf(directory), JSON.stringify(papers));
  return signed;
}

function enrolKiosks(directory: string, outlets: readonly string[], signed: readonly Signed[]): void {
  const vault = openBenchVault(directory);
  const registry = openRegistry({ path: hubPaths(directory).registry });
  for (const [index, { serial }] of signed.entries()) {
    const outlet = (outlets[index % outlets.length] ?? '') as OutletId;
    const witness = vault.wrap(randomBytes(32));
    const { sealingKey } = vault;
    const duties = { role: 'stall', offline: false } as const;
    registry.enrol({ name: kioskName(index), outlet, serial, sealingKey, witness, ...duties });
  }
  registry.close();
}

/** Makes a hub's data directory with this many cards and kiosks; cooperatives, outlets and tariffs are the pilot's. */
export async function makeFleet(directory: string, size: { cards: number; kiosks: number }): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const pilot = JSON.parse(readFileSync(join(repository(), 'hub/pilot.json'), 'utf8')) as Town;
  const cooperatives = pilot.cooperatives.map((one) => ({ ...one, netDebitCap: CAP }));
  const town = join(directory, 'town.json');
  writeFileSync(town, JSON.stringify({ ...pilot, cooperatives, members: [], cards: [], outlets: unowned(pilot) }));
  const made = await initHub(realEdges(makeLog('error')), {
    directory,
    mode: 'demo',
    town,
    port: 0,
    vaultCost: VAULT_COST,
  });
  if (!made.ok) throw new Error(made.error);
  const ids = cooperatives.map(({ id }) => id as CooperativeId);
  const settling = startChild(
    'settle',
    { directory, cooperatives: ids, cards: size.cards } satisfies SettleOrder,
    null,
  );
  const settled = settling.next((message): message is 'settled' => message === 'settled');
  const [signed] = await Promise.all([signKiosks(directory, size.kiosks), settled]);
  await settling.ended;
  // One outlet a cooperative, so that each cooperative has as many kiosks as another.
  const outlets = ids.map((id) => pilot.outlets.find(({ cooperative }) => cooperative === id)?.id ?? '');
  enrolKiosks(directory, outlets, signed);
}

/** Copies a fleet's closed data directory: each run starts on the same books. */
export function copyFleet(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  const names = ['config', 'vault', 'vaultKey', 'ca', 'certificate', 'ledger', 'registry'] as const;
  for (const name of names) copyFileSync(hubPaths(from)[name], hubPaths(to)[name]);
}
