/** The hub plays its script through the kiosk: to the end, torn at any command, with a line that stutters or breaks. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ANSWER_MS, LAST_WORD_MS, makeRelay } from '../../kiosk/relay.ts';
import type { Relayed } from '../../kiosk/rules/relayed.ts';
import { type RelayAnswer, TURNS_MAX } from '../../protocol/relay.ts';
import type { Card } from '../town/card.ts';
import { UID } from '../town/deck.ts';
import type { Trouble } from '../town/field.ts';
import { HOLDER, HubEnd, NUMBER, Plate, preparedCard } from './issuingdesk.ts';
import { Clock } from './stall.ts';

const START = { deed: 'service', uid: Buffer.from(UID).toString('hex') } as const;
const MADE: Relayed = { kind: 'ended', end: { done: 'personalise', number: NUMBER, holder: HOLDER, left: 2 } };

function scene() {
  const [hub, plate, clock] = [new HubEnd(), new Plate(), new Clock()];
  const relay = makeRelay({ reader: plate, link: hub.link, randomBytes, timers: clock.timers });
  hub.listener = (event) => {
    if (event.type === 'heard' && event.conversation === 'relay') relay.heard(event.body);
    if (event.type === 'refusal') relay.refused(event.replyTo, event.code);
  };
  const turns: number[] = [];
  const serve = (card: Card, trouble?: Trouble) =>
    relay.talk(plate.lay(card, trouble), START, (turn) => turns.push(turn));
  return { hub, plate, clock, relay, turns, serve };
}

/** Lets everything happen that needs no time. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 400; turn += 1) await new Promise((done) => setImmediate(done));
}

/** The batches of commands that the hub gave, in order. */
const commandsOf = (answers: readonly RelayAnswer[]) =>
  answers.flatMap((answer) => ('commands' in answer ? answer.commands : []));

describe('a card that stays', () => {
  it('gets every command of the hub once and in order, and the hub ends it', async () => {
    const { hub, plate, turns, serve, clock } = scene();
    expect(await serve(preparedCard())).toEqual(MADE);
    expect(plate.sent).toEqual(commandsOf(hub.answered));
    expect(turns).toEqual(turns.map((_, at) => at + 1));
    expect(hub.asked.map(({ turn }) => turn)).toEqual([0, ...turns]);
    expect(new Set(hub.asked.map(({ talk }) => talk)).size).toBe(1);
    // No patience is left running.
    clock.pass(10 * ANSWER_MS);
    expect(plate.sent).toHaveLength(commandsOf(hub.answered).length);
  });

  it('gets no command twice when answers come twice and late', async () => {
    const { hub, plate, serve } = scene();
    hub.echo = true;
    expect(await serve(preparedCard())).toEqual(MADE);
    expect(plate.sent).toEqual(commandsOf(hub.answered));
  });

  it('is given a new conversation each time it is laid down', async () => {
    const { hub, serve } = scene();
    const card = preparedCard();
    await serve(card);
    await serve(card);
    const talks = new Set(hub.asked.map(({ talk }) => talk));
    expect(talks.size).toBe(2);
    for (const talk of talks) expect(talk).toMatch(/^[0-9a-f]{16}$/);
  });
});

describe('a card torn at any command', () => {
  it('ends the conversation as lost, and goes on where it stopped when it is laid down again', async () => {
    const whole = scene();
    await whole.serve(preparedCard());
    const all = whole.plate.sent.length;
    expect(all).toBeGreaterThan(30);
    for (let apdu = 0; apdu < all; apdu += 1) {
      const when = apdu % 2 === 0 ? 'before' : 'after';
      const { hub, plate, serve } = scene();
      const card = preparedCard();
      expect(await serve(card, { tear: { apdu, when } })).toMatchObject({
        kind: 'ended',
        end: { done: null, failure: 'lost' },
      });
      // Nothing was sent after the response that was lost, and the hub was told that it was.
      expect(plate.sent).toHaveLength(apdu + 1);
      const last = hub.asked.at(-1);
      expect(last && 'responses' in last && last.responses.at(-1)).toBe('');
      expect(await serve(card)).toEqual(MADE);
      expect(card.memory.failures).toBe(0);
    }
  });

  it('is given up after a while if the hub has no last word', async () => {
    const { hub, clock, serve } = scene();
    hub.muteFrom = 4;
    const told = serve(preparedCard(), { tear: { apdu: 3, when: 'before' } });
    await settled();
    clock.pass(LAST_WORD_MS);
    expect(await told).toEqual({ kind: 'gone' });
  });

  it('and spoken with again by a hub that was told of it is not spoken with', async () => {
    const { hub, plate, relay, serve } = scene();
    hub.muteFrom = 4;
    const told = serve(preparedCard(), { tear: { apdu: 3, when: 'before' } });
    await settled();
    const { talk, turn } = hub.asked.at(-1) ?? { talk: '', turn: 0 };
    relay.heard({ talk, turn, commands: ['9060000000'] });
    expect(await told).toEqual({ kind: 'gone' });
    expect(plate.sent).toHaveLength(4);
  });
});

