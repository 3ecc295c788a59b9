/** Puts a kiosk together from its directory and the machine it runs on. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { EnrolmentGrant, KioskRole } from '../protocol/enrolment.ts';
import type { CooperativeId, KioskNo } from '../protocol/ids.ts';
import { holdAlone } from './alone.ts';
import { makeCardKeys } from './cardkeys.ts';
import { type Config, startConfig } from './config.ts';
import { dialHub } from './dial.ts';
import { type GreetingDeps, makeGreeting } from './greeting.ts';
import { issue } from './issue.ts';
import { acceptGrant, type Identity } from './keys.ts';
import { openLink } from './link.ts';
import { makeMasters } from './masters.ts';
import { type Outbox, OutboxFault, openOutbox } from './outbox.ts';
import { openTerminal, type TerminalSettings } from './panel.ts';
import { openReader } from './reader.ts';
import { type RunDeps, run } from './run.ts';
import { openTariffShelf } from './tariffs.ts';

/** Told to the hub at each connect. */
export const SOFTWARE = 'simpul-kiosk 0.1.0';

/** Where a kiosk keeps its sales. */
export const outboxPath = (dir: string): string => join(dir, 'outbox.sqlite');

/**
 * Takes a hub's grant: from here on the kiosk has keys, settings and numbers for its sales.
 * @throws KeyFault or OutboxFault.
 */
export function joinHub(dir: string, text: string): EnrolmentGrant {
  const { grant, hub } = acceptGrant(dir, text);
  startConfig(dir, hub);
  openOutbox({ path: outboxPath(dir), kiosk: grant.kiosk as KioskNo, now: Date.now }).end();
  return grant;
}

/**
 * A new outbox would count from one again, and the hub answers numbers used before with the sales of before.
 * @throws OutboxFault when an enrolled kiosk has lost its outbox.
 */
export function needOutbox(dir: string): void {
  const path = outboxPath(dir);
  if (existsSync(path)) return;
  const cure = 'enrol it anew: request, sign, accept';
  throw new OutboxFault(`${path} is missing, and with it the sale numbers that this kiosk has used: ${cure}`);
}

/**
 * What a kiosk does all day. An issuing one sells nothing: its outbox stays empty. There are no screens for cash and
 * bills yet: a counter and a kiosk for bills sell as a stall does.
 */
const loops: Readonly<Record<KioskRole, (deps: RunDeps) => { stop(): void }>> = {
  stall: run,
  issuing: issue,
  counter: run,
  bills: run,
};

export interface StartDeps {
  readonly dir: string;
  readonly config: Config;
  readonly identity: Identity;
  readonly terminal: Pick<TerminalSettings, 'input' | 'output' | 'colour' | 'interrupted'>;
  readonly log: (what: string, detail: string) => void;
  /** Told once, when a bug has stopped the till. */
  readonly failed: (error: unknown) => void;
}

/**
 * Starts a kiosk.
 * @returns how to stop it.
 * @throws OutboxFault when the disk cannot be used or another kiosk runs in the directory; nothing is left running.
 */
export function startKiosk({ dir, config, identity, terminal, log, failed }: StartDeps): () => Promise<void> {
  const { kiosk, name, role, outlet, sealingKey, witness } = identity;
  const timers = globalThis;
  const now = Date.now;
  const monotonic = (): number => performance.now();
  const { random } = Math;
  const letGo = holdAlone(dir);
  const outbox = openOrUndo(() => openOutbox({ path: outboxPath(dir), kiosk, now }), letGo);
  const cardKeys = makeCardKeys({ monotonic, sealingKey, witness });
  const reader = openReader({ timers, random }, { command: config.reader });
  const dial = () => dialHub(config.hub, identity);
  const waiting = () => waitingIn(outbox, log);
  const link = openLink({ dial, timers, random, randomBytes, now, waiting, log }, { name, software: SOFTWARE });
  const heading = `${outlet.name} - ${outlet.cooperativeName}`;
  const panel = openTerminal({ ...terminal, heading, first: config.language });
  const keys = { cardKeys, ...offlineKeys({ dir, identity, reader, cardKeys, log }) };
  const hub = { reader, link, outbox, panel, ...keys };
  const edges = { monotonic, random, randomBytes, timers, log, failed };
  const close = async (): Promise<void> => {
    await Promise.all([link.close(), reader.close()]);
    panel.close();
    outbox.end();
    letGo();
  };
  const running = openOrUndo(
    () => loops[role]({ kiosk, ...hub, tariffs: shelfOf({ dir, identity, log }), ...edges }),
    () => void close(),
  );
  return () => {
    running.stop();
    return close();
  };
}

function shelfOf({ dir, identity, log }: Pick<StartDeps, 'dir' | 'identity' | 'log'>): RunDeps['tariffs'] {
  const { kiosk, outlet, statementKey } = identity;
  return openTariffShelf({ dir, kiosk, cooperative: outlet.cooperative as CooperativeId, statementKey, log });
}

/** The debit masters of a kiosk that was granted them, and the greeting of cards that they make possible. */
function offlineKeys({
  dir,
  identity,
  ...deps
}: Pick<StartDeps, 'dir' | 'identity'> & Omit<GreetingDeps, 'masters' | 'statementKey' | 'randomBytes'>): Pick<
  RunDeps,
  'masters' | 'greeting'
> {
  const { kiosk, offline, statementKey } = identity;
  if (!offline) return { masters: null, greeting: null };
  const masters = makeMasters(dir, kiosk);
  return { masters, greeting: makeGreeting({ ...deps, masters, statementKey, randomBytes }) };
}

/** Undoes what came before when the next thing cannot be opened. */
function openOrUndo<Opened>(open: () => Opened, undo: () => void): Opened {
  try {
    return open();
  } catch (error) {
    undo();
    throw error;
  }
}

/** Only told to the hub: a disk that cannot be read must not keep the kiosk from connecting. */
function waitingIn(outbox: Outbox, log: StartDeps['log']): number {
  try {
    return outbox.waiting();
  } catch (error) {
    if (!(error instanceof OutboxFault)) throw error;
    log('disk fault', error.message);
    return 0;
  }
}
