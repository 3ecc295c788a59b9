/** One kiosk program at a time in a directory: a second one would end the sales of the first and take its line. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { OutboxFault } from './outbox.ts';

/**
 * Holds the directory until it is let go or the process ends, however it ends: the lock is the system's own.
 * @returns how to let go.
 * @throws OutboxFault when another program holds it, or when the disk cannot be used.
 */
export function holdAlone(dir: string): () => void {
  const path = join(dir, 'running.lock');
  try {
    const lock = new Database(path, { timeout: 0 });
    try {
      lock.exec('BEGIN EXCLUSIVE');
    } catch (error) {
      lock.close();
      throw error;
    }
    return () => lock.close();
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    throw new OutboxFault(
      code === 'SQLITE_BUSY'
        ? `${dir} is in use by another simpul-kiosk: stop that one, or give this one a directory of its own`
        : `${path} cannot be locked (${message}): check that ${dir} is there, has space and may be written`,
    );
  }
}
