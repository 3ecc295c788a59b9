/** Ending: a frozen card is emptied at an issuing kiosk; a replaced or retired one is emptied, then loses its keys. */
import { timingSafeEqual } from 'node:crypto';
import type { Marks } from '../../cards/closing.ts';
import { TMAC_KEY_NO } from '../../cards/diversify.ts';
import { type Keyring, RETIRED_VERSION } from '../../cards/keyring.ts';
import { KEY_NO, LIGHT, NTAG } from '../../cards/layout.ts';
import { keyVersions } from '../../cards/opening.ts';
import { type DrainOrder, drain, type PaymentDone } from '../../cards/payment.ts';
import { roll } from '../../cards/roll.ts';
import { type Failure, failure, type Script } from '../../cards/script.ts';
import { HUB_KIOSK_NO } from '../../protocol/ids.ts';
import type { RelayEnd } from '../../protocol/relay.ts';
import { BEACON_SECONDS, minuteOfSlot } from '../../protocol/status.ts';
import { isLive } from '../rules/lifecycle.ts';
import type { Drain } from '../store/drains.ts';
import type { Ledger } from '../store/ledger.ts';
import type { Card, Kiosk, Registry } from '../store/registry.ts';
import { tellCards } from '../tellcards.ts';
import type { Vault } from '../vault.ts';
import { bookDrains, type DrainsDeps, drainCertificate, learnAll, learnFrom } from './drains.ts';
import { awaited, type Begun, begun, failed } from './relay.ts';
import { mayTell } from './renew.ts';
import { packAsked } from './transit.ts';

export interface EndingDeps extends DrainsDeps {
  readonly vault: Pick<Vault, 'keyring' | 'tagKeyring' | 'tmacKey' | 'signDeed' | 'beacon'>;
  readonly registry: Registry;
  readonly ledger: Pick<Ledger, 'post' | 'putCard' | 'balances' | 'standing'>;
  readonly random: (bytes: number) => Uint8Array;
}

const CHALLENGE_BYTES = 16;
const UNKNOWN: RelayEnd = { done: 'unknown' };

const isTag = (registry: Registry, { uid }: Card): boolean => registry.chip(uid)?.profile === 'ntag424';

/** Keys by the version that a card may tell: a card that tells another one is a copy. */
function ringOf({ vault, registry }: EndingDeps, card: Card, next: number | null): Keyring {
  const told = mayTell(registry, card);
  const { issuer, uid } = card;
  const keys = isTag(registry, card) ? vault.tagKeyring(issuer, uid) : vault.keyring(issuer, uid);
  return (no, version) => (told.has(version) || version === next ? keys(no, version) : null);
}

/**
 * Whether the card was never finished: then it never held money, and its key 1 may still be the factory's, under which
 * nothing is done to a purse.
 */
const neverReady = ({ registry }: EndingDeps, { uid, made }: Card): boolean =>
  made !== null && !registry.keyHistory(uid).some(({ no, proven }) => no === TMAC_KEY_NO && proven);

/** What the drain script of this conversation leaves behind in memory. */
interface Draining {
  readonly card: Card;
  readonly kiosk: Kiosk;
  /** Hub time when it began. */
  readonly at: number;
  /** The drain that was journaled; null before. */
  intent: Omit<Drain, 'state'> | null;
}

/** The purse's key is the one whose version the card tells, so that none is tried in vain. */
function* emptied(ring: Keyring, order: Omit<DrainOrder, 'key1'>): Script<PaymentDone | Failure> {
  const told = yield* keyVersions();
  if (!told.ok) return told;
  const key1 = ring(KEY_NO.debit, told.versions[KEY_NO.debit] ?? -1);
  if (key1 === null) return failure('key 1', 'other-version', 'not-executed', null);
  return yield* drain({ ...order, key1 });
}

