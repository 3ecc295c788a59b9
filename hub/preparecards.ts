/** Chips from the box become ours, one after the other, on a reader at the vault's own host (TRUTH section 14). */
import type { Keyring, Told } from '../cards/keyring.ts';
import { KEY_NO, NTAG, PICC_KEY_NO } from '../cards/layout.ts';
import { genuine } from '../cards/originality.ts';
import { type PrepareOrder, prepare } from '../cards/prepare.ts';
import { generationOf, prepareEv } from '../cards/prepareev.ts';
import { type Failure, play, type Reason } from '../cards/script.ts';
import type { CardUid } from '../protocol/ids.ts';
import type { CardReader, LaidCard } from './cardreader.ts';
import type { Edges } from './edges.ts';
import type { Profile } from './store/cardstock.ts';
import type { Registry } from './store/registry.ts';

export interface PrepareDeps extends Pick<Edges, 'now' | 'random'> {
  readonly registry: Pick<
    Registry,
    'refresh' | 'card' | 'chip' | 'putChip' | 'journalKey' | 'openChanges' | 'proveKeys'
  >;
  /** A card's keys by version. */
  readonly keyring: (uid: CardUid) => Keyring;
  /** Version of key 0 that new cards get, and of the master key of those that have one. */
  readonly newest: number;
  /** The maker's public keys, by kind of card: `MAKER_KEYS`. */
  readonly makers: Readonly<Record<'light' | 'ev2' | 'ev3' | 'ntag424', string>>;
}

/** What became of one laying down of a card. */
export type CardResult =
  /** It has its own key 0 now, and proved it. */
  | { readonly result: 'prepared' }
  /** It proved the key 0 that it got before. */
  | { readonly result: 'already' }
  /** Not done: to be laid down again, whatever became of it. */
  | { readonly result: 'again'; readonly why: string; readonly failure: Failure }
  /** Not for us; `failure` is null where nothing was sent to it. */
  | { readonly result: 'aside'; readonly why: string; readonly failure: Failure | null };

type Verdict = readonly [result: 'again' | 'aside', why: string];

/** What the person with the box does next, for every way in which a conversation can end. */
const verdicts: Readonly<Record<Reason, Verdict>> = {
  lost: ['again', 'The card left too early: lay it down again, and hold it still until the next line.'],
  garbled: [
    'again',
    'It gave an answer that no such card gives: lay it down again, alone; put it aside if it goes on.',
  ],
  refused: ['again', 'It refused a command: lay it down again; put it aside if it goes on.'],
  'wrong-key': [
    'aside',
    'It does not hold the key of ours that it names: it is of another hub, or a copy. Try no more.',
  ],
  delay: ['aside', 'It slows down after failed tries by someone else: put it aside and do not give it to a member.'],
  'not-ours': ['aside', 'It is no MIFARE DESFire Light, EV2, EV3 or NTAG 424 as it leaves the factory: put it aside.'],
  short: ['aside', 'It spoke of a purse, which a new card has not: put it aside.'],
  'not-genuine': [
    'aside',
    "Its maker's signature is not over its number: it is no genuine card. Show it to the seller.",
  ],
  'not-prepared': ['aside', 'It says that it has still the key of the factory: put it aside.'],
  'in-use': ['aside', 'It has made payments: put it aside, and find out whose it is.'],
  'other-version': [
    'aside',
    'Its key 0 is not as this hub left it: of another hub, or a copy of one of ours. Keep it apart, report it.',
  ],
  'other-files': [
    'aside',
    'Somebody was at it before: it has an application or a file that is not as it leaves the factory. Put it aside.',
  ],
};

/** The maker's keys for these cards were never tried on a real one: the whole box may be genuine (CARDS section 9). */
const EV_NOT_GENUINE =
  "Its maker's signature is not over its number, or the maker's key for its kind, never tried before, is wrong: " +
  'put it aside; if no card of the box passes, report it.';

