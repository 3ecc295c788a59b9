/** Checks everything a kiosk needs, and says of each what it is, why it is so, and what to do next. */
import { X509Certificate } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { BEACON_SECONDS } from '../protocol/status.ts';
import { type Config, readConfig } from './config.ts';
import { dialHub } from './dial.ts';
import { type Identity, loadIdentity } from './keys.ts';
import { openLink } from './link.ts';
import { openOutbox } from './outbox.ts';
import { openReader, type Reader } from './reader.ts';
import { needOutbox, outboxPath, SOFTWARE } from './start.ts';

/** `fail`: the kiosk cannot sell. `warn`: it can, but not for long or not well. */
export interface Finding {
  readonly check: CheckName;
  readonly status: 'ok' | 'warn' | 'fail';
  /** What is so. */
  readonly what: string;
  /** What to do next; empty when all is well. */
  readonly next: string;
}

export interface DoctorDeps {
  readonly dir: string;
  /** Wall clock, milliseconds since 1970 UTC. */
  readonly now: () => number;
  readonly timers: { setTimeout(callback: () => void, ms: number): unknown; clearTimeout(timer: unknown): void };
  readonly random: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  /** Where pcscd listens. */
  readonly pcscSocket: string;
  /** Bytes free on the disk of a path. */
  readonly freeBytes: (path: string) => Promise<number>;
  /** How long one check may wait, milliseconds. */
  readonly waitMs: number;
}

export type CheckName = keyof typeof checks;
type Said = Omit<Finding, 'check'>;
interface Scene {
  readonly deps: DoctorDeps;
  readonly config: Config | null;
  readonly identity: Identity | null;
}

const DAY_MS = 86_400_000;
const CERTIFICATE_DAYS_MIN = 30;
/** A beacon is current for ten seconds and certificates are dated to the minute. */
const SKEW_MS_MAX = 30_000;
const MIB = 1024 * 1024;
const WAIT_MS = 20_000;
const CARD_MS = 10_000;
/** TLS 1.3 lets the hub refuse our certificate only after our side is done. */
const VERDICT_MS = 300;

const ok = (what: string): Said => ({ status: 'ok', what, next: '' });
const warn = (what: string, next: string): Said => ({ status: 'warn', what, next });
const fail = (what: string, next: string): Said => ({ status: 'fail', what, next });
const unchecked = (needs: string): Said => fail(`not checked: ${needs}`, 'correct the checks above first');

