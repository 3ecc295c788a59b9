/** A tag at the till: what each end of the hub's conversation means, before and after the card was asked to prove. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { OutboxFault } from '../../kiosk/outbox.ts';
import type { Relayed } from '../../kiosk/rules/relayed.ts';
import { payTag } from '../../kiosk/tagtap.ts';
import type { RelayStart } from '../../protocol/relay.ts';
import { blankCard } from '../town/blank.ts';
import type { Card } from '../town/card.ts';
import { newTag } from '../town/cardstock.ts';
import { present, type Trouble } from '../town/field.ts';
import { sealed, seqOf, UID } from './rules/drill.ts';

const SALE = { seq: seqOf(3), amount: 25_000n, price: 25_000n, mode: 'account', prices: null } as const;

interface Tap {
  readonly card?: Card;
  readonly trouble?: Trouble;
  readonly relayed?: Relayed;
  /** Whether the hub's command reached the kiosk. */
  readonly proving?: boolean;
  readonly journal?: () => void;
}

async function tap({ card = newTag(), trouble, relayed = { kind: 'silent' }, proving = false, journal }: Tap) {
  const asked: RelayStart[] = [];
  const order: string[] = [];
  const on = present(card, trouble);
  const deps = {
    reader: { transmit: async (_: number, apdu: Uint8Array) => on(apdu) ?? new Uint8Array() },
    journal: (seq: number, { uid }: { readonly uid: string }) => {
      journal?.();
      order.push(`journal ${seq} ${uid}`);
    },
    relay: {
      talk: async (_: number, start: RelayStart, moved: (turn: number) => void) => {
        asked.push(start);
        order.push('talk');
        if (proving) moved(1);
        return relayed;
      },
    },
  };
  const effect = { type: 'pay', sale: SALE, card: { presence: 1, uid: UID }, slot: 1, beacon: '00000000' } as const;
  return { paid: await payTag(deps, effect), asked, order };
}

test('the sale is written down before the hub is asked, with the challenge that the card gave', async () => {
  const { asked, order } = await tap({});
  expect(order).toEqual([`journal 3 ${UID}`, 'talk']);
  const challenge = expect.stringMatching(/^[0-9a-f]{32}$/);
  expect(asked).toEqual([{ deed: 'tag-sale', uid: UID, seq: 3, amount: 25_000, challenge }]);
});

test('a card that left, or is no tag, begins nothing; nor does a full disk', async () => {
  const light = blankCard({ uid: new Uint8Array(7), random: randomBytes });
  const [left, foreign] = [await tap({ trouble: { tear: { apdu: 1, when: 'before' } } }), await tap({ card: light })];
  expect([left.paid, foreign.paid]).toMatchObject([{ reason: 'lost' }, { reason: 'not-ours' }]);
  expect([left.asked, foreign.asked]).toEqual([[], []]);
  const full = () => {
    throw new OutboxFault('full');
  };
  await expect(tap({ journal: full })).rejects.toThrow(OutboxFault);
});

const { receipt, mac } = sealed(3);
const decided = { kind: 'ended', end: { done: 'tag-sale', receipt, mac } } as const;
const failed = (failure: 'lost' | 'garbled' | 'wrong-key' | 'delay' | 'refused') =>
  ({ kind: 'ended', end: { done: null, failure, at: 'prove key' } }) as const;
const unanswered = (again: boolean) => ({ kind: 'unanswered', uid: UID, again });

test.each([
  [decided, true, { kind: 'decided', uid: UID, sealed: { receipt, mac } }],
  [decided, false, { kind: 'decided', uid: UID, sealed: { receipt, mac } }],
  [failed('lost'), true, { kind: 'torn' }],
  [failed('garbled'), true, { kind: 'torn' }],
  [failed('wrong-key'), true, { kind: 'stopped' }],
  [failed('delay'), true, { kind: 'delay' }],
  [failed('refused'), true, { kind: 'refused' }],
  [{ kind: 'ended', end: { done: 'sound', number: '1234' } }, true, unanswered(false)],
  [{ kind: 'ended', end: { done: 'sound', number: '1234' } }, false, { kind: 'refused' }],
  [{ kind: 'refused', code: 'card-unknown' }, false, { kind: 'turned-away', code: 'card-unknown' }],
  [{ kind: 'refused', code: 'hub-busy' }, true, unanswered(false)],
  [{ kind: 'silent' }, true, unanswered(false)],
  [{ kind: 'offline' }, true, unanswered(false)],
  [{ kind: 'endless' }, true, unanswered(false)],
  [{ kind: 'gone' }, true, unanswered(true)],
  [{ kind: 'silent' }, false, { kind: 'no-key' }],
  [{ kind: 'offline' }, false, { kind: 'no-key' }],
] as const)('%j, the proof asked for: %s', async (relayed, proving, paid) => {
  expect((await tap({ relayed: relayed as Relayed, proving })).paid).toEqual(paid);
});
