/** Doctor: looks at everything a hub needs and says what is wrong, why, and what to do next. */
import { X509Certificate } from 'node:crypto';
import { readFileSync, statfsSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import Database from 'better-sqlite3';
import { type HubConfig, type HubPaths, hubPaths, readConfig } from './config.ts';
import type { Edges } from './edges.ts';
import { readSecret } from './secret.ts';
import { isHeld } from './store/sqlite/alone.ts';
import { auditFile } from './store/sqlite/audit.ts';
import { openRegistry } from './store/sqlite/registry.ts';
import { openVault, type Vault } from './vault.ts';

export interface Finding {
  readonly check: string;
  readonly state: 'ok' | 'warn' | 'fail';
  /** What was found. */
  readonly what: string;
  /** Why it matters and what to do; empty when all is well. */
  readonly why: string;
  readonly next: string;
}

export interface DoctorDeps extends Edges {
  readonly environment: NodeJS.ProcessEnv;
  /** Free bytes of the file system that holds a path. */
  readonly freeBytes: (path: string) => number;
}

/** What earlier checks found out for later ones. */
interface Patient {
  readonly paths: HubPaths;
  config: HubConfig | undefined;
  vault: Vault | undefined;
  running: boolean;
}

type Result = Omit<Finding, 'check'>;
type Check = (deps: DoctorDeps, patient: Patient) => Result | Promise<Result>;

const ok = (what: string): Result => ({ state: 'ok', what, why: '', next: '' });
const warn = (what: string, why: string, next: string): Result => ({ state: 'warn', what, why, next });
const fail = (what: string, why: string, next: string): Result => ({ state: 'fail', what, why, next });

const DAY = 86_400_000;
const GIB = 2 ** 30;
/** No hub can have been made before its software: 2026-01-01 UTC. */
const SOFTWARE_SINCE = Date.UTC(2026, 0, 1);
const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code ?? (error as Error).message;

/** In this order: each may rest on what those before it found. */
const checks: Readonly<Record<string, Check>> = {
  directory: (_deps, { paths }) => {
    let mode: number;
    try {
      mode = statSync(paths.directory).mode;
    } catch (error) {
      return fail(
        `${paths.directory}: ${codeOf(error)}`,
        'everything of a hub lies there',
        'run simpul-hub init, or name it with --data',
      );
    }
    if ((mode & 0o007) !== 0) {
      return warn(
        `${paths.directory} is open to every user`,
        'books and vault lie there',
        `chmod 700 ${paths.directory}`,
      );
    }
    return ok(paths.directory);
  },

  settings: (_deps, patient) => {
    const read = readConfig(patient.paths);
    if (!read.ok) return fail(read.error, 'the hub does not start without settings', 'correct hub.json');
    patient.config = read.config;
    if (read.config.benchTcpPort !== undefined) {
      return warn('benchTcpPort is set', 'whoever reaches that port is any kiosk it likes', 'remove it from hub.json');
    }
    return ok(patient.paths.config);
  },

  vault: (deps, patient) => {
    const { paths, config } = patient;
    if (config === undefined) return fail('not looked at', 'settings come first', 'correct hub.json');
    const secret = readSecret(paths, config, deps.environment);
    if (!secret.ok)
      return fail(secret.error, 'without the vault no card can be verified', 'bring the key file or passphrase');
    const opened = openVault(deps, paths.vault, secret.secret);
    if (!opened.ok)
      return fail(opened.error, 'without the vault no card can be verified', 'use the right secret, or restore it');
    patient.vault = opened.vault;
    if ((statSync(paths.vault).mode & 0o077) !== 0) {
      return warn(`${paths.vault} can be read by others`, 'it holds every key', `chmod 600 ${paths.vault}`);
    }
    if (config.vaultKeyFile === 'vault.key') {
      const next = 'keep the key file on another medium, or use a passphrase';
      return warn('opens; its key file lies beside it', 'a copy of the directory opens itself', next);
    }
    return ok('opens');
  },

  authority: (deps, { paths, vault }) =>
    judgeCertificate(deps, paths.ca, (found) => vault === undefined || found.checkPrivateKey(vault.caKey)),

  certificate: (deps, { paths, vault }) =>
    judgeCertificate(deps, paths.certificate, (found) => {
      const ca = new X509Certificate(readFileSync(paths.ca));
      return found.verify(ca.publicKey) && (vault === undefined || found.checkPrivateKey(vault.tlsKey));
    }),

  port: async (_deps, patient) => {
    const { config, paths } = patient;
    if (config === undefined) return fail('not looked at', 'settings come first', 'correct hub.json');
    const code = await tryListen(config.host, config.port);
    patient.running = isHeld(paths.lock);
    if (patient.running && code === 'EADDRINUSE') return ok(`${config.host}:${config.port}: the hub is running`);
    if (patient.running) {
      const what = `a hub serves this directory, but not at ${config.host}:${config.port}`;
      return warn(what, 'hub.json was changed since it started', 'restart the hub');
    }
    if (code === undefined) return ok(`${config.host}:${config.port} is free; the hub is not running`);
    const next = 'stop the other program, or set host and port in hub.json';
    return fail(`${config.host}:${config.port}: ${code}`, 'kiosks could not connect', next);
  },

  registry: (_deps, { paths }) => {
    try {
      statSync(paths.registry);
      const registry = openRegistry({ path: paths.registry });
      const counted = { cooperatives: registry.cooperatives().length, kiosks: registry.kiosks().length };
      registry.close();
      if (counted.cooperatives === 0) {
        return fail(
          'the registry is empty',
          'no card and no outlet is known',
          'restore registry.db, or run init in a new directory',
        );
      }
      return ok(`${counted.cooperatives} cooperatives, ${counted.kiosks} kiosks ever enrolled`);
    } catch (error) {
      return fail(
        `${paths.registry}: ${codeOf(error)}`,
        'the hub knows nobody without it',
        'restore it from the backup',
      );
    }
  },

  books: (_deps, { paths, running }) => {
    try {
      statSync(paths.ledger);
      const looked = lookAtLedger(paths.ledger);
      return running || looked.state !== 'ok' ? looked : auditLedger(paths.ledger);
    } catch (error) {
      return fail(
        `${paths.ledger}: ${(error as Error).message}`,
        'nothing can be decided without it',
        'restore it from the backup',
      );
    }
  },

  disk: (deps, { paths }) => {
    const free = deps.freeBytes(paths.directory);
    const what = `${(free / GIB).toFixed(1)} GiB free`;
    if (free < GIB / 4) return fail(what, 'the hub stops deciding when the disk is full', 'make room now');
    if (free < 2 * GIB) return warn(what, 'the books grow every day', 'make room soon');
    return ok(what);
  },

  clock: (deps, { paths }) => {
    const now = deps.now();
    const says = new Date(now).toISOString();
    const next = 'set the clock, and let systemd-timesyncd or chrony keep it';
    if (now < SOFTWARE_SINCE) return fail(`the clock says ${says}`, 'beacons and business dates follow it', next);
    try {
      const newest = Math.max(
        ...[paths.ledger, `${paths.ledger}-wal`].map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0),
      );
      if (newest > now + DAY) return fail(`the clock says ${says}`, 'the books were written later than that', next);
    } catch {
      return ok(says);
    }
    return ok(says);
  },
};

