/** Transfer: a member sends money to another, whose card number is typed. */
import { type Static, Type } from 'typebox';
import { CardNumberSchema, CardUidSchema, KioskNoSchema, KioskSeqSchema } from './ids.ts';
import { SaleAmount } from './money.ts';

const pair = { kiosk: KioskNoSchema, seq: KioskSeqSchema };

/**
 * Kiosk to hub, from counters only; the kiosk mints and keeps the seq before anything else. Retries repeat the body to
 * the byte. `resolve` asks and decides nothing.
 *
 * That the sender's card lay on the reader and that the PIN was right are claims of the kiosk, as with cash; unlike
 * there, no drawer bounds what a lying counter could send.
 */
export const TransferRequest = Type.Union([
  Type.Object({
    ...pair,
    ask: Type.Literal('transfer'),
    /** What the receiver gets; a fee is paid on top. */
    amount: SaleAmount,
    /** The sender's card. */
    uid: CardUidSchema,
    /** Number of a card of the receiver. */
    to: CardNumberSchema,
    pinVerified: Type.Boolean(),
  }),
  Type.Object({ ...pair, ask: Type.Literal('resolve') }),
]);
export type TransferRequest = Static<typeof TransferRequest>;
