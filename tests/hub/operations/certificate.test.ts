/** The certificate, bit by bit: whatever is changed in a genuine claim, nothing is booked for it. */
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hubPaths } from '../../../hub/config.ts';
import { encode } from '../../../protocol/envelope.ts';
import type { CardUid } from '../../../protocol/ids.ts';
import type { PurchaseRequest } from '../../../protocol/purchase.ts';
import { certify, tapRequest } from '../taps.ts';
import { answerTo, ask, join, publish, type Wire } from '../wire.ts';
import { openWorld, type TestKiosk, type World } from '../world.ts';
import { changes, declared, fields, optional } from './coverage.ts';

const uids = Array.from({ length: 12 }, (_, at) => `04${(0x11 + at).toString(16)}5350554c80`);
/** Below the 64 requests of one kiosk that the hub lets wait. */
const IN_FLIGHT = 60;
const AMOUNT = 1000;

let world: World;
let kiosk: TestKiosk;
let wire: Wire;
let ledger: Database.Database;
let said = 0;
let seqs = 0;
let turn = 0;
/** Each card's next counter, never a power of two: one changed bit would give zero, which the schema refuses. */
const counters = new Map(uids.map((uid) => [uid, 0x501]));

beforeAll(async () => {
  world = await openWorld({}, {}, afterAll);
  // The third: its number with one bit changed is another kiosk's, or nobody's, and never zero.
  for (const name of ['lapak-10', 'lapak-11', 'lapak-12']) kiosk = await world.enrol(name);
  wire = await join(world, kiosk, {}, afterAll);
  ledger = new Database(hubPaths(world.directory).ledger, { readonly: true });
  afterAll(() => void ledger.close());
});

const nextCard = () => uids[turn++ % uids.length] ?? '';
const counterOf = (uid: string) => counters.get(uid) ?? 0;

/** A genuine sale by the card on its next counter, under a pair of its own. */
function genuine(uid: string): PurchaseRequest {
  // Each number stands twice in the seq, so that a seq with one bit changed is never another sale's.
  seqs += 1;
  const at = Date.now() + world.shift;
  return tapRequest(world.hub, kiosk, { uid, amount: AMOUNT, seq: (seqs << 12) | seqs, tmc: counterOf(uid), at });
}

/** The same sale with the list of commands that a field needs: a Debit or a Credit is in no account sale. */
function genuineFor(path: string, uid: string): PurchaseRequest {
  const sale = genuine(uid);
  const [read, value, write, reader] = sale.claim.commands;
  if (!read || !value || !write || !reader) throw new Error('an account sale has four commands');
  const lists = {
    'claim.commands.DC': [read, value, { ins: 'DC', file: 3, value: AMOUNT } as const, write, reader],
    'claim.commands.0C': [read, reader, value, { ins: '0C', file: 3, value: AMOUNT } as const, write],
  };
  const commands = Object.entries(lists).find(([start]) => path.startsWith(start))?.[1];
  if (commands === undefined) return sale;
  const issuer = world.hub.registry.card(uid as CardUid)?.issuer ?? '';
  return { ...sale, claim: certify(world.hub, issuer, uid, sale.claim.tmc, commands) };
}

async function decide(request: PurchaseRequest): Promise<string> {
  said += 1;
  const { body } = await ask(wire, kiosk.name, 'purchase', request, said);
  const { outcome, reason } = (body.receipt ?? { outcome: 'refused', reason: body.code }) as Record<string, unknown>;
  return `${outcome}: ${reason}`;
}

/** Decides many with as many in flight as one kiosk may have. */
async function decideAll(requests: readonly PurchaseRequest[]): Promise<string[]> {
  const answers: string[] = [];
  for (let at = 0; at < requests.length; at += IN_FLIGHT) {
    answers.push(...(await Promise.all(requests.slice(at, at + IN_FLIGHT).map(decide))));
    // Heard and done with: what is looked for next is not among them.
    wire.packets.splice(0);
  }
  return answers;
}

/** Every balance, and how many legs there are. */
const books = () => ({
  accounts: ledger.prepare('SELECT id, balance, head FROM account ORDER BY id').raw().all(),
  legs: ledger.prepare('SELECT count(*) FROM leg').pluck().get() as number,
});

