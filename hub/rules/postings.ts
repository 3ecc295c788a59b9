/** Postings: THE table from a kind of transaction to its balanced legs (TRUTH section 11). */
import { type CardUid, type CooperativeId, type MemberId, type OutletId, PLATFORM } from '../../protocol/ids.ts';
import { type Account, accountName } from './accounts.ts';
import type {
  Authority,
  CardMoneyFigures,
  CardMoneyKind,
  CashFigures,
  CashKind,
  Entry,
  EntryKind,
  FeeShare,
  FundingFigures,
  Instruction,
  Leg,
  OpeningFigures,
  PurchaseFigures,
} from './entries.ts';

interface Figures {
  readonly opening: OpeningFigures;
  readonly purchase: PurchaseFigures;
  /** The entry to undo. */
  readonly void: Entry;
  readonly 'reload-release': CardMoneyFigures;
  readonly reload: CardMoneyFigures;
  readonly 'reload-void': CardMoneyFigures;
  readonly drain: CardMoneyFigures;
  readonly deposit: CashFigures;
  readonly withdrawal: CashFigures;
  readonly funding: FundingFigures;
}

/** A member's spending balance at the home cooperative. */
export const memberOf = (cooperative: CooperativeId, owner: MemberId): Account => ({
  cooperative,
  kind: 'member',
  owner,
});
const payoutOf = (cooperative: CooperativeId, owner: OutletId): Account => ({ cooperative, kind: 'payout', owner });
const incomeOf = (cooperative: CooperativeId): Account => ({ cooperative, kind: 'fee-income', owner: '-' });
/** What lies in a card's purse. */
export const purseOf = (cooperative: CooperativeId, owner: CardUid): Account => ({ cooperative, kind: 'purse', owner });
/** Where the one reload of a card waits until it is proven or void. */
export const transitOf = (cooperative: CooperativeId, owner: CardUid): Account => ({
  cooperative,
  kind: 'in-transit',
  owner,
});
const expenseOf = (cooperative: CooperativeId): Account => ({ cooperative, kind: 'fee-expense', owner: '-' });
const drawerOf = (cooperative: CooperativeId, owner: OutletId): Account => ({ cooperative, kind: 'drawer', owner });
const bankOf = (cooperative: CooperativeId): Account => ({ cooperative, kind: 'bank', owner: '-' });
const position = (books: CooperativeId, toward: CooperativeId): Account => ({
  cooperative: books,
  kind: 'position',
  owner: toward,
});

const credit = (account: Account, amount: bigint): Leg => ({ account, amount });
const debit = (account: Account, amount: bigint): Leg => ({ account, amount: -amount });
const shareOf = (shares: readonly FeeShare[], to: CooperativeId) => shares.find((s) => s.to === to)?.amount ?? 0n;

/**
 * One row a kind, legs in the order of TRUTH's table; the same account may stand twice there, as in the treasurer's
 * books. Legs of zero rupiah are left out.
 */
const table: { readonly [Kind in EntryKind]: (figures: Figures[Kind]) => readonly Leg[] } = {
  opening: ({ cooperative, member, amount }) => [
    debit(bankOf(cooperative), amount),
    credit(memberOf(cooperative, member), amount),
  ],
  purchase: (sale) => (sale.issuer === sale.acquirer ? onUs(sale) : offUs(sale)),
  void: ({ legs }) => legs.map(({ account, amount }) => ({ account, amount: -amount })),
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
  deposit: cashIn,
  withdrawal: cashOut,
  funding: ({ cooperative, outlet, amount }) => [
    debit(drawerOf(cooperative, outlet), amount),
    credit(bankOf(cooperative), amount),
  ],
};

/** Books of counter, home and platform for cash over a counter: each as TRUTH has them, the fee paid by the home. */
function overCounter({ issuer, member, acquirer, outlet, amount, fee, shares }: CashFigures) {
  const away = issuer !== acquirer;
  const [across, served] = away ? [amount, shareOf(shares, acquirer)] : [0n, 0n];
  const [own, platform] = [shareOf(shares, issuer), shareOf(shares, PLATFORM)];
  return {
    drawer: drawerOf(acquirer, outlet),
    account: memberOf(issuer, member),
    /** The amount between the two cooperatives; nothing at the member's own. */
    across,
    atCounter: [debit(position(acquirer, issuer), served), credit(incomeOf(acquirer), served)],
    atHome: [
      debit(expenseOf(issuer), fee),
      credit(incomeOf(issuer), own),
      credit(position(issuer, acquirer), served),
      credit(position(issuer, PLATFORM), platform),
    ],
    atPlatform: [debit(position(PLATFORM, issuer), platform), credit(incomeOf(PLATFORM), platform)],
  };
}

