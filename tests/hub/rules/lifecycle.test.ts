/** What officers may do with a card never leaves the life of a card. */
import { expect, test } from 'vitest';
import { becomes, CARD_STATUSES, DEEDS, isLive, mayBecome, possible } from '../../../hub/rules/lifecycle.ts';

test('each deed leads where the life of a card allows, and those that ended are left alone', () => {
  for (const status of CARD_STATUSES) {
    for (const deed of DEEDS) {
      const to = becomes(status, deed);
      if (to !== null) expect(mayBecome(status, to)).toBe(true);
    }
  }
  expect(Object.fromEntries(CARD_STATUSES.map((status) => [status, possible(status)]))).toEqual({
    personalising: ['retire', 'redo'],
    ready: ['activate', 'retire', 'replace', 'redo'],
    active: ['freeze', 'retire', 'replace'],
    frozen: ['unfreeze', 'retire', 'replace'],
    replaced: [],
    retired: [],
  });
});

test('a card lives until it is replaced or retired', () => {
  expect(CARD_STATUSES.filter(isLive)).toEqual(['personalising', 'ready', 'active', 'frozen']);
});
