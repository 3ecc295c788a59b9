/** The served side of a run, a process of its own: the hub, or a plain broker without hooks as echo. */
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { Aedes } from 'aedes';
import { collectAlone } from '../../../hub/collector.ts';
import { hubPaths, readConfig } from '../../../hub/config.ts';
import { makeLog, realEdges } from '../../../hub/edges.ts';
import { readSecret } from '../../../hub/secret.ts';
import { startHub } from '../../../hub/serve.ts';
import { openLedger } from '../../../hub/store/sqlite/ledger.ts';
import { openBenchVault } from './fleet.ts';

export type ServerKind = 'hub' | 'per-request' | 'echo';

export interface ServerOrder {
  readonly kind: ServerKind;
  readonly directory: string;
}

/** What the parent is told once the server listens. */
export interface ServerReady {
  readonly tcp: number;
  readonly tls: number;
}

/** Microseconds of CPU this process has used, its threads included. */
export interface ServerCpu {
  readonly cpu: number;
}

interface Served extends ServerReady {
  readonly close: () => Promise<void>;
}

async function serveHub({ kind, directory }: ServerOrder): Promise<Served> {
  const paths = hubPaths(directory);
  const config = readConfig(paths);
  if (!config.ok) throw new Error(config.error);
  const secret = readSecret(paths, config.config, {});
  if (!secret.ok) throw new Error(secret.error);
  const real = realEdges(makeLog('error'));
  const onFatal = (fault: Error) => {
    throw fault;
  };
  const single: typeof real = {
    ...real,
    openLedger: (path, onFault) => openLedger({ path, onFault, batchMax: 1 }),
  };
  const settings = { ...config.config, port: 0, benchTcpPort: 0, log: 'error' as const };
  const started = await startHub(
    { ...(kind === 'per-request' ? single : real), onFatal },
    { directory, config: settings, secret: secret.secret },
  );
  if (!started.ok) throw new Error(started.error);
  const { hub } = started;
  if (hub.benchTcpPort === undefined) throw new Error('the hub opened no measuring listener');
  return { tcp: hub.benchTcpPort, tls: hub.port, close: () => hub.close() };
}

async function serveEcho({ directory }: ServerOrder): Promise<Served> {
  const paths = hubPaths(directory);
  const broker = await Aedes.createBroker();
  const read = (path: string) => readFileSync(path, 'utf8');
  const key = openBenchVault(directory).tlsKey.export({ type: 'pkcs8', format: 'pem' });
  const front = { cert: read(paths.certificate), ca: read(paths.ca), requestCert: true, rejectUnauthorized: true };
  const tcp = createServer({ noDelay: true }, broker.handle);
  const tls = createTlsServer({ ...front, key, minVersion: 'TLSv1.3', noDelay: true }, broker.handle);
  const listen = (server: Server) =>
    new Promise<number>((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
    );
  return {
    tcp: await listen(tcp),
    tls: await listen(tls),
    close: async () => {
      await new Promise<void>((resolve) => broker.close(resolve));
      tcp.close();
      tls.close();
    },
  };
}

/** The echo gets the same collector as the hub: they differ in their work alone. */
async function serve(order: ServerOrder, say: (message: ServerReady | ServerCpu) => void): Promise<void> {
  collectAlone();
  const { tcp, tls, close } = await (order.kind === 'echo' ? serveEcho(order) : serveHub(order));
  process.on('message', async (ask: 'cpu' | 'close') => {
    if (ask === 'close') {
      await close();
      process.disconnect();
    } else {
      const { user, system } = process.cpuUsage();
      say({ cpu: user + system });
    }
  });
  say({ tcp, tls });
}

await serve(JSON.parse(process.argv[2] ?? '') as ServerOrder, (message) => process.send?.(message));
