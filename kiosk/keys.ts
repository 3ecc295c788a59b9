/** The kiosk's own keys on disk, its request to join, and the grant that answers it. */
import 'reflect-metadata';
import { createPrivateKey, createPublicKey, webcrypto, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import {
  EnrolmentGrant,
  type EnrolmentRequest,
  HubCard,
  type KioskRole,
  witnessContext,
} from '../protocol/enrolment.ts';
import { type KioskName, KioskNameSchema, type KioskNo } from '../protocol/ids.ts';
import { makeSealingKeys, seal } from '../protocol/sealed.ts';
import { readIfThere, writePrivate } from './files.ts';

/** Secrets made on the kiosk; they never leave it, but for the witness key, sealed to the hub. */
const Secrets = Type.Object({
  v: Type.Literal(1),
  name: KioskNameSchema,
  /** ECDSA P-256 private key, PKCS #8 PEM. */
  identity: Type.String({ pattern: '^-----BEGIN PRIVATE KEY-----' }),
  /** HPKE keys that the hub seals card keys to, base64. */
  sealing: Type.Object({ publicKey: Type.String(), privateKey: Type.String() }),
  /** 32 bytes, base64. */
  witness: Type.String({ pattern: '^[A-Za-z0-9+/]{43}=$' }),
});
type Secrets = Static<typeof Secrets>;

/** Everything an enrolled kiosk is. */
export interface Identity {
  readonly name: KioskName;
  readonly kiosk: KioskNo;
  readonly role: KioskRole;
  /** Whether it may hold the debit masters. */
  readonly offline: boolean;
  /** Public half of the hub's key for card statements, Ed25519, 32 bytes. */
  readonly statementKey: Uint8Array;
  readonly outlet: EnrolmentGrant['outlet'];
  /** PEM texts for TLS. */
  readonly key: string;
  readonly certificate: string;
  readonly ca: string;
  readonly sealingKey: Uint8Array;
  readonly witness: Uint8Array;
}

/** A file that is missing, unreadable or does not fit; `message` says what, why and what to do. */
export class KeyFault extends Error {
  override readonly name = 'KeyFault';
}

const WITNESS_BYTES = 32;
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

const paths = (dir: string) => ({
  secrets: join(dir, 'keys.json'),
  grant: join(dir, 'grant.json'),
  hub: join(dir, 'hub-card.json'),
});

const checks = { secrets: Compile(Secrets), grant: Compile(EnrolmentGrant), hub: Compile(HubCard) };
type Named = { secrets: Secrets; grant: EnrolmentGrant; hub: HubCard };

function parse<Kind extends keyof Named>(kind: Kind, text: string, path: string): Named[Kind] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new KeyFault(`${path} is not JSON: copy the file again`);
  }
  const check = checks[kind] as {
    Check(value: unknown): boolean;
    Errors(value: unknown): Iterable<{ instancePath: string; message: string }>;
  };
  if (check.Check(value)) return value as Named[Kind];
  const [first] = check.Errors(value);
  throw new KeyFault(
    `${path} does not fit: ${first?.instancePath || '/'} ${first?.message ?? ''}; copy the file again`,
  );
}

async function makeSecrets(name: KioskName, randomBytes: (length: number) => Uint8Array): Promise<Secrets> {
  const pair = await webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const identity = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', pair.privateKey), 'PRIVATE KEY');
  const sealing = await makeSealingKeys();
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  return {
    v: 1,
    name,
    identity,
    sealing: { publicKey: base64(sealing.publicKey), privateKey: base64(sealing.privateKey) },
    witness: base64(randomBytes(WITNESS_BYTES)),
  };
}

async function signedRequest({ name, identity }: Secrets): Promise<string> {
  const der = x509.PemConverter.decodeFirst(identity);
  const privateKey = await webcrypto.subtle.importKey('pkcs8', der, ECDSA, true, ['sign']);
  const spki = createPublicKey(createPrivateKey(identity)).export({ type: 'spki', format: 'der' });
  const publicKey = await webcrypto.subtle.importKey('spki', spki, ECDSA, true, ['verify']);
  const keys = { privateKey, publicKey };
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: ECDSA,
  });
  return request.toString('pem');
}

