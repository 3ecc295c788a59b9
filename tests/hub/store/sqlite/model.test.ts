/** All kinds of work in any order at a real ledger file, beside a model that tells the books in plain sums. */
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { auditFile } from '../../../../hub/store/sqlite/audit.ts';
import { type Engine, openEngine, type Work } from '../../../../hub/store/sqlite/engine.ts';
import { PLATFORM } from '../../../../protocol/ids.ts';
import { said } from './counters.ts';
import { ledgerPath } from './ledgerfile.ts';
import { type Line, wallOf } from './model.ts';
import { isToldOnly } from './modelanswers.ts';
import { type Draw, makers } from './modelcommands.ts';
import { named, sumOf } from './modelsums.ts';
import { Town } from './modeltown.ts';

const COMMANDS = Number(process.env.SIMPUL_MODEL_COMMANDS ?? 20_000);
const SEQUENCES = Math.max(1_000, Math.ceil(COMMANDS / 20));
const SEED = Number(process.env.SIMPUL_SEED ?? 20_261_124);
const PATH = process.env.SIMPUL_PATH;
const REPLAY = process.env.SIMPUL_REPLAY;
const INCOME = `${PLATFORM}/fee-income/-`;

/** Entries by an account that they have moved, and answers that no run may go without. */
const MUST_HAVE_HAPPENED = [
  ...['opening at member', 'funding at drawer', 'provision at biller-deposit', 'provision at incentive-budget'],
  ...['purchase at payout', 'purchase at position', 'purchase at fee-income', 'void at member', 'void at provisional'],
  ...['purse-sale at purse', 'purse-sale at guarantee-loss', 'reload-release at member', 'reload at purse'],
  ...['reload-void at member', 'drain at purse', 'purse-return at purse', 'deposit at member', 'deposit at position'],
  ...['withdrawal at member', 'withdrawal at payout', 'withdrawal at position', 'transfer at position'],
  ...['payout at payout', 'bill at member', 'bill at drawer', 'cashback at incentive-budget', 'points at points'],
  ...['redeem at points', 'reward-return at incentive-budget', 'refund at member', 'refund at receivable'],
  ...['refund at provisional', 'dispute at suspense', 'dispute-won at payout', 'dispute-lost at receivable'],
  ...['dispute-lapsed at guarantee-loss', 'adjustment at equity', 'collect at receivable'],
  ...['withdrawal: held', 'bill: held', 'release: released', 'release: expired: hold-expired'],
  ...['release: declined: card-blocked', 'settle: approved', 'settle: cancelled: cancelled', 'settle: absent'],
  ...['settle: declined: bill-refused', 'cancel: cancelled: cancelled', 'cancel: approved, voided'],
  ...['retry: approved', 'other body: body-differs', 'purchase: declined: insufficient-funds'],
  ...['purchase: declined: debit-cap', 'purchase: declined: card-blocked', 'withdrawal: declined: float-short'],
  ...['reload-release: declined: reload-open', 'reload: declined: reload-unreleased', 'expire: done', 'card: done'],
] as const;

const counted = { commands: 0, works: 0, sequences: 0 };
const approved = new Map<string, number>();
const answers = new Map<string, number>();
const count = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1);

interface Real {
  readonly engine: Engine;
  readonly town: Town;
  /** Receipts by key, as first answered. */
  readonly receipts: Map<string, string>;
}

/** Lines of one entry at one account are one line of the model. */
function merged(engine: Engine, name: string, limit: number): Line[] {
  const found: Line[] = [];
  for (const { key, kind, amount, balance } of engine.lines(named(name), null, limit)) {
    const spelled = `${key.origin}/${key.seq}`;
    const last = found.at(-1);
    if (last?.key === spelled) found[found.length - 1] = { ...last, amount: last.amount + amount };
    else found.push({ key: spelled, kind, amount, balance });
  }
  return found.filter(({ amount }) => amount !== 0n);
}

