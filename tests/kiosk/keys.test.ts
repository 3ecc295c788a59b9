/** Joining a hub: the kiosk makes its own keys, asks, and takes only the answer to its own question. */
import { randomBytes, X509Certificate } from 'node:crypto';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acceptGrant, KeyFault, loadIdentity, requestEnrolment } from '../../kiosk/keys.ts';
import { witnessContext } from '../../protocol/enrolment.ts';
import type { KioskName } from '../../protocol/ids.ts';
import { open } from '../../protocol/sealed.ts';
import { makeFolder, makeTown, NAME } from './enrolled.ts';

const town = await makeTown(8883);
const stranger = await makeTown(8883);
let folder: ReturnType<typeof makeFolder>;
beforeEach(() => {
  folder = makeFolder();
});
afterEach(() => folder.remove());

const ask = (name = NAME, dir = folder.dir, card: unknown = town.card) =>
  requestEnrolment({ randomBytes }, dir, name, JSON.stringify(card));

describe('a kiosk that joins', () => {
  it('keeps its keys for itself, readable by nobody else, and seals its witness key to the hub', async () => {
    const request = await ask();
    expect(statSync(join(folder.dir, 'keys.json')).mode & 0o777).toBe(0o600);
    const secrets = JSON.parse(readFileSync(join(folder.dir, 'keys.json'), 'utf8'));
    expect(JSON.stringify(request)).not.toContain(secrets.witness);
    const witness = await open(town.sealing.privateKey, witnessContext(NAME), Buffer.from(request.witness, 'base64'));
    expect(Buffer.from(witness ?? []).toString('base64')).toBe(secrets.witness);
  });

  it('asks with the same keys when it asks again', async () => {
    const [first, second] = [await ask(), await ask()];
    expect(second.sealingKey).toBe(first.sealingKey);
    acceptGrant(folder.dir, JSON.stringify(await town.grant(first)));
    expect(loadIdentity(folder.dir)).toMatchObject({ name: NAME, kiosk: 7 });
    acceptGrant(folder.dir, JSON.stringify(await town.grant(second)));
  });

  it('becomes the kiosk its grant says, with a certificate in its own name', async () => {
    const { hub } = acceptGrant(folder.dir, JSON.stringify(await town.grant(await ask())));
    expect(hub).toEqual(town.card);
    const identity = loadIdentity(folder.dir);
    expect(new X509Certificate(identity.certificate).subject).toBe(`CN=${NAME}`);
    expect(identity.outlet.name).toBe('Lapak Bu Sri');
    expect(identity.witness).toHaveLength(32);
  });

  it.each([
    [
      'another kiosk’s name',
      async () => ({ ...(await town.grant(await ask())), name: 'lapak-2' }),
      /is for kiosk lapak-2/,
    ],
    ['another hub', async () => stranger.grant(await ask()), /another hub/],
    [
      'a certificate its hub did not sign',
      async () => ({
        ...(await town.grant(await ask())),
        certificate: (await stranger.grant(await ask())).certificate,
      }),
      /did not sign/,
    ],
    [
      'another kiosk’s key',
      async () => {
        await ask();
        const other = makeFolder();
        const grant = await town.grant(await ask(NAME, other.dir));
        other.remove();
        return grant;
      },
      /another kiosk's key/,
    ],
    [
      'nonsense for a certificate',
      async () => ({ ...(await town.grant(await ask())), certificate: '-----BEGIN X-----' }),
      /cannot be read/,
    ],
    ['a missing number', async () => ({ ...(await town.grant(await ask())), kiosk: 0 }), /\/kiosk/],
  ])('refuses a grant with %s and changes nothing', async (_what, made, words) => {
    const grant = await made();
    expect(() => acceptGrant(folder.dir, JSON.stringify(grant))).toThrow(words);
    expect(() => loadIdentity(folder.dir)).toThrow(/grant\.json is missing/);
  });

  it('says what to do before it has asked', async () => {
    const other = makeFolder();
    const granted = await town.grant(await ask(NAME, other.dir));
    other.remove();
    expect(() => loadIdentity(folder.dir)).toThrow(/enrol accept/);
    expect(() => acceptGrant(folder.dir, JSON.stringify(granted))).toThrow(/enrol request/);
  });

  it('does not give its keys another name', async () => {
    await ask();
    await expect(ask('lapak-2' as KioskName)).rejects.toThrow(/belongs to kiosk lapak-1/);
  });

  it('refuses a hub card that does not fit, and keys that were damaged', async () => {
    await expect(ask(NAME, folder.dir, { ...town.card, port: 0 })).rejects.toThrow(KeyFault);
    await ask();
    chmodSync(join(folder.dir, 'keys.json'), 0o600);
    writeFileSync(join(folder.dir, 'keys.json'), '{"v":1');
    await expect(ask()).rejects.toThrow(/not JSON/);
  });
});
