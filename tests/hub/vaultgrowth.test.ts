/** The vault grows by added keys only: made alone, completed, rotated; old cards keep theirs whatever happens. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type HubPaths, hubPaths } from '../../hub/config.ts';
import { makeLog, realEdges } from '../../hub/edges.ts';
import { initHub } from '../../hub/init.ts';
import { handOver, initKeys, rotateKeys, spellGrown } from '../../hub/keys.ts';
import { sealText, unsealText } from '../../hub/sealedfile.ts';
import { startHub } from '../../hub/serve.ts';
import { holdAlone } from '../../hub/store/sqlite/alone.ts';
import { openRegistry } from '../../hub/store/sqlite/registry.ts';
import { openVault, type Vault } from '../../hub/vault.ts';
import { openMasters } from '../../hub/vaultmasters.ts';
import type { CardUid, CooperativeId } from '../../protocol/ids.ts';
import { repository } from '../town/repository.ts';
import { openWorld, temporary, VAULT_COST } from './world.ts';

const BIN = join(repository(), 'hub/bin/simpul-hub.js');
const UID = '04115350554c80' as CardUid;
const PASAR = 'pasar' as CooperativeId;
const KUD = 'kud' as CooperativeId;
const PURPOSES = ['app', 'debit', 'credit', 'tmac', 'spare', 'sun'] as const;
const edges = realEdges(makeLog('silent'));
const environment = {};

interface Row {
  readonly purpose: string;
  readonly issuer: string;
  readonly from: number;
  readonly key: string;
  readonly check: string;
}

interface Contents {
  readonly masters: readonly Row[];
  readonly secrets: readonly Row[];
  readonly ca: string;
  readonly tls: string;
  readonly sealing: { readonly privateKey: string };
  readonly statement?: string;
}

function simpul(env: Record<string, string>, args: readonly string[], preload: readonly string[] = []) {
  const options = { encoding: 'utf8', env: { PATH: process.env.PATH, ...env } } as const;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [...preload, BIN, ...args], options);
  return { code: status, signal, out: stdout, err: stderr };
}

function contentsOf({ vault }: HubPaths, secret: Uint8Array): Contents {
  const opened = unsealText('simpul-1 vault', secret, readFileSync(vault, 'utf8'));
  if (!opened.ok) throw new Error(opened.why);
  return JSON.parse(opened.text);
}

function mustOpen({ vault }: HubPaths, secret: Uint8Array): Vault {
  const opened = openVault(edges, vault, secret);
  if (!opened.ok) throw new Error(opened.error);
  return opened.vault;
}

/** A vault without a hub around it, as `keys init` makes it, and what can be done to it. */
async function makeVault(directory = join(temporary(), 'data')) {
  const paths = hubPaths(directory);
  const grow = () => initKeys(edges, { directory, environment, cost: VAULT_COST });
  const made = await grow();
  if (!made.ok) throw new Error(made.error);
  const { secret } = made;
  return {
    directory,
    paths,
    secret,
    grow,
    contents: () => contentsOf(paths, secret),
    open: () => mustOpen(paths, secret),
    reseal: (changed: object) => reseal(paths, secret, changed),
    rotate: (purpose: string, issuer?: string) =>
      rotateKeys(edges, { directory, secret, purpose, issuer, cost: VAULT_COST }),
  };
}

/** The same in a whole hub that is not running. */
async function makeHub() {
  const vault = await makeVault();
  const made = await initHub(edges, { directory: vault.directory, mode: 'demo', port: 0 });
  if (!made.ok) throw new Error(made.error);
  return vault;
}

function reseal({ vault }: HubPaths, secret: Uint8Array, changed: object): void {
  writeFileSync(vault, sealText(randomBytes, 'simpul-1 vault', secret, JSON.stringify(changed), VAULT_COST));
}

/** The vault as it was made before spare keys, SUN, kiosks' boxes and statements. */
function older({ statement: _, ...contents }: Contents) {
  return {
    ...contents,
    masters: contents.masters.filter(({ purpose }) => !['spare', 'sun'].includes(purpose)),
    secrets: contents.secrets.filter(({ purpose }) => !['witness', 'release'].includes(purpose)),
  };
}

