/** One hub at a time in a data directory: opening the books writes, and the hub that has them open would end. */
import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';

/**
 * Takes a lock that is the system's own: it leaves with the process, however it ends.
 * @returns how to let go, or null while another hub holds it.
 * @throws Error if the disk cannot be used.
 */
export function holdAlone(path: string): (() => void) | null {
  const lock = new Database(path, { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
    return () => lock.close();
  } catch (error) {
    lock.close();
    if ((error as { code?: string }).code === 'SQLITE_BUSY') return null;
    throw error;
  }
}

/** Whether a hub holds it. Only looks: a lock made by another user would keep the hub itself out. */
export function isHeld(path: string): boolean {
  if (!existsSync(path)) return false;
  const lock = new Database(path, { readonly: true, timeout: 0 });
  try {
    lock.prepare('SELECT count(*) FROM sqlite_schema').get();
    return false;
  } catch (error) {
    if ((error as { code?: string }).code === 'SQLITE_BUSY') return true;
    throw error;
  } finally {
    lock.close();
  }
}
