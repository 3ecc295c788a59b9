/** Float: what a cooperative's customers hold, against what covers it; and whose money an account stands for. */

/** What an account counts as when a cooperative asks whether its customers' money is there. */
type Role = 'members' | 'purses' | 'transit' | 'payouts' | 'owed' | 'bank' | 'drawers' | 'position' | 'assets' | 'own';

const roles: Readonly<Record<string, Role>> = {
  member: 'members',
  purse: 'purses',
  'in-transit': 'transit',
  payout: 'payouts',
  bank: 'bank',
  drawer: 'drawers',
  position: 'position',
  // The cooperative's own: no customer may ask for it, and it covers nothing.
  'fee-income': 'own',
  'fee-expense': 'own',
  'guarantee-loss': 'own',
  provisional: 'own',
  'incentive-budget': 'own',
  equity: 'own',
  reserve: 'own',
};

/** A sum of accounts of one kind in one cooperative's books; balance = credits − debits, in rupiah. */
export interface KindSum {
  readonly kind: string;
  /** The bound of the kind (TRUTH section 7). */
  readonly bound: string;
  readonly balance: bigint;
}

/** Everything in rupiah, as a treasurer reads it: what is owed and what is there are both positive. */
export interface FloatReport {
  readonly members: bigint;
  readonly purses: bigint;
  readonly transit: bigint;
  readonly payouts: bigint;
  /** Suspense and whatever else is held for others. */
  readonly owed: bigint;
  /** All of the above. */
  readonly held: bigint;
  readonly bank: bigint;
  readonly drawers: bigint;
  /** Prepaid at billers, owed by outlets. */
  readonly assets: bigint;
  /** What other cooperatives owe it until settlement; below zero: what it owes them. */
  readonly position: bigint;
  /** Bank, drawers, other assets and position together. */
  readonly covering: bigint;
  /** `covering - held`: what is there beyond the customers' money, or below zero what is missing. */
  readonly difference: bigint;
  readonly covered: boolean;
}

/** What this page does not know counts to the customers where it may only be owed, to the assets where only held. */
function roleOf({ kind, bound }: KindSum): Role {
  const known = Object.hasOwn(roles, kind) ? roles[kind] : undefined;
  return known ?? (bound === 'credit' ? 'owed' : bound === 'debit' ? 'assets' : 'own');
}

/** Weighs what customers hold against what covers it, in one cooperative's books. */
export function floatOf(sums: readonly KindSum[]): FloatReport {
  const total = (role: Role) => sums.reduce((sum, one) => (roleOf(one) === role ? sum + one.balance : sum), 0n);
  const [members, purses, transit] = [total('members'), total('purses'), total('transit')];
  const [payouts, owed] = [total('payouts'), total('owed')];
  const [bank, drawers, assets, position] = [-total('bank'), -total('drawers'), -total('assets'), -total('position')];
  const held = members + purses + transit + payouts + owed;
  const covering = bank + drawers + assets + position;
  const difference = covering - held;
  const what = { members, purses, transit, payouts, owed, held };
  return { ...what, bank, drawers, assets, position, covering, difference, covered: difference >= 0n };
}