describe('a card that says no', () => {
  it('is sent nothing more of the batch, and the hub hears what it said', async () => {
    const { hub, relay, plate, serve } = scene();
    hub.byHand = true;
    const told = serve(preparedCard());
    await settled();
    const { talk } = hub.asked[0] ?? { talk: '' };
    // Nothing is selected: ours is, then a key that the card does not have, then one that is not sent any more.
    const select = '00a4040c10a00000039656434103f015400000000b00';
    relay.heard({ talk, turn: 0, commands: [select, '90640000010900', '90640000010000'] });
    await settled();
    expect(plate.sent).toHaveLength(2);
    expect(hub.asked.at(-1)).toEqual({ talk, turn: 1, responses: ['9000', '9140'] });
    relay.heard({ talk, turn: 1, end: { done: null, failure: 'refused', at: 'key version' } });
    expect(await told).toEqual({ kind: 'ended', end: { done: null, failure: 'refused', at: 'key version' } });
  });
});

describe('a line that is not there', () => {
  it('is said at once when nothing can be sent', async () => {
    const { hub, plate, serve } = scene();
    hub.up = false;
    expect(await serve(preparedCard())).toEqual({ kind: 'offline' });
    expect(plate.sent).toEqual([]);
  });

  it('is said at once when it breaks in the middle', async () => {
    const { hub, relay, serve } = scene();
    hub.muteFrom = 5;
    const told = serve(preparedCard());
    await settled();
    relay.cut();
    expect(await told).toEqual({ kind: 'offline' });
  });

  it('is waited for no longer than the hub may take, and a late answer plays nothing', async () => {
    const { hub, plate, relay, clock, serve } = scene();
    hub.muteFrom = 5;
    const told = serve(preparedCard());
    await settled();
    clock.pass(ANSWER_MS - 1);
    await settled();
    const sent = plate.sent.length;
    clock.pass(1);
    expect(await told).toEqual({ kind: 'silent' });
    for (const answer of hub.answered) relay.heard(answer);
    await settled();
    expect(plate.sent).toHaveLength(sent);
  });
});

describe('a hub', () => {
  it('that started anew has lost the conversation, and the card goes on in the next one', async () => {
    const { hub, relay, serve } = scene();
    const listener = hub.listener;
    let heard = 0;
    hub.listener = (event) => {
      heard += 1;
      if (heard === 12) hub.restart();
      listener(event);
    };
    const card = preparedCard();
    expect(await serve(card)).toEqual({ kind: 'refused', code: 'talk-lost' });
    expect(relay.refused('m1', 'talk-lost')).toBe(false);
    expect(await serve(card)).toEqual(MADE);
  });

  it('refusing another message than the awaited one ends nothing', async () => {
    const { hub, relay, serve } = scene();
    hub.byHand = true;
    const told = serve(preparedCard());
    await settled();
    expect([relay.refused('m9', 'hub-busy'), relay.refused(undefined, 'hub-busy')]).toEqual([false, false]);
    expect(relay.refused('m1', 'nothing-to-issue')).toBe(true);
    expect(await told).toEqual({ kind: 'refused', code: 'nothing-to-issue' });
  });

  it('that never ends is left after as many turns as a conversation has', async () => {
    const { hub, plate, relay, serve } = scene();
    hub.byHand = true;
    const told = serve(preparedCard());
    for (let turn = 0; turn <= TURNS_MAX; turn += 1) {
      while (hub.asked.length <= turn) await new Promise((done) => setImmediate(done));
      const { talk } = hub.asked[0] ?? { talk: '' };
      relay.heard({ talk, turn, commands: ['00a4040c10a00000039656434103f015400000000b00'] });
    }
    expect(await told).toEqual({ kind: 'endless' });
    expect(plate.sent).toHaveLength(TURNS_MAX);
  });
});