/** What was booked for a request: legs by account, and the slot they stand in. */
const bookedFor = ({ kiosk: no, seq }: PurchaseRequest) => ({
  legs: ledger
    .prepare('SELECT account, amount FROM leg WHERE entry = (SELECT id FROM entry WHERE key = ?) ORDER BY leg.id')
    .raw()
    .all(no * 2 ** 24 + seq),
  slot: ledger
    .prepare('SELECT card, key_version, tmc FROM entry WHERE key = ?')
    .raw()
    .get(no * 2 ** 24 + seq),
});

/** Afterwards any card may pay at this kiosk again. */
const passPause = () => {
  world.shift += 61_000;
};

test('every field that a sale request has is in the table of what holds it, and no other', () => {
  expect([...Object.keys(fields), ...optional].sort()).toEqual([...declared.keys()].sort());
});

const covered = Object.entries(fields).flatMap(([path, { answers, leaves }]) =>
  answers === null ? [] : [[path, answers, leaves] as const],
);
const uncovered = Object.keys(fields).filter((path) => fields[path]?.answers === null);

test.each(covered)('each bit of %s changed: nothing is booked', async (path, expected, leaves) => {
  const uid = nextCard();
  const before = books();
  const first = genuineFor(path, uid);
  // Where the genuine pair stays open one sale will do; elsewhere each bit has its own, for a pair is decided once.
  const tries = changes(first, path).map((change, at) => {
    const from = leaves === 'pair' || at === 0 ? first : genuineFor(path, uid);
    if (leaves === 'next slot') counters.set(uid, counterOf(uid) + 1);
    return { change, from, request: change.of(from) };
  });
  const answers = await decideAll(tries.map(({ request }) => request));
  const wrong = tries.flatMap(({ change: { what, unreadable } }, at) => {
    const answer = answers[at] ?? 'none';
    const fits = unreadable ? answer === 'refused: message-malformed' : expected.includes(answer);
    return fits ? [] : [`${what}: ${answer}`];
  });
  expect(wrong).toEqual([]);
  expect(books()).toEqual(before);

  // The member's card goes on where the changed request could not touch it.
  if (leaves !== 'pair') expect(await decide(tries.at(-1)?.from ?? first)).toBe('refused: body-differs');
  expect(books()).toEqual(before);
  expect(await decide(leaves === 'pair' ? first : genuine(uid))).toBe('approved: null');
  expect(books().legs).toBeGreaterThan(before.legs);
  counters.set(uid, counterOf(uid) + 1);
  passPause();
});

test.each(uncovered)('each bit of %s changed: booked as if it were not', async (path) => {
  const unchanged = new Map<string, unknown>();
  const sell = async (uid: string, change: (request: PurchaseRequest) => PurchaseRequest) => {
    const request = change(genuine(uid));
    expect(await decide(request)).toBe('approved: null');
    const { legs, slot } = bookedFor(request);
    expect(slot).toEqual([uid, 1, counterOf(uid)]);
    counters.set(uid, counterOf(uid) + 1);
    return legs;
  };
  for (const uid of uids) unchanged.set(uid, await sell(uid, (request) => request));
  const all = changes(genuine(uids[0] ?? ''), path);
  for (let at = 0; at < all.length; at += uids.length) {
    passPause();
    wire.packets.splice(0);
    await Promise.all(
      all.slice(at, at + uids.length).map(async (change, place) => {
        const uid = uids[place] ?? '';
        expect([change.what, await sell(uid, change.of)]).toEqual([change.what, unchanged.get(uid)]);
      }),
    );
  }
  passPause();
});

test('whatever envelope a sale comes in, it is booked once and answered with the same bytes', async () => {
  const sale = genuine(nextCard());
  const before = books();
  const envelopes = [
    { id: 'e1', at: 0, n: ++said },
    { id: 'e2', at: Date.now() + 86_400_000, n: ++said },
    { id: 'e3', at: -1, n: 1 },
    { id: 'e4', at: 0, n: 2 ** 40, replyTo: 'e1' },
  ];
  const answers: string[] = [];
  for (const [at, envelope] of envelopes.entries()) {
    const text = encode({ ...envelope, body: sale });
    publish(wire, `simpul/v1/${kiosk.name}/up/purchase`, text, { messageId: at + 1 });
    answers.push(JSON.stringify((await answerTo(wire, envelope.id)).body));
  }
  expect(JSON.parse(answers[0] ?? '')).toMatchObject({ receipt: { outcome: 'approved' } });
  expect(new Set(answers).size).toBe(1);
  expect(books().legs).toBe(before.legs + bookedFor(sale).legs.length);
});
