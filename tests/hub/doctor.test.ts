/** Doctor: a healthy hub passes, and each check fails when its part is broken. */

import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type HubConfig, type HubPaths, hubPaths } from '../../hub/config.ts';
import { checkNames, type DoctorDeps, examine, freeBytes, spellFindings } from '../../hub/doctor.ts';
import { makeLog, realEdges } from '../../hub/edges.ts';
import { initHub } from '../../hub/init.ts';
import { startHub } from '../../hub/serve.ts';
import { createVault } from '../../hub/vault.ts';
import { temporary, VAULT_COST } from './world.ts';

const edges = realEdges(makeLog('silent'));
const deps: DoctorDeps = { ...edges, environment: {}, freeBytes: () => 2 ** 40 };
const DAY = 86_400_000;

let pattern: string;

beforeAll(async () => {
  pattern = join(temporary(afterAll), 'data');
  const made = await initHub(edges, { directory: pattern, mode: 'demo', port: 0, vaultCost: VAULT_COST });
  if (!made.ok) throw new Error(made.error);
});

/** A hub to break: a copy, because making one takes a second. */
function makeHub(): HubPaths {
  const directory = join(temporary(), 'data');
  cpSync(pattern, directory, { recursive: true });
  chmodSync(directory, 0o700);
  return hubPaths(directory);
}

/** Doctor opens no ledger for writing: a hub that runs unrecognised would stop. */
const closedBooks = { openLedger: () => Promise.reject(new Error('opened for writing')) };

async function findingOf(paths: HubPaths, check: string, more: Partial<DoctorDeps> = {}) {
  const findings = await examine({ ...deps, ...closedBooks, ...more }, paths.directory);
  const found = findings.find((finding) => finding.check === check);
  if (found === undefined) throw new Error(`no check ${check}`);
  return found;
}

function setConfig(paths: HubPaths, more: Partial<HubConfig>): void {
  writeFileSync(paths.config, JSON.stringify({ ...JSON.parse(readFileSync(paths.config, 'utf8')), ...more }));
}

test('a fresh hub passes every check, but for a warning that its key file lies beside its vault', async () => {
  const paths = makeHub();
  const findings = await examine({ ...deps, freeBytes }, paths.directory);
  expect(findings.map(({ check }) => check)).toEqual(checkNames);
  expect(findings.filter(({ state }) => state === 'fail')).toEqual([]);
  expect(findings.find(({ check }) => check === 'vault')).toMatchObject({ state: 'warn' });
  expect(spellFindings(findings)).toContain('why:  a copy of the directory opens itself');
});

type Breakage = (paths: HubPaths) => unknown;

const breakages: Readonly<Record<string, readonly [string, Breakage][]>> = {
  directory: [['the directory is gone', ({ directory }) => rmSync(directory, { recursive: true })]],
  settings: [
    ['the settings are gone', ({ config }) => rmSync(config)],
    ['a key is wrong', (paths) => setConfig(paths, { port: -1 })],
  ],
  vault: [
    ['the key file is gone', ({ vaultKey }) => rmSync(vaultKey)],
    ['the key file is another', ({ vaultKey }) => writeFileSync(vaultKey, 'other')],
    ['the vault is cut', ({ vault }) => writeFileSync(vault, readFileSync(vault, 'utf8').slice(0, 300))],
  ],
  authority: [
    ['the certificate is gone', ({ ca }) => rmSync(ca)],
    [
      'the vault is another',
      async ({ vault, vaultKey }) => createVault(edges, vault, readFileSync(vaultKey), [], VAULT_COST),
    ],
    ['it has expired', () => ({ now: () => Date.now() + 7400 * DAY })],
  ],
  certificate: [
    ["it is not the vault's", ({ ca, certificate }) => copyFileSync(ca, certificate)],
    ['it is no certificate', ({ certificate }) => writeFileSync(certificate, 'x')],
    ['it has expired', () => ({ now: () => Date.now() + 826 * DAY })],
    ['it is not valid yet', () => ({ now: () => Date.now() - 2 * DAY })],
  ],
  port: [
    [
      'another program has it',
      async (paths) => {
        const server = createServer();
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        onTestFinished(() => void server.close());
        server.on('connection', (socket) => socket.destroy());
        setConfig(paths, { port: (server.address() as AddressInfo).port });
      },
    ],
    ['the address is not of this machine', (paths) => setConfig(paths, { host: '192.0.2.1' })],
  ],
  registry: [
    ['it is gone', ({ registry }) => rmSync(registry)],
    ['it is no database', ({ registry }) => writeFileSync(registry, randomBytes(8192))],
    [
      'it is empty',
      ({ registry }) => {
        const db = new Database(registry);
        db.pragma('foreign_keys = OFF');
        db.exec('DELETE FROM cooperative');
        db.close();
      },
    ],
  ],
  books: [
    ['they are gone', ({ ledger }) => rmSync(ledger)],
    ['they are no database', ({ ledger }) => writeFileSync(ledger, randomBytes(8192))],
    [
      'they do not add up',
      ({ ledger }) => {
        const db = new Database(ledger);
        for (const { name } of db.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").all() as {
          name: string;
        }[]) {
          db.exec(`DROP TRIGGER ${name}`);
        }
        db.exec('UPDATE leg SET amount = amount + 1 WHERE id = (SELECT min(id) FROM leg)');
        db.close();
      },
    ],
  ],
  disk: [['it is nearly full', () => ({ freeBytes: () => 2 ** 20 })]],
  clock: [
    ['it is before the software', () => ({ now: () => Date.UTC(1970, 0, 2) })],
    ['it is before the books', () => ({ now: () => Date.now() - 2 * DAY })],
  ],
};

