/** The terminal panel: keys from an input stream, screens to an output stream. */
import type { Readable, Writable } from 'node:stream';
import type { PanelKey } from './rules/sale.ts';
import type { Light, Screen, Words } from './rules/screens.ts';

export interface Panel {
  /** Registers the one listener. */
  listen(listener: (key: PanelKey) => void): void;
  show(screen: Screen): void;
  close(): void;
}

export interface TerminalSettings {
  /** Read without echo where it is a terminal. */
  readonly input: Readable & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown };
  readonly output: Writable & { isTTY?: boolean; columns?: number };
  readonly colour: boolean;
  /** Above every screen: the outlet. */
  readonly heading: string;
  /** Which language comes first. */
  readonly first: 'id' | 'en';
  /** Told on Ctrl-C, which a terminal without echo does not turn into a signal. */
  readonly interrupted: () => void;
}

const WIDTH = 46;
const BEL = '\u0007';
const CLEAR = '\u001b[2J\u001b[H';
const COLOURS: Record<Light, string> = { none: '0', green: '42;30', yellow: '43;30', red: '41;37' };
const CTRL_C = '\u0003';
const ESCAPE = '\u001b';
/** What arrows and function keys send, and a keypad without NumLock: Escape and more at once (ECMA-48 section 5.4). */
const KEY_SEQUENCES = new RegExp(`${ESCAPE}(\\[[0-?]*[ -/]*[@-~]|O.)`, 'g');

/** Keys as characters: digits, Enter, c = cancel, Backspace or b = back, ? = help. */
function keyOf(character: string): PanelKey | null {
  if (character >= '0' && character <= '9') return character as PanelKey;
  switch (character.toLowerCase()) {
    case '\r':
    case '\n':
      return 'enter';
    case 'c':
    case ESCAPE:
      return 'cancel';
    case 'b':
    case '\b':
    case '\u007f':
      return 'back';
    case '?':
      return 'help';
    default:
      return null;
  }
}

/** Opens the panel. On a terminal it redraws one framed screen; elsewhere it prints each new screen once. */
export function openTerminal(settings: TerminalSettings): Panel {
  const { input, output } = settings;
  const live = output.isTTY === true;
  let listener: (key: PanelKey) => void = () => undefined;
  let last = '';
  let lastName = '';
  const onData = (chunk: Buffer | string): void => {
    for (const character of chunk.toString().replace(KEY_SEQUENCES, '')) {
      if (character === CTRL_C) settings.interrupted();
      const key = keyOf(character);
      if (key !== null) listener(key);
    }
  };
  if (input.isTTY === true) input.setRawMode?.(true);
  input.on('data', onData);
  return {
    listen(next) {
      listener = next;
    },
    show(screen) {
      const text = live ? framed(screen, settings) : plain(screen, settings);
      if (text === last) return;
      const rings = screen.name !== lastName && screen.sound !== null;
      last = text;
      lastName = screen.name;
      output.write(live ? `${CLEAR}${text}${rings ? bells(screen) : ''}` : text);
    },
    close() {
      input.off('data', onData);
      if (input.isTTY === true) input.setRawMode?.(false);
      input.pause();
    },
  };
}

/** One bell for yes, two for no, none while checking: a terminal has no other tones. */
function bells({ sound }: Screen): string {
  if (sound === 'ok') return BEL;
  return sound === 'no' ? BEL + BEL : '';
}

const both = (words: Words, first: 'id' | 'en'): [string, string] =>
  first === 'id' ? [words.id, words.en] : [words.en, words.id];

/** A reader's or disk's own words are the same in both languages. */
const once = (words: Words, first: 'id' | 'en'): string[] => [...new Set(both(words, first))];

const spoken = (words: Words, first: 'id' | 'en'): string => once(words, first).join(' / ');

const LIGHT_WORDS: Record<Light, string> = { none: '', green: 'green', yellow: 'yellow', red: 'red' };

function plain(screen: Screen, { first }: TerminalSettings): string {
  const light = screen.light === 'none' ? '' : ` (${LIGHT_WORDS[screen.light]})`;
  const lines = [
    `[${screen.mark}]${light} ${spoken(screen.title, first)}${screen.amount === null ? '' : ` · ${screen.amount}`}`,
  ];
  for (const line of screen.lines) lines.push(`    ${spoken(line, first)}`);
  const badges = screen.badges.map((badge) => spoken(badge, first)).join(' · ');
  return `${[...lines, ...(badges === '' ? [] : [`    ${badges}`])].join('\n')}\n`;
}

function framed(screen: Screen, { first, heading, colour, output }: TerminalSettings): string {
  const width = Math.max(20, Math.min(WIDTH, (output.columns ?? WIDTH + 4) - 4));
  const rows: string[] = [];
  const row = (text: string): void => {
    for (const part of wrapped(text, width)) rows.push(part.padEnd(width));
  };
  row(heading);
  rows.push('-'.repeat(width));
  const [title, other] = both(screen.title, first);
  row(`[${screen.mark}] ${title}`);
  const lit = rows.length - 1;
  row(`    ${other}`);
  if (screen.amount !== null) row(`    ${screen.amount}`);
  row('');
  for (const line of screen.lines) for (const text of once(line, first)) row(text);
  rows.push('-'.repeat(width));
  for (const badge of screen.badges) row(spoken(badge, first));
  row(screen.keys ?? 'Enter = OK   c = batal/cancel   ? = bantuan/help');
  const edge = `+-${'-'.repeat(width)}-+`;
  const drawn = rows.map((text, i) => {
    const shown = colour && i === lit ? `\u001b[${COLOURS[screen.light]}m${text}\u001b[0m` : text;
    return `| ${shown} |`;
  });
  return `${[edge, ...drawn, edge].join('\n')}\n`;
}

/** Breaks at spaces; a word longer than the line is cut. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > width) {
    const space = rest.lastIndexOf(' ', width);
    const at = space > width / 2 ? space : width;
    lines.push(rest.slice(0, at));
    rest = rest.slice(at).trimStart();
  }
  lines.push(rest);
  return lines;
}
