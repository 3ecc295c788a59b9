/** The outside world as the hub receives it: what it does when it fails. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { expect, test } from 'vitest';

test('a hub whose log lies on a full disk goes on without its log', () => {
  const edges = new URL('../../hub/edges.js', import.meta.url).href;
  const script = `import { makeLog } from '${edges}';
    const log = makeLog('info');
    for (let n = 0; n < 1000; n++) log.info({ n }, 'a line that finds no room');
    console.log('alive');`;
  const full = openSync('/dev/full', 'w');
  const run = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', full],
  });
  closeSync(full);
  expect([run.status, run.stdout.toString()]).toEqual([0, 'alive\n']);
});
