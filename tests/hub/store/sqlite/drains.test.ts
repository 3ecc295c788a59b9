/** A drain is on the disk before it is sent, its end is noted once, and the ledger books it once. */
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import type { Work } from '../../../../hub/store/sqlite/engine.ts';
import { openRegistry } from '../../../../hub/store/sqlite/registry.ts';
import { type CardUid, type CooperativeId, HUB_KIOSK_NO, type MemberId } from '../../../../protocol/ids.ts';
import { ledgerPath, newEngine } from './ledgerfile.ts';
import { CARD, I, MEMBER, member, NOON, purse } from './town.ts';
import { opening, post, putCard, reload, sale, words } from './works.ts';

const UID = '04000000000001' as CardUid;
const PASAR = 'pasar' as CooperativeId;

function newRegistry() {
  const path = ledgerPath();
  const open = () => {
    const registry = openRegistry({ path });
    onTestFinished(() => registry.close());
    return registry;
  };
  const registry = open();
  registry.putCooperative({ id: PASAR, name: 'Koperasi Pasar', netDebitCap: 0n });
  registry.putMember({ id: 'siti' as MemberId, cooperative: PASAR, name: 'Siti' });
  registry.putChip({ uid: UID, profile: 'desfire-light', keyVersion: 1 });
  registry.placeOrders([{ number: '60340001', member: 'siti' as MemberId, batch: 'b', at: 5 }]);
  registry.bindCard({ uid: UID, keyVersion: 1, tmacKeyVersions: new Map([[PASAR, 1]]), slot: 7, at: 9 });
  return { registry, open, path };
}

const drainOf = (seq: number) => ({ seq, uid: UID, at: 3, amount: 35_000n, evidence: Uint8Array.of(seq, 1) });

test('a drain is on the disk at once, and another hub on the same files finds it open', () => {
  const { registry, open } = newRegistry();
  const [first, second] = [registry.takeHubSeq(), registry.takeHubSeq()];
  // Four went into the card's first records.
  expect([first, second]).toEqual([5, 6]);
  registry.putDrain(drainOf(first));
  const [found] = open().drainsOf(UID);
  expect(found).toEqual({ ...drainOf(first), evidence: Buffer.from([first, 1]), state: 'open' });
  expect(open().takeHubSeq()).toBe(7);
});

test('what is known of a drain is never taken back, and only what was proven is booked', () => {
  const { registry, open, path } = newRegistry();
  for (const seq of [5, 6, 7]) registry.putDrain(drainOf(seq));
  registry.judgeDrains(UID, { proven: [6], void: [5] });
  registry.judgeDrains(UID, { proven: [], void: [6] });
  for (const one of [registry, open()]) {
    expect(one.drainsOf(UID).map(({ seq, state }) => [seq, state])).toEqual([
      [6, 'proven'],
      [7, 'open'],
    ]);
  }
  expect(registry.returnedSinceEnd(UID)).toBe(0n);
  registry.bookDrain(UID, 6, true);
  registry.bookDrain(UID, 6, false);
  expect(registry.returnedSinceEnd(UID)).toBe(35_000n);
  for (const one of [registry, open()]) expect(one.drainsOf(UID).map(({ seq }) => seq)).toEqual([7]);
  const db = new Database(path);
  onTestFinished(() => void db.close());
  for (const sql of [
    'DELETE FROM drain',
    'UPDATE drain SET amount = 1',
    "UPDATE drain SET state = 'open' WHERE seq = 6",
    "UPDATE drain SET state = 'proven' WHERE seq = 5",
  ]) {
    expect(() => db.exec(sql), sql).toThrow(/never/);
  }
});

const frozen: Work = { do: 'card', card: { uid: CARD, status: 'frozen', keyVersion: 1, tmc: 4 } };

/** A drain as the hub posts it. */
const drained = (seq: number, tmc: number, amount = 50_000n) =>
  post({
    key: { origin: HUB_KIOSK_NO, seq },
    hash: '',
    at: NOON,
    verdict:
      amount === 0n
        ? { refuse: 'purse-empty', outcome: 'declined' }
        : {
            approve: { kind: 'drain', figures: { issuer: I, member: MEMBER, card: CARD, amount } },
            guards: [],
          },
    slot: { card: CARD, keyVersion: 1, tmc },
    facts: { amount, card: CARD, issuer: I, acquirer: null, outlet: null },
    evidence: null,
  });

test('a drain brings the purse back to the account once, of a card that is frozen, and fills its slot', () => {
  const engine = newEngine();
  const load = [reload('reload-release', { seq: 1 }), reload('reload', { seq: 1, tmc: 5 })];
  words(engine, putCard(), opening(120_000n), ...load, frozen);
  expect(words(engine, drained(9, 6), drained(9, 6))).toEqual(['approved', 'approved']);
  expect(engine.balances([member(), purse])).toEqual([120_000n, 0n]);
  words(engine, putCard());
  expect(words(engine, post(sale({ seq: 2, tmc: 6, amount: 1n })))).toEqual(['declined: slot-taken']);
});

test('a drain is booked even if its slot was taken, with an alarm; an empty one only fills its slot', () => {
  const engine = newEngine();
  words(engine, putCard(), opening(120_000n), reload('reload-release', { seq: 1 }));
  words(engine, reload('reload', { seq: 1, tmc: 5 }), post(sale({ seq: 2, tmc: 6, amount: 1n })));
  expect(words(engine, drained(9, 6), drained(10, 7, 0n))).toEqual(['approved', 'declined: purse-empty']);
  expect(engine.alarms(1)).toMatchObject([{ kind: 'slot-taken' }]);
  expect(engine.balances([member(), purse])).toEqual([119_999n, 0n]);
  expect(words(engine, post(sale({ seq: 3, tmc: 7, amount: 1n })))).toEqual(['declined: slot-taken']);
});
