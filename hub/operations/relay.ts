/** Relay: plays the hub's card scripts through a kiosk, one conversation at a time, a batch of commands a turn. */
import type { Failure, Script } from '../../cards/script.ts';
import type { KioskNo } from '../../protocol/ids.ts';
import type { RelayEnd, RelayRequest, RelayStart } from '../../protocol/relay.ts';
import type { Operation, Reply, Request } from '../mqtt/router.ts';
import type { Kiosk } from '../store/registry.ts';

/** A deed that has begun: what goes to the card next, or how it ended. */
export interface Begun {
  /** @param responses of the card to the commands before; none at first. */
  next(responses: readonly Uint8Array[]): readonly Uint8Array[] | Promise<Next>;
}

type Next = readonly Uint8Array[] | RelayEnd | Refused;

export type Refused = Extract<Reply, { readonly refusal: unknown }>;

/** Begins one kind of deed with the card on a kiosk's reader, or says why not. */
export type Begin<D extends RelayStart['deed']> = (
  kiosk: Kiosk,
  start: Extract<RelayStart, { readonly deed: D }>,
) => Begun | Refused;

export type Deeds = { readonly [D in RelayStart['deed']]: Begin<D> };

/** A deed that begins once something is known, or ends with it. */
export function awaited(known: Promise<Begun | RelayEnd>): Begun {
  let running: Begun | null = null;
  return {
    next(responses) {
      if (running !== null) return running.next(responses);
      return known.then((first) => {
        if ('done' in first) return first;
        running = first;
        return first.next([]);
      });
    },
  };
}

/**
 * A script as a deed.
 * @param end what the end of the script means, called once: the deed's own end, or how it goes on with the card.
 */
export function begun<T>(script: Script<T>, end: (result: T) => Promise<Begun | RelayEnd>): Begun {
  let started = false;
  let rest: Begun | null = null;
  return {
    next(responses) {
      if (rest !== null) return rest.next(responses);
      const turn = started ? script.next(responses) : script.next();
      started = true;
      if (!turn.done) return turn.value;
      rest = awaited(end(turn.value));
      return rest.next([]);
    },
  };
}

/** How a script that ended early is told. */
export const failed = ({ reason, at }: Failure): RelayEnd => ({ done: null, failure: reason, at });

interface Talk {
  readonly name: string;
  readonly begun: Begun;
  turn: number;
  /** True once the hub has said how it ended. */
  over: boolean;
  /** The answer to the latest turn: a request that comes again gets the same one, and the card is asked nothing new. */
  answer: Promise<Reply>;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');

function step(talk: Omit<Talk, 'answer'>, responses: readonly Uint8Array[]): Promise<Reply> {
  const { name, begun, turn } = talk;
  const told = (next: Next): Reply => {
    if ('refusal' in next) return next;
    const rest = 'done' in next ? { end: next } : { commands: next.map(hex) };
    return { body: JSON.stringify({ talk: name, turn, ...rest }) };
  };
  const next = begun.next(responses);
  if (!(next instanceof Promise)) return Promise.resolve(told(next));
  // Nothing more is taken up before it is known to go on.
  talk.over = true;
  return next.then((said) => {
    talk.over = !('length' in said);
    return told(said);
  });
}

/**
 * One conversation a kiosk: a new one ends the one before, whose card has left. Kept in memory only: what must outlive
 * a crash is in the registry's journal and the ledger, and every script can be begun again.
 */
export function makeRelay(deeds: Deeds): Operation<'relay'> {
  const talks = new Map<KioskNo, Talk>();

  function start({ kiosk }: Request<'relay'>, name: string, asked: RelayStart): Promise<Reply> {
    const before = talks.get(kiosk.no);
    if (before?.name === name && before.turn === 0) return before.answer;
    talks.delete(kiosk.no);
    const begin = deeds[asked.deed] as Begin<typeof asked.deed>;
    const deed = begin(kiosk, asked);
    if ('refusal' in deed) return Promise.resolve(deed);
    const opened = { name, begun: deed, turn: 0, over: false };
    const talk: Talk = Object.assign(opened, { answer: step(opened, []) });
    talks.set(kiosk.no, talk);
    return talk.answer;
  }

  return async (request) => {
    const body: RelayRequest = request.body;
    if ('start' in body) return start(request, body.talk, body.start);
    const { no } = request.kiosk;
    const talk = talks.get(no);
    if (talk?.name === body.talk && talk.turn === body.turn) return talk.answer;
    if (talk?.name !== body.talk || talk.over || talk.turn + 1 !== body.turn) {
      return { refusal: 'talk-lost', detail: `no conversation ${body.talk} waits for turn ${body.turn}` };
    }
    talk.turn = body.turn;
    try {
      talk.answer = step(
        talk,
        body.responses.map((text) => Buffer.from(text, 'hex')),
      );
    } catch (fault) {
      talks.delete(no);
      throw fault;
    }
    return talk.answer;
  };
}
