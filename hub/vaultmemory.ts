/** What the vault remembers of its own answers: beacons of the last minutes, keys of the cards in daily use. */
import type { CardUid, CooperativeId } from '../protocol/ids.ts';

const CACHED_KEYS = 20_000;
const CACHED_BEACONS = 64;

/** Keeps the beacons of the last minutes: every claim asks for one or a few of them. */
export function rememberedBeacons(make: (slot: number) => Uint8Array): (slot: number) => Uint8Array {
  const known = new Map<number, Uint8Array>();
  return (slot) => {
    let beacon = known.get(slot);
    if (beacon === undefined) {
      beacon = make(slot);
      if (known.size >= CACHED_BEACONS) known.clear();
      known.set(slot, beacon);
    }
    return beacon;
  };
}

type KeyOfCard = (issuer: CooperativeId, uid: CardUid, version: number) => Uint8Array | null;

/**
 * Keeps the keys of the cards in daily use, in two halves: when the younger is full it becomes the elder, and the elder
 * is forgotten but for what was asked for since. (Taken out of one map one by one, each key would cost a walk over the
 * holes that the others left.)
 */
export function rememberedKeys(derive: KeyOfCard): KeyOfCard {
  interface Known {
    readonly issuer: CooperativeId;
    readonly version: number;
    readonly key: Uint8Array;
  }
  let elder = new Map<CardUid, Known>();
  let younger = new Map<CardUid, Known>();
  return (issuer, uid, version) => {
    const fits = (known: Known | undefined) => known?.issuer === issuer && known.version === version;
    const young = younger.get(uid);
    if (young !== undefined && fits(young)) return young.key;
    const old = elder.get(uid);
    const key = old !== undefined && fits(old) ? old.key : derive(issuer, uid, version);
    if (key === null) return null;
    if (younger.size >= CACHED_KEYS / 2) {
      elder = younger;
      younger = new Map();
    }
    younger.set(uid, { issuer, version, key });
    return key;
  };
}
