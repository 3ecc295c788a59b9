/** The line to the hub, over real TLS to a real broker that is told how to behave. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { Aedes } from 'aedes';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialHub } from '../../kiosk/dial.ts';
import { acceptGrant, type Identity, loadIdentity, requestEnrolment } from '../../kiosk/keys.ts';
import { backOffMs, type Link, type LinkDeps, type LinkEvent, openLink } from '../../kiosk/link.ts';
import { decode, encode } from '../../protocol/envelope.ts';
import {
  BEACON_TOPIC,
  conversations,
  dnTopic,
  HUB_STATE_TOPIC,
  kioskFilters,
  notices,
  stateTopic,
  upTopic,
} from '../../protocol/topics.ts';
import { makeFolder, makeTown, NAME } from './enrolled.ts';

interface Heard {
  readonly topic: string;
  readonly text: string;
  readonly retain: boolean;
}

const folder = makeFolder();
const town = await makeTown(1);
const request = await requestEnrolment({ randomBytes }, folder.dir, NAME, JSON.stringify(town.card));
acceptGrant(folder.dir, JSON.stringify(await town.grant(request)));
const identity = loadIdentity(folder.dir);
folder.remove();

let broker: Aedes;
let server: Server;
const sockets = new Set<Socket>();
let heard: Heard[];
let events: LinkEvent[];
let logged: string[];
let wake: () => void;
const links: Link[] = [];

/** Waits until something holds; each event, log line or message to the broker looks again. */
async function until<T>(found: () => T | undefined | false): Promise<T> {
  for (;;) {
    const value = found();
    if (value !== undefined && value !== false) return value;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

beforeEach(async () => {
  heard = [];
  events = [];
  logged = [];
  wake = () => undefined;
  broker = await Aedes.createBroker();
  broker.on('publish', ({ topic, payload, retain }, client) => {
    if (client === null && !topic.startsWith('simpul')) return;
    heard.push({ topic, text: payload.toString(), retain });
    wake();
  });
  server = createServer({ ...town.tls, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      wake();
    });
  });
  server.on('secureConnection', (socket: TLSSocket) => broker.handle(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  for (const link of links.splice(0)) await link.close();
  for (const socket of sockets) socket.destroy();
  server.close();
  await new Promise<void>((done) => broker.close(done));
});

function linked(changes: Partial<LinkDeps> = {}, who: Pick<Identity, 'key' | 'certificate' | 'ca'> = identity): Link {
  const { port } = server.address() as AddressInfo;
  const note = (line: string): void => {
    logged.push(line);
    wake();
  };
  const deps: LinkDeps = {
    dial: () => dialHub({ host: '127.0.0.1', port, serverName: 'localhost' }, who),
    timers: globalThis,
    random: () => 0,
    randomBytes,
    now: () => 1_000,
    waiting: () => 3,
    log: (what, detail) => note(`${what}: ${detail}`),
    ...changes,
  };
  const link = openLink(deps, { name: NAME, software: 'test', connectMs: 400 });
  links.push(link);
  link.listen((event) => {
    events.push(event);
    wake();
  });
  return link;
}

const upEvents = () => events.filter(({ type }) => type === 'up').length;
const say = (topic: string, text: string): void =>
  broker.publish(
    { cmd: 'publish', topic, payload: Buffer.from(text), qos: 1, retain: false, dup: false },
    () => undefined,
  );
const body = { kiosk: 7, seq: 1, kind: 'account', ask: 'resolve' } as const;

describe('the link', () => {
  it('announces the kiosk under its own name and takes it back when it leaves', async () => {
    const link = linked();
    await until(() => upEvents() === 1);
    const states = () =>
      heard
        .filter(({ topic }) => topic === stateTopic(NAME))
        .map(({ text }) => decode(notices.kioskState.message, text));
    const [birth] = [await until(() => states()[0])];
    expect(birth).toMatchObject({
      ok: true,
      message: { n: 1, body: { online: true, waiting: 3, clock: 1_000, software: 'test' } },
    });
    await link.close();
    const death = await until(() => states()[1]);
    expect(death).toMatchObject({ ok: true, message: { body: { online: false } } });
    expect(death.ok && birth.ok && death.message.body.session === birth.message.body.session).toBe(true);
    // Said in good order, the will is not sent beside it.
    await until(() => sockets.size === 0);
    expect(states()).toHaveLength(2);
  });

  it('leaves a will of the same session, for a kiosk that dies', async () => {
    linked();
    await until(() => upEvents() === 1);
    const states = () =>
      heard
        .filter(({ topic, retain }) => topic === stateTopic(NAME) && retain)
        .flatMap(({ text }) => {
          const read = decode(notices.kioskState.message, text);
          return read.ok ? [read.message.body] : [];
        });
    const birth = await until(() => states()[0]);
    for (const socket of sockets) socket.destroy();
    const will = await until(() => states().find(({ online }) => !online));
    expect(will.session).toBe(birth.session);
  });

  it('sends what is asked, counting from one in each connection, and hears the answer to it', async () => {
    const link = linked();
    await until(() => upEvents() === 1);
    const id = link.send('resolve', body) ?? '';
    const { text } = await until(() => heard.find(({ topic }) => topic === upTopic(NAME, 'resolve')));
    expect(decode(conversations.resolve.up, text)).toEqual({ ok: true, message: { v: 1, id, at: 1_000, n: 2, body } });
    say(
      dnTopic(NAME, 'refusal'),
      encode({ id: 'h1', at: 1, n: 1, replyTo: id, body: { code: 'hub-busy', detail: '' } }),
    );
    const answer = await until(() => events.find(({ type }) => type === 'refusal'));
    expect(answer).toEqual({ type: 'refusal', replyTo: id, code: 'hub-busy', detail: '' });
  });

  it('hears beacon and hub state, and drops what it cannot read', async () => {
    linked();
    await until(() => upEvents() === 1);
    say(BEACON_TOPIC, encode({ id: 'h1', at: 1, n: 1, body: { slot: -1, value: 'deadbeef' } }));
    say(BEACON_TOPIC, encode({ id: 'h2', at: 1, n: 2, body: { slot: 6, value: 'deadbeef' } }));
    say(
      HUB_STATE_TOPIC,
      encode({ id: 'h3', at: 1, n: 3, body: { session: '0'.repeat(16), online: false, software: 's' } }),
    );
    await until(() => events.find(({ type }) => type === 'hub'));
    expect(events.filter(({ type }) => type === 'beacon')).toEqual([{ type: 'beacon', slot: 6, value: 'deadbeef' }]);
    expect(events).toContainEqual({ type: 'hub', open: false });
    expect(logged).toContain(`message refused: message-malformed: ${BEACON_TOPIC}`);
  });

  it('sends nothing while offline and keeps nothing for later', async () => {
    const link = linked();
    expect(link.send('resolve', body)).toBeNull();
    await until(() => upEvents() === 1);
    for (const socket of sockets) socket.destroy();
    await until(() => events.find(({ type }) => type === 'down'));
    expect(link.send('resolve', body)).toBeNull();
    await until(() => upEvents() === 2);
    link.send('cardkey', { uid: '04000000000000' });
    await until(() => heard.find(({ topic }) => topic === upTopic(NAME, 'cardkey')));
    expect(heard.filter(({ topic }) => topic === upTopic(NAME, 'resolve'))).toEqual([]);
  });

  it('has at most sixteen messages on their way', async () => {
    const link = linked();
    await until(() => upEvents() === 1);
    const ids = Array.from({ length: 20 }, () => link.send('resolve', body));
    expect(ids.filter((id) => id !== null)).toHaveLength(16);
    await until(() => heard.filter(({ topic }) => topic === upTopic(NAME, 'resolve')).length === 16);
  });

  it('does not wait for ever for a broker that closes before it answers', async () => {
    broker.preConnect = (_client, _packet, callback) => callback(new Error('not now'), false);
    linked();
    await until(() => logged.length >= 2);
    broker.preConnect = (_client, _packet, callback) => callback(null, true);
    await until(() => upEvents() === 1);
  });

  it('does not wait for ever for a hub that says nothing at all', async () => {
    server.removeAllListeners('secureConnection');
    linked();
    await until(() => logged.find((line) => line.includes('did not answer in time')));
  });

  it('is not up when its subscriptions are refused', async () => {
    broker.authorizeSubscribe = (_client, _subscription, callback) => callback(null, null);
    linked();
    await until(() => logged.find((line) => line.includes('refused our subscriptions')));
    expect(upEvents()).toBe(0);
    expect(kioskFilters(NAME)).toHaveLength(2);
  });

  it('trusts only its own hub', async () => {
    const other = await makeTown(1);
    linked({}, { ...identity, ca: other.tls.ca });
    expect(await until(() => logged[0])).toMatch(/connect failed: (self-signed|unable to verify)/);
  });

  it('waits between half a second and a minute, longer after each failure, and never in step with others', () => {
    expect(backOffMs(0, 0.99)).toBe(500);
    expect(backOffMs(3, 0)).toBe(500);
    expect(backOffMs(3, 0.5)).toBe(2_250);
    expect(backOffMs(50, 0.9999)).toBeLessThanOrEqual(60_000);
    expect(backOffMs(50, 0.9999)).toBeGreaterThan(59_000);
  });
});
