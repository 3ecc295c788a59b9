/** The doctor: a healthy kiosk passes, and each check fails for its own cause with a next step. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer as createPlainServer } from 'node:net';
import { join } from 'node:path';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { Aedes } from 'aedes';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type CheckName,
  type DoctorDeps,
  diagnose,
  doctorDeps,
  sound,
  spell,
  usualChecks,
} from '../../kiosk/doctor.ts';
import { requestEnrolment } from '../../kiosk/keys.ts';
import { joinHub, outboxPath } from '../../kiosk/start.ts';
import { encode } from '../../protocol/envelope.ts';
import { BEACON_TOPIC } from '../../protocol/topics.ts';
import { makeFolder, makeTown, NAME, type Town } from './enrolled.ts';

const DAY = 86_400_000;
const EMULATED = new URL('../town/emulatedreader.js', import.meta.url).pathname;
const NOW = Date.now();

let town: Town;
let server: Server;
let broker: Aedes;
let folder: ReturnType<typeof makeFolder>;

beforeAll(async () => {
  server = createServer({ requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' });
  broker = await Aedes.createBroker();
  server.on('secureConnection', (socket: TLSSocket) => broker.handle(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  town = await makeTown((server.address() as AddressInfo).port);
  server.setSecureContext(town.tls);
});
afterAll(async () => {
  await new Promise<void>((done) => broker.close(done));
  server.close();
});

beforeEach(async () => {
  folder = makeFolder();
  const request = await requestEnrolment({ randomBytes }, folder.dir, NAME, JSON.stringify(town.card));
  joinHub(folder.dir, JSON.stringify(await town.grant(request)));
  change((settings) => ({
    ...settings,
    reader: { command: [process.execPath, EMULATED, join(folder.dir, 'card.sock')] },
  }));
});
afterEach(() => folder.remove());

function change(edit: (settings: Record<string, unknown>) => Record<string, unknown>): void {
  const path = join(folder.dir, 'kiosk.json');
  writeFileSync(path, JSON.stringify(edit(JSON.parse(readFileSync(path, 'utf8')))));
}

const deps = (changes: Partial<DoctorDeps> = {}): DoctorDeps => ({
  ...doctorDeps(folder.dir),
  waitMs: 5_000,
  ...changes,
});

/** What one check said. */
async function said(check: CheckName, changes: Partial<DoctorDeps> = {}) {
  const [finding] = await diagnose(deps(changes), [check]);
  if (finding === undefined) throw new Error(`no check ${check}`);
  if (finding.status !== 'ok') expect(finding.next).not.toBe('');
  return finding;
}

/** Says a beacon of this time to whoever listens. */
function beaconOf(ms: number): void {
  const text = encode({ id: 'b', at: ms, n: 1, body: { slot: Math.floor(ms / 10_000), value: 'deadbeef' } });
  const packet = {
    cmd: 'publish',
    topic: BEACON_TOPIC,
    payload: Buffer.from(text),
    qos: 1,
    retain: true,
    dup: false,
  } as const;
  broker.publish(packet, () => undefined);
}

describe('a healthy kiosk', () => {
  it('passes every check with exit code 0', async () => {
    const findings = await diagnose(deps(), usualChecks);
    expect(findings.map(({ check, status, what }) => (status === 'ok' ? check : `${check}: ${what}`))).toEqual([
      'config',
      'keys',
      'clock',
      'dns',
      'tls',
      'outbox',
      'pcscd',
      'reader',
    ]);
    expect(sound(findings)).toBe(true);
    expect(spell(findings)).toContain('TLSv1.3 with Simpul hub, both sides proven');
    expect(spell(findings)).toContain('role stall, certificate good for');
  });

  it('says so in JSON on the command line', async () => {
    const bin = new URL('../../kiosk/main.js', import.meta.url).pathname;
    const child = spawn(process.execPath, [bin, 'doctor', '--json', '--dir', folder.dir]);
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    const [code] = (await once(child, 'close')) as [number];
    expect(JSON.parse(text)).toMatchObject({
      ok: true,
      checks: [{ check: 'config', status: 'ok' }, {}, {}, {}, {}, {}, {}, {}],
    });
    expect(code).toBe(0);
  });
});

