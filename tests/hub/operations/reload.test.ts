/** Starts of reloads as kiosks may send them, honest or not: one batch at most, and every rupiah accounted for. */
import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { encrypt } from '../../../cards/aes.ts';
import { buildTmri, type Deed, proof } from '../../../cards/record.ts';
import { startReload } from '../../../cards/reload.ts';
import { play } from '../../../cards/script.ts';
import { transactionKeys } from '../../../cards/tmac.ts';
import { makeRelay } from '../../../hub/operations/relay.ts';
import { makeReload } from '../../../hub/operations/reload.ts';
import { openTransit } from '../../../hub/operations/transit.ts';
import type { Kiosk } from '../../../hub/store/registry.ts';
import { type CardUid, HUB_KIOSK_NO } from '../../../protocol/ids.ts';
import type { RelayEnd, ReloadAsked } from '../../../protocol/relay.ts';
import { BEACON_SECONDS, minuteOfSlot } from '../../../protocol/status.ts';
import { noTagSale, relayed } from '../../town/cardstock.ts';
import { field } from '../../town/field.ts';
import { enrolKiosk, identityOf, issueCard, makePlace, removePlace, startPlace } from '../../town/town.ts';

const UID = '04175350554c80' as CardUid;
const AMOUNT = 50_000;

async function town() {
  const place = await makePlace();
  onTestFinished(() => removePlace(place));
  const hub = await startPlace(place);
  onTestFinished(() => hub.close());
  const identity = identityOf(await enrolKiosk(place, hub, 'loket-1', 'stall-12'));
  const kiosk = hub.registry.kioskByNo(identity.kiosk) as Kiosk;
  const known = hub.registry.card(UID);
  if (known === undefined) throw new Error('no card');
  const owners = [known.member, UID, UID];
  const accounts = (['member', 'in-transit', 'purse'] as const).map((kind, at) => ({
    cooperative: known.issuer,
    kind,
    owner: owners[at] ?? '',
  }));
  const alarms: string[] = [];
  const alarm = (kind: string) => void alarms.push(kind);
  const transit = await openTransit(hub.ledger);
  const parts = { ...hub, transit, alarms: { raise: alarm, echo: alarm }, random: randomBytes, now: Date.now };
  const relay = makeRelay({
    service: () => ({ refusal: 'not-allowed', detail: 'not at this desk' }),
    reload: makeReload(parts),
    'tag-sale': noTagSale,
  });
  /** A start as an honest kiosk makes it, of a card that is not there: only the reader id before must be true. */
  const start = (change: Partial<ReloadAsked> = {}, reader = HUB_KIOSK_NO as number): ReloadAsked => {
    const key = hub.vault.tmacKey(known.issuer, UID, 1);
    if (key === null) throw new Error('no key');
    const tmri = Buffer.alloc(16);
    tmri.writeUInt32BE(reader, 0);
    const { encKey } = transactionKeys(key, Buffer.from(UID, 'hex'), 5);
    return {
      deed: 'reload',
      uid: UID,
      seq: 1,
      amount: AMOUNT,
      slot: Math.floor(Date.now() / 1000 / BEACON_SECONDS),
      keyVersion: known.keyVersion,
      tmacKeyVersion: known.tmacKeyVersion,
      before: `04000000${'11'.repeat(8)}`,
      records: '22'.repeat(64),
      encTmri: Buffer.from(encrypt(encKey, new Uint8Array(16), tmri)).toString('hex'),
      ti: '33'.repeat(4),
      ctr: 4,
      challenge: '44'.repeat(16),
      ...change,
    };
  };
  let talks = 0;
  const open = (asked: ReloadAsked) => {
    talks += 1;
    const talk = talks.toString(16).padStart(16, '0');
    const turn = async (turn: number, rest: object) => {
      const reply = await relay({ kiosk, body: { talk, turn, ...rest } as never, hash: '' });
      return 'body' in reply ? (JSON.parse(reply.body) as { commands?: string[]; end?: RelayEnd }) : reply;
    };
    return {
      first: () => turn(0, { start: asked }),
      turn: (at: number, responses: string[]) => turn(at, { responses }),
    };
  };
  /** What a start is answered in a conversation of its own. */
  const answered = (asked: ReloadAsked) => open(asked).first();
  return { hub, kiosk, identity, relay, start, open, answered, alarms, books: () => hub.ledger.balances(accounts) };
}

const declined = (reason: string, outcome = 'declined') => ({
  end: { done: 'reload', voided: false, receipt: { outcome, reason } },
});
const UNKNOWN = { end: { done: 'unknown' } };

