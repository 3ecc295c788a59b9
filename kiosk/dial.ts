/** Dials the hub: TLS 1.3, both sides proven, only the hub's own certificate authority trusted. */
import { connect, type TLSSocket } from 'node:tls';
import type { Identity } from './keys.ts';

export interface HubAddress {
  readonly host: string;
  readonly port: number;
  /** Name that the hub's certificate must carry. */
  readonly serverName: string;
}

/** @returns a socket that is connecting; it fails by an 'error' event. */
export function dialHub(
  { host, port, serverName }: HubAddress,
  identity: Pick<Identity, 'key' | 'certificate' | 'ca'>,
): TLSSocket {
  const { key, certificate, ca } = identity;
  const socket = connect({ host, port, servername: serverName, ca, cert: certificate, key, minVersion: 'TLSv1.3' });
  // A receipt must not wait for the next one (Nagle against delayed acknowledgements).
  socket.setNoDelay(true);
  return socket;
}
