/** An issuing kiosk makes cards and learns nothing: not in its memory, not on its disk, not from all that passed it. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { diversification, diversifier } from '../../cards/diversify.ts';
import { hubPaths } from '../../hub/config.ts';
import type { Hub } from '../../hub/serve.ts';
import { readContents } from '../../hub/vaultfile.ts';
import type { CardUid } from '../../protocol/ids.ts';
import type { Card } from '../town/card.ts';
import { hexUid, newChip, orderCard, prepareChip } from '../town/cardstock.ts';
import { type Exchange, opens, sessionsOf, windows, written } from '../town/eavesdropper.ts';
import type { Trouble } from '../town/field.ts';
import { enrolIssuing } from '../town/issuing.ts';
import { eventually } from '../town/kiosk.ts';
import { type KioskProcess, kioskProcess, readerLines } from '../town/kioskprocess.ts';
import { openPcscd, type Pcscd } from '../town/pcscd.ts';
import { Finder, family, inMemory, onDisk } from '../town/secrets.ts';
import { openTlsTap, type TlsTap } from '../town/tlstap.ts';
import { identityOf, makePlace, type Place, removePlace, startPlace } from '../town/town.ts';
import { lay } from '../town/vpicc.ts';

const FACTORY_KEY = new Uint8Array(16);
const MEMBER = 'ps-0001';
/** A whole memory is searched, byte by byte. */
const PATIENCE = 120_000;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

let place: Place;
let hub: Hub;
let pcscd: Pcscd;
beforeAll(async () => {
  place = await makePlace();
  [hub, pcscd] = await Promise.all([startPlace(place), openPcscd()]);
});
afterAll(async () => {
  await hub?.close();
  await pcscd?.close();
  if (place) removePlace(place);
});

/** Every master of the vault, by name, as its file holds them. */
function masters(): Map<string, Uint8Array> {
  const paths = hubPaths(place.directory);
  const read = readContents(paths.vault, readFileSync(paths.vaultKey));
  if (!read.ok) throw new Error(read.error);
  return new Map(
    read.contents.masters.map(({ purpose, issuer, from, key }) => [
      `${purpose} master of ${issuer} from ${from}`,
      Buffer.from(key, 'hex'),
    ]),
  );
}

/** The card's keys by name: the five numbered ones and the counter file's. */
function keysOf(uid: CardUid): Map<string, Uint8Array> {
  const issuer = hub.registry.member(MEMBER as never)?.cooperative;
  const keys = issuer && hub.vault.cardKeys(issuer, uid, { keyVersion: 1, tmacKeyVersion: 1 });
  if (!keys) throw new Error(`no keys for ${uid}`);
  const { app, debit, spare2, credit, spare4, tmac } = keys;
  return new Map(
    Object.entries({ 'key 0': app, 'key 1': debit, 'key 2': spare2, 'key 3': credit, 'key 4': spare4, tmac }),
  );
}

/** A shipped kiosk as a process, its line open to us, its memory dumped when it is told so. */
interface Suspect {
  readonly dir: string;
  readonly kiosk: KioskProcess;
  readonly tap: TlsTap;
  /** Lays a card down until the screen says how it ended. @returns that screen, and all that the card was asked */
  serve(card: Card, trouble?: Trouble): Promise<{ readonly screen: string; readonly exchanges: readonly Exchange[] }>;
  /** All strings and objects that the process holds, as V8 writes them. */
  heap(): Promise<Buffer>;
}

async function suspect(name: string, options = ''): Promise<Suspect> {
  const dir = await enrolIssuing(place, hub, name);
  const tap = await openTlsTap(place, hub, dir);
  onTestFinished(() => tap.close());
  const dumps = join(place.folder, `${name}-heap`);
  mkdirSync(dumps);
  const env = { NODE_OPTIONS: `--heapsnapshot-signal=SIGUSR2 --diagnostic-dir=${dumps} ${options}` };
  const kiosk = kioskProcess(dir, pcscd, { port: tap.port, env, told: true });
  onTestFinished(() => kiosk.kill());
  await kiosk.start();
  return {
    dir,
    kiosk,
    tap,
    async serve(card, trouble) {
      const exchanges: Exchange[] = [];
      const process = (sent: Uint8Array) => {
        const got = card.process(sent);
        if (sent[0] !== 0xff) exchanges.push({ sent, got });
        return got;
      };
      const from = kiosk.shown.length;
      const offer = lay({ memory: card.memory, reset: card.reset, process }, await pcscd.connect(), trouble);
      const { text: screen } = await kiosk.served(from);
      await offer.remove();
      await kiosk.left();
      return { screen, exchanges };
    },
    async heap() {
      process.kill(kiosk.pid, 'SIGUSR2');
      const whole = () => {
        const [file] = readdirSync(dumps).filter((each) => each.endsWith('.heapsnapshot'));
        const text = file === undefined ? null : readFileSync(join(dumps, file));
        return text?.subarray(-8).toString().trimEnd().endsWith('}') ? text : null;
      };
      return eventually(() => 'the heap snapshot', whole, 60_000);
    },
  };
}

