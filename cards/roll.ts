/** Roll-over: the keys of a card in use are brought to a newer version, by the hub's relay at any kiosk. */
import { changeOthers, changeOwn, FACTORY_VERSION, type JournalChange, type Keyring, type Told } from './keyring.ts';
import { KEY_NO, LIGHT, type Profile } from './layout.ts';
import { authenticate, keyVersions, selectOurs } from './opening.ts';
import { type Failure, failure, type Script } from './script.ts';

export interface RollOrder {
  /** Kind of the card; left out: Light. */
  readonly profile?: Profile;
  readonly ring: Keyring;
  /** Version that all five keys are to have, 1 to 255. */
  readonly version: number;
  /** Gives 16 random bytes at a time. */
  readonly random: (bytes: number) => Uint8Array;
  readonly journal: JournalChange;
}

/**
 * Keys 1 to 4 in the session of key 0, then key 0 itself, so that a torn roll-over leaves a card that key 0 still
 * opens under the version it tells. May be played again; money, records and counter are not touched.
 */
export function* roll(order: RollOrder): Script<Told | Failure> {
  const { profile = LIGHT, ring, version, random, journal } = order;
  const told = yield* keyVersions(profile);
  if (!told.ok) return told;
  const own = told.versions[KEY_NO.app] ?? -1;
  if (own === FACTORY_VERSION) return failure('key 0', 'not-prepared', 'not-executed', null);
  const key = ring(KEY_NO.app, own);
  if (key === null) return failure('key 0', 'other-version', 'not-executed', null);
  const selected = yield* selectOurs(profile);
  if (!selected.ok) return selected;
  const opened = yield* authenticate({ no: KEY_NO.app, key }, random(16));
  if (!opened.ok) return opened;
  const change = { profile, ring, journal, to: version };
  const changed = yield* changeOthers(opened.session, change);
  return changed.ok ? yield* changeOwn(change, own, random) : changed;
}
