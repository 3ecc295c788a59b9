/** A kiosk that asks again, gives up, asks once more, while its hub is killed: one decision, always the same words. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { hubPaths } from '../../hub/config.ts';
import { makeLog, realEdges } from '../../hub/edges.ts';
import type { Account } from '../../hub/rules/accounts.ts';
import { HUB_ORIGIN } from '../../hub/store/ledger.ts';
import { openLedger } from '../../hub/store/sqlite/ledger.ts';
import type { Town } from '../../hub/town.ts';
import type { CooperativeId, MemberId } from '../../protocol/ids.ts';
import type { PurchaseRequest } from '../../protocol/purchase.ts';
import { tapRequest } from '../hub/taps.ts';
import { type Heard, openLine, type Said } from '../hub/volley.ts';
import { enrolAt, type TestKiosk } from '../hub/world.ts';
import { type Chance, chance } from '../town/chance.ts';
import { type HubProcess, hubProcess, steadyPort } from '../town/hubprocess.ts';
import { type LedgerFile, ledgerFile } from '../town/ledgerfile.ts';
import { repository } from '../town/repository.ts';
import { makePlace, openOffice, type Place, removePlace } from '../town/town.ts';
import { unowned } from '../town/unowned.ts';

const MEMBERS = 40;
const HOME = 'angkot' as CooperativeId;
/** What each member has, in rupiah. */
const BALANCE = 100_000;
/** Counter of the first commit after personalising. */
const FIRST_TMC = 5;
/** Messages in one write: a hub lets 64 of a kiosk wait. */
const VOLLEY = 60;

const memberId = (index: number) => `ulang-${index}` as MemberId;
const uidOf = (index: number) => `04${index.toString(16).padStart(12, '0')}`;
const accountOf = (index: number): Account => ({ cooperative: HOME, kind: 'member', owner: memberId(index) });

/** The pilot's cooperatives and outlets, with members and cards of our own. */
function crowd(): Town {
  const pilot = JSON.parse(readFileSync(join(repository(), 'hub/pilot.json'), 'utf8')) as Town;
  const all = Array.from({ length: MEMBERS }, (_, index) => index);
  const members = all.map((index) => ({ id: memberId(index), cooperative: HOME, name: 'Uji', balance: BALANCE }));
  const cards = all.map((index) => {
    return { uid: uidOf(index), number: `${979_300_000_000 + index}`, member: memberId(index) };
  });
  return { ...pilot, members, cards, outlets: unowned(pilot) };
}

let place: Place;
let hub: HubProcess;
let ledger: LedgerFile;
let office: ReturnType<typeof openOffice>;
let dice: Chance;
let nextMember = 0;
/** One for each test, so that numbers of sales start at 1. They are enrolled before the hub first reads who is. */
const kiosks: TestKiosk[] = [];

beforeAll(async () => {
  dice = chance('retries');
  place = await makePlace(crowd(), await steadyPort());
  office = openOffice(place);
  const ca = readFileSync(hubPaths(place.directory).ca, 'utf8');
  const signing = { ...realEdges(makeLog('silent')), ...office, ca };
  for (const name of ['ulang-1', 'ulang-2', 'ulang-3']) kiosks.push(await enrolAt(signing, name, 'stall-12'));
  hub = hubProcess(place);
  ledger = ledgerFile(place);
});
beforeEach(() => hub.start());
afterEach(() => {
  expect(ledger.faults()).toEqual([]);
  expect(ledger.alarms()).toEqual([]);
});
afterAll(async () => {
  await hub?.kill();
  office?.close();
  removePlace(place);
});

const door = () => ({ hub: { port: office.port } });

function nextKiosk(): TestKiosk {
  const kiosk = kiosks.shift();
  if (kiosk === undefined) throw new Error('more tests than kiosks');
  return kiosk;
}

/** A sale to a member who never paid before. */
interface Sale {
  readonly seq: number;
  readonly member: number;
  readonly amount: number;
  readonly body: PurchaseRequest;
}

