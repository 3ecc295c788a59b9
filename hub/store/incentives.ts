/** The incentives' port: rules that reward payments, and their budgets; changed by two officers, never untraced. */
import type { CooperativeId } from '../../protocol/ids.ts';
import type { Incentive } from '../rules/incentives.ts';
import type { Changed, Signed } from './limits.ts';

/** A change that was made. */
export interface IncentiveChange extends Signed {
  readonly what: 'add' | 'end' | 'fund';
  /** Of the rule; of a budget `cooperative/budget`. */
  readonly name: string;
  /** JSON object, amounts in rupiah. */
  readonly after: string;
}

export interface Incentives {
  /** Every rule there ever was, by its id; answered from memory. */
  incentives(): ReadonlyMap<string, Incentive>;
  /** Balance of a budget, in rupiah, at which its officers are warned; from memory. */
  budgetMark(cooperative: CooperativeId, budget: string): bigint;
  /** @returns why not: its id is taken, or it cannot be applied, or names what is not registered. */
  addIncentive(incentive: Incentive, signed: Signed): Changed;
  /** Ends a rule after this business date; one that ends sooner is not prolonged. */
  endIncentive(id: string, until: string, signed: Signed): Changed;
  /** Notes that money was set aside, and the mark of the warning, both in rupiah. */
  noteFunding(cooperative: CooperativeId, budget: string, amount: bigint, mark: bigint, signed: Signed): void;
  /** The changes made, the newest first. */
  incentiveChanges(limit: number): readonly IncentiveChange[];
}
