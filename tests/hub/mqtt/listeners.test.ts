/** The sockets before the broker: however many say nothing, there is room for a kiosk. */
import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { hubPaths } from '../../../hub/config.ts';
import { makeLog, realEdges } from '../../../hub/edges.ts';
import { makeMetrics } from '../../../hub/metrics.ts';
import { BadVisits } from '../../../hub/mqtt/door.ts';
import { type Incoming, listenTls } from '../../../hub/mqtt/listeners.ts';
import { dial, dialBare, type Wire } from '../wire.ts';
import { openWorld, type World } from '../world.ts';

const ROOM = 4;

/** A listener of the world's hub with little room; the hub itself has nothing to do with what comes there. */
async function openNarrow({ hub, directory }: World): Promise<{ port: number; admitted: Incoming[] }> {
  const paths = hubPaths(directory);
  const tls = {
    key: hub.vault.tlsKey,
    certificate: readFileSync(paths.certificate, 'utf8'),
    ca: readFileSync(paths.ca, 'utf8'),
  };
  const never = () => {
    throw new Error('there is no broker behind this listener');
  };
  const deps = { ...realEdges(makeLog('silent')), registry: hub.registry, metrics: makeMetrics() };
  const admitted: Incoming[] = [];
  const listener = await listenTls(
    { ...deps, receive: never, alarm: never },
    new BadVisits(deps.now),
    { host: '127.0.0.1', port: 0, tls, unfinishedMax: ROOM },
    (incoming) => admitted.push(incoming),
  );
  onTestFinished(() => listener.close());
  return { port: listener.port, admitted };
}

const closed = (wires: readonly Wire[]) => wires.map((wire) => wire.closed);

test('beyond the room for unfinished handshakes the oldest is let go, and a kiosk still comes in', async () => {
  const world = await openWorld();
  const kiosk = await world.enrol('lapak-12');
  const { port, admitted } = await openNarrow(world);
  const silent: Wire[] = [];
  for (let n = 0; n < ROOM; n++) silent.push(await dialBare(port));
  const later = [await dialBare(port), await dialBare(port)];
  await Promise.all(silent.slice(0, 2).map((wire) => wire.gone()));
  expect(closed([...silent, ...later])).toEqual([true, true, false, false, false, false]);

  const wire = await dial({ hub: { port } }, kiosk);
  await expect.poll(() => admitted.map(({ identity }) => identity?.name)).toEqual(['lapak-12']);
  await silent[2]?.gone();
  // The kiosk has finished its handshake: it is none of those who have to go.
  for (let n = 0; n < 2; n++) later.push(await dialBare(port));
  await silent[3]?.gone();
  expect(closed([wire, ...later])).toEqual([false, false, false, false, false]);
});
