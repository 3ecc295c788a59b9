/** Plays one conversation of the hub with a card: passes bytes on in both directions and understands none of them. */
import assert from 'node:assert/strict';
import { goesOn, parseResponse } from '../cards/apdu.ts';
import type { Refusal } from '../protocol/refusals.ts';
import { type RelayAnswer, type RelayRequest, type RelayStart, TURNS_MAX } from '../protocol/relay.ts';
import type { Link } from './link.ts';
import type { Reader } from './reader.ts';
import type { Relayed } from './rules/relayed.ts';

export interface RelayDeps {
  readonly reader: Pick<Reader, 'transmit'>;
  readonly link: Pick<Link, 'send'>;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly timers: { setTimeout(callback: () => void, ms: number): unknown; clearTimeout(timer: unknown): void };
}

export interface Relay {
  /**
   * Plays a conversation with the card of this presence, one at a time. Never rejects but for bugs.
   * @param moved told of each batch that goes to the card: 1, 2, …
   */
  talk(presence: number, start: RelayStart, moved: (turn: number) => void): Promise<Relayed>;
  /** The hub's answer; one that is not the awaited one is passed over. */
  heard(answer: RelayAnswer): void;
  /** The hub refused a message. @returns whether it was one of this conversation. */
  refused(replyTo: string | undefined, code: Refusal): boolean;
  /** The line broke: the answer will not come. */
  cut(): void;
}

const TALK_BYTES = 8;
/** How long the hub has for one answer, milliseconds. */
export const ANSWER_MS = 15_000;
/** How long it has for its last word once the card has left. */
export const LAST_WORD_MS = 5_000;
/** No response came: whether the card obeyed is unknown. */
const LOST = '';

type Heard = { readonly kind: 'answer'; readonly answer: RelayAnswer } | Exclude<Relayed, { readonly kind: 'ended' }>;

/** The one answer that is being waited for. */
interface Wait {
  readonly talk: string;
  readonly turn: number;
  /** Of the message that asked; null until it is sent. */
  id: string | null;
  readonly settle: (heard: Heard) => void;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');

/** Starts nothing; whoever listens to the link hands in what concerns the conversation. */
export function makeRelay({ reader, link, randomBytes, timers }: RelayDeps): Relay {
  let wait: Wait | null = null;
  let talking = false;

  function ask(request: RelayRequest, patienceMs: number): Promise<Heard> {
    return new Promise((resolve) => {
      const settle = (heard: Heard): void => {
        if (wait !== asked) return;
        wait = null;
        timers.clearTimeout(timer);
        resolve(heard);
      };
      const timer = timers.setTimeout(() => settle({ kind: 'silent' }), patienceMs);
      const asked: Wait = { talk: request.talk, turn: request.turn, id: null, settle };
      wait = asked;
      asked.id = link.send('relay', request);
      if (asked.id === null) settle({ kind: 'offline' });
    });
  }

  /** One after another; nothing is sent after a response that was lost or says no. */
  async function batch(presence: number, commands: readonly string[]): Promise<string[]> {
    const responses: string[] = [];
    for (const command of commands) {
      const bytes = await reader.transmit(presence, Buffer.from(command, 'hex'));
      const response = parseResponse(bytes);
      responses.push(response === null ? LOST : hex(bytes));
      if (response === null || !goesOn(response.status)) break;
    }
    return responses;
  }

  async function play(presence: number, start: RelayStart, moved: (turn: number) => void): Promise<Relayed> {
    const talk = hex(randomBytes(TALK_BYTES));
    let heard = await ask({ talk, turn: 0, start }, ANSWER_MS);
    let left = false;
    for (let turn = 1; heard.kind === 'answer'; turn += 1) {
      const { answer } = heard;
      if ('end' in answer) return { kind: 'ended', end: answer.end };
      if (left) return { kind: 'gone' };
      if (turn > TURNS_MAX) return { kind: 'endless' };
      moved(turn);
      const responses = await batch(presence, answer.commands);
      // The hub is told, so that its script ends; the card is not spoken with again.
      left = responses.at(-1) === LOST;
      heard = await ask({ talk, turn, responses }, left ? LAST_WORD_MS : ANSWER_MS);
    }
    return left ? { kind: 'gone' } : heard;
  }

  return {
    async talk(presence, start, moved) {
      assert(!talking, 'a card is spoken with already');
      talking = true;
      try {
        return await play(presence, start, moved);
      } finally {
        talking = false;
      }
    },
    heard(answer) {
      if (wait?.talk === answer.talk && wait.turn === answer.turn) wait.settle({ kind: 'answer', answer });
    },
    refused(replyTo, code) {
      if (wait === null || replyTo === undefined || wait.id !== replyTo) return false;
      wait.settle({ kind: 'refused', code });
      return true;
    },
    cut() {
      wait?.settle({ kind: 'offline' });
    },
  };
}
