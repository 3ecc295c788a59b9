/** Derive: entries whose legs depend on what stands in the books at the post itself, and not before. */
import { rupiah } from '../../../protocol/money.ts';
import type { Receipt } from '../../../protocol/receipt.ts';
import { accountKinds, lossOf } from '../../rules/accounts.ts';
import type { Entry, FeeShare, Instruction, PaymentFigures, ReturnFigures, ReturnKind } from '../../rules/entries.ts';
import { entryOf, returnEntry } from '../../rules/postings.ts';
import { judgeReturn, type Original, payeesOf } from '../../rules/returns.ts';
import { type DecisionKey, VOID_ORIGIN } from '../ledger.ts';
import { type Decision, keyNumber } from './decisions.ts';
import { alarm, type Desk, declined, type Refused } from './judge.ts';

/** An entry ready to be judged. */
export interface Derived {
  readonly entry: Entry;
  /** What it moves, where the request could not know. */
  readonly amount?: bigint;
  /** `keyNumber` of the payment it takes back. */
  readonly original?: number;
  /** What else is to be written once it is approved. */
  readonly approved?: () => void;
}

/** What the books lack of a purse that paid is the issuer's: a green light is a promise (TRUTH section 7). */
function purseSale(desk: Desk, key: DecisionKey, at: number, figures: PaymentFigures): Derived {
  const [purse] = figures.from;
  if (purse === undefined || purse.account.kind !== 'purse') throw new RangeError('a purse sale is paid by a purse');
  const left = desk.books.free(purse.account);
  if (left >= purse.amount) return { entry: entryOf({ kind: 'purse-sale', figures }) };
  const lost = purse.amount - left;
  const { cooperative, owner } = purse.account;
  const from = [
    { account: purse.account, amount: left },
    { account: lossOf(cooperative, owner), amount: lost },
  ];
  const word = `the books have ${left} in the purse of card ${owner}, which proves that it paid ${purse.amount}`;
  return {
    entry: entryOf({ kind: 'purse-sale', figures: { ...figures, from } }),
    approved: () => alarm(desk, at, key, 'guarantee-loss', `${word}; ${lost} is the issuer's loss`),
  };
}

const RETURNABLE = ['purchase', 'purse-sale'];

/** The payment as its decision and legs have it; null if it cannot be taken back. */
function originalOf(desk: Desk, decision: Decision | null): Original | null {
  if (decision === null || decision.outcome !== 'approved' || !RETURNABLE.includes(decision.kind ?? '')) return null;
  const receipt = JSON.parse(decision.receipt) as Receipt;
  const shares = receipt.shares.map(({ to, amount }) => ({ to, amount: rupiah(amount) })) as FeeShare[];
  const { issuer, acquirer } = receipt as unknown as Pick<Original, 'issuer' | 'acquirer'>;
  const priced = { issuer, acquirer, amount: decision.amount, fee: rupiah(receipt.fee), shares };
  const legs = desk.legsOf(decision);
  const loss = legs.find((leg) => leg.account.kind === 'guarantee-loss');
  const lost = loss === undefined ? {} : { lost: { account: loss.account, amount: -loss.amount } };
  return { ...priced, ...lost, to: payeesOf(legs, priced) };
}

/** `origin/seq`, as the books name a payment. */
function keyNamed(name: string): DecisionKey {
  const [origin = '', seq = ''] = name.split('/');
  return { origin: Number(origin), seq: Number(seq) };
}

/** Refunds, voids and disputes, against all that was taken back of the payment so far, in this batch too. */
export function deriveReturn(desk: Desk, kind: ReturnKind | 'void', figures: ReturnFigures): Derived | Refused {
  const key = keyNamed(figures.original);
  // The accounts of a dispute are named after it: two spellings would be two disputes.
  if (figures.original !== `${key.origin}/${key.seq}`) throw new RangeError(`${figures.original} is no payment's name`);
  if (key.origin >= VOID_ORIGIN) throw new RangeError(`${figures.original} is no kiosk's payment`);
  const number = keyNumber(key);
  const original = originalOf(desk, desk.decisions.find(number));
  const named = { ...figures, member: desk.returned.member(number) ?? figures.member };
  const returned = desk.returned.of(number);
  const judged = judgeReturn({ kind, figures: named, original, returned, free: desk.books.free });
  if ('refuse' in judged) return declined(judged.refuse);
  const { legs, amount, fee } = judged;
  // A refund is answered to the outlet, at which the member need not be: what the member has is not said there.
  const payer = kind === 'refund' ? null : named.member;
  const entry = returnEntry(kind, { legs, authority: figures.authority, payer, fee });
  const approved = () => desk.returned.put(number, judged.returned, named.member);
  return { entry, amount, original: number, approved };
}

/** Makes the entry that is asked for. @throws RangeError if it cannot be meant: a bug of the caller or rules. */
export function derive(desk: Desk, key: DecisionKey, at: number, instruction: Instruction): Derived | Refused {
  switch (instruction.kind) {
    case 'purse-sale':
      return purseSale(desk, key, at, instruction.figures);
    case 'collect': {
      const { takings, owed } = instruction.figures;
      const [left, due] = [desk.books.free(takings), -desk.books.free(owed)];
      const amount = left < due ? left : due;
      if (amount <= 0n) return declined(accountKinds.receivable.refusal);
      return { entry: entryOf({ kind: 'collect', figures: { takings, owed, amount } }), amount };
    }
    case 'refund':
    case 'dispute':
    case 'dispute-won':
    case 'dispute-lost':
    case 'dispute-lapsed':
      return deriveReturn(desk, instruction.kind, instruction.figures);
    default:
      return { entry: entryOf(instruction) };
  }
}
