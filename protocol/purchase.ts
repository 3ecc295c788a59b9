/** Purchase: a member pays an outlet from the account at the home cooperative, online. */
import { type Static, Type } from 'typebox';
import { Claim } from './claim.ts';
import { KioskNoSchema, KioskSeqSchema } from './ids.ts';
import { Passengers, SaleAmount } from './money.ts';
import { BookNumber } from './tariffbook.ts';

/** Kiosk to hub, answered by a sealed receipt. Retries repeat the body to the byte. */
export const PurchaseRequest = Type.Object({
  kiosk: KioskNoSchema,
  seq: KioskSeqSchema,
  kind: Type.Literal('account'),
  amount: SaleAmount,
  /** Of a group, for whom one member pays the same fare each; the amount is all of it. Left out: one. */
  passengers: Type.Optional(Passengers),
  /** The member's PIN was verified for this sale: a claim of the kiosk, which only kiosks with a keypad may make. */
  pinVerified: Type.Optional(Type.Boolean()),
  claim: Claim,
  /** The tariff book that the kiosk showed; left out where it holds none. */
  tariff: Type.Optional(BookNumber),
  /** What the outlet asked, in rupiah: less than the amount where the member pays a fee on top. Comes with `tariff`. */
  price: Type.Optional(SaleAmount),
});
export type PurchaseRequest = Static<typeof PurchaseRequest>;