test('a start that comes again gets the same batch within its conversation, and none in any other', async () => {
  const { open, answered, start, books } = await town();
  const asked = start();
  const talk = open(asked);
  const [first, again] = await Promise.all([talk.first(), talk.first()]);
  expect(first).toMatchObject({ commands: expect.any(Array) });
  expect(again).toEqual(first);
  expect(await Promise.all([answered(asked), answered(asked)])).toEqual([
    expect.objectContaining(UNKNOWN),
    expect.objectContaining(UNKNOWN),
  ]);
  expect((await books())[1]).toBe(BigInt(AMOUNT));
});

test('answers that are no card’s prove nothing, and the money stays on its way, however often they come', async () => {
  const { open, start, books } = await town();
  const talk = open(start());
  const first = talk.first();
  expect(await talk.turn(1, ['9100'])).toMatchObject({ refusal: 'talk-lost' });
  expect(await first).toMatchObject({ commands: expect.any(Array) });
  expect(await talk.turn(1, ['9100', '9100', '9100', '9100', `${'00'.repeat(20)}9100`])).toMatchObject(UNKNOWN);
  expect(await talk.turn(1, ['9100'])).toMatchObject(UNKNOWN);
  expect(await talk.turn(2, ['9100'])).toMatchObject({ refusal: 'talk-lost' });
  expect((await books())[1]).toBe(BigInt(AMOUNT));
});

test('the same number for another amount moves nothing and raises an alarm', async () => {
  const { answered, start, books, alarms } = await town();
  await answered(start());
  expect(await answered(start({ amount: AMOUNT + 1 }))).toMatchObject(UNKNOWN);
  expect((await books())[1]).toBe(BigInt(AMOUNT));
  expect(alarms).toEqual(['body-differs']);
});

test('while one reload of a card is on its way, no other of it is begun', async () => {
  const { answered, start, books } = await town();
  await answered(start());
  const second = start({ seq: 2 });
  expect(await answered(second)).toMatchObject(declined('reload-open'));
  // Decided for ever, as any other request.
  expect(await answered(second)).toMatchObject(declined('reload-open'));
  expect((await books())[1]).toBe(BigInt(AMOUNT));
});

test('a start that does not fit the card, the clock or the purse is declined, and nothing is sent', async () => {
  const { answered, start, books } = await town();
  const before = await books();
  const age = (seconds: number) => ({
    slot: Math.floor(Date.now() / 1000 / BEACON_SECONDS) - seconds / BEACON_SECONDS,
  });
  let seq = 0;
  const said = (change: Partial<ReloadAsked>, reader?: number) => {
    seq += 1;
    return answered(start({ seq, ...change }, reader));
  };
  expect(await said({ uid: '04000000000000' })).toMatchObject(declined('card-unknown'));
  expect(await said({ encTmri: '55'.repeat(16) })).toMatchObject(declined('certificate-malformed'));
  expect(await said({ before: `05000000${'11'.repeat(8)}` })).toMatchObject(declined('certificate-malformed'));
  expect(await said({}, 999)).toMatchObject(declined('certificate-malformed'));
  expect(await said({ tmacKeyVersion: 2 })).toMatchObject(declined('certificate-malformed'));
  expect(await said(age(80))).toMatchObject(declined('expired', 'expired'));
  expect(await said(age(-20))).toMatchObject(declined('expired', 'expired'));
  expect(await said({ amount: 200_001 })).toMatchObject(declined('purse-full'));
  expect(await books()).toEqual(before);
});

test('a kiosk that lets the hub’s batch run under another reader id gets no proof, and no void either', async () => {
  const { hub, kiosk, identity, relay, start, books, alarms } = await town();
  const card = issueCard(hub.vault, hub.registry, UID);
  const reader = field(card);
  reader.insert();
  const { slot } = start();
  const deed: Deed = {
    kind: 'reload',
    amount: BigInt(AMOUNT),
    kioskNo: kiosk.no,
    kioskSeq: 99,
    minute: minuteOfSlot(slot),
  };
  const full = proof(identity.witness, Buffer.from(UID, 'hex'), deed, hub.vault.beacon(slot));
  const script = startReload({ key1: hub.vault.cardKey1(UID, 1), rndA: randomBytes(16), tmri: buildTmri(deed, full) });
  const begun = await play(script, reader.transmit);
  if (!begun.ok) throw new Error('the card did not begin');
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  const asked = start({
    before: hex(begun.before),
    records: hex(begun.records),
    encTmri: hex(begun.encTmri),
    ti: hex(begun.ti),
    ctr: begun.ctr,
    challenge: hex(begun.challenge),
  });
  expect(await relayed(relay, kiosk, asked, reader.transmit)).toEqual({ done: 'unknown' });
  const purse = card.memory.files.get(0x03);
  expect(purse).toMatchObject({ value: AMOUNT });
  expect((await books()).slice(1)).toEqual([BigInt(AMOUNT), 0n]);
  expect(alarms).toEqual(['reload-open']);
});
