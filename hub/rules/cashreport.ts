/** Cash report: movements of cash by one person within one business day, against the marks of a licence. */
import type { CooperativeId } from '../../protocol/ids.ts';
import type { LicenceOf } from './licence.ts';

export type CashDirection = 'in' | 'out';

/** Cash that crossed a counter for somebody. */
export interface CashMovement {
  /** Business date, `YYYY-MM-DD`. */
  readonly date: string;
  /** The person's cooperative and account: a member, or an outlet whose takings were paid out. */
  readonly home: CooperativeId;
  readonly person: string;
  /** The counter's cooperative. */
  readonly counter: CooperativeId;
  readonly direction: CashDirection;
  /** In rupiah, above zero. */
  readonly amount: bigint;
}

/** What one cooperative has to report, or to note, of one person on one day: deposits and withdrawals apart. */
export interface CashLine {
  readonly date: string;
  /** Whose report it belongs in. */
  readonly cooperative: CooperativeId;
  readonly home: CooperativeId;
  readonly person: string;
  readonly direction: CashDirection;
  readonly movements: number;
  /** In rupiah. */
  readonly sum: bigint;
  /** `report`: the threshold is reached; `notice`: only the lower mark. */
  readonly mark: 'report' | 'notice';
}

/**
 * Sums cash by person, day and direction, once for the person's own cooperative (wherever the cash was) and once for
 * each other one over whose counters it went, and keeps what reaches a mark of that cooperative's licence.
 */
export function cashLines(movements: Iterable<CashMovement>, licenceOf: LicenceOf): CashLine[] {
  const sums = new Map<string, Omit<CashLine, 'mark'>>();
  for (const { date, home, person, counter, direction, amount } of movements) {
    for (const cooperative of new Set([home, counter])) {
      const key = [date, cooperative, home, person, direction].join(' ');
      const before = sums.get(key);
      const [count, sum] = [(before?.movements ?? 0) + 1, (before?.sum ?? 0n) + amount];
      sums.set(key, { date, cooperative, home, person, direction, movements: count, sum });
    }
  }
  const lines = [...sums.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  return lines.flatMap(([, line]): CashLine[] => {
    const { cashThreshold, cashNotice } = licenceOf(line.cooperative);
    if (cashThreshold !== null && line.sum >= cashThreshold) return [{ ...line, mark: 'report' }];
    return cashNotice !== null && line.sum >= cashNotice ? [{ ...line, mark: 'notice' }] : [];
  });
}
