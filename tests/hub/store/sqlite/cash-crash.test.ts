/** Must show: a hub that dies between any two steps of cash leaves neither member nor drawer wrong. */
import { copyFileSync, existsSync } from 'node:fs';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { type Engine, openEngine, type Work } from '../../../../hub/store/sqlite/engine.ts';
import { chance } from '../../../town/chance.ts';
import {
  deposit,
  expectBalanced,
  expire,
  funding,
  hold,
  OWN,
  ownOpening,
  page,
  release,
  said,
  settle,
  tell,
  UNTIL,
} from './counters.ts';
import { ledgerPath, newFile } from './ledgerfile.ts';
import { A, NOON } from './town.ts';
import { opening, post, putCard, reload, sale } from './works.ts';

const START = [putCard(), opening(500_000n), ownOpening(300_000n), funding(300_000n)];
const OFFICERS = JSON.stringify({ officers: ['Ani', 'Budi'], counted: 300_000 });

/** What a power cut leaves: the files as they are on the disk while the engine still runs, opened by another engine. */
function killed(path: string): { readonly engine: Engine; readonly path: string } {
  const image = ledgerPath();
  for (const part of ['', '-wal']) if (existsSync(path + part)) copyFileSync(path + part, image + part);
  const engine = openEngine({ path: image });
  onTestFinished(() => engine.close());
  return { engine, path: image };
}

interface Journey {
  readonly steps: readonly Work[];
  /** Siti's account at angkot, the drawer and the float at pasar, after the whole. */
  readonly after: readonly [siti: number, drawer: number, float: number];
}

const journeys: Readonly<Record<string, Journey>> = {
  'a deposit of 100.000': { steps: [deposit(1)], after: [600_000, -400_000, 400_000] },
  'a withdrawal of 100.000 that is paid': {
    steps: [hold(1), release(1), settle(1, 'post')],
    after: [400_000, -200_000, 200_000],
  },
  'a withdrawal that the member gives up': {
    steps: [hold(1), settle(1, 'void')],
    after: [500_000, -300_000, 300_000],
  },
  'a withdrawal that nobody comes back to': { steps: [hold(1), expire()], after: [500_000, -300_000, 300_000] },
  'a released withdrawal that two officers find not paid': {
    steps: [hold(1), release(1), expire(UNTIL * 2), settle(1, 'void', OFFICERS)],
    after: [500_000, -300_000, 300_000],
  },
  'a released withdrawal that two officers find paid': {
    steps: [hold(1), release(1), settle(1, 'post', OFFICERS)],
    after: [400_000, -200_000, 200_000],
  },
};

const seen = (engine: Engine) => {
  const { 'angkot/member/siti': siti, 'pasar/drawer/lapak-12': drawer, float } = page(engine);
  return [siti, drawer, float];
};

test.each(
  Object.entries(journeys),
)('%s: killed between any two steps, with or without the answer', (_what, journey) => {
  const { steps, after } = journey;
  for (let done = 0; done <= steps.length; done++) {
    const file = newFile();
    file.engine.apply(START);
    const answers = steps.slice(0, done).map((step) => file.engine.apply([step])[0]);
    const image = killed(file.path);
    expectBalanced(image.path);
    // Before the word that the cash is out the account has all of it, and the drawer too.
    expect(page(image.engine), `${done} steps done`).toEqual(page(file.engine));
    expect(image.engine.holds()).toEqual(file.engine.holds());
    // The kiosk, which may not have heard the last answer, asks again, and goes on.
    const last = steps[done - 1];
    if (last !== undefined) expect(image.engine.apply([last]).map(said)).toEqual(answers.slice(-1).map(said));
    for (const step of steps.slice(done)) image.engine.apply([step]);
    expect(seen(image.engine), `${done} steps done`).toEqual(after);
    expect(image.engine.holds()).toEqual([]);
    expectBalanced(image.path);
    // And whoever asks once more changes nothing.
    image.engine.apply(steps);
    expect(seen(image.engine)).toEqual(after);
  }
});

