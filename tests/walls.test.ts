/** The architecture and the house rules, held by a test where the compiler cannot. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { satisfies, subset } from 'semver';
import { expect, test } from 'vitest';
import { repository } from './town/repository.ts';

const root = repository();
/** Names that are not ours to judge: what is built or installed, at any depth. */
const gitignore = readFileSync(join(root, '.gitignore'), 'utf8').split('\n');
const ignored = new Set(['.git', ...gitignore.map((line) => line.replace(/\/$/, ''))]);

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (ignored.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

const files = filesBelow('');
const sources = files.filter((path) => path.endsWith('.ts'));
const text = new Map(sources.map((path) => [path, readFileSync(join(root, path), 'utf8')]));
const lines = (path: string) => (text.get(path) ?? '').replace(/\n$/, '').split('\n');

/** Tables that are declared, not coded: their length is their content. */
const declaredTables = new Set(['protocol/refusals.ts', 'protocol/topics.ts']);

/** Room → what it may import from; `''` stands for the room itself. */
const doors: Record<string, readonly string[]> = {
  protocol: ['protocol'],
  cards: ['cards'],
  'hub/rules': ['protocol', 'hub/rules'],
  'kiosk/rules': ['protocol', 'kiosk/rules'],
  hub: ['protocol', 'cards', 'hub', 'hub/rules'],
  kiosk: ['protocol', 'cards', 'kiosk', 'kiosk/rules'],
  tests: ['protocol', 'cards', 'hub', 'hub/rules', 'kiosk', 'kiosk/rules', 'tests'],
};

function room(path: string): string {
  const [first, second] = path.split('/');
  return second === 'rules' ? `${first}/rules` : (first ?? '');
}

function importsOf(path: string): string[] {
  const found = (text.get(path) ?? '').matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g);
  return [...found].map((match) => match[1] ?? '');
}

function offenders(paths: readonly string[], wrong: (path: string) => string | false | undefined): string[] {
  return paths.flatMap((path) => {
    const why = wrong(path);
    return why === false || why === undefined ? [] : [`${path}: ${why}`];
  });
}

test('each room imports only from the rooms the design allows', () => {
  const wrong = offenders(sources, (path) => {
    const allowed = doors[room(path)];
    if (allowed === undefined) return 'lies in no room';
    for (const name of importsOf(path).filter((name) => name.startsWith('.'))) {
      const target = normalize(join(dirname(path), name));
      if (!text.has(target)) return `imports ${name}, which is no source file`;
      if (!allowed.includes(room(target))) return `imports ${target}`;
    }
    return false;
  });
  expect(wrong).toEqual([]);
});

test('the protocol leans on schemas and sealing only, cards on node:crypto and one curve', () => {
  const allowed: Record<string, RegExp> = {
    protocol: /^(typebox(\/compile)?|@hpke\/core)$/,
    cards: /^(node:crypto|@noble\/curves\/abstract\/weierstrass\.js|@noble\/hashes\/sha2\.js)$/,
    'hub/rules': /^$/,
    'kiosk/rules': /^$/,
  };
  const wrong = offenders(sources, (path) => {
    const may = allowed[room(path)];
    if (may === undefined) return false;
    const foreign = importsOf(path).filter((name) => !name.startsWith('.') && !may.test(name));
    return foreign.length > 0 && `imports ${foreign.join(', ')}`;
  });
  expect(wrong).toEqual([]);
});

test('rules know no clock, chance, timer, disk, network or secret', () => {
  const timers = 'set(Timeout|Interval|Immediate)';
  const impure = new RegExp(
    `\\b(Date\\.now|new Date|Math\\.random|${timers}|process\\.|globalThis|performance|crypto)\\b|\\bfetch\\(`,
  );
  const wrong = offenders(
    sources.filter((path) => room(path).endsWith('/rules') || room(path) === 'protocol'),
    (path) => {
      const line = lines(path).find((text) => impure.test(text.replace(/\/\*\*.*\*\/|^\s*\*.*|\/\/.*/, '')));
      return line?.trim();
    },
  );
  expect(wrong).toEqual([]);
});

