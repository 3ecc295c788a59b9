/** Instructions on their way to the engine's thread: what is asked for often as numbers, the rest as text. */
import { rupiah, toWire } from '../../../protocol/money.ts';
import type { Account } from '../../rules/accounts.ts';
import type { FeeShare, Instruction, Part, PaymentFigures, PurchaseFigures } from '../../rules/entries.ts';
import { read, write } from './written.ts';

/** Puts numbers and texts down one after another. */
export interface Pen {
  readonly num: (...values: number[]) => void;
  /** The number that stands for a text, or for none. */
  readonly text: (text: string | null) => number;
}

/** Takes them up again in the same order. */
export interface Eye {
  readonly num: () => number;
  /** A text, or null; the field it is read into says what it is. */
  readonly text: () => never;
}

const CASH = ['deposit', 'withdrawal'] as const;
const CARD_MONEY = ['reload-release', 'reload', 'reload-void', 'drain', 'purse-return'] as const;
const PAYMENTS = ['purse-sale', 'transfer', 'payout', 'bill', 'cashback', 'points', 'redeem', 'reward-return'] as const;
const RETURNS = ['refund', 'dispute', 'dispute-won', 'dispute-lost', 'dispute-lapsed'] as const;
const OWN = ['opening', 'funding', 'provision', 'adjustment', 'collect'] as const;
const KINDS = ['purchase', ...CASH, ...CARD_MONEY, ...PAYMENTS, ...RETURNS, ...OWN] as const;

const within = <Kind extends string>(kinds: readonly Kind[], kind: string): kind is Kind =>
  (kinds as readonly string[]).includes(kind);

function writeParts({ num, text }: Pen, parts: readonly Part[]): void {
  num(parts.length);
  for (const { account, amount } of parts) {
    num(text(account.cooperative), text(account.kind), text(account.owner), toWire(amount));
  }
}

type Priced = Pick<PaymentFigures, 'amount' | 'fee' | 'shares'>;

function writePrice({ num, text }: Pen, { amount, fee, shares }: Priced): void {
  num(toWire(amount), toWire(fee), shares.length);
  for (const share of shares) num(text(share.to), toWire(share.amount));
}

/** @throws RangeError if an amount is beyond 2^53 − 1 rupiah. */
export function writeInstruction(pen: Pen, instruction: Instruction): void {
  const { num, text } = pen;
  const { kind } = instruction;
  num(KINDS.indexOf(kind));
  if (kind === 'purchase') {
    const { issuer, member, acquirer, outlet, authority, to } = instruction.figures;
    num(text(issuer), text(member), text(acquirer), text(outlet), text(authority ?? null));
    writePrice(pen, instruction.figures);
    writeParts(pen, to ?? []);
  } else if (within(PAYMENTS, kind)) {
    const figures = instruction.figures as PaymentFigures;
    num(text(figures.issuer), text(figures.acquirer), text(figures.authority));
    writePrice(pen, figures);
    writeParts(pen, figures.from);
    writeParts(pen, figures.to);
  } else num(text(write(instruction.figures)));
}

function readParts({ num, text }: Eye): Part[] {
  return Array.from({ length: num() }, () => {
    const account: Account = { cooperative: text(), kind: text(), owner: text() };
    return { account, amount: rupiah(num()) };
  });
}

function readPrice({ num, text }: Eye): Priced {
  const [amount, fee] = [rupiah(num()), rupiah(num())];
  const shares = Array.from({ length: num() }, (): FeeShare => ({ to: text(), amount: rupiah(num()) }));
  return { amount, fee, shares };
}

function readPurchase(eye: Eye): PurchaseFigures {
  const { text } = eye;
  const who = { issuer: text(), member: text(), acquirer: text(), outlet: text() };
  const authority: PurchaseFigures['authority'] | null = text();
  const price = readPrice(eye);
  const to = readParts(eye);
  return { ...who, ...price, ...(authority ? { authority } : {}), ...(to.length > 0 ? { to } : {}) };
}

/** @param place what the kind was written as: the first number of the instruction. */
export function readInstruction(eye: Eye, place: number): Instruction {
  const kind = KINDS[place];
  if (kind === undefined) throw new Error(`no kind of instruction stands for ${place}`);
  if (kind === 'purchase') return { kind, figures: readPurchase(eye) };
  if (!within(PAYMENTS, kind)) return { kind, figures: read(eye.text()) } as Instruction;
  const { text } = eye;
  const who = { issuer: text(), acquirer: text(), authority: text() };
  return { kind, figures: { ...who, ...readPrice(eye), from: readParts(eye), to: readParts(eye) } };
}
