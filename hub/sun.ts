/** SUN at the hub: whether a reading of a tag is fresh, once for all processes; it opens a page and pays nothing. */
import { readSun, type SunParts, type SunReading } from '../cards/sun.ts';
import type { CardUid } from '../protocol/ids.ts';
import type { Edges } from './edges.ts';
import type { Registry } from './store/registry.ts';
import type { Vault } from './vault.ts';

export interface SunDeps extends Pick<Edges, 'log'> {
  readonly vault: Pick<Vault, 'sunMetaKeys' | 'sunFileKey'>;
  readonly registry: Pick<Registry, 'card' | 'chip' | 'openChanges' | 'takeReading'>;
}

/** The query of the address that a tag gave, `?p=…&m=…`, every character as it was received. */
export interface TapParts {
  readonly p: string;
  readonly m: string;
}

/** The parts of an address that a phone opened; null for one that no tag of ours gives. */
export function tapPartsOf(address: string): TapParts | null {
  const [, p, m] = /^https:\/\/[^?#\s]{1,253}\?p=([0-9A-Fa-f]{1,64})&m=([0-9A-Fa-f]{1,64})$/.exec(address) ?? [];
  return p === undefined || m === undefined ? null : { p, m };
}

type Why = Extract<SunReading, { ok: false }>['why'] | 'card-ended' | 'seen-before';
type Proven = { readonly uid: CardUid; readonly keyVersion: number; readonly counter: number };

const FILE_KEY = 2;

/**
 * Versions of key 2 under which a tag may read itself: the one it proved, and those of a roll-over that was torn. An
 * older one is not among them: a reading that was harvested under it stays shut.
 */
function versionsOf({ registry }: SunDeps, uid: CardUid): number[] {
  const chip = registry.chip(uid);
  if (chip === undefined || chip.profile === 'desfire-light' || registry.card(uid) === undefined) return [];
  const begun = registry.openChanges(uid).filter(({ no }) => no === FILE_KEY);
  return [...new Set([chip.keyVersion, ...begun.map(({ to }) => to)])].filter((version) => version > 0);
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex') as CardUid;

/** Tries each meta key, for a reading does not say which hides its UID, and each version the tag may have. */
function prove(deps: SunDeps, { p, m }: TapParts): Proven | Why {
  const parts: SunParts = { encPicc: p, macInput: `${p}&m=`, mac: m };
  let why: Why = 'malformed';
  for (const metaKey of deps.vault.sunMetaKeys()) {
    let versions: number[] | null = null;
    for (let at = 0; versions === null || at < versions.length; at += 1) {
      let keyVersion = 0;
      const reading = readSun(parts, metaKey, (bytes) => {
        const uid = hex(bytes);
        versions ??= versionsOf(deps, uid);
        keyVersion = versions[at] ?? 0;
        return keyVersion === 0 ? null : deps.vault.sunFileKey(uid, keyVersion);
      });
      if (reading.ok) return { uid: hex(reading.tap.uid), keyVersion, counter: reading.tap.counter };
      if (why !== 'wrong-mac') why = reading.why;
      versions ??= [];
    }
  }
  return why;
}

/**
 * Whether this reading is a tag's of this town, and newer than every one seen of it: then, and only for the first who
 * brings it, true. Nothing else is said, for whoever learnt the reason could ask which cards exist; it is in the log.
 * Cards that are frozen or ended are never fresh.
 */
export function makeAcceptTap(deps: SunDeps): (parts: TapParts) => boolean {
  const { registry, log } = deps;
  return (parts) => {
    const proven = prove(deps, parts);
    const refuse = (why: Why, of: object = {}) => {
      log.info({ why, ...of }, 'a tap is not fresh');
      return false;
    };
    if (typeof proven === 'string') return refuse(proven);
    const status = registry.card(proven.uid)?.status;
    if (status !== 'ready' && status !== 'active') return refuse('card-ended', proven);
    return registry.takeReading(proven) || refuse('seen-before', proven);
  };
}
