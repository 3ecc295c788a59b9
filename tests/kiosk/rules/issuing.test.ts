/** One card at a time is served, none twice, and the screen says what happened and what to do next. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { grouped, issueView } from '../../../kiosk/rules/issuescreens.ts';
import { nexts } from '../../../kiosk/rules/issuewords.ts';
import {
  type IssueEffect,
  type IssueEvent,
  type Issuing,
  issueStep,
  newIssuing,
  type Served,
} from '../../../kiosk/rules/issuing.ts';
import type { Relayed } from '../../../kiosk/rules/relayed.ts';
import { refusalNames, refusals } from '../../../protocol/refusals.ts';
import { CARD_FAILURES } from '../../../protocol/relay.ts';
import { OTHER, UID } from './drill.ts';

const SERVED: Served = { done: 'personalise', number: '603400000017', holder: 'Siti Aminah', left: 3 };

class Desk {
  state: Issuing = newIssuing();
  effects: IssueEffect[] = [];
  on(...events: IssueEvent[]): this {
    for (const event of events) {
      const { state, effects } = issueStep(this.state, event, 0);
      this.state = state;
      this.effects.push(...effects);
    }
    return this;
  }
  get screen() {
    return issueView(this.state, 0);
  }
  /** Every word on the screen, in English. */
  get said(): string {
    const { title, lines } = this.screen;
    return [title, ...lines].map(({ en }) => en).join('. ');
  }
  asked(type: 'check' | 'relay'): number[] {
    return this.effects.flatMap((effect) => (effect.type === type ? [effect.card.presence] : []));
  }
}

const desk = () => new Desk().on({ type: 'reader-ready' }, { type: 'link', online: true });
const lay = (presence: number, uid = UID): IssueEvent => ({ type: 'card', presence, uid });
const lift = (presence: number): IssueEvent => ({ type: 'gone', presence });
const prepared = (presence: number): IssueEvent => ({ type: 'checked', presence, checked: { kind: 'prepared' } });
const relayed = (presence: number, relayed: Relayed): IssueEvent => ({ type: 'relayed', presence, relayed });
const served = (presence: number, end: Served = SERVED) => relayed(presence, { kind: 'ended', end });

describe('a card that is laid down', () => {
  it('is checked here first, then served by the hub, and its number and holder are shown', () => {
    const made = desk();
    expect(made.said).toBe('Ready. Lay a card down');
    made.on(lay(1));
    expect(made.said).toBe('Hold the card still. Checking the card');
    expect(made.asked('relay')).toEqual([]);
    made.on(prepared(1), { type: 'moved', presence: 1, turn: 7 });
    expect(made.screen).toMatchObject({ name: 'working', light: 'yellow' });
    expect(made.said).toBe('Hold the card still. Making the card, step 7');
    made.on(served(1));
    expect(made.screen).toMatchObject({ light: 'green', sound: 'ok' });
    expect(made.said).toBe('The card is made. 6034 0000 0017. Siti Aminah. 3 left. Take the card away');
    made.on(lift(1));
    expect(made.said).toContain('Lay the next card down');
    expect(made.asked('relay')).toEqual([1]);
  });

  it('keeps its number on the screen until the next card comes', () => {
    const made = desk().on(lay(1), prepared(1), served(1), lift(1), { type: 'link', online: false });
    expect(made.said).toContain('6034 0000 0017');
    expect(made.said).toContain('Not connected to the hub');
    made.on({ type: 'link', online: true }, lay(2, OTHER));
    expect(made.said).not.toContain('6034');
  });

  it('is shown by its number in groups of four', () => {
    expect(['1234', '12345', '12345678', '1234567890123456789'].map(grouped)).toEqual([
      '1234',
      '1234 5',
      '1234 5678',
      '1234 5678 9012 3456 789',
    ]);
  });

  it('and was renewed, or needed nothing, is told so with its number', () => {
    for (const [done, words] of [
      ['renewed', 'keys are renewed'],
      ['sound', 'Nothing to do'],
    ] as const) {
      const said = desk().on(lay(1), prepared(1), served(1, { done, number: '603400000017' })).said;
      expect(said).toContain(words);
      expect(said).toContain('6034 0000 0017');
    }
  });

  it('and was emptied, because it is frozen or has ended, is told where its money went and what to do', () => {
    const number = '603400000017';
    const of = (end: Served) => desk().on(lay(1), prepared(1), served(1, end));
    expect(of({ done: 'drained', number, amount: 35_000 }).said).toBe(
      'The card is frozen and emptied. 6034 0000 0017. Rp 35.000 is back on the account. Take the card away',
    );
    expect(of({ done: 'retired', number, amount: 35_000 }).screen.lines.map(({ id }) => id)).toEqual([
      '6034 0000 0017',
      'Rp 35.000 kembali ke rekening',
      'Gunting kartunya',
      'Angkat kartu',
    ]);
    expect(of({ done: 'retired', number, amount: 0 }).said).toBe(
      'This card has ended. 6034 0000 0017. The card held nothing. Cut it up. Take the card away',
    );
  });

  it('whose money is in doubt is put aside with its number, and not called done', () => {
    const made = desk().on(lay(1), prepared(1), relayed(1, { kind: 'ended', end: { done: 'unknown' } }));
    expect(made.screen.light).toBe('red');
    expect(made.said).toContain('still being checked. Put it aside');
    expect(made.said).toContain(UID);
  });

  it('whose holder has a strange name moves no cursor with it', () => {
    const made = desk().on(lay(1), prepared(1), served(1, { ...SERVED, holder: 'Siti\u001b[2J\u0007 Aminah' }));
    expect(made.said).toContain('Siti [2J  Aminah');
  });

  it('and does not take its key is not tried a second time, lest it locks itself', () => {
    const wrong: Relayed = { kind: 'ended', end: { done: null, failure: 'wrong-key', at: 'prove key' } };
    const made = desk().on(lay(1), prepared(1), relayed(1, wrong), lift(1), lay(2));
    expect(made.asked('check')).toEqual([1]);
    expect(made.said).toContain('Put it aside');
    made.on(lift(2), lay(3, OTHER));
    expect(made.asked('check')).toEqual([1, 3]);
  });

  it('with the factory’s key goes no further than this kiosk', () => {
    const made = desk().on(lay(1), {
      type: 'checked',
      presence: 1,
      checked: { kind: 'unfit', failure: 'not-prepared', at: 'key 0' },
    });
    expect(made.asked('relay')).toEqual([]);
    expect(made.said).toBe('Not done. The card is not prepared. Put it in the box of unprepared cards');
  });

  it('and stays there is served once, whatever is pressed, and again only when it is laid down again', () => {
    const made = desk().on(lay(1), prepared(1), served(1));
    for (const key of ['enter', 'cancel', '5', 'help', 'help'] as const) made.on({ type: 'pressed', key });
    made.on({ type: 'link', online: false }, { type: 'link', online: true }, { type: 'reader-ready' });
    expect(made.asked('check')).toEqual([1]);
    made.on(lift(1), lay(2));
    expect(made.asked('check')).toEqual([1, 2]);
  });
});

