/** A point on the line between one kiosk and its hub where TLS is opened: it has the keys of both ends. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { hubPaths } from '../../hub/config.ts';
import { dialHub } from '../../kiosk/dial.ts';
import { identityOf, type Office, type Place } from './town.ts';

export interface TlsTap {
  /** Where the kiosk dials. */
  readonly port: number;
  /** What it sent and received until now, in clear. */
  heard(): { readonly up: Buffer; readonly down: Buffer };
  close(): Promise<void>;
}

/** Passes on, both ways, what the kiosk of this directory and the hub of this place say. */
export async function openTlsTap(place: Place, { vault, port: hubPort }: Office, dir: string): Promise<TlsTap> {
  const paths = hubPaths(place.directory);
  const identity = identityOf(dir);
  const up: Buffer[] = [];
  const down: Buffer[] = [];
  const open = new Set<TLSSocket>();
  const join = (from: TLSSocket, to: TLSSocket, heard: Buffer[]) => {
    open.add(from);
    from.on('data', (chunk: Buffer) => {
      heard.push(chunk);
      to.write(chunk);
    });
    from.on('error', () => undefined);
    from.on('close', () => {
      open.delete(from);
      to.destroy();
    });
  };
  const server = createServer(
    {
      key: vault.tlsKey.export({ type: 'pkcs8', format: 'pem' }),
      cert: readFileSync(paths.certificate),
      ca: readFileSync(paths.ca),
      requestCert: true,
      minVersion: 'TLSv1.3',
    },
    (kiosk) => {
      const hub = dialHub({ host: '127.0.0.1', port: hubPort, serverName: 'localhost' }, identity);
      join(kiosk, hub, up);
      join(hub, kiosk, down);
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    heard: () => ({ up: Buffer.concat(up), down: Buffer.concat(down) }),
    async close() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
