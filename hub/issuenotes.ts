/** What `cards issue` says while cards are made: lines, a bar on a terminal, or one JSON object a line. */
import { MultiBar } from 'cli-progress';
import type { OrderCounts } from './issue.ts';
import { printable } from './printable.ts';
import { spellNumber } from './rules/cardnumber.ts';
import type { Card, Registry } from './store/registry.ts';
import type { Sight } from './watchcards.ts';

type Person = { readonly number: string; readonly member: string; readonly name: string };

export type IssueNote =
  | ({ readonly state: 'ordered'; readonly batch: string; readonly dry: boolean } & OrderCounts)
  | { readonly state: 'waiting'; readonly made: number; readonly of: number; readonly next: Person | null }
  /** What is missing before the next card can be made, and what to do. */
  | { readonly state: 'missing'; readonly what: string }
  | ({ readonly state: 'made'; readonly made: number; readonly of: number; readonly next: Person | null } & Person)
  | ({ readonly state: 'stuck'; readonly uid: string } & Person)
  | { readonly state: 'gone'; readonly member: string; readonly name: string }
  | { readonly state: 'labels'; readonly file: string | null; readonly cards: number }
  | {
      readonly state: 'end';
      readonly made: number;
      readonly of: number;
      readonly gone: number;
      readonly stopped: boolean;
    };

const nameOf = (registry: Registry, id: Card['member']) => registry.member(id)?.name ?? id;

function personOf(registry: Registry, { number, member }: Pick<Card, 'number' | 'member'>): Person {
  return { number, member, name: nameOf(registry, member) };
}

/** A sight as it is told. */
export function noteOf(registry: Registry, sight: Sight, of: number): IssueNote {
  const { standing } = sight;
  if (sight.state === 'gone') {
    return { state: 'gone', member: sight.member, name: nameOf(registry, sight.member) };
  }
  if (sight.state === 'stuck') return { state: 'stuck', uid: sight.card.uid, ...personOf(registry, sight.card) };
  const next = standing.next === null ? null : personOf(registry, standing.next);
  const progress = { made: standing.made.length, of, next };
  if (sight.state === 'waiting') return { state: 'waiting', ...progress };
  return { state: 'made', ...personOf(registry, sight.card), ...progress };
}

const spellNext = (next: Person | null) =>
  next === null ? 'nobody waits' : `next: ${printable(next.name)}, ${spellNumber(next.number)}`;

function spellOrdered({ batch, dry, ordered, registered, hasCard, waits }: IssueNote & { state: 'ordered' }): string {
  const done = dry ? 'would be ordered' : 'ordered';
  const fresh = registered > 0 ? ` (${registered} members ${dry ? 'would be ' : ''}registered)` : '';
  return `${printable(batch)}: ${ordered} cards ${done}${fresh}; ${hasCard} have a card, ${waits} waited already`;
}

/** A note as a line. */
export function spellNote(note: IssueNote): string {
  switch (note.state) {
    case 'ordered':
      return spellOrdered(note);
    case 'waiting':
      return `${note.made} of ${note.of} are made; ${spellNext(note.next)}`;
    case 'missing':
      return `Missing: ${note.what}`;
    case 'made': {
      const who = `${spellNumber(note.number)}  ${printable(note.name)}`;
      return `${who}: made, ${note.made} of ${note.of}; ${spellNext(note.next)}`;
    }
    case 'stuck': {
      const who = `${spellNumber(note.number)}  ${printable(note.name)}`;
      return (
        `${who}: begun over a minute ago and not finished. Lay its chip (${note.uid}) on the issuing kiosk again; ` +
        `if it cannot be finished: simpul-hub cards redo ${note.number}`
      );
    }
    case 'gone':
      return `${printable(note.name)} (${note.member}): withdrawn or retired, gets no card`;
    case 'labels':
      return note.file === null ? 'No card is made yet: no labels' : `${note.cards} labels are in ${note.file}`;
    case 'end': {
      const gone = note.gone > 0 ? `, ${note.gone} get none` : '';
      return `${note.stopped ? 'Stopped' : 'Done'}: ${note.made} of ${note.of} are made${gone}`;
    }
  }
}

export interface Teller {
  tell(note: IssueNote): void;
  close(): void;
}

interface Out extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
}

/** A bar below the lines, from the first progress that is told; each made card moves it instead of being a line. */
function barTeller(out: Out): Teller {
  const format = '{bar} {value}/{total}  last: {last}  {next}';
  const bars = new MultiBar({ format, stream: out, hideCursor: true, gracefulExit: false, emptyOnZero: true });
  let bar: ReturnType<MultiBar['create']> | null = null;
  function close(): void {
    if (bar === null) return;
    bar = null;
    bars.update();
    bars.stop();
  }
  function tell(note: IssueNote): void {
    if (note.state === 'waiting') {
      bar = bars.create(note.of, note.made, { last: '-', next: spellNext(note.next) });
      return;
    }
    if (note.state === 'made') {
      const last = `${spellNumber(note.number)} ${printable(note.name)}`;
      bar?.update(note.made, { last, next: spellNext(note.next) });
      return;
    }
    if (note.state === 'end') close();
    if (bar === null) out.write(`${spellNote(note)}\n`);
    else bars.log(`${spellNote(note)}\n`);
  }
  return { tell, close };
}

/** Tells notes to a terminal, a pipe, or a program. */
export function openTeller(out: Out, json: boolean): Teller {
  if (json) return { tell: (note) => void out.write(`${JSON.stringify(note)}\n`), close: () => {} };
  if (out.isTTY) return barTeller(out);
  return { tell: (note) => void out.write(`${spellNote(note)}\n`), close: () => {} };
}
