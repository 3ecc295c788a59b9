/** Postings: THE table from a kind of transaction to its balanced legs (TRUTH section 11). */
import { PLATFORM } from '../../protocol/ids.ts';
import {
  type Account,
  accountName,
  bankOf,
  drawerOf,
  expenseOf,
  incomeOf,
  isReady,
  memberOf,
  payoutOf,
  positionOf,
  purseOf,
  transitOf,
} from './accounts.ts';
import type {
  Authority,
  CardMoneyFigures,
  CardMoneyKind,
  CashFigures,
  CashKind,
  CollectFigures,
  Entry,
  EntryKind,
  FundingFigures,
  Instruction,
  Leg,
  OpeningFigures,
  OwnFigures,
  PaymentFigures,
  PurchaseFigures,
  ReturnKind,
} from './entries.ts';
import { credit, debit, mustFit, mustShare, paymentLegs, purchasePayment, shareOf } from './payment.ts';
import type { ReturnLegs } from './returns.ts';

interface Figures {
  readonly opening: OpeningFigures;
  readonly purchase: PurchaseFigures;
  readonly void: ReturnLegs;
  readonly 'reload-release': CardMoneyFigures;
  readonly reload: CardMoneyFigures;
  readonly 'reload-void': CardMoneyFigures;
  readonly drain: CardMoneyFigures;
  readonly 'purse-return': CardMoneyFigures;
  readonly deposit: CashFigures;
  readonly withdrawal: CashFigures;
  readonly funding: FundingFigures;
  readonly 'purse-sale': PaymentFigures;
  readonly transfer: PaymentFigures;
  readonly payout: PaymentFigures;
  readonly bill: PaymentFigures;
  readonly cashback: PaymentFigures;
  readonly points: PaymentFigures;
  readonly redeem: PaymentFigures;
  readonly 'reward-return': PaymentFigures;
  readonly refund: ReturnLegs;
  readonly dispute: ReturnLegs;
  readonly 'dispute-won': ReturnLegs;
  readonly 'dispute-lost': ReturnLegs;
  readonly 'dispute-lapsed': ReturnLegs;
  readonly provision: OwnFigures;
  readonly adjustment: OwnFigures;
  readonly collect: CollectFigures;
}

/**
 * One row a kind, legs in the order of TRUTH's table; the same account may stand twice there, as in the treasurer's
 * books. Legs of zero rupiah are left out.
 */
const table: { readonly [Kind in EntryKind]: (figures: Figures[Kind]) => readonly Leg[] } = {
  opening: ({ cooperative, member, amount }) => [
    debit(bankOf(cooperative), amount),
    credit(memberOf(cooperative, member), amount),
  ],
  purchase: (sale) => paymentLegs(purchasePayment(sale)),
  void: ({ legs }) => legs,
  'reload-release': ({ issuer, member, card, amount }) => [
    debit(memberOf(issuer, member), amount),
    credit(transitOf(issuer, card), amount),
  ],
  reload: ({ issuer, card, amount }) => [debit(transitOf(issuer, card), amount), credit(purseOf(issuer, card), amount)],
  'reload-void': ({ issuer, member, card, amount }) => [
    debit(transitOf(issuer, card), amount),
    credit(memberOf(issuer, member), amount),
  ],
  drain: ({ issuer, member, card, amount }) => [
    debit(purseOf(issuer, card), amount),
    credit(memberOf(issuer, member), amount),
  ],
  'purse-return': ({ issuer, member, card, amount }) => [
    debit(purseOf(issuer, card), amount),
    credit(memberOf(issuer, member), amount),
  ],
  deposit: cashIn,
  withdrawal: cashOut,
  funding: ({ cooperative, outlet, amount }) => [
    debit(drawerOf(cooperative, outlet), amount),
    credit(bankOf(cooperative), amount),
  ],
  'purse-sale': paymentLegs,
  transfer: paymentLegs,
  payout: paymentLegs,
  bill: paymentLegs,
  cashback: paymentLegs,
  points: paymentLegs,
  redeem: paymentLegs,
  'reward-return': paymentLegs,
  refund: ({ legs }) => legs,
  dispute: ({ legs }) => legs,
  'dispute-won': ({ legs }) => legs,
  'dispute-lost': ({ legs }) => legs,
  'dispute-lapsed': ({ legs }) => legs,
  provision: within,
  adjustment: within,
  collect: ({ takings, owed, amount }) => [debit(takings, amount), credit(owed, amount)],
};

