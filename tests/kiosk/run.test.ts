/** The whole kiosk but for wires: loop, till, outbox on disk and a card that really computes. */
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PurchaseRequest } from '../../protocol/purchase.ts';
import { anyCard } from '../town/deck.ts';
import { makeFolder } from './enrolled.ts';
import { Decider, outboxOf, Stall } from './stall.ts';

let folder: ReturnType<typeof makeFolder>;
let stall: Stall;
let decider: Decider;
beforeEach(() => {
  folder = makeFolder();
  decider = new Decider();
  stall = new Stall(folder.dir, decider);
});
afterEach(() => {
  stall.off();
  folder.remove();
});

/** Select, 64, and then Select, 71, AF, AD 0F, AB, 6C, 8B, C8, C7: a card not met before tells its key version. */
const COMMIT = 10;

describe('a sale at the stall', () => {
  it('ends in green with the new balance, and nothing is left waiting', async () => {
    stall.arm();
    await stall.tap(anyCard());
    expect(stall.screen).toMatchObject({ light: 'green', amount: 'Rp 25.000' });
    expect(stall.screen.lines[0]?.id).toBe('Saldo Rp 75.000');
    expect(stall.waiting).toBe(0);
    expect(stall.failure).toBeNull();
  });

  it('ends in red with words when the money is missing', async () => {
    decider.balance = 10_000;
    stall.arm();
    await stall.tap(anyCard());
    expect(stall.screen).toMatchObject({
      light: 'red',
      lines: [{ id: 'Saldo tidak cukup', en: 'Not enough balance' }],
    });
  });

  it('shows that the card is being read before anything is asked of it', async () => {
    stall.arm();
    await stall.tap(anyCard());
    const names = stall.screens.map(({ name }) => name).filter((name, i, all) => name !== all[i - 1]);
    expect(names.slice(-4)).toEqual(['armed', 'reading', 'waiting', 'done 1 approved']);
  });

  it('asks for a card’s key once, and takes it from memory the next time', async () => {
    const card = anyCard();
    for (let sale = 0; sale < 2; sale++) {
      stall.arm();
      await stall.tap(card);
      expect(stall.screen.light).toBe('green');
      stall.press('cancel');
    }
    expect(decider.keysAsked).toBe(1);
    expect(decider.bodies.map((body) => (JSON.parse(body) as PurchaseRequest).seq)).toEqual([1, 2]);
  });

  it('never tries a key the card refused a second time', async () => {
    decider.key1 = new Uint8Array(16);
    const card = anyCard();
    stall.arm();
    for (let tap = 0; tap < 5; tap++) await stall.tap(card);
    expect(card.memory.failures).toBe(1);
    expect(stall.screen.lines[0]?.en).toBe('Card needs service at a counter');
  });
});

describe('a card torn at any command', () => {
  const cases = Array.from({ length: COMMIT + 1 }, (_, apdu) =>
    (['before', 'after'] as const).map((when) => ({ apdu, when })),
  ).flat();

  it.each(
    cases,
  )('$when command $apdu pays once after the next tap, and the screen tells the truth meanwhile', async (tear) => {
    const card = anyCard();
    stall.arm();
    await stall.tap(card, { tear });
    expect(stall.screen.light).not.toBe('green');
    expect(stall.screen.title.en).not.toBe('Not paid');
    const said = stall.screen.lines.map(({ en }) => en).join(' ');
    expect(said.includes('Not charged')).toBe(tear.apdu < COMMIT);
    expect(said.includes('being checked')).toBe(tear.apdu === COMMIT);
    await stall.tap(card);
    // A commit that never reached the card ends the old number first; the card pays under the new one.
    if (stall.phase.name === 'armed') await stall.tap(card);
    expect(stall.screen.light).toBe('green');
    expect(decider.balance).toBe(75_000);
    expect(new Set(decider.bodies).size).toBe(1);
    expect(stall.waiting).toBe(0);
  });

  it('whose answer was changed on the way is in doubt, not paid', async () => {
    stall.arm();
    const change = (reply: Uint8Array) => reply.map((byte, i) => (i === 5 ? byte ^ 1 : byte));
    const card = anyCard();
    await stall.tap(card, { wrong: { apdu: COMMIT, change } });
    expect(stall.phase.name).toBe('doubt');
    await stall.tap(card);
    expect(stall.screen.light).toBe('green');
  });

  it('that does not return is ended by the hub after a minute, and never before', async () => {
    stall.arm();
    await stall.tap(anyCard(), { tear: { apdu: COMMIT, when: 'after' } });
    stall.clock.pass(59_999);
    expect(stall.phase.name).toBe('doubt');
    stall.clock.pass(1);
    await stall.settled();
    expect(decider.asks).toEqual(['resolve 1']);
    expect(stall.screen.lines[0]?.en).toBe('Cancelled, nobody was charged');
  });
});

