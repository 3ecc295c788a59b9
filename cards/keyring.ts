/** Changing a card's keys so that a torn change is told by the key's version, and by nothing else. */
import { changeKeyData } from './changekey.ts';
import { commands } from './commands.ts';
import { KEY_NO } from './layout.ts';
import { authenticate, keyVersions } from './opening.ts';
import { type Answer, ask, type Failure, failure, type Script } from './script.ts';
import { type Session, wrap } from './session.ts';

/** Version of every key on a card from the factory, and of the factory's key for the counter file. */
export const FACTORY_VERSION = 0;
/** Every key of a card from the factory. */
const FACTORY_KEY = new Uint8Array(16);

/**
 * The key that belongs into a place (0 to 4) under a version, 16 bytes; null if none ever did. Version 0 is not asked
 * for: it is the factory's.
 */
export type Keyring = (no: number, version: number) => Uint8Array | null;

/** Makes the intended change durable before it is sent: until the card has shown which it holds, both keys count. */
export type JournalChange = (change: { readonly no: number; readonly from: number; readonly to: number }) => void;

/** The key that a version says lies there. */
function heldKey(ring: Keyring, no: number, version: number): Uint8Array | null {
  return version === FACTORY_VERSION ? FACTORY_KEY : ring(no, version);
}

export interface Change {
  readonly ring: Keyring;
  readonly journal: JournalChange;
  /** The version that the keys are to have, 1 to 255. */
  readonly to: number;
  /** Versions of the keys 0 to 4 as the card told them. */
  readonly versions: readonly number[];
}

/** One more key changed, in the session of key 0. Nothing is sent for a key that is already as it should be. */
function* changeOne(session: Session, no: number, change: Change): Script<Answer | Failure> {
  const { ring, journal, to, versions } = change;
  const from = versions[no] ?? -1;
  if (from === to) return { ok: true, data: new Uint8Array(), session };
  const [old, next] = [heldKey(ring, no, from), ring(no, to)];
  if (old === null || next === null) return failure(`key ${no}`, 'other-version', 'not-executed', null);
  journal({ no, from, to });
  return yield* ask(session, {
    at: `key ${no}`,
    command: commands.changeKey,
    protection: 'full',
    header: Uint8Array.of(no),
    data: changeKeyData(next, to, old),
    replyLength: 0,
    otherwise: 'unknown',
  });
}

const OTHERS = [KEY_NO.debit, KEY_NO.spare2, KEY_NO.credit, KEY_NO.spare4] as const;

/** Brings the keys 1 to 4 to their version, in the session of key 0 (CARDS section 3.7). */
export function* changeOthers(before: Session, change: Change): Script<Answer | Failure> {
  let session = before;
  for (const no of OTHERS) {
    const changed = yield* changeOne(session, no, change);
    if (!changed.ok) return changed;
    session = changed.session;
  }
  return { ok: true, data: new Uint8Array(), session };
}

export interface Told {
  readonly ok: true;
  /** Whether key 0 was changed now. */
  readonly changed: boolean;
}

/**
 * Brings key 0 to its version. Whatever became of it before, the version tells which key lies there, so that no
 * authentication is tried in vain. The reply to the change carries no MAC, since its session ends with the key: only
 * the new key, tried afterwards, proves it.
 * @param random gives 16 random bytes at a time
 */
export function* changeOwn(
  { ring, journal, to, versions }: Change,
  random: (bytes: number) => Uint8Array,
): Script<Told | Failure> {
  const no = KEY_NO.app;
  const from = versions[no] ?? -1;
  const [old, next] = [heldKey(ring, no, from), ring(no, to)];
  if (old === null || next === null) return failure('key 0', 'other-version', 'not-executed', null);
  if (from !== to) {
    const opened = yield* authenticate({ no, key: old }, random(16));
    if (!opened.ok) return opened;
    journal({ no, from, to });
    yield [wrap(opened.session, commands.changeKey, 'full', Uint8Array.of(no), changeKeyData(next, to, null))];
  }
  const after = yield* keyVersions();
  const unproven = from === to ? 'executed' : 'unknown';
  if (!after.ok) return { ...after, outcome: unproven };
  if (after.versions[no] !== to) return failure('key 0', 'refused', 'not-executed', null);
  const proven = yield* authenticate({ no, key: next }, random(16));
  return proven.ok ? { ok: true, changed: from !== to } : { ...proven, outcome: unproven };
}
