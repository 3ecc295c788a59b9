/** The kiosk's log for the technician. It may fail, and the till goes on: a full disk must not end a sale. */
import pino from 'pino';
import type { Config } from './config.ts';

export interface Log {
  info(what: string, detail: string): void;
  fatal(what: string, error: unknown): void;
}

/** Opens the log on a file or a file descriptor. @throws the system's error when the file cannot be opened. */
export function openLog(destination: string | number, level: Config['log']): Log {
  const settings = { level, redact: ['key', '*.key', 'witness'] };
  const log = pino(settings, pino.destination({ dest: destination, sync: true }));
  return {
    info: (what, detail) => quietly(() => log.info({ detail }, what)),
    fatal: (what, error) => quietly(() => log.fatal(error, what)),
  };
}

/** pino throws what the disk says. */
function quietly(write: () => void): void {
  try {
    write();
  } catch {
    // The screen tells of a full disk; there is nowhere else to say it.
  }
}
