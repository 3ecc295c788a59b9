/** Card key: a kiosk without the `offline` grant asks for key 1 of the card on its reader (TRUTH section 14). */
import { type Static, Type } from 'typebox';
import { CardUidSchema, CooperativeIdSchema } from './ids.ts';

export const CardKeyRequest = Type.Object({
  uid: CardUidSchema,
  /** Version of key 1 as the card tells it: between two versions, only the card knows which it took. */
  told: Type.Optional(Type.Integer({ minimum: 0, maximum: 255 })),
});
export type CardKeyRequest = Static<typeof CardKeyRequest>;

export const CardKeyGrant = Type.Object({
  uid: CardUidSchema,
  /** Version of key 1 on this card. */
  keyVersion: Type.Integer({ minimum: 0, maximum: 255 }),
  /** Version of the card's TMAC key, which claims must name. */
  tmacKeyVersion: Type.Integer({ minimum: 0, maximum: 255 }),
  /** Cooperative of the card: fees depend on whether it is the outlet's own. */
  issuer: CooperativeIdSchema,
  /** Key 1 (16 bytes) sealed to the kiosk's sealing key, base64; see `cardKeyContext`. */
  sealed: Type.String({ pattern: '^[A-Za-z0-9+/]{80,200}={0,2}$' }),
});
export type CardKeyGrant = Static<typeof CardKeyGrant>;

/** What the sealing of a card key is bound to, so that a grant for one card cannot be passed off as another's. */
export function cardKeyContext(uid: string, keyVersion: number): string {
  return `simpul-1 key 1 of ${uid} version ${keyVersion}`;
}
