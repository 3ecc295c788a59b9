/** The slot of the emulated reader program: the same card that lies on a real pcscd lies here, without PC/SC. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Slot } from './slot.ts';

const PROGRAM = fileURLToPath(new URL('./emulatedreader.js', import.meta.url));
const OPEN_MS = 10_000;

/** Opens a slot; its reader program runs as long as a kiosk's `openReader` does, and cards wait for it. */
export function openEmulatedSlot(): Slot {
  const folder = mkdtempSync(join(tmpdir(), 'simpul-reader-'));
  const path = join(folder, 'card');
  const dial = async (): Promise<Socket> => {
    const deadline = performance.now() + OPEN_MS;
    for (;;) {
      const socket = connect(path);
      try {
        await once(socket, 'connect');
        return socket;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await wait(20);
      }
    }
  };
  return {
    reader: { command: [process.execPath, PROGRAM, path] },
    connect: dial,
    close: async () => rmSync(folder, { recursive: true, force: true }),
  };
}