function tap(kiosk: TestKiosk, seq: number, member: number, amount: number, tmc = FIRST_TMC): Sale {
  const body = tapRequest(office, kiosk, { uid: uidOf(member), amount, seq, tmc, at: Date.now() });
  return { seq, member, amount, body };
}

function newSale(kiosk: TestKiosk, seq: number, amount: number): Sale {
  nextMember += 1;
  return tap(kiosk, seq, nextMember - 1, amount);
}

const purchase = ({ body }: Sale): Said => ({ conversation: 'purchase', body });
const question = ({ body: { kiosk, seq } }: Sale, ask: 'resolve' | 'cancel'): Said => {
  return { conversation: 'resolve', body: { kiosk, seq, kind: 'account', ask } };
};

/** All answers to a sale are one answer, and it is what the ledger file holds, sealed by the hub's own key. */
function expectSameWords(kiosk: TestKiosk, { seq }: Sale, answers: readonly Heard[]): void {
  const written = ledger.decision(kiosk.grant.kiosk, seq)?.receipt ?? 'no decision';
  const sealed = { receipt: written, mac: office.vault.receiptMac(written) };
  const words = new Set(answers.map(({ receipt, mac }) => JSON.stringify({ receipt, mac })));
  expect([...words], `sale ${seq}, seed ${dice.seed}`).toEqual([JSON.stringify(sealed)]);
}

const chunks = <T>(list: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(list.length / size) }, (_, at) => list.slice(at * size, (at + 1) * size));

test('a sale sent from once to fifty times, over restarts and reconnects, is booked once in one wording', async () => {
  const kiosk = nextKiosk();
  const decided = ledger.decisions();
  const times = [1, 50, ...Array.from({ length: 6 }, () => 1 + dice.below(50))];
  const sales = times.map((_, at) => newSale(kiosk, at + 1, 1_000 * (at + 1)));
  const stages = ['first line', 'new line', 'killed hub', 'new hub', 'newest hub'] as const;
  const plan = new Map<string, Sale[]>(stages.map((stage) => [stage, []]));
  for (const [at, sale] of sales.entries()) {
    // The last two are first heard of by a dying hub.
    const first = at < sales.length - 2 ? dice.below(stages.length) : stages.indexOf('killed hub');
    const later = stages.slice(first);
    // One of them is surely answered; what a dying hub is told may be lost.
    const answered = later.filter((stage) => stage !== 'killed hub');
    plan.get(dice.shuffled(answered)[0] ?? '')?.push(sale);
    for (let more = 1; more < (times[at] ?? 1); more++) plan.get(dice.shuffled(later)[0] ?? '')?.push(sale);
  }
  // A dying hub is told all in one breath; what does not fit is for the next.
  plan.get('new hub')?.push(...(plan.get('killed hub')?.splice(VOLLEY) ?? []));
  const heard = new Map<Sale, Heard[]>(sales.map((sale) => [sale, []]));
  const note = (said: readonly Sale[], answers: readonly (Heard | null)[]) => {
    for (const [at, answer] of answers.entries()) {
      const sale = said[at];
      if (answer !== null && sale !== undefined) heard.get(sale)?.push(answer);
    }
  };
  for (const stage of stages) {
    if (stage === 'newest hub') await hub.kill();
    await hub.start();
    const line = await openLine(door(), kiosk);
    const volleys = chunks(dice.shuffled(plan.get(stage) ?? []), VOLLEY);
    for (const said of volleys) {
      const dies = stage === 'killed hub';
      const answers = await line.volley(said.map(purchase), dies ? 1 + dice.below(said.length) : said.length);
      if (dies) {
        await hub.kill();
        await line.gone();
      }
      note(said, answers());
    }
  }
  for (const sale of sales) {
    const { seq, amount, member } = sale;
    expectSameWords(kiosk, sale, heard.get(sale) ?? []);
    const written = ledger.decision(kiosk.grant.kiosk, seq);
    expect(written).toMatchObject({ outcome: 'approved', entry: true, voided: false });
    expect(ledger.balance(accountOf(member))).toBe(BigInt(BALANCE - amount));
  }
  expect(ledger.decisions() - decided).toBe(sales.length);
});

