/** The registry remembers who takes part, gives each kiosk number once, and refuses rows that break a rule. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import type { Card, Cooperative, Kiosk, Member, Outlet, Registry } from '../../../../hub/store/registry.ts';
import { openRegistry } from '../../../../hub/store/sqlite/registry.ts';
import type { CardUid, CooperativeId, KioskName, KioskNo, MemberId, OutletId } from '../../../../protocol/ids.ts';
import type { Tariff } from '../../../../protocol/tariffs.ts';
import { ledgerPath } from './ledgerfile.ts';

const cooperative: Cooperative = {
  id: 'pasar' as CooperativeId,
  name: 'Koperasi Pasar',
  netDebitCap: 9_007_199_254_740_993n,
  capAlert: 9_000,
};
const member: Member = { id: 'siti' as MemberId, cooperative: cooperative.id, name: 'Siti' };
const card: Card = {
  uid: '04a1b2c3d4e5f6' as CardUid,
  number: '0001',
  issuer: cooperative.id,
  member: member.id,
  keyVersion: 1,
  tmacKeyVersion: 2,
  status: 'active',
  made: null,
};
const outlet: Outlet = {
  id: 'lapak-12' as OutletId,
  cooperative: cooperative.id,
  name: 'Lapak 12',
  class: 'micro',
  open: true,
};
const tariff: Tariff = {
  version: 3,
  kind: 'purchase',
  direction: 'merchant',
  reach: 'off-us',
  fixed: 0n,
  basisPoints: 70,
  min: 0n,
  max: 9_007_199_254_740_991n,
  shares: [{ to: 'issuer', weight: 1 }],
  from: '2026-01-01',
};
const enrolment = (name: string, serial: string): Omit<Kiosk, 'no' | 'revoked'> => ({
  name: name as KioskName,
  outlet: outlet.id,
  serial,
  sealingKey: Buffer.alloc(65, 4),
  witness: Buffer.from('wrapped'),
  role: 'stall',
  offline: false,
});

/** Opens a registry that closes with the test, and fills it when it is new. */
function newRegistry(path = ledgerPath(), fill = true): Registry {
  const registry = openRegistry({ path });
  onTestFinished(() => registry.close());
  if (!fill) return registry;
  registry.putCooperative(cooperative);
  registry.putMember(member);
  registry.putChip({ uid: card.uid, profile: 'desfire-light', keyVersion: 1 });
  registry.putCard(card);
  registry.putOutlet(outlet);
  registry.putTariff(tariff);
  return registry;
}

test('everything put in is there at once and after reopening, amounts to the rupiah', () => {
  const path = ledgerPath();
  const first = newRegistry(path);
  const kiosk = first.enrol(enrolment('kios-1', 'a1'));
  for (const registry of [first, newRegistry(path, false)]) {
    expect(registry.cooperatives()).toEqual([cooperative]);
    expect(registry.cooperative(cooperative.id)).toEqual(cooperative);
    expect(registry.member(member.id)).toEqual(member);
    expect(registry.card(card.uid)).toEqual(card);
    expect(registry.outlet(outlet.id)).toEqual(outlet);
    expect(registry.tariffs()).toEqual([tariff]);
    expect(registry.kiosks()).toEqual([kiosk]);
    expect(registry.kiosk('kios-1' as KioskName)).toEqual(kiosk);
    expect(registry.kioskByNo(kiosk.no)).toEqual(kiosk);
  }
});

test('a change replaces the row, and strangers are not there', () => {
  const path = ledgerPath();
  const first = newRegistry(path);
  first.putCard({ ...card, status: 'frozen' });
  first.putOutlet({ ...outlet, open: false });
  for (const registry of [first, newRegistry(path, false)]) {
    expect(registry.card(card.uid)?.status).toBe('frozen');
    expect(registry.outlet(outlet.id)?.open).toBe(false);
    expect(registry.card('04ffffffffffff' as CardUid)).toBeUndefined();
    expect(registry.kiosk('kios-9' as KioskName)).toBeUndefined();
  }
});

test('an outlet keeps its owner and payees, and one that names nobody’s account is refused', () => {
  const path = ledgerPath();
  const first = newRegistry(path);
  const { id: owner } = member;
  const payees = [
    { to: 'payout', name: 'sopir', owner, weight: 70 },
    { to: 'member', cooperative: cooperative.id, member: owner, weight: 24 },
    { to: 'cooperative', weight: 6 },
  ] as const;
  first.putOutlet({ ...outlet, owner, payees });
  const nobody = 'nobody' as MemberId;
  expect(() => first.putOutlet({ ...outlet, owner: nobody })).toThrow('its owner nobody is not known');
  for (const registry of [first, newRegistry(path, false)]) {
    expect(registry.outlet(outlet.id)).toEqual({ ...outlet, owner, payees });
    expect(registry.takings(cooperative.id, 'sopir')).toEqual({ cooperative: cooperative.id, name: 'sopir', owner });
    expect(registry.takings(cooperative.id, 'toko')).toBeNull();
  }
});

