/** The alarm limit: how many alarms of one kind one kiosk may have written down. */

/** Rows a minute of one kind from one kiosk; what is beyond is counted, not written: nobody may fill the disk. */
export const ALARMS_A_MINUTE = 20;

const MINUTE_MS = 60_000;

/** Whether one more alarm may be written. @param at milliseconds since 1970 UTC */
export type AlarmLimit = (kind: string, kiosk: string, at: number) => boolean;

export function makeAlarmLimit(): AlarmLimit {
  let minute = 0;
  const written = new Map<string, number>();
  return (kind, kiosk, at) => {
    const current = Math.floor(at / MINUTE_MS);
    if (current !== minute) {
      minute = current;
      written.clear();
    }
    const source = `${kind} ${kiosk}`;
    const count = (written.get(source) ?? 0) + 1;
    written.set(source, count);
    return count <= ALARMS_A_MINUTE;
  };
}
