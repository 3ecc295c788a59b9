/** The door: how often someone who was refused, or who breaks the protocol, may come again. */

/** Bad visits a minute after which the door stays shut (certificates) or opens slowly (addresses). */
export const BAD_VISITS = 3;
const WINDOW_MS = 60_000;
/** Names remembered at once; the oldest are forgotten first. */
const REMEMBERED = 10_000;

/** Counts bad visits by name within a sliding minute. */
export class BadVisits {
  readonly #now: () => number;
  readonly #visits = new Map<string, number[]>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Notes a bad visit; returns how many there were within the last minute, this one included. */
  note(name: string): number {
    const recent = [...this.#recent(name), this.#now()].slice(-BAD_VISITS);
    this.#visits.delete(name);
    this.#visits.set(name, recent);
    if (this.#visits.size > REMEMBERED) {
      for (const oldest of this.#visits.keys()) {
        this.#visits.delete(oldest);
        break;
      }
    }
    return recent.length;
  }

  /** True when the name has used up its bad visits of this minute. */
  shut(name: string): boolean {
    return this.#visits.has(name) && this.#recent(name).length >= BAD_VISITS;
  }

  #recent(name: string): number[] {
    const since = this.#now() - WINDOW_MS;
    return (this.#visits.get(name) ?? []).filter((at) => at > since);
  }
}

/** A lane's pace while its handshakes fail or hang, milliseconds: four of them a second. */
const PACE_MS = 250;
/** Connections that wait in one lane; beyond, the one that waited longest is let go. */
const LANE_LENGTH = 32;

interface Visitor {
  readonly enter: () => void;
  readonly leave: () => void;
}

interface Lane {
  readonly waiting: Visitor[];
  /** Moves the lane on; undefined while it is free. */
  onward: (() => void) | undefined;
}

/**
 * Handshakes of an address from which three brought no valid certificate within a minute go one at a time, and the next
 * one waits 250 ms unless this one turns out good. A stranger thus gets no more than four handshakes a second, while
 * a good
 * kiosk behind the same address (a market's router) still comes in. Until a certificate is seen nothing tells the two
 * apart, so the address is slowed and never shut.
 */
export class SlowLanes {
  readonly #bad: BadVisits;
  readonly #later: (run: () => void, ms: number) => () => void;
  readonly #lanes = new Map<string, Lane>();

  /** @param later runs something after so many milliseconds; returns how to call it off. */
  constructor(bad: BadVisits, later: (run: () => void, ms: number) => () => void) {
    this.#bad = bad;
    this.#later = later;
  }

  /**
   * Lets a connection in, now or in its turn.
   * @returns to be called once, with whether its handshake brought a valid certificate.
   */
  arrive(address: string, visitor: Visitor): (good: boolean) => void {
    const lane = this.#lanes.get(address);
    if (lane === undefined && !this.#bad.shut(address)) {
      visitor.enter();
      return (good) => {
        if (!good) this.#bad.note(address);
      };
    }
    return this.#queue(address, lane ?? { waiting: [], onward: undefined }, visitor);
  }

  #queue(address: string, lane: Lane, visitor: Visitor): (good: boolean) => void {
    this.#lanes.set(address, lane);
    let mine: (() => void) | undefined;
    const entry: Visitor = {
      enter: () => {
        mine = lane.onward;
        visitor.enter();
      },
      leave: visitor.leave,
    };
    lane.waiting.push(entry);
    if (lane.waiting.length > LANE_LENGTH) lane.waiting.shift()?.leave();
    this.#next(address, lane);
    return (good) => {
      const at = lane.waiting.indexOf(entry);
      if (at >= 0) lane.waiting.splice(at, 1);
      else if (!good) this.#bad.note(address);
      else if (mine !== undefined && mine === lane.onward) mine();
    };
  }

  #next(address: string, lane: Lane): void {
    if (lane.onward !== undefined) return;
    const next = lane.waiting.shift();
    if (next === undefined) {
      this.#lanes.delete(address);
      return;
    }
    const onward = () => {
      callOff();
      lane.onward = undefined;
      this.#next(address, lane);
    };
    const callOff = this.#later(onward, PACE_MS);
    lane.onward = onward;
    next.enter();
  }
}
