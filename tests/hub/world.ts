/** A real hub in a temporary directory, with kiosks enrolled the way technicians do it. */
import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { onTestFinished } from 'vitest';
import { type HubConfig, hubPaths } from '../../hub/config.ts';
import { type Edges, makeLog, realEdges } from '../../hub/edges.ts';
import { type InitOptions, initHub } from '../../hub/init.ts';
import { type Hub, startHub } from '../../hub/serve.ts';
import { type SignDeps, signRequest } from '../../hub/sign.ts';
import type { EnrolmentGrant, KioskRole } from '../../protocol/enrolment.ts';
import { type EnrolmentRequest, witnessContext } from '../../protocol/enrolment.ts';
import { makeSealingKeys, type SealingKeyPair, seal } from '../../protocol/sealed.ts';

/** The cheapest derivation a vault may have: tests open many. */
export const VAULT_COST = 2 ** 10;

export const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** When to clean up: after the test, or after the file with `afterAll`. */
type Finally = (clean: () => void | Promise<void>) => void;

/** A directory that is removed after the test. */
export function temporary(whenDone: Finally = onTestFinished): string {
  const directory = mkdtempSync(join(tmpdir(), 'simpul-hub-'));
  whenDone(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export interface World {
  readonly hub: Hub;
  readonly directory: string;
  /** Milliseconds added to the hub's clock. */
  shift: number;
  /** Everything the hub logged, line by line. */
  readonly logged: string[];
  enrol(name: string, outlet?: string, role?: KioskRole): Promise<TestKiosk>;
  /** Closes the hub and starts it again on the same directory. */
  restart(): Promise<void>;
}

/** What a kiosk has on its disk. */
export interface TestKiosk {
  readonly name: string;
  readonly grant: EnrolmentGrant;
  /** PEM, PKCS #8. */
  readonly key: string;
  readonly witness: Uint8Array;
  readonly sealing: SealingKeyPair;
}

/** A key and its request, as a kiosk makes them. */
export async function makeCsr(subject: string, algorithm: webcrypto.EcKeyGenParams & { hash: string } = ECDSA) {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({ name: subject, keys, signingAlgorithm: algorithm });
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ type: 'pkcs8', format: 'pem' });
  return { csr: csr.toString('pem'), key: key.toString() };
}

/** A whole enrolment request with the secrets that stay on the kiosk. */
export async function makeRequest(name: string, hubKey: Uint8Array) {
  const { csr, key } = await makeCsr(`CN=${name}`);
  const sealing = await makeSealingKeys();
  const witness = randomBytes(32);
  const box = await seal(hubKey, witnessContext(name), witness);
  const request: EnrolmentRequest = {
    v: 1,
    name,
    csr,
    sealingKey: Buffer.from(sealing.publicKey).toString('base64'),
    witness: Buffer.from(box).toString('base64'),
  };
  return { request, key, sealing, witness };
}

/** Enrols a kiosk whose secrets stay in the test's hands. */
export async function enrolAt(signing: SignDeps, name: string, outlet: string, role?: KioskRole): Promise<TestKiosk> {
  const { request, ...secrets } = await makeRequest(name, signing.vault.sealingKey);
  const signed = await signRequest(signing, JSON.stringify(request), outlet, { role });
  if (!signed.ok) throw new Error(signed.error);
  return { name, grant: signed.grant, ...secrets };
}

/** Makes and starts a hub, a demonstration with the pilot town unless told otherwise; it is closed in the end. */
export async function openWorld(
  settings: Partial<HubConfig> = {},
  edges: Partial<Edges> = {},
  whenDone: Finally = onTestFinished,
  how: Pick<InitOptions, 'mode' | 'town'> = { mode: 'demo' },
): Promise<World> {
  const directory = temporary(whenDone);
  const logged: string[] = [];
  const log = makeLog('info', { write: (line) => void logged.push(line) });
  const real = realEdges(log);
  const deps = {
    ...real,
    now: () => real.now() + world.shift,
    ...edges,
    onFatal: (fault: Error) => void logged.push(`${fault}`),
  };
  const made = await initHub(real, { ...how, directory, port: 0, vaultCost: VAULT_COST });
  if (!made.ok) throw new Error(made.error);
  const paths = hubPaths(directory);
  const config: HubConfig = { ...JSON.parse(readFileSync(paths.config, 'utf8')), ...settings };
  const start = async () => {
    const started = await startHub(deps, { directory, config, secret: readFileSync(paths.vaultKey) });
    if (!started.ok) throw new Error(started.error);
    return started.hub;
  };
  let hub: Hub;
  const world: World = {
    get hub() {
      return hub;
    },
    directory,
    shift: 0,
    logged,
    async enrol(name, outlet = 'stall-12', role = 'stall') {
      const ca = readFileSync(paths.ca, 'utf8');
      return enrolAt({ ...deps, vault: hub.vault, registry: hub.registry, ca }, name, outlet, role);
    },
    async restart() {
      await hub.close();
      hub = await start();
    },
  };
  hub = await start();
  whenDone(() => hub.close());
  return world;
}
