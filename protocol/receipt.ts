/** The hub's durable answer: one decision per request, the same bytes for every retry (TRUTH section 1). */
import { type Static, Type } from 'typebox';
import { CardUidSchema, CooperativeIdSchema, hexSchema, KioskNoSchema, KioskSeqSchema, OutletIdSchema } from './ids.ts';
import { Passengers, Rupiah } from './money.ts';
import { type Refusal, refusalNames } from './refusals.ts';

/** The four final decisions; kiosks show `cancelled` and `expired` as declined. No decision yet is `unknown`. */
export const Outcome = Type.Union([
  Type.Literal('approved'),
  Type.Literal('declined'),
  Type.Literal('cancelled'),
  Type.Literal('expired'),
]);
export type Outcome = Static<typeof Outcome>;

export const RefusalSchema = Type.Unsafe<Refusal>(Type.Union(refusalNames.map((name) => Type.Literal(name))));

/** A part of the fee and who earned it. */
export const Share = Type.Object({ to: CooperativeIdSchema, amount: Rupiah });

export const Receipt = Type.Object({
  kiosk: KioskNoSchema,
  seq: KioskSeqSchema,
  /** First 16 bytes of SHA-256 over the request body's JSON text; empty when decided without a request. */
  hash: Type.String({ pattern: '^([0-9a-f]{32})?$' }),
  outcome: Outcome,
  /** Why not approved; null when approved. */
  reason: Type.Union([RefusalSchema, Type.Null()]),
  /** Hub time of the decision, milliseconds since 1970 UTC. */
  at: Type.Integer(),
  /** Business date of the entry, Asia/Jakarta. */
  date: Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}$' }),
  /** Settlement window of the entry; 0 without an entry. */
  window: Type.Integer({ minimum: 0 }),
  amount: Rupiah,
  fee: Rupiah,
  shares: Type.Array(Share, { maxItems: 8 }),
  card: Type.Union([CardUidSchema, Type.Null()]),
  issuer: Type.Union([CooperativeIdSchema, Type.Null()]),
  acquirer: Type.Union([CooperativeIdSchema, Type.Null()]),
  outlet: Type.Union([OutletIdSchema, Type.Null()]),
  /** The payer's spending balance after the entry, in rupiah; null without an entry. */
  balance: Type.Union([Rupiah, Type.Null()]),
  /** How many rode for the amount, each for the same fare; left out: one. */
  passengers: Type.Optional(Passengers),
});
export type Receipt = Static<typeof Receipt>;

/** A receipt with the hub's MAC over its JSON text, so that a restored hub can book its own receipts verbatim. */
export const SealedReceipt = Type.Object({ receipt: Receipt, mac: hexSchema(16) });
export type SealedReceipt = Static<typeof SealedReceipt>;

/** Hub to kiosk, for what is decided in one step: the decision, or that nothing is known of it. */
export const DecisionAnswer = Type.Union([SealedReceipt, Type.Object({ unknown: Type.Literal(true) })]);
export type DecisionAnswer = Static<typeof DecisionAnswer>;