/** Where any of these secrets lies in what the kiosk is made of. */
async function searched({ kiosk, dir, heap }: Suspect, finder: Finder): Promise<Record<string, string[]>> {
  const processes = family(kiosk.pid);
  const found = {
    memory: processes.flatMap((pid) => [...inMemory(finder, pid)]),
    heap: [...finder.in(await heap())],
    disk: [...onDisk(finder, dir)],
  };
  return Object.fromEntries(Object.entries(found).map(([where, names]) => [where, [...new Set(names)].sort()]));
}

async function preparedChip(): Promise<Card> {
  const card = newChip();
  expect(await prepareChip(hub, card)).toMatchObject({ ok: true });
  return card;
}

describe('after it has made a card', () => {
  test(
    'no master and no key of the card lies in the kiosk: not in memory, heap or disk, in no spelling',
    async () => {
      const kiosk = await suspect('meja-1');
      orderCard(hub, MEMBER);
      const card = await preparedChip();
      expect((await kiosk.serve(card)).screen).toContain('Kartu jadi');
      const keys = keysOf(hexUid(card));
      expect(card.memory.keys.map(({ key }) => hex(key))).toEqual([...keys.values()].slice(0, 5).map(hex));
      const all = masters();
      expect(all.size).toBeGreaterThanOrEqual(16);
      // A secret of the kiosk's own, which the same search must find.
      const { witness } = identityOf(kiosk.dir);
      const found = await searched(kiosk, new Finder(new Map([...all, ...keys, ['witness', witness]])));
      const foreign = Object.values(found).flatMap((names) => names.filter((name) => !name.startsWith('witness, ')));
      expect(foreign).toEqual([]);
      expect(found.memory).toContain('witness, raw');
      expect(found.disk).toContain('witness, base64');
    },
    PATIENCE,
  );

  test(
    'a key that somebody plants there is found in each spelling, and one on its disk',
    async () => {
      const planted = new Map([['planted', randomBytes(16)]]);
      const text = hex(planted.get('planted') ?? new Uint8Array());
      const path = join(place.folder, 'plant.mjs');
      const halves = `'${text.slice(0, 16)}' + '${text.slice(16)}'`;
      writeFileSync(
        path,
        `const hex = (${halves}); const raw = Buffer.alloc(16, hex, 'hex');
      globalThis.planted = [raw, raw.toString('hex'), raw.toString('base64')];`,
      );
      const kiosk = await suspect('meja-2', `--import=${path}`);
      writeFileSync(join(kiosk.dir, 'planted'), planted.get('planted') ?? '');
      const found = await searched(kiosk, new Finder(planted));
      expect(found.memory).toEqual(expect.arrayContaining(['planted, base64', 'planted, hex', 'planted, raw']));
      expect(found.heap).toEqual(expect.arrayContaining(['planted, base64', 'planted, hex']));
      expect(found.disk).toEqual(['planted, raw']);
    },
    PATIENCE,
  );
});

/** The bytes of every APDU that the relay and the reader lines spell in hex, and the texts themselves. */
function everythingSaid({ tap, dir }: Suspect): Buffer {
  const { up, down } = tap.heard();
  const lines = readFileSync(readerLines(dir));
  const told = readFileSync(`${readerLines(dir)}-told`);
  const spelled = [up, down, lines, told].flatMap(
    (text) => text.toString('latin1').match(/(?:[0-9a-f]{2}){4,}/g) ?? [],
  );
  return Buffer.concat([up, down, lines, told, ...spelled.map((text) => Buffer.from(text, 'hex'))]);
}