function within({ debit: from, credit: to, amount }: OwnFigures): Leg[] {
  return [debit(from, amount), credit(to, amount)];
}

/** Books of counter, home and platform for cash over a counter: each as TRUTH has them, the fee paid by the home. */
function overCounter({ issuer, member, acquirer, outlet, amount, fee, shares, payee }: CashFigures) {
  const away = issuer !== acquirer;
  const [across, served] = away ? [amount, shareOf(shares, acquirer)] : [0n, 0n];
  const [own, platform] = [shareOf(shares, issuer), shareOf(shares, PLATFORM)];
  return {
    drawer: drawerOf(acquirer, outlet),
    account: payee === undefined ? memberOf(issuer, member) : payoutOf(issuer, payee),
    /** The amount between the two cooperatives; nothing at the member's own. */
    across,
    atCounter: [debit(positionOf(acquirer, issuer), served), credit(incomeOf(acquirer), served)],
    atHome: [
      debit(expenseOf(issuer), fee),
      credit(incomeOf(issuer), own),
      credit(positionOf(issuer, acquirer), served),
      credit(positionOf(issuer, PLATFORM), platform),
    ],
    atPlatform: [debit(positionOf(PLATFORM, issuer), platform), credit(incomeOf(PLATFORM), platform)],
  };
}

function cashIn(cash: CashFigures): Leg[] {
  const { issuer, acquirer, amount } = cash;
  const { drawer, account, across, atCounter, atHome, atPlatform } = overCounter(cash);
  return [
    debit(drawer, amount),
    credit(positionOf(acquirer, issuer), across),
    ...atCounter,
    debit(positionOf(issuer, acquirer), across),
    credit(account, amount),
    ...atHome,
    ...atPlatform,
  ];
}

function cashOut(cash: CashFigures): Leg[] {
  const { issuer, acquirer, amount } = cash;
  const { drawer, account, across, atCounter, atHome, atPlatform } = overCounter(cash);
  return [
    debit(account, amount),
    credit(positionOf(issuer, acquirer), across),
    ...atHome,
    debit(positionOf(acquirer, issuer), across),
    credit(drawer, amount),
    ...atCounter,
    ...atPlatform,
  ];
}

const cardMoneyAuthority: Readonly<Record<CardMoneyKind, Authority>> = {
  'reload-release': 'hub-session',
  reload: 'card-certificate',
  'reload-void': 'rule',
  drain: 'card-certificate',
  'purse-return': 'rule',
};

const cashAuthority: Readonly<Record<CashKind, Authority>> = { deposit: 'teller-card', withdrawal: 'pin' };

/** Two officers move own money by hand; what a card, a pair or a dispute proves, they do not. */
function mustBeOwn({ debit: from, credit: to, amount }: OwnFigures): void {
  const proven = (account: Account) =>
    ['position', 'purse', 'in-transit', 'provisional'].includes(account.kind) || isReady(account);
  if (from.cooperative !== to.cooperative || amount <= 0n) throw new RangeError('own money stays in its own books');
  if (proven(from) || proven(to)) throw new RangeError('what a card, a pair or a dispute proves is not moved by hand');
}

type Rest = Pick<Entry, 'authority' | 'payer'> & Partial<Pick<Entry, 'fee' | 'shares'>>;