/**
 * Makes the kiosk's keys, or takes those it has, and asks to join the hub of this card.
 * @param hubCard text of the hub's card
 * @throws KeyFault when the directory holds another kiosk's keys or the hub card does not fit.
 */
export async function requestEnrolment(
  deps: { randomBytes: (length: number) => Uint8Array },
  dir: string,
  name: KioskName,
  hubCard: string,
): Promise<EnrolmentRequest> {
  const path = paths(dir);
  const hub = parse('hub', hubCard, 'the hub card');
  const known = readIfThere(path.secrets);
  const secrets = known === null ? await makeSecrets(name, deps.randomBytes) : parse('secrets', known, path.secrets);
  if (secrets.name !== name) {
    throw new KeyFault(`${path.secrets} belongs to kiosk ${secrets.name}: use another directory for ${name}`);
  }
  if (known === null) writePrivate(path.secrets, `${JSON.stringify(secrets, null, 2)}\n`);
  writePrivate(path.hub, `${JSON.stringify(hub, null, 2)}\n`);
  const witness = Buffer.from(secrets.witness, 'base64');
  const sealed = await seal(Buffer.from(hub.sealingKey, 'base64'), witnessContext(name), witness);
  const csr = await signedRequest(secrets);
  return { v: 1, name, csr, sealingKey: secrets.sealing.publicKey, witness: Buffer.from(sealed).toString('base64') };
}

/**
 * Takes the hub's grant after checking that it answers this kiosk's own request.
 * @throws KeyFault with the first thing that does not fit; nothing is changed then.
 */
export function acceptGrant(dir: string, text: string): { grant: EnrolmentGrant; hub: HubCard } {
  const grant = parse('grant', text, 'the grant');
  const { hub } = checkedGrant(dir, grant);
  writePrivate(paths(dir).grant, `${JSON.stringify(grant, null, 2)}\n`);
  return { grant, hub };
}

function checkedGrant(dir: string, grant: EnrolmentGrant): { secrets: Secrets; hub: HubCard } {
  const path = paths(dir);
  const secrets = parse('secrets', need(path.secrets, 'run `simpul-kiosk enrol request`'), path.secrets);
  const hub = parse('hub', need(path.hub, 'run `simpul-kiosk enrol request`'), path.hub);
  const [certificate, ca] = [readCertificate(grant.certificate), readCertificate(grant.ca)];
  const wrong = (what: string) =>
    new KeyFault(`the grant ${what}: ask the hub operator to sign this kiosk's request again`);
  if (grant.name !== secrets.name) throw wrong(`is for kiosk ${grant.name}, this is ${secrets.name}`);
  if (!ca.raw.equals(readCertificate(hub.ca).raw)) throw wrong('comes from another hub than the hub card');
  if (!certificate.verify(ca.publicKey)) throw wrong('holds a certificate that its hub did not sign');
  if (!certificate.checkPrivateKey(createPrivateKey(secrets.identity))) throw wrong("is for another kiosk's key");
  if (certificate.subject !== `CN=${secrets.name}`) throw wrong(`names ${certificate.subject} in its certificate`);
  return { secrets, hub };
}

function readCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new KeyFault('a certificate cannot be read: ask the hub operator for a new grant');
  }
}

function need(path: string, next: string): string {
  const text = readIfThere(path);
  if (text === null) throw new KeyFault(`${path} is missing: ${next}`);
  return text;
}

/** Loads an enrolled kiosk. @throws KeyFault when it is not enrolled or its files do not fit each other. */
export function loadIdentity(dir: string): Identity {
  const path = paths(dir).grant;
  const grant = parse('grant', need(path, 'run `simpul-kiosk enrol accept GRANT`'), path);
  const { secrets } = checkedGrant(dir, grant);
  return {
    name: grant.name as KioskName,
    kiosk: grant.kiosk as KioskNo,
    role: grant.role,
    offline: grant.offline,
    statementKey: Buffer.from(grant.statementKey, 'base64'),
    outlet: grant.outlet,
    key: secrets.identity,
    certificate: grant.certificate,
    ca: grant.ca,
    sealingKey: Buffer.from(secrets.sealing.privateKey, 'base64'),
    witness: Buffer.from(secrets.witness, 'base64'),
  };
}
