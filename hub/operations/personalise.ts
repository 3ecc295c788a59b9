/** Personalise: makes a prepared chip the card of the next member who waits for one, through an issuing kiosk. */
import { TMAC_KEY_NO } from '../../cards/diversify.ts';
import type { Keyring } from '../../cards/keyring.ts';
import { LIGHT } from '../../cards/layout.ts';
import { type PersonaliseOrder, personalise } from '../../cards/personalise.ts';
import { type CardUid, HUB_KIOSK_NO } from '../../protocol/ids.ts';
import { CARD_LIFE_YEARS, PURSE_CEILING } from '../../protocol/limits.ts';
import type { RelayEnd } from '../../protocol/relay.ts';
import { minuteOf, STATEMENT_CONTEXT, writeStatement } from '../../protocol/statement.ts';
import { BEACON_SECONDS, minuteOfSlot } from '../../protocol/status.ts';
import type { Ledger } from '../store/ledger.ts';
import type { Card, Making, Registry } from '../store/registry.ts';
import { tellCards } from '../tellcards.ts';
import type { Vault } from '../vault.ts';
import { type Begun, begun, failed, type Refused } from './relay.ts';

export interface PersonaliseDeps {
  readonly vault: Pick<
    Vault,
    'keyring' | 'tagKeyring' | 'tmacKey' | 'signDeed' | 'signStatement' | 'beacon' | 'versions'
  >;
  readonly registry: Registry;
  readonly ledger: Pick<Ledger, 'putCard'>;
  /** What tags open on a phone, `https://host/path`. */
  readonly tagAddress: string;
  readonly random: (bytes: number) => Uint8Array;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}

const YEAR_MS = 365.25 * 86_400_000;
const PROFILE_VERSION = 1;
/** In file 1F; also which files a chip has before it is personalised. */
const PROFILES = { light: 1, ev: 2 } as const;

/**
 * Content of file 1F: version 1 ‖ profile 1 ‖ version of key 1, 1 ‖ zeros. Plain and unproven: it only says which key
 * to try.
 */
function profileFile(chip: keyof typeof PROFILES, keyVersion: number): Uint8Array {
  const bytes = new Uint8Array(LIGHT.files.profile.size);
  bytes.set([PROFILE_VERSION, PROFILES[chip], keyVersion]);
  return bytes;
}

/** What the hub says of a card in its file 00: the statement and its signature. */
function signedStatement(vault: PersonaliseDeps['vault'], card: Card, { at }: Making): Uint8Array {
  const { uid, number, issuer, tmacKeyVersion } = card;
  const expires = minuteOf(at + CARD_LIFE_YEARS * YEAR_MS);
  const ceiling = Number(PURSE_CEILING);
  const statement = writeStatement({ uid, number, issuer, tmacKeyVersion, ceiling, expires });
  const signature = vault.signStatement(Buffer.concat([Buffer.from(STATEMENT_CONTEXT), statement]));
  return Uint8Array.of(...statement, ...signature);
}

/** The first four records, under the hub's own number and the seqs that were taken when the chip was bound. */
function firstMarks({ vault }: PersonaliseDeps, uid: CardUid, { seq, slot }: Making): PersonaliseOrder['marks'] {
  const beacon = vault.beacon(slot);
  const mark = (at: number) => {
    const numbers = { kioskNo: HUB_KIOSK_NO, kioskSeq: seq + at, minute: minuteOfSlot(slot) };
    return vault.signDeed(uid, { kind: 'personalise', amount: 0n, ...numbers }, beacon);
  };
  return [mark(0), mark(1), mark(2), mark(3)];
}

function orderOf(deps: PersonaliseDeps, card: Card, made: Making): PersonaliseOrder {
  const { vault, registry, random, now } = deps;
  const { uid, issuer, keyVersion, tmacKeyVersion } = card;
  const key = vault.tmacKey(issuer, uid, tmacKeyVersion);
  if (key === null) throw new Error(`no tmac master of ${issuer} serves version ${tmacKeyVersion}`);
  const keys = vault.keyring(issuer, uid);
  // Of this version only: a chip that tells another one is none that was prepared for this card.
  const ring: Keyring = (no, version) => (version === keyVersion ? keys(no, version) : null);
  const chip = registry.chip(uid)?.profile === 'desfire-ev' ? 'ev' : 'light';
  return {
    chip,
    ring,
    version: keyVersion,
    tmac: { key, version: tmacKeyVersion },
    ceiling: Number(PURSE_CEILING),
    statement: signedStatement(vault, card, made),
    profile: profileFile(chip, keyVersion),
    marks: firstMarks(deps, uid, made),
    random,
    journal: (change) => registry.journalKey({ uid, at: now(), ...change }),
  };
}

/** Makes a prepared chip the card of the member who has waited longest; or says why not. */
export function bindChip({ registry, vault, now }: PersonaliseDeps, uid: CardUid): Card | Refused {
  const chip = registry.chip(uid);
  if (chip === undefined || chip.keyVersion === 0) {
    const detail = `chip ${uid} was never prepared here`;
    return { refusal: 'card-not-prepared', detail };
  }
  const at = now();
  const slot = Math.floor(at / 1000 / BEACON_SECONDS);
  const tmacKeyVersions = vault.versions().tmacKeyVersions;
  const card = registry.bindCard({ uid, keyVersion: chip.keyVersion, tmacKeyVersions, slot, at });
  return card ?? { refusal: 'nothing-to-issue', detail: 'no order waits for a card' };
}

/** The version of the counter file's key is given once, also when the card is begun again (TRUTH section 8). */
function journalCounterKey({ registry, now }: PersonaliseDeps, { uid, tmacKeyVersion }: Card): void {
  const given = registry.keyHistory(uid).some(({ no, to }) => no === TMAC_KEY_NO && to === tmacKeyVersion);
  if (!given) registry.journalKey({ uid, no: TMAC_KEY_NO, from: 0, to: tmacKeyVersion, at: now() });
}

/** The card proved all its keys: it is ready, and the ledger knows it. */
export async function finish({ registry, ledger }: PersonaliseDeps, card: Card): Promise<RelayEnd> {
  registry.proveKeys(card.uid, card.keyVersion);
  const now = registry.card(card.uid);
  if (now?.status === 'personalising') registry.putCard({ ...now, status: 'ready' });
  await tellCards(registry, ledger);
  const holder = registry.member(card.member)?.name ?? card.member;
  const left = registry.orders().filter(({ uid }) => uid === null).length;
  return { done: 'personalise', number: card.number, holder, left };
}

/** Begins, or goes on, where the card is. @param made how the hub marked it when its chip was bound */
export function personaliseCard(deps: PersonaliseDeps, card: Card, made: Making): Begun {
  journalCounterKey(deps, card);
  const script = personalise(orderOf(deps, card, made));
  return begun(script, async (result) => (result.ok ? finish(deps, card) : failed(result)));
}
