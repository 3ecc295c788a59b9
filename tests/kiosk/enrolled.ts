/** A kiosk enrolled at a certificate authority of its own, on a real disk. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCaCertificate, makeServerCertificate, signKiosk } from '../../hub/ca.ts';
import type { EnrolmentGrant, EnrolmentRequest, HubCard } from '../../protocol/enrolment.ts';
import type { KioskName } from '../../protocol/ids.ts';
import { makeSealingKeys, type SealingKeyPair } from '../../protocol/sealed.ts';

export const NAME = 'lapak-1' as KioskName;

/** What of the hub a kiosk meets when it joins and dials. */
export interface Town {
  readonly sealing: SealingKeyPair;
  readonly card: HubCard;
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string };
  grant(request: EnrolmentRequest, changes?: Partial<EnrolmentGrant>): Promise<EnrolmentGrant>;
}

/**
 * Makes a certificate authority and a hub certificate for localhost, both made at `madeAt` (milliseconds since
 * 1970 UTC).
 */
export async function makeTown(port: number, madeAt = Date.now()): Promise<Town> {
  const deps = { now: () => madeAt, random: randomBytes };
  const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const [caKey, tlsKey] = [pair(), pair()];
  const ca = await makeCaCertificate(deps, caKey);
  const cert = await makeServerCertificate(deps, { ca: caKey, tls: tlsKey }, ca, []);
  const sealing = await makeSealingKeys();
  const sealingKey = Buffer.from(sealing.publicKey).toString('base64');
  return {
    sealing,
    card: { v: 1, ca, sealingKey, host: '127.0.0.1', port, serverName: 'localhost' },
    tls: { key: tlsKey.export({ type: 'pkcs8', format: 'pem' }).toString(), cert, ca },
    async grant(request, changes = {}) {
      const issued = await signKiosk(deps, caKey, ca, request.name as KioskName, request.csr);
      if (!issued.ok) throw new Error(issued.fault);
      const outlet = { id: 'lapak-1', name: 'Lapak Bu Sri', cooperative: 'pasar', cooperativeName: 'Koperasi Pasar' };
      const { certificate } = issued;
      const duties = { role: 'stall', offline: false, statementKey: Buffer.alloc(32).toString('base64') } as const;
      return { v: 1, name: request.name, kiosk: 7, certificate, ca, ...duties, outlet, ...changes };
    },
  };
}

/** A directory that goes when `remove` is called. */
export function makeFolder(): { dir: string; remove: () => void } {
  const dir = mkdtempSync(join(tmpdir(), 'kiosk-'));
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}
