/** Alarms: one call writes the ledger's row, the log line and the counter. */
import type { Logger } from 'pino';
import { makeAllowance } from './allowance.ts';
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
  const mayWrite = makeAllowance();
  const echo = (kind: string, kiosk: string, detail: string): Alarm | null => {
    metrics.alarms.inc({ kind });
    const alarm = { at: now(), kind, kiosk, detail };
    if (!mayWrite(alarm)) return null;
    log.warn({ alarm: kind, kiosk }, detail);
    return alarm;
  };
  const raise: RaiseAlarm = (kind, kiosk, detail) => {
    const alarm = echo(kind, kiosk, detail);
    if (alarm === null) return;
    write(alarm).catch((err: unknown) => log.error({ err, alarm: kind, kiosk }, 'alarm not written'));
  };
  return { raise, echo };
}