/** Books, pairs, bounds, balances, floats and holds, as they stand now. */
function compare({ engine, town: { model, kiosk: own } }: Real): void {
  const names = [...model.balances.keys()];
  const real = engine.balances(names.map(named));
  const [books, pairs] = [new Map<string, bigint>(), new Map<string, bigint>()];
  names.forEach((name, index) => {
    const balance = real[index] ?? 0n;
    if (balance !== model.balances.get(name)) expect(`${name} ${balance}`).toBe(`${name} ${model.balances.get(name)}`);
    const { cooperative, kind, owner } = named(name);
    if (balance * wallOf(named(name)) < 0n) throw new Error(`${name} is out of its bound: ${balance}`);
    // What the platform has earned of towns before this one is in balance there.
    const here = name === INCOME ? balance - model.before : balance;
    books.set(cooperative, sumOf(books, cooperative) + here);
    const pair = [cooperative, owner].sort().join('/');
    if (kind === 'position') pairs.set(pair, sumOf(pairs, pair) + balance);
  });
  for (const [book, off] of [...books, ...pairs]) if (off !== 0n) throw new Error(`${book} is off by ${off}`);
  for (const [outlet, float] of model.floats) {
    expect(engine.float(outlet as Parameters<Engine['float']>[0]), `float of ${outlet}`).toBe(float);
  }
  const mine = engine.holds().filter(({ kiosk }) => kiosk === own);
  const waiting = mine.map(({ key, state, amount }) => `${key.origin}/${key.seq} ${state} ${amount}`);
  const held = [...model.holds].map(([key, { state, request }]) => `${key} ${state} ${request.facts.amount}`);
  expect(waiting.sort()).toEqual(held.sort());
}

/** Statements of the accounts that a work has moved, the newest lines of each. */
function compareLines({ engine, town: { model } }: Real, before: ReadonlyMap<string, number>): void {
  for (const [name, lines] of model.lines) {
    const more = lines.length - (before.get(name) ?? 0);
    if (more === 0) continue;
    const fresh = merged(engine, name, more * 8).slice(0, more);
    if (fresh.length < more || !fresh.every((line, at) => same(line, lines[lines.length - 1 - at]))) {
      expect(fresh.reverse(), name).toEqual(lines.slice(-more));
    }
  }
}

const same = (a: Line, b: Line | undefined) =>
  b !== undefined && a.key === b.key && a.kind === b.kind && a.amount === b.amount && a.balance === b.balance;

function wordOf(answer: ReturnType<Engine['apply']>[number] | undefined): string {
  const word = said(answer);
  return answer?.kind === 'decided' && answer.voided ? `${word}, voided` : word;
}

function perform(real: Real, draws: readonly Draw[]): void {
  const { engine, town, receipts } = real;
  const before = new Map([...town.model.lines].map(([name, lines]) => [name, lines.length]));
  const works: Work[] = [];
  const expected: (readonly string[])[] = [];
  for (const draw of draws) {
    const work = makers[draw.kind]?.(town, draw);
    if (work === undefined) throw new Error(`no such command: ${draw.kind}`);
    works.push(work);
    expected.push(town.model.apply(work));
    town.works.push(work);
  }
  engine.apply(works).forEach((answer, index) => {
    const [kind, word] = [draws[index]?.kind ?? 'start', wordOf(answer)];
    if (!expected[index]?.includes(word)) expect([kind, word], JSON.stringify(answer)).toEqual([kind, expected[index]]);
    if (answer.kind === 'decided') {
      const { kiosk, seq, hash } = JSON.parse(answer.receipt) as { kiosk: number; seq: number; hash: string };
      const work = works[index];
      const isKept = work !== undefined && 'request' in work && (word === 'approved' || !isToldOnly(work.request));
      const key = isKept ? `${work.request.key.origin}/${work.request.key.seq}` : '';
      if (key !== '' && receipts.has(key)) expect(answer.receipt, `${kiosk}/${seq} ${hash}`).toBe(receipts.get(key));
      if (key !== '') receipts.set(key, answer.receipt);
    }
    count(answers, `${kind}: ${word}`);
    counted.works += 1;
  });
  compareLines(real, before);
  compare(real);
}

class Step implements fc.Command<object, Real> {
  readonly draws: readonly Draw[];

  constructor(draws: readonly Draw[]) {
    this.draws = draws;
  }

  check = () => true;

  run(_model: object, real: Real): void {
    counted.commands += 1;
    perform(real, this.draws);
  }

  toString = () => JSON.stringify(this.draws);
}

const draw = fc.record({
  kind: fc.constantFrom(...Object.keys(makers), 'purchase', 'purchase', 'release', 'settle', 'settle', 'refund'),
  who: fc.nat(5),
  where: fc.nat(5),
  which: fc.nat(29),
  amount: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 150_000 })),
  fee: fc.oneof(fc.constant(0), fc.nat(20), fc.nat(3_000)),
});
const steps = [
  draw.map((one) => new Step([one])),
  draw.map((one) => new Step([one])),
  fc.array(draw, { minLength: 2, maxLength: 6 }).map((several) => new Step(several)),
];