const NO_UID = 'Its number has not 7 bytes, or changes each time: it is no card that can be used. Put it aside.';
const bound = (number: string) => `It is card ${number} of a member already: put it aside.`;
/** UIDs that the maker signs. */
const SIGNED_UID = /^[0-9a-f]{14}$/;

const aside = (why: string, failure: Failure | null = null): CardResult => ({ result: 'aside', why, failure });

/** Only the keys that are to lie there: versions never go back, and the factory's is not asked for. */
function onlyThese(ring: Keyring, version: number): Keyring {
  return (no, asked) => ((no === KEY_NO.app || no === PICC_KEY_NO) && asked === version ? ring(no, version) : null);
}

type Transmit = (apdu: Uint8Array) => Promise<Uint8Array>;
type Order = Omit<PrepareOrder, 'profile' | 'genuine'>;
type Signed = (signature: Uint8Array, kind: keyof PrepareDeps['makers']) => boolean;

const asTag = (order: Order, signed: Signed) =>
  prepare({ ...order, profile: NTAG, genuine: (signature) => signed(signature, 'ntag424') });

/**
 * Plays what prepares a card that was never laid here: a Light, unless it turns out to be an EV2 or EV3, or a tag. A
 * new EV2 or EV3 has no application, which is when it is asked; one of a lost registry has ours, and their maker's
 * signature. A tag does not know the application's name, and is no DESFire.
 * @param isOther called before anything is sent to it as such
 */
async function playUnknown(
  order: Order,
  signed: Signed,
  transmit: Transmit,
  isOther: (profile: Profile) => void,
): Promise<Told | Failure> {
  let ev = false;
  const asLight = (signature: Uint8Array) => {
    const light = signed(signature, 'light');
    ev = !light && (signed(signature, 'ev2') || signed(signature, 'ev3'));
    return light;
  };
  const told = await play(prepare({ ...order, genuine: asLight }), transmit);
  if (told.ok) return told;
  if (told.reason === 'not-ours' && told.at === 'select') {
    const kind = await play(generationOf(), transmit);
    if (!kind.ok && kind.reason === 'lost') return kind;
    ev = kind.ok;
    if (!ev) {
      isOther('ntag424');
      return await play(asTag(order, signed), transmit);
    }
  }
  if (!ev) return told;
  isOther('desfire-ev');
  return await play(prepareEv({ ...order, genuine: signed }), transmit);
}

/**
 * Prepares the card that lies on the reader. May be repeated whatever became of it before: what was intended is on the
 * disk before it is sent, and the card's own proof closes it.
 * @throws what registry and disk throw; nothing more is sent to the card then.
 */
export async function prepareCard(
  deps: PrepareDeps,
  { uid: read }: Pick<LaidCard, 'uid'>,
  transmit: Transmit,
): Promise<CardResult> {
  const { registry, random, now, makers } = deps;
  if (!SIGNED_UID.test(read)) return aside(NO_UID);
  const uid = read as CardUid;
  registry.refresh();
  const member = registry.card(uid);
  if (member !== undefined) return aside(bound(member.number));
  const chip = registry.chip(uid);
  const open = registry.openChanges(uid).filter(({ no }) => no === KEY_NO.app || no === PICC_KEY_NO);
  const known = chip !== undefined && chip.keyVersion > 0;
  // One that was begun is ended as it was begun: a newer version is the business of a roll.
  const version = known ? chip.keyVersion : (open.at(-1)?.to ?? deps.newest);
  let profile: Profile = chip?.profile ?? 'desfire-light';
  const keep = () => {
    if (registry.chip(uid) === undefined) registry.putChip({ uid, profile, keyVersion: 0 });
  };
  const signed: Signed = (signature, kind) => genuine(Buffer.from(uid, 'hex'), signature, makers[kind]);
  const order: Order = {
    ring: onlyThese(deps.keyring(uid), version),
    version,
    random,
    journal: (change) => {
      keep();
      registry.journalKey({ uid, ...change, at: now() });
    },
    known,
  };
  const one = () => {
    if (profile === 'ntag424') return asTag(order, signed);
    if (profile === 'desfire-ev') return prepareEv({ ...order, genuine: signed });
    return prepare({ ...order, genuine: (signature) => signed(signature, 'light') });
  };
  const isOther = (other: Profile) => {
    profile = other;
  };
  const told = await (chip === undefined ? playUnknown(order, signed, transmit, isOther) : play(one(), transmit));
  if (!told.ok) {
    const [result, why] = verdicts[told.reason];
    const unsure = profile === 'desfire-ev' && told.reason === 'not-genuine';
    return { result, why: unsure ? EV_NOT_GENUINE : why, failure: told };
  }
  keep();
  if (!known) registry.proveKeys(uid, version);
  return { result: !known && (told.changed || open.length > 0) ? 'prepared' : 'already' };
}