/** Every key of a card that is made under these versions, as hex. */
function cardOf(vault: Vault, issuer: CooperativeId, keyVersion: number, tmacKeyVersion: number) {
  const keys = vault.cardKeys(issuer, UID, { keyVersion, tmacKeyVersion });
  if (keys === null) throw new Error(`no keys for ${issuer}`);
  const all = { ...keys, sunMeta: vault.sunMetaKey(keyVersion), sunFile: vault.sunFileKey(UID, keyVersion) };
  return Object.fromEntries(Object.entries(all).map(([name, key]) => [name, Buffer.from(key).toString('hex')]));
}

/** Every way in which the keys of a vault could stand in a text. */
function spellings({ masters, secrets, sealing, ...pems }: Contents): string[] {
  const keys = [...masters, ...secrets, { key: sealing.privateKey }].map(({ key }) => Buffer.from(key, 'hex'));
  return [
    ...keys.flatMap((key) => [
      key.toString('hex'),
      key.toString('base64').replace(/=+$/, ''),
      key.toString('base64url'),
    ]),
    ...[pems.ca, pems.tls, pems.statement ?? ''].flatMap((pem) => pem.trim().split('\n').slice(1, -1)),
  ];
}

test('keys init makes the vault alone; init then uses it; a second keys init adds nothing', async () => {
  const directory = join(temporary(), 'data');
  const paths = hubPaths(directory);
  const first = simpul({}, ['keys', 'init', '--data', directory]);
  expect([first.code, first.err]).toEqual([0, '']);
  expect(first.out).toContain(`Made ${paths.vault}; keep ${paths.vaultKey} safe:`);
  expect(readdirSync(directory).sort()).toEqual(['running.lock', 'vault.json', 'vault.key']);
  const secret = readFileSync(paths.vaultKey);
  const before = readFileSync(paths.vault, 'utf8');
  const contents = contentsOf(paths, secret);
  for (const { check } of [...contents.masters, ...contents.secrets]) expect(first.out).toContain(check);

  const again = await initKeys(edges, { directory, environment });
  if (!again.ok) throw new Error(again.error);
  expect([again.made, again.added]).toEqual([false, []]);
  expect(spellGrown(paths, again)).toBe(`${paths.vault} lacks nothing: nothing was changed\n`);
  const made = await initHub(edges, { directory, mode: 'demo', port: 0, vaultCost: VAULT_COST });
  expect(made).toMatchObject({ ok: true, vaultMade: false });
  expect(readFileSync(paths.vault, 'utf8')).toBe(before);
  expect(readFileSync(paths.vaultKey)).toEqual(secret);
  expect(await initKeys(edges, { directory, environment })).toMatchObject({ ok: true, added: [] });
  const said = first.out + simpul({}, ['keys', 'list', '--data', directory]).out;
  expect(spellings(contents).filter((spelling) => said.includes(spelling))).toEqual([]);
});

test('a vault under a passphrase is made and used with it, and with no other', async () => {
  const directory = join(temporary(), 'data');
  expect(simpul({}, ['keys', 'init', '--data', directory, '--passphrase'])).toMatchObject({
    code: 1,
    err: 'simpul-hub: --passphrase takes it from SIMPUL_PASSPHRASE, which is not set; set it\n',
  });
  expect(existsSync(directory)).toBe(false);
  const grow = async (more: object) => {
    const grown = await initKeys(edges, { directory, environment, cost: VAULT_COST, ...more });
    return grown.ok ? grown : grown.error;
  };
  expect(await grow({ passphrase: 'kopi' })).toMatchObject({ made: true });
  const { vault, vaultKey } = hubPaths(directory);
  const before = readFileSync(vault, 'utf8');
  expect(await grow({ passphrase: 'kopi', town: join(directory, 'no') })).toContain('ENOENT');
  expect(await grow({})).toContain('bring vault.key back, or give its passphrase');
  expect(await grow({ passphrase: 'teh' })).toContain('does not open with this passphrase');
  expect(await initHub(edges, { directory, mode: 'demo', passphrase: 'teh' })).toMatchObject({ ok: false });
  expect(await initHub(edges, { directory, mode: 'demo', passphrase: 'kopi' })).toMatchObject({
    ok: true,
    vaultMade: false,
  });
  // Now the settings say what opens it.
  expect(await grow({ environment: { SIMPUL_PASSPHRASE: 'kopi' } })).toMatchObject({ made: false, added: [] });
  expect(await grow({ environment: { SIMPUL_PASSPHRASE: 'teh' } })).toContain('does not open with this passphrase');
  expect(await grow({ passphrase: 'kopi' })).toContain('set SIMPUL_PASSPHRASE');
  expect([readFileSync(vault, 'utf8'), existsSync(vaultKey)]).toEqual([before, false]);
});

