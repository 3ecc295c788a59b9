/** The outside world as the hub receives it, and the real one. */
import { randomBytes } from 'node:crypto';
import { type DestinationStream, type Logger, pino } from 'pino';
import type { Ledger } from './store/ledger.ts';
import { openLedger } from './store/sqlite/ledger.ts';

export interface Edges {
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  /** Runs something after so many milliseconds; returns how to call it off. */
  readonly later: (run: () => void, ms: number) => () => void;
  readonly log: Logger;
  readonly openLedger: (path: string, onFault: (fault: Error) => void) => Promise<Ledger>;
}

/** Never in a log, wherever it may hang in an object. */
const SECRETS = ['key', 'secret', 'passphrase', 'witness', 'privateKey', 'pin', 'sealed'];

/** A full disk under the log must not end the hub: the line is lost, and `simpul-hub doctor` tells of the disk. */
function toStderr(): DestinationStream {
  const stream = pino.destination({ dest: process.stderr.fd, sync: true });
  return {
    write(line) {
      try {
        stream.write(line);
      } catch {
        // pino throws what the disk says; there is nowhere else to say it.
      }
    },
  };
}

/** Log lines as JSON, to stderr unless told otherwise. */
export function makeLog(level: string, to: DestinationStream = toStderr()): Logger {
  const paths = SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);
  return pino({ level, base: null, redact: { paths, censor: '[secret]' } }, to);
}

/** The real clock, chance, timers and disk. */
export function realEdges(log: Logger): Edges {
  return {
    now: Date.now,
    random: randomBytes,
    later: (run, ms) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
    log,
    openLedger: (path, onFault) => openLedger({ path, onFault }),
  };
}
