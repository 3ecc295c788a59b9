/** The pilot town's registry on disk, where chips become cards at a word: for tests of issuing. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { hubPaths } from '../../hub/config.ts';
import { makeLog, realEdges } from '../../hub/edges.ts';
import { initHub } from '../../hub/init.ts';
import type { Card, Registry } from '../../hub/store/registry.ts';
import { openRegistry } from '../../hub/store/sqlite/registry.ts';
import type { CardUid, CooperativeId, MemberId } from '../../protocol/ids.ts';
import { temporary, VAULT_COST } from './world.ts';

export interface IssueTown {
  readonly directory: string;
  readonly registry: Registry;
  /** The same file as another process would open it. */
  beside(): Registry;
  /** Writes a file beside the hub's directory. */
  write(name: string, text: string): string;
}

/** A hub's directory with the pilot town; nothing serves it. */
export async function issueTown(names: readonly string[] = ['kartu.example.org']): Promise<IssueTown> {
  const home = temporary();
  const directory = join(home, 'hub-data');
  const made = await initHub(realEdges(makeLog('silent')), { directory, mode: 'demo', names, vaultCost: VAULT_COST });
  if (!made.ok) throw new Error(made.error);
  const beside = () => {
    const registry = openRegistry({ path: hubPaths(directory).registry });
    onTestFinished(() => registry.close());
    return registry;
  };
  const write = (name: string, text: string) => {
    const path = join(home, name);
    writeFileSync(path, text);
    return path;
  };
  return { directory, registry: beside(), beside, write };
}

/** Lists with this many members of the market, m1 upward. */
export const listOf = (count: number): string =>
  ['cooperative;member;name', ...Array.from({ length: count }, (_, at) => `pasar;m${at + 1};Member ${at + 1}`)].join(
    '\n',
  );

export const memberId = (text: string) => text as MemberId;

const VERSIONS = new Map(['pasar', 'kud', 'toko'].map((issuer) => [issuer as CooperativeId, 1]));
let lastChip = 0;

/** Lays a new prepared chip down, as an issuing kiosk does: the oldest order gets it. */
export function layDown(registry: Registry, at = Date.now()): Card {
  lastChip += 1;
  const uid = `04${lastChip.toString(16).padStart(12, 'c')}` as CardUid;
  registry.putChip({ uid, profile: 'desfire-light', keyVersion: 1 });
  const card = registry.bindCard({ uid, keyVersion: 1, tmacKeyVersions: VERSIONS, slot: 1, at });
  if (card === null) throw new Error('no order waits for a chip');
  return card;
}

/** The kiosk has finished a card. */
export function finish(registry: Registry, card: Card): Card {
  const ready: Card = { ...card, status: 'ready' };
  registry.putCard(ready);
  return ready;
}
