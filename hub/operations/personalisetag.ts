/** Personalise, for an NTAG 424: keys, rights and the address that phones open, through an issuing kiosk. */
import type { Keyring } from '../../cards/keyring.ts';
import { personaliseTag } from '../../cards/tagpersonalise.ts';
import type { Card } from '../store/registry.ts';
import { finish, type PersonaliseDeps } from './personalise.ts';
import { type Begun, begun, failed } from './relay.ts';

/** Begins, or goes on, where the tag is. It has no counter file, so that no version of one is given. */
export function personaliseTagCard(deps: PersonaliseDeps, card: Card): Begun {
  const { vault, registry, random, now, tagAddress: address } = deps;
  const { uid, issuer, keyVersion } = card;
  const keys = vault.tagKeyring(issuer, uid);
  // Of this version only: a chip that tells another one is none that was prepared for this card.
  const ring: Keyring = (no, version) => (version === keyVersion ? keys(no, version) : null);
  const journal = (change: { no: number; from: number; to: number }) =>
    registry.journalKey({ uid, at: now(), ...change });
  const script = personaliseTag({ ring, version: keyVersion, address, random, journal });
  return begun(script, async (result) => (result.ok ? finish(deps, card) : failed(result)));
}
