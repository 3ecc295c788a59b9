/** Renew: brings the keys of a card in use to the vault's newest version, through an issuing kiosk (TRUTH 14). */
import type { Keyring } from '../../cards/keyring.ts';
import { LIGHT, NTAG } from '../../cards/layout.ts';
import { roll } from '../../cards/roll.ts';
import type { Card, Registry } from '../store/registry.ts';
import type { Vault } from '../vault.ts';
import { type Begun, begun, failed } from './relay.ts';

export interface RenewDeps {
  readonly vault: Pick<Vault, 'keyring' | 'tagKeyring' | 'versions'>;
  readonly registry: Registry;
  readonly random: (bytes: number) => Uint8Array;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}

/**
 * Versions that this card may tell: the last one it proved, and those of changes that it may have taken. A card that
 * tells an older one is a copy, made by who knows that version's keys, and would be given the newer ones.
 */
export function mayTell(registry: Registry, { uid, keyVersion }: Card): ReadonlySet<number> {
  return new Set([registry.chip(uid)?.keyVersion ?? keyVersion, ...registry.openChanges(uid).map(({ to }) => to)]);
}

/** Whether a card's keys are older than the vault's, or their change was begun and not proven. */
export function needsRenewal({ vault, registry }: RenewDeps, { uid, keyVersion }: Card): boolean {
  return keyVersion < vault.versions().keyVersion || registry.openChanges(uid).length > 0;
}

/** Rolls the keys 0 to 4 over; money, records and counter are not touched. */
export function renew({ vault, registry, random, now }: RenewDeps, card: Card): Begun {
  const { uid, issuer, number } = card;
  const version = vault.versions().keyVersion;
  const told = mayTell(registry, card);
  const tag = registry.chip(uid)?.profile === 'ntag424';
  const keys = tag ? vault.tagKeyring(issuer, uid) : vault.keyring(issuer, uid);
  const ring: Keyring = (no, of) => (told.has(of) || of === version ? keys(no, of) : null);
  const journal = (change: { no: number; from: number; to: number }) =>
    registry.journalKey({ uid, at: now(), ...change });
  return begun(roll({ profile: tag ? NTAG : LIGHT, ring, version, random, journal }), async (result) => {
    if (!result.ok) return failed(result);
    registry.proveKeys(uid, version);
    const known = registry.card(uid);
    if (known !== undefined) registry.putCard({ ...known, keyVersion: version });
    return { done: 'renewed', number };
  });
}