test('a kiosk number is given once: enrolled again, a name moves to a new number and the old one stays known', () => {
  const path = ledgerPath();
  const first = newRegistry(path);
  expect([first.enrol(enrolment('kios-1', 'a1')).no, first.enrol(enrolment('kios-2', 'a2')).no]).toEqual([1, 2]);
  first.revoke(2 as KioskNo);
  expect(first.enrol(enrolment('kios-1', 'a3')).no).toBe(3);
  const again = newRegistry(path, false);
  for (const registry of [first, again]) {
    expect(registry.kiosk('kios-1' as KioskName)).toMatchObject({ no: 3, serial: 'a3' });
    expect(registry.kioskByNo(1 as KioskNo)).toMatchObject({ no: 1, serial: 'a1', revoked: false });
    expect(registry.kiosk('kios-2' as KioskName)).toMatchObject({ no: 2, revoked: true });
    expect(registry.kiosks().map(({ no }) => no)).toEqual([1, 2, 3]);
  }
  expect(again.enrol(enrolment('kios-2', 'a4')).no).toBe(4);
});

test('revoking an earlier enrolment leaves the name with its newer one', () => {
  const registry = newRegistry();
  registry.enrol(enrolment('kios-1', 'a1'));
  registry.enrol(enrolment('kios-1', 'a2'));
  registry.revoke(1 as KioskNo);
  expect(registry.kiosk('kios-1' as KioskName)).toMatchObject({ no: 2, revoked: false });
  expect(registry.kioskByNo(1 as KioskNo)?.revoked).toBe(true);
  expect(() => registry.revoke(9 as KioskNo)).toThrow(RangeError);
});

test('an enrolment can be neither changed nor deleted by hand', () => {
  const path = ledgerPath();
  newRegistry(path).enrol(enrolment('kios-1', 'a1'));
  const db = new Database(path);
  onTestFinished(() => void db.close());
  for (const statement of ['DELETE FROM kiosk', "UPDATE kiosk SET serial = 'b'", 'UPDATE kiosk SET no = 9']) {
    expect(() => db.exec(statement)).toThrow(/never/);
  }
});

test('a version of a tariff never changes its terms and is never taken back; two officers add the next ones', () => {
  const path = ledgerPath();
  const registry = newRegistry(path);
  const { version: _, ...terms } = tariff;
  const named = { ...terms, direction: 'member', class: 'micro', until: '2026-12-31' } as const;
  const officers = ['Ani', 'Budi'];
  expect(registry.addTariffs([named, terms], officers, 7)).toEqual([
    { ...named, version: 4 },
    { ...terms, version: 5 },
  ]);
  expect(() => registry.addTariffs([terms, { ...terms, from: 'soon' }], officers, 8)).toThrow(RangeError);
  for (const seen of [registry, newRegistry(path, false)]) {
    expect(seen.tariffs()).toEqual([tariff, { ...named, version: 4 }, { ...terms, version: 5 }]);
    expect([seen.tariffAdded(3), seen.tariffAdded(4)]).toEqual([null, { officers, at: 7 }]);
  }
  const db = new Database(path);
  onTestFinished(() => void db.close());
  for (const statement of ['DELETE FROM tariff', 'UPDATE tariff SET fixed = 1', 'UPDATE tariff SET version = 9']) {
    expect(() => db.exec(statement)).toThrow(/never/);
  }
});

test('rows that break a rule are refused and change nothing', () => {
  const path = ledgerPath();
  const registry = newRegistry(path);
  registry.enrol(enrolment('kios-1', 'a1'));
  const wrong: (() => unknown)[] = [
    () => registry.putMember({ ...member, id: 'budi' as MemberId, cooperative: 'nowhere' as CooperativeId }),
    () => registry.putCard({ ...card, uid: '04ffffffffffff' as CardUid }),
    () => registry.putCard({ ...card, member: 'nobody' as MemberId }),
    () => registry.putOutlet({ ...outlet, id: 'lapak-13' as OutletId, cooperative: 'nowhere' as CooperativeId }),
    () => registry.putCooperative({ ...cooperative, netDebitCap: -1n }),
    () => registry.putTariff({ ...tariff, version: 4, max: -1n }),
    () => registry.putTariff({ ...tariff, basisPoints: 80 }),
    () => registry.enrol(enrolment('kios-2', 'a1')),
    () => registry.enrol({ ...enrolment('kios-2', 'a2'), sealingKey: Buffer.alloc(64) }),
    () => registry.enrol({ ...enrolment('kios-2', 'a2'), outlet: 'nowhere' as OutletId }),
  ];
  for (const attempt of wrong) expect(attempt).toThrow();
  for (const seen of [registry, newRegistry(path, false)]) {
    expect(seen.member('budi' as MemberId)).toBeUndefined();
    expect(seen.card(card.uid)).toEqual(card);
    expect(seen.outlet('lapak-13' as OutletId)).toBeUndefined();
    expect(seen.cooperatives()).toEqual([cooperative]);
    expect(seen.tariffs()).toEqual([tariff]);
    expect(seen.kiosks()).toHaveLength(1);
  }
});

test('a command that finds the registry being written waits for its turn', async () => {
  const path = ledgerPath();
  newRegistry(path);
  const script = `import Database from 'better-sqlite3';
    const db = new Database(process.argv[1]);
    db.exec('BEGIN IMMEDIATE');
    console.log('held');
    setTimeout(() => db.exec('COMMIT'), 300);`;
  const other = spawn(process.execPath, ['--input-type=module', '--eval', script, path], { stdio: 'pipe' });
  await once(other.stdout, 'data');
  expect(newRegistry(path, false).cooperatives()).toEqual([cooperative]);
  await once(other, 'exit');
});