function made<Kind extends EntryKind>(kind: Kind, figures: Figures[Kind], rest: Rest): Entry {
  const legs = table[kind](figures).filter((leg) => leg.amount !== 0n);
  return { kind, legs, fee: 0n, shares: [], ...rest };
}

/** Whose balance a payment's receipt shows: the member's or the payee's own, nobody else's. */
const shown = ({ from }: PaymentFigures): Account | null => {
  const account = from[0]?.account ?? null;
  return account !== null && ['member', 'purse', 'payout', 'points'].includes(account.kind) ? account : null;
};

/** An instruction whose legs follow from its figures alone. */
export type Static = Exclude<Instruction, { readonly kind: ReturnKind }>;

/** Makes the entry that is asked for. @throws RangeError if its figures do not fit each other. */
export function entryOf(instruction: Static): Entry {
  switch (instruction.kind) {
    case 'purchase': {
      const payment = purchasePayment(instruction.figures);
      mustFit(payment);
      const { fee, shares, authority } = payment;
      return made('purchase', instruction.figures, { authority, payer: shown(payment), fee, shares });
    }
    case 'opening': {
      const { cooperative, member } = instruction.figures;
      const payer = memberOf(cooperative, member);
      return made('opening', instruction.figures, { authority: 'two-officers', payer });
    }
    case 'funding': {
      const { cooperative, outlet } = instruction.figures;
      const payer = drawerOf(cooperative, outlet);
      return made('funding', instruction.figures, { authority: 'two-officers', payer });
    }
    case 'deposit':
    case 'withdrawal': {
      const { kind, figures } = instruction;
      mustShare(figures);
      const { issuer, member, fee, shares, payee } = figures;
      const payer = payee === undefined ? memberOf(issuer, member) : payoutOf(issuer, payee);
      return made(kind, figures, { authority: cashAuthority[kind], payer, fee, shares });
    }
    case 'provision':
    case 'adjustment':
      mustBeOwn(instruction.figures);
      return made(instruction.kind, instruction.figures, { authority: 'two-officers', payer: null });
    case 'collect':
      return made('collect', instruction.figures, { authority: 'rule', payer: instruction.figures.takings });
    case 'reload-release':
    case 'reload':
    case 'reload-void':
    case 'drain':
    case 'purse-return': {
      const { kind, figures } = instruction;
      const payer = memberOf(figures.issuer, figures.member);
      return made(kind, figures, { authority: cardMoneyAuthority[kind], payer });
    }
    default: {
      const { kind, figures } = instruction;
      mustFit(figures);
      const { authority, fee, shares } = figures;
      return made(kind, figures, { authority, payer: shown(figures), fee, shares });
    }
  }
}

/** The entry of a return whose legs were judged. */
export function returnEntry(kind: ReturnKind | 'void', { legs, ...rest }: ReturnLegs & Rest): Entry {
  return made(kind, { legs }, rest);
}

/**
 * Says how legs fail to balance: in total, in one cooperative's books, or between a pair's positions; null if they do.
 * Every entry is asked this before it is posted, since a later correction could only add another wrong one.
 */
export function imbalance(legs: readonly Leg[]): string | null {
  if (legs.length === 0) return 'an entry needs legs';
  for (const { account, amount } of legs) {
    if (amount === 0n) return `leg of zero at ${accountName(account)}`;
    let books = 0n;
    let pair = 0n;
    const position = account.kind === 'position';
    for (const other of legs) {
      const { cooperative, kind, owner } = other.account;
      if (cooperative === account.cooperative) books += other.amount;
      if (!position || kind !== 'position') continue;
      if (cooperative === account.cooperative && owner === account.owner) pair += other.amount;
      if (cooperative === account.owner && owner === account.cooperative) pair += other.amount;
    }
    if (books !== 0n) return `the books of ${account.cooperative} are off by ${books}`;
    if (pair !== 0n) return `the pair ${account.cooperative}/${account.owner} is off by ${pair}`;
  }
  return null;
}
