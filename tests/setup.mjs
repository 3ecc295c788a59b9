/** Brings a machine to where every test can run: Debian's packages, user namespaces, nfc-pcsc. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folders = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`.split(':').filter(Boolean);
const env = { ...process.env, PATH: folders.join(':'), DEBIAN_FRONTEND: 'noninteractive' };
const program = (name) => folders.some((folder) => existsSync(join(folder, name)));

/** Debian package: whether what the tests need of it is here. */
const packages = {
  pcscd: () => program('pcscd'),
  'vsmartcard-vpcd': () => existsSync('/usr/lib/pcsc/drivers/serial/libifdvpcd.so'),
  'libpcsclite-dev': () => existsSync('/usr/include/PCSC/winscard.h') && libraryIsHere('libpcsclite.so'),
  iproute2: () => program('ip'),
  'util-linux': () => program('unshare') && program('nsenter') && program('setpriv'),
  openssl: () => program('openssl'),
  python3: () => program('python3'),
  make: () => program('make'),
  gcc: () => program('gcc'),
  'g++': () => program('g++'),
};

function libraryIsHere(name) {
  const triplet = { x64: 'x86_64', arm64: 'aarch64', arm: 'arm' }[process.arch] ?? process.arch;
  const abi = process.arch === 'arm' ? 'gnueabihf' : 'gnu';
  return ['/usr/lib', `/usr/lib/${triplet}-linux-${abi}`].some((folder) => existsSync(join(folder, name)));
}

function run(command, args, options = {}) {
  const done = spawnSync(command, args, { cwd: root, env, encoding: 'utf8', maxBuffer: 2 ** 26, ...options });
  return { ok: done.status === 0, said: `${done.stdout ?? ''}${done.stderr ?? ''}${done.error?.message ?? ''}` };
}

function fail(line) {
  process.stderr.write(`set-up: ${line}\n`);
  process.exit(1);
}

const missing = () => Object.keys(packages).filter((name) => !packages[name]());

/** The last line of a program's output that says something: warnings do not. */
const lastWords = (said) =>
  said
    .trim()
    .split('\n')
    .findLast((line) => !/^(npm warn|W:)/.test(line)) ?? '';

function installPackages() {
  const wanted = missing();
  if (wanted.length === 0) return;
  const cure = `apt-get install -y ${wanted.join(' ')}`;
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && !run('sudo', ['-n', 'true']).ok) fail(`as root: ${cure}`);
  const apt = (...args) => {
    const line = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args];
    return isRoot ? run(line[0], line.slice(1)) : run('sudo', ['-n', ...line]);
  };
  process.stdout.write(`set-up: ${cure}\n`);
  const install = () => apt('install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', ...wanted);
  // Package lists are missing in fresh containers and stale on old machines; fetching good ones is a waste.
  let result = install();
  if (missing().length > 0) {
    const update = apt('update');
    result = update.ok ? install() : update;
  }
  // A service that cannot start in a container makes apt-get fail though all files are here: the files decide.
  const still = missing();
  if (still.length > 0) fail(`as root: apt-get install -y ${still.join(' ')} (it said: ${lastWords(result.said)})`);
}

function checkNamespaces() {
  const { ok, said } = run('unshare', ['-Urmn', 'true']);
  if (!ok) fail(`allow user namespaces, as root: sysctl -w kernel.unprivileged_userns_clone=1 (${lastWords(said)})`);
}

/** In a child: a broken addon must not take the set-up with it. */
const nfcLoads = () => run(process.execPath, ['-e', "require('nfc-pcsc')"], { cwd: join(root, 'kiosk') }).ok;

/**
 * `npm ci` without libpcsclite-dev removes the optional nfc-pcsc; only `npm install` brings it back, here without
 * touching the lockfile. An addon that is there but built for another Node needs `npm rebuild` instead.
 */
function bringReaderBack() {
  if (nfcLoads()) return;
  process.stdout.write('set-up: npm install (brings nfc-pcsc back)\n');
  let result = run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefer-offline']);
  if (!nfcLoads()) result = run('npm', ['rebuild', '@pokusew/pcsclite']);
  if (!nfcLoads())
    fail(`nfc-pcsc does not load: npm install --no-save, and read why (it said: ${lastWords(result.said)})`);
}

installPackages();
checkNamespaces();
bringReaderBack();