test('what was set aside before the kill is set aside after it: nobody spends it meanwhile', () => {
  const file = newFile();
  file.engine.apply(START);
  tell(file.engine, hold(1, { amount: 290_000n }), hold(2, { amount: 5_000n, issuer: A, owner: OWN }), release(2));
  const { engine } = killed(file.path);
  expect(engine.holds().map(({ state }) => state)).toEqual(['held', 'released']);
  expect(
    tell(
      engine,
      hold(3, { amount: 5_001n }),
      post(sale({ seq: 4, amount: 210_001n })),
      post(sale({ seq: 5, amount: 210_000n })),
      release(1),
      settle(1, 'post'),
      settle(2, 'post'),
    ),
  ).toEqual(['declined: float-short', 'declined: insufficient-funds', 'approved', 'released', 'approved', 'approved']);
  expect(page(engine)).toMatchObject({ 'pasar/member/budi': 295_000, 'pasar/drawer/lapak-12': -5_000, float: 5_000 });
});

const fates = ['paid', 'given up', 'left', 'officers post', 'officers void', 'released', 'paid too early'] as const;

const step = fc.record({
  seq: fc.integer({ min: 1, max: 8 }),
  kind: fc.constantFrom('deposit', 'withdraw', 'sale', 'reload', 'sweep', 'void'),
  own: fc.boolean(),
  amount: fc.constantFrom(2_000n, 40_000n, 90_000n, 250_000n),
  fate: fc.constantFrom(...fates),
  size: fc.integer({ min: 1, max: 4 }),
  kill: fc.boolean(),
});

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** The works of one step, all under its seq. */
function works({ seq, kind, own, amount, fate }: Step, at: number): Work[] {
  const changes = { amount, at, ...(own ? { issuer: A, owner: OWN } : {}) };
  if (kind === 'deposit') return [deposit(seq, changes)];
  if (kind === 'sale') return [post(sale({ seq, amount, fee: 30n, at }))];
  if (kind === 'reload')
    return [reload('reload-release', { seq, amount, at }), reload('reload-void', { seq, amount, at })];
  if (kind === 'sweep') return [expire(at)];
  if (kind === 'void') return [{ do: 'cancel', key: { origin: 7, seq }, at }];
  const held = hold(seq, changes);
  if (fate === 'left') return [held];
  if (fate === 'given up') return [held, settle(seq, 'void', null, at)];
  if (fate === 'paid too early') return [held, settle(seq, 'post', null, at)];
  if (fate === 'released') return [held, release(seq, at)];
  if (fate === 'paid') return [held, release(seq, at), settle(seq, 'post', null, at)];
  return [held, release(seq, at), settle(seq, fate === 'officers post' ? 'post' : 'void', OFFICERS, at)];
}

test('any row of deposits, withdrawals of every fate, sales and reloads, cut anywhere, balances', () => {
  const { seed } = chance('cash over a counter');
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), (steps) => {
      let at = NOON;
      let file: { engine: Engine; path: string } = newFile();
      file.engine.apply(START);
      for (const one of steps) {
        at += 70_000;
        const rest = works(one, at);
        while (rest.length > 0) {
          file.engine.apply(rest.splice(0, one.size));
          if (one.kill) file = killed(file.path);
        }
        const { float = 0, 'pasar/drawer/lapak-12': drawer = 0 } = page(file.engine);
        const waiting = file.engine.holds().reduce((sum, { amount }) => sum + amount, 0);
        // Nothing but cash moves a drawer, and the whole of this one is float: what is not set aside is free.
        expect(float).toBe(-drawer - waiting);
        // Whatever is set aside can be posted: none of it is ever refused.
        if (one.kill) {
          const trial = killed(file.path);
          const open = trial.engine.holds().map(({ seq }) => settle(seq, 'post', OFFICERS, at));
          expect(tell(trial.engine, ...open)).toEqual(open.map(() => 'approved'));
          expectBalanced(trial.path);
        }
      }
      expectBalanced(file.path);
      // In the end every hold is over: posted or void, and the money is there once.
      const open = file.engine.holds().map(({ seq }) => settle(seq, 'void', OFFICERS, at));
      expect(tell(file.engine, ...open)).toEqual(open.map(() => 'cancelled: cancelled'));
      expectBalanced(file.path);
    }),
    { seed: seed | 0, numRuns: 40 },
  );
});
