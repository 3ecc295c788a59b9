/** Sales: the stream that the ledger bench posts, judged by the shipped rule; the same requests each time. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Verdict } from '../../../hub/rules/entries.ts';
import { DEMO_LICENCE } from '../../../hub/rules/licence.ts';
import { judgePurchase } from '../../../hub/rules/purchase.ts';
import { HUB_ORIGIN, type PostRequest } from '../../../hub/store/ledger.ts';
import type { Work } from '../../../hub/store/sqlite/engine.ts';
import type { Town } from '../../../hub/town.ts';
import { businessDate } from '../../../protocol/dates.ts';
import type { CooperativeId, KioskNo, MemberId, OutletId } from '../../../protocol/ids.ts';
import { registered } from '../../../protocol/limits.ts';
import type { Tariff } from '../../../protocol/tariffs.ts';
import { repository } from '../repository.ts';
import { uidOf } from './members.ts';

/** Kiosks of the town, each at an outlet of its own, and besides those of the one hot outlet. */
const KIOSKS = 480;
const HOT_KIOSKS = 20;
const HOT_OUTLET = 'pasar-besar' as OutletId;
/** One card in twenty has an empty account, and one sale in twenty meets one. */
const POOR_EVERY = 20;
/** One request in twenty repeats an earlier one; one repeat in ten is of any age, the others of the last minutes. */
const REPEAT_EVERY = 20;
const OLD_REPEAT_EVERY = 10;
const RECENT = 1000;
const OLD = 2000;
const OLD_EVERY = 997;
const POOR = 100n;
const RICH = 1_000_000_000n;
const OPENING_MS = Date.UTC(2026, 0, 5);
/** Pace of the town's clock: slow enough that no card meets its pause or its day's limit. */
const WORK_MS = 10_000;
const AMOUNT = 25_000;
/** A firm buys little and often. */
const FIRM_AMOUNT = 2000;
/** High enough that no cooperative reaches it. */
const CAP = 10n ** 15n;
const EVIDENCE_BYTES = 142;
const TMC = 4;

/** Whose sales are next: the town's kiosks in turn, or those of one outlet alone. */
export type Crowd = 'town' | 'hot';

/** A member who shall have so many lines, one each `every` sales. */
export interface Firm {
  readonly member: MemberId;
  readonly every: number;
  left: number;
}

/** Where a stream stands: plain data, so that a copy goes on from the same place. */
export interface StreamState {
  works: number;
  /** Requests that were no repeats. */
  sold: number;
  /** Last seq of each kiosk, last counter of each card, next place of each pool. */
  readonly seqs: number[];
  readonly counters: number[];
  readonly places: number[];
  readonly recent: PostRequest[];
  readonly old: PostRequest[];
  firm: Firm | null;
}

export interface Stream {
  readonly state: StreamState;
  readonly next: (crowd: Crowd) => Work;
}

/** Cards of a cooperative that are dealt in turn, far apart in the file from one to the next. */
interface Pool {
  readonly cards: readonly number[];
  readonly stride: number;
}

export interface SalesTown {
  readonly cooperatives: readonly CooperativeId[];
  readonly tariffs: readonly Tariff[];
  readonly cards: number;
  readonly firmCards: number;
  /** Cooperative `c` has its rich cards in pool `2c` and its poor ones in `2c + 1`. */
  readonly pools: readonly Pool[];
}

/** The firms' cooperative, by its place; the hot outlet is of the first. */
const FIRM_HOME = 1;
export const firmOf = (size: number) => `firm-${size}` as MemberId;
const memberOf = (card: number) => `m-${card}` as MemberId;

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));

function poolOf(cards: readonly number[]): Pool {
  let stride = Math.max(1, Math.floor(cards.length * 0.618));
  while (divisor(cards.length, stride) !== 1) stride += 1;
  return { cards, stride };
}

