/** Payments from the purse and drains against the emulated card: wherever they break, card and claims add up. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readLittle } from '../../cards/closing.ts';
import { look } from '../../cards/look.ts';
import {
  coveredCommands,
  drain,
  type PaymentDone,
  type PaymentIntent,
  purchaseFromPurse,
} from '../../cards/payment.ts';
import { buildRecord, buildTmri, type Deed, proof } from '../../cards/record.ts';
import { type Failure, play } from '../../cards/script.ts';
import { tmv, transactionInput, transactionKeys } from '../../cards/tmac.ts';
import type { Card } from '../town/card.ts';
import { anyCard, KEYS, UID, WITNESS } from '../town/deck.ts';
import { field, type Trouble } from '../town/field.ts';
import { hex } from './hex.ts';

const OPENING = 75_000;
const CEILING = 200_000;
const COMMANDS = 10;
const access = { key1: KEYS.debit, rndA: new Uint8Array(16).fill(0x5c) };

/** Record and reader id of a deed, as a kiosk signs them without a beacon. */
function marksOf(kind: Deed['kind'], amount: bigint, kioskSeq: number) {
  const deed: Deed = { kind, amount, kioskNo: 9, kioskSeq, minute: 0 };
  const signed = proof(WITNESS, UID, deed, new Uint8Array(4));
  return { record: buildRecord(deed, signed), tmri: buildTmri(deed, signed) };
}

interface Tap {
  readonly result: PaymentDone | Failure;
  readonly intent: PaymentIntent | null;
  readonly sent: number;
}

async function tap(card: Card, kind: 'purse' | 'drain', amount: bigint, seq: number, trouble?: Trouble): Promise<Tap> {
  const reader = field(card);
  reader.insert(trouble);
  let sent = 0;
  let intent: PaymentIntent | null = null;
  const journal = (seen: PaymentIntent) => {
    intent = seen;
  };
  const script =
    kind === 'purse'
      ? purchaseFromPurse({ ...access, ...marksOf(kind, amount, seq), amount, journal })
      : drain({ ...access, marks: (all) => marksOf(kind, all, seq), journal });
  const result = await play(script, (apdu) => {
    sent += 1;
    return reader.transmit(apdu);
  });
  reader.remove();
  return { result, intent, sent };
}

function purseOf(card: Card): number {
  const file = card.memory.files.get(0x03);
  return file?.kind === 'value' ? file.value : Number.NaN;
}

function expectCertified(done: PaymentDone, marks: ReturnType<typeof marksOf>, debit: bigint): void {
  const covered = coveredCommands(marks, done, debit);
  expect(hex(tmv(transactionKeys(KEYS.tmac, UID, done.tmc), transactionInput(covered)))).toBe(hex(done.tmv));
}

const done = ({ result }: Tap): PaymentDone => {
  if (!result.ok) throw new Error(`it failed at ${result.at}: ${result.reason}`);
  return result;
};

describe('paying from the purse', () => {
  test('ten commands take the amount, and the card certifies opening balance, debit and record', async () => {
    const card = anyCard();
    const sale = await tap(card, 'purse', 5_000n, 1);
    expect(sale.sent).toBe(COMMANDS);
    expect(done(sale).opening).toBe(75_000n);
    expect(purseOf(card)).toBe(70_000);
    expectCertified(done(sale), marksOf('purse', 5_000n, 1), 5_000n);
  });

  test('a purse that holds one rupiah less ends as short, with nothing taken and nothing journaled', async () => {
    const card = anyCard();
    const sale = await tap(card, 'purse', 75_001n, 1);
    expect(sale).toMatchObject({ result: { reason: 'short', outcome: 'not-executed' }, intent: null });
    expect(purseOf(card)).toBe(OPENING);
    expect(done(await tap(card, 'purse', 75_000n, 2)).tmc).toBe(5);
    expect(purseOf(card)).toBe(0);
  });

  test.each([0n, -1n, 1n << 28n])('an amount of Rp %s is refused before the card is asked', (amount) => {
    const order = { ...access, record: new Uint8Array(16), tmri: new Uint8Array(16), journal: () => undefined };
    expect(() => purchaseFromPurse({ ...order, amount })).toThrow(RangeError);
  });
});

