/** Cash: a member deposits or withdraws at a counter of any cooperative. */
import { type Static, Type } from 'typebox';
import { CardUidSchema, CooperativeIdSchema, hexSchema, KioskNoSchema, KioskSeqSchema, OutletIdSchema } from './ids.ts';
import { Rupiah, SaleAmount } from './money.ts';
import { TakingsName } from './payout.ts';
import { Receipt, Share } from './receipt.ts';

const pair = { kiosk: KioskNoSchema, seq: KioskSeqSchema };
const service = {
  amount: SaleAmount,
  /** The member's card. */
  uid: CardUidSchema,
  teller: CardUidSchema,
  /** The second person's card; null where nobody was asked. */
  approver: Type.Union([CardUidSchema, Type.Null()]),
};
const ask = <Word extends string>(word: Word) => Type.Object({ ...pair, ask: Type.Literal(word) });

/**
 * Kiosk to hub; the kiosk mints and keeps the seq before anything else. Retries repeat the body to the byte.
 *
 * `deposit`: the counted cash lies in the drawer; whatever is not approved is given back. A withdrawal takes three
 * steps under one seq: `hold` sets the money aside; `release`, after the member's PIN and word, is answered `released`
 * before any cash leaves the drawer; `paid` says that it was handed out. `cancel` gives up a withdrawal that is not
 * released, or closes a seq for good. `resolve` asks and decides nothing. A `hold` that names a `payee` is for cash
 * out of takings that are the member's, not out of the account.
 *
 * That the cards lay on the reader, whose they are, and that the PIN was right are claims of the kiosk: nothing in
 * these messages proves them to the hub. What a lying kiosk of role `counter` can take out is bounded by the drawer and
 * the float of its outlet; what it says came in is bounded by no cash: a deposit that nobody paid gives a member money
 * until the drawer is counted, within the net debit cap of its cooperative where that money goes elsewhere. Each entry
 * names the claim as its authority.
 */
export const CashRequest = Type.Union([
  Type.Object({ ...pair, ask: Type.Literal('deposit'), ...service }),
  Type.Object({ ...pair, ask: Type.Literal('hold'), ...service, payee: Type.Optional(TakingsName) }),
  Type.Object({ ...pair, ask: Type.Literal('release'), pinVerified: Type.Boolean() }),
  ask('paid'),
  ask('cancel'),
  ask('resolve'),
]);
export type CashRequest = Static<typeof CashRequest>;

/** A withdrawal without a decision: money set aside, and since `released` perhaps handed out. */
export const HoldSlip = Type.Object({
  state: Type.Union([Type.Literal('held'), Type.Literal('released')]),
  kiosk: KioskNoSchema,
  seq: KioskSeqSchema,
  /** First 16 bytes of SHA-256 over the body of `hold`. */
  hash: hexSchema(16),
  /** Hub time of the hold, and until when it waits for its release; milliseconds since 1970 UTC. */
  at: Type.Integer(),
  until: Type.Integer(),
  /** Hub time of the release; null before. */
  released: Type.Union([Type.Integer(), Type.Null()]),
  amount: Rupiah,
  fee: Rupiah,
  shares: Type.Array(Share, { maxItems: 8 }),
  /** null: a bill paid in cash. */
  card: Type.Union([CardUidSchema, Type.Null()]),
  issuer: CooperativeIdSchema,
  acquirer: CooperativeIdSchema,
  outlet: OutletIdSchema,
});
export type HoldSlip = Static<typeof HoldSlip>;

/** Hub to kiosk: the decision, or what is held, each with the hub's MAC over its JSON text; or neither. */
export const CashAnswer = Type.Union([
  Type.Object({ receipt: Receipt, mac: hexSchema(16) }),
  Type.Object({ hold: HoldSlip, mac: hexSchema(16) }),
  Type.Object({ unknown: Type.Literal(true) }),
]);
export type CashAnswer = Static<typeof CashAnswer>;
