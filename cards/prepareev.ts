/** Prepare an EV2 or EV3: its master key becomes ours, our application is made there and gets its own key 0. */
import { MORE, native, OK, SIGNATURE_OK } from './apdu.ts';
import { commands } from './commands.ts';
import { authenticateDes, changeMasterKey } from './des.ts';
import { changeOwn, FACTORY_VERSION, mustBeVersion, type Told } from './keyring.ts';
import { EV, LIGHT, PICC_KEY_NO } from './layout.ts';
import { authenticate, keyVersions, plain, type Said, selectOurs } from './opening.ts';
import type { PrepareOrder } from './prepare.ts';
import { type Answer, ask, type Failure, failure, type Script } from './script.ts';

/** What a card says it is; also the names of their maker's keys. */
export type Generation = 'ev2' | 'ev3';

export interface PrepareEvOrder extends Pick<PrepareOrder, 'ring' | 'version' | 'random' | 'journal' | 'known'> {
  /**
   * Whether the maker's signature (56 bytes) is over this card's UID. The maker's keys for these cards were never tried
   * on a real one (CARDS section 9): where they are wrong, genuine cards are refused here and nowhere else.
   */
  readonly genuine: (signature: Uint8Array, generation: Generation) => boolean;
}

const SIGNATURE_LENGTH = 56;
const MASTER = 'master key';
/** Places in the first frame of GetVersion, 7 bytes: type of hardware, and its major version (CARDS section 5.4). */
const HARDWARE = { type: 1, major: 3, length: 7 } as const;
const DESFIRE = 0x01;
const MAJORS: ReadonlyMap<number | undefined, Generation> = new Map([
  [0x12, 'ev2'],
  [0x33, 'ev3'],
]);
const NONE = new Uint8Array();

/** `60 · AF · AF`, at any level. Nothing proves it; `not-ours` for any card that is neither. */
export function* generationOf(): Script<{ readonly ok: true; readonly generation: Generation } | Failure> {
  const at = 'version';
  const first = yield* plain(at, native(commands.getVersion.ins, NONE), MORE);
  if (!first.ok) return first.reason === 'refused' ? { ...first, reason: 'not-ours' } : first;
  for (const wanted of [MORE, OK]) {
    const more = yield* plain(at, native(commands.additionalFrame.ins, NONE), wanted);
    if (!more.ok) return more;
  }
  const { data } = first;
  const generation = data[HARDWARE.type] === DESFIRE ? MAJORS.get(data[HARDWARE.major]) : undefined;
  if (data.length !== HARDWARE.length || generation === undefined) {
    return failure(at, 'not-ours', 'not-executed', null);
  }
  return { ok: true, generation };
}

/** The card's own level: number 0, which every card of the kind has. Ends any session. */
const selectCard = (): Script<Said | Failure> =>
  plain('select card', native(commands.selectApplication.ins, new Uint8Array(3)), OK);

/** Version of the master key, at the card's own level and without a session: nothing proves it. */
function* masterVersion(): Script<{ readonly ok: true; readonly version: number } | Failure> {
  const selected = yield* selectCard();
  if (!selected.ok) return selected;
  const said = yield* plain(MASTER, native(commands.getKeyVersion.ins, Uint8Array.of(0)), OK);
  if (!said.ok) return said;
  const [version] = said.data;
  if (said.data.length !== 1 || version === undefined) return failure(MASTER, 'garbled', 'not-executed', OK);
  return { ok: true, version };
}

/**
 * `60 AF AF · 5A 0 · 64 0 · 3C · Select`, then what of the rest is not so already: master key (`5A 0 · 0A AF · C4 80`),
 * its proof, settings and application (`5A 0 · 64 0 · 71 AF · 45 · 54 · CA`), key 0 as on a Light. May be played again
 * whatever became of it before: the version of each key tells which one lies there, so that none is tried in vain.
 *
 * Why in this order: until the settings follow, anybody who lays hands on the card can make applications on it, also
 * one of our name; so a card with one of our name and the factory's master key is refused, and what was made between
 * is refused when it is personalised, unless it is as ours.
 * @throws RangeError for what is no version of a key of ours.
 */
