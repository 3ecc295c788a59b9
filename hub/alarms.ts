/** Alarms: one call writes the ledger's row, the log line and the counter. */
import type { Logger } from 'pino';
import type { HubMetrics } from './metrics.ts';
import type { Alarm } from './store/ledger.ts';

/**
 * Rows a minute of one kind from one kiosk; beyond, alarms are counted but not written, so that nobody can fill
 * the disk.
 */
const ROWS_A_MINUTE = 20;

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
  let minute = 0;
  const rows = new Map<string, number>();
  const raise: RaiseAlarm = (kind, kiosk, detail) => {
    const at = now();
    const current = Math.floor(at / 60_000);
    if (current !== minute) {
      minute = current;
      rows.clear();
    }
    const source = `${kind} ${kiosk}`;
    const count = (rows.get(source) ?? 0) + 1;
    rows.set(source, count);
    if (count > ROWS_A_MINUTE) return void metrics.alarms.inc({ kind });
    echo(kind, kiosk, detail);
    const failed = (err: unknown) => log.error({ err, alarm: kind, kiosk }, 'alarm not written');
    write({ at, kind, kiosk, detail }).catch(failed);
  };
  const echo: RaiseAlarm = (kind, kiosk, detail) => {
    metrics.alarms.inc({ kind });
    log.warn({ alarm: kind, kiosk }, detail);
  };
  return { raise, echo };
}