/** The pilot's cooperatives and tariffs, with so many cards. @param cards at least 240. */
export function salesTown(cards: number): SalesTown {
  const pilot = JSON.parse(readFileSync(join(repository(), 'hub/pilot.json'), 'utf8')) as Town;
  const cooperatives = pilot.cooperatives.map(({ id }) => id as CooperativeId);
  const tariffs = pilot.tariffs.map(
    ({ fixed, min, max, ...tariff }): Tariff => ({
      ...tariff,
      fixed: BigInt(fixed),
      min: BigInt(min),
      max: BigInt(max),
    }),
  );
  const all = Array.from({ length: cards }, (_, card) => card);
  const isPoor = (card: number) => Math.floor(card / cooperatives.length) % POOR_EVERY === 0;
  const pools = cooperatives.flatMap((_, home) => {
    const own = all.filter((card) => card % cooperatives.length === home);
    return [poolOf(own.filter((card) => !isPoor(card))), poolOf(own.filter(isPoor))];
  });
  return { cooperatives, tariffs, cards, firmCards: Math.ceil(cards / 20), pools };
}

/** What opens the books: every card known, every member with money. @returns works, and the entries they make. */
export function settling(town: SalesTown, sizes: readonly number[]): { works: Work[]; entries: number } {
  const { cooperatives, cards, firmCards, pools } = town;
  const works: Work[] = [];
  let seq = 0;
  const open = (member: MemberId, home: number, amount: bigint) => {
    const cooperative = cooperatives[home];
    if (cooperative === undefined) throw new Error('a member without a cooperative');
    seq += 1;
    const facts = { amount, card: null, issuer: cooperative, acquirer: cooperative, outlet: null };
    const verdict: Verdict = { approve: { kind: 'opening', figures: { cooperative, member, amount } }, guards: [] };
    const key = { origin: HUB_ORIGIN, seq };
    works.push({ do: 'post', request: { key, hash: '', at: OPENING_MS, verdict, slot: null, facts, evidence: null } });
  };
  const poor = new Set(pools.flatMap((pool, at) => (at % 2 === 1 ? pool.cards : [])));
  for (let card = 0; card < cards; card += 1) {
    open(memberOf(card), card % cooperatives.length, poor.has(card) ? POOR : RICH);
  }
  for (const size of sizes) open(firmOf(size), FIRM_HOME, RICH);
  for (let card = 0; card < cards + firmCards; card += 1) {
    works.push({ do: 'card', card: { uid: uidOf(card), status: 'active', keyVersion: 1, tmc: TMC } });
  }
  return { works, entries: seq };
}

const GOOD = {
  valid: true,
  wellFormed: true,
  sender: true,
  proven: true,
  beaconAgeSeconds: 1,
} as const;

/** A firm moves more than a person, and no card is asked for its PIN: the guards are judged all the same. */
const ROOMY = {
  ...registered,
  perDay: CAP,
  perMonth: CAP,
  perMonthIn: CAP,
  noPinSum: CAP,
  noPinPerDay: CAP,
} as const;

interface Tap {
  readonly kiosk: number;
  readonly home: number;
  readonly card: number;
  readonly member: MemberId;
  readonly amount: number;
}

