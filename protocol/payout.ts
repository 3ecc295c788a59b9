/** Payout: what an outlet has earned goes to its owner's own account, at any cooperative. */
import { type Static, Type } from 'typebox';
import { CardUidSchema, CooperativeIdSchema, KioskNoSchema, KioskSeqSchema, OutletIdSchema } from './ids.ts';
import { SaleAmount } from './money.ts';

/** Takings: at which cooperative, and under an outlet's id or the name that an outlet gives them. */
export const TakingsName = Type.Object({ cooperative: CooperativeIdSchema, name: OutletIdSchema });
export type TakingsName = Static<typeof TakingsName>;

const pair = { kiosk: KioskNoSchema, seq: KioskSeqSchema };

/**
 * Kiosk to hub, from a counter or from an outlet whose takings they are; the kiosk mints and keeps the seq before
 * anything else. Retries repeat the body to the byte. What the takings owe their cooperative is paid first; if a debt
 * is left, nothing leaves. `resolve` asks and decides nothing.
 *
 * That the card lay on the reader and that the PIN was right are claims of the kiosk. A kiosk that lies moves takings
 * to the account of their own owner, and nowhere else.
 */
export const PayoutRequest = Type.Union([
  Type.Object({
    ...pair,
    ask: Type.Literal('payout'),
    payee: TakingsName,
    amount: SaleAmount,
    /** The owner's card: its account is paid. */
    uid: CardUidSchema,
    pinVerified: Type.Boolean(),
  }),
  Type.Object({ ...pair, ask: Type.Literal('resolve') }),
]);
export type PayoutRequest = Static<typeof PayoutRequest>;
