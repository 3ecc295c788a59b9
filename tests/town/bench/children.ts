/** The processes of a bench: started with an order, asked over their channel, always ended. */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { repository } from '../repository.ts';

/** A process that answers. */
export interface Child {
  /** The next message that fits. @throws if the process ends before. */
  next<Message>(fits: (message: unknown) => message is Message): Promise<Message>;
  say(message: string): void;
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  kill(): void;
}

/** How many microseconds each fsync of a process takes longer, and the library that makes it so. */
export interface SyncDelay {
  readonly us: number;
  readonly library: string;
}

/** Compiles the fsync delay; @throws one clear line where no compiler is. */
export function compileDelay(directory: string, us: number): SyncDelay {
  const library = join(directory, 'syncdelay.so');
  const source = join(repository(), 'tests/town/bench/syncdelay.c');
  try {
    execFileSync('gcc', ['-O2', '-shared', '-fPIC', '-o', library, source, '-ldl'], { stdio: 'pipe' });
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const why = missing ? 'gcc is missing; install it with: apt-get install -y gcc' : (error as Error).message;
    throw new Error(`the fsync delay cannot be compiled: ${why}`);
  }
  return { us, library };
}

/** Starts one of the bench's programs; with a delay, its fsyncs take that much longer. */
export function startChild(program: string, order: unknown, delay: SyncDelay | null): Child {
  const path = fileURLToPath(new URL(`./${program}.js`, import.meta.url));
  const env = delay === null ? {} : { LD_PRELOAD: delay.library, SYNC_DELAY_US: String(delay.us) };
  const child: ChildProcess = fork(path, [JSON.stringify(order)], { env: { ...process.env, ...env } });
  const heard: unknown[] = [];
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const look of [...waiting]) look();
  };
  let over: string | null = null;
  child.on('message', (message) => {
    heard.push(message);
    wake();
  });
  child.on('exit', (code, signal) => {
    over = `${program} ended with ${signal ?? code}`;
    wake();
  });
  return {
    next: (fits) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const at = heard.findIndex(fits);
          if (at < 0 && over === null) return;
          waiting.delete(look);
          if (at < 0) reject(new Error(over ?? ''));
          else resolve(heard.splice(at, 1)[0] as never);
        };
        waiting.add(look);
        look();
      }),
    say: (message) => void child.send(message),
    ended: once(child, 'exit').then(() => undefined),
    kill: () => void child.kill('SIGKILL'),
  };
}