export function* prepareEv(order: PrepareEvOrder): Script<Told | Failure> {
  const { ring, version, random, genuine, journal, known } = order;
  mustBeVersion(version);
  const kind = yield* generationOf();
  if (!kind.ok) return kind;
  const master = yield* masterVersion();
  if (!master.ok) return master;
  const blank = master.version === FACTORY_VERSION && !known;
  if (!blank && master.version !== version) return failure(MASTER, 'other-version', 'not-executed', null);
  const signature = yield* plain('signature', native(commands.readSignature.ins, Uint8Array.of(0)), SIGNATURE_OK);
  if (!signature.ok) return signature;
  if (signature.data.length !== SIGNATURE_LENGTH || !genuine(signature.data, kind.generation)) {
    return failure('signature', 'not-genuine', 'not-executed', null);
  }
  const ours = yield* selectOurs();
  if (!ours.ok && ours.reason !== 'not-ours') return ours;
  // There is one of our name exactly if this hub made it: not under the factory's key, and surely on a known card.
  if (ours.ok ? blank : known) return failure('application', 'other-files', 'not-executed', null);
  const key = ring(PICC_KEY_NO, version);
  if (key === null) return failure(MASTER, 'other-version', 'not-executed', null);
  if (blank) {
    const changed = yield* changeMaster(order, key);
    if (changed !== null) return changed;
  }
  const made = yield* settleCard(order, key, ours.ok);
  if (!made.ok) return blank ? { ...made, outcome: 'unknown' } : made;
  const told = yield* keyVersions(LIGHT);
  if (!told.ok) return told;
  const [own = -1] = told.versions;
  const fresh = own === FACTORY_VERSION && !known;
  if (!fresh && own !== version) return failure('key 0', 'other-version', 'not-executed', null);
  return yield* changeOwn({ ring, journal, to: version }, own, random);
}

/** From the factory's DES key to ours. @returns null once it was sent: only the new key, tried then, proves it. */
function* changeMaster({ version, random, journal }: PrepareEvOrder, key: Uint8Array): Script<Failure | null> {
  const selected = yield* selectCard();
  if (!selected.ok) return selected;
  const opened = yield* authenticateDes(random(8));
  if (!opened.ok) return opened;
  journal({ no: PICC_KEY_NO, from: FACTORY_VERSION, to: version });
  yield [changeMasterKey(opened.key, key, version)];
  return null;
}

/** What only the master key may: its settings, and our application, in a session of the new key. */
function* settleCard(
  { version, random }: PrepareEvOrder,
  key: Uint8Array,
  made: boolean,
): Script<{ readonly ok: true } | Failure> {
  const now = yield* masterVersion();
  if (!now.ok) return now;
  if (now.version !== version) return failure(MASTER, 'refused', 'unknown', null);
  const opened = yield* authenticate({ no: 0, key }, random(16));
  if (!opened.ok) return opened;
  const told = yield* ask(opened.session, {
    at: 'card settings',
    command: commands.getKeySettings,
    protection: 'mac',
    header: NONE,
    replyLength: null,
    otherwise: 'not-executed',
  });
  if (!told.ok) return told;
  let last: Answer = told;
  if (told.data[0] !== EV.piccSettings) {
    const changed = yield* ask(told.session, {
      at: 'card settings',
      command: commands.changeKeySettings,
      protection: 'full',
      header: NONE,
      data: Uint8Array.of(EV.piccSettings),
      replyLength: 0,
      otherwise: 'unknown',
    });
    if (!changed.ok) return changed;
    last = changed;
  }
  if (made) return last;
  return yield* ask(last.session, {
    at: 'application',
    command: commands.createApplication,
    protection: 'mac',
    header: EV.aid,
    data: Uint8Array.of(EV.settings, EV.keys, ...EV.isoId, ...LIGHT.dfName),
    replyLength: 0,
    otherwise: 'unknown',
  });
}