describe('the check', () => {
  it('config names every wrong key', async () => {
    change((settings) => ({ ...settings, hub: { host: '', port: 0, serverName: 'x' }, colour: 'red' }));
    const { status, what } = await said('config');
    expect(status).toBe('fail');
    for (const key of ['/hub/host', '/hub/port', 'colour']) expect(what).toContain(key);
    rmSync(join(folder.dir, 'kiosk.json'));
    expect((await said('config')).what).toContain('is missing');
  });

  it('keys fails without enrolment, with a certificate that ended, and with keys others can read', async () => {
    expect((await said('keys', { now: () => NOW + 810 * DAY })).status).toBe('warn');
    expect((await said('keys', { now: () => NOW + 900 * DAY })).what).toContain('ended');
    chmodSync(join(folder.dir, 'keys.json'), 0o644);
    expect((await said('keys')).what).toContain('others can read');
    rmSync(join(folder.dir, 'grant.json'));
    expect((await said('keys')).what).toContain('enrol accept');
  });

  it('clock fails when it is before our certificate', async () => {
    expect((await said('clock', { now: () => 0 })).next).toContain('timedatectl');
  });

  it('dns fails for a host nobody knows', async () => {
    change((settings) => ({ ...settings, hub: { host: 'hub.invalid', port: 1, serverName: 'x' } }));
    expect(await said('dns')).toMatchObject({ status: 'fail' });
  });

  it('tls fails for another hub, a wrong name, a closed port and a hub that refuses us', async () => {
    const { port } = server.address() as AddressInfo;
    change((settings) => ({ ...settings, hub: { host: '127.0.0.1', port, serverName: 'elsewhere.example' } }));
    expect((await said('tls')).what).toContain('elsewhere.example');
    change((settings) => ({ ...settings, hub: { host: '127.0.0.1', port: 1, serverName: 'localhost' } }));
    expect((await said('tls')).what).toContain('ECONNREFUSED');
    const other = await makeTown(1);
    const stranger = createServer({ ...town.tls, ca: other.tls.ca, requestCert: true, rejectUnauthorized: true });
    stranger.on('tlsClientError', () => undefined);
    stranger.listen(0, '127.0.0.1');
    await once(stranger, 'listening');
    const hub = { host: '127.0.0.1', port: (stranger.address() as AddressInfo).port, serverName: 'localhost' };
    change((settings) => ({ ...settings, hub }));
    expect(await said('tls')).toMatchObject({ status: 'fail' });
    stranger.close();
  });

  it('tls fails for a hub that says nothing', async () => {
    const mute = createPlainServer(() => undefined).listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const hub = { host: '127.0.0.1', port: (mute.address() as AddressInfo).port, serverName: 'localhost' };
    change((settings) => ({ ...settings, hub }));
    expect((await said('tls', { waitMs: 300 })).what).toContain('does not answer');
    mute.close();
  });

  it('outbox fails when it cannot be opened and warns before the disk is full', async () => {
    expect((await said('outbox', { freeBytes: async () => 30 * 1024 * 1024 })).status).toBe('warn');
    expect((await said('outbox', { freeBytes: async () => 1024 })).status).toBe('fail');
    rmSync(outboxPath(folder.dir), { force: true });
    expect((await said('outbox')).what).toContain('sale numbers that this kiosk has used: enrol it anew');
    mkdirSync(outboxPath(folder.dir));
    expect(await said('outbox')).toMatchObject({ status: 'fail' });
  });

  it('pcscd fails when nobody listens', async () => {
    change(({ reader: _, ...settings }) => settings);
    const finding = await said('pcscd', { pcscSocket: join(folder.dir, 'none'), waitMs: 300 });
    expect(finding).toMatchObject({ status: 'fail', next: expect.stringContaining('pcscd') });
  });

  it('reader fails when its program does not start', async () => {
    change((settings) => ({ ...settings, reader: { command: ['/nonexistent/reader'] } }));
    expect(await said('reader')).toMatchObject({ status: 'fail' });
  });

  it('card warns when none comes', async () => {
    expect(await said('card', { waitMs: 500 })).toMatchObject({ status: 'warn' });
  });

  it('beacon warns when the clocks differ and fails when none is heard', async () => {
    expect(await said('beacon', { waitMs: 700 })).toMatchObject({ status: 'fail' });
    beaconOf(NOW);
    expect(await said('beacon', { now: () => NOW + 5_000 })).toMatchObject({ status: 'ok' });
    expect((await said('beacon', { now: () => NOW + 300_000 })).what).toContain('off the hub');
    expect((await said('beacon', { now: () => NOW - 300_000 })).status).toBe('warn');
  });
});
