/** An issuing kiosk's shipped loop and line, with a field in place of a reader: for cards by the hundred. */
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { readConfig } from '../../kiosk/config.ts';
import { dialHub } from '../../kiosk/dial.ts';
import { issue } from '../../kiosk/issue.ts';
import { openLink } from '../../kiosk/link.ts';
import type { Reader, ReaderEvent } from '../../kiosk/reader.ts';
import { issueObstacle } from '../../kiosk/rules/issuing.ts';
import { SOFTWARE } from '../../kiosk/start.ts';
import type { Card } from './card.ts';
import { type Presence, present, type Trouble } from './field.ts';
import { identityOf } from './town.ts';

export interface Served {
  readonly ok: boolean;
  /** Whether the card left by the plan of its trouble. */
  readonly torn: boolean;
  /** Whether the hub had begun to speak with the card. */
  readonly begun: boolean;
  /** What the loop noted of it, for people. */
  readonly why: string;
}

export interface FieldDesk {
  /** Waits until cards can be made, lays this one down, and takes it away when the screen says how it ended. */
  serve(card: Card, trouble?: Trouble): Promise<Served>;
  close(): Promise<void>;
}

const PATIENCE_MS = 60_000;
const NOTHING = new Uint8Array();

/** The one card that lies in the field. */
class FieldReader implements Reader {
  torn = false;
  #presence = 0;
  #card: Presence = () => null;
  #listener: (event: ReaderEvent) => void = () => undefined;

  listen(listener: (event: ReaderEvent) => void): void {
    this.#listener = listener;
    listener({ type: 'ready', name: 'field' });
  }

  lay(card: Card, trouble: Trouble): void {
    this.#presence += 1;
    this.#card = present(card, trouble);
    this.torn = false;
    const uid = Buffer.from(card.memory.uid).toString('hex');
    this.#listener({ type: 'card', presence: this.#presence, uid, atr: '' });
  }

  lift(): void {
    this.#card = () => null;
    this.#listener({ type: 'gone', presence: this.#presence });
  }

  async transmit(presence: number, apdu: Uint8Array): Promise<Uint8Array> {
    const reply = presence === this.#presence ? this.#card(apdu) : null;
    if (reply === null) this.torn = true;
    return reply ?? NOTHING;
  }

  async close(): Promise<void> {}
}

/** Opens the desk that was enrolled in `dir`; it connects by itself, as often as it must. */
export function openFieldDesk(dir: string): FieldDesk {
  const identity = identityOf(dir);
  const config = readConfig(dir);
  const reader = new FieldReader();
  let noted = '';
  const log = (what: string, detail: string) => {
    noted = `${what}: ${detail}`;
  };
  const link = openLink(
    {
      dial: () => dialHub(config.hub, identity),
      timers: globalThis,
      // The shortest back-off: this town has no crowd of kiosks to spread out.
      random: () => 0,
      randomBytes,
      now: Date.now,
      waiting: () => 0,
      log,
    },
    { name: identity.name, software: SOFTWARE },
  );
  let look = () => {};
  const failures: unknown[] = [];
  const panel = { listen: () => undefined, show: () => look(), close: () => undefined };
  const failed = (error: unknown) => {
    failures.push(error);
    look();
  };
  const monotonic = () => performance.now();
  const loop = issue({ reader, link, panel, monotonic, randomBytes, timers: globalThis, log, failed });
  /** Resolves as soon as it holds; the loop shows its screen after each step. */
  const until = (what: string, holds: () => boolean) =>
    new Promise<void>((resolve, reject) => {
      const impatience = setTimeout(() => reject(new Error(`waited in vain for ${what}; ${noted}`)), PATIENCE_MS);
      look = () => {
        if (failures.length > 0) reject(failures[0]);
        else if (holds()) resolve();
        else return;
        clearTimeout(impatience);
        look = () => {};
      };
      look();
    });
  return {
    async serve(card, trouble = {}) {
      await until('the line', () => issueObstacle(loop.state()) === null);
      let begun = false;
      reader.lay(card, trouble);
      await until('the end of a card', () => {
        const { name } = loop.state().phase;
        if (name === 'working') begun = true;
        return name === 'done' || name === 'failed';
      });
      const { torn } = reader;
      const ok = loop.state().phase.name === 'done';
      reader.lift();
      return { ok, torn, begun, why: noted };
    },
    async close() {
      loop.stop();
      await link.close();
      if (failures.length > 0) throw failures[0];
    },
  };
}