test('books without their vault get no new one: it would know none of the cards', async () => {
  const { directory, paths, grow } = await makeHub();
  rmSync(paths.vault);
  const refusal = await grow();
  expect(refusal).toMatchObject({ ok: false, error: expect.stringContaining('restore') });
  expect(existsSync(paths.vault)).toBe(false);
  expect(readdirSync(directory)).toContain('ledger.db');
});

test('a vault of an older make says what it lacks, is completed, and keeps every key that it had', async () => {
  const hub = await makeHub();
  const whole = hub.contents();
  const before = older(whole);
  hub.reseal(before);
  expect(openVault(edges, hub.paths.vault, hub.secret)).toEqual({
    ok: false,
    error:
      `vault ${hub.paths.vault} is of an older make and lacks: spare master, sun master, witness secret, ` +
      'release secret, statement key; run simpul-hub keys init to add it',
  });

  const grown = simpul({}, ['keys', 'init', '--data', hub.directory]);
  const after = hub.contents();
  expect([grown.code, grown.err]).toEqual([0, '']);
  expect(after.masters.slice(0, before.masters.length)).toEqual(before.masters);
  expect(after.secrets.slice(0, before.secrets.length)).toEqual(before.secrets);
  expect([after.ca, after.tls, after.sealing]).toEqual([before.ca, before.tls, before.sealing]);
  const added = [...after.masters.slice(before.masters.length), ...after.secrets.slice(before.secrets.length)];
  expect(added.map(({ purpose }) => purpose)).toEqual(['spare', 'sun', 'witness', 'release']);
  const rows = grown.out.trimEnd().split('\n').slice(2);
  expect(rows.map((row) => row.split(/\s+/)[1])).toEqual(['spare', 'sun', 'witness', 'release', 'statement']);
  for (const [at, { check }] of added.entries()) expect(rows[at]).toMatch(new RegExp(` ${check}$`));
  expect(spellings(after).filter((spelling) => grown.out.includes(spelling))).toEqual([]);
  expect(await hub.grow()).toMatchObject({ ok: true, made: false, added: [] });
  expect(hub.open().sunMetaKey(1)).toHaveLength(16);
});

test('a cooperative that joined later gets its masters, and no other cooperative new ones', async () => {
  const hub = await makeHub();
  const before = hub.contents();
  const registry = openRegistry({ path: hub.paths.registry });
  registry.putCooperative({ id: 'nelayan' as CooperativeId, name: 'Koperasi Nelayan', netDebitCap: 0n });
  registry.close();
  expect(await hub.grow()).toMatchObject({
    ok: true,
    added: [
      { purpose: 'tmac', issuer: 'nelayan', from: 0 },
      { purpose: 'credit', issuer: 'nelayan', from: 0 },
    ],
  });
  expect(hub.contents().masters.slice(0, -2)).toEqual(before.masters);
  expect(
    hub
      .open()
      .versions()
      .tmacKeyVersions.get('nelayan' as CooperativeId),
  ).toBe(1);
});

