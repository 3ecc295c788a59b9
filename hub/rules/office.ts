/** Office deeds: what two officers may enter in their cooperative's own books, and the entry that each is. */
import type { CardUid, CooperativeId, MemberId, OutletId } from '../../protocol/ids.ts';
import {
  type Account,
  bankOf,
  billerOf,
  budgetOf,
  drawerOf,
  equityOf,
  lossOf,
  payoutOf,
  receivableOf,
} from './accounts.ts';
import type { Guard, Instruction } from './entries.ts';

/** What may be set aside or paid in; each but the bank has an owner. */
export const PROVISIONS = ['bank', 'biller', 'budget', 'drawer'] as const;
export type Provision = (typeof PROVISIONS)[number];

/** A deed as it is to be posted. */
export interface OfficeDeed {
  readonly cooperative: CooperativeId;
  /** In rupiah; of a collection the most that it may come to. */
  readonly amount: bigint;
  readonly instruction: Instruction;
  readonly guards: readonly Guard[];
  readonly outlet: OutletId | null;
  readonly card: CardUid | null;
}

interface Sum {
  readonly cooperative: CooperativeId;
  readonly amount: bigint;
}

const plain = { guards: [], outlet: null, card: null } as const;

/** Moves own money between two accounts of the same books; what is proven elsewhere is refused by the postings. */
export function adjustment(sum: Sum, debit: Account, credit: Account, reason: string): OfficeDeed {
  const { cooperative, amount } = sum;
  return {
    ...plain,
    cooperative,
    amount,
    instruction: { kind: 'adjustment', figures: { debit, credit, amount, reason } },
  };
}

/** A debt that will not be paid becomes the cooperative's loss. */
export const writeOff = (sum: Sum, owner: string, reason: string): OfficeDeed =>
  adjustment(sum, lossOf(sum.cooperative, owner), receivableOf(sum.cooperative, owner), reason);

/**
 * Money paid in to the bank or set aside for rewards is the cooperative's capital; what is prepaid at a biller or laid
 * in a drawer comes from the bank. Cash in a drawer may all be paid out again.
 */
export function provision(sum: Sum, what: Provision, owner: string, reason: string): OfficeDeed {
  const { cooperative, amount } = sum;
  const outlet = what === 'drawer' ? (owner as OutletId) : null;
  const sides: Readonly<Record<Provision, readonly [Account, Account]>> = {
    bank: [bankOf(cooperative), equityOf(cooperative)],
    biller: [billerOf(cooperative, owner), bankOf(cooperative)],
    budget: [equityOf(cooperative), budgetOf(cooperative, owner)],
    drawer: [drawerOf(cooperative, owner as OutletId), bankOf(cooperative)],
  };
  const [debit, credit] = sides[what];
  const guards: Guard[] = outlet === null ? [] : [{ kind: 'float', outlet, delta: amount }];
  const instruction = { kind: 'provision', figures: { debit, credit, amount, reason } } as const;
  return { cooperative, amount, instruction, guards, outlet, card: null };
}

/** What the books know of a purse goes back to its member's account (TRUTH section 8). */
export function purseReturn(issuer: CooperativeId, member: MemberId, card: CardUid, amount: bigint): OfficeDeed {
  const figures = { issuer, member, card, amount };
  return { ...plain, cooperative: issuer, amount, card, instruction: { kind: 'purse-return', figures } };
}

/** Takings pay a debt to the cooperative, as much as both allow at the post. */
export function collection(cooperative: CooperativeId, takings: string, owner: string): OfficeDeed {
  const owed = receivableOf(cooperative, owner);
  const figures = { takings: payoutOf(cooperative, takings), owed, amount: 0n };
  return { ...plain, cooperative, amount: 0n, instruction: { kind: 'collect', figures } };
}
