/** A kiosk put together: alone in its directory, and leaving nothing behind when it cannot start. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { holdAlone } from '../../kiosk/alone.ts';
import { readConfig } from '../../kiosk/config.ts';
import { loadIdentity, requestEnrolment } from '../../kiosk/keys.ts';
import { openOutbox } from '../../kiosk/outbox.ts';
import { joinHub, outboxPath, startKiosk } from '../../kiosk/start.ts';
import { makeFolder, makeTown, NAME } from './enrolled.ts';

const EMULATED = new URL('../town/emulatedreader.js', import.meta.url).pathname;
let folder: ReturnType<typeof makeFolder>;
beforeEach(async () => {
  folder = makeFolder();
  const { dir } = folder;
  // Nobody listens at port 1.
  const town = await makeTown(1);
  const request = await requestEnrolment({ randomBytes }, dir, NAME, JSON.stringify(town.card));
  joinHub(dir, JSON.stringify(await town.grant(request)));
});
afterEach(() => folder.remove());

const start = () => {
  const { dir } = folder;
  return startKiosk({
    dir,
    config: { ...readConfig(dir), reader: [process.execPath, EMULATED, join(dir, 'card.sock')] },
    identity: loadIdentity(dir),
    terminal: { input: new PassThrough(), output: new PassThrough(), colour: false, interrupted: () => undefined },
    log: () => undefined,
    failed: (error) => {
      throw error;
    },
  });
};

it('a second kiosk in the same directory is refused while the first one runs, and may follow it', async () => {
  const stop = start();
  expect(start).toThrow(/is in use by another simpul-kiosk: stop that one/);
  await stop();
  await start()();
});

it('an outbox that cannot be read is said, and the directory is free again once the reader has left', async () => {
  const { dir } = folder;
  const { kiosk } = loadIdentity(dir);
  const outbox = openOutbox({ path: outboxPath(dir), kiosk, now: Date.now });
  const seq = outbox.mint(5_000n, 'account');
  outbox.end();
  const db = new Database(outboxPath(dir));
  db.prepare("INSERT INTO receipt VALUES (?, ?, 'no JSON', '', 0, NULL)").run(kiosk, seq);
  db.close();
  expect(start).toThrow(/outbox: malformed JSON/);
  const free = async (): Promise<void> => {
    for (;;) {
      try {
        return holdAlone(dir)();
      } catch {
        await new Promise((done) => setTimeout(done, 20));
      }
    }
  };
  await free();
});
