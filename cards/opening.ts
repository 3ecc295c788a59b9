/** How a conversation opens: our application selected, a key proven on both sides; commands outside a session. */
import { ISO_OK, MORE, native, OK, parseResponse, select } from './apdu.ts';
import { commands } from './commands.ts';
import { LIGHT, NTAG, type Profile } from './layout.ts';
import { type Failure, failure, type Script } from './script.ts';
import { answerChallenge, openFirst, type Session } from './session.ts';

const NOT_FOUND = 0x6a82;
const AUTHENTICATION_ERROR = 0x91ae;
const AUTHENTICATION_DELAY = 0x91ad;

/** A key of this card and the place where it lies. */
export interface HeldKey {
  /** 0 to 4. */
  readonly no: number;
  /** 16 bytes. */
  readonly key: Uint8Array;
}

/** The answer to a command outside a session: nothing proves it. */
export interface Said {
  readonly ok: true;
  readonly data: Uint8Array;
}

/** One command outside a session, which must end with this status. */
export function* plain(at: string, apdu: Uint8Array, wanted: number): Script<Said | Failure> {
  const [reply] = yield [apdu];
  const response = parseResponse(reply ?? new Uint8Array());
  if (response === null) return failure(at, 'lost', 'not-executed', null);
  const { data, status } = response;
  if (status === wanted) return { ok: true, data };
  if (status === NOT_FOUND) return failure(at, 'not-ours', 'not-executed', status);
  if (status === AUTHENTICATION_ERROR) return failure(at, 'wrong-key', 'not-executed', status);
  if (status === AUTHENTICATION_DELAY) return failure(at, 'delay', 'not-executed', status);
  return failure(at, 'refused', 'not-executed', status);
}

/** ISOSelectFile of our application; ends any session and any open transaction. */
export function selectOurs(profile: Profile = LIGHT): Script<Said | Failure> {
  return plain('select', select(profile.dfName), ISO_OK);
}

/**
 * Which of our kinds of card lies there: Light's name is selected, then the NTAG's. Nothing proves the answer, and the
 * one that answered stays selected; `not-ours` for a card that knows neither. An EV2 or EV3 that was prepared counts as
 * a Light, which it is used as; a new one knows neither, and only `generationOf` tells what it is.
 */
export function* profileOf(): Script<{ readonly ok: true; readonly profile: Profile } | Failure> {
  const light = yield* selectOurs(LIGHT);
  if (light.ok) return { ok: true, profile: LIGHT };
  if (light.reason !== 'not-ours') return light;
  const tag = yield* selectOurs(NTAG);
  return tag.ok ? { ok: true, profile: NTAG } : tag;
}

/**
 * AuthenticateEV2First (CARDS section 3.1).
 * @param rndA 16 random bytes, used once
 */
export function* authenticate(
  { no, key }: HeldKey,
  rndA: Uint8Array,
): Script<{ readonly ok: true; readonly session: Session } | Failure> {
  const asked = yield* plain('authenticate', native(commands.authenticateFirst.ins, Uint8Array.of(no, 0)), MORE);
  if (!asked.ok) return asked;
  const answer = answerChallenge(key, rndA, asked.data);
  if (answer === null) return failure('authenticate', 'garbled', 'not-executed', MORE);
  const proved = yield* plain('prove key', native(commands.additionalFrame.ins, answer.data), OK);
  if (!proved.ok) return proved;
  const session = openFirst(answer.challenge, proved.data);
  return session === null ? failure('prove key', 'garbled', 'not-executed', OK) : { ok: true, session };
}

/** Versions of the keys 0 to 4, asked without a session: they tell which keys lie there without a failed try. */
export interface KeyVersions {
  readonly ok: true;
  readonly versions: readonly number[];
}

const KEYS = [0, 1, 2, 3, 4] as const;

/** `Select · 64 0 … 64 4` (TRUTH section 14). Nothing proves the answers; they only choose the key to try. */
export function* keyVersions(profile: Profile = LIGHT): Script<KeyVersions | Failure> {
  const selected = yield* selectOurs(profile);
  if (!selected.ok) return selected;
  const versions: number[] = [];
  for (const no of KEYS) {
    const told = yield* tellVersion(no);
    if (!told.ok) return told;
    versions.push(told.version);
  }
  return { ok: true, versions };
}

/** The version that a card tells of one key. */
export interface ToldVersion {
  readonly ok: true;
  readonly version: number;
}

function* tellVersion(no: number): Script<ToldVersion | Failure> {
  const said = yield* plain('key version', native(commands.getKeyVersion.ins, Uint8Array.of(no)), OK);
  if (!said.ok) return said;
  const [version] = said.data;
  const one = said.data.length === 1 && version !== undefined;
  return one ? { ok: true, version } : failure('key version', 'garbled', 'not-executed', OK);
}

/** `Select · 64 no`: which version of the key lies there, by the card's word alone. */
export function* keyVersion(no: number): Script<ToldVersion | Failure> {
  const selected = yield* selectOurs();
  return selected.ok ? yield* tellVersion(no) : selected;
}
