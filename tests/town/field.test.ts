/** A card that leaves in mid-command: a written file holds a part, all else is whole or as it was. */
import { describe, expect, test } from 'vitest';
import { hex } from '../cards/hex.ts';
import {
  ask,
  askFull,
  content,
  login,
  NEW_KEY,
  open,
  otherKey,
  SELECT,
  type Session,
  TMAC_HEADER,
  TMAC_KEY,
} from './barereader.ts';
import type { Card } from './card.ts';
import { chance } from './chance.ts';
import { anyBlankCard } from './deck.ts';
import { present, type Trouble } from './field.ts';

describe('a card torn in the middle', () => {
  /** Opens a session of key 0 and sends one command, which is the fourth that the card sees. */
  function torn(card: Card, when: NonNullable<Trouble['tear']>, command: (session: Session) => void): void {
    const presence = present(card, { tear: when });
    let left = false;
    const session = login((apdu) => {
      const reply = presence(apdu);
      left = reply === null;
      return reply ?? new Uint8Array();
    }, 0);
    command(session);
    expect(left).toBe(true);
  }
  const during = (executed: boolean, written?: number) =>
    ({ apdu: 3, when: 'during', executed, ...(written === undefined ? {} : { written }) }) as const;

  test('of a WriteData keeps the first bytes only, and the rest as it was', () => {
    for (const [written, kept] of [
      [undefined, 5],
      [0, 0],
      [1, 1],
      [9, 9],
      [10, 10],
    ] as const) {
      const card = anyBlankCard();
      askFull(open(card), '8d', '00000000140000', 'ee'.repeat(20));
      torn(card, during(true, written), (session) => {
        askFull(session, '8d', '000200000a0000', '11'.repeat(10));
      });
      const held = `${'ee'.repeat(2)}${'11'.repeat(kept)}${'ee'.repeat(18 - kept)}`;
      expect(hex(content(card, 0x00).slice(0, 20))).toBe(held);
    }
  });

  test('of a WriteData that it would have refused keeps all as it was', () => {
    const card = anyBlankCard();
    torn(card, during(true, 1), (session) => {
      session.ctr = 7;
      askFull(session, '8d', '00000000020000', '1111');
    });
    expect(card.memory.files).toEqual(anyBlankCard().memory.files);
  });

  const changes: readonly [string, (session: Session) => void][] = [
    ['another key', (session) => askFull(session, 'c4', '01', otherKey())],
    ['its own key', (session) => askFull(session, 'c4', '00', `${hex(NEW_KEY)}01`)],
    ['the settings of a file', (session) => askFull(session, '5f', '00', '01301f')],
    ['the limits of the purse', (session) => askFull(session, '5c', '09', `${'00'.repeat(4)}0a${'00'.repeat(8)}`)],
    ['its certificate file', (session) => ask(session, 'df', '0f')],
  ];
  for (const [what, command] of changes) {
    test(`of a change of ${what} has made it or has not`, () => {
      const [old, done, undone, late, early] = Array.from({ length: 5 }, () => anyBlankCard());
      if (!old || !done || !undone || !late || !early) throw new Error('five cards');
      torn(done, during(true), command);
      torn(undone, during(false), command);
      torn(late, { apdu: 3, when: 'after' }, command);
      torn(early, { apdu: 3, when: 'before' }, command);
      expect(undone.memory).toEqual(old.memory);
      expect(early.memory).toEqual(old.memory);
      expect(done.memory).not.toEqual(old.memory);
      expect(done.memory).toEqual(late.memory);
    });
  }

  test('of a new certificate file, or of a commit, has it or has it not', () => {
    for (const executed of [true, false]) {
      const card = anyBlankCard();
      ask(open(card), 'df', '0f');
      torn(card, during(executed), (session) => askFull(session, 'ce', TMAC_HEADER, `${hex(TMAC_KEY)}01`));
      expect(card.memory.files.has(0x0f)).toBe(executed);
      const other = anyBlankCard();
      torn(other, { ...during(executed), apdu: 4 }, (session) => {
        ask(session, 'c8', '33'.repeat(16));
        ask(session, 'c7', '01');
      });
      expect(other.memory.files.get(0x0f)).toMatchObject({ tmc: executed ? 1 : 0 });
    }
  });
});

describe('a card that flickers', () => {
  test('has forgotten its session and its open transaction, and what it had selected', () => {
    const card = anyBlankCard();
    const presence = present(card, { flicker: [5] });
    const send = (apdu: Uint8Array) => presence(apdu) ?? new Uint8Array();
    const session = login(send, 0);
    expect(ask(session, '0c', '0305000000')).toBe('9100');
    expect(ask(session, 'c8', '33'.repeat(16))).toMatch(/9100$/);
    expect(ask(session, 'c7', '01')).toBe('91f0');
    expect(ask(login(send, 0), 'c7', '01')).toBe('919d');
    expect(card.memory.files).toEqual(anyBlankCard().memory.files);
  });
});

describe('a reader that hears wrongly', () => {
  test('hears one bit in another way, about as often as it is told, and the same under the same seed', () => {
    const { seed } = chance('flipped replies');
    const heard = (oneIn: number) => {
      const { below } = chance('flipped replies again', seed);
      const presence = present(anyBlankCard(), { flips: { oneIn, below } });
      return Array.from({ length: 200 }, () => hex(presence(SELECT) ?? new Uint8Array()));
    };
    expect(heard(1)).toEqual(heard(1));
    const bits = (reply: string) => (Number.parseInt(reply, 16) ^ 0x9000).toString(2).replaceAll('0', '').length;
    expect(heard(1).every((reply) => bits(reply) === 1)).toBe(true);
    const some = heard(4);
    expect(some.every((reply) => bits(reply) <= 1)).toBe(true);
    const turned = some.filter((reply) => reply !== '9000').length;
    expect(turned).toBeGreaterThan(15);
    expect(turned).toBeLessThan(100);
  });
});
