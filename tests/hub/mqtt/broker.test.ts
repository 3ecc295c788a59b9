/** The broker's edge over real TLS: who is let in, what is heard, and that nobody harms the others. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encode } from '../../../protocol/envelope.ts';
import type { KioskState } from '../../../protocol/status.ts';
import { answerTo, ask, connectPacket, dial, dialBare, join, publish, read, subscribe, type Wire } from '../wire.ts';
import { openWorld, type TestKiosk, type World } from '../world.ts';

const SITI = '04115350554c80';
let world: World;
let good: TestKiosk;

beforeAll(async () => {
  world = await openWorld({}, {}, afterAll);
  good = await world.enrol('lapak-12');
});

let names = 0;
const fresh = () => world.enrol(`kiosk-${++names}`);
const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function connackOf(wire: Wire): Promise<number | 'closed'> {
  const packet = await wire.find(({ cmd }) => cmd === 'connack').catch(() => null);
  return packet?.cmd === 'connack' ? (packet.returnCode ?? -1) : 'closed';
}

/** The good kiosk still gets an answer. */
async function serves(): Promise<void> {
  const wire = await join(world, good);
  expect(await ask(wire, good.name, 'cardkey', { uid: SITI }, 1)).toMatchObject({ name: 'cardkey' });
  wire.socket.destroy();
}

const stateText = (online: boolean, n = 1) => {
  const body: KioskState = { session: '00'.repeat(8), online, software: 'test', waiting: 0, clock: 0 };
  return encode({ id: `s${n}`, at: 0, n, body });
};

/** Waits until the hub has seen something that has no answer. */
async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 250; turn++) {
    if (await what()) return;
    await later(20);
  }
  throw new Error(`never came true: ${what}`);
}

const alarmKinds = async (kiosk: string) =>
  (await world.hub.ledger.alarms(200)).filter((alarm) => alarm.kiosk === kiosk).map(({ kind }) => kind);

test('a client without a certificate never gets past the handshake', async () => {
  const wire = await dial(world, null);
  wire.send(connectPacket('lapak-12'));
  await wire.gone();
  expect(wire.packets).toEqual([]);
  await serves();
});

test("a kiosk that comes with another's name is refused, and the other stays connected", async () => {
  const victim = await join(world, good);
  const thief = await dial(world, await fresh());
  thief.send(connectPacket(good.name));
  expect(await connackOf(thief)).toBe(2);
  await thief.gone();
  expect(victim.closed).toBe(false);
  expect(await ask(victim, good.name, 'cardkey', { uid: SITI }, 1)).toMatchObject({ name: 'cardkey' });
});

test('a refused kiosk may knock three times a minute; then it is not heard any more', async () => {
  const knocker = await fresh();
  const knock = async () => {
    const wire = await dial(world, knocker);
    wire.send(connectPacket('someone-else'));
    return connackOf(wire);
  };
  const heard: (number | 'closed')[] = [];
  for (let n = 0; n < 6; n++) heard.push(await knock());
  expect(heard).toEqual([2, 2, 2, 'closed', 'closed', 'closed']);
  world.shift += 61_000;
  expect(await knock()).toBe(2);
});

test('a re-enrolled name lets in its new certificate only, whatever the old one tries', async () => {
  const old = await fresh();
  const current = await world.enrol(old.name);
  expect(current.grant.kiosk).toBeGreaterThan(old.grant.kiosk);
  for (let n = 0; n < 4; n++) {
    const wire = await dial(world, old);
    wire.send(connectPacket(old.name));
    expect(await connackOf(wire)).toBe(n < 3 ? 5 : 'closed');
  }
  await join(world, current);
});

test('revoking a kiosk closes its connection within a second, and no resumed TLS session brings it back', async () => {
  const kiosk = await fresh();
  const wire = await dial(world, kiosk);
  const ticket = new Promise<Buffer>((resolve) => wire.socket.once('session', resolve));
  wire.send(connectPacket(kiosk.name));
  expect(await connackOf(wire)).toBe(0);
  const session = await ticket;
  const began = performance.now();
  const registered = world.hub.registry.kiosk(kiosk.name as never);
  if (registered === undefined) throw new Error('not registered');
  world.hub.revoke(registered.no);
  await wire.gone();
  expect(performance.now() - began).toBeLessThan(1000);
  const resumed = await dial(world, kiosk, { session });
  expect((resumed.socket as import('node:tls').TLSSocket).isSessionReused()).toBe(true);
  resumed.send(connectPacket(kiosk.name));
  expect(await connackOf(resumed)).toBe(5);
});

