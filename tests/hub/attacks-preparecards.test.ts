/** Who lays a copy of a chip on the vault's reader for a moment learns no key that the chip itself will have. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { prepareCard } from '../../hub/preparecards.ts';
import type { Registry } from '../../hub/store/registry.ts';
import type { Vault } from '../../hub/vault.ts';
import { opens } from '../town/barereader.ts';
import type { Card } from '../town/card.ts';
import { field, type Trouble } from '../town/field.ts';
import { chipFromBox, hubFolder, key0, LIGHT_UID, prepareDeps, stockRoom } from './chips.ts';

/** Where the key is changed: `Select · 64 0–4 · 3C · 71 · AF · C4`. */
const CHANGE = 9;

let vault: Vault;
let registry: Registry;
const cleaning: (() => void | Promise<void>)[] = [];
beforeAll(async () => {
  ({ vault } = await hubFolder((clean) => void cleaning.push(clean)));
});
afterAll(async () => {
  for (const clean of cleaning) await clean();
});
beforeEach(() => {
  registry = stockRoom();
});

async function laidDown(card: Card, trouble: Trouble = {}) {
  const on = field(card);
  on.insert(trouble);
  return (await prepareCard(prepareDeps(vault, registry), { uid: LIGHT_UID }, on.transmit)).result;
}

const keyOf = (card: Card) => Buffer.from(card.memory.keys[0]?.key ?? []).toString('hex');
/** A chip that leaves with its key; it is first asked `Select · 64 0–4` for each key that was sent before it came. */
const leaves = (before = 0) => ({ tear: { apdu: 6 * before + CHANGE, when: 'after' } }) as const;

test('the chip in the box gets another key 0 than the copy of it that was there before and left', async () => {
  const copy = chipFromBox();
  expect(await laidDown(copy, leaves())).toBe('again');
  const chip = chipFromBox();
  expect(await laidDown(chip)).toBe('prepared');
  expect(keyOf(chip)).not.toBe(keyOf(copy));
  const version = registry.chip(LIGHT_UID)?.keyVersion ?? 0;
  expect(opens(chip, 0, key0(vault, LIGHT_UID, version))).toBe(true);
  expect(await laidDown(chip)).toBe('already');
  expect(await laidDown(copy)).toBe('aside');
});

test('a chip that left with its key is prepared with it, also when copies of it came and left since', async () => {
  const chip = chipFromBox();
  expect(await laidDown(chip, leaves())).toBe('again');
  const copies = [chipFromBox(), chipFromBox()];
  for (const [at, copy] of copies.entries()) expect(await laidDown(copy, leaves(at + 1))).toBe('again');
  expect(new Set([chip, ...copies].map(keyOf)).size).toBe(3);
  expect(await laidDown(chip)).toBe('prepared');
  expect(registry.chip(LIGHT_UID)?.keyVersion).toBe(1);
  expect(opens(chip, 0, key0(vault, LIGHT_UID, 1))).toBe(true);
  expect(chip.memory.failures).toBe(0);
  for (const copy of copies) expect(await laidDown(copy)).toBe('aside');
});

test('copies that come and leave use up four versions of one chip, and no more', async () => {
  for (const before of [0, 1, 2, 3]) expect(await laidDown(chipFromBox(), leaves(before))).toBe('again');
  expect(await laidDown(chipFromBox())).toBe('aside');
  expect(Math.max(...registry.openChanges(LIGHT_UID).map(({ to }) => to))).toBe(4);
});
