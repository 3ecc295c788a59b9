/** The log on disk. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openLog } from '../../kiosk/log.ts';
import { makeFolder } from './enrolled.ts';

it('tells the technician what happened', () => {
  const folder = makeFolder();
  const path = join(folder.dir, 'kiosk.log');
  openLog(path, 'info').info('link down', 'the hub closed the connection');
  expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({
    msg: 'link down',
    detail: 'the hub closed the connection',
  });
  folder.remove();
});

it('on a full disk is lost line by line, and the kiosk goes on selling', () => {
  const log = openLog('/dev/full', 'info');
  for (let line = 0; line < 3; line++) expect(() => log.info('link down', 'no space is left')).not.toThrow();
  expect(() => log.fatal('the till has stopped', new Error('no space'))).not.toThrow();
});
