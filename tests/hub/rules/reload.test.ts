/** When money may leave for a purse, and what a later tap says of money that is on its way. */
import { expect, test } from 'vitest';
import { DEMO_LICENCE, NO_LICENCE } from '../../../hub/rules/licence.ts';
import { healing, judgeReload, type LaterTap, type OnItsWay, type ReloadFacts } from '../../../hub/rules/reload.ts';
import type { CardUid, CooperativeId, MemberId } from '../../../protocol/ids.ts';
import { PURSE_CEILING, registered } from '../../../protocol/limits.ts';

const uid = '04a1b2c3d4e5f6' as CardUid;
const issuer = 'angkot' as CooperativeId;
const member = 'siti' as MemberId;
const account = { cooperative: issuer, kind: 'member', owner: member };
const sound: ReloadFacts = {
  amount: 50_000n,
  card: { uid, issuer, member, active: true, tmacKeyVersion: 1 },
  outletOpen: true,
  sameKeys: true,
  readerKnown: true,
  tmc: 4,
  beaconAgeSeconds: 12,
  licenceOf: () => DEMO_LICENCE,
  limits: registered,
};

test('a sound start is released if card, counter, transit, purse and limits allow it inside the post', () => {
  const verdict = judgeReload(sound);
  expect(verdict).toEqual({
    approve: { kind: 'reload-release', figures: { issuer, member, card: uid, amount: 50_000n } },
    guards: [
      { kind: 'card-active', card: uid },
      { kind: 'next', card: uid, keyVersion: 1, tmc: 5 },
      { kind: 'idle', account: { cooperative: issuer, kind: 'in-transit', owner: uid } },
      {
        kind: 'room',
        account: { cooperative: issuer, kind: 'purse', owner: uid },
        amount: 50_000n,
        max: PURSE_CEILING,
      },
      { kind: 'day', card: uid, amount: 50_000n, max: registered.noPinPerDay },
      { kind: 'no-pin', card: uid, amount: 50_000n, max: registered.noPinSum },
      { kind: 'spend', account, amount: 50_000n, day: registered.perDay, month: registered.perMonth },
    ],
  });
});

const refused: readonly (readonly [string, Partial<ReloadFacts>, string])[] = [
  ['an unknown card', { card: null, sameKeys: false, readerKnown: false }, 'declined: card-unknown'],
  ['other key versions than the registry’s', { sameKeys: false }, 'declined: certificate-malformed'],
  ['a reader id that opens to no kiosk', { readerKnown: false }, 'declined: certificate-malformed'],
  ['a beacon of 61 seconds', { beaconAgeSeconds: 61 }, 'expired: expired'],
  ['a beacon from the future', { beaconAgeSeconds: -0.1 }, 'expired: expired'],
  ['a blocked card', { card: sound.card && { ...sound.card, active: false } }, 'declined: card-blocked'],
  ['a closed outlet', { outletOpen: false }, 'declined: outlet-closed'],
  ['an issuer without licence for purses', { licenceOf: () => NO_LICENCE }, 'declined: not-licensed'],
  ['more than the member allows at once', { limits: { ...registered, perTap: 49_999n } }, 'declined: pay-limit'],
  ['more than goes without PIN', { limits: { ...registered, pinAbove: 49_999n } }, 'declined: pin-needed'],
  ['more than any card may hold', { amount: PURSE_CEILING + 1n }, 'declined: purse-full'],
];

test.each(refused)('%s is refused', (_name, change, expected) => {
  const verdict = judgeReload({ ...sound, ...change });
  expect('refuse' in verdict && `${verdict.outcome}: ${verdict.refuse}`).toBe(expected);
});

test('a beacon of exactly 60 seconds is still fresh', () => {
  expect('approve' in judgeReload({ ...sound, beaconAgeSeconds: 60 })).toBe(true);
});

const open: OnItsWay = { keyVersion: 1, tmc: 4, releasedAt: 100_000, othersUpTo: 4 };
const tap: LaterTap = { keyVersion: 1, tmc: 5, beaconAt: 110_000, showsReload: false };

test('a tap that shows the reload’s own certificate proves it', () => {
  expect(healing(open, { ...tap, tmc: 6, showsReload: true })).toMatchObject({ end: 'reload', strange: false });
});

test('a tap in the reload’s slot, with a beacon later than the release, makes it void', () => {
  expect(healing(open, tap)).toEqual({ end: 'reload-void', othersUpTo: 5, strange: false });
});

test('a tap in the reload’s slot that was made before the release leaves it open until the next one', () => {
  for (const beaconAt of [null, 99_999, 100_000]) {
    const first = healing(open, { ...tap, beaconAt });
    expect(first).toEqual({ end: null, othersUpTo: 5, strange: false });
    const second = { ...tap, tmc: 6 };
    expect(healing({ ...open, othersUpTo: first.othersUpTo }, second)).toMatchObject({ end: 'reload-void' });
  }
});

test('a skipped slot, or another key version, leaves the reload open and is told', () => {
  expect(healing(open, { ...tap, tmc: 6 })).toEqual({ end: null, othersUpTo: 4, strange: true });
  expect(healing(open, { ...tap, keyVersion: 2 })).toEqual({ end: null, othersUpTo: 4, strange: true });
});

test('a tap from before the reload tells nothing of it', () => {
  expect(healing(open, { ...tap, tmc: 4 })).toEqual({ end: null, othersUpTo: 4, strange: false });
});