/** Books more money for a member while the hub is down, through the ledger's own port. */
async function topUp(member: number, amount: bigint): Promise<void> {
  const books = await openLedger({ path: hubPaths(place.directory).ledger });
  const figures = { cooperative: HOME, member: memberId(member), amount };
  try {
    const posting = await books.post({
      key: { origin: HUB_ORIGIN, seq: 1_000 },
      hash: '',
      at: Date.now(),
      verdict: { approve: { kind: 'opening', figures }, guards: [] },
      slot: null,
      facts: { amount, card: null, issuer: HOME, acquirer: HOME, outlet: null },
      evidence: null,
    });
    expect(posting).toMatchObject({ kind: 'decided', duplicate: false });
  } finally {
    await books.close();
  }
}

test('a sale declined for lack of money stays declined in the same words after the member was given more', async () => {
  const kiosk = nextKiosk();
  const decided = ledger.decisions();
  const sale = newSale(kiosk, 1, BALANCE + 1);
  const said = [purchase(sale), purchase(sale), purchase(sale)];
  const line = await openLine(door(), kiosk);
  const before = (await line.volley(said))();
  await hub.kill();
  await topUp(sale.member, BigInt(BALANCE));
  await hub.start();
  const again = await openLine(door(), kiosk);
  const after = (await again.volley(said))();
  const answers = [...before, ...after].flatMap((answer) => answer ?? []);
  expect(answers).toHaveLength(2 * said.length);
  expectSameWords(kiosk, sale, answers);
  const written = ledger.decision(kiosk.grant.kiosk, 1);
  expect(written).toMatchObject({ outcome: 'declined', reason: 'insufficient-funds', entry: false });
  expect(ledger.balance(accountOf(sale.member))).toBe(BigInt(2 * BALANCE));

  const next = tap(kiosk, 2, sale.member, BALANCE + 1, FIRST_TMC + 1);
  await again.volley([purchase(next)]);
  expect(ledger.decision(kiosk.grant.kiosk, 2)).toMatchObject({ outcome: 'approved', entry: true });
  expect(ledger.balance(accountOf(sale.member))).toBe(BigInt(BALANCE - 1));
  // Two sales and the money given.
  expect(ledger.decisions() - decided).toBe(3);
});

type Word = 'purchase' | 'resolve' | 'cancel';
/** What a sale can be (TRUTH section 1). */
type State = 'open' | 'paid' | 'voided' | 'cancelled';

function after(state: State, word: Word): State {
  if (state === 'open') return word === 'purchase' ? 'paid' : 'cancelled';
  return state === 'paid' && word === 'cancel' ? 'voided' : state;
}

function fits({ receipt, voided }: Heard, word: Word, state: State): boolean {
  const { outcome } = JSON.parse(receipt) as { outcome: string };
  const decided = outcome === (state === 'cancelled' ? 'cancelled' : 'approved');
  return decided && voided === (word === 'purchase' ? null : state === 'voided');
}

/**
 * The states a sale may be in after words that were said in this order and answered as far as the line lived: what
 * was answered was done, and everything said before it; of the rest any beginning may have been done.
 */
function possible(from: ReadonlySet<State>, words: readonly Word[], answers: readonly (Heard | null)[]): Set<State> {
  const done = answers.findLastIndex((answer) => answer !== null) + 1;
  const found = new Set<State>();
  for (let state of from) {
    let agrees = true;
    const reached: State[] = done === 0 ? [state] : [];
    for (const [at, word] of words.entries()) {
      state = after(state, word);
      const answer = answers[at] ?? null;
      if (answer !== null && !fits(answer, word, state)) agrees = false;
      if (at + 1 >= done) reached.push(state);
    }
    if (agrees) for (const one of reached) found.add(one);
  }
  return found;
}

