/** Changing a card's keys so that a torn change is told by the key's version, and by nothing else. */
import { changeKeyData } from './changekey.ts';
import { commands } from './commands.ts';
import { KEY_NO, LIGHT, type Profile } from './layout.ts';
import { authenticate, keyVersions } from './opening.ts';
import { type Answer, ask, type Failure, failure, type Script } from './script.ts';
import { type Session, wrap } from './session.ts';

/** Version of every key on a card from the factory, and of the factory's key for the counter file. */
export const FACTORY_VERSION = 0;
/**
 * Version of the keys 0 to 4 of a card that has ended: the number alone tells so, to any kiosk, without a key. No
 * master begins with it, and nobody is given a key of it.
 */
export const RETIRED_VERSION = 255;
/** Every key of a card from the factory. */
const FACTORY_KEY = new Uint8Array(16);

/**
 * The key that belongs into a place (0 to 4, or PICC_KEY_NO) of this card under a version, 16 bytes; null for a version
 * that it cannot hold. When keys are rolled over that is every version but the last one proven and the one that a
 * journal has open: a card that tells an older one is a copy, made by who knows that version's key, and would be given
 * the newer keys. Version 0 is not asked for: it is the factory's.
 */
export type Keyring = (no: number, version: number) => Uint8Array | null;

/** Makes the intended change durable before it is sent: until the card has shown which it holds, both keys count. */
export type JournalChange = (change: { readonly no: number; readonly from: number; readonly to: number }) => void;

/** The key that a version says lies there. */
function heldKey(ring: Keyring, no: number, version: number): Uint8Array | null {
  return version === FACTORY_VERSION ? FACTORY_KEY : ring(no, version);
}

export interface Change {
  /** Kind of the card; left out: Light. */
  readonly profile?: Profile;
  readonly ring: Keyring;
  readonly journal: JournalChange;
  /** The version that the keys are to have, 1 to 255. */
  readonly to: number;
}

/** @throws RangeError for what is no version of a key of ours. */
export function mustBeVersion(version: number): void {
  if (!Number.isInteger(version) || version < 1 || version > 255) throw new RangeError(`a key version of ${version}`);
}

/** Both keys of a change; null if the card cannot hold the one or is not to get the other. Versions never go back. */
function pairOf({ ring, to }: Change, no: number, from: number) {
  const [old, next] = [heldKey(ring, no, from), ring(no, to)];
  return old === null || next === null || from > to ? null : { old, next };
}

/** On every kind of card, whatever they are for there. */
const OTHERS = [KEY_NO.debit, KEY_NO.spare2, KEY_NO.credit, KEY_NO.spare4] as const;

interface Planned {
  readonly no: number;
  readonly from: number;
  readonly old: Uint8Array;
  readonly next: Uint8Array;
}

/**
 * Brings the keys 1 to 4 to their version, in the session of key 0 (CARDS section 3.7). Their versions are asked under
 * the card's MAC, and all before the first change: what was told without a session may have been told by anybody.
 */
export function* changeOthers(before: Session, change: Change): Script<Answer | Failure> {
  mustBeVersion(change.to);
  let last: Answer = { ok: true, data: new Uint8Array(), session: before };
  const planned: Planned[] = [];
  for (const no of OTHERS) {
    const told = yield* ask(last.session, {
      at: `version of key ${no}`,
      command: commands.getKeyVersion,
      protection: 'mac',
      header: Uint8Array.of(no),
      replyLength: 1,
      otherwise: 'not-executed',
    });
    if (!told.ok) return told;
    last = told;
    const from = told.data[0] ?? -1;
    const pair = pairOf(change, no, from);
    if (pair === null) return failure(`key ${no}`, 'other-version', 'not-executed', null);
    if (from !== change.to) planned.push({ no, from, ...pair });
  }
  for (const { no, from, old, next } of planned) {
    change.journal({ no, from, to: change.to });
    const changed = yield* ask(last.session, {
      at: `key ${no}`,
      command: commands.changeKey,
      protection: 'full',
      header: Uint8Array.of(no),
      data: changeKeyData(next, change.to, old),
      replyLength: 0,
      otherwise: 'unknown',
    });
    if (!changed.ok) return changed;
    last = changed;
  }
  return last;
}

export interface Told {
  readonly ok: true;
  /** Whether key 0 was changed now. */
  readonly changed: boolean;
}

/**
 * Brings key 0 to its version. Whatever became of it before, the version tells which key lies there, so that no
 * authentication is tried in vain. The reply to the change carries no MAC, since its session ends with the key: only
 * the new key, tried afterwards, proves it, and until then the outcome is `unknown` whatever the card tells.
 * @param from version that the card told without proof
 * @param random gives 16 random bytes at a time
 */
export function* changeOwn(
  change: Change,
  from: number,
  random: (bytes: number) => Uint8Array,
): Script<Told | Failure> {
  const { profile = LIGHT, journal, to } = change;
  mustBeVersion(to);
  const no = KEY_NO.app;
  const pair = pairOf(change, no, from);
  if (pair === null) return failure('key 0', 'other-version', 'not-executed', null);
  if (from !== to) {
    const opened = yield* authenticate({ no, key: pair.old }, random(16));
    if (!opened.ok) return opened;
    journal({ no, from, to });
    yield [wrap(opened.session, commands.changeKey, 'full', Uint8Array.of(no), changeKeyData(pair.next, to, null))];
  }
  const after = yield* keyVersions(profile);
  if (!after.ok) return { ...after, outcome: 'unknown' };
  if (after.versions[no] !== to) return failure('key 0', 'refused', 'unknown', null);
  const proven = yield* authenticate({ no, key: pair.next }, random(16));
  return proven.ok ? { ok: true, changed: from !== to } : { ...proven, outcome: 'unknown' };
}
