/** Journey 10: a lost card is frozen and replaced; the account stays, and what its purse held comes back. */
import { expect, test } from 'vitest';
import { enter } from '../../hub/operations/office.ts';
import type { Account } from '../../hub/rules/accounts.ts';
import type { ReloadKind } from '../../hub/rules/entries.ts';
import type { CardStatus } from '../../hub/rules/lifecycle.ts';
import { purseReturn } from '../../hub/rules/office.ts';
import { RELEASE_ORIGIN, RELOAD_ORIGIN } from '../../hub/store/ledger.ts';
import { tellCards } from '../../hub/tellcards.ts';
import type { CardUid, CooperativeId, MemberId } from '../../protocol/ids.ts';
import { tapRequest } from '../hub/taps.ts';
import { ask, join } from '../hub/wire.ts';
import { openWorld } from '../hub/world.ts';

const LOST = '04135350554c80' as CardUid;
const NEW = '04335350554c80' as CardUid;
const HOME = 'angkot' as CooperativeId;
const MEMBER = 'ak-0001' as MemberId;
const PATIENCE_MS = 120_000;
const account = (kind: Account['kind'], owner: string): Account => ({ cooperative: HOME, kind, owner });

test('Bambang loses a card with 80,000 in its purse: nothing can be paid with it, and all of it is his again', {
  timeout: PATIENCE_MS,
}, async () => {
  const world = await openWorld();
  const { ledger, registry } = world.hub;
  const kiosk = await world.enrol('lapak-12', 'stall-12');
  const wire = await join(world, kiosk);
  let said = 0;
  const pay = async (uid: string, tmc: number) => {
    said += 1;
    const tap = { uid, amount: 10_000, seq: said, tmc, at: Date.now() };
    const { body } = await ask(wire, kiosk.name, 'purchase', tapRequest(world.hub, kiosk, tap), said);
    const { outcome, reason } = body.receipt as Record<string, unknown>;
    return reason ?? outcome;
  };
  const become = async (status: CardStatus) => {
    const card = registry.card(LOST);
    if (card === undefined) throw new Error('Bambang has a card');
    registry.putCard({ ...card, status });
    await tellCards(registry, ledger);
  };
  const load = async (kind: ReloadKind, origin: number) => {
    const figures = { issuer: HOME, member: MEMBER, card: LOST, amount: 80_000n };
    await ledger.post({
      key: { origin: origin + 7, seq: 1 },
      hash: '',
      at: Date.now(),
      verdict: { approve: { kind, figures }, guards: [] },
      slot: null,
      facts: { amount: 80_000n, card: LOST, issuer: HOME, acquirer: null, outlet: null },
      evidence: null,
    });
  };
  const table = async () => {
    const { total, brokenPairs, brokenAccounts, brokenEntries } = await ledger.trialBalance();
    expect([total, brokenPairs, brokenAccounts, brokenEntries]).toEqual([0n, [], [], []]);
    const accounts = [account('member', MEMBER), account('purse', LOST), account('purse', NEW)];
    return (await ledger.balances(accounts)).map(Number);
  };

  await load('reload-release', RELEASE_ORIGIN);
  await load('reload', RELOAD_ORIGIN);
  expect(await pay(LOST, 5)).toBe('approved');
  expect(await table()).toEqual([910_000, 80_000, 0]);

  await become('frozen');
  expect(await pay(LOST, 6)).toBe('card-blocked');
  expect(await table()).toEqual([910_000, 80_000, 0]);

  await become('replaced');
  const old = registry.card(LOST);
  if (old === undefined) throw new Error('a card is never forgotten');
  registry.putChip({ uid: NEW, profile: 'desfire-light', keyVersion: 1 });
  registry.putCard({ ...old, uid: NEW, number: '979200000099', status: 'active' });
  await tellCards(registry, ledger);
  expect(await pay(NEW, 5)).toBe('approved');
  expect(await pay(LOST, 7)).toBe('card-blocked');
  expect(await table()).toEqual([900_000, 80_000, 0]);

  const word = { id: 'kartu hilang 1', officers: ['Ani', 'Budi'], reason: 'hilang, tidak ditemukan' };
  const returned = purseReturn(HOME, MEMBER, LOST, 80_000n);
  const deps = { ledger, now: Date.now };
  expect(await enter(deps, returned, word)).toMatchObject({ kind: 'entered', amount: 80_000n, before: false });
  expect(await enter(deps, returned, word)).toMatchObject({ kind: 'entered', amount: 80_000n, before: true });
  expect(await table()).toEqual([980_000, 0, 0]);
});
