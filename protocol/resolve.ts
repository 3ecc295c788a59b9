/** Resolve and cancel: ask what became of an account sale, and close it for good where nothing was decided. */
import { type Static, Type } from 'typebox';
import { hexSchema, KioskNoSchema, KioskSeqSchema } from './ids.ts';
import { Receipt } from './receipt.ts';

/**
 * Kiosk to hub (TRUTH section 1). Without a decision both make the sale `cancelled`, finally.
 * Of an approved sale, `resolve` answers the receipt and `cancel` also posts its void; the decision stays approved.
 */
export const ResolveRequest = Type.Object({
  kiosk: KioskNoSchema,
  seq: KioskSeqSchema,
  kind: Type.Literal('account'),
  ask: Type.Union([Type.Literal('resolve'), Type.Literal('cancel')]),
});
export type ResolveRequest = Static<typeof ResolveRequest>;

/** Hub to kiosk: the sale's receipt, and whether the sale has been voided since. */
export const ResolveAnswer = Type.Object({ receipt: Receipt, mac: hexSchema(16), voided: Type.Boolean() });
export type ResolveAnswer = Static<typeof ResolveAnswer>;
