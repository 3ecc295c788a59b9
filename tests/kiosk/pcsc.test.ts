/** The PC/SC reader program against real pcscds: cards come, are torn, and go; pcscd dies and comes back. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openReader } from '../../kiosk/reader.ts';
import { ECHO_UID, layEchoCard } from '../town/echocard.ts';
import { type Lease, openPool, type Pool } from '../town/pcscd.ts';
import { eventsOf } from '../town/readerevents.ts';
import { slotCases } from '../town/slotcases.ts';

const deps = { timers: globalThis, random: Math.random };
let pool: Pool;
beforeAll(async () => {
  pool = await openPool(3);
});
afterAll(() => pool.close());

describe('a PC/SC reader', () => {
  let lease: Lease;
  beforeAll(async () => {
    lease = await pool.lease();
  });
  afterAll(() => lease.release());
  slotCases(() => lease.pcscd);
});

describe.concurrent('a PC/SC reader in trouble', () => {
  test('pcscd dies with a card in the field and comes back: the card is told anew', async () => {
    const { pcscd, release } = await pool.lease();
    const reader = openReader(deps, pcscd.reader);
    const events = eventsOf(reader);
    const first = await pcscd.connect();
    layEchoCard(first);
    const before = await events.next('card');
    await pcscd.kill();
    expect((await events.next('fault')).why).toContain('PC/SC failed');
    // On a busy machine the next try to reach pcscd may have failed by now as well.
    expect(events.all.slice(0, 4).map((event) => event.type)).toEqual(['ready', 'card', 'gone', 'fault']);
    first.destroy();
    await pcscd.start();
    await events.next('ready');
    const again = await pcscd.connect();
    layEchoCard(again);
    const after = await events.next('card');
    expect(after.presence).toBeGreaterThan(before.presence);
    // Repeated faults of the absence are one; a hung program would have added its own.
    expect(events.all.filter((event) => event.type === 'fault' && event.why.includes('The reader program'))).toEqual(
      [],
    );
    expect(await reader.transmit(after.presence, Uint8Array.of(0, 0, 0, 0))).toHaveLength(6);
    again.destroy();
    await reader.close();
    release();
  });

  test('pcscd dies in the middle of a command: the command has no answer', async () => {
    const { pcscd, release } = await pool.lease();
    const reader = openReader(deps, pcscd.reader);
    const events = eventsOf(reader);
    const card = await pcscd.connect();
    let killed: Promise<void> | undefined;
    layEchoCard(card, () => {
      killed = pcscd.kill();
      return false;
    });
    const { presence } = await events.next('card');
    expect(await reader.transmit(presence, Uint8Array.of(0, 0, 0, 0))).toHaveLength(0);
    await events.next('fault');
    await killed;
    card.destroy();
    await pcscd.start();
    await events.next('ready');
    await reader.close();
    release();
  });

  test('a card that the reader sees but cannot talk to is a fault; the next card is served', async () => {
    const { pcscd, release } = await pool.lease();
    const reader = openReader(deps, pcscd.reader);
    const events = eventsOf(reader);
    await events.next('ready');
    const mute = await pcscd.connect();
    layEchoCard(mute, () => true, '6a81');
    expect((await events.next('fault')).why).toContain('cannot talk');
    mute.destroy();
    const card = await pcscd.connect();
    layEchoCard(card);
    expect((await events.next('card')).uid).toBe(ECHO_UID);
    card.destroy();
    await reader.close();
    release();
  });

  test('without pcscd the technician is told, and it is found once it runs', async () => {
    const { pcscd, release } = await pool.lease();
    await pcscd.kill();
    const reader = openReader(deps, pcscd.reader);
    const events = eventsOf(reader);
    expect((await events.next('fault')).why).toContain('systemctl start pcscd');
    await pcscd.start();
    await events.next('ready');
    await reader.close();
    release();
  });
});

test('without nfc-pcsc the technician is told what to install', async () => {
  const program = fileURLToPath(new URL('../../kiosk/pcsc.js', import.meta.url));
  const hide = `import Module from 'node:module';
    const load = Module._load;
    Module._load = (name, ...rest) => {
      if (name === 'nfc-pcsc') throw new Error('none');
      return load(name, ...rest);
    };`;
  const preload = `--import=data:text/javascript,${encodeURIComponent(hide)}`;
  const reader = openReader(deps, { command: [process.execPath, preload, program] });
  expect((await eventsOf(reader).next('fault')).why).toBe(
    'nfc-pcsc is not installed: apt-get install -y libpcsclite-dev pcscd, then npm install',
  );
  await reader.close();
});