test.each(
  PURPOSES,
)('after the %s master is rotated, old cards keep every key and new cards get a new one', async (purpose) => {
  const { open, rotate, contents } = await makeVault();
  const issuer = ['tmac', 'credit'].includes(purpose) ? 'pasar' : undefined;
  const [before, old] = [contents(), cardOf(open(), PASAR, 1, 1)];
  const others = cardOf(open(), KUD, 2, 2);
  const keysOfNext = cardOf(open(), PASAR, 2, 2);
  const rotated = await rotate(purpose, issuer);
  const fresh = contents().masters.at(-1);
  const told = { kind: 'master', purpose, issuer: issuer ?? null, from: 2, check: fresh?.check };
  expect(rotated).toEqual({ ok: true, master: told });
  expect(contents().masters.slice(0, -1)).toEqual(before.masters);
  expect(contents().secrets).toEqual(before.secrets);

  const vault = open();
  expect(cardOf(vault, PASAR, 1, 1)).toEqual(old);
  const next = cardOf(vault, PASAR, 2, 2);
  const changed = Object.keys(next).filter((name) => next[name] !== keysOfNext[name]);
  expect(changed).toEqual({ spare: ['spare2', 'spare4'], sun: ['sunMeta', 'sunFile'] }[purpose as string] ?? [purpose]);
  if (issuer !== undefined) expect(cardOf(vault, KUD, 2, 2)).toEqual(others);
  const newest = vault.versions();
  expect([newest.keyVersion, newest.tmacKeyVersions.get(PASAR)]).toEqual(purpose === 'tmac' ? [1, 2] : [2, 1]);
  expect(newest.tmacKeyVersions.get(KUD)).toBe(1);
});

test('rotated twice, each master serves its own versions and no version has two', async () => {
  const { open, rotate, directory } = await makeVault();
  const first = cardOf(open(), PASAR, 1, 1);
  expect(await rotate('debit')).toMatchObject({ ok: true, master: { from: 2 } });
  const second = cardOf(open(), PASAR, 2, 1);
  // Another purpose takes the next version too: a card has one version for all its keys.
  expect(await rotate('app')).toMatchObject({ ok: true, master: { from: 3 } });
  expect(await rotate('debit')).toMatchObject({ ok: true, master: { from: 4 } });
  expect(await rotate('tmac', 'kud')).toMatchObject({ ok: true, master: { from: 2 } });
  expect(await rotate('tmac', 'kud')).toMatchObject({ ok: true, master: { from: 3 } });
  const vault = open();
  expect(cardOf(vault, PASAR, 1, 1)).toEqual(first);
  expect(cardOf(vault, PASAR, 2, 1)).toEqual(second);
  expect(vault.versions()).toMatchObject({ keyVersion: 4 });
  const out = join(directory, 'kud.masters');
  const passphrase = Buffer.from('kopi');
  expect(handOver(vault, { issuer: 'kud', out, passphrase, cost: VAULT_COST })).toMatchObject({
    ok: true,
    masters: [{ from: 0 }, { from: 2 }, { from: 3 }],
  });
  const handed = openMasters(readFileSync(out, 'utf8'), passphrase);
  if (!handed.ok) throw new Error(handed.why);
  for (const version of [1, 2, 3, 4]) {
    expect(handed.masters.tmacKey(UID, version)).toEqual(vault.tmacKey(KUD, UID, version));
  }
});

test('a new master begins after every version that a card has, or may have got', async () => {
  const { paths, rotate } = await makeHub();
  const registry = openRegistry({ path: paths.registry });
  const pilot = JSON.parse(readFileSync(new URL('../../../hub/pilot.json', import.meta.url), 'utf8'));
  const cards = pilot.cards.map(({ uid }: { uid: CardUid }) => registry.card(uid));
  const [ofPasar] = cards.filter((card: { issuer: string }) => card.issuer === 'pasar');
  registry.putCard({ ...ofPasar, keyVersion: 9, tmacKeyVersion: 7 });
  registry.close();
  expect(await rotate('debit')).toMatchObject({ ok: true, master: { from: 10 } });
  expect(await rotate('spare')).toMatchObject({ ok: true, master: { from: 11 } });
  expect(await rotate('tmac', 'pasar')).toMatchObject({ ok: true, master: { from: 8 } });
  expect(await rotate('tmac', 'kud')).toMatchObject({ ok: true, master: { from: 2 } });
  // What was only begun counts: the card may have the key, and a chip from the box has one before it is a card.
  const stock = openRegistry({ path: paths.registry });
  stock.putChip({ uid: UID, profile: 'desfire-light', keyVersion: 13 });
  stock.journalKey({ uid: ofPasar.uid, no: 15, from: 8, to: 9, at: 0 });
  stock.close();
  expect(await rotate('debit')).toMatchObject({ ok: true, master: { from: 14 } });
  expect(await rotate('tmac', 'pasar')).toMatchObject({ ok: true, master: { from: 10 } });
  const later = openRegistry({ path: paths.registry });
  later.journalKey({ uid: ofPasar.uid, no: 2, from: 9, to: 16, at: 0 });
  later.close();
  expect(await rotate('sun')).toMatchObject({ ok: true, master: { from: 17 } });
  const ended = openRegistry({ path: paths.registry });
  ended.journalKey({ uid: ofPasar.uid, no: 0, from: 16, to: 255, at: 0 });
  ended.proveKeys(ofPasar.uid, 255);
  ended.close();
  expect(await rotate('app')).toMatchObject({ ok: true, master: { from: 18 } });
});

