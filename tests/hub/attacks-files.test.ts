/** Who shares a folder with an officer gets nothing of the officer's to write into, to read, or to lose. */
import { chmodSync, existsSync, lstatSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeAtomic } from '../../hub/files.ts';
import { writeLabels } from '../../hub/labels.ts';
import { temporary } from './world.ts';

test('a link that lies where labels are put together leads to no other file of the officer', () => {
  const folder = temporary();
  const [letter, labels] = [join(folder, 'letter.txt'), join(folder, 'labels.html')];
  writeFileSync(letter, 'Dear sirs');
  symlinkSync(letter, `${labels}.new`);
  expect(writeLabels([], labels)).toBeNull();
  expect(readFileSync(letter, 'utf8')).toBe('Dear sirs');
  expect(lstatSync(labels).isFile()).toBe(true);
});

test('a file that lay there before, open to everybody, does not open what is written to everybody', () => {
  const path = join(temporary(), 'vault.json');
  writeFileSync(`${path}.new`, '');
  chmodSync(`${path}.new`, 0o666);
  writeAtomic(path, 'secret', 0o600);
  expect(lstatSync(path).mode & 0o777).toBe(0o600);
  expect(existsSync(`${path}.new`)).toBe(false);
});

test('a letter that was saved under the name of the labels while cards were made is not replaced by them', () => {
  const path = join(temporary(), 'labels.html');
  writeFileSync(path, 'Dear sirs');
  expect(writeLabels([], path)).toMatch(/holds no labels/);
  expect(readFileSync(path, 'utf8')).toBe('Dear sirs');
});
