/** The private certificate authority: its own certificate, the hub's, and those of kiosks. */
import 'reflect-metadata';
import { createPublicKey, type KeyObject, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import type { KioskName } from '../protocol/ids.ts';

x509.cryptoProvider.set(webcrypto as never);

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY = 86_400_000;
const CA_DAYS = 7300;
const SERVER_DAYS = 825;
const KIOSK_DAYS = 825;
/** Certificates start a little earlier than now: kiosk clocks lag behind. */
const EARLIER = DAY;

export interface CaDeps {
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
}

/** Why a request for a certificate was not signed. */
export type CsrFault = 'csr-unreadable' | 'csr-signature' | 'csr-key-type' | 'csr-name';

export type Issued =
  | { readonly ok: true; readonly certificate: string; readonly serial: string }
  | { readonly ok: false; readonly fault: CsrFault };

async function pairOf(key: KeyObject): Promise<webcrypto.CryptoKeyPair> {
  const { subtle } = webcrypto;
  const secret = key.export({ type: 'pkcs8', format: 'der' });
  const open = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return {
    privateKey: await subtle.importKey('pkcs8', secret, P256, false, ['sign']),
    publicKey: await subtle.importKey('spki', open, P256, true, ['verify']),
  };
}

// RFC 5280 section 4.1.2.2: a positive integer of at most 20 bytes; the first bit stays clear and the first byte
// non-zero.
function serialNumber(random: CaDeps['random']): string {
  const bytes = Buffer.from(random(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

/** Makes the CA's self-signed certificate, PEM. */
export async function makeCaCertificate(deps: CaDeps, caKey: KeyObject): Promise<string> {
  const keys = await pairOf(caKey);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(deps.random),
    name: 'CN=Simpul hub CA',
    notBefore: new Date(deps.now() - EARLIER),
    notAfter: new Date(deps.now() + CA_DAYS * DAY),
    signingAlgorithm: P256,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return certificate.toString('pem');
}

interface Order {
  readonly subject: string;
  readonly publicKey: webcrypto.CryptoKey | x509.PublicKey;
  readonly days: number;
  readonly usage: x509.ExtendedKeyUsage;
  readonly names?: readonly string[];
}

async function issue(
  deps: CaDeps,
  caKey: KeyObject,
  ca: string,
  order: Order,
): Promise<{ pem: string; serial: string }> {
  const issuer = new x509.X509Certificate(ca);
  const { privateKey, publicKey } = await pairOf(caKey);
  const serial = serialNumber(deps.random);
  const alternatives = (order.names ?? []).map((value) => ({
    type: isIP(value) ? ('ip' as const) : ('dns' as const),
    value,
  }));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial,
    subject: order.subject,
    issuer: issuer.subject,
    notBefore: new Date(deps.now() - EARLIER),
    notAfter: new Date(deps.now() + order.days * DAY),
    signingAlgorithm: P256,
    publicKey: order.publicKey,
    signingKey: privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([order.usage]),
      await x509.AuthorityKeyIdentifierExtension.create(publicKey),
      ...(alternatives.length > 0 ? [new x509.SubjectAlternativeNameExtension(alternatives)] : []),
    ],
  });
  return { pem: certificate.toString('pem'), serial };
}

/** Makes the hub's TLS certificate, PEM, for these host names and addresses beside localhost and 127.0.0.1. */
export async function makeServerCertificate(
  deps: CaDeps,
  keys: { readonly ca: KeyObject; readonly tls: KeyObject },
  ca: string,
  names: readonly string[],
): Promise<string> {
  const { publicKey } = await pairOf(keys.tls);
  const all = [...new Set(['localhost', '127.0.0.1', ...names])];
  const order = {
    subject: 'CN=Simpul hub',
    publicKey,
    days: SERVER_DAYS,
    usage: x509.ExtendedKeyUsage.serverAuth,
    names: all,
  };
  return (await issue(deps, keys.ca, ca, order)).pem;
}

/**
 * Signs a kiosk's request: its own signature must hold, its key must be ECDSA P-256, its only name the kiosk's.
 * @returns the certificate as PEM and its serial number in lower-case hex, as the registry keeps it.
 */
export async function signKiosk(
  deps: CaDeps,
  caKey: KeyObject,
  ca: string,
  name: KioskName,
  csr: string,
): Promise<Issued> {
  let request: x509.Pkcs10CertificateRequest;
  try {
    request = new x509.Pkcs10CertificateRequest(csr);
  } catch {
    return { ok: false, fault: 'csr-unreadable' };
  }
  const algorithm = request.publicKey.algorithm as webcrypto.EcKeyAlgorithm;
  if (algorithm.name !== 'ECDSA' || algorithm.namedCurve !== 'P-256') return { ok: false, fault: 'csr-key-type' };
  if (request.subject !== `CN=${name}`) return { ok: false, fault: 'csr-name' };
  if (!(await request.verify().catch(() => false))) return { ok: false, fault: 'csr-signature' };
  const order = {
    subject: `CN=${name}`,
    publicKey: request.publicKey,
    days: KIOSK_DAYS,
    usage: x509.ExtendedKeyUsage.clientAuth,
  };
  const { pem, serial } = await issue(deps, caKey, ca, order);
  return { ok: true, certificate: pem, serial };
}
