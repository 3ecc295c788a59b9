/** Ledger files of tests: made in a folder of their own, opened and opened again, gone with the test. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Engine, openEngine } from '../../../../hub/store/sqlite/engine.ts';

/** Most tests ask what is decided, not how fast the disk is: their files live in memory where Linux offers that. */
const FAST = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A file name in a folder that goes away with the test. */
export function ledgerPath(root = FAST): string {
  const folder = mkdtempSync(join(root, 'simpul-ledger-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'ledger.db');
}

/** A file with its engine, which may be closed and opened again as a hub does that starts anew. */
export interface LedgerFile {
  readonly path: string;
  readonly engine: Engine;
  reopen(): void;
  close(): void;
}

/** Opens an engine on a new file, closed with the test if it is still open then. */
export function newFile(): LedgerFile {
  const path = ledgerPath();
  let engine = openEngine({ path });
  onTestFinished(() => engine.close());
  return {
    path,
    get engine() {
      return engine;
    },
    reopen() {
      engine.close();
      engine = openEngine({ path });
    },
    close: () => engine.close(),
  };
}

/** An engine on a new file, closed with the test. */
export function newEngine(path = ledgerPath()): Engine {
  const engine = openEngine({ path });
  onTestFinished(() => engine.close());
  return engine;
}
