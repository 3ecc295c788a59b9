/** Issuing: a prepared chip that proves its key becomes the card of the next member who waits for one. */
import { FACTORY_VERSION } from '../../cards/keyring.ts';
import { KEY_NO, LIGHT, NTAG } from '../../cards/layout.ts';
import { authenticate, keyVersion } from '../../cards/opening.ts';
import { failure } from '../../cards/script.ts';
import { type CardUid, PLATFORM } from '../../protocol/ids.ts';
import { BEACON_SECONDS } from '../../protocol/status.ts';
import type { Chip } from '../store/cardstock.ts';
import type { Card } from '../store/registry.ts';
import { type PersonaliseDeps, personaliseCard } from './personalise.ts';
import { personaliseTagCard } from './personalisetag.ts';
import { type Begun, begun, failed, type Refused } from './relay.ts';

/** The prepared chip becomes the card of the member who has waited longest; null if nobody waits any more. */
function bindChip({ registry, vault, now }: PersonaliseDeps, { uid, keyVersion }: Chip): Card | null {
  const at = now();
  const slot = Math.floor(at / 1000 / BEACON_SECONDS);
  const { tmacKeyVersions } = vault.versions();
  return registry.bindCard({ uid, keyVersion, tmacKeyVersions, slot, at });
}

/** The chip that was prepared lies there, and no copy of its UID: only it holds this key 0. */
function* proveChip({ vault, random }: PersonaliseDeps, { uid, keyVersion: version, profile }: Chip) {
  const told = yield* keyVersion(KEY_NO.app, profile === 'ntag424' ? NTAG : LIGHT);
  if (!told.ok) return told;
  if (told.version === FACTORY_VERSION) return failure('key 0', 'not-prepared', 'not-executed', null);
  // Key 0 has one master for all: the chip has no issuer yet.
  const key = told.version === version ? vault.keyring(PLATFORM, uid)(KEY_NO.app, version) : null;
  if (key === null) return failure('key 0', 'other-version', 'not-executed', null);
  return yield* authenticate({ no: KEY_NO.app, key }, random(16));
}

/**
 * Makes a prepared chip a member's card, or says why not. An order is bound to it once it has proved its key: whoever
 * only knows its UID uses up none, and makes no chip that is still in the box a card.
 */
export function issueChip(deps: PersonaliseDeps, uid: CardUid): Begun | Refused {
  const { registry } = deps;
  const chip = registry.chip(uid);
  if (chip === undefined || chip.keyVersion === 0) {
    return { refusal: 'card-not-prepared', detail: `chip ${uid} was never prepared here` };
  }
  if (registry.waiting() === 0) return { refusal: 'nothing-to-issue', detail: 'no order waits for a card' };
  return begun(proveChip(deps, chip), async (proven) => {
    if (!proven.ok) return failed(proven);
    // Another kiosk may have been faster with the last order, or with this very chip.
    const card = registry.card(uid) ?? bindChip(deps, chip);
    if (card?.made == null) return { done: null, failure: 'refused', at: 'no order waits' };
    return chip.profile === 'ntag424' ? personaliseTagCard(deps, card) : personaliseCard(deps, card, card.made);
  });
}
