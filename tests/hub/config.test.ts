/** Settings, town files and enrolment requests: what is wrong is named, all of it, with what to do. */

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Compile } from 'typebox/compile';
import { expect, test } from 'vitest';
import { DEFAULT_CONFIG, hubPaths, parseConfig, readConfig } from '../../hub/config.ts';
import { makeLog, realEdges } from '../../hub/edges.ts';
import { initHub } from '../../hub/init.ts';
import { signRequest } from '../../hub/sign.ts';
import { openRegistry } from '../../hub/store/sqlite/registry.ts';
import { parseTown } from '../../hub/town.ts';
import { openVault } from '../../hub/vault.ts';
import { EnrolmentGrant, HubCard } from '../../protocol/enrolment.ts';
import type { KioskName } from '../../protocol/ids.ts';
import { makeCsr, makeRequest, temporary, VAULT_COST } from './world.ts';

const edges = realEdges(makeLog('silent'));

test('every wrong key of the settings is reported at once', () => {
  const read = parseConfig(
    JSON.stringify({ ...DEFAULT_CONFIG, port: 70_000, host: 7, colour: 'red', log: 'loud' }),
    'hub.json',
  );
  expect(read.ok).toBe(false);
  for (const key of ['/port', '/host', '/colour', '/log'])
    expect(read).toMatchObject({ error: expect.stringContaining(key) });
  expect(parseConfig('{', 'hub.json')).toMatchObject({ ok: false, error: expect.stringContaining('not JSON') });
  expect(parseConfig(JSON.stringify(DEFAULT_CONFIG), 'hub.json')).toEqual({ ok: true, config: DEFAULT_CONFIG });
  expect(readConfig(hubPaths('/nowhere'))).toMatchObject({
    ok: false,
    error: expect.stringContaining('simpul-hub init'),
  });
});

test('init makes a whole hub and refuses to touch it again', async () => {
  const directory = join(temporary(), 'data');
  const options = { directory, mode: 'demo' as const, names: ['hub.pasar.example'], vaultCost: VAULT_COST };
  const made = await initHub(edges, options);
  expect(made).toMatchObject({ ok: true });
  const paths = hubPaths(directory);
  const before = readFileSync(paths.vault, 'utf8');
  expect(await initHub(edges, options)).toMatchObject({
    ok: false,
    error: expect.stringContaining('nothing was changed'),
  });
  expect(readFileSync(paths.vault, 'utf8')).toBe(before);
  const card = JSON.parse(readFileSync(paths.hubCard, 'utf8'));
  expect(Compile(HubCard).Check(card)).toBe(true);
  expect(card).toMatchObject({ host: 'hub.pasar.example', port: 8883, serverName: 'hub.pasar.example' });
});

test('a town file that does not fit or does not hold together is refused with every reason', async () => {
  const pilot = JSON.parse(readFileSync(new URL('../../../hub/pilot.json', import.meta.url), 'utf8'));
  expect(parseTown(JSON.stringify(pilot), 'pilot')).toMatchObject({ ok: true });
  const read = (more: object) => parseTown(JSON.stringify({ ...pilot, ...more }), 'town.json');
  expect(read({ colour: 1 })).toMatchObject({ ok: false, error: expect.stringContaining('does not fit') });
  expect(read({ members: [{ id: 'x', cooperative: 'nope', name: 'X', balance: 1 }], cards: [] })).toMatchObject({
    error: expect.stringContaining('unknown cooperative nope'),
  });
  expect(read({ cards: [...pilot.cards, pilot.cards[0]] })).toMatchObject({
    error: expect.stringContaining('appears twice'),
  });
  const [stall] = pilot.outlets;
  const paying = (more: object) => read({ outlets: [{ ...stall, ...more }] });
  expect(paying({ payees: [{ to: 'member', member: 'nobody', weight: 1 }] })).toMatchObject({
    error: expect.stringContaining('outlet stall-12: no member nobody is known'),
  });
  expect(paying({ owner: 'nobody' })).toMatchObject({
    error: expect.stringContaining('its owner nobody is not known'),
  });
  expect(paying({ payees: [{ to: 'payout', weight: 0 }] })).toMatchObject({
    error: expect.stringContaining('does not fit'),
  });
  const town = join(temporary(), 'town.json');
  writeFileSync(town, '{}');
  const directory = join(temporary(), 'data');
  expect(await initHub(edges, { directory, mode: 'demo', town, vaultCost: VAULT_COST })).toMatchObject({ ok: false });
  expect(await initHub(edges, { directory, mode: 'demo', town: '/nowhere.json' })).toMatchObject({
    error: expect.stringContaining('ENOENT'),
  });
});

test('sign answers a good request with a grant that fits, and says why it refuses others', async () => {
  const directory = join(temporary(), 'data');
  await initHub(edges, { directory, mode: 'demo', passphrase: 'kopi', vaultCost: VAULT_COST });
  const paths = hubPaths(directory);
  const opened = openVault(edges, paths.vault, Buffer.from('kopi'));
  if (!opened.ok) throw new Error(opened.error);
  const registry = openRegistry({ path: paths.registry });
  const deps = {
    now: Date.now,
    random: randomBytes,
    vault: opened.vault,
    registry,
    ca: readFileSync(paths.ca, 'utf8'),
  };
  const { request, witness } = await makeRequest('lapak-12', opened.vault.sealingKey);
  const sign = (value: object, outlet = 'stall-12') => signRequest(deps, JSON.stringify(value), outlet);

  const signed = await sign(request);
  if (!signed.ok) throw new Error(signed.error);
  expect(Compile(EnrolmentGrant).Check(signed.grant)).toBe(true);
  expect(signed.grant.outlet).toMatchObject({
    id: 'stall-12',
    cooperative: 'pasar',
    cooperativeName: 'Koperasi Pasar Pahing',
  });
  const kiosk = registry.kiosk('lapak-12' as KioskName);
  expect(Buffer.from(opened.vault.unwrap(kiosk?.witness ?? new Uint8Array()) ?? [])).toEqual(witness);
  expect(kiosk?.serial).toBe(signed.serial);

  const why = async (value: object, outlet?: string) => {
    const refused = await sign(value, outlet);
    return refused.ok ? 'signed' : refused.error;
  };
  expect(await why(request, 'nowhere')).toContain('outlet nowhere is not registered');
  expect(await why({ ...request, v: 2 })).toContain('does not fit');
  expect(await why({ ...request, name: 'lapak-13' })).toContain('not sealed to this hub for lapak-13');
  expect(await why({ ...request, csr: (await makeCsr('CN=lapak-99')).csr })).toContain('another name');
  expect(await signRequest(deps, '{', 'stall-12')).toMatchObject({
    ok: false,
    error: expect.stringContaining('not JSON'),
  });
  expect(registry.kiosks()).toHaveLength(1);
  registry.close();
});
