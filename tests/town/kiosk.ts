/** The kiosk's own run loop at a private pcscd, with keys to press and a screen to read. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { readConfig } from '../../kiosk/config.ts';
import { startKiosk } from '../../kiosk/start.ts';
import type { Card } from './card.ts';
import type { Trouble } from './field.ts';
import type { Pcscd } from './pcscd.ts';
import { identityOf } from './town.ts';
import { lay, type Offer } from './vpicc.ts';

export interface TownKiosk {
  /** The kiosk's number, new at its enrolment. */
  readonly no: number;
  /** Every screen since the start, each as it was printed. */
  readonly screens: readonly string[];
  /** The next screen, shown or still to come, that has all these words on it. */
  until(...words: string[]): Promise<string>;
  press(keys: string): void;
  /** Types an amount and confirms it. */
  arm(amount: string): Promise<void>;
  lay(card: Card, trouble?: Trouble): Promise<Offer>;
  /** Resolves when the reader has noticed that the card left: it only looks every 400 ms. */
  left(): Promise<void>;
  /** Takes the card away if one lies there and ends the kiosk as its owner does. @throws what had stopped the till. */
  close(): Promise<void>;
}

const PATIENCE_MS = 20_000;

/** Resolves when something holds that is looked at again and again. @throws if it does not hold in time. */
export async function eventually<T>(
  what: () => string,
  look: () => T | null | undefined | false,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const found = look();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what()}`);
    await wait(20);
  }
}

/**
 * The kiosk's reader program, with its lines copied to a file on their way.
 * @param told whether what it is told is copied too, to the file of the same name and `-told`
 */
export function copied(pcscd: Pcscd, path: string, told = false): [string, ...string[]] {
  // The kiosk hands its environment to the reader program, so the private pcscd is named on the command line.
  const env = `PCSCLITE_CSOCK_NAME=${pcscd.socketName}`;
  const copy = `out=$1; shift; ${told ? 'tee -a "$out-told" | ' : ''}"$@" | tee -a "$out"`;
  return ['/usr/bin/env', env, 'sh', '-c', copy, 'sh', path, ...pcscd.reader.command];
}

/**
 * Starts the kiosk that was enrolled in `dir` and waits until it is ready to sell.
 * @param port where it dials the hub; the one of its settings when left out
 */
export async function openKiosk(dir: string, pcscd: Pcscd, port?: number): Promise<TownKiosk> {
  const settings = readConfig(dir);
  const hub = { ...settings.hub, port: port ?? settings.hub.port };
  const lines = join(dir, 'reader-lines');
  const identity = identityOf(dir);
  const input = new PassThrough();
  const screens: string[] = [];
  let read = 0;
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      screens.push(chunk.toString());
      done();
    },
  });
  const failures: unknown[] = [];
  let laid: Offer | null = null;
  const stop = startKiosk({
    dir,
    config: { ...settings, hub, reader: copied(pcscd, lines) },
    identity,
    terminal: { input, output, colour: false, interrupted: () => undefined },
    log: () => undefined,
    failed: (error) => failures.push(error),
  });
  const until = (...words: string[]) =>
    eventually(
      () => `"${words.join('" and "')}" on the screen, which showed: ${screens.slice(read).join('')}`,
      () => {
        const found = screens.findIndex((screen, at) => at >= read && words.every((word) => screen.includes(word)));
        if (found < 0) return null;
        read = found + 1;
        return screens[found];
      },
    );
  const kiosk: TownKiosk = {
    no: identity.kiosk,
    screens,
    until,
    press: (keys) => void input.write(keys),
    async arm(amount) {
      input.write(`${amount}\n`);
      await until('Tekan Enter');
      input.write('\n');
      await until('Tap kartu');
    },
    async lay(card, trouble) {
      laid = lay(card, await pcscd.connect(), trouble);
      return laid;
    },
    async left() {
      const last = () => (existsSync(lines) ? readFileSync(lines, 'utf8') : '').match(/"type":"(card|gone)"/g)?.at(-1);
      await eventually(
        () => 'the reader to notice that the card has left',
        () => last()?.includes('gone'),
      );
    },
    async close() {
      await laid?.remove();
      // Whoever uses this reader next must not meet the card.
      if (laid !== null) await kiosk.left();
      await stop();
      if (failures.length > 0) throw failures[0];
    },
  };
  await until('Siap');
  return kiosk;
}