export const checkNames = Object.keys(checks);

function judgeCertificate(deps: DoctorDeps, path: string, fits: (found: X509Certificate) => boolean): Result {
  const why = 'kiosks refuse a hub without a valid certificate';
  let found: X509Certificate;
  try {
    found = new X509Certificate(readFileSync(path));
    if (!fits(found))
      return fail(`${path} does not belong to this vault`, why, 'restore vault and certificates together');
  } catch (error) {
    return fail(`${path}: ${codeOf(error)}`, why, 'restore it from the backup');
  }
  const days = Math.floor((Date.parse(found.validTo) - deps.now()) / DAY);
  if (Date.parse(found.validFrom) > deps.now()) return fail(`${path} is not valid yet`, why, 'set the clock');
  if (days < 0) return fail(`${path} expired ${-days} days ago`, why, 'renew it');
  if (days < 30) return warn(`${path}: ${days} days left`, why, 'renew it');
  return ok(`${days} days left`);
}

function tryListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, host, () => server.close(() => resolve(undefined)));
  });
}

function lookAtLedger(path: string): Result {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  const mode = db.pragma('journal_mode', { simple: true });
  db.close();
  return mode === 'wal'
    ? ok('in use by the running hub')
    : fail(`journal mode ${mode}`, 'commits may be lost', 'restore it');
}

/**
 * Adds up every leg. The file is only read: a hub that was not recognised as running would stop at another's write.
 * Whether commits reach the disk (`synchronous=FULL`) is asserted at each start of the hub.
 */
function auditLedger(path: string): Result {
  const { total, entries, brokenPairs, brokenAccounts, brokenEntries } = auditFile(path);
  const broken = [...brokenPairs, ...brokenAccounts, ...brokenEntries];
  if (total === 0n && broken.length === 0) return ok(`${entries} entries, trial balance zero`);
  const what = `trial balance ${total}; broken: ${broken.slice(0, 5).join(', ') || 'none'}`;
  return fail(what, 'the books do not add up', 'stop the hub, keep the file, restore the last backup beside it');
}

/** Free bytes as the system says. */
export function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** Runs every check, in order. */
export async function examine(deps: DoctorDeps, directory: string): Promise<readonly Finding[]> {
  const patient: Patient = { paths: hubPaths(directory), config: undefined, vault: undefined, running: false };
  const findings: Finding[] = [];
  for (const [check, run] of Object.entries(checks)) {
    const result = await Promise.resolve()
      .then(() => run(deps, patient))
      .catch((error: unknown) => fail(codeOf(error), 'the check itself failed', 'see the checks above'));
    findings.push({ check, ...result });
  }
  return findings;
}

/** Findings as lines for a person. */
export function spellFindings(findings: readonly Finding[]): string {
  const lines = findings.flatMap(({ check, state, what, why, next }) => [
    `${state.padEnd(5)}${check.padEnd(13)}${what}`,
    ...(state === 'ok' ? [] : [`${' '.repeat(18)}why:  ${why}`, `${' '.repeat(18)}next: ${next}`]),
  ]);
  return `${lines.join('\n')}\n`;
}
