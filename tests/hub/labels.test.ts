/** Labels: what is printed is text whatever a member is called, and only labels are ever written over. */
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DEFAULT_CONFIG } from '../../hub/config.ts';
import { type Label, labelPage, labelsOf, labelTable, labelTarget, writeLabels } from '../../hub/labels.ts';
import { issueTown } from './issuetown.ts';
import { temporary } from './world.ts';

const label = (name: string, cooperative = 'Koperasi Pasar'): Label => ({
  number: '9360123456789012',
  name,
  cooperative,
  url: 'https://kartu.example.org/k/9360123456789012',
});
const config = (...names: string[]) => ({ ...DEFAULT_CONFIG, names });

test('a page shows number, name and cooperative as text, and needs nothing but itself', () => {
  const evil = `</bdi><script>alert(1)</script><img src=x onerror=alert(1)>"'&\u202e\u0000`;
  const page = labelPage([label(evil, '<b>Pasar</b>')]);
  expect(page).toContain('9360 1234 5678 9012');
  expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;');
  expect(page).toContain('&lt;b&gt;Pasar&lt;/b&gt;');
  expect(page).toContain("default-src 'none'");
  expect(page).not.toMatch(/<script|<img|<link|<iframe|url\(|@import|src=["']|href=/i);
  const elements = [...page.matchAll(/<([a-z0-9]+)/gi)].map((match) => match[1]);
  expect([...new Set(elements)].sort()).toEqual(
    [
      'article',
      'bdi',
      'body',
      'h2',
      'head',
      'html',
      'meta',
      'p',
      'path',
      'rect',
      'section',
      'style',
      'svg',
      'title',
    ].sort(),
  );
});

test('a sheet of A4 holds ten labels', () => {
  const sheets = (count: number) => labelPage(Array.from({ length: count }, () => label('A'))).split('<section>');
  expect([0, 1, 10, 11, 20].map((count) => sheets(count).length - 1)).toEqual([0, 1, 1, 2, 2]);
});

test('the code holds the address of the card under the first name of the hub, also if that is a number', async () => {
  const { registry } = await issueTown();
  const [card] = registry.cards();
  if (card === undefined) throw new Error('the town has no card');
  const [named] = labelsOf(registry, [card], 'kartu.example.org');
  expect(named).toEqual({
    number: '979200000001',
    name: 'Siti Aminah',
    cooperative: 'Koperasi Pasar Pahing',
    url: 'https://kartu.example.org/k/979200000001',
  });
  expect(labelsOf(registry, [card], '::1')[0]?.url).toBe('https://[::1]/k/979200000001');
});

test('a table for a label printer computes nothing', () => {
  const table = labelTable([label('=cmd|x'), label('Siti; "Ayu"')]);
  expect(table.split('\r\n')).toEqual([
    '\ufeffnumber;member;cooperative;url',
    "9360 1234 5678 9012;'=cmd|x;Koperasi Pasar;https://kartu.example.org/k/9360123456789012",
    '9360 1234 5678 9012;"Siti; ""Ayu""";Koperasi Pasar;https://kartu.example.org/k/9360123456789012',
    '',
  ]);
});

test('labels are written over labels, and over nothing else', () => {
  const directory = temporary();
  const error = (path: string) => {
    const target = labelTarget(config('a.example'), path);
    return target.ok ? null : target.error;
  };
  for (const name of ['labels.html', 'labels.csv']) {
    const path = join(directory, name);
    expect(error(path)).toBeNull();
    expect(writeLabels([label('Siti')], path)).toBeNull();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(error(path)).toBeNull();
    writeFileSync(path, 'cooperative;member;name\npasar;siti;Siti\n');
    expect(error(path)).toMatch(/holds no labels: nothing was changed/);
    expect(readFileSync(path, 'utf8')).toContain('pasar;siti');
  }
  const link = join(directory, 'link.html');
  symlinkSync('/etc/passwd', link);
  expect(error(link)).toMatch(/holds no labels/);
  expect(error(join(directory, 'labels.pdf'))).toMatch(/end in \.html or \.csv/);
  expect(labelTarget(config(), join(directory, 'x.html'))).toMatchObject({ ok: false, error: /names no host/ });
  const nowhere = join(directory, 'no', 'x.html');
  expect(writeLabels([], nowhere)).toMatch(/cannot be written \(ENOENT\)/);
  expect(existsSync(nowhere)).toBe(false);
});
