/** Prepare: a chip from the factory is found genuine and gets its own key 0, at the vault's host and nowhere else. */
import { native, SIGNATURE_OK } from './apdu.ts';
import { commands } from './commands.ts';
import { changeOwn, FACTORY_VERSION, type JournalChange, type Keyring, type Told } from './keyring.ts';
import { LIGHT, type Profile } from './layout.ts';
import { keyVersions, plain } from './opening.ts';
import { type Failure, failure, type Script } from './script.ts';

export interface PrepareOrder {
  /** Kind of the card; left out: Light. */
  readonly profile?: Profile;
  readonly ring: Keyring;
  /** Version that key 0 is to have, 1 to 255. */
  readonly version: number;
  /** Gives 16 random bytes at a time. */
  readonly random: (bytes: number) => Uint8Array;
  /** Whether the maker's signature (56 bytes) is over this card's UID (CARDS section 9). */
  readonly genuine: (signature: Uint8Array) => boolean;
  readonly journal: JournalChange;
  /**
   * Whether this UID ever proved a key 0 of ours. Such a card is never blank again: one that says so is a copy of its
   * UID and signature, and would be given the card's own key in a session that it can read.
   */
  readonly known: boolean;
}

const SIGNATURE_LENGTH = 56;

/**
 * `Select · 64 0–4 · 3C · 71 key 0 · AF · C4 0`, then the proof that the new key is there. May be played again whatever
 * became of it before.
 */
export function* prepare(order: PrepareOrder): Script<Told | Failure> {
  const { profile = LIGHT, ring, version, random, genuine, journal, known } = order;
  const told = yield* keyVersions(profile);
  if (!told.ok) return told;
  const [own = -1] = told.versions;
  const blank = own === FACTORY_VERSION && !known;
  if (!blank && own !== version) return failure('key 0', 'other-version', 'not-executed', null);
  const signature = yield* plain('signature', native(commands.readSignature.ins, Uint8Array.of(0)), SIGNATURE_OK);
  if (!signature.ok) return signature;
  if (signature.data.length !== SIGNATURE_LENGTH || !genuine(signature.data)) {
    return failure('signature', 'not-genuine', 'not-executed', null);
  }
  return yield* changeOwn({ profile, ring, journal, to: version }, own, random);
}
