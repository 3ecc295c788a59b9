/** The list of keys shows none, and an issuer's masters leave the vault for that issuer alone. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hubPaths } from '../../hub/config.ts';
import { makeLog, realEdges } from '../../hub/edges.ts';
import { initHub } from '../../hub/init.ts';
import { handOver } from '../../hub/keys.ts';
import { sealText, unsealText } from '../../hub/sealedfile.ts';
import { openVault } from '../../hub/vault.ts';
import { openMasters } from '../../hub/vaultmasters.ts';
import type { CardUid, CooperativeId } from '../../protocol/ids.ts';
import { repository } from '../town/repository.ts';
import { temporary, VAULT_COST } from './world.ts';

const BIN = join(repository(), 'hub/bin/simpul-hub.js');
const UID = '04115350554c80' as CardUid;
const PASAR = 'pasar' as CooperativeId;
const edges = realEdges(makeLog('silent'));
const passphrase = Buffer.from('kopi tubruk');

function simpul(environment: Record<string, string>, ...args: string[]) {
  const env = { PATH: process.env.PATH, ...environment };
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], { encoding: 'utf8', env });
  return { code: status, out: stdout, err: stderr };
}

interface Row {
  readonly key: string;
  readonly check: string;
  readonly [name: string]: unknown;
}

interface Contents {
  masters: Row[];
  secrets: Row[];
  readonly ca: string;
  readonly tls: string;
  readonly statement: string;
  readonly sealing: { readonly privateKey: string };
}

/** A hub, everything random that was asked for in making it, and what its vault holds. */
async function makeHub() {
  const drawn: Buffer[] = [];
  const random = (length: number) => {
    const bytes = randomBytes(length);
    drawn.push(bytes);
    return bytes;
  };
  const directory = join(temporary(), 'data');
  const made = await initHub({ ...edges, random }, { directory, mode: 'demo', port: 0, vaultCost: VAULT_COST });
  if (!made.ok) throw new Error(made.error);
  const paths = hubPaths(directory);
  const secret = readFileSync(paths.vaultKey);
  const opened = unsealText('simpul-1 vault', secret, readFileSync(paths.vault, 'utf8'));
  if (!opened.ok) throw new Error(opened.why);
  const contents = JSON.parse(opened.text) as Contents;
  const reseal = (changed: Contents) =>
    writeFileSync(paths.vault, sealText(randomBytes, 'simpul-1 vault', secret, JSON.stringify(changed), VAULT_COST));
  const open = () => {
    const vault = openVault(edges, paths.vault, secret);
    if (!vault.ok) throw new Error(vault.error);
    return vault.vault;
  };
  return { directory, drawn, contents, reseal, open };
}

/** Every way in which a key could stand in a text. */
const spellings = (bytes: Buffer) => {
  const hex = bytes.toString('hex');
  return [hex, hex.toUpperCase(), bytes.toString('base64').replace(/=+$/, ''), bytes.toString('base64url')].concat(
    bytes.toString('latin1'),
  );
};

test('the list shows purpose, issuer, version and check value of every key, and no key in any spelling', async () => {
  const { directory, drawn, contents } = await makeHub();
  const table = simpul({}, 'keys', 'list', '--data', directory);
  const json = simpul({}, 'keys', 'list', '--data', directory, '--json');
  expect([table.code, table.err, json.code, json.err]).toEqual([0, '', 0, '']);
  expect(JSON.parse(json.out)).toEqual([
    ...contents.masters.map(({ purpose, issuer, from, check }) => {
      return { kind: 'master', purpose, issuer: issuer === '-' ? null : issuer, from, check };
    }),
    ...contents.secrets.map(({ purpose, version, check }) => {
      return { kind: 'secret', purpose, issuer: null, from: version, check };
    }),
    ...['ca', 'tls', 'sealing', 'statement'].map((purpose) => {
      return { kind: 'pair', purpose, issuer: null, from: 1, check: expect.stringMatching(/^[0-9a-f]{6}$/) };
    }),
  ]);
  const rows = table.out.trimEnd().split('\n').slice(1);
  expect(rows).toHaveLength(4 + 2 * 6 + 5 + 4);
  for (const { purpose, check } of [...contents.masters, ...contents.secrets]) {
    expect(rows.some((row) => row.includes(String(purpose)) && row.endsWith(check))).toBe(true);
  }

  const keys = [...contents.masters, ...contents.secrets].map(({ key }) => Buffer.from(key, 'hex'));
  const drawnHex = new Set(drawn.map((bytes) => bytes.toString('hex')));
  expect(keys.every((key) => drawnHex.has(key.toString('hex')))).toBe(true);
  const pems = [contents.ca, contents.tls, contents.statement].flatMap((pem) => pem.trim().split('\n').slice(1, -1));
  const sealing = Buffer.from(contents.sealing.privateKey, 'hex');
  const hidden = [...[...keys, ...drawn, sealing].flatMap(spellings), ...pems];
  const said = table.out + table.err + json.out + json.err;
  expect(hidden.filter((spelling) => said.includes(spelling))).toEqual([]);
});

