/** The door: how often someone who was refused, or who breaks the protocol, may come again. */

/**
 * Bad visits a minute after which the door stays shut (certificates, strangers' addresses) or opens slowly (addresses
 * that kiosks come from).
 */
export const BAD_VISITS = 3;
const WINDOW_MS = 60_000;
/** Names remembered at once; the oldest are forgotten first. */
const REMEMBERED = 10_000;

/** Remembers a name as the newest. */
function remember<Value>(names: Map<string, Value>, name: string, value: Value): void {
  names.delete(name);
  names.set(name, value);
  if (names.size <= REMEMBERED) return;
  for (const oldest of names.keys()) {
    names.delete(oldest);
    break;
  }
}

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
    remember(this.#visits, name, recent);
    return recent.length;
  }

  /** True when the name has used up its bad visits of this minute. */
  shut(name: string): boolean {
    return this.#visits.has(name) && this.#recent(name).length >= BAD_VISITS;
  }

  /** Forgets the bad visits of a name. */
  forget(name: string): void {
    this.#visits.delete(name);
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
 * Handshakes of an address from which three brought no valid certificate within a minute go one at a time, and the
 * next one waits 250 ms unless this one turns out good. A stranger thus gets no more than four handshakes a second,
 * while a good kiosk behind the same address (a market's router) still comes in. Until a certificate is seen nothing
 * tells the two apart, so the address is slowed and never shut.
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

/** How long an address counts as one that kiosks come from. */
const KNOWN_MS = 24 * 60 * 60_000;
/** After the hub's start no address is shut for so long. */
const GRACE_MS = 5 * 60_000;

/**
 * What stands behind one door of the net: an IPv4 address, also where it is written as IPv6, or the /64 that IPv6 gives
 * each household.
 */
export function houseOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*/, '');
  if (!plain.includes(':')) return plain;
  const [head = [], tail = []] = plain.split('::').map((part) => part.split(':').filter((group) => group !== ''));
  const zeros = Array(Math.max(0, 8 - head.length - tail.length)).fill('0');
  return [...head, ...zeros, ...tail].slice(0, 4).join(':').toLowerCase();
}

/**
 * An address that no kiosk ever came from gets three handshakes a minute that bring no valid certificate, then none
 * until the minute is over. One that a kiosk came from within a day is slowed and never shut, so that a stranger behind
 * the market's router cannot keep the market's kiosks out. Addresses of kiosks are kept in memory only, since nothing
 * that the hub keeps on disk tells them (the registry knows keys, not places, and a place may change with any lease);
 * so after a start every address is slowed and not shut, until each kiosk had five times its longest back-off to come.
 */
export class Door {
  readonly #now: () => number;
  readonly #strangers: BadVisits;
  readonly #lanes: SlowLanes;
  readonly #opened: number;
  /** When a kiosk was last seen there. */
  readonly #known = new Map<string, number>();

  /** @param later runs something after so many milliseconds; returns how to call it off. */
  constructor(now: () => number, later: (run: () => void, ms: number) => () => void) {
    this.#now = now;
    this.#strangers = new BadVisits(now);
    this.#lanes = new SlowLanes(new BadVisits(now), later);
    this.#opened = now();
  }

  /**
   * Lets a connection in, now or in its turn, or sends it away.
   * @returns to be called once, with whether its handshake brought a valid certificate.
   */
  arrive(address: string, visitor: Visitor): (good: boolean) => void {
    const house = houseOf(address);
    const ended = this.#isKnown(house) ? this.#lanes.arrive(house, visitor) : this.#knock(house, visitor);
    return (good) => {
      if (good) this.remember(address);
      ended(good);
    };
  }

  /** Notes that a kiosk is at this address. */
  remember(address: string): void {
    remember(this.#known, houseOf(address), this.#now());
  }

  #isKnown(house: string): boolean {
    const now = this.#now();
    return now < this.#opened + GRACE_MS || now < (this.#known.get(house) ?? Number.NEGATIVE_INFINITY) + KNOWN_MS;
  }

  #knock(house: string, visitor: Visitor): (good: boolean) => void {
    if (this.#strangers.shut(house)) {
      visitor.leave();
      return () => undefined;
    }
    // Counted before it is known how it ends: of many that come at once no more than three may try.
    this.#strangers.note(house);
    visitor.enter();
    return (good) => {
      if (good) this.#strangers.forget(house);
    };
  }
}