/** The request of a tap, as the purchase operation makes it of a certificate that holds. */
function requestOf(town: SalesTown, state: StreamState, { kiosk, home, card, member, amount: number }: Tap) {
  const { cooperatives, tariffs } = town;
  const n = cooperatives.length;
  const [issuer, acquirer] = [cooperatives[home], cooperatives[kiosk < KIOSKS ? kiosk % n : 0]];
  if (issuer === undefined || acquirer === undefined) throw new Error('a tap of no cooperative');
  const at = OPENING_MS + state.works * WORK_MS;
  const [seq, tmc] = [(state.seqs[kiosk] ?? 0) + 1, (state.counters[card] ?? TMC) + 1];
  state.seqs[kiosk] = seq;
  state.counters[card] = tmc;
  const amount = BigInt(number);
  const uid = uidOf(card);
  const outlet = kiosk < KIOSKS ? (`warung-${kiosk}` as OutletId) : HOT_OUTLET;
  const verdict = judgePurchase({
    date: businessDate(at),
    amount,
    kiosk: (kiosk + 1) as KioskNo,
    card: { uid, issuer, member, active: true },
    outlet: { id: outlet, cooperative: acquirer, class: 'retail', open: true },
    certificate: { ...GOOD, recordAmount: amount },
    tariffs,
    limits: ROOMY,
    pinVerified: false,
    netDebitCap: CAP,
    capAlert: CAP,
    licenceOf: () => DEMO_LICENCE,
  });
  const request: PostRequest = {
    key: { origin: kiosk + 1, seq },
    hash: state.sold.toString(16).padStart(32, '0'),
    at,
    verdict,
    slot: { card: uid, keyVersion: 1, tmc },
    facts: { amount, card: uid, issuer, acquirer, outlet },
    evidence: new Uint8Array(EVIDENCE_BYTES).fill(state.sold % 251),
  };
  return request;
}

/** Whose card is tapped where: an off-us sale always, so that every entry has its fee's three parts. */
function tapOf({ cooperatives, cards, firmCards, pools }: SalesTown, state: StreamState, crowd: Crowd): Tap {
  const { sold, firm, places } = state;
  const n = cooperatives.length;
  // Each time round the kiosks, every kiosk meets another cooperative's card.
  const shifted = sold + Math.floor(sold / (KIOSKS + HOT_KIOSKS));
  const kiosk = crowd === 'hot' ? KIOSKS + (sold % HOT_KIOSKS) : sold % (KIOSKS + HOT_KIOSKS);
  const acquirer = kiosk < KIOSKS ? kiosk % n : 0;
  if (firm !== null && firm.left > 0 && sold % firm.every === 0) {
    firm.left -= 1;
    const card = cards + (firm.left % firmCards);
    return {
      kiosk: acquirer === FIRM_HOME ? kiosk - 1 : kiosk,
      home: FIRM_HOME,
      card,
      member: firm.member,
      amount: FIRM_AMOUNT + (sold % 100) * 10,
    };
  }
  const home = (acquirer + 1 + (shifted % (n - 1))) % n;
  const at = 2 * home + (shifted % POOR_EVERY === 7 ? 1 : 0);
  const pool = pools[at];
  const place = (places[at] ?? 0) + 1;
  const card = pool?.cards[(place * pool.stride) % pool.cards.length];
  if (card === undefined) throw new Error('a cooperative has no such card');
  places[at] = place;
  return { kiosk, home, card, member: memberOf(card), amount: AMOUNT + (sold % 100) * 10 };
}

/** A request that comes once more: mostly the one before, sometimes one of the last minutes, seldom an old one. */
function repeatOf({ works, sold, recent, old }: StreamState): PostRequest | undefined {
  const turn = Math.floor(works / REPEAT_EVERY);
  if (turn % OLD_REPEAT_EVERY === 0 && old.length > 0) return old[(turn * 617) % old.length];
  return recent[(turn % 2 === 0 ? sold : sold + 1) % RECENT] ?? recent.at(-1);
}

/** Starts a stream, or goes on where another stood. */
export function openStream(town: SalesTown, from?: StreamState): Stream {
  const state: StreamState = from ?? {
    works: 0,
    sold: 0,
    seqs: [],
    counters: [],
    places: [],
    recent: [],
    old: [],
    firm: null,
  };
  return {
    state,
    next(crowd) {
      state.works += 1;
      if (state.works % REPEAT_EVERY === 0) {
        const request = repeatOf(state);
        if (request !== undefined) return { do: 'post', request };
      }
      state.sold += 1;
      const request = requestOf(town, state, tapOf(town, state, crowd));
      state.recent[state.sold % RECENT] = request;
      // Of all ages alike would need all; the oldest are kept longest.
      if (state.sold % OLD_EVERY === 0 && state.old.length < OLD) state.old.push(request);
      return { do: 'post', request };
    },
  };
}
