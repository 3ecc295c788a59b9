/** The town of the bench is one that a hub serves: cards active, members with money, nothing left to tell. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { hubPaths } from '../../../hub/config.ts';
import { openEngine } from '../../../hub/store/sqlite/engine.ts';
import { openRegistry } from '../../../hub/store/sqlite/registry.ts';
import type { CooperativeId } from '../../../protocol/ids.ts';
import { settleCards, uidOf } from './members.ts';

const PASAR = 'pasar' as CooperativeId;

test('each card of the bench is known to registry and ledger alike, and its member has money', () => {
  const directory = mkdtempSync(join(tmpdir(), 'simpul-bench-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const { registry: path, ledger } = hubPaths(directory);
  const made = openRegistry({ path });
  made.putCooperative({ id: PASAR, name: 'Koperasi Pasar', netDebitCap: 0n });
  made.close();
  settleCards(directory, [PASAR], 30);
  const registry = openRegistry({ path });
  onTestFinished(() => registry.close());
  const cards = Array.from({ length: 30 }, (_, at) => registry.card(uidOf(at)));
  expect(new Set(cards.map((card) => card?.status))).toEqual(new Set(['active']));
  expect(registry.untold()).toEqual([]);
  const engine = openEngine({ path: ledger });
  onTestFinished(() => engine.close());
  const balances = cards.map((card) =>
    engine.balances([{ cooperative: PASAR, kind: 'member', owner: card?.member ?? '' }]),
  );
  expect(new Set(balances.flat())).toEqual(new Set([100n, 1_000_000n]));
});