test('sessions that would outlive the connection, foreign wills and older protocols are refused', async () => {
  const state = { topic: `simpul/v1/${good.name}/state`, payload: Buffer.from('x'), qos: 1, retain: true };
  for (const more of [
    { clean: false },
    { will: { ...state, topic: 'simpul/v1/lapak-13/state' } },
    { will: { ...state, qos: 2 } },
    { protocolId: 'MQIsdp', protocolVersion: 3 },
  ]) {
    const kiosk = await fresh();
    const own = 'will' in more ? { will: { ...more.will, topic: more.will.topic.replace(good.name, kiosk.name) } } : {};
    const wire = await dial(world, kiosk);
    wire.send(connectPacket(kiosk.name, { ...more, ...own }));
    expect(await connackOf(wire)).toBe(5);
  }
});

test('a foreign subscription gets 128, the good one beside it is granted, and the socket stays', async () => {
  const kiosk = await fresh();
  const wire = await join(world, kiosk);
  subscribe(wire, 2, '#', `simpul/v1/${kiosk.name}/dn/+`, `simpul/v1/${good.name}/dn/+`, '$SYS/#', 'simpul/v1/+/state');
  const suback = await wire.find((packet) => packet.cmd === 'suback' && packet.messageId === 2);
  expect(suback).toMatchObject({ granted: [128, 1, 128, 128, 128] });
  expect(await ask(wire, kiosk.name, 'cardkey', { uid: SITI }, 1)).toMatchObject({ name: 'cardkey' });
  await expect.poll(() => alarmKinds(kiosk.name), { timeout: 10_000 }).toContain('filter-foreign');
});

test('a bad publish is routed nowhere, acknowledged, refused and alarmed, and the socket stays', async () => {
  const kiosk = await fresh();
  const wire = await join(world, kiosk);
  const victim = await join(world, good);
  const bad: [string, object][] = [
    [`simpul/v1/${good.name}/dn/purchase`, {}],
    [`simpul/v1/${good.name}/up/purchase`, {}],
    [`simpul/v1/${kiosk.name}/up/mint`, {}],
    [`simpul/v1/${kiosk.name}/up/purchase`, { retain: true }],
    ['simpul/v1/hub/beacon', { retain: true }],
    ['$SYS/x/new/clients', {}],
    [`simpul/v1/${kiosk.name}/up/purchase`, { qos: 2 }],
  ];
  for (const [at, [topic, more]] of bad.entries()) {
    const messageId = 100 + at;
    publish(wire, topic, JSON.stringify({ id: `bad${at}` }), { messageId, ...more });
    const ack = await wire.find((packet) => 'messageId' in packet && packet.messageId === messageId);
    expect(ack.cmd).toBe('qos' in more ? 'pubrec' : 'puback');
    expect(await answerTo(wire, `bad${at}`)).toMatchObject({ name: 'refusal', body: { code: 'topic-unknown' } });
  }
  wire.send({ cmd: 'pubrel', messageId: 106 });
  await wire.find(({ cmd }) => cmd === 'pubcomp');
  expect(await ask(wire, kiosk.name, 'cardkey', { uid: SITI }, 1)).toMatchObject({ name: 'cardkey' });
  // An alarm's row is committed beside the answer, not before it.
  await expect
    .poll(() => alarmKinds(kiosk.name), { timeout: 10_000 })
    .toEqual(expect.arrayContaining(['topic-foreign', 'retain-foreign', 'qos-foreign']));
  expect(wire.closed).toBe(false);
  const beacons = victim.packets.filter(
    (packet) => packet.cmd === 'publish' && packet.topic === 'simpul/v1/hub/beacon',
  );
  expect(beacons.every((packet) => read(packet).body.value !== undefined)).toBe(true);
  expect(victim.packets.some((packet) => packet.cmd === 'publish' && packet.topic.includes('/dn/'))).toBe(false);
});

