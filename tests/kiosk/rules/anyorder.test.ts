/** Whatever happens in whatever order, the till keeps its promises. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Intent } from '../../../kiosk/rules/doubt.ts';
import {
  type Effect,
  newTill,
  type Paid,
  type PanelKey,
  type Recovered,
  type Till,
  type TillEvent,
} from '../../../kiosk/rules/sale.ts';
import { view } from '../../../kiosk/rules/screens.ts';
import { step } from '../../../kiosk/rules/till.ts';
import type { PurchaseRequest } from '../../../protocol/purchase.ts';
import type { Receipt } from '../../../protocol/receipt.ts';
import { CERTIFICATE, INTENT, KIOSK, OTHER, sealed, seqOf, UID } from './drill.ts';

/** What may happen next; the world fills in what the till itself has set going. */
const happening = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom<PanelKey[]>('1', '5', '0', 'enter', 'enter', 'enter', 'cancel', 'back', 'help'),
  },
  {
    weight: 6,
    arbitrary: fc.constantFrom('lay', 'lay other', 'lift', 'key', 'no key', 'done', 'torn', 'doubt', 'wrong key'),
  },
  { weight: 3, arbitrary: fc.constantFrom('tag paid', 'tag declined', 'tag untold', 'tag silent', 'tag away') },
  { weight: 2, arbitrary: fc.constantFrom('same', 'ours', 'far', 'torn look') },
  { weight: 5, arbitrary: fc.constantFrom('approve', 'decline', 'repeat', 'answer', 'late answer', 'refuse') },
  { weight: 3, arbitrary: fc.constantFrom('down', 'up', 'beacon', 'wait', 'ring', 'disk', 'disk back', 'restart') },
);
type Happening = string;
/** Single events alone seldom get a sale as far as the hub: whole stretches of a sale are thrown in between. */
const stretch = fc.oneof(
  { weight: 8, arbitrary: happening.map((one): Happening[] => [one]) },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Happening[][]>(
      ['lift', 'cancel', 'beacon', '5', '0', 'enter', 'enter', 'lay', 'key'],
      ['done', 'lift'],
      ['tag paid', 'lift'],
      ['tag untold', 'lift', 'restart'],
      ['doubt', 'lift', 'lay', 'key'],
      ['cancel', 'approve'],
      ['approve', 'restart'],
    ),
  },
);

/** The hub, the card and the disk around one till, as simple as can be. */
class World {
  till: Till = newTill(KIOSK);
  at = 0;
  presence = 0;
  minted = 0;
  readonly timers = new Set<string>();
  /** The hub's decisions, final once made. */
  readonly decisions = new Map<number, Receipt['outcome']>();
  readonly voided = new Set<number>();
  readonly asks = new Map<number, 'resolve' | 'cancel'>();
  readonly bodies = new Map<number, string>();
  /** Whose tag the hub was asked about. */
  readonly tags = new Map<number, string>();
  readonly amounts = new Map<number, bigint>();
  /** What is on disk and has no answer yet. */
  readonly open = new Map<number, Recovered>();
  readonly closed = new Set<number>();
  readonly greens: number[] = [];

  take(event: TillEvent): void {
    const before = this.till;
    const { till, effects } = step(this.till, event, this.at);
    this.till = till;
    this.#promises(before, event);
    for (const effect of effects) this.#perform(effect);
  }

