/** `simpul-hub cards prepare` as a process: for a box of chips at the vault's own host, to be killed in the middle. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { repository } from './repository.ts';
import type { Slot } from './slot.ts';
import type { Place } from './town.ts';

export interface PrepareProcess {
  /** SIGKILL, at once. */
  kill(): void;
  /** Its reader's slot, once it is there. @throws with what it said if it ends before. */
  connect(): Promise<Duplex>;
  /** Its exit code, null when it was killed, and all that it said. */
  readonly end: Promise<{ readonly code: number | null; readonly said: string }>;
}

/** Ends by itself when one chip is prepared. */
export function prepareOne({ directory }: Place, slot: Slot): PrepareProcess {
  const program = join(repository(), 'hub/bin/simpul-hub.js');
  const command = ['cards', 'prepare', '--data', directory, '--count', '1', '--reader', ...slot.reader.command];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, program, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const ready = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes('is ready')) resolve();
      });
    }
  });
  const end = once(child, 'close').then(([code]) => ({ code: code as number | null, said }));
  return {
    kill: () => void child.kill('SIGKILL'),
    connect: () =>
      Promise.race([
        ready.then(() => slot.connect()),
        end.then(({ code }) => {
          throw new Error(`it ended with ${code}: ${said}`);
        }),
      ]),
    end,
  };
}
