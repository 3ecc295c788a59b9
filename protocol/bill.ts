/** Bill: a customer pays electricity, water or a phone at a kiosk that sells it, from an account or in cash. */
import { type Static, Type } from 'typebox';
import { HoldSlip } from './cash.ts';
import { Claim } from './claim.ts';
import { CardUidSchema, hexSchema, KioskNoSchema, KioskSeqSchema } from './ids.ts';
import { CARD_AMOUNT_MAX, Rupiah, SaleAmount } from './money.ts';
import { Receipt } from './receipt.ts';

const pair = { kiosk: KioskNoSchema, seq: KioskSeqSchema };

/** Names of billers and of what they sell, for example `pln-postpaid`. */
export const BillNameSchema = Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' });
const wanted = {
  product: BillNameSchema,
  /** The customer's number at the biller, as it stands on the meter or the letter. */
  customer: Type.String({ pattern: '^[0-9A-Za-z-]{3,32}$' }),
};
/** The biller's part of what is paid, and what is paid for the service on top of it: together what leaves the payer. */
const price = {
  amount: SaleAmount,
  admin: Type.Integer({ minimum: 0, maximum: Number(CARD_AMOUNT_MAX) }),
};
const ask = <Word extends string>(word: Word) => Type.Object({ ...pair, ask: Type.Literal(word) });

/**
 * Kiosk to hub. The kiosk mints and keeps the seq before it inquires, and pays under the same one: with the kiosk's
 * number it is the reference by which the biller knows the bill. Retries repeat the body to the byte.
 *
 * `inquire` asks what is owed and changes nothing; `amount` is what the customer chose where there is a choice.
 * `pay` from an account carries the certificate of an account sale for amount and admin together (TRUTH section 3); in
 * cash, the money lies counted beside the drawer, and whose cards lay on the reader is the kiosk's claim. `cancel`
 * closes a seq for good if nothing was released under it. `resolve` asks and decides nothing.
 */
export const BillRequest = Type.Union([
  Type.Object({
    ...pair,
    ask: Type.Literal('inquire'),
    ...wanted,
    amount: Type.Union([SaleAmount, Type.Null()]),
  }),
  Type.Object({
    ...pair,
    ask: Type.Literal('pay'),
    from: Type.Literal('account'),
    ...wanted,
    ...price,
    /** The kiosk's claim, as in a purchase. */
    pinVerified: Type.Optional(Type.Boolean()),
    claim: Claim,
  }),
  Type.Object({
    ...pair,
    ask: Type.Literal('pay'),
    from: Type.Literal('cash'),
    ...wanted,
    ...price,
    teller: CardUidSchema,
    /** The second person's card; null where nobody was asked. */
    approver: Type.Union([CardUidSchema, Type.Null()]),
  }),
  ask('cancel'),
  ask('resolve'),
]);
export type BillRequest = Static<typeof BillRequest>;

/** What is owed, in whose name, and what would leave the payer; who earns what of the admin. */
export const BillQuote = Type.Object({
  product: BillNameSchema,
  productName: Type.String({ maxLength: 64 }),
  customer: Type.String({ maxLength: 32 }),
  /** In whose name the bill is, as the biller says it. */
  holder: Type.String({ maxLength: 64 }),
  ...price,
  shares: Type.Object({ aggregator: Rupiah, acquirer: Rupiah, issuer: Rupiah, platform: Rupiah }),
  total: SaleAmount,
});
export type BillQuote = Static<typeof BillQuote>;

/** What the biller said at the end: the number of the payment or the token for the meter, and its words. */
export const BillerSaid = Type.Object({
  serial: Type.Union([Type.String({ maxLength: 64 }), Type.Null()]),
  text: Type.String({ maxLength: 200 }),
});
export type BillerSaid = Static<typeof BillerSaid>;

/**
 * Hub to kiosk: the decision, or what waits for the biller (`released`: it is being checked), each with the hub's MAC
 * over its JSON text; or the quote; or that nothing stands under the seq.
 */
export const BillAnswer = Type.Union([
  Type.Object({ receipt: Receipt, mac: hexSchema(16), said: Type.Union([BillerSaid, Type.Null()]) }),
  Type.Object({ hold: HoldSlip, mac: hexSchema(16) }),
  Type.Object({ quote: BillQuote }),
  Type.Object({ unknown: Type.Literal(true) }),
]);
export type BillAnswer = Static<typeof BillAnswer>;
