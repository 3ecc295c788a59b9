/** Reloads against the emulated card: one wait for the hub, and wherever it breaks the card tells what came of it. */
import { describe, expect, test } from 'vitest';
import { readLittle } from '../../cards/closing.ts';
import { look } from '../../cards/look.ts';
import { buildRecord, buildTmri, type Deed, proof } from '../../cards/record.ts';
import { type CreditDone, credit, type ReloadStart, reloadCommands, startReload } from '../../cards/reload.ts';
import { type Failure, play, type Script } from '../../cards/script.ts';
import { previousTmri, tmv, transactionInput, transactionKeys } from '../../cards/tmac.ts';
import type { Card } from '../town/card.ts';
import { anyCard, KEYS, UID, WITNESS } from '../town/deck.ts';
import { field, type Trouble } from '../town/field.ts';
import { hex } from './hex.ts';

const OPENING = 75_000;
const AMOUNT = 50_000n;
/** Seven of the kiosk, with the second half of the authentication, and five of the hub. */
const START = 7;
const COMMANDS = START + 5;
const COMMIT = COMMANDS - 1;
const deed: Deed = { kind: 'reload', amount: AMOUNT, kioskNo: 9, kioskSeq: 3, minute: 0 };
const signed = proof(WITNESS, UID, deed, new Uint8Array(4));
const marks = { record: buildRecord(deed, signed), tmri: buildTmri(deed, signed) };
const random = (fill: number) => new Uint8Array(16).fill(fill);

interface Reload {
  readonly start: ReloadStart | Failure;
  readonly result: CreditDone | Failure | null;
  /** How often the card lay waiting for the hub. */
  readonly waits: number;
}

async function reload(card: Card, trouble?: Trouble, key3 = KEYS.credit, amount = AMOUNT): Promise<Reload> {
  const reader = field(card);
  reader.insert(trouble);
  const start = await play(startReload({ key1: KEYS.debit, rndA: random(1), tmri: marks.tmri }), reader.transmit);
  if (!start.ok) return { start, result: null, waits: 0 };
  const begun = start;
  let waits = 0;
  function* counted(): Script<CreditDone | Failure> {
    const script = credit({ key3, rndA: random(2), start: begun, amount, record: marks.record });
    let turn = script.next();
    while (!turn.done) {
      waits += 1;
      turn = script.next(yield turn.value);
    }
    return turn.value;
  }
  const result = await play(counted(), reader.transmit);
  reader.remove();
  return { start, result, waits };
}

const purseOf = (card: Card) => {
  const file = card.memory.files.get(0x03);
  return file?.kind === 'value' ? file.value : Number.NaN;
};

async function seenAfter(card: Card) {
  const reader = field(card);
  reader.insert();
  const seen = await play(look({ key1: KEYS.debit, rndA: random(3) }), reader.transmit);
  if (!seen.ok) throw new Error('the card did not tell');
  return seen;
}

test('the hub adds the amount in one wait, and the card certifies balance, credit and record', async () => {
  const card = anyCard();
  const { start, result, waits } = await reload(card);
  if (!start.ok || result?.ok !== true) throw new Error('the reload failed');
  expect(waits).toBe(1);
  expect(purseOf(card)).toBe(OPENING + Number(AMOUNT));
  expect(result).toMatchObject({ opening: 75_000n, tmc: 5 });
  const keys = transactionKeys(KEYS.tmac, UID, result.tmc);
  const covered = reloadCommands({ ...marks, amount: AMOUNT }, start, result.opening);
  expect(hex(tmv(keys, transactionInput(covered)))).toBe(hex(result.tmv));
});

test('before it sends the credit, the hub can tell whose transaction was the last one', async () => {
  const card = anyCard();
  const { start } = await reload(card);
  if (!start.ok) throw new Error('the reload failed');
  const personalised: Deed = { kind: 'personalise', amount: 0n, kioskNo: 1, kioskSeq: 4, minute: 0 };
  const last = buildTmri(personalised, proof(WITNESS, UID, personalised, new Uint8Array(4)));
  expect(hex(previousTmri(transactionKeys(KEYS.tmac, UID, 5), start.encTmri))).toBe(hex(last));
});

test('without key 3 nothing is added, and a purse is never filled beyond its ceiling', async () => {
  const strange = anyCard();
  expect((await reload(strange, undefined, KEYS.debit)).result).toMatchObject({ ok: false, outcome: 'unknown' });
  expect(purseOf(strange)).toBe(OPENING);
  const full = anyCard();
  expect((await reload(full, undefined, KEYS.credit, 125_001n)).result).toMatchObject({
    at: 'credit',
    outcome: 'unknown',
  });
  expect(purseOf(full)).toBe(OPENING);
});

test.each([0, 1, 2, 3, 4])('a reply to the hub’s command %d with any byte changed proves nothing', async (place) => {
  const untouched = anyCard();
  let length = 0;
  const measure = (reply: Uint8Array) => {
    length = reply.length;
    return reply;
  };
  expect((await reload(untouched, { wrong: { apdu: START + place, change: measure } })).result).toMatchObject({
    ok: true,
  });
  for (let at = 0; at < length - 2; at += 1) {
    const change = (reply: Uint8Array) => reply.map((byte, index) => (index === at ? byte ^ 0x01 : byte));
    const { result } = await reload(anyCard(), { wrong: { apdu: START + place, change } });
    expect(result).toMatchObject({ ok: false, outcome: 'unknown' });
  }
  const short = await reload(anyCard(), { wrong: { apdu: START + place, change: (reply) => reply.slice(-2) } });
  expect(short.result).toMatchObject({ ok: false, outcome: 'unknown' });
});

test('a start that is none, or an amount that no record can name, is refused before anything is sent', () => {
  const start = { before: new Uint8Array(12), ti: new Uint8Array(4), ctr: 4, challenge: new Uint8Array(16) };
  const order = { key3: KEYS.credit, rndA: random(2), start, amount: AMOUNT, record: marks.record };
  for (const amount of [0n, -1n, 1n << 28n]) expect(() => credit({ ...order, amount }).next()).toThrow(RangeError);
  for (const wrong of [{ before: new Uint8Array(2) }, { ti: new Uint8Array(3) }]) {
    expect(() => credit({ ...order, start: { ...start, ...wrong } }).next()).toThrow(RangeError);
  }
});

const tears = Array.from({ length: COMMANDS }, (_, apdu) => apdu).flatMap((apdu) =>
  (['before', 'after'] as const).map((when) => ({ apdu, when })),
);

describe('a reload torn', () => {
  test.each(tears)('$when command $apdu adds all or nothing, and the card tells which', async (tear) => {
    const card = anyCard();
    const { start, result } = await reload(card, { tear });
    const committed = tear.apdu === COMMIT && tear.when === 'after';
    expect(purseOf(card)).toBe(committed ? OPENING + Number(AMOUNT) : OPENING);
    const failed = result ?? start;
    // What the kiosk's half did is undone by the card's leaving; once the hub's batch left, nobody knows.
    expect(failed).toMatchObject({ ok: false, outcome: tear.apdu < START ? 'not-executed' : 'unknown' });
    const seen = await seenAfter(card);
    expect(readLittle(seen.before, 0)).toBe(committed ? 5 : 4);
    expect(hex(seen.records.slice(48)) === hex(marks.record)).toBe(committed);
    if (!committed || !start.ok) return;
    const covered = reloadCommands({ ...marks, amount: AMOUNT }, start, BigInt(OPENING));
    expect(hex(tmv(transactionKeys(KEYS.tmac, UID, 5), transactionInput(covered)))).toBe(hex(seen.before.slice(4)));
  });
});
