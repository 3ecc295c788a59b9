/** Chips with a maker's real signature, and the registry and vault that prepare them. */
import { randomBytes } from 'node:crypto';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { KEY_NO, PICC_KEY_NO } from '../../cards/layout.ts';
import { MAKER_KEYS } from '../../cards/originality.ts';
import { hubPaths } from '../../hub/config.ts';
import { makeLog, realEdges } from '../../hub/edges.ts';
import { initHub } from '../../hub/init.ts';
import type { PrepareDeps } from '../../hub/preparecards.ts';
import type { Registry } from '../../hub/store/registry.ts';
import { openRegistry } from '../../hub/store/sqlite/registry.ts';
import { openVault, type Vault } from '../../hub/vault.ts';
import type { CardUid, CooperativeId, MemberId } from '../../protocol/ids.ts';
import { bytes, hex } from '../cards/hex.ts';
import { blankCard } from '../town/blank.ts';
import type { Card } from '../town/card.ts';
import { repository } from '../town/repository.ts';
import { temporary, VAULT_COST } from './world.ts';

interface Vector {
  readonly name: string;
  readonly inputs: { readonly uid: string; readonly signature: string };
}

function signed(name: string) {
  const file = join(repository(), 'tests', 'cards', 'card-vectors.json');
  const found = (JSON.parse(readFileSync(file, 'utf8')) as readonly Vector[]).find((vector) => vector.name === name);
  if (found === undefined) throw new Error(`no vector ${name}`);
  return { uid: bytes(found.inputs.uid), signature: bytes(found.inputs.signature) };
}

/** The one DESFire Light whose signature is published, and an NTAG 424. */
export const LIGHT = signed('orig-desfire-light');
export const NTAG = signed('orig-ntag424-041d3c8a2d6b80');
export const LIGHT_UID = hex(LIGHT.uid) as CardUid;

/** A blank chip with the published signature. */
export const chipFromBox = (change: Partial<typeof LIGHT> = {}): Card =>
  blankCard({ ...LIGHT, random: randomBytes, ...change });

/** The same card, with every command that reaches it noted or answered otherwise. */
export function watched(card: Card, process: (apdu: Uint8Array) => Uint8Array): Card {
  return { memory: card.memory, reset: card.reset, process };
}

export const edges = realEdges(makeLog('silent'));

/** When to clean up. */
type Finally = (clean: () => void | Promise<void>) => void;

export interface HubFolder {
  readonly directory: string;
  readonly vault: Vault;
  readonly open: () => Registry;
}

const folderAt = (directory: string, vault: Vault): HubFolder => {
  return { directory, vault, open: () => openRegistry({ path: hubPaths(directory).registry }) };
};

/** A hub's data directory, removed when all is done. */
export async function hubFolder(whenDone: Finally): Promise<HubFolder> {
  const directory = join(temporary(whenDone), 'data');
  const made = await initHub(edges, { directory, mode: 'demo', port: 0, vaultCost: VAULT_COST });
  if (!made.ok) throw new Error(made.error);
  const paths = hubPaths(directory);
  const opened = openVault(edges, paths.vault, readFileSync(paths.vaultKey));
  if (!opened.ok) throw new Error(opened.error);
  return folderAt(directory, opened.vault);
}

/** The same hub as it was made, in a folder for one test. */
export function copyOf({ directory, vault }: HubFolder): HubFolder {
  const copy = join(temporary(), 'data');
  cpSync(directory, copy, { recursive: true });
  return folderAt(copy, vault);
}

/** A registry that knows a member and her card, and no chip. */
export function stockRoom(): Registry {
  const registry = openRegistry({ path: join(temporary(), 'registry.db') });
  onTestFinished(() => registry.close());
  const cooperative = 'pasar' as CooperativeId;
  const member = 'siti' as MemberId;
  registry.putCooperative({ id: cooperative, name: 'Koperasi Pasar', netDebitCap: 0n });
  registry.putMember({ id: member, cooperative, name: 'Siti' });
  return registry;
}

/** Key 0 of a card under this hub, found on another way than the command's. */
export const key0 = (vault: Vault, uid: CardUid, keyVersion = 1): Uint8Array => {
  const keys = vault.cardKeys('pasar' as CooperativeId, uid, { keyVersion, tmacKeyVersion: 1 });
  if (keys === null) throw new Error('no keys of pasar');
  return keys.app;
};

/** Master key of an EV2 or EV3 itself under this hub. */
export const cardMaster = (vault: Vault, uid: CardUid, version = 1): Uint8Array => {
  const key = vault.keyring('pasar' as CooperativeId, uid)(PICC_KEY_NO, version);
  if (key === null) throw new Error('no master key');
  return key;
};

export function prepareDeps(vault: Vault, registry: Registry, change: Partial<PrepareDeps> = {}): PrepareDeps {
  const keyring = (uid: CardUid) => (no: number, version: number) =>
    no === KEY_NO.app ? key0(vault, uid, version) : no === PICC_KEY_NO ? cardMaster(vault, uid, version) : null;
  return { ...edges, registry, keyring, newest: 1, makers: MAKER_KEYS, ...change };
}
