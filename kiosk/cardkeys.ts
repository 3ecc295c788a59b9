/** Card keys that the hub granted or a master gave, held in RAM only, and the kiosk's signature on a deed. */
import { buildRecord, buildTmri, type Deed, proof } from '../cards/record.ts';
import { type CardKeyGrant, cardKeyContext } from '../protocol/cardkey.ts';
import { KEY_CACHE } from '../protocol/limits.ts';
import { open } from '../protocol/sealed.ts';

/** Key 1 of one card. */
export interface CardKey {
  readonly key1: Uint8Array;
  readonly keyVersion: number;
  readonly tmacKeyVersion: number;
  /** Cooperative of the card, as the hub says; it proves nothing. */
  readonly issuer: string;
}

/** What became of a granted key. */
export type Accepted =
  | 'held'
  /**
   * The card has refused this key, or two keys: it is not tried again, lest the card locks itself (CARDS section
   * 3.9).
   */
  | 'stopped'
  /** Not sealed to this kiosk for this card and version. */
  | 'unsealed';

interface Held extends CardKey {
  readonly at: number;
}

interface Refused {
  readonly at: number;
  readonly keys: readonly Uint8Array[];
}

const KEY_BYTES = 16;
const HOUR_MS = 3_600_000;
/** A second key may be tried, a third not: each failed try brings the card closer to its lock. */
const TRIES = 2;
const REFUSED_MAX = 1_000;

export interface CardKeysDeps {
  /** Monotonic clock, milliseconds: a turned-back wall clock must not lengthen a key's life. */
  readonly monotonic: () => number;
  /** HPKE private key that grants are sealed to, and the 32-byte witness key. */
  readonly sealingKey: Uint8Array;
  readonly witness: Uint8Array;
}

export interface CardKeys {
  /** The key of a card, if one is held; the least recently used one leaves first. */
  find(uid: string): CardKey | null;
  /** True when this card's keys are not to be tried again. */
  stopped(uid: string): boolean;
  /** Opens a grant and holds its key. */
  accept(grant: CardKeyGrant): Promise<Accepted>;
  /** Holds a key that the kiosk made itself. */
  hold(uid: string, key: CardKey): Exclude<Accepted, 'unsealed'>;
  /** Whether this card refused neither this key nor two others: one failed try per card and key (CARDS 3.9). */
  mayTry(uid: string, key1: Uint8Array): boolean;
  /** The card refused the key that is held. */
  refuse(uid: string): void;
  /** The record and reader id of a deed, proven with the witness key (TRUTH section 2). `beacon` is 4 bytes as hex. */
  sign(uid: string, deed: Deed, beacon: string): { record: Uint8Array; tmri: Uint8Array };
}

/** Starts with no keys. */
export function makeCardKeys(deps: CardKeysDeps): CardKeys {
  const held = new Map<string, Held>();
  const refused = new Map<string, Refused>();
  const lifeMs = KEY_CACHE.hours * HOUR_MS;
  const alive = <Entry extends { at: number }>(entries: Map<string, Entry>, uid: string): Entry | null => {
    const entry = entries.get(uid);
    if (entry === undefined || deps.monotonic() - entry.at < lifeMs) return entry ?? null;
    entries.delete(uid);
    return null;
  };
  const put = <Entry>(entries: Map<string, Entry>, uid: string, entry: Entry, most: number): void => {
    entries.delete(uid);
    entries.set(uid, entry);
    for (const oldest of entries.keys()) {
      if (entries.size <= most) break;
      entries.delete(oldest);
    }
  };
  const stopped = (uid: string): boolean => (alive(refused, uid)?.keys.length ?? 0) >= TRIES;
  const mayTry = (uid: string, key1: Uint8Array): boolean => {
    const known = alive(refused, uid)?.keys ?? [];
    return known.length < TRIES && !known.some((old) => Buffer.from(old).equals(key1));
  };
  const hold = (uid: string, key: CardKey): Exclude<Accepted, 'unsealed'> => {
    if (!mayTry(uid, key.key1)) return 'stopped';
    put(held, uid, { ...key, at: deps.monotonic() }, KEY_CACHE.cards);
    return 'held';
  };

  return {
    hold,
    mayTry,
    stopped,
    find(uid) {
      const key = alive(held, uid);
      if (key !== null) put(held, uid, key, KEY_CACHE.cards);
      return key;
    },
    async accept({ uid, keyVersion, tmacKeyVersion, issuer, sealed }) {
      const box = Buffer.from(sealed, 'base64');
      const key1 = await open(deps.sealingKey, cardKeyContext(uid, keyVersion), box);
      return key1?.length === KEY_BYTES ? hold(uid, { key1, keyVersion, tmacKeyVersion, issuer }) : 'unsealed';
    },
    refuse(uid) {
      const key = held.get(uid);
      if (key === undefined) return;
      held.delete(uid);
      const keys = [...(alive(refused, uid)?.keys ?? []), key.key1];
      put(refused, uid, { at: deps.monotonic(), keys }, REFUSED_MAX);
    },
    sign(uid, deed, beacon) {
      const proven = proof(deps.witness, Buffer.from(uid, 'hex'), deed, Buffer.from(beacon, 'hex'));
      return { record: buildRecord(deed, proven), tmri: buildTmri(deed, proven) };
    },
  };
}
