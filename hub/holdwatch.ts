/** Hold watch: tells how long money has been set aside, and of what should have ended; it ends nothing itself. */
import { spellRupiah } from '../protocol/money.ts';
import type { RaiseAlarm } from './alarms.ts';
import type { Edges } from './edges.ts';
import type { HubMetrics } from './metrics.ts';
import type { Ledger, OpenHold } from './store/ledger.ts';

export interface HoldWatchDeps extends Pick<Edges, 'now' | 'later' | 'log'> {
  readonly ledger: Pick<Ledger, 'holds'>;
  readonly metrics: Pick<HubMetrics, 'holds' | 'oldestHold'>;
  readonly alarm: RaiseAlarm;
}

const WATCH_MS = 15_000;
/** A hold that was not released is void at its end: one that is there a minute later means that nobody sweeps. */
const SWEPT_MS = 60_000;
/** What was released waits for a kiosk, a biller or officers: after this long somebody should look. */
const WAITS_MS = 3_600_000;

const minutes = (ms: number) => Math.floor(ms / 60_000);

/** Why somebody should look at a hold, or null. */
function fault(
  { state, at, until, released, amount, outlet }: OpenHold,
  now: number,
): readonly [string, string] | null {
  const what = `${spellRupiah(BigInt(amount))} at ${outlet}`;
  if (state === 'held') {
    if (now < until + SWEPT_MS) return null;
    return [
      'hold-unswept',
      `${what} is held since ${minutes(now - at)} min: the sweeper has stopped; start the hub again`,
    ];
  }
  const waited = now - (released ?? at);
  if (waited < WAITS_MS) return null;
  return ['hold-waits', `${what} was released ${minutes(waited)} min ago and has no end; simpul-hub holds list`];
}

/** Watches until it is stopped; each hold is told of once for each fault. Returns how to stop. */
export function startHoldWatch({ ledger, metrics, alarm, now, later, log }: HoldWatchDeps): () => void {
  let callOff = () => {};
  let told = new Set<string>();

  function look(holds: readonly OpenHold[]): void {
    const at = now();
    for (const state of ['held', 'released'] as const) {
      const ages = holds.filter((hold) => hold.state === state).map((hold) => at - (hold.released ?? hold.at));
      metrics.holds.set({ state }, ages.length);
      metrics.oldestHold.set({ state }, Math.max(0, ...ages) / 1000);
    }
    const still = new Set<string>();
    for (const hold of holds) {
      const found = fault(hold, at);
      if (found === null) continue;
      const [kind, detail] = found;
      const pair = `${hold.kiosk}/${hold.seq}`;
      const name = `${kind} ${hold.key.origin}/${hold.seq}`;
      if (!told.has(name)) alarm(kind, String(hold.kiosk), `${pair}: ${detail}`);
      still.add(name);
    }
    // Only open holds are remembered: there is no end to those that ended.
    told = still;
  }

  const watch = () => {
    ledger.holds().then(look, (err: unknown) => log.error({ err }, 'the open holds could not be read'));
    callOff = later(watch, WATCH_MS);
  };
  watch();
  return () => callOff();
}
