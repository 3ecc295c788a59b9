/** Account sales as the hub decides them: what a certificate must be before anything is booked. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RECORD_KINDS, type RecordKind } from '../../../cards/record.ts';
import type { CardUid } from '../../../protocol/ids.ts';
import { registered } from '../../../protocol/limits.ts';
import type { PurchaseRequest } from '../../../protocol/purchase.ts';
import { certify, tapRequest } from '../taps.ts';
import { ask, join, type Wire } from '../wire.ts';
import { openWorld, type TestKiosk, type World } from '../world.ts';

const uids = Array.from({ length: 12 }, (_, at) => `04${(0x11 + at).toString(16)}5350554c80`);
let world: World;
let kiosk: TestKiosk;
let other: TestKiosk;
let wire: Wire;
let said = 0;
let seq = 0;
let cards = 0;

beforeAll(async () => {
  world = await openWorld({}, {}, afterAll);
  kiosk = await world.enrol('lapak-12', 'stall-12');
  other = await world.enrol('lapak-31', 'stall-31');
  wire = await join(world, kiosk, {}, afterAll);
});

/** A right request with its own seq and counter, by the next of the town's cards. */
function right(more: Partial<Parameters<typeof tapRequest>[2]> = {}, by = kiosk): PurchaseRequest {
  const uid = uids[cards++ % uids.length] ?? '';
  return tapRequest(world.hub, by, {
    uid,
    amount: 1000,
    seq: ++seq,
    tmc: 4 + cards,
    at: Date.now() + world.shift,
    ...more,
  });
}

async function decide(request: PurchaseRequest) {
  const { body } = await ask(wire, kiosk.name, 'purchase', request, ++said);
  const { outcome, reason } = (body.receipt ?? { outcome: 'refused', reason: body.code }) as Record<string, unknown>;
  return `${outcome}: ${reason}`;
}

function recertify(request: PurchaseRequest, commands: PurchaseRequest['claim']['commands']): PurchaseRequest {
  const { uid, tmc } = request.claim;
  const issuer = world.hub.registry.card(uid as CardUid)?.issuer ?? '';
  return { ...request, claim: certify(world.hub, issuer, uid, tmc, commands) };
}

const swap = (hex: string, at: number) => `${hex.slice(0, at)}${hex[at] === '0' ? '1' : '0'}${hex.slice(at + 1)}`;

type Wrong = readonly [string, (good: PurchaseRequest) => PurchaseRequest, string];

const wrongs: readonly Wrong[] = [
  [
    "another card's uid",
    (r) => ({ ...r, claim: { ...r.claim, uid: uids.find((uid) => uid !== r.claim.uid) ?? '' } }),
    'certificate-invalid',
  ],
  ['a card nobody issued', (r) => ({ ...r, claim: { ...r.claim, uid: '04ffffffffffff' } }), 'card-unknown'],
  ['another amount than on the card', (r) => ({ ...r, amount: r.amount + 1 }), 'certificate-malformed'],
  ['another seq than on the card', (r) => ({ ...r, seq: ++seq }), 'certificate-malformed'],
  [
    'two records written',
    (r) => recertify(r, [...r.claim.commands.slice(0, 3), ...r.claim.commands.slice(2)]),
    'certificate-malformed',
  ],
  ['a list without its last command', (r) => recertify(r, r.claim.commands.slice(0, 3)), 'certificate-malformed'],
  ...(Object.keys(RECORD_KINDS) as RecordKind[])
    .filter((kind) => kind !== 'account')
    .map((kind): Wrong => [`a record of the kind ${kind}`, () => right({ kind }), 'certificate-malformed']),
  [
    'a record whose proof is wrong by one digit',
    (r) =>
      recertify(
        r,
        r.claim.commands.map((command) =>
          command.ins === '8B' ? { ...command, data: swap(command.data, 31) } : command,
        ),
      ),
    'certificate-malformed',
  ],
  [
    'a reader id whose proof is wrong by one digit',
    (r) =>
      recertify(
        r,
        r.claim.commands.map((command) =>
          command.ins === 'C8' ? { ...command, tmri: swap(command.tmri, 31) } : command,
        ),
      ),
    'certificate-malformed',
  ],
];

test('a right request is approved', async () => {
  expect(await decide(right())).toBe('approved: null');
});

test.each(wrongs)('%s: declined, nothing booked', async (_what, spoil, reason) => {
  const before = await world.hub.ledger.trialBalance();
  const good = right();
  const spoilt = spoil(good);
  expect(await decide(spoilt)).toBe(`declined: ${reason}`);
  expect((await world.hub.ledger.trialBalance()).entries).toBe(before.entries);
});

test("a certificate made for another kiosk's sale pays nobody here, and still pays there", async () => {
  const theirs = right({ seq: 1 }, other);
  const stolen = { ...theirs, kiosk: kiosk.grant.kiosk, seq: ++seq };
  expect(await decide(stolen)).toBe('declined: certificate-malformed');
  const there = await join(world, other);
  const { body } = await ask(there, other.name, 'purchase', theirs, 1);
  expect(body.receipt).toMatchObject({ outcome: 'approved' });
});