describe('a second card', () => {
  it('beside the one being served is refused in words, and not begun when the first is done', () => {
    const made = desk().on(lay(1), prepared(1), lay(2, OTHER));
    expect(made.said).toContain('One card at a time');
    made.on(served(1));
    expect(made.said).toContain('One card at a time');
    expect(made.said).toContain('6034 0000 0017');
    made.on(lift(1));
    expect(made.said).toContain('Not this card yet');
    made.on(lift(2));
    expect(made.said).not.toContain('Not this card yet');
    expect(made.asked('check')).toEqual([1]);
    made.on(lay(3, OTHER));
    expect(made.asked('check')).toEqual([1, 3]);
  });

  it('laid down while the hub has its last word about one that left is not taken for it', () => {
    const made = desk().on(lay(1), prepared(1), lift(1), lay(2, OTHER));
    expect(made.said).toContain('Not this card yet');
    made.on(served(1));
    expect(made.screen.light).toBe('green');
    expect(made.asked('check')).toEqual([1]);
  });
});

describe('what happened and what to do next is said', () => {
  const outcome = (how: Relayed) => desk().on(lay(1), prepared(1), relayed(1, how));

  it('for every way in which a card can fail', () => {
    const said = CARD_FAILURES.map((failure) => {
      const made = outcome({ kind: 'ended', end: { done: null, failure, at: 'key 0' } });
      expect(made.screen).toMatchObject({ light: 'red', sound: 'no', title: { en: 'Not done' } });
      return [failure, made.said] as const;
    });
    const of = Object.fromEntries(said);
    expect(new Set(Object.values(of)).size).toBe(CARD_FAILURES.length);
    expect(of.lost).toContain('Lay the same card down again: it goes on where it stopped');
    expect(of.delay).toContain('Wait a minute');
    for (const failure of ['wrong-key', 'other-version', 'in-use'] as const) {
      expect(of[failure]).toContain(`Put it aside, give it to the operator with this number:. ${UID}. (key 0)`);
    }
  });

  it('for every refusal of the hub, in the hub’s own words', () => {
    for (const code of refusalNames) {
      const { lines } = outcome({ kind: 'refused', code }).screen;
      expect(lines[0]).toEqual({ id: refusals[code].id, en: refusals[code].en });
      expect(Object.values(nexts)).toContainEqual(lines[1]);
    }
    expect(outcome({ kind: 'refused', code: 'nothing-to-issue' }).said).toContain('Ask the operator');
    expect(outcome({ kind: 'refused', code: 'card-not-prepared' }).said).toContain('Put it aside');
  });

  it('when the line breaks, the hub is silent, the card leaves, or there is no end', () => {
    const words = {
      offline: 'broke',
      silent: 'did not answer',
      gone: 'left too soon',
      endless: 'did not end',
    } as const;
    for (const [kind, word] of Object.entries(words)) {
      expect(outcome({ kind: kind as keyof typeof words }).said).toContain(word);
    }
  });

  it('when no card can be served now, before and after one is laid down', () => {
    const off = desk().on({ type: 'link', online: false });
    expect(off.said).toBe('Cannot make cards now. Not connected to the hub');
    off.on(lay(1));
    expect(off.said).toContain('Wait until it is online');
    expect(off.asked('check')).toEqual([]);
    const leaving = desk().on({ type: 'hub', open: false }, lay(1));
    expect(leaving.said).toContain('Not connected to the hub');
    const blind = desk().on({ type: 'reader-fault', why: 'The reader was unplugged.' });
    expect(blind.said).toBe('Cannot make cards now. Card reader is not ready. The reader was unplugged.');
    expect(new Desk().said).toBe('Cannot make cards now. Starting');
  });

  it('and the help page is left by any key, or when something happens', () => {
    const asked = desk().on({ type: 'pressed', key: 'help' });
    expect(asked.screen.name).toBe('help');
    expect(asked.on({ type: 'pressed', key: '1' }).screen.name).toBe('waiting');
    expect(asked.on({ type: 'pressed', key: 'help' }, lay(1)).screen.name).toBe('checking');
  });
});

