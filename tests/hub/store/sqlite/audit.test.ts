/** The audit trusts legs only: every way to break the books shows, and sound books show nothing. */
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { packTagEvidence, type TagEvidence } from '../../../../hub/rules/tagevidence.ts';
import { VOID_ORIGIN } from '../../../../hub/store/ledger.ts';
import { auditFile } from '../../../../hub/store/sqlite/audit.ts';
import { keyNumber } from '../../../../hub/store/sqlite/decisions.ts';
import { openEngine } from '../../../../hub/store/sqlite/engine.ts';
import { ledgerPath } from './ledgerfile.ts';
import { KIOSK } from './town.ts';
import { cancel, opening, post, sale, words } from './works.ts';

/** A ledger with an opening, two sales and a void, closed. */
function books(): string {
  const path = ledgerPath();
  const engine = openEngine({ path });
  words(
    engine,
    opening(200_000n),
    post(sale({ seq: 1, fee: 350n })),
    post(sale({ seq: 2 })),
    cancel(2),
    post(sale({ seq: 3, amount: 900_000n })),
  );
  engine.close();
  return path;
}

/** Breaks a closed ledger by hand, walls taken down. */
function tamper(...statements: string[]): string {
  const path = books();
  const db = new Database(path);
  db.pragma('ignore_check_constraints = ON');
  for (const trigger of ['entry_final', 'entry_noted', 'entry_kept', 'leg_final', 'leg_kept', 'returned_kept'])
    db.exec(`DROP TRIGGER ${trigger}`);
  for (const statement of statements) expect(db.prepare(statement).run().changes).toBeGreaterThan(0);
  db.close();
  return path;
}

test('sound books: four entries, every sum zero, nothing broken; the declined sale is no entry', () => {
  const found = auditFile(books());
  expect(found).toMatchObject({ entries: 4, total: 0n, brokenPairs: [], brokenAccounts: [], brokenEntries: [] });
  expect([...found.cooperatives].sort()).toEqual([
    ['angkot', 0n],
    ['pasar', 0n],
    ['platform', 0n],
  ]);
});

test('one rupiah added to a leg shows in the total, in the books, in its pair, its account and its entry', () => {
  const found = auditFile(
    tamper(`UPDATE leg SET amount = amount + 1 WHERE id = (SELECT min(leg.id) FROM leg
    JOIN account ON account.id = leg.account WHERE kind = 'position')`),
  );
  expect(found.total).toBe(1n);
  expect([...found.cooperatives.values()].filter((sum) => sum !== 0n)).toEqual([1n]);
  expect(found.brokenPairs).toEqual(['angkot/pasar']);
  expect(found.brokenAccounts).toEqual(['pasar/position/angkot']);
  expect(found.brokenEntries).toHaveLength(1);
});

const accounts: readonly (readonly [string, string, RegExp])[] = [
  ['a balance changed in the account', "UPDATE account SET balance = balance + 1 WHERE kind = 'member'", /member/],
  ['a head that skips the newest leg', "UPDATE account SET head = head - 1 WHERE kind = 'member'", /member/],
  [
    'a link to another account’s leg',
    "UPDATE leg SET previous = 1 WHERE id = (SELECT head FROM account WHERE kind = 'payout')",
    /payout/,
  ],
  [
    'a link cut off',
    "UPDATE leg SET previous = 0 WHERE id = (SELECT head FROM account WHERE kind = 'member')",
    /member/,
  ],
  [
    'a balance changed in a leg',
    "UPDATE leg SET balance = balance - 1 WHERE id = (SELECT head FROM account WHERE kind = 'bank')",
    /bank/,
  ],
  ['a leg of an account that is not there', 'UPDATE leg SET account = 99 WHERE id = 1', /account 99/],
];

test.each(accounts)('%s is named', (_name, statement, expected) => {
  expect(auditFile(tamper(statement)).brokenAccounts.join()).toMatch(expected);
});

test('a member’s balance below zero is named even if everything adds up', () => {
  const member = "(SELECT id FROM account WHERE kind = 'member')";
  const path = tamper(
    'UPDATE leg SET amount = -10000, balance = -10000 WHERE id = 1',
    "UPDATE account SET balance = -10000 WHERE kind = 'bank'",
    'UPDATE leg SET amount = 10000 WHERE id = 2',
    `UPDATE leg SET balance = balance - 190000 WHERE account = ${member}`,
    `UPDATE account SET balance = balance - 190000 WHERE id = ${member}`,
  );
  expect(auditFile(path)).toMatchObject({
    total: 0n,
    brokenPairs: [],
    brokenAccounts: ['angkot/member/siti'],
    brokenEntries: [],
  });
});