  #promises(before: Till, event: TillEvent): void {
    const { phase } = this.till;
    const screen = view(this.till, this.at);
    if (phase.name !== 'done' || this.till.help) {
      expect(screen.light).not.toBe('green');
      expect(screen.title.en).not.toBe('Not paid');
      return;
    }
    const { seq } = phase.result;
    const decided = this.decisions.get(seq);
    // Never a "yes" or a "no" without the hub's decision.
    expect(decided).toBeDefined();
    expect(screen.light === 'green').toBe(decided === 'approved' && !this.voided.has(seq));
    if (before.phase.name !== 'done' && !phase.result.late) {
      expect(['receipt', 'answer', 'card', 'paid']).toContain(event.type);
    }
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'mint': {
        this.minted += 1;
        const seq = seqOf(this.minted);
        this.amounts.set(seq, effect.amount);
        this.open.set(seq, { seq, amount: effect.amount, uid: null, ask: 'resolve' });
        this.take({ type: 'minted', seq });
        break;
      }
      case 'drop':
        expect(this.bodies.has(effect.seq)).toBe(false);
        expect(this.decisions.get(effect.seq)).not.toBe('approved');
        this.open.delete(effect.seq);
        break;
      case 'pay':
        // A card that is owed a green light pays nothing before it has seen it.
        expect(this.till.unshown.map(({ uid }) => uid)).not.toContain(effect.card.uid);
        // One sale at a time, minted and still open.
        expect(effect.sale.seq).toBe(this.minted);
        expect(this.closed.has(effect.sale.seq)).toBe(false);
        break;
      case 'send': {
        const { seq } = effect.body;
        const text = JSON.stringify(effect.body);
        expect(this.closed.has(seq)).toBe(false);
        expect(this.bodies.get(seq) ?? text).toBe(text);
        this.bodies.set(seq, text);
        break;
      }
      case 'close': {
        this.closed.add(effect.seq);
        const sale = this.open.get(effect.seq);
        if (sale !== undefined) this.open.set(effect.seq, { ...sale, ask: effect.ask });
        break;
      }
      case 'ask':
        expect(this.closed.has(effect.seq)).toBe(true);
        this.asks.set(effect.seq, effect.ask);
        break;
      case 'keep':
        this.open.delete(effect.seq);
        break;
      case 'green':
        expect(this.decisions.get(effect.seq)).toBe('approved');
        // Journaled as shown means that it can be seen.
        expect(view(this.till, this.at).light).toBe('green');
        this.greens.push(effect.seq);
        break;
      case 'timer':
        this.timers.add(effect.id);
        break;
      case 'stop':
        this.timers.delete(effect.id);
        break;
      default:
    }
  }

  decide(seq: number, outcome: Receipt['outcome']): void {
    if (!this.decisions.has(seq)) this.decisions.set(seq, outcome);
  }

  receiptOf(seq: number) {
    const outcome = this.decisions.get(seq) ?? 'cancelled';
    return sealed(seq, {
      outcome,
      card: this.#cardOf(seq),
      amount: Number(this.amounts.get(seq)),
      reason: outcome === 'approved' ? null : 'cancelled',
    });
  }

  #cardOf(seq: number): string | null {
    const text = this.bodies.get(seq);
    return text === undefined ? (this.tags.get(seq) ?? null) : (JSON.parse(text) as PurchaseRequest).claim.uid;
  }

  answer(seq: number, ask: 'resolve' | 'cancel'): void {
    this.decide(seq, 'cancelled');
    if (ask === 'cancel' && this.decisions.get(seq) === 'approved') {
      // A given-up sale is voided by the question: whoever was shown green for it was promised too much.
      expect(this.greens).not.toContain(seq);
      this.voided.add(seq);
    }
    this.take({ type: 'answer', ask, sealed: this.receiptOf(seq), voided: this.voided.has(seq) });
  }

  restart(): void {
    this.timers.clear();
    this.asks.clear();
    this.till = newTill(KIOSK);
    const recovered = [...this.open.values()];
    for (const { seq } of recovered) this.closed.add(seq);
    this.take({ type: 'booted', recovered, unshown: [] });
    // After a restart every unfinished sale is asked about.
    expect(this.till.pending.map(({ seq }) => seq)).toEqual(recovered.map(({ seq }) => seq));
    this.take({ type: 'reader-ready' });
  }
}

/** A tag is being spoken with: the hub decides, or not, and is heard, or not. */
function tag(world: World, what: Happening): boolean {
  const { phase } = world.till;
  const outcomes: Record<string, Receipt['outcome'] | null> = {
    'tag paid': 'approved',
    'tag declined': 'declined',
    'tag untold': 'approved',
    'tag silent': null,
    'tag away': null,
  };
  const outcome = outcomes[what];
  if (outcome === undefined || phase.name !== 'reading') return outcome !== undefined;
  const { sale, card } = phase;
  const { seq } = sale;
  world.tags.set(seq, card.uid);
  if (outcome !== null) world.decide(seq, outcome);
  const told: Record<string, Paid> = {
    'tag untold': { kind: 'unanswered', uid: card.uid, again: false },
    'tag silent': { kind: 'unanswered', uid: card.uid, again: true },
    'tag away': { kind: 'turned-away', code: 'card-blocked' },
  };
  const paid = told[what] ?? { kind: 'decided', uid: card.uid, sealed: world.receiptOf(seq) };
  world.take({ type: 'paid', seq, presence: card.presence, paid });
  return true;
}

const waitingSeq = ({ phase }: Till): number | null => (phase.name === 'waiting' ? phase.sale.seq : null);

