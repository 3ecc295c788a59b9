/** The shipped hub in a process of its own, always on the same data and port, to be killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { repository } from './repository.ts';
import type { Place } from './town.ts';

export interface HubProcess {
  /** Serves, if it does not yet; resolves when kiosks may connect. */
  start(): Promise<void>;
  /** SIGKILL, as a crash or a power cut ends it: nothing is said and nothing is closed. Resolves when it is gone. */
  kill(): Promise<void>;
}

const START_MS = 20_000;
/** Below the ports that the system gives to outgoing connections, which could take it while the hub is down. */
const PORTS = { first: 20_000, count: 12_000 } as const;

/** A port that nothing listens on, for hubs that come back to the same one. */
export async function steadyPort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    const server = createServer();
    const free = once(server.listen(port, '127.0.0.1'), 'listening').then(
      () => true,
      () => false,
    );
    if (!(await free)) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** The hub of a place, not yet started. */
export function hubProcess({ directory }: Place): HubProcess {
  const program = join(repository(), 'hub/bin/simpul-hub.js');
  let child: ChildProcess | null = null;
  return {
    async start() {
      if (child !== null) return;
      // A test that is ended from outside must not leave a hub behind.
      const bound = ['--pdeathsig', 'KILL', process.execPath, program, 'serve', '--data', directory];
      const started = spawn('setpriv', bound, { stdio: ['ignore', 'pipe', 'pipe'] });
      child = started;
      await ready(started);
    },
    async kill() {
      const killed = child;
      child = null;
      if (killed === null || killed.exitCode !== null || killed.signalCode !== null) return;
      killed.kill('SIGKILL');
      await once(killed, 'exit');
    },
  };
}

/** Resolves at the one line on standard output that says so. @throws with the hub's last words. */
async function ready(child: ChildProcess): Promise<void> {
  let words = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-1000);
  });
  const told = new Promise<string | null>((resolve) => {
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('"ready":true')) resolve(null);
    });
    child.once('exit', () => resolve('ended'));
    setTimeout(() => resolve('was not ready in time'), START_MS).unref();
  });
  const fault = await told;
  if (fault === null) return;
  child.kill('SIGKILL');
  throw new Error(`the hub ${fault}: ${words}`);
}