test("a request in another kiosk's number is refused without a decision, with an alarm", async () => {
  expect(await decide({ ...right(), kiosk: other.grant.kiosk })).toBe('refused: not-yours');
  expect((await world.hub.ledger.alarms(50)).map(({ kind }) => kind)).toContain('pair-foreign');
});

test('a kiosk without a keypad that claims a PIN is refused without a decision, with an alarm', async () => {
  const maker = await world.enrol('meja-1', 'stall-12', 'issuing');
  const line = await join(world, maker);
  const { body } = await ask(line, maker.name, 'purchase', { ...right({ seq: 1 }, maker), pinVerified: true }, 1);
  expect(body).toMatchObject({ code: 'not-allowed' });
  expect((await world.hub.ledger.alarms(50)).map(({ kind }) => kind)).toContain('role-foreign');
});

test('above the threshold a sale needs the PIN; above the limit per payment it is never paid', async () => {
  const above = Number(registered.pinAbove) + 1;
  let tmc = 7_000;
  const pay = (amount: number, claimed: Pick<PurchaseRequest, 'pinVerified'>) => {
    world.shift += 61_000;
    // Of Bambang Sutrisno, who has a million.
    const tap = right({ uid: '04135350554c80', tmc: ++tmc, amount, at: Date.now() + world.shift });
    return decide({ ...tap, ...claimed });
  };
  expect(await pay(above, {})).toBe('declined: pin-needed');
  expect(await pay(above, { pinVerified: false })).toBe('declined: pin-needed');
  expect(await pay(above, { pinVerified: true })).toBe('approved: null');
  expect(await pay(Number(registered.perTap) + 1, { pinVerified: true })).toBe('declined: pay-limit');
  world.shift = 0;
});

test('a tap made with a beacon of long ago, of the future, or with none, is expired for good', async () => {
  for (const at of [Date.now() - 75_000, Date.now() + 75_000, null])
    expect(await decide(right({ at }))).toBe('expired: expired');
  expect(await decide(right({ at: Date.now() - 40_000 }))).toBe('approved: null');
});

test('a certificate kept back for more than a minute is expired, however often and whenever it is sent', async () => {
  const kept = right();
  const before = await world.hub.ledger.trialBalance();
  world.shift += 75_000;
  const answer = await ask(wire, kiosk.name, 'purchase', kept, ++said);
  expect(answer.body.receipt).toMatchObject({ outcome: 'expired', reason: 'expired' });
  for (const wait of [0, 600_000, -675_000]) {
    world.shift += wait;
    const { body } = await ask(wire, kiosk.name, 'purchase', kept, ++said);
    expect(JSON.stringify(body)).toBe(JSON.stringify(answer.body));
  }
  expect(await decide({ ...kept, seq: ++seq })).toBe('declined: certificate-malformed');
  expect(await world.hub.ledger.trialBalance()).toEqual(before);
});

test('a second sale of a card at the same kiosk within 60 s is declined, and one after that is not', async () => {
  const [uid, tmc] = [uids[0] ?? '', 9_000];
  world.shift += 61_000;
  const sell = (n: number) => decide(right({ uid, tmc: tmc + n }));
  expect(await sell(0)).toBe('approved: null');
  const before = await world.hub.ledger.trialBalance();
  expect(await sell(1)).toBe('declined: too-soon');
  world.shift += 50_000;
  expect(await sell(2)).toBe('declined: too-soon');
  expect(await world.hub.ledger.trialBalance()).toEqual(before);
  world.shift += 11_000;
  expect(await sell(3)).toBe('approved: null');
});

test('a wrong certificate leaves the slot to the right one', async () => {
  const good = right();
  const spoilt = { ...good, seq: ++seq, claim: { ...good.claim, tmv: swap(good.claim.tmv, 0) } };
  world.shift += 61_000;
  const fresh = tapRequest(world.hub, kiosk, {
    uid: good.claim.uid,
    amount: 1000,
    seq: ++seq,
    tmc: 5_000,
    at: Date.now() + world.shift,
  });
  expect(await decide(spoilt)).toBe('declined: certificate-invalid');
  expect(await decide({ ...fresh, claim: { ...fresh.claim, tmv: swap(fresh.claim.tmv, 3) }, seq: ++seq })).toBe(
    'declined: certificate-invalid',
  );
  expect(await decide(fresh)).toBe('approved: null');
});

test('of two certificates that a kiosk took from one tap only one is ever paid, however it times them', async () => {
  const began = Math.floor(Date.now() / 10_000) * 10_000;
  let at = began + 200;
  const town = await openWorld({}, { now: () => at });
  const sly = await town.enrol('lapak-12', 'stall-12');
  const line = await join(town, sly);
  const uid = uids[0] ?? '';
  const tap = (n: number) => tapRequest(town.hub, sly, { uid, amount: 1000, seq: n, tmc: 4 + n, at: began });
  const reasons: unknown[] = [];
  for (const [n, moment] of [200, 60_100, 60_300, 60_900].entries()) {
    at = began + moment;
    const { body } = await ask(line, sly.name, 'purchase', tap(n + 1), n + 1);
    reasons.push((body.receipt as Record<string, unknown>).reason);
  }
  expect(reasons).toEqual([null, 'expired', 'expired', 'expired']);
});
