/** The shipped kiosk in a process of its own, in one directory, to be killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configPath } from '../../kiosk/config.ts';
import { copied, eventually } from './kiosk.ts';
import type { Pcscd } from './pcscd.ts';
import { repository } from './repository.ts';

export interface KioskProcess {
  /** Of the process that runs now. */
  readonly pid: number;
  /** Everything it has shown, over all its lives. */
  readonly shown: string;
  /** Resolves when a card may be laid down. */
  start(): Promise<void>;
  /** SIGKILL: nothing is said and nothing is closed. Resolves when it is gone. */
  kill(): Promise<void>;
  /**
   * How the card that was laid down at this place of `shown` ended. A screen may be drawn again when the card before
   * has left or the line changes: only what comes after "hold the card still" is about this one, or that it cannot
   * begin.
   */
  served(from: number): Promise<Shown>;
  /** The first screen from this place of `shown` on that matches, as text from there. */
  until(from: number, what: RegExp, patienceMs?: number): Promise<string>;
  /** Resolves when it is online. One whose back-off has grown long is killed and started again, as people do. */
  online(): Promise<void>;
  /** Resolves when the reader program has noticed that the card left. */
  left(): Promise<void>;
}

export interface Shown {
  readonly ok: boolean;
  readonly text: string;
}

/** How a card ended, or that it was not begun because the hub was away. */
export const ENDED = /Tahan kartu[\s\S]*?^\[(OK|X)\][^[]*|^\[X\][^[]*Tidak terhubung ke pusat/m;

export interface KioskProcessSettings {
  /** Where it dials the hub; the port of its settings when left out. */
  readonly port?: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Whether all that its reader program is told is kept, beside its lines. */
  readonly told?: boolean;
}

const PROGRAM = join(repository(), 'kiosk/bin/simpul-kiosk.js');

/** Other processes of the same test, and of other tests, want the processors too. */
const PATIENCE_MS = 60_000;

/** Enough for its first tries to reach a hub that is there; the shipped back-off grows up to a minute. */
const BACK_OFF_MS = 3_000;

/** Where all lines that the reader program wrote lie; what it was told lies beside, under the same name and `-told`. */
export const readerLines = (dir: string): string => join(dir, 'reader-lines');

/** The kiosk of a directory at a private pcscd, not yet started. */
export function kioskProcess(
  dir: string,
  pcscd: Pcscd,
  { port, env = {}, told = false }: KioskProcessSettings = {},
): KioskProcess {
  const settings = JSON.parse(readFileSync(configPath(dir), 'utf8')) as { hub: { port: number } };
  const hub = { ...settings.hub, port: port ?? settings.hub.port };
  const reader = { command: copied(pcscd, readerLines(dir), told) };
  writeFileSync(configPath(dir), JSON.stringify({ ...settings, hub, reader }));
  let child: ChildProcess | null = null;
  let shown = '';
  let words = '';
  let look = () => {};
  /** Looked at with each thing that is shown: the moment counts. */
  const until: KioskProcess['until'] = (from, what, patienceMs = PATIENCE_MS) =>
    new Promise<string>((resolve, reject) => {
      const impatience = setTimeout(
        () => reject(new Error(`waited in vain for ${what}, and saw: ${shown.slice(from)} ${words}`)),
        patienceMs,
      );
      look = () => {
        if (!what.test(shown.slice(from))) return;
        look = () => {};
        clearTimeout(impatience);
        resolve(shown.slice(from));
      };
      look();
    });
  const kiosk: KioskProcess = {
    get pid() {
      return child?.pid ?? 0;
    },
    get shown() {
      return shown;
    },
    until,
    async served(from) {
      const [text = '', mark] = ENDED.exec(await until(from, ENDED)) ?? [];
      return { ok: mark === 'OK', text };
    },
    async start() {
      const from = shown.length;
      // A test that is ended from outside must not leave a kiosk behind.
      const bound = ['--pdeathsig', 'KILL', process.execPath, PROGRAM, 'run', '--dir', dir];
      const started = spawn('setpriv', bound, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
      child = started;
      started.stdout.on('data', (chunk: Buffer) => {
        shown += chunk.toString();
        look();
      });
      started.stderr.on('data', (chunk: Buffer) => {
        words = (words + chunk.toString()).slice(-1000);
      });
      await until(from, /Siap\. Letakkan kartu/);
    },
    async kill() {
      const killed = child;
      child = null;
      if (killed === null || killed.exitCode !== null || killed.signalCode !== null) return;
      killed.kill('SIGKILL');
      await once(killed, 'exit');
    },
    async left() {
      const last = () =>
        (existsSync(readerLines(dir)) ? readFileSync(readerLines(dir), 'utf8') : '')
          .match(/"type":"(card|gone|ready)"/g)
          ?.at(-1);
      await eventually(
        () => 'the reader to notice that the card has left',
        () => last()?.includes('card') !== true,
        PATIENCE_MS,
      );
    },
    async online() {
      const from = Math.max(0, ...[...shown.matchAll(/Terhubung|Terputus/g)].map(({ index }) => index));
      const came = until(from, /Terhubung/, BACK_OFF_MS).then(
        () => true,
        () => false,
      );
      if (await came) return;
      await kiosk.kill();
      await kiosk.start();
    },
  };
  return kiosk;
}
