/** Tariffs: what a payment costs, who pays it and who earns it, in exact rupiah. */
import type { EntryKind } from './entries.ts';

/** Parts of a fee by role; a part's weight over the sum of weights is its share. */
export type FeeRole = 'issuer' | 'acquirer' | 'platform';

export interface Tariff {
  /** Version named on receipts and signed for kiosks; never reused. */
  readonly version: number;
  readonly kind: EntryKind;
  /** Applies when issuer and acquirer are the same cooperative (`on-us`) or differ (`off-us`). */
  readonly reach: 'on-us' | 'off-us';
  /** In rupiah. */
  readonly fixed: bigint;
  /** Hundredths of a percent of the amount. */
  readonly basisPoints: number;
  readonly min: bigint;
  readonly max: bigint;
  readonly shares: readonly { readonly to: FeeRole; readonly weight: number }[];
  /** First business date it applies to, `YYYY-MM-DD`. */
  readonly from: string;
}