test('a leg deleted, an entry deleted, or a leg moved to another entry is named', () => {
  for (const statement of [
    'DELETE FROM leg WHERE id = (SELECT max(id) FROM leg)',
    'DELETE FROM entry WHERE id = (SELECT max(id) FROM entry WHERE legs > 0)',
    'UPDATE leg SET entry = 1 WHERE id = 3',
    'UPDATE entry SET legs = legs + 1 WHERE id = 1',
    'UPDATE entry SET leg = 2 WHERE id = 1',
  ]) {
    expect(auditFile(tamper(statement)).brokenEntries.length, statement).toBeGreaterThan(0);
  }
});

test('a file that is not there, or not a ledger, cannot be audited', () => {
  expect(() => auditFile('/nonexistent/ledger.db')).toThrow();
  const path = ledgerPath();
  new Database(path).exec('CREATE TABLE other (a)').close();
  expect(() => auditFile(path)).toThrow(/no such table/);
});

const SALE = 50_000n;

test("a tag's sale whose evidence is missing, of another sale or of another amount is named", () => {
  const evidence = (change: Partial<TagEvidence> = {}): string => {
    const parts = { challenge: new Uint8Array(16), command: new Uint8Array(38), reply: new Uint8Array(34) };
    const packed = packTagEvidence({ keyVersion: 1, kiosk: KIOSK, seq: 1, amount: SALE, ...parts, ...change });
    return `UPDATE entry SET authority = 'hub-relayed-session', evidence = x'${Buffer.from(packed).toString('hex')}'
      WHERE key = ${keyNumber({ origin: KIOSK, seq: 1 })}`;
  };
  expect(auditFile(tamper(evidence())).brokenEntries).toEqual([]);
  const key = String(keyNumber({ origin: KIOSK, seq: 1 }));
  const wrongs = [
    evidence({ seq: 2 }),
    evidence({ kiosk: KIOSK + 1 }),
    evidence({ amount: SALE + 1n }),
    `UPDATE entry SET authority = 'hub-relayed-session', evidence = NULL WHERE key = ${key}`,
  ];
  for (const wrong of wrongs) expect(auditFile(tamper(wrong)).brokenEntries).toEqual([key]);
});

test('a void that names no payment any more is named', () => {
  const found = auditFile(tamper("UPDATE entry SET original = NULL WHERE kind = 'void'", 'DELETE FROM returned'));
  expect(found.brokenEntries).toEqual([String(keyNumber({ origin: VOID_ORIGIN + KIOSK, seq: 2 }))]);
});

test('a return that takes a rupiah more of a fee, or of takings, than the payment brought is named', () => {
  const path = ledgerPath();
  const engine = openEngine({ path });
  words(engine, opening(200_000n), post(sale({ seq: 1, fee: 350n })), post(sale({ seq: 2, fee: 350n })), cancel(2));
  engine.close();
  expect(auditFile(path).brokenEntries).toEqual([]);
  const db = new Database(path);
  db.exec('DROP TRIGGER leg_final');
  // A rupiah of the outlet's and one of the cooperative's income change places: all sums stay what they were.
  const moved = (kind: string, by: number) =>
    db.exec(`UPDATE leg SET amount = amount + ${by} WHERE id = (SELECT max(leg.id) FROM leg
      JOIN account ON account.id = leg.account WHERE kind = '${kind}' AND cooperative = 'pasar' AND amount < 0)`);
  moved('payout', 1);
  moved('fee-income', -1);
  const payment = String(keyNumber({ origin: KIOSK, seq: 2 }));
  expect(auditFile(path).brokenEntries).toEqual([payment]);
  moved('payout', -2);
  moved('fee-income', 2);
  expect(auditFile(path).brokenEntries).toEqual([payment]);
  db.close();
});

test('takings that are less than the withdrawals held against them are named', () => {
  const held = (amount: number) => {
    const figures = { issuer: 'pasar', member: 'siti', payee: 'lapak-12', acquirer: 'pasar', outlet: 'x', amount };
    const instruction = JSON.stringify({ kind: 'withdrawal', figures });
    return `INSERT INTO hold (key, hash, state, at, until, instruction, facts, counted, next)
      VALUES (5, '', 'held', 1, 2, '${instruction}', '{}', 0, 1)`;
  };
  expect(auditFile(tamper(held(49_650))).brokenAccounts).not.toContain('pasar/payout/lapak-12');
  expect(auditFile(tamper(held(49_651))).brokenAccounts).toContain('pasar/payout/lapak-12');
});