function drainScript(deps: EndingDeps, draining: Draining): Script<PaymentDone | Failure> {
  const { vault, registry, random } = deps;
  const { card, at } = draining;
  const { uid, tmacKeyVersion: keyVersion } = card;
  const slot = Math.floor(at / 1000 / BEACON_SECONDS);
  let seq = 0;
  let marked: Marks = { record: new Uint8Array(), tmri: new Uint8Array() };
  return emptied(ringOf(deps, card, null), {
    rndA: random(CHALLENGE_BYTES),
    marks(amount) {
      seq = registry.takeHubSeq();
      const numbers = { kioskNo: HUB_KIOSK_NO, kioskSeq: seq, minute: minuteOfSlot(slot) };
      marked = vault.signDeed(uid, { kind: 'drain', amount, ...numbers }, vault.beacon(slot));
      return marked;
    },
    journal({ before, records, opening, encTmri }) {
      // First: the commit that is about to leave hides what the counter file shows now.
      learnFrom(deps, card, { keyVersion, before });
      const evidence = packAsked({ keyVersion, before, records, encTmri, ...marked });
      draining.intent = { seq, uid, at, amount: opening, evidence };
      registry.putDrain(draining.intent);
    },
  });
}

/** Whether the card's certificate is the one that only its own counter key makes over this drain. */
function isCertified(deps: EndingDeps, { card, kiosk, intent }: Draining, done: PaymentDone): boolean {
  const certificate = intent && drainCertificate(deps, card, intent);
  if (certificate !== null && timingSafeEqual(certificate, done.tmv)) return true;
  const detail = `drain ${HUB_KIOSK_NO}/${intent?.seq} of card ${card.uid} came under another certificate`;
  deps.alarms.raise('drain-open', kiosk.name, detail);
  return false;
}

/** The drain's answer is there, or is not: books what is proven, and goes on only when nothing is left in doubt. */
async function finish(deps: EndingDeps, draining: Draining, result: PaymentDone | Failure): Promise<Begun | RelayEnd> {
  const { registry } = deps;
  const { card, kiosk, at, intent } = draining;
  const sound = result.ok && isCertified(deps, draining, result);
  if (sound && intent !== null) {
    const { before, records, opening, tmc } = result;
    const seen = { keyVersion: card.tmacKeyVersion, tmc, before, records, opening, since: at };
    learnAll(deps, kiosk.name, card, seen, intent.seq);
  }
  const { amount, whole } = await bookDrains(deps, kiosk.name, card);
  if (!result.ok) return failed(result);
  if (!sound || !whole) return UNKNOWN;
  const { number } = card;
  if (isLive(card.status)) return { done: 'drained', number, amount: Number(amount) };
  return registry.drainsOf(card.uid).length > 0 ? UNKNOWN : retire(deps, card);
}

function retired({ registry }: EndingDeps, { uid, number }: Card): RelayEnd {
  return { done: 'retired', number, amount: Number(registry.returnedSinceEnd(uid)) };
}

/** Rolls the keys 0 to 4 to the version that says so: nobody is given keys of it, and none comes after. */
function retire(deps: EndingDeps, card: Card): Begun {
  const { registry, random, now } = deps;
  const { uid } = card;
  const ring = ringOf(deps, card, RETIRED_VERSION);
  const journal = (change: { no: number; from: number; to: number }) =>
    registry.journalKey({ uid, at: now(), ...change });
  const profile = isTag(registry, card) ? NTAG : LIGHT;
  return begun(roll({ profile, ring, version: RETIRED_VERSION, random, journal }), async (result) => {
    if (!result.ok) return failed(result);
    registry.proveKeys(uid, RETIRED_VERSION);
    const known = registry.card(uid);
    if (known !== undefined) registry.putCard({ ...known, keyVersion: RETIRED_VERSION });
    return retired(deps, card);
  });
}

/**
 * Empties the purse of a card that is frozen or has ended into its member's account, and retires the keys of one that
 * has ended. Every step may be torn and played again: what was committed without an answer is proven by the counter
 * file that the next one reads, and no key is retired before all is booked.
 */
export function endCard(deps: EndingDeps, kiosk: Kiosk, card: Card): Begun {
  const { registry, ledger, now } = deps;
  if (registry.chip(card.uid)?.keyVersion === RETIRED_VERSION) return awaited(Promise.resolve(retired(deps, card)));
  // A tag has no purse.
  const empty = isTag(registry, card) || neverReady(deps, card);
  if (!isLive(card.status) && empty) return retire(deps, card);
  // The ledger first: from here on it releases no reload of this card.
  const told = tellCards(registry, ledger).then(() => {
    const draining: Draining = { card, kiosk, at: now(), intent: null };
    return begun(drainScript(deps, draining), (result) => finish(deps, draining, result));
  });
  return awaited(told);
}