test('a cooperative gets its own tmac masters of all versions, and nothing that serves another', async () => {
  const { contents, reseal, open, directory } = await makeHub();
  const first = contents.masters.find(({ purpose, issuer }) => purpose === 'tmac' && issuer === 'pasar');
  const other = contents.masters.find(({ purpose, issuer }) => purpose === 'tmac' && issuer === 'kud');
  if (!first || !other) throw new Error('the pilot town has pasar and kud');
  // As after a change of the master: versions from 7 on have another key.
  reseal({ ...contents, masters: [...contents.masters, { ...other, issuer: 'pasar', from: 7 }] });
  const vault = open();
  const out = join(directory, 'pasar.masters');
  const handed = handOver(vault, { issuer: 'pasar', out, passphrase, cost: VAULT_COST });
  expect(handed).toMatchObject({ ok: true, masters: [{ from: 0 }, { from: 7 }] });
  expect(statSync(out).mode & 0o777).toBe(0o600);

  const file = readFileSync(out, 'utf8');
  const opened = openMasters(file, passphrase);
  if (!opened.ok) throw new Error(opened.why);
  expect(opened.masters.issuer).toBe('pasar');
  for (const version of [0, 1, 6, 7, 255]) {
    expect(opened.masters.tmacKey(UID, version)).toEqual(vault.tmacKey(PASAR, UID, version));
  }
  const inside = unsealText('simpul-1 tmac masters', passphrase, file);
  if (!inside.ok) throw new Error(inside.why);
  const handedKeys = new Set([first.key, other.key]);
  const others = contents.masters.filter(({ key }) => !handedKeys.has(key));
  const secrets = [...others, ...contents.secrets].filter(({ key }) => inside.text.includes(key));
  expect(secrets).toEqual([]);
  for (const { key } of contents.masters) expect(file).not.toContain(key);
  // Masters are no vault, and a vault is no file of masters.
  expect(openVault(edges, out, passphrase)).toMatchObject({ ok: false });
  expect(openMasters(readFileSync(hubPaths(directory).vault, 'utf8'), passphrase)).toEqual({
    ok: false,
    why: 'not-masters',
  });
});

test('a file that exists is never written over, nor a link that leads nowhere', async () => {
  const { open, directory } = await makeHub();
  const vault = open();
  const taken = join(directory, 'taken');
  writeFileSync(taken, 'the minutes of the meeting');
  const link = join(directory, 'link');
  symlinkSync(join(directory, 'nowhere'), link);
  for (const out of [taken, link, directory]) {
    const error = `${out} exists: nothing was changed; choose another name, or move it away`;
    expect(handOver(vault, { issuer: 'pasar', out, passphrase, cost: VAULT_COST })).toEqual({ ok: false, error });
  }
  expect(readFileSync(taken, 'utf8')).toBe('the minutes of the meeting');
  const nowhere = join(directory, 'no', 'folder');
  expect(handOver(vault, { issuer: 'pasar', out: nowhere, passphrase, cost: VAULT_COST })).toEqual({
    ok: false,
    error: `${nowhere} cannot be written (ENOENT); name a file in a folder that may be written`,
  });
});

test('handing over needs a cooperative that the vault knows and a passphrase of its own', async () => {
  const { directory, open } = await makeHub();
  const out = join(directory, 'masters');
  const ask = (environment: Record<string, string>, ...more: string[]) =>
    simpul(environment, 'keys', 'hand-over', '--data', directory, '--out', out, ...more);
  expect(ask({ SIMPUL_PASSPHRASE: 'the vault’s' }, '--issuer', 'pasar')).toEqual({
    code: 2,
    out: '',
    err: 'simpul-hub: the masters need their own passphrase: set SIMPUL_MASTER_PASSPHRASE\n',
  });
  const unknown = (issuer: string) =>
    `the vault holds no masters of ${issuer}; name one of pasar, angkot, taksi, toko, simpan-pinjam, kud`;
  expect(ask({ SIMPUL_MASTER_PASSPHRASE: 'kopi' }, '--issuer', 'pasir')).toEqual({
    code: 1,
    out: '',
    err: `simpul-hub: ${unknown('pasir')}\n`,
  });
  const vault = open();
  for (const issuer of ['-', '', 'Pasar', 'platform']) {
    expect(handOver(vault, { issuer, out, passphrase, cost: VAULT_COST })).toEqual({
      ok: false,
      error: unknown(issuer),
    });
  }
  expect(existsSync(out)).toBe(false);
  expect(ask({ SIMPUL_MASTER_PASSPHRASE: 'kopi' }).code).toBe(2);
});
