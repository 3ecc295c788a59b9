/** The emulated reader program is a reader like any other, and no card can break it. */
import { once } from 'node:events';
import { afterAll, describe, expect, test } from 'vitest';
import { openReader } from '../../kiosk/reader.ts';
import { bytes, hex } from '../cards/hex.ts';
import { anyNtag } from './deck.ts';
import { ECHO_UID, layEchoCard } from './echocard.ts';
import { openEmulatedSlot } from './emulatedslot.ts';
import { eventsOf } from './readerevents.ts';
import { slotCases } from './slotcases.ts';
import { lay } from './vpicc.ts';

const slot = openEmulatedSlot();
afterAll(() => slot.close());

describe('an emulated reader', () => {
  slotCases(() => slot);
});

describe('an emulated reader with odd cards', () => {
  const own = openEmulatedSlot();
  const reader = openReader({ timers: globalThis, random: Math.random }, own.reader);
  const events = eventsOf(reader);
  afterAll(async () => {
    await reader.close();
    await own.close();
  });

  test('a tag is read as a phone would read it, until it is torn', async () => {
    const laid = lay(anyNtag(), await own.connect(), { tear: { apdu: 3, when: 'before' } });
    const { presence, uid } = await events.next('card');
    expect(uid).toBe('045a115a346180');
    const ask = async (apdu: string) => hex(await reader.transmit(presence, bytes(apdu)));
    expect(await ask('00a4040007d276000085010100')).toBe('9000');
    expect(await ask('00a4000c02e104')).toBe('9000');
    expect(await ask('00b0000000')).toBe(`${'00'.repeat(256)}9000`);
    expect(await ask('00b0000000')).toBe('');
    await laid.gone;
    expect((await events.next('gone')).presence).toBe(presence);
  });

  test('a second card waits until the first has left', async () => {
    const first = await own.connect();
    layEchoCard(first);
    const { presence } = await events.next('card');
    const second = await own.connect();
    layEchoCard(second);
    expect(await reader.transmit(presence, Uint8Array.of(0, 0, 0, 0))).toHaveLength(6);
    first.destroy();
    expect((await events.next('gone')).presence).toBe(presence);
    expect((await events.next('card')).presence).toBe(presence + 1);
    second.destroy();
    await events.next('gone');
  });

  test('a card that answers more than any card may is thrown off, the next one is served', async () => {
    const babbler = await own.connect();
    babbler.resume();
    babbler.write(Buffer.concat([Buffer.from([0xff, 0xff]), Buffer.alloc(600)]));
    await once(babbler, 'close');
    const card = await own.connect();
    layEchoCard(card);
    expect((await events.next('card')).uid).toBe(ECHO_UID);
    card.destroy();
    await events.next('gone');
  });

  test('a reader program started without its socket says so', async () => {
    const [node, program] = own.reader.command as readonly [string, string];
    const bare = openReader({ timers: globalThis, random: Math.random }, { command: [node, program] });
    expect((await eventsOf(bare).next('fault')).why).toContain('no path');
    await bare.close();
  });
});