/** THE table: every check, in the order in which one needs the other. */
const checks = {
  config: ({ deps }: Scene): Said => {
    const { hub, reader } = readConfig(deps.dir);
    return ok(`hub ${hub.host}:${hub.port}, reader program ${reader.join(' ')}`);
  },
  keys: ({ deps }: Scene): Said => {
    const { name, kiosk, role, certificate } = loadIdentity(deps.dir);
    if ((statSync(join(deps.dir, 'keys.json')).mode & 0o077) !== 0) {
      const cure = `remove ${join(deps.dir, 'keys.json')} and enrol anew: only new keys are secret again`;
      return fail("others can read this kiosk's keys", cure);
    }
    const days = Math.floor((Date.parse(new X509Certificate(certificate).validTo) - deps.now()) / DAY_MS);
    if (days < 0) return fail(`the certificate of ${name} ended ${-days} days ago`, 'enrol anew');
    if (days < CERTIFICATE_DAYS_MIN) return warn(`the certificate of ${name} ends in ${days} days`, 'enrol anew soon');
    return ok(`kiosk ${kiosk} (${name}), role ${role}, certificate good for ${days} days`);
  },
  clock: ({ deps, identity }: Scene): Said => {
    if (identity === null) return unchecked('the kiosk has no certificate');
    const { validFrom } = new X509Certificate(identity.certificate);
    const early = Date.parse(validFrom) - deps.now();
    if (early > SKEW_MS_MAX) {
      return fail(
        `the clock is before ${validFrom}, when our certificate begins`,
        'set the clock: timedatectl set-ntp true',
      );
    }
    return ok(new Date(deps.now()).toISOString());
  },
  dns: async ({ config }: Scene): Promise<Said> => {
    if (config === null) return unchecked('no settings');
    const { address } = await lookup(config.hub.host);
    return ok(`${config.hub.host} is ${address}`);
  },
  tls: async (scene: Scene): Promise<Said> => {
    const { config, identity, deps } = scene;
    if (config === null || identity === null) return unchecked('no settings or no certificate');
    return greet(dialHub(config.hub, identity), deps);
  },
  outbox: async ({ deps, identity }: Scene): Promise<Said> => {
    if (identity === null) return unchecked('the kiosk has no number');
    needOutbox(deps.dir);
    const outbox = openOutbox({ path: outboxPath(deps.dir), kiosk: identity.kiosk, now: deps.now });
    const waiting = outbox.waiting();
    outbox.end();
    const free = Math.floor((await deps.freeBytes(deps.dir)) / MIB);
    if (free < 8) return fail(`only ${free} MiB free`, 'free disk space: the till stops when the disk is full');
    if (free < 64) return warn(`only ${free} MiB free`, 'free disk space soon');
    return ok(`written through (FULL), ${waiting} sales wait for an answer, ${free} MiB free`);
  },
  pcscd: async ({ config, deps }: Scene): Promise<Said> => {
    if (config === null) return unchecked('no settings');
    if (!config.pcsc) return ok('not used: the settings name another reader program');
    await answers(deps.pcscSocket);
    return ok(`listens at ${deps.pcscSocket}`);
  },
  reader: async ({ config, deps }: Scene): Promise<Said> => {
    if (config === null) return unchecked('no settings');
    const reader = openReader(deps, { command: config.reader });
    const said = await firstOf(reader, deps, deps.waitMs, (event) => {
      if (event.type === 'ready') return ok(event.name);
      return event.type === 'fault'
        ? fail(event.why, 'plug the reader in, or correct /reader/command in kiosk.json')
        : null;
    });
    await reader.close();
    return (
      said ?? fail('the reader program says nothing', 'unplug the reader, plug it in again, then look at kiosk.json')
    );
  },
  /** Asked for only: it takes over the connection of a running kiosk for a moment. */
  beacon: async ({ config, identity, deps }: Scene): Promise<Said> => {
    if (config === null || identity === null) return unchecked('no settings or no certificate');
    const slot = await hearBeacon(config, identity, deps);
    if (slot === null) return fail('no beacon was heard', 'is the hub running? Account sales need it');
    const ahead = deps.now() - slot * BEACON_SECONDS * 1000;
    const skew = ahead < 0 ? -ahead : Math.max(0, ahead - 2 * BEACON_SECONDS * 1000);
    const seconds = Math.round(skew / 1000);
    if (skew > SKEW_MS_MAX)
      return warn(`the clock is ${seconds} s off the hub's`, 'set the clock: timedatectl set-ntp true');
    return ok(`the clock agrees with the hub's to ${seconds} s`);
  },
  card: async ({ config, deps }: Scene): Promise<Said> => {
    if (config === null) return unchecked('no settings');
    const reader = openReader(deps, { command: config.reader });
    const said = await firstOf(reader, deps, Math.min(CARD_MS, deps.waitMs), (event) =>
      event.type === 'card' ? ok(`card ${event.uid}`) : null,
    );
    await reader.close();
    return said ?? warn('no card came', 'put a card on the reader and ask again');
  },
} as const;

/** What to do when a check threw: the words say why, this says what next. */
const nextSteps: Record<CheckName, string> = {
  config: 'correct kiosk.json, or enrol if there is none',
  keys: 'run `simpul-kiosk enrol`',
  clock: 'set the clock: timedatectl set-ntp true',
  dns: 'check /hub/host in kiosk.json and the network: ping the router, then the hub',
  tls: 'check the network and that the hub runs: `simpul-hub doctor`',
  outbox: 'check the disk: df, dmesg; the file must be writable by this user',
  pcscd: 'systemctl start pcscd.socket; is the package pcscd installed?',
  reader: 'correct /reader/command in kiosk.json',
  beacon: 'check that the hub runs',
  card: 'correct /reader/command in kiosk.json',
};