describe('a hub that falls silent', () => {
  it('leaves the sale unknown, gets the same request to the byte, and decides it in the end', async () => {
    decider.silent = true;
    stall.arm();
    await stall.tap(anyCard());
    stall.clock.pass(600_000);
    await stall.settled();
    expect(stall.screen).toMatchObject({ light: 'yellow', title: { en: 'Being checked' } });
    stall.online(false);
    stall.clock.pass(60_000);
    decider.silent = false;
    stall.online(true);
    await stall.settled();
    expect(stall.screen.light).toBe('green');
    expect(decider.bodies.length).toBeGreaterThan(5);
    expect(new Set(decider.bodies).size).toBe(1);
    expect(decider.balance).toBe(75_000);
  });

  it('never lets the till send a given-up sale again, not even after a restart', async () => {
    decider.silent = true;
    stall.arm();
    await stall.tap(anyCard());
    const sent = decider.bodies.length;
    stall.press('cancel');
    expect(stall.screen.title.en).toBe('Being cancelled');
    stall = stall.again();
    stall.clock.pass(300_000);
    await stall.settled();
    expect(decider.bodies).toHaveLength(sent);
    expect(new Set(decider.asks)).toEqual(new Set(['cancel 1']));
    decider.silent = false;
    stall.clock.pass(60_000);
    await stall.settled();
    expect(stall.waiting).toBe(0);
  });
});

describe('a kiosk that lost its power', () => {
  it('shows the green light of a sale approved meanwhile when the card returns, and sells nothing', async () => {
    const card = anyCard();
    decider.silent = true;
    stall.arm();
    await stall.tap(card);
    decider.silent = false;
    stall = stall.again();
    await stall.settled();
    expect(decider.asks).toEqual(['resolve 1']);
    stall.arm();
    await stall.tap(card);
    expect(stall.screen).toMatchObject({ light: 'green', amount: 'Rp 25.000' });
    expect(stall.screen.lines[0]?.en).toContain('not charged again');
    expect(decider.balance).toBe(75_000);
    stall = stall.again();
    await stall.tap(card);
    expect(stall.screen.light).toBe('none');
  });

  it('between commit and request asks the hub, which ends the sale', async () => {
    stall.arm();
    await stall.tap(anyCard(), { tear: { apdu: COMMIT, when: 'after' } });
    stall = stall.again();
    await stall.settled();
    expect(decider.asks).toEqual(['resolve 1']);
    expect(stall.waiting).toBe(0);
    expect(decider.balance).toBe(100_000);
  });
});

describe('a disk that fills up', () => {
  it('and takes writes again is told what it missed: no sale that ended is asked about or shown anew', async () => {
    decider.silent = true;
    stall.arm();
    await stall.tap(anyCard());
    const other = new Database(outboxOf(folder.dir));
    other.exec('BEGIN IMMEDIATE');
    decider.silent = false;
    stall.clock.pass(2_000);
    await stall.settled();
    expect(stall.screen.light).toBe('green');
    expect(stall.waiting).toBe(1);
    stall.clock.pass(10_000);
    expect(stall.screen).toMatchObject({ name: 'idle disk-down', light: 'red' });
    other.close();
    stall.clock.pass(5_000);
    expect(stall.screen.title.en).toBe('Ready. Type the amount');
    expect(stall.waiting).toBe(0);
    stall = stall.again();
    await stall.settled();
    expect(decider.asks).toEqual([]);
    expect(stall.screen.badges).toEqual([{ id: 'Terhubung', en: 'Online' }]);
  });

  it('stops the till before a card is charged, and says so', async () => {
    stall.off();
    stall = new Stall(folder.dir, decider, 60_000);
    for (let sale = 0; sale < 2_000 && stall.screen.name !== 'idle disk-down'; sale++) {
      stall.arm();
      stall.press('cancel', 'cancel');
    }
    expect(stall.screen).toMatchObject({ name: 'idle disk-down', light: 'red' });
    expect(stall.log.some((line) => line.includes('SQLITE_FULL'))).toBe(true);
    const card = anyCard();
    await stall.tap(card);
    expect(decider.bodies).toEqual([]);
    expect(stall.failure).toBeNull();
  });
});
