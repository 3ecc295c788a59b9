/** Allowance: how many alarm rows and log lines a minute one kiosk may cause, so that nobody can fill the disk. */

/** Rows or lines a minute of one kind from one kiosk. */
export const ALARMS_A_MINUTE = 20;

/**
 * Starts to count.
 * @returns to be asked before each row; false once its minute has had enough of this kind from this kiosk.
 */
export function makeAllowance(): (alarm: {
  readonly at: number;
  readonly kind: string;
  readonly kiosk: string;
}) => boolean {
  let minute = 0;
  const rows = new Map<string, number>();
  return ({ at, kind, kiosk }) => {
    const current = Math.floor(at / 60_000);
    if (current !== minute) {
      minute = current;
      rows.clear();
    }
    const source = `${kind} ${kiosk}`;
    const count = (rows.get(source) ?? 0) + 1;
    rows.set(source, count);
    return count <= ALARMS_A_MINUTE;
  };
}
