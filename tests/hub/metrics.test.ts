/** The page of counters: what a monitoring system reads of a running hub, alarms first of all. */
import { expect, test } from 'vitest';
import { ALARMS_A_MINUTE } from '../../hub/allowance.ts';
import { answerTo, join, publish } from './wire.ts';
import { openWorld } from './world.ts';

/** More in a minute than the ledger takes rows for. */
const ALARMS = 25;

test('every alarm counts on the metrics page, also those too many for a row in the ledger', async () => {
  const at = Date.now();
  const world = await openWorld({ metricsPort: 0 }, { now: () => at });
  const kiosk = await world.enrol('lapak-12');
  const wire = await join(world, kiosk);
  const get = (path: string) => fetch(`http://127.0.0.1:${world.hub.metricsPort}${path}`);
  const quiet = await (await get('/metrics')).text();
  expect(quiet).toContain('simpul_kiosks_online 1');
  expect(quiet).not.toContain('simpul_alarms_total{');

  for (let n = 0; n < ALARMS; n++) {
    publish(wire, `simpul/v1/${kiosk.name}/up/mint`, JSON.stringify({ id: `m${n}` }), { messageId: n + 1 });
    await answerTo(wire, `m${n}`);
  }
  const page = await get('/metrics');
  expect([page.status, page.headers.get('content-type')]).toEqual([200, expect.stringMatching(/^text\/plain/)]);
  expect(await page.text()).toContain(`simpul_alarms_total{kind="topic-foreign"} ${ALARMS}\n`);
  await expect.poll(async () => (await world.hub.ledger.alarms(100)).length).toBe(ALARMS_A_MINUTE);
});

test('there is nothing else on the metrics port, and no port without the setting', async () => {
  const world = await openWorld({ metricsPort: 0 });
  for (const path of ['/', '/metrics/', '/metrics.json', '/../metrics?x']) {
    const answer = await fetch(`http://127.0.0.1:${world.hub.metricsPort}${path}`);
    expect([path, answer.status, await answer.text()]).toEqual([path, 404, '']);
  }
  expect((await openWorld()).hub.metricsPort).toBeUndefined();
});