test('nothing comes after version 254, and a purpose or cooperative that does not exist has no master', async () => {
  const { rotate, contents, reseal, paths } = await makeVault();
  const whole = contents();
  const last = whole.masters.map((row) =>
    row.purpose === 'credit' && row.issuer === 'kud' ? { ...row, from: 254 } : row,
  );
  reseal({ ...whole, masters: [...whole.masters, ...last.filter(({ from }) => from === 254)] });
  const before = readFileSync(paths.vault, 'utf8');
  const refusal = async (purpose: string, issuer?: string) => {
    const rotated = await rotate(purpose, issuer);
    return rotated.ok ? 'rotated' : rotated.error;
  };
  expect(await refusal('debit')).toBe(
    'cards may have key version 254 already, which is the last, and none is used twice; nothing was changed; ' +
      'to go on, make a new hub with simpul-hub init in an empty directory, and give out new cards from it',
  );
  const known = 'pasar, angkot, taksi, toko, simpan-pinjam, kud';
  expect(await refusal('tmac', 'pasir')).toBe(`the vault holds no tmac master of pasir; name one of ${known}`);
  expect(await refusal('tmac', '-')).toBe(`the vault holds no tmac master of -; name one of ${known}`);
  expect(await refusal('credit')).toBe(`each cooperative has credit masters of its own; add --issuer, one of ${known}`);
  expect(await refusal('app', 'pasar')).toBe('the app master serves the cards of all cooperatives; leave out --issuer');
  expect(await refusal('receipt')).toBe(
    'there are no receipt masters; name one of app, debit, credit, tmac, spare, sun',
  );
  expect(readFileSync(paths.vault, 'utf8')).toBe(before);
});

test('with a wrong passphrase nothing is rotated', async () => {
  const { directory, paths } = await makeVault();
  const before = readFileSync(paths.vault, 'utf8');
  const secret = Buffer.from('kopi susu');
  expect(await rotateKeys(edges, { directory, secret, purpose: 'app', cost: VAULT_COST })).toEqual({
    ok: false,
    error: `vault ${paths.vault} does not open with this passphrase or key file; give the one it was made with`,
  });
  expect(readFileSync(paths.vault, 'utf8')).toBe(before);
});

/** Dies by SIGKILL at one step of writing the vault's file, as when the power goes. */
const steps: Readonly<Record<string, string>> = {
  'before a byte is written': 'fs.writeFileSync = (file, text) => typeof file === "number" ? die() : real(file, text)',
  'with half of it written': `fs.writeFileSync = (file, text) =>
    typeof file === "number" ? (real(file, text.slice(0, text.length / 2)), die()) : real(file, text)`,
  'before the new file takes its place': 'fs.renameSync = die',
  'when it has taken its place': 'fs.renameSync = (...names) => (rename(...names), die())',
};