test('a source has at most 400 lines, half of them at most 120, a test 600, and a line 120 characters', () => {
  const wrong = offenders(sources, (path) => {
    const most = declaredTables.has(path) ? Number.POSITIVE_INFINITY : path.endsWith('.test.ts') ? 600 : 400;
    if (lines(path).length > most) return `${lines(path).length} lines`;
    const long = lines(path).findIndex((line) => line.length > 120);
    return long >= 0 && `line ${long + 1} is too long`;
  });
  expect(wrong).toEqual([]);
  const lengths = sources.filter((path) => !path.startsWith('tests/')).map((path) => lines(path).length);
  lengths.sort((a, b) => a - b);
  expect(lengths[Math.floor(lengths.length / 2)]).toBeLessThanOrEqual(120);
});

test('each file opens with one sentence on what it is for, and its name says what is in it', () => {
  const wrong = offenders(sources, (path) => {
    const name = path.split('/').at(-1) ?? '';
    if (/^(utils?|types|helpers?|index|common|misc)\.ts$/.test(name)) return 'has a name that says nothing';
    if (!/^[a-z0-9-]+(\.test|\.d)?\.ts$/.test(name)) return 'is not in lower case';
    return !/^\/\*\* .+ \*\/$/.test(lines(path)[0] ?? '') && `opens with: ${lines(path)[0]}`;
  });
  expect(wrong).toEqual([]);
});

test('no test is skipped, focused or left to be written', () => {
  const wrong = offenders(
    sources.filter((path) => path.startsWith('tests/')),
    (path) => {
      const line = lines(path).find((text) => /\b(it|test|describe)\.(skip|only|todo|fails|runIf|skipIf)\b/.test(text));
      return line?.trim();
    },
  );
  expect(wrong).toEqual([]);
});

interface LockedPackage {
  readonly engines?: { readonly node?: string } | readonly string[];
  readonly resolved?: string;
  readonly link?: boolean;
}

const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
  packages: Record<string, LockedPackage>;
};

test('every package of the lockfile accepts Node 20.19 and names no host to fetch it from', () => {
  const packages = Object.entries(lock.packages);
  expect(packages.length).toBeGreaterThan(100);
  const wrong = packages.flatMap(([name, { engines, resolved, link }]) => {
    // One old package lists its engines as strings: `["node >=0.4"]`.
    const range = Array.isArray(engines)
      ? engines.map((line: string) => line.replace(/^node\s*/, '')).join(' ')
      : (engines as { node?: string } | undefined)?.node;
    if (range !== undefined && !satisfies('20.19.0', range)) return [`${name} wants Node ${range}`];
    if (resolved !== undefined && link !== true) return [`${name} names ${resolved}`];
    return [];
  });
  expect(wrong).toEqual([]);
});

test('dependencies are pinned to one version each, in every room', () => {
  const manifests = files.filter((path) => path.endsWith('package.json'));
  const wrong = manifests.flatMap((path) => {
    const manifest = JSON.parse(readFileSync(join(root, path), 'utf8')) as Record<string, Record<string, string>>;
    return ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((group) =>
      Object.entries(manifest[group] ?? {})
        .filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))
        .map(([name, version]) => `${path}: ${name} ${version}`),
    );
  });
  expect(wrong).toEqual([]);
  const engines = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { engines: { node: string } })
    .engines;
  expect(subset('20.19.0', engines.node)).toBe(true);
});

test("the README's map names every folder of the tree and nothing else", () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const map = [...readme.matchAll(/^\| `([a-z/]+)\/` \|/gm)].map((match) => match[1] ?? '');
  const folders = new Set(sources.map((path) => dirname(path)));
  expect([...map].sort()).toEqual([...folders].sort());
});

test('each room has a page', () => {
  const pages = ['protocol', 'cards', 'kiosk', 'hub', 'tests'].map((name) => `${name}/README.md`);
  expect(pages.filter((page) => !files.includes(page))).toEqual([]);
});