export interface Counts {
  prepared: number;
  already: number;
  aside: number;
}

/** What is told while it goes on. */
export type Note =
  | { readonly state: 'ready'; readonly reader: string }
  | { readonly state: 'crowded' }
  /** The reader cannot be used for now. */
  | { readonly state: 'fault'; readonly why: string }
  | ({ readonly state: 'card'; readonly uid: string; readonly counts: Readonly<Counts> } & CardResult);

export interface PrepareRun {
  /** Ends after so many cards were prepared; null: only when stopped. */
  readonly count: number | null;
  /** Ends it after the card in hand. */
  readonly stop: AbortSignal;
  readonly tell: (note: Note) => void;
}

export interface PrepareEnd {
  readonly counts: Readonly<Counts>;
  /** Why it ended before its time, or null. */
  readonly error: string | null;
}

/** Cards with a key that is not ours, which are not tried twice: each failed try brings one closer to its lock. */
const FAILED_MAX = 1000;

/** Prepares each card that is laid on the reader alone, once as long as it lies there. */
export async function prepareCards(deps: PrepareDeps, reader: CardReader, run: PrepareRun): Promise<PrepareEnd> {
  const counts: Counts = { prepared: 0, already: 0, aside: 0 };
  const failed = new Map<string, CardResult>();
  const nudge = () => reader.nudge();
  run.stop.addEventListener('abort', nudge);
  let done = 0;
  let wasReady = false;
  let usable = false;
  let said = '';
  /** What goes on as it was is told once. */
  const say = (note: Note) => {
    const text = JSON.stringify(note);
    if (text !== said) run.tell(note);
    said = text;
  };
  const serve = async ({ presence, uid }: LaidCard) => {
    done = presence;
    const now = failed.get(uid) ?? (await prepareCard(deps, { uid }, (apdu) => reader.transmit(presence, apdu)));
    if (now.result === 'aside' && now.failure?.reason === 'wrong-key' && failed.size < FAILED_MAX) failed.set(uid, now);
    if (now.result !== 'again') counts[now.result] += 1;
    said = '';
    run.tell({ state: 'card', uid, counts: { ...counts }, ...now });
  };
  try {
    while (!run.stop.aborted && (run.count === null || counts.prepared < run.count)) {
      const state = reader.state();
      if (state.type === 'ended' || (state.type === 'fault' && !wasReady)) return { counts, error: state.why };
      if (state.type === 'fault') say({ state: 'fault', why: state.why });
      if (state.type !== 'ready') usable = false;
      else {
        if (!usable) say({ state: 'ready', reader: state.name });
        usable = true;
        wasReady = true;
        const [card, ...others] = state.cards;
        if (others.length > 0) say({ state: 'crowded' });
        else if (card !== undefined && card.presence !== done) {
          await serve(card);
          continue;
        }
      }
      await reader.change();
    }
    return { counts, error: null };
  } finally {
    run.stop.removeEventListener('abort', nudge);
  }
}