test('every check has something that breaks it', () => {
  expect(Object.keys(breakages).sort()).toEqual([...checkNames].sort());
});

const cases = Object.entries(breakages).flatMap(([check, list]) =>
  list.map(([what, act]) => [check, what, act] as const),
);

test.each(cases)('%s fails when %s', async (check, _what, act) => {
  const paths = makeHub();
  const more = ((await act(paths)) ?? {}) as Partial<DoctorDeps>;
  const found = await findingOf(paths, check, more);
  expect(found.state).toBe('fail');
  expect(found.why).not.toBe('');
  expect(found.next).not.toBe('');
});

test('what is only unwise is a warning: open files, a measuring port, little room, few days left', async () => {
  const paths = makeHub();
  chmodSync(paths.directory, 0o755);
  expect(await findingOf(paths, 'directory')).toMatchObject({ state: 'warn' });
  chmodSync(paths.vault, 0o644);
  expect(await findingOf(paths, 'vault')).toMatchObject({
    state: 'warn',
    what: expect.stringContaining('read by others'),
  });
  setConfig(paths, { benchTcpPort: 0 });
  expect(await findingOf(paths, 'settings')).toMatchObject({ state: 'warn' });
  expect(await findingOf(paths, 'disk', { freeBytes: () => 2 ** 30 })).toMatchObject({ state: 'warn' });
  const now = () => Date.now() + 800 * DAY;
  expect(await findingOf(paths, 'certificate', { now })).toMatchObject({ state: 'warn' });
});

test('beside a running hub doctor only looks: the port is ours and the books are not opened for writing', async () => {
  const paths = makeHub();
  const config: HubConfig = JSON.parse(readFileSync(paths.config, 'utf8'));
  const secret = readFileSync(paths.vaultKey);
  const started = await startHub(
    { ...edges, onFatal: () => undefined },
    { directory: paths.directory, config, secret },
  );
  if (!started.ok) throw new Error(started.error);
  onTestFinished(() => started.hub.close());
  // The settings were changed since it started.
  setConfig(paths, { port: 0 });
  expect(await findingOf(paths, 'books')).toMatchObject({ state: 'ok', what: 'in use by the running hub' });
  expect(await findingOf(paths, 'port')).toMatchObject({ state: 'warn', next: 'restart the hub' });
  setConfig(paths, { port: started.hub.port });
  expect(await findingOf(paths, 'port')).toMatchObject({ state: 'ok', what: expect.stringContaining('is running') });
  expect(await findingOf(paths, 'books')).toMatchObject({ state: 'ok' });
});

test('however often doctor is asked, a running hub goes on deciding', async () => {
  const paths = makeHub();
  const config: HubConfig = JSON.parse(readFileSync(paths.config, 'utf8'));
  const secret = readFileSync(paths.vaultKey);
  const faults: Error[] = [];
  const hub = { ...edges, onFatal: (fault: Error) => void faults.push(fault) };
  const started = await startHub(hub, { directory: paths.directory, config, secret });
  if (!started.ok) throw new Error(started.error);
  onTestFinished(() => started.hub.close());
  setConfig(paths, { port: started.hub.port });
  for (let visit = 0; visit < 6; visit++) expect(await findingOf(paths, 'port')).toMatchObject({ state: 'ok' });
  await started.hub.ledger.alarm({ at: Date.now(), kind: 'test', kiosk: '-', detail: 'still deciding' });
  expect(faults).toEqual([]);
});

test('a directory that never was a hub fails plainly', async () => {
  const directory = join(temporary(), 'empty');
  mkdirSync(directory);
  const findings = await examine(deps, hubPaths(directory).directory);
  expect(findings.filter(({ state }) => state === 'fail').length).toBeGreaterThan(4);
});