/** What can be tried without knowing a secret of the vault: the factory's keys, and whatever was said or is known. */
function guesses(kiosk: Suspect, exchanges: readonly Exchange[], uid: CardUid): Uint8Array[] {
  const { witness } = identityOf(kiosk.dir);
  const fromFactory = diversifier(FACTORY_KEY);
  const bytes = Buffer.from(uid, 'hex');
  const apdus = exchanges.flatMap(({ sent, got }) => [sent, got]);
  return [
    FACTORY_KEY,
    ...[0, 1, 2, 3, 4, 15].flatMap((no) => [0, 1].map((version) => fromFactory(diversification(bytes, no, version)))),
    ...windows(witness),
    ...windows(Buffer.concat([bytes, FACTORY_KEY])),
    ...windows(Buffer.concat(apdus)),
  ];
}

describe('who has recorded everything that the kiosk sent and received, and knows the factory’s keys', () => {
  test(
    'opens no session of a card that was torn and finished, and reads no key',
    async () => {
      const kiosk = await suspect('meja-3');
      orderCard(hub, MEMBER);
      const card = await preparedChip();
      const torn = await kiosk.serve(card, { tear: { apdu: 30, when: 'after' } });
      expect(torn.screen).toContain('Letakkan lagi kartu yang sama');
      const done = await kiosk.serve(card);
      expect(done.screen).toContain('Kartu jadi');
      const exchanges = [...torn.exchanges, ...done.exchanges];
      const uid = hexUid(card);
      const secrets = new Map([...masters(), ...keysOf(uid)]);

      const said = everythingSaid(kiosk);
      expect(said.includes(`"deed":"service","uid":"${uid}"`)).toBe(true);
      for (const { sent } of exchanges) expect(said.includes(Buffer.from(sent))).toBe(true);
      expect([...new Finder(secrets).in(said)]).toEqual([]);

      const sessions = sessionsOf(exchanges);
      expect(sessions.length).toBeGreaterThanOrEqual(3);
      const tried = guesses(kiosk, exchanges, uid);
      expect(tried.length).toBeGreaterThan(3_000);
      expect(sessions.filter((session) => tried.some((key) => opens(session, key)))).toEqual([]);
      const known = new Set([...secrets.values()].map(hex));
      const read = sessions.flatMap((session) => tried.slice(0, 13).flatMap((key) => written(session, key)));
      expect(read.length).toBeGreaterThan(0);
      expect(read.filter((key) => known.has(key))).toEqual([]);

      // The same ears with the card's own key 0 hear all others: the attempt is a real one.
      const key0 = keysOf(uid).get('key 0') ?? new Uint8Array();
      const withKey0 = sessions.filter((session) => session.keyNo === 0);
      expect(withKey0.every((session) => opens(session, key0))).toBe(true);
      const heard = new Set(withKey0.flatMap((session) => written(session, key0)));
      for (const name of ['key 1', 'key 2', 'key 3', 'key 4', 'tmac']) {
        expect([name, heard.has(hex(keysOf(uid).get(name) ?? new Uint8Array()))]).toEqual([name, true]);
      }
    },
    PATIENCE,
  );

  test('would read key 0 if a chip were prepared at a kiosk, so that is done at the vault’s host', async () => {
    const card = newChip();
    const exchanges: Exchange[] = [];
    const heard = (sent: Uint8Array) => {
      const got = card.process(sent);
      exchanges.push({ sent, got });
      return got;
    };
    expect(await prepareChip(hub, { memory: card.memory, reset: card.reset, process: heard })).toMatchObject({
      ok: true,
    });
    const opened = sessionsOf(exchanges).filter((session) => opens(session, FACTORY_KEY));
    expect(opened.flatMap((session) => written(session, FACTORY_KEY))).toEqual([
      hex(keysOf(hexUid(card)).get('key 0') ?? new Uint8Array()),
    ]);
  });
});

test(
  'a card whose key 0 has version 00 is refused by the kiosk itself: the hub hears nothing of it',
  async () => {
    const kiosk = await suspect('meja-4');
    orderCard(hub, MEMBER);
    const blank = newChip();
    const { screen, exchanges } = await kiosk.serve(blank);
    expect(screen).toContain('Taruh di kotak kartu yang belum disiapkan');
    expect(exchanges.map(({ sent }) => hex(sent.subarray(0, 2)))).toEqual(['00a4', ...Array(5).fill('9064')]);
    const { up, down } = kiosk.tap.heard();
    expect(up.includes('online')).toBe(true);
    expect(up.includes('"deed"')).toBe(false);
    expect([...new Finder(new Map([['uid', blank.memory.uid]])).in(Buffer.concat([up, down]))]).toEqual([]);
    expect(blank.memory.keys.map(({ version }) => version)).toEqual([0, 0, 0, 0, 0]);
    expect(hub.registry.chip(hexUid(blank))).toBeUndefined();
  },
  PATIENCE,
);
