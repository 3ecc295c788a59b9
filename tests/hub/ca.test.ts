/** The certificate authority signs what it should, as it should, and nothing else. */
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeCaCertificate, makeServerCertificate, signKiosk } from '../../hub/ca.ts';
import type { KioskName } from '../../protocol/ids.ts';
import { ECDSA, makeCsr } from './world.ts';

const NOW = Date.UTC(2026, 5, 1);
const deps = { now: () => NOW, random: randomBytes };
const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const LAPAK = 'lapak-12' as KioskName;

async function makeCa() {
  const key = newKey();
  return { key, pem: await makeCaCertificate(deps, key) };
}

test('the server certificate holds for localhost, 127.0.0.1 and the names given, and for no client', async () => {
  const ca = await makeCa();
  const keys = { ca: ca.key, tls: newKey() };
  const found = new X509Certificate(await makeServerCertificate(deps, keys, ca.pem, ['hub.pasar.example', '10.1.2.3']));
  expect(found.checkHost('localhost')).toBe('localhost');
  expect(found.checkHost('hub.pasar.example')).toBe('hub.pasar.example');
  expect(found.checkHost('other.example')).toBeUndefined();
  expect(found.checkIP('127.0.0.1')).toBe('127.0.0.1');
  expect(found.checkIP('10.1.2.3')).toBe('10.1.2.3');
  expect(found.verify(new X509Certificate(ca.pem).publicKey)).toBe(true);
  expect(found.checkIssued(new X509Certificate(ca.pem))).toBe(true);
  expect(found.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  expect(found.ca).toBe(false);
});

test("a kiosk's certificate carries its name, its own key, a random serial, and may not sign others", async () => {
  const ca = await makeCa();
  const { csr } = await makeCsr('CN=lapak-12');
  const signed = await signKiosk(deps, ca.key, ca.pem, LAPAK, csr);
  const twin = await signKiosk(deps, ca.key, ca.pem, LAPAK, csr);
  if (!signed.ok || !twin.ok) throw new Error('not signed');
  const found = new X509Certificate(signed.certificate);
  expect(found.subject).toBe('CN=lapak-12');
  expect(found.serialNumber.toLowerCase()).toBe(signed.serial);
  expect(signed.serial).toMatch(/^[0-9a-f]{32}$/);
  expect(twin.serial).not.toBe(signed.serial);
  expect(found.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
  expect(found.ca).toBe(false);
  expect(Date.parse(found.validFrom)).toBeLessThan(NOW);
  expect(Date.parse(found.validTo)).toBeGreaterThan(NOW + 800 * 86_400_000);
});

test('a serial is positive and 16 bytes long whatever chance gives', async () => {
  const ca = await makeCa();
  const { csr } = await makeCsr('CN=lapak-12');
  for (const fill of [0x00, 0xff, 0x80]) {
    const signed = await signKiosk({ ...deps, random: (n) => Buffer.alloc(n, fill) }, ca.key, ca.pem, LAPAK, csr);
    if (!signed.ok) throw new Error(signed.fault);
    expect(new X509Certificate(signed.certificate).serialNumber.toLowerCase()).toBe(signed.serial);
    expect(signed.serial).toHaveLength(32);
  }
});

test('requests with another name, another kind of key, a broken signature or no sense are not signed', async () => {
  const ca = await makeCa();
  const sign = async (csr: string) => {
    const signed = await signKiosk(deps, ca.key, ca.pem, LAPAK, csr);
    return signed.ok ? 'signed' : signed.fault;
  };
  expect(await sign((await makeCsr('CN=lapak-13')).csr)).toBe('csr-name');
  expect(await sign((await makeCsr('CN=lapak-12, O=Other')).csr)).toBe('csr-name');
  expect(await sign((await makeCsr('CN=lapak-12', { ...ECDSA, namedCurve: 'P-384' })).csr)).toBe('csr-key-type');
  expect(await sign('-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----')).toBe(
    'csr-unreadable',
  );
  const { csr } = await makeCsr('CN=lapak-12');
  const der = Buffer.from(csr.replace(/-----[A-Z ]+-----/g, ''), 'base64');
  der[der.length - 3] = (der[der.length - 3] ?? 0) ^ 1;
  const broken = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----`;
  expect(await sign(broken)).toBe('csr-signature');
});