test('messages that cannot be read are refused one by one and do not hold up the good one behind them', async () => {
  const kiosk = await fresh();
  const wire = await join(world, kiosk);
  const topic = `simpul/v1/${kiosk.name}/up/purchase`;
  const poison = ['', '{', '[]', 'null', '{"v":2,"id":"p"}', `{"id":"p","pad":"${'x'.repeat(20_000)}"}`, '\0\xff', '7'];
  for (const [at, text] of poison.entries()) publish(wire, topic, text, { messageId: 50 + at });
  expect(await ask(wire, kiosk.name, 'cardkey', { uid: SITI }, 1)).toMatchObject({ name: 'cardkey' });
  const refused = wire.packets.filter((packet) => packet.cmd === 'publish' && packet.topic.endsWith('/dn/refusal'));
  expect(refused).toHaveLength(poison.length);
  expect(refused.map((packet) => read(packet).body.code)).toContain('version-unknown');
});

test('requests beyond the bound are told that the hub is busy, and the others are answered', async () => {
  const kiosk = await fresh();
  const wire = await join(world, kiosk);
  for (let n = 1; n <= 200; n++) {
    const text = encode({
      id: `q${n}`,
      at: 0,
      n,
      body: { kiosk: kiosk.grant.kiosk, seq: n, kind: 'account', ask: 'resolve' },
    });
    publish(wire, `simpul/v1/${kiosk.name}/up/resolve`, text, { messageId: n });
  }
  const answered = () => wire.packets.filter((packet) => packet.cmd === 'publish' && packet.topic.includes('/dn/'));
  await until(() => answered().length === 200);
  const names = answered().map((packet) => read(packet).body.code ?? 'decided');
  expect(new Set(names)).toEqual(new Set(['decided', 'hub-busy']));
  expect(names.filter((name) => name === 'decided').length).toBeGreaterThanOrEqual(64);
});

test('only a state that can be read is noted, and the will of a lost kiosk takes its place', async () => {
  const kiosk = await fresh();
  const topic = `simpul/v1/${kiosk.name}/state`;
  const will = { topic, payload: Buffer.from(stateText(false)), qos: 1, retain: true };
  const wire = await join(world, kiosk, { will });
  publish(wire, topic, '{"id":"bad1","junk":true}', { retain: true });
  expect(await answerTo(wire, 'bad1')).toMatchObject({ body: { code: 'message-malformed' } });
  publish(wire, topic, stateText(true), { retain: true, messageId: 9 });
  await wire.find((packet) => packet.cmd === 'puback' && packet.messageId === 9);
  expect(await ask(wire, kiosk.name, 'cardkey', { uid: SITI }, 2)).toMatchObject({ name: 'cardkey' });
  const said = (online: boolean) =>
    world.logged.filter((line) => line.includes(`"kiosk":"${kiosk.name}","online":${online}`)).length;
  expect([said(true), said(false)]).toEqual([1, 0]);
  wire.socket.destroy();
  await until(() => said(false) === 1);
});

test('a kiosk that sends and does not listen stalls itself and nobody else', async () => {
  const kiosk = await fresh();
  const deaf = await join(world, kiosk);
  deaf.socket.pause();
  const topic = `simpul/v1/${kiosk.name}/up/${'x'.repeat(180)}`;
  // Each is answered with a note twice its size, until neither socket takes any more.
  for (let n = 1; n <= 60_000; n++) publish(deaf, topic, '', { messageId: n });
  await later(1000);
  const began = performance.now();
  for (let n = 0; n < 3; n++) await serves();
  expect(performance.now() - began).toBeLessThan(3000);
  expect(deaf.socket.writableLength).toBeGreaterThan(0);
  deaf.socket.destroy();
});

test('a frame longer than 64 KiB and a broken frame close their own socket only', async () => {
  const bystander = await join(world, good);
  const long = await join(world, await fresh());
  long.raw(Buffer.of(0x30, 0x80, 0x80, 0x80, 0x01));
  await long.gone();
  const broken = await join(world, await fresh());
  broken.raw(Buffer.of(0xf0, 0x00, 0x00, 0x00));
  await broken.gone();
  expect(await ask(bystander, good.name, 'cardkey', { uid: SITI }, 1)).toMatchObject({ name: 'cardkey' });
});

test('a kiosk that breaks the protocol three times a minute is not heard until the minute is over', async () => {
  const kiosk = await fresh();
  for (let n = 0; n < 3; n++) {
    const wire = await join(world, kiosk);
    wire.raw(Buffer.of(0x30, 0x80, 0x80, 0x80, 0x01));
    await wire.gone();
  }
  const fourth = await dial(world, kiosk);
  fourth.send(connectPacket(kiosk.name));
  expect(await connackOf(fourth)).toBe('closed');
  world.shift += 61_000;
  await join(world, kiosk);
});

