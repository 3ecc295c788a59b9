/** The sockets: mutual TLS 1.3 behind the door, and a bare one on the loopback address for measurements. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import type { KioskName } from '../../protocol/ids.ts';
import type { Identity } from './access.ts';
import type { BrokerDeps, BrokerOptions } from './broker.ts';
import { type BadVisits, Door } from './door.ts';
import { type Guard, makeGuard } from './guard.ts';

/** A connection on its way to the broker. */
export interface Incoming {
  readonly socket: Socket;
  readonly guard: Guard;
  /** From the verified certificate; null on the measuring listener. */
  readonly identity: Identity | null;
}

interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

const HANDSHAKE_MS = 5000;
const UNFINISHED_MAX = 2048;

const placeOf = (socket: Socket) => `${socket.remoteAddress} ${socket.remotePort}`;

async function listen(server: Server, port: number, host: string): Promise<Listener> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Listens for kiosks: TLS 1.3, a certificate of our CA, and the door's count of bad visits. */
export async function listenTls(
  deps: BrokerDeps,
  visits: BadVisits,
  { host, port, tls, unfinishedMax = UNFINISHED_MAX }: BrokerOptions,
  admit: (incoming: Incoming) => void,
): Promise<Listener> {
  const secured = createTlsServer({
    key: tls.key.export({ type: 'pkcs8', format: 'pem' }),
    cert: tls.certificate,
    ca: tls.ca,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    handshakeTimeout: HANDSHAKE_MS,
    sessionIdContext: 'simpul-1',
  });
  const front = createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 });
  const passed = watchDoor(deps, front, secured, unfinishedMax);
  secured.on('secureConnection', (socket) => {
    // Errors of a socket that nobody has taken over yet must not end the process.
    socket.on('error', () => undefined);
    const identity = identityOf(socket, deps.now());
    const tooOften = identity !== null && visits.shut(identity.serial);
    passed(socket, !tooOften && isEnrolled(deps.registry, identity));
    if (identity === null || tooOften) {
      deps.metrics.refusedConnections.inc({ why: identity === null ? 'certificate-unusable' : 'too-often' });
      socket.destroy();
      return;
    }
    admit({ socket, guard: makeGuard(), identity });
  });
  return listen(front, port, host);
}

/**
 * Reads the certificate, also of a resumed session; null if it lacks a name or has expired: a session may be resumed
 * for ever, and TLS looks at the dates only at the first handshake.
 */
function identityOf(socket: TLSSocket, now: number): Identity | null {
  const { subject, serialNumber, valid_to: end } = socket.getPeerCertificate();
  if (typeof subject?.CN !== 'string' || Date.parse(end) < now) return null;
  return { name: subject.CN, serial: serialNumber.toLowerCase() };
}

/** Whether the certificate is the one that its name holds now: an old or revoked one makes no address a kiosk's. */
function isEnrolled(registry: BrokerDeps['registry'], identity: Identity | null): boolean {
  const kiosk = identity === null ? undefined : registry.kiosk(identity.name as KioskName);
  return kiosk !== undefined && !kiosk.revoked && kiosk.serial === identity?.serial;
}

/** Puts the door in front of the handshakes; returns what to call after one, with whether a kiosk came of it. */
function watchDoor(
  deps: BrokerDeps,
  front: Server,
  secured: TlsServer,
  unfinishedMax: number,
): (socket: TLSSocket, good: boolean) => void {
  const door = new Door(deps.now, deps.later);
  /** Connections without a finished handshake, oldest first, with what to call when it ends. */
  const unfinished = new Map<string, { raw: Socket; ended: (good: boolean) => void }>();
  const end = (place: string, good: boolean) => {
    const entry = unfinished.get(place);
    unfinished.delete(place);
    entry?.ended(good);
  };
  front.on('connection', (raw) => {
    const place = placeOf(raw);
    raw.on('error', () => undefined);
    raw.on('close', () => end(place, false));
    const ended = door.arrive(raw.remoteAddress ?? '', {
      enter: () => secured.emit('connection', raw),
      leave() {
        deps.metrics.refusedConnections.inc({ why: 'door-shut' });
        raw.destroy();
      },
    });
    unfinished.set(place, { raw, ended });
    if (unfinished.size > unfinishedMax) {
      for (const { raw: oldest } of unfinished.values()) {
        oldest.destroy();
        break;
      }
    }
  });
  secured.on('tlsClientError', (error, socket) => {
    deps.metrics.refusedConnections.inc({ why: 'handshake' });
    deps.log.info({ address: socket.remoteAddress, why: error.message }, 'handshake failed');
    socket.destroy();
  });
  return (socket, good) => {
    const { remoteAddress = '' } = socket;
    end(placeOf(socket), good);
    // A connection may last for days; what counts is when the kiosk was last there.
    if (good) socket.once('close', () => door.remember(remoteAddress));
  };
}

/** Listens without TLS for measurements; the loopback address is not a parameter. */
export async function listenTcp(port: number, admit: (incoming: Incoming) => void): Promise<Listener> {
  const server = createServer({ noDelay: true }, (socket) => admit({ socket, guard: makeGuard(), identity: null }));
  return listen(server, port, '127.0.0.1');
}
