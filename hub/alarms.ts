/** Alarms: one call writes the ledger's row, the log line and the counter. */
import type { Logger } from 'pino';
import { makeAlarmLimit } from './alarmlimit.ts';
import type { HubMetrics } from './metrics.ts';
import type { Alarm } from './store/ledger.ts';

/**
 * Raises an alarm.
 * @param kind short fixed name, for example `topic-foreign`
 * @param kiosk name of the kiosk it is about, or `-`
 * @param detail a sentence for the operator
 */
export type RaiseAlarm = (kind: string, kiosk: string, detail: string) => void;

export interface Alarms {
  readonly raise: RaiseAlarm;
  /**
   * For alarms whose row the ledger has written itself, in the commit of the decision: the log line and the
   * counter.
   */
  readonly echo: RaiseAlarm;
}

interface AlarmDeps {
  readonly now: () => number;
  readonly write: (alarm: Alarm) => Promise<void>;
  readonly metrics: HubMetrics;
  readonly log: Logger;
}

export function makeAlarms({ now, write, metrics, log }: AlarmDeps): Alarms {
  const within = makeAlarmLimit();
  /** Counts the alarm; says it in the log too if its source has not said too much of late. */
  function say(kind: string, kiosk: string, detail: string, at: number): boolean {
    metrics.alarms.inc({ kind });
    const said = within(kind, kiosk, at);
    if (said) log.warn({ alarm: kind, kiosk }, detail);
    return said;
  }
  return {
    raise(kind, kiosk, detail) {
      const at = now();
      if (!say(kind, kiosk, detail, at)) return;
      const failed = (err: unknown) => log.error({ err, alarm: kind, kiosk }, 'alarm not written');
      write({ at, kind, kiosk, detail }).catch(failed);
    },
    echo: (kind, kiosk, detail) => void say(kind, kiosk, detail, now()),
  };
}