function cashIn(cash: CashFigures): Leg[] {
  const { issuer, acquirer, amount } = cash;
  const { drawer, account, across, atCounter, atHome, atPlatform } = overCounter(cash);
  return [
    debit(drawer, amount),
    credit(position(acquirer, issuer), across),
    ...atCounter,
    debit(position(issuer, acquirer), across),
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
    credit(position(issuer, acquirer), across),
    ...atHome,
    debit(position(acquirer, issuer), across),
    credit(drawer, amount),
    ...atCounter,
    ...atPlatform,
  ];
}

function onUs({ issuer, member, outlet, amount, fee, shares }: PurchaseFigures): Leg[] {
  const platform = shareOf(shares, PLATFORM);
  return [
    debit(memberOf(issuer, member), amount),
    credit(payoutOf(issuer, outlet), amount - fee),
    credit(incomeOf(issuer), shareOf(shares, issuer)),
    credit(position(issuer, PLATFORM), platform),
    debit(position(PLATFORM, issuer), platform),
    credit(incomeOf(PLATFORM), platform),
  ];
}

function offUs({ issuer, member, acquirer, outlet, amount, fee, shares }: PurchaseFigures): Leg[] {
  const [own, issuers, platform] = [shareOf(shares, acquirer), shareOf(shares, issuer), shareOf(shares, PLATFORM)];
  return [
    debit(position(acquirer, issuer), amount),
    credit(payoutOf(acquirer, outlet), amount - fee),
    credit(incomeOf(acquirer), own),
    credit(position(acquirer, issuer), issuers),
    credit(position(acquirer, PLATFORM), platform),
    debit(memberOf(issuer, member), amount),
    credit(position(issuer, acquirer), amount),
    debit(position(issuer, acquirer), issuers),
    credit(incomeOf(issuer), issuers),
    debit(position(PLATFORM, acquirer), platform),
    credit(incomeOf(PLATFORM), platform),
  ];
}

const entered = <Kind extends EntryKind>(kind: Kind, figures: Figures[Kind]): Leg[] =>
  table[kind](figures).filter((leg) => leg.amount !== 0n);

/** The parts of the fee must fit: anything else is a bug of the caller, which would break the books. */
function mustFit({ issuer, acquirer, amount, fee, shares }: PurchaseFigures): void {
  const sum = shares.reduce((total, share) => total + share.amount, 0n);
  const known = shares.every(({ to }) => to === issuer || to === acquirer || to === PLATFORM);
  if (sum !== fee || !known || fee > amount || fee < 0n) throw new RangeError('the parts do not make up the fee');
  if (issuer === PLATFORM || acquirer === PLATFORM) throw new RangeError('the platform has no members and no outlets');
}

const cardMoneyAuthority: Readonly<Record<CardMoneyKind, Authority>> = {
  'reload-release': 'hub-session',
  reload: 'card-certificate',
  'reload-void': 'rule',
  drain: 'card-certificate',
};

const cashAuthority: Readonly<Record<CashKind, Authority>> = { deposit: 'teller-card', withdrawal: 'pin' };

/** Makes the entry that is asked for. @throws RangeError if its figures do not fit each other. */
export function entryOf(instruction: Instruction): Entry {
  if (instruction.kind === 'opening') {
    const { kind, figures } = instruction;
    const payer = memberOf(figures.cooperative, figures.member);
    return { kind, authority: 'two-officers', legs: entered(kind, figures), payer, fee: 0n, shares: [] };
  }
  if (instruction.kind === 'funding') {
    const { kind, figures } = instruction;
    const payer = drawerOf(figures.cooperative, figures.outlet);
    return { kind, authority: 'two-officers', legs: entered(kind, figures), payer, fee: 0n, shares: [] };
  }
  if (instruction.kind === 'deposit' || instruction.kind === 'withdrawal') {
    const { kind, figures } = instruction;
    mustFit(figures);
    const { issuer, member, fee, shares } = figures;
    const payer = memberOf(issuer, member);
    return { kind, authority: cashAuthority[kind], legs: entered(kind, figures), payer, fee, shares };
  }
  if (instruction.kind !== 'purchase') {
    const { kind, figures } = instruction;
    const payer = memberOf(figures.issuer, figures.member);
    return { kind, authority: cardMoneyAuthority[kind], legs: entered(kind, figures), payer, fee: 0n, shares: [] };
  }
  const { kind, figures } = instruction;
  mustFit(figures);
  const { issuer, member, fee, shares, authority = 'card-certificate' } = figures;
  const payer = memberOf(issuer, member);
  return { kind, authority, legs: entered(kind, figures), payer, fee, shares };
}

/** The mirror of an entry: every leg back, in the same order, the fee given back with it. */
export function voidEntry(original: Entry): Entry {
  return { ...original, kind: 'void', authority: 'mirror', legs: entered('void', original) };
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