function card(world: World, what: Happening): boolean {
  const { phase, card: present } = world.till;
  const uid = present?.uid ?? UID;
  const intent: Intent = { ...INTENT, uid };
  const seq = 'sale' in phase ? phase.sale.seq : seqOf(1);
  const presence = 'card' in phase ? phase.card.presence : 0;
  const looked = (tmc: number, records: string): void =>
    world.take({ type: 'looked', seq, presence, looked: { kind: 'seen', sight: { ...INTENT, tmc, records } } });
  const moves: Record<string, () => void> = {
    lay: () => world.take({ type: 'card', presence: ++world.presence, uid: UID }),
    'lay other': () => world.take({ type: 'card', presence: ++world.presence, uid: OTHER }),
    lift: () => world.take({ type: 'gone', presence: world.presence }),
    key: () => world.take({ type: 'card-key', uid, state: 'held' }),
    'no key': () => world.take({ type: 'card-key', uid, state: 'key-quota' }),
    done: () =>
      world.take({ type: 'paid', seq, presence, paid: { kind: 'committed', intent, certificate: CERTIFICATE } }),
    torn: () => world.take({ type: 'paid', seq, presence, paid: { kind: 'torn' } }),
    doubt: () => world.take({ type: 'paid', seq, presence, paid: { kind: 'doubt', intent } }),
    'wrong key': () => world.take({ type: 'paid', seq, presence, paid: { kind: 'wrong-key' } }),
    same: () => looked(INTENT.tmc, 'a'.repeat(128)),
    ours: () => looked(INTENT.tmc + 1, 'a'.repeat(96) + INTENT.record),
    far: () => looked(INTENT.tmc + 9, 'a'.repeat(128)),
    'torn look': () => world.take({ type: 'looked', seq, presence, looked: { kind: 'torn' } }),
  };
  moves[what]?.();
  return what in moves;
}

function hub(world: World, what: Happening): boolean {
  const sent = waitingSeq(world.till) ?? [...world.bodies.keys()].at(-1);
  const [asked] = world.till.pending;
  const moves: Record<string, () => void> = {
    approve: () => {
      if (sent === undefined || !world.bodies.has(sent)) return;
      world.decide(sent, 'approved');
      world.take({ type: 'receipt', sealed: world.receiptOf(sent) });
    },
    decline: () => {
      if (sent === undefined || !world.bodies.has(sent)) return;
      world.decide(sent, 'declined');
      world.take({ type: 'receipt', sealed: world.receiptOf(sent) });
    },
    repeat: () => {
      for (const seq of world.decisions.keys()) world.take({ type: 'receipt', sealed: world.receiptOf(seq) });
    },
    answer: () => {
      const ask = asked && world.asks.get(asked.seq);
      if (asked !== undefined && ask !== undefined) world.answer(asked.seq, ask);
    },
    'late answer': () => {
      for (const [seq, ask] of [...world.asks]) world.answer(seq, ask);
    },
    refuse: () => {
      if (sent !== undefined)
        world.take({ type: 'refused', seq: seqOf(sent), about: 'purchase', code: 'message-malformed' });
    },
  };
  moves[what]?.();
  return what in moves;
}

function weather(world: World, what: Happening): boolean {
  const moves: Record<string, () => void> = {
    down: () => world.take({ type: 'link', online: false }),
    up: () => world.take({ type: 'link', online: true }),
    beacon: () => world.take({ type: 'beacon', slot: Math.floor(world.at / 10_000), value: 'deadbeef' }),
    wait: () => {
      world.at += 20_000;
    },
    ring: () => {
      const [id] = [...world.timers].filter((one) => one !== 'tick');
      if (id === undefined) return;
      world.timers.delete(id);
      world.take({ type: 'timer', id: id as (TillEvent & { type: 'timer' })['id'] });
    },
    disk: () => world.take({ type: 'disk', why: 'full' }),
    'disk back': () => world.take({ type: 'disk', why: null }),
    restart: () => world.restart(),
  };
  moves[what]?.();
  return what in moves;
}

describe('in any order of events', () => {
  it('one sale at a time, never green or "no" without the hub’s decision, never a closed sale sent again', () => {
    fc.assert(
      fc.property(fc.array(stretch, { minLength: 10, maxLength: 80 }), (stretches) => {
        const world = new World();
        world.restart();
        for (const what of ['up', 'beacon', '5', '0', 'enter', 'enter', 'lay', 'key', ...stretches.flat()]) {
          if (card(world, what) || tag(world, what) || hub(world, what) || weather(world, what)) continue;
          world.take({ type: 'pressed', key: what as PanelKey });
        }
        // And when the world is well again, every sale ends.
        world.restart();
        weather(world, 'up');
        for (let i = 0; i < 200 && world.till.pending.length > 0; i++) hub(world, 'answer');
        expect(world.till.pending).toEqual([]);
        expect([...world.open.keys()]).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });
});