/** The machine this runs on. */
export function doctorDeps(dir: string): DoctorDeps {
  return {
    dir,
    now: Date.now,
    timers: globalThis,
    random: Math.random,
    randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
    pcscSocket: process.env.PCSCLITE_CSOCK_NAME ?? '/run/pcscd/pcscd.comm',
    freeBytes: async (path) => {
      const { bavail, bsize } = await statfs(path);
      return bavail * bsize;
    },
    waitMs: WAIT_MS,
  };
}

/** Every check, in order. */
export const checkNames = Object.keys(checks) as CheckName[];
/** The checks that need nobody's help and disturb no running kiosk. */
export const usualChecks = checkNames.filter((check) => check !== 'beacon' && check !== 'card');

/** Runs checks one after another; a check that throws is a fault with its words. */
export async function diagnose(deps: DoctorDeps, wanted: readonly CheckName[]): Promise<Finding[]> {
  const scene: Scene = {
    deps,
    config: quiet(() => readConfig(deps.dir)),
    identity: quiet(() => loadIdentity(deps.dir)),
  };
  const findings: Finding[] = [];
  for (const check of wanted) {
    try {
      findings.push({ check, ...(await checks[check](scene)) });
    } catch (error) {
      findings.push({ check, ...fail((error as Error).message, nextSteps[check]) });
    }
  }
  return findings;
}

/** Whether nothing is broken; a warning is not. */
export function sound(findings: readonly Finding[]): boolean {
  return findings.every(({ status }) => status !== 'fail');
}

/** One line a check, and its next step where there is one. */
export function spell(findings: readonly Finding[]): string {
  const marks = { ok: 'ok  ', warn: 'WARN', fail: 'FAIL' };
  return findings
    .map(
      ({ check, status, what, next }) =>
        `${marks[status]} ${check.padEnd(7)} ${what}${next ? `\n             -> ${next}` : ''}`,
    )
    .join('\n');
}

function quiet<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}

/** Whether a server answers at a socket path. */
function answers(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve();
    }).on('error', reject);
  });
}

/** Waits until both sides have accepted each other. */
function greet(socket: TLSSocket, { timers, waitMs }: DoctorDeps): Promise<Said> {
  return new Promise((resolve, reject) => {
    const patience = timers.setTimeout(() => end(() => reject(new Error('the hub does not answer'))), waitMs);
    const end = (settle: () => void): void => {
      timers.clearTimeout(patience);
      socket.destroy();
      settle();
    };
    socket.on('error', (error) => end(() => reject(error)));
    socket.on('close', () => end(() => reject(new Error('the hub closed the connection'))));
    socket.on('secureConnect', () => {
      const { subject } = socket.getPeerCertificate();
      const greeting = ok(`${socket.getProtocol()} with ${subject?.CN ?? 'the hub'}, both sides proven`);
      timers.setTimeout(() => end(() => resolve(greeting)), VERDICT_MS);
    });
  });
}

/** The first thing a reader says that settles the question, or null when the time is over. */
function firstOf(
  reader: Reader,
  { timers }: DoctorDeps,
  waitMs: number,
  judge: (event: Parameters<Parameters<Reader['listen']>[0]>[0]) => Said | null,
): Promise<Said | null> {
  return new Promise((resolve) => {
    const patience = timers.setTimeout(() => resolve(null), waitMs);
    reader.listen((event) => {
      const said = judge(event);
      if (said === null) return;
      timers.clearTimeout(patience);
      resolve(said);
    });
  });
}

async function hearBeacon(config: Config, identity: Identity, deps: DoctorDeps): Promise<number | null> {
  const dial = () => dialHub(config.hub, identity);
  const link = openLink(
    { ...deps, dial, waiting: () => 0, log: () => undefined },
    { name: identity.name, software: SOFTWARE },
  );
  const slot = await new Promise<number | null>((resolve) => {
    const patience = deps.timers.setTimeout(() => resolve(null), deps.waitMs);
    link.listen((event) => {
      if (event.type !== 'beacon') return;
      deps.timers.clearTimeout(patience);
      resolve(event.slot);
    });
  });
  await link.close();
  return slot;
}
