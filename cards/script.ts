/** A card conversation as a generator: it yields batches of commands, receives the replies, and returns its result. */
import { goesOn, parseResponse, statusName } from './apdu.ts';
import type { Command } from './commands.ts';
import { advance, type Protection, type Session, unwrap, wrap } from './session.ts';

/**
 * Yields commands to send in order and receives their replies, an empty one meaning lost. The replies may be fewer than
 * the commands: none was sent after a lost or bad one. Kiosk, hub relay and tests play the same script.
 */
export type Script<T> = Generator<readonly Uint8Array[], T, readonly Uint8Array[]>;

/** Whether the card did what the script was for. The caller decides on this field only (CARDS section 10). */
export type Outcome = 'not-executed' | 'executed' | 'unknown';

/** Why a conversation ended early. */
export type Reason =
  /** No reply: the card, reader or field was lost. */
  | 'lost'
  /** A reply that is not the card's, or not as the layout says. */
  | 'garbled'
  /** The card said no; see `status`. */
  | 'refused'
  /** The card does not hold the key: stop, each further try brings the card closer to its lock (CARDS section 3.9). */
  | 'wrong-key'
  /** The card delays authentications after failed ones: wait. */
  | 'delay'
  /** A card without our application. */
  | 'not-ours'
  /** The purse does not hold the amount. */
  | 'short'
  /** The maker's signature is not over this UID. */
  | 'not-genuine'
  /** Key 0 is still the factory's: whoever listens would learn every key that is written under it. */
  | 'not-prepared'
  /** The card has made transactions: what it holds is not set anew. */
  | 'in-use'
  /** A key, or a counter file, of a version that is neither the factory's nor ours to replace. */
  | 'other-version'
  /** An application or a file under our name or number that is not as ours, and cannot be made so. */
  | 'other-files';

export interface Failure {
  readonly ok: false;
  readonly reason: Reason;
  /** The command at which it ended. */
  readonly at: string;
  /** The card's status in words, or null without a reply. */
  readonly status: string | null;
  readonly outcome: Outcome;
}

/**
 * Plays a script over a card.
 * @param transmit sends one APDU and resolves with the reply, or with an empty array when the card was lost
 * @throws whatever `transmit` or the script throws; nothing more is sent then.
 */
export async function play<T>(script: Script<T>, transmit: (apdu: Uint8Array) => Promise<Uint8Array>): Promise<T> {
  let turn = script.next();
  while (!turn.done) {
    const replies: Uint8Array[] = [];
    for (const apdu of turn.value) {
      const reply = await transmit(apdu);
      replies.push(reply);
      const response = parseResponse(reply);
      if (response === null || !goesOn(response.status)) break;
    }
    turn = script.next(replies);
  }
  return turn.value;
}

/** A failure from a reply that ended the conversation. */
export function failure(at: string, reason: Reason, outcome: Outcome, status: number | null): Failure {
  return { ok: false, reason, at, status: status === null ? null : statusName(status), outcome };
}

/** One command of a session: what is sent, and what a reply without proof would mean. */
export interface Question {
  readonly at: string;
  readonly command: Command;
  readonly protection: Protection;
  readonly header: Uint8Array;
  readonly data?: Uint8Array;
  /** Length that the layout gives the reply's data; null for a list of any length. */
  readonly replyLength: number | null;
  /**
   * Outcome of the script if this command gets no reply with a valid MAC. An error status has none, so it is no proof
   * either (CARDS section 3.4).
   */
  readonly otherwise: Outcome;
  /** Outcome if the MAC is right but the data have another length. */
  readonly proven?: Outcome;
}

/** The proven answer, and the session to go on with. */
export interface Answer {
  readonly ok: true;
  readonly data: Uint8Array;
  readonly session: Session;
}

/** Asks one command inside a session and checks the reply before anything else is sent. */
export function* ask(session: Session, question: Question): Script<Answer | Failure> {
  const { at, command, protection, header, data, otherwise } = question;
  const [reply] = yield [wrap(session, command, protection, header, data)];
  const response = parseResponse(reply ?? new Uint8Array());
  if (response === null) return failure(at, 'lost', otherwise, null);
  if (!goesOn(response.status)) return failure(at, 'refused', otherwise, response.status);
  const plain = unwrap(session, protection, response);
  if (plain === null) return failure(at, 'garbled', otherwise, response.status);
  if (question.replyLength !== null && plain.length !== question.replyLength) {
    return failure(at, 'garbled', question.proven ?? otherwise, response.status);
  }
  return { ok: true, data: plain, session: advance(session) };
}
