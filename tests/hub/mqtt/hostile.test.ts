/** The broker against kiosks that know MQTT and TLS better than they should: bytes, order and timing meant to harm. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import mqtt from 'mqtt-packet';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { hubPaths } from '../../../hub/config.ts';
import { signRequest } from '../../../hub/sign.ts';
import { encode } from '../../../protocol/envelope.ts';
import { answerTo, ask, connectPacket, dial, join, publish, type Wire } from '../wire.ts';
import { makeRequest, openWorld, type TestKiosk, type World } from '../world.ts';

const SITI = '04115350554c80';
let world: World;
let good: TestKiosk;

beforeAll(async () => {
  world = await openWorld({}, {}, afterAll);
  good = await world.enrol('lapak-12');
});

async function serves(): Promise<void> {
  const wire = await join(world, good);
  expect(await ask(wire, good.name, 'cardkey', { uid: SITI }, 1)).toMatchObject({ name: 'cardkey' });
  wire.socket.destroy();
}

function revoke(kiosk: TestKiosk): void {
  const registered = world.hub.registry.kiosk(kiosk.name as never);
  if (registered === undefined) throw new Error('not registered');
  world.hub.revoke(registered.no);
}

test('a request nested thousands of levels deep is answered or refused, and the hub goes on', async () => {
  const kiosk = await world.enrol('dalam-1');
  const wire = await join(world, kiosk);
  const deep = '['.repeat(7900) + ']'.repeat(7900);
  const body = `{"kiosk":${kiosk.grant.kiosk},"seq":1,"kind":"account","ask":"resolve","x":${deep}}`;
  const topic = `simpul/v1/${kiosk.name}/up/resolve`;
  // Written as `encode` writes it, the body is known by its text; in another order it has to be written anew.
  publish(wire, topic, `{"v":1,"id":"deep","at":0,"n":1,"body":${body}}`);
  expect(await answerTo(wire, 'deep')).toMatchObject({ name: 'resolve' });
  publish(wire, topic, `{"body":${body},"v":1,"id":"deep-2","at":0,"n":2}`);
  expect(await answerTo(wire, 'deep-2')).toMatchObject({ name: 'refusal', body: { code: 'message-malformed' } });
  expect(await ask(wire, kiosk.name, 'cardkey', { uid: SITI }, 3)).toMatchObject({ name: 'cardkey' });
});

/** A TLS socket whose records are held back until told, so that several reach the hub in one piece. */
async function dialHeld(kiosk: TestKiosk) {
  const raw = connectTcp(world.hub.port, '127.0.0.1');
  onTestFinished(() => void raw.destroy());
  await once(raw, 'connect');
  let held: Buffer[] | null = null;
  const line = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      if (held === null) raw.write(chunk);
      else held.push(chunk);
      done();
    },
  });
  raw.on('data', (bytes) => line.push(bytes));
  raw.on('close', () => line.push(null));
  const options: ConnectionOptions = {
    socket: line,
    servername: 'localhost',
    ca: kiosk.grant.ca,
    key: kiosk.key,
    cert: kiosk.grant.certificate,
  };
  const socket = connectTls(options);
  socket.on('error', () => undefined);
  const heard: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => heard.push(bytes));
  await once(socket, 'secureConnect');
  return {
    raw,
    heard,
    async sendTogether(...records: Uint8Array[]) {
      held = [];
      for (const record of records) await new Promise<void>((sent) => void socket.write(record, () => sent()));
      raw.write(Buffer.concat(held));
    },
  };
}

test('what a revoked kiosk sends right behind its CONNECT is not heard, and the hub goes on', async () => {
  const kiosk = await world.enrol('cepat-1');
  revoke(kiosk);
  const line = await dialHeld(kiosk);
  await line.sendTogether(
    mqtt.generate(connectPacket(kiosk.name)),
    mqtt.generate({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: [{ topic: 'simpul/v1/hub/+', qos: 1 }],
    }),
    mqtt.generate({
      cmd: 'publish',
      topic: `simpul/v1/${kiosk.name}/up/cardkey`,
      payload: '{}',
      qos: 0,
      dup: false,
      retain: false,
    }),
  );
  await once(line.raw, 'close');
  expect(Buffer.concat(line.heard).toString('hex')).toBe('20020005');
  await serves();
});

test('of three connections that one kiosk opens at once only one stays, and its revocation ends that one', async () => {
  const kiosk = await world.enrol('kembar-1');
  const first = await join(world, kiosk);
  const pair: Wire[] = [await dial(world, kiosk), await dial(world, kiosk)];
  for (const wire of pair) wire.send(connectPacket(kiosk.name));
  await first.gone();
  await Promise.race(pair.map((wire) => wire.gone()));
  const [left] = pair.filter(({ closed }) => !closed);
  if (left === undefined) throw new Error('none stayed');
  await left.find(({ cmd }) => cmd === 'connack');
  revoke(kiosk);
  await left.gone();
});

test('a kiosk that tells its state and skips numbers without end gets twenty log lines a minute of each', async () => {
  const kiosk = await world.enrol('cerewet-1');
  const wire = await join(world, kiosk);
  world.shift += 60_000 - ((Date.now() + world.shift) % 60_000);
  const state = { session: '00'.repeat(8), online: true, software: 'test', waiting: 0, clock: 0 };
  for (let n = 1; n <= 50; n++) {
    const text = encode({ id: `s${n}`, at: 0, n: 4 * n, body: state });
    publish(wire, `simpul/v1/${kiosk.name}/state`, text, { retain: true, messageId: n });
    await ask(wire, kiosk.name, 'cardkey', { uid: SITI }, 4 * n + 2, `k${n}`);
  }
  const lines = (words: string) => world.logged.filter((line) => line.includes(kiosk.name) && line.includes(words));
  expect([lines('kiosk state').length, lines('are missing').length]).toEqual([20, 20]);
});

test('a request whose sealing key is no point of the curve is not signed', async () => {
  const { vault, registry } = world.hub;
  const ca = readFileSync(hubPaths(world.directory).ca, 'utf8');
  const { request } = await makeRequest('titik-1', vault.sealingKey);
  const bad = Buffer.alloc(65, 1).fill(4, 0, 1).toString('base64');
  const deps = { now: Date.now, random: randomBytes, vault, registry, ca };
  const signed = await signRequest(deps, JSON.stringify({ ...request, sealingKey: bad }), 'stall-12');
  expect(signed).toMatchObject({ ok: false, error: expect.stringContaining('sealing key') });
  expect(registry.kiosk('titik-1' as never)).toBeUndefined();
});

test('a certificate that has expired opens nothing any more, by a resumed TLS session neither', async () => {
  const aged = await openWorld();
  const kiosk = await aged.enrol('lama-1');
  const wire = await dial(aged, kiosk);
  const session = await new Promise<Buffer>((resolve) => wire.socket.once('session', resolve));
  wire.socket.destroy();
  aged.shift = 826 * 86_400_000;
  const resumed = await dial(aged, kiosk, { session });
  resumed.send(connectPacket(kiosk.name));
  await resumed.gone();
  expect(resumed.packets).toEqual([]);
});
