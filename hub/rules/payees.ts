/** Payees: who earns what an outlet takes, in parts by weight (TRUTH section 11, its end). */
import type { CooperativeId, MemberId, OutletId } from '../../protocol/ids.ts';
import { splitByWeight } from '../../protocol/tariffs.ts';
import { type Account, accountName, incomeOf, memberOf, payoutOf, receivableOf } from './accounts.ts';
import type { Guard, Instruction, Part } from './entries.ts';

/** Most payees of an outlet. */
export const PAYEES_MAX = 6;
/** Heaviest weight of a payee. */
export const WEIGHT_MAX = 10_000;

/** One who earns a part of what an outlet takes; its weight over the sum of weights is its share. */
export type Payee = { readonly weight: number } & (
  | /** The outlet's cooperative earns it as income. */ { readonly to: 'cooperative' }
  /**
   * Takings at the outlet's cooperative: the outlet's own, or an account by another name, which several outlets may
   * share and which belongs to `owner` (left out: to the cooperative).
   */
  | { readonly to: 'payout'; readonly name?: string; readonly owner?: MemberId }
  /** A member's account at home, paid at once, by way of both cooperatives' positions if that is elsewhere. */
  | { readonly to: 'member'; readonly cooperative: CooperativeId; readonly member: MemberId }
);

/** What of an outlet says who earns its sales. */
export interface Earner {
  readonly id: OutletId;
  readonly cooperative: CooperativeId;
  readonly owner?: MemberId;
  readonly payees?: readonly Payee[];
}

/** An account of takings, and whose it is; null: the cooperative's. */
export interface Takings {
  readonly cooperative: CooperativeId;
  readonly name: string;
  readonly owner: MemberId | null;
}

function accountOf({ id, cooperative }: Earner, payee: Payee): Account {
  if (payee.to === 'cooperative') return incomeOf(cooperative);
  if (payee.to === 'member') return memberOf(payee.cooperative, payee.member);
  return payoutOf(cooperative, payee.name ?? id);
}

/**
 * Splits what is earned, by largest remainder; the parts sum to it.
 * @param amount in rupiah, less the fee, not negative.
 * @returns undefined where the outlet earns it all.
 */
export function partsOf(outlet: Earner, amount: bigint): readonly Part[] | undefined {
  const { payees } = outlet;
  if (payees === undefined || payees.length === 0) return undefined;
  const split = splitByWeight(
    amount,
    payees.map(({ weight }) => weight),
  );
  return payees.map((payee, index) => ({ account: accountOf(outlet, payee), amount: split[index] ?? 0n }));
}

/** Other cooperatives whose members the outlet pays. */
export function homesElsewhere({ cooperative, payees = [] }: Earner): readonly CooperativeId[] {
  return payees.flatMap((payee) =>
    payee.to === 'member' && payee.cooperative !== cooperative ? [payee.cooperative] : [],
  );
}

/** What a registry can say of those whom an outlet names. */
export interface PayeeBook {
  readonly homeOf: (member: MemberId) => CooperativeId | undefined;
  /** Every outlet; an older row of the same one does not count. */
  readonly others: Iterable<Earner>;
}

function payeeFault({ homeOf }: PayeeBook, payee: Payee): string | null {
  const { weight } = payee;
  if (!Number.isSafeInteger(weight) || weight < 1 || weight > WEIGHT_MAX) {
    return `each weight must be a whole number from 1 to ${WEIGHT_MAX}`;
  }
  if (payee.to === 'member' && homeOf(payee.member) !== payee.cooperative) {
    return `no member ${payee.member} is known${payee.cooperative === '' ? '' : ` at ${payee.cooperative}`}`;
  }
  if (payee.to !== 'payout' || payee.owner === undefined) return null;
  if (payee.name === undefined) return 'its own takings belong to its owner: name that one at the outlet';
  return homeOf(payee.owner) === undefined ? `the owner ${payee.owner} of ${payee.name} is not known` : null;
}

/** How takings of one name would be two people's: money that one earned must not be another's to ask for. */
function nameFault(outlet: Earner, other: Earner): string | null {
  if (other.cooperative !== outlet.cooperative) return null;
  for (const payee of outlet.payees ?? []) {
    if (payee.to !== 'payout' || payee.name === undefined) continue;
    if (payee.name === other.id) return `takings called ${payee.name} are those of the outlet ${other.id}`;
    for (const there of other.payees ?? []) {
      if (there.to === 'payout' && there.name === payee.name && there.owner !== payee.owner) {
        return `takings called ${payee.name} have another owner at ${other.id}`;
      }
    }
  }
  const taken = other.payees?.some((payee) => payee.to === 'payout' && payee.name === outlet.id);
  return taken ? `the outlet ${other.id} has takings of this name` : null;
}

/** Says what is wrong with the owner and payees of an outlet, in words for the officer who typed them, or null. */
export function payeesFault(outlet: Earner, book: PayeeBook): string | null {
  const { owner, payees = [] } = outlet;
  if (owner !== undefined && book.homeOf(owner) === undefined) return `its owner ${owner} is not known`;
  if (payees.length > PAYEES_MAX) return `more than ${PAYEES_MAX} payees`;
  for (const payee of payees) {
    const fault = payeeFault(book, payee);
    if (fault !== null) return fault;
  }
  const names = payees.map((payee) => accountName(accountOf(outlet, payee)));
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) return `${twice} is named twice`;
  if (named(outlet, outlet.id)) return 'its own takings have no name: leave the name out';
  for (const other of book.others) {
    const fault = other.id === outlet.id ? null : nameFault(outlet, other);
    if (fault !== null) return fault;
  }
  return null;
}

const named = (outlet: Earner, name: string) =>
  outlet.payees?.find((payee) => payee.to === 'payout' && payee.name === name);

/** Whether an outlet holds or names these takings. */
export function holdsTakings(outlet: Earner, { cooperative, name }: Omit<Takings, 'owner'>): boolean {
  return outlet.cooperative === cooperative && (outlet.id === name || named(outlet, name) !== undefined);
}

/** Takings that an outlet of the cooperative holds under its own id or names as a payee; null if none does. */
export function takingsOf(outlets: Iterable<Earner>, cooperative: CooperativeId, name: string): Takings | null {
  for (const outlet of outlets) {
    if (outlet.cooperative !== cooperative) continue;
    if (outlet.id === name) return { cooperative, name, owner: outlet.owner ?? null };
    const payee = named(outlet, name);
    if (payee?.to === 'payout') return { cooperative, name, owner: payee.owner ?? null };
  }
  return null;
}

/** What takings owe their cooperative must be paid before they are. */
export function debtFree({ cooperative, name }: Takings): Guard {
  return { kind: 'idle', account: receivableOf(cooperative, name) };
}

/** Has takings pay what they owe; how much that is, the post finds. */
export function collection({ cooperative, name }: Takings): Instruction {
  const figures = { takings: payoutOf(cooperative, name), owed: receivableOf(cooperative, name), amount: 0n };
  return { kind: 'collect', figures };
}
