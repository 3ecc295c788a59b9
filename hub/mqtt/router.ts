/** Routes what kiosks say to operations, in the order in which each said it; every failure becomes an answer. */
import { hash } from 'node:crypto';
import type { Logger } from 'pino';
import { bodyText, decode, type Envelope, type MessageKind } from '../../protocol/envelope.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import { type Conversation, conversations, type RefusalNote, type UpBody } from '../../protocol/topics.ts';
import type { RaiseAlarm } from '../alarms.ts';
import { makeAllowance } from '../allowance.ts';
import type { HubMetrics } from '../metrics.ts';
import type { Kiosk } from '../store/registry.ts';
import type { Answer, Session } from './session.ts';

/** What an operation has to say: JSON text of the answer's body, or a refusal without a decision. */
export type Reply =
  | { readonly body: string }
  | { readonly refusal: Refusal; readonly detail: string; readonly alarm?: string };

/** A request as an operation gets it. */
export interface Request<C extends Conversation> {
  readonly kiosk: Kiosk;
  readonly body: UpBody<C>;
  /** First 16 bytes of SHA-256 over the body's JSON text, hex. */
  readonly hash: string;
}

/**
 * Runs one conversation. All work up to the ledger's post happens before the first await: the router starts requests in
 * the order of arrival, and so they are posted in that order, without waiting for each other's commit.
 * @throws (or rejects) on faults, which the router answers with `hub-busy`.
 */
export type Operation<C extends Conversation> = (request: Request<C>) => Promise<Reply>;
export type Operations = { readonly [C in Conversation]: Operation<C> };

/** Requests of one kiosk that may wait for their answer at once. */
const WAITING_MAX = 64;

export interface RouterDeps {
  readonly operations: Operations;
  readonly alarm: RaiseAlarm;
  readonly metrics: HubMetrics;
  readonly log: Logger;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}

/** Gives the answer to one message, later; never throws. */
export type Receive = (
  session: Session,
  conversation: Conversation,
  text: string,
  respond: (answer: Answer) => void,
) => void;

/** A note that no decision was made, as JSON text. */
export function refusalAnswer(code: Refusal, detail: string, replyTo: string | undefined): Answer {
  const note: RefusalNote = { code, detail: detail.slice(0, 200) };
  return { name: 'refusal', replyTo, body: JSON.stringify(note) };
}

export function makeRouter(deps: RouterDeps): Receive {
  const { operations, alarm, metrics, log, now } = deps;
  const mayLog = makeAllowance();

  function run<C extends Conversation>(session: Session, conversation: C, text: string): Started {
    const decoded = decode(conversations[conversation].up as MessageKind<UpBody<C>>, text);
    if (!decoded.ok) return { id: decoded.id, reply: refused(decoded.refusal, `not a ${conversation} message`) };
    const { id, n } = decoded.message;
    const missing = session.hear(n);
    if (missing > 0) {
      metrics.gaps.inc(missing);
      const { name } = session.kiosk;
      const line = mayLog({ at: now(), kind: 'missing', kiosk: name });
      if (line) log.warn({ kiosk: name, n, missing }, 'messages of this connection are missing');
    }
    const { body } = decoded.message;
    const bodyHash = hashOf(decoded.message, text);
    if (bodyHash === null) return { id, reply: refused('message-malformed', 'nested too deeply') };
    const operation = operations[conversation] as Operation<C>;
    return { id, reply: attempt(() => operation({ kiosk: session.kiosk, body, hash: bodyHash })) };
  }

  return (session, conversation, text, respond) => {
    const from = session.kiosk.name;
    const started: Started =
      session.waiting < WAITING_MAX
        ? run(session, conversation, text)
        : { id: idOf(text), reply: refused('hub-busy', `more than ${WAITING_MAX} requests wait`) };
    session.waiting++;
    const finish = (answer: Answer, outcome: string) => {
      session.waiting--;
      metrics.answers.inc({ conversation, outcome });
      respond(answer);
    };
    started.reply.then(
      (reply) => {
        if ('body' in reply) return finish({ name: conversation, replyTo: started.id, body: reply.body }, 'answered');
        if (reply.alarm !== undefined) alarm(reply.alarm, from, reply.detail);
        finish(refusalAnswer(reply.refusal, reply.detail, started.id), reply.refusal);
      },
      (fault: unknown) => {
        // The one place for faults: nothing is known about the request, so nothing is said but "ask again".
        const line = mayLog({ at: now(), kind: 'fault', kiosk: from });
        if (line) log.error({ err: fault, kiosk: from, conversation }, 'an operation failed');
        finish(
          refusalAnswer('hub-busy', 'the hub failed; only asking again tells whether it decided', started.id),
          'fault',
        );
      },
    );
  };
}

/** First 16 bytes of SHA-256 over a body's JSON text, hex; null if unknown fields nest beyond what can be written. */
function hashOf(message: Envelope<unknown>, text: string): string | null {
  try {
    return hash('sha256', bodyText(message, text), 'hex').slice(0, 32);
  } catch {
    return null;
  }
}

interface Started {
  readonly id: string | undefined;
  readonly reply: Promise<Reply>;
}

function attempt(operation: () => Promise<Reply>): Promise<Reply> {
  try {
    return operation();
  } catch (fault) {
    return Promise.reject(fault);
  }
}

async function refused(refusal: Refusal, detail: string): Promise<Reply> {
  return { refusal, detail };
}

/** Reads a message's id without judging the message; undefined where there is none. */
export function idOf(text: string): string | undefined {
  return /"id":"([A-Za-z0-9_-]{1,32})"/.exec(text.slice(0, 1000))?.[1];
}
