/** The broker against kiosks that know MQTT and TLS better than they should: bytes, order and timing meant to harm. */
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import mqtt from 'mqtt-packet';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { answerTo, ask, connectPacket, dial, join, publish, type Wire } from '../wire.ts';
import { openWorld, type TestKiosk, type World } from '../world.ts';

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

test('a request nested thousands of levels deep is refused as unreadable, and the hub goes on', async () => {
  const kiosk = await world.enrol('dalam-1');
  const wire = await join(world, kiosk);
  const deep = '['.repeat(7900) + ']'.repeat(7900);
  const body = `{"kiosk":${kiosk.grant.kiosk},"seq":1,"kind":"account","ask":"resolve","x":${deep}}`;
  publish(wire, `simpul/v1/${kiosk.name}/up/resolve`, `{"v":1,"id":"deep","at":0,"n":1,"body":${body}}`);
  expect(await answerTo(wire, 'deep')).toMatchObject({ name: 'refusal', body: { code: 'message-malformed' } });
  expect(await ask(wire, kiosk.name, 'cardkey', { uid: SITI }, 2)).toMatchObject({ name: 'cardkey' });
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

test('what a revoked kiosk sends right behind its CONNECT is neither heard nor answered, and the hub goes on', async () => {
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