/** What may happen next; presences are those of the last few cards. */
const happening = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<IssueEvent['type'][]>('card', 'card', 'gone') },
  { weight: 6, arbitrary: fc.constantFrom<IssueEvent['type'][]>('checked', 'moved', 'relayed') },
  {
    weight: 2,
    arbitrary: fc.constantFrom<IssueEvent['type'][]>('link', 'hub', 'reader-ready', 'reader-fault', 'pressed'),
  },
);
const ends: readonly Relayed[] = [
  { kind: 'ended', end: SERVED },
  { kind: 'ended', end: { done: null, failure: 'lost', at: 'select' } },
  { kind: 'refused', code: 'talk-lost' },
  { kind: 'offline' },
];

function eventOf(type: IssueEvent['type'], latest: number, back: number, yes: boolean): IssueEvent {
  const presence = Math.max(1, latest - back);
  switch (type) {
    case 'card':
      return lay(latest + 1, yes ? UID : OTHER);
    case 'gone':
      return lift(presence);
    case 'checked':
      return yes
        ? prepared(presence)
        : { type, presence, checked: { kind: 'unfit', failure: 'not-prepared', at: 'key 0' } };
    case 'moved':
      return { type, presence, turn: back };
    case 'relayed':
      return relayed(presence, ends[(back + (yes ? 0 : 2)) % ends.length] ?? { kind: 'silent' });
    case 'link':
      return { type, online: yes };
    case 'hub':
      return { type, open: yes };
    case 'reader-fault':
      return { type, why: 'unplugged' };
    case 'reader-ready':
      return { type };
    case 'pressed':
      return { type, key: yes ? 'help' : 'enter' };
  }
}

describe('in any order of events', () => {
  it('one card is spoken with at a time and none twice, and green is shown only for what the hub ended well', () => {
    const move = fc.tuple(happening, fc.nat(2), fc.boolean());
    fc.assert(
      fc.property(fc.array(move, { maxLength: 80 }), (moves) => {
        const made = desk();
        let latest = 0;
        const well = new Set<number>();
        const fit = new Set<number>();
        for (const [type, back, yes] of moves) {
          const event = eventOf(type, latest, back, yes);
          const before = made.state;
          const effectsBefore = made.effects.length;
          if (event.type === 'card') latest = event.presence;
          if (event.type === 'checked' && event.checked.kind === 'prepared') fit.add(event.presence);
          if (event.type === 'relayed' && event.relayed.kind === 'ended' && event.relayed.end.done !== null) {
            well.add(event.presence);
          }
          made.on(event);
          for (const effect of made.effects.slice(effectsBefore)) {
            if (effect.type === 'check') {
              expect(['waiting', 'done', 'failed']).toContain(before.phase.name);
              expect(made.state.present).toEqual([effect.card]);
            }
            if (effect.type === 'relay') {
              expect(before.phase.name).toBe('checking');
              expect(fit).toContain(effect.card.presence);
            }
          }
          const { phase } = made.state;
          const { light, lines, title } = made.screen;
          if (light === 'green') expect(phase.name === 'done' && well.has(phase.card.presence)).toBe(true);
          for (const { id, en } of [title, ...lines]) expect(id !== '' && en !== '').toBe(true);
        }
        for (const type of ['check', 'relay'] as const) {
          expect(new Set(made.asked(type)).size).toBe(made.asked(type).length);
        }
      }),
      { numRuns: 400 },
    );
  });
});