test.each(Object.entries(steps))('a crash in rotating %s leaves the old vault or the new one', async (name, step) => {
  const { directory, paths, open, contents, rotate } = await makeHub();
  const [before, old] = [contents(), cardOf(open(), PASAR, 1, 1)];
  const preload = join(temporary(), 'crash.mjs');
  writeFileSync(
    preload,
    `import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    const { writeFileSync: real, renameSync: rename } = fs;
    const die = () => process.kill(process.pid, 'SIGKILL');
    ${step};
    syncBuiltinESMExports();`,
  );
  const args = ['keys', 'rotate', '--purpose', 'debit', '--data', directory];
  expect(simpul({}, args, ['--import', preload])).toMatchObject({ code: null, signal: 'SIGKILL', out: '' });
  const moved = name.startsWith('when');
  expect(contents().masters.length - before.masters.length).toBe(moved ? 1 : 0);
  expect(existsSync(`${paths.vault}.new`)).toBe(!moved);
  expect(cardOf(open(), PASAR, 1, 1)).toEqual(old);

  expect(await rotate('debit')).toMatchObject({ ok: true, master: { purpose: 'debit', from: moved ? 3 : 2 } });
  expect(cardOf(open(), PASAR, 1, 1)).toEqual(old);
});

test('while a hub serves the directory nothing is rotated or added', async () => {
  const { directory } = await openWorld();
  const paths = hubPaths(directory);
  const secret = readFileSync(paths.vaultKey);
  const error = `a hub serves ${directory}: nothing was changed; stop the hub first, then do this again`;
  const before = readFileSync(paths.vault, 'utf8');
  const rotated = simpul({}, ['keys', 'rotate', '--purpose', 'debit', '--data', directory]);
  expect(rotated).toMatchObject({ code: 1, out: '', err: `simpul-hub: ${error}\n` });
  const grow = () => initKeys(edges, { directory, environment, cost: VAULT_COST });
  expect(await grow()).toMatchObject({ ok: true, added: [] });
  expect(readFileSync(paths.vault, 'utf8')).toBe(before);
  reseal(paths, secret, older(contentsOf(paths, secret)));
  const lacking = readFileSync(paths.vault, 'utf8');
  expect(await grow()).toEqual({ ok: false, error });
  expect(readFileSync(paths.vault, 'utf8')).toBe(lacking);
});

test('the command tells purpose, cooperative, first version and check value of a new master, and no key', async () => {
  const { directory, contents } = await makeHub();
  expect(simpul({}, ['keys', 'rotate', '--purpose', 'receipt', '--data', directory]).code).toBe(2);
  const args = ['keys', 'rotate', '--purpose', 'tmac', '--issuer', 'pasar', '--data', directory];
  const { code, out, err } = simpul({}, args);
  expect([code, err]).toEqual([0, '']);
  const fresh = contents().masters.at(-1);
  expect(fresh).toMatchObject({ purpose: 'tmac', issuer: 'pasar', from: 2 });
  expect(out).toMatch(new RegExp(`^master +tmac +pasar +2 +${fresh?.check}$`, 'm'));
  expect(out).toContain('simpul-hub keys hand-over --issuer pasar');
  expect(spellings(contents()).filter((spelling) => out.includes(spelling))).toEqual([]);
});

test('a hub reads its vault only when nobody is changing it', async () => {
  const { directory, paths } = await makeHub();
  const letGo = holdAlone(paths.lock);
  const config = JSON.parse(readFileSync(paths.config, 'utf8'));
  const start = () => startHub({ ...edges, onFatal: () => {} }, { directory, config, secret: Buffer.from('another') });
  expect(await start()).toMatchObject({ ok: false, error: expect.stringContaining('serves') });
  letGo?.();
  expect(await start()).toMatchObject({ ok: false, error: expect.stringContaining('does not open') });
  // What refused to start holds nothing.
  const free = holdAlone(paths.lock);
  expect(free).not.toBeNull();
  free?.();
});

test('a key file that lies there alone is used, and never written over', async () => {
  const directory = join(temporary(), 'data');
  const paths = hubPaths(directory);
  mkdirSync(directory);
  writeFileSync(paths.vaultKey, 'from the safe\n');
  const made = await initHub(edges, { directory, mode: 'demo', port: 0, vaultCost: VAULT_COST });
  expect(made).toMatchObject({ ok: true, vaultMade: true });
  expect(readFileSync(paths.vaultKey, 'utf8')).toBe('from the safe\n');
  expect(mustOpen(paths, Buffer.from('from the safe\n')).versions().keyVersion).toBe(1);
});