const SALE: Draw = { kind: 'purchase', who: 0, where: 0, which: 3, amount: 1_000, fee: 0 };
const DISPUTE: Draw = { kind: 'dispute', who: 0, where: 5, which: 0, amount: 1, fee: 0 };
/** What chance does seldom, each played once in any case. */
const SELDOM: Readonly<Record<string, readonly Draw[]>> = {
  'dispute-lost at receivable': [
    SALE,
    DISPUTE,
    { kind: 'transfer', who: 0, where: 0, which: 1, amount: 1, fee: 0 },
    { kind: 'dispute-lost', who: 0, where: 0, which: 0, amount: 1, fee: 0 },
  ],
  'void at provisional': [SALE, DISPUTE, { kind: 'cancel', who: 0, where: 0, which: 0, amount: 1, fee: 1 }],
  'release: declined: card-blocked': [
    { kind: 'withdrawal', who: 0, where: 0, which: 3, amount: 1_000, fee: 0 },
    { kind: 'card', who: 0, where: 0, which: 0, amount: 1, fee: 0 },
    { kind: 'release', who: 0, where: 0, which: 0, amount: 1, fee: 1 },
  ],
};

/** Key and kind of each entry that the statements show, with what else it was. */
function posted({ model }: Town): [string, string][] {
  return [...model.lines].flatMap(([name, lines]) =>
    lines.map(({ key, kind }): [string, string] => {
      const { kind: account } = named(name);
      return [`${key} ${account}`, `${kind} at ${account}`];
    }),
  );
}

/** Ends what is open, so that the next town finds nothing of this one; then whole statements are compared. */
function finish(real: Real): void {
  const { engine, town } = real;
  const ends = [...town.model.holds.values()].map(({ request }): Work => {
    const officers = '{"officers":["Ani","Budi"],"counted":1}';
    return { do: 'settle', settlement: { key: request.key, word: 'post', at: town.tick(), officers } };
  });
  const works: Work[] = [...ends, { do: 'expire', at: town.tick() + 60_000 }];
  const expected = works.map((work) => town.model.apply(work));
  expect(engine.apply(works).map((answer) => [wordOf(answer)])).toEqual(expected);
  compare(real);
  for (const [name, lines] of town.model.lines) {
    const all = merged(engine, name, lines.length * 8).slice(0, lines.length);
    if (!all.every((line, at) => same(line, lines[lines.length - 1 - at]))) expect(all.reverse(), name).toEqual(lines);
  }
  for (const kind of new Map(posted(town)).values()) count(approved, kind);
  counted.sequences += 1;
}

test('twenty thousand works of every kind in a thousand towns: the books are what a model in plain sums says', () => {
  process.stdout.write(`model of the books: SIMPUL_SEED=${SEED} plays this again\n`);
  const path = ledgerPath();
  const engine = openEngine({ path });
  onTestFinished(() => engine.close());
  const play = (commands: Iterable<fc.Command<object, Real>>) => {
    const town = new Town();
    const [before = 0n] = engine.balances([named(INCOME)]);
    town.model.begin(INCOME, before);
    const real: Real = { engine, town, receipts: new Map() };
    const works = town.opening();
    expect(new Set(works.map((work) => town.model.apply(work)[0]))).toEqual(new Set(['done', 'approved']));
    expect(new Set(engine.apply(works).map(wordOf))).toEqual(new Set(['done', 'approved']));
    compare(real);
    fc.modelRun(() => ({ model: {}, real }), commands);
    finish(real);
    engine.tidy();
  };
  for (const [what, draws] of Object.entries(SELDOM)) {
    play(draws.map((one) => new Step([one])));
    expect([...approved.keys(), ...answers.keys()]).toContain(what);
  }
  const replayPath = REPLAY === undefined ? {} : { replayPath: REPLAY };
  const property = fc.property(fc.commands(steps, { maxCommands: 60, size: 'max', ...replayPath }), play);
  fc.assert(property, {
    seed: SEED,
    numRuns: SEQUENCES,
    ...(PATH !== undefined && { path: PATH, endOnFailure: true }),
  });
  const { total, brokenPairs, brokenAccounts, brokenEntries, cooperatives } = auditFile(path);
  expect({ total, brokenPairs, brokenAccounts, brokenEntries }).toEqual({
    total: 0n,
    brokenPairs: [],
    brokenAccounts: [],
    brokenEntries: [],
  });
  expect([...cooperatives].filter(([, sum]) => sum !== 0n)).toEqual([]);
  const { commands, works, sequences } = counted;
  process.stdout.write(`${commands} commands of ${works} works in ${sequences} sequences\n`);
  if (PATH !== undefined) return;
  const times = MUST_HAVE_HAPPENED.map((what) => [what, approved.get(what) ?? answers.get(what) ?? 0]);
  process.stdout.write(`${JSON.stringify(Object.fromEntries(times))}\n`);
  const missing = MUST_HAVE_HAPPENED.filter((what) => !approved.has(what) && !answers.has(what));
  expect(missing).toEqual([]);
  expect(commands).toBeGreaterThanOrEqual(COMMANDS);
  expect(sequences).toBeGreaterThanOrEqual(SEQUENCES);
}, 3_600_000);