test('a certificate holder who has not connected may send 16 KiB at most', async () => {
  const wire = await dial(world, await fresh());
  wire.raw(Buffer.concat([Buffer.of(0x10, 0x80, 0x80, 0x01), Buffer.alloc(17_000)]));
  await wire.gone();
  expect(wire.packets).toEqual([]);
});

test('sockets that dribble or say nothing are let go within about five seconds; nobody waits for them', async () => {
  const silent = await Promise.all(Array.from({ length: 100 }, () => dialBare(world.hub.port)));
  const dribbling = await dial(world, await fresh());
  const drip = setInterval(() => dribbling.raw(Buffer.of(0x10)), 500);
  dribbling.socket.once('close', () => clearInterval(drip));
  const began = performance.now();
  await serves();
  expect(performance.now() - began).toBeLessThan(2000);
  await until(() => dribbling.closed && silent.every(({ closed }) => closed));
  clearInterval(drip);
  expect(performance.now() - began).toBeLessThan(8000);
});

test('strangers who fail again and again do not keep out a good kiosk at the same address', async () => {
  const strangers = Array.from({ length: 14 }, () => dial(world, null));
  const began = performance.now();
  await serves();
  expect(performance.now() - began).toBeLessThan(6000);
  await Promise.all(strangers.map(async (stranger) => (await stranger).gone()));
});

/** Connections refused so far for this reason. */
async function refused(why: string): Promise<number> {
  const { values } = await world.hub.metrics.refusedConnections.get();
  return values.find(({ labels }) => labels.why === why)?.value ?? 0;
}

/** The hub's clock goes past the minutes after its start, in which no address is shut. */
const passGrace = () => {
  world.shift += 301_000;
};

test('a certificate that was replaced makes no address a place of kiosks: after three visits it is shut', async () => {
  const old = await fresh();
  await world.enrol(old.name);
  passGrace();
  const before = await refused('door-shut');
  const heard: (number | 'closed')[] = [];
  for (let n = 0; n < 5; n++) {
    const wire = await dial(world, old, { from: '127.0.0.3' });
    wire.send(connectPacket(old.name));
    heard.push(await connackOf(wire));
  }
  expect(heard).toEqual([5, 5, 5, 'closed', 'closed']);
  expect(await refused('door-shut')).toBe(before + 2);
});

test('where no kiosk ever was, a stranger is heard three times a minute; kiosks elsewhere come and go', async () => {
  const before = { handshake: await refused('handshake'), shut: await refused('door-shut') };
  const since = async () => [
    (await refused('handshake')) - before.handshake,
    (await refused('door-shut')) - before.shut,
  ];
  passGrace();
  const from = '127.0.0.2';
  const knock = async () => (await dial(world, null, { from })).gone();
  for (let n = 0; n < 5; n++) await knock();
  await until(async () => (await since()).join() === '3,2');
  await Promise.all(Array.from({ length: 20 }, knock));
  await until(async () => (await since()).join() === '3,22');
  await serves();

  world.shift += 61_000;
  const comesFrom = async () => {
    const wire = await dial(world, good, { from });
    wire.send(connectPacket(good.name));
    return connackOf(wire);
  };
  expect(await comesFrom()).toBe(0);
  // Now that a kiosk was there, strangers slow it and do not shut it out.
  for (let n = 0; n < 4; n++) await knock();
  expect(await comesFrom()).toBe(0);
  expect(await since()).toEqual([7, 22]);
});

test('the measuring listener has no TLS, believes the client id, and lets in registered kiosks only', async () => {
  const measured = await openWorld({ benchTcpPort: 0 });
  const kiosk = await measured.enrol('lapak-12');
  const port = measured.hub.benchTcpPort;
  if (port === undefined) throw new Error('not open');
  const known = await dialBare(port);
  known.send(connectPacket(kiosk.name));
  expect(await connackOf(known)).toBe(0);
  const unknown = await dialBare(port);
  unknown.send(connectPacket('nobody'));
  expect(await connackOf(unknown)).toBe(5);
  expect(world.hub.benchTcpPort).toBeUndefined();
});