describe('draining', () => {
  test('a drain empties the purse, and its record names what the card held', async () => {
    const card = anyCard();
    const drained = done(await tap(card, 'drain', 0n, 1));
    expect(purseOf(card)).toBe(0);
    expectCertified(drained, marksOf('drain', 75_000n, 1), 75_000n);
  });

  test('a drain of an empty purse commits all the same, without a debit', async () => {
    const card = anyCard({ purse: { value: 0, ceiling: CEILING } });
    const drained = done(await tap(card, 'drain', 0n, 1));
    expect(drained.tmc).toBe(5);
    expectCertified(drained, marksOf('drain', 0n, 1), 0n);
  });
});

const tears = Array.from({ length: COMMANDS }, (_, apdu) => apdu).flatMap((apdu) =>
  (['before', 'after'] as const).map((when) => ({ apdu, when })),
);

describe.each(['purse', 'drain'] as const)('a %s torn', (kind) => {
  test.each(tears)('$when command $apdu moves all of the amount or nothing, and the card tells which', async (tear) => {
    const card = anyCard();
    const torn = await tap(card, kind, 5_000n, 1, { tear });
    const debit = kind === 'purse' ? 5_000n : 75_000n;
    const committed = tear.apdu === COMMANDS - 1 && tear.when === 'after';
    expect(purseOf(card)).toBe(committed ? OPENING - Number(debit) : OPENING);
    if (torn.result.ok) throw new Error('a torn card answered');
    expect(torn.result.outcome).toBe(tear.apdu === COMMANDS - 1 ? 'unknown' : 'not-executed');
    const reader = field(card);
    reader.insert();
    const seen = await play(look(access), reader.transmit);
    if (!seen.ok || (torn.intent === null && tear.apdu === COMMANDS - 1)) throw new Error('the card did not tell');
    expect(readLittle(seen.before, 0)).toBe(committed ? 5 : 4);
    const marks = marksOf(kind, debit, 1);
    expect(hex(seen.records.subarray(48)) === hex(marks.record)).toBe(committed);
    // The lost certificate lies in the counter file, and proves the very list that the intent rebuilds.
    if (!committed || torn.intent === null) return;
    const covered = coveredCommands(marks, torn.intent, debit);
    expect(hex(tmv(transactionKeys(KEYS.tmac, UID, 5), transactionInput(covered)))).toBe(hex(seen.before.slice(4)));
  });
});

test('through any row of taps and tears, the card lost what certificates and counter file prove', async () => {
  const one = fc.record({
    kind: fc.constantFrom('purse' as const, 'purse' as const, 'drain' as const),
    amount: fc.integer({ min: 1, max: 30_000 }),
    tear: fc.option(fc.constantFrom(...tears), { freq: 2 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(one, { minLength: 1, maxLength: 8 }), async (taps) => {
      const card = anyCard();
      let proven = 0n;
      for (const [at, { kind, amount, tear }] of taps.entries()) {
        const { result, intent } = await tap(card, kind, BigInt(amount), at + 1, tear === null ? {} : { tear });
        const debit = kind === 'purse' ? BigInt(amount) : (intent?.opening ?? 0n);
        if (result.ok) proven += debit;
        else if (result.outcome === 'unknown') {
          const reader = field(card);
          reader.insert();
          const seen = await play(look(access), reader.transmit);
          if (!seen.ok || intent === null) throw new Error('the card did not tell');
          if (readLittle(seen.before, 0) === readLittle(intent.before, 0) + 1) proven += debit;
        }
      }
      expect(BigInt(purseOf(card)) + proven).toBe(BigInt(OPENING));
    }),
    { numRuns: 300 },
  );
});
