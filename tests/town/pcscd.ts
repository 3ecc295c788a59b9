/** Private, real pcscds with Debian's virtual reader driver, each in its own namespaces, without root. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Slot } from './slot.ts';

/** vpcd's own default; every pcscd has a loopback of its own. */
export const VPCD_PORT = 0x8c7b;
const OPEN_MS = 10_000;

/**
 * Without `quickack` Debian's vpcd takes 44 ms a command (Nagle's algorithm against delayed acknowledgement). Over
 * /run lies a file system of our own: it hides the machine's readers and leaves nothing behind. The end of its input,
 * thus also the death of the process that opened it, ends the shell, and the shell's death ends pcscd.
 */
const KEEPER = `
  set -e
  mount -t tmpfs tmpfs /run
  mkdir /run/pcscd /run/readers
  ip link set lo up
  ip route change local 127.0.0.1 dev lo table local src 127.0.0.1 quickack 1
  printf '%s\\n' 'FRIENDLYNAME "Simpul virtual reader"' 'DEVICENAME /dev/null:${VPCD_PORT}' \
    'LIBPATH /usr/lib/pcsc/drivers/serial/libifdvpcd.so' 'CHANNELID ${VPCD_PORT}' > /run/readers/vpcd
  set +e
  pid=
  stop() { [ -z "$pid" ] || { kill -KILL $pid; wait $pid; pid=; } 2>/dev/null; }
  while read -r word; do
    case $word in
      start) setpriv --pdeathsig KILL pcscd --foreground --config /run/readers >/dev/null & pid=$! ;;
      stop) stop ;;
    esac
    echo $word
  done
  stop`;

/** Debian keeps pcscd and ip out of an ordinary user's path. */
const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`;

/** Of programs inside. */
export const ENVIRONMENT: NodeJS.ProcessEnv = { ...process.env, PATH, NODE_OPTIONS: '' };

const PCSC_PROGRAM = fileURLToPath(new URL('../../kiosk/pcsc.js', import.meta.url));
const DIALER_PROGRAM = fileURLToPath(new URL('./dialer.js', import.meta.url));

/** A private pcscd as a slot, with the faults of a real one. */
export interface Pcscd extends Slot {
  /** For the variable PCSCLITE_CSOCK_NAME of any PC/SC client; it holds across `kill` and `start`. */
  readonly socketName: string;
  /** Command and arguments that start a program where it can dial the virtual reader at `VPCD_PORT` of the loopback. */
  readonly inside: readonly [string, ...string[]];
  /** Kills pcscd as a crash would. */
  kill(): Promise<void>;
  /** Starts it again in the same place. */
  start(): Promise<void>;
}

/** Opens one private pcscd. Fails with one line that says why and what to do. */
export async function openPcscd(): Promise<Pcscd> {
  const keeper = spawn('unshare', ['-Urmn', 'sh', '-c', KEEPER], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, PATH },
  });
  let said = '';
  keeper.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-500);
  });
  keeper.stdin.on('error', () => {});
  const over = once(keeper, 'exit').then(
    () => `private pcscd ended: ${said.trim()}; it needs user namespaces (sysctl kernel.unprivileged_userns_clone=1)`,
    (error: Error) => `private pcscd cannot start: ${error.message}; apt-get install -y util-linux`,
  );
  const tell = async (word: string) => {
    keeper.stdin.write(`${word}\n`);
    const why = await Promise.race([once(keeper.stdout, 'data').then(() => undefined), over]);
    if (why !== undefined) throw new Error(why);
  };
  await tell('start');
  const dialer = await openDialer(keeper.pid as number);
  const socketName = `/proc/${keeper.pid}/root/run/pcscd/pcscd.comm`;
  const close = async () => {
    dialer.close();
    keeper.stdin.end();
    await over;
  };
  return {
    socketName,
    inside: inside(keeper.pid as number),
    reader: { command: [process.execPath, PCSC_PROGRAM], env: { PCSCLITE_CSOCK_NAME: socketName } },
    connect: dialer.connect,
    kill: () => tell('stop'),
    start: () => tell('start'),
    close,
  };
}

const inside = (pid: number) =>
  ['nsenter', '-t', `${pid}`, '-U', '-n', '--preserve-credentials'] as [string, ...string[]];

/** A process in the namespace of `pid` that dials vpcd and hands the sockets out. */
async function openDialer(pid: number): Promise<{ connect(): Promise<Socket>; close(): void }> {
  const [enter, ...namespace] = inside(pid);
  const dialer = spawn(enter, [...namespace, process.execPath, DIALER_PROGRAM, `${VPCD_PORT}`], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: ENVIRONMENT,
  });
  const next = () => answerOf(dialer);
  await next();
  let line: Promise<unknown> = Promise.resolve();
  const dial = async (): Promise<Socket> => {
    const deadline = performance.now() + OPEN_MS;
    for (;;) {
      const answer = next();
      dialer.send('dial');
      const { why, socket } = await answer;
      if (socket) return socket;
      if (performance.now() > deadline) throw new Error(`the virtual reader takes no card: ${why}`);
      // vpcd listens only once pcscd has loaded it.
      await wait(20);
    }
  };
  return {
    connect: () => {
      const dialled = line.then(dial);
      line = dialled.catch(() => {});
      return dialled;
    },
    close: () => {
      if (dialer.connected) dialer.disconnect();
    },
  };
}

function answerOf(dialer: ChildProcess): Promise<{ why: string; socket: Socket | undefined }> {
  return new Promise((resolve, reject) => {
    const ended = () => reject(new Error('the namespace of the private pcscd cannot be entered'));
    dialer.once('exit', ended);
    dialer.once('message', (why, handle) => {
      dialer.off('exit', ended);
      resolve({ why: String(why), socket: handle as Socket | undefined });
    });
  });
}

/** A pcscd lent from a pool. */
export interface Lease {
  readonly pcscd: Pcscd;
  /** Gives it back; whoever took cards to it has taken them away and closed the reader. */
  release(): void;
}

/** Lends pcscds; a lease waits until one is free. */
export interface Pool {
  lease(): Promise<Lease>;
  close(): Promise<void>;
}

/**
 * A number of private pcscds opened at once, lent to cases that run side by side: a card in and out costs 0.8 s
 * of polling.
 */
export async function openPool(size: number): Promise<Pool> {
  const all = await Promise.all(Array.from({ length: size }, openPcscd));
  const free = [...all];
  const waiting: ((pcscd: Pcscd) => void)[] = [];
  const give = (pcscd: Pcscd) => {
    const first = waiting.shift();
    if (first) first(pcscd);
    else free.push(pcscd);
  };
  return {
    lease: async () => {
      const pcscd = free.shift() ?? (await new Promise<Pcscd>((resolve) => waiting.push(resolve)));
      return { pcscd, release: () => give(pcscd) };
    },
    close: async () => {
      await Promise.all(all.map((pcscd) => pcscd.close()));
    },
  };
}
