/** Small files of hub and kiosk: whole or not at all, also where the disk takes only a part. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { temporary } from './world.ts';

const WRITERS = [
  ['hub', 'writeAtomic'],
  ['kiosk', 'writePrivate'],
] as const;

/** Runs the shipped writer in a process that may write no file beyond 4 KiB, as on a disk with no more room. */
function write(room: string, name: string, path: string, bytes: number): string {
  const module = pathToFileURL(join(process.cwd(), 'dist', room, 'files.js')).href;
  const script = `import { ${name} as write } from '${module}';
    try { write('${path}', 'x'.repeat(${bytes}), 0o600); console.log('written'); } catch (e) { console.log(e.code); }`;
  const limited = 'trap "" XFSZ; ulimit -f 4; exec "$0" --input-type=module -e "$1"';
  return execFileSync('bash', ['-c', limited, process.execPath, script], { encoding: 'utf8' }).trim();
}

test.each(WRITERS)('what the %s cannot write whole leaves the file before as it was', (room, name) => {
  const path = join(temporary(), 'file.json');
  expect(write(room, name, path, 10_000)).toBe('EFBIG');
  expect(existsSync(path)).toBe(false);
  expect(write(room, name, path, 3000)).toBe('written');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(write(room, name, path, 10_000)).toBe('EFBIG');
  expect(readFileSync(path, 'utf8')).toBe('x'.repeat(3000));
});
