/** Whoever makes the hub write often fills no disk, and two processes that write about one card undo nothing. */
import { statSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import type { Card, Registry } from '../../../../hub/store/registry.ts';
import { openRegistry } from '../../../../hub/store/sqlite/registry.ts';
import type { CardUid, CooperativeId, MemberId } from '../../../../protocol/ids.ts';
import { ledgerPath } from './ledgerfile.ts';

const UID = '04000000000001' as CardUid;
const CARD: Card = {
  uid: UID,
  number: '9001',
  issuer: 'pasar' as CooperativeId,
  member: 'siti' as MemberId,
  keyVersion: 1,
  tmacKeyVersion: 1,
  status: 'active',
  made: null,
};

function open(path: string): Registry {
  const registry = openRegistry({ path });
  onTestFinished(() => registry.close());
  return registry;
}

function town() {
  const path = ledgerPath();
  const registry = open(path);
  registry.putCooperative({ id: CARD.issuer, name: 'Koperasi Pasar', netDebitCap: 0n });
  registry.putMember({ id: CARD.member, cooperative: CARD.issuer, name: 'Siti' });
  registry.putChip({ uid: UID, profile: 'desfire-light', keyVersion: 1 });
  registry.putCard(CARD);
  return { path, registry };
}

test("thousands of key changes, as a kiosk that tears cards makes them, leave the registry's log small", () => {
  const { path, registry } = town();
  for (let at = 0; at < 4000; at++) registry.journalKey({ uid: UID, no: 1, from: 1, to: 2, at });
  expect(statSync(`${path}-wal`).size).toBeLessThan(8 * 2 ** 20);
});

test('an officer who freezes a card while the hub renews its keys does not bring the old keys back', () => {
  const { path, registry: hub } = town();
  const office = open(path);
  const seen = office.card(UID);
  if (seen === undefined) throw new Error('no card');
  hub.putCard({ ...CARD, keyVersion: 2 });
  expect(() => office.putCard({ ...seen, status: 'frozen' })).toThrow(/never go back/);
  expect(office.refresh()).toBe(true);
  office.putCard({ ...(office.card(UID) ?? seen), status: 'frozen' });
  hub.refresh();
  expect(hub.card(UID)).toMatchObject({ keyVersion: 2, status: 'frozen' });
  expect(() => hub.putCard({ ...CARD, keyVersion: 2, tmacKeyVersion: 2, status: 'frozen' })).not.toThrow();
  expect(() => hub.putCard({ ...CARD, keyVersion: 2, status: 'frozen' })).toThrow(/never go back/);
});
