/** The loop of an issuing kiosk: events in, one pure step, effects out; and what it asks a card itself. */
import { Compile } from 'typebox/compile';
import { FACTORY_VERSION } from '../cards/keyring.ts';
import { LIGHT, NTAG } from '../cards/layout.ts';
import { type KeyVersions, keyVersions } from '../cards/opening.ts';
import { type Failure, play, type Script } from '../cards/script.ts';
import { CardUidSchema } from '../protocol/ids.ts';
import type { LinkEvent } from './link.ts';
import type { Reader, ReaderEvent } from './reader.ts';
import { makeRelay, type Relay } from './relay.ts';
import { issueView } from './rules/issuescreens.ts';
import { type IssueEffect, type IssueEvent, type Issuing, issueStep, newIssuing } from './rules/issuing.ts';
import type { Checked } from './rules/relayed.ts';
import type { Present } from './rules/sale.ts';
import type { RunDeps } from './run.ts';

export type IssueDeps = Pick<
  RunDeps,
  'reader' | 'link' | 'panel' | 'monotonic' | 'randomBytes' | 'timers' | 'log' | 'failed'
>;

export interface IssuingLoop {
  /** The state between two steps. */
  state(): Issuing;
  /** Stops the loop; link, reader and panel stay open for their owner to close. */
  stop(): void;
}

/** How often the age of the connection is drawn anew. */
const TICK_MS = 5_000;
const isUid = Compile(CardUidSchema);

/** Starts making cards: listens to panel, reader and link. */
export function issue(deps: IssueDeps): IssuingLoop {
  const loop = new Loop(deps);
  loop.start();
  return { state: () => loop.state, stop: () => loop.stop() };
}

/** Of whichever kind it is: a card that does not know the one name is asked by the other. */
function* versionsOfAny(): Script<KeyVersions | Failure> {
  const light = yield* keyVersions(LIGHT);
  return light.ok || light.reason !== 'not-ours' ? light : yield* keyVersions(NTAG);
}

/**
 * What the kiosk asks the card before the hub hears of it. Whoever relays a session under a known key learns every key
 * that is written in it, so a card whose key 0 is the factory's goes no further (TRUTH section 14).
 */
async function check(reader: Pick<Reader, 'transmit'>, { presence, uid }: Present): Promise<Checked> {
  if (!isUid.Check(uid)) return { kind: 'unfit', failure: 'not-ours', at: 'uid' };
  const told = await play(versionsOfAny(), (apdu) => reader.transmit(presence, apdu));
  if (!told.ok) return { kind: 'unfit', failure: told.reason, at: told.at };
  const blank = told.versions[0] === FACTORY_VERSION;
  return blank ? { kind: 'unfit', failure: 'not-prepared', at: 'key 0' } : { kind: 'prepared' };
}

class Loop {
  state: Issuing = newIssuing();
  readonly #deps: IssueDeps;
  readonly #relay: Relay;
  readonly #queue: IssueEvent[] = [];
  #tick: unknown;
  #busy = false;
  #stopped = false;

  constructor(deps: IssueDeps) {
    this.#deps = deps;
    this.#relay = makeRelay(deps);
  }

  start(): void {
    const { panel, reader, link } = this.#deps;
    this.#show();
    this.#draw();
    panel.listen((key) => this.#take({ type: 'pressed', key }));
    reader.listen((event) => this.#take(readerEvent(event)));
    link.listen((event) => this.#heard(event));
  }

  stop(): void {
    this.#stopped = true;
    this.#deps.timers.clearTimeout(this.#tick);
    // A conversation that nobody awaits any more must not keep its timer.
    this.#relay.cut();
  }

  #draw(): void {
    this.#tick = this.#deps.timers.setTimeout(() => {
      this.#show();
      this.#draw();
    }, TICK_MS);
  }

  /** Events are taken one at a time, in order; effects may add more. */
  #take(event: IssueEvent): void {
    if (this.#stopped) return;
    this.#queue.push(event);
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined && !this.#stopped; next = this.#queue.shift()) {
        const { state, effects } = issueStep(this.state, next, this.#deps.monotonic());
        this.state = state;
        this.#show();
        for (const effect of effects) this.#perform(effect);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#busy = false;
    }
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.stop();
    this.#deps.failed(error);
  }

  #show(): void {
    this.#deps.panel.show(issueView(this.state, this.#deps.monotonic()));
  }

  #perform(effect: IssueEffect): void {
    switch (effect.type) {
      case 'check': {
        const { presence } = effect.card;
        check(this.#deps.reader, effect.card).then(
          (checked) => this.#take({ type: 'checked', presence, checked }),
          (error) => this.#fail(error),
        );
        break;
      }
      case 'relay': {
        const { presence, uid } = effect.card;
        const moved = (turn: number): void => this.#take({ type: 'moved', presence, turn });
        this.#relay.talk(presence, { deed: 'service', uid }, moved).then(
          (relayed) => this.#take({ type: 'relayed', presence, relayed }),
          (error) => this.#fail(error),
        );
        break;
      }
      case 'log':
        this.#deps.log(effect.what, effect.detail);
        break;
    }
  }

  #heard(event: LinkEvent): void {
    switch (event.type) {
      case 'up':
        this.#take({ type: 'link', online: true });
        break;
      case 'down':
        this.#deps.log('link down', event.why);
        this.#take({ type: 'link', online: false });
        this.#relay.cut();
        break;
      case 'hub':
        this.#take(event);
        break;
      case 'refusal':
        this.#deps.log(`the hub refused: ${event.code}`, event.detail);
        this.#relay.refused(event.replyTo, event.code);
        break;
      case 'heard':
        if (event.conversation === 'relay') this.#relay.heard(event.body);
        break;
      case 'beacon':
        // Only sales are dated by it.
        break;
    }
  }
}

function readerEvent(event: ReaderEvent): IssueEvent {
  switch (event.type) {
    case 'ready':
      return { type: 'reader-ready' };
    case 'card':
      return { type: 'card', presence: event.presence, uid: event.uid };
    case 'gone':
      return { type: 'gone', presence: event.presence };
    case 'fault':
      return { type: 'reader-fault', why: event.why };
  }
}
