/** The hub's voice: the beacon of each ten seconds (TRUTH section 3), and whether the hub is there. */
import { encode } from '../protocol/envelope.ts';
import { BEACON_SECONDS, type Beacon, type HubState } from '../protocol/status.ts';
import { BEACON_TOPIC, HUB_STATE_TOPIC } from '../protocol/topics.ts';
import type { Vault } from './vault.ts';

export interface BeaconDeps {
  readonly vault: Pick<Vault, 'beacon'>;
  /** Number of the newest tariff book. */
  readonly tariffs: () => number | undefined;
  readonly retain: (topic: string, text: string) => Promise<void>;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  /** Runs something after so many milliseconds; returns how to call it off. */
  readonly later: (run: () => void, ms: number) => () => void;
}

/**
 * Says that the hub is there and publishes each beacon as its ten seconds begin. Numbers (`n`) count what this hub
 * said to all since it started, not per connection: both messages are retained.
 * @returns stops and says goodbye; resolves when the goodbye was written.
 */
export function startBeacon(deps: BeaconDeps, software: string): () => Promise<void> {
  const session = Buffer.from(deps.random(8)).toString('hex');
  let said = 0;
  const say = <Body>(topic: string, body: Body) => {
    said++;
    return deps.retain(topic, encode({ id: `${session}-${said.toString(36)}`, at: deps.now(), n: said, body }));
  };
  const state = (online: boolean) => say<HubState>(HUB_STATE_TOPIC, { session, online, software });
  let callOff = () => {};
  const beat = () => {
    const slot = Math.floor(deps.now() / 1000 / BEACON_SECONDS);
    const value = Buffer.from(deps.vault.beacon(slot)).toString('hex');
    const tariffs = deps.tariffs();
    void say<Beacon>(BEACON_TOPIC, tariffs === undefined ? { slot, value } : { slot, value, tariffs });
    callOff = deps.later(beat, (slot + 1) * BEACON_SECONDS * 1000 - deps.now());
  };
  void state(true);
  beat();
  return () => {
    callOff();
    return state(false);
  };
}
