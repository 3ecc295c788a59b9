/** Refund: a sale is given back, in full or in part, to the account of the member who paid it. */
import { type Static, Type } from 'typebox';
import { CardUidSchema, KioskNoSchema, KioskSeqSchema } from './ids.ts';
import { SaleAmount } from './money.ts';
import { SealedReceipt } from './receipt.ts';

/** Why a sale is given back; the teller picks one. */
export const REFUND_REASONS = ['wrong-amount', 'goods-returned', 'not-delivered', 'paid-twice', 'other'] as const;

const pair = { kiosk: KioskNoSchema, seq: KioskSeqSchema };

/**
 * Kiosk to hub, online only; the kiosk mints and keeps the seq before anything else, and repeats the body to the byte.
 * `refund` names the sale as its receipt does. It is answered by a receipt that stands for good. `resolve` asks what
 * became of a refund and decides nothing.
 *
 * That the card of the teller or trader lay on the reader is a claim of the kiosk. No card of the member is asked for:
 * the money goes to the account that paid, never to a card (TRUTH section 9).
 */
export const RefundRequest = Type.Union([
  Type.Object({
    ...pair,
    ask: Type.Literal('refund'),
    /** The sale: number of the kiosk that made it, and its seq there. */
    original: Type.Object(pair),
    amount: SaleAmount,
    reason: Type.Union(REFUND_REASONS.map((reason) => Type.Literal(reason))),
    /** Card of the teller or trader. */
    teller: CardUidSchema,
  }),
  Type.Object({ ...pair, ask: Type.Literal('resolve') }),
]);
export type RefundRequest = Static<typeof RefundRequest>;

/** Hub to kiosk: the decision, or that there is none under this seq. */
export const RefundAnswer = Type.Union([SealedReceipt, Type.Object({ unknown: Type.Literal(true) })]);
export type RefundAnswer = Static<typeof RefundAnswer>;