const SALES = 20;
const WORDS = ['purchase', 'resolve', 'cancel'] as const;
/** Said in one write; the kill comes between the two, whatever else is drawn. */
const PAIRS: readonly (readonly [readonly Word[], readonly Word[]])[] = [
  [['purchase', 'cancel'], ['purchase']],
  [['cancel', 'purchase'], ['resolve']],
  [['purchase', 'resolve'], ['cancel']],
  [['resolve', 'purchase'], ['cancel']],
  [['purchase'], ['cancel', 'purchase']],
  [['purchase'], ['resolve']],
  [['cancel'], ['purchase', 'cancel']],
  [['resolve'], ['purchase']],
  [[], ['purchase', 'cancel']],
  [[], ['cancel', 'purchase']],
];

interface Round {
  /** What is said of each sale, in order. */
  readonly words: readonly (readonly Word[])[];
  /** How the line ends: not at all, dropped by the kiosk, or by the hub's death; `late` when all was answered. */
  readonly end: 'calm' | 'dropped' | 'killed' | 'killed late';
}

function drawRounds(): Round[] {
  const drawn = () => Array.from({ length: dice.below(4) }, () => dice.pick(WORDS));
  const ends = dice.shuffled(['calm', 'dropped', 'killed'] as const);
  const all = Array.from({ length: SALES }, (_, at) => at);
  return [
    { words: all.map((at) => PAIRS[at]?.[0] ?? drawn()), end: 'killed late' },
    ...ends.map((end, round) => ({ words: all.map((at) => (round === 0 && PAIRS[at]?.[1]) || drawn()), end })),
    { words: all.map(() => ['resolve', 'purchase', 'resolve'] as const), end: 'calm' },
  ];
}

test('a sale paid, asked about, given up in any order, under a dying hub: paid or cancelled, never both', async () => {
  const kiosk = nextKiosk();
  const sales = Array.from({ length: SALES }, (_, at) => newSale(kiosk, at + 1, 1_000 + at));
  const states = sales.map(() => new Set<State>(['open']));
  const heard = sales.map((): Heard[] => []);
  let line = await openLine(door(), kiosk);
  for (const { words, end } of drawRounds()) {
    // Sales take turns at random; of each the words stay in order.
    const turns = dice.shuffled(words.flatMap((list, at) => list.map(() => at)));
    const left = words.map((list) => [...list]);
    const said = turns.map((at) => {
      const word = left[at]?.shift();
      const sale = sales[at];
      if (word === undefined || sale === undefined) throw new Error('a turn without a word');
      return word === 'purchase' ? purchase(sale) : question(sale, word);
    });
    const patient = end === 'calm' || end === 'killed late';
    const answers = await line.volley(said, patient ? said.length : dice.below(said.length + 1));
    if (end === 'dropped') line.drop();
    if (end.startsWith('killed')) await hub.kill();
    if (end !== 'calm') await line.gone();
    const given = answers();
    for (const [at, list] of words.entries()) {
      const own = given.filter((_, turn) => turns[turn] === at);
      states[at] = possible(states[at] ?? new Set(), list, own);
      heard[at]?.push(...own.flatMap((answer) => answer ?? []));
      const seed = `sale ${at + 1}, seed ${dice.seed}`;
      expect([...(states[at] ?? [])], `${seed}: ${list.join()} was answered ${JSON.stringify(own)}`).not.toEqual([]);
    }
    if (end !== 'calm') {
      await hub.start();
      line = await openLine(door(), kiosk);
    }
  }
  for (const [at, sale] of sales.entries()) {
    expectSameWords(kiosk, sale, heard[at] ?? []);
    const written = ledger.decision(kiosk.grant.kiosk, sale.seq);
    const state = !written?.entry ? 'cancelled' : written.voided ? 'voided' : 'paid';
    expect([...(states[at] ?? [])], `sale ${sale.seq}, seed ${dice.seed}`).toEqual([state]);
    expect(written?.outcome).toBe(state === 'cancelled' ? 'cancelled' : 'approved');
    const paid = state === 'paid' ? sale.amount : 0;
    expect(ledger.balance(accountOf(sale.member))).toBe(BigInt(BALANCE - paid));
  }
});
