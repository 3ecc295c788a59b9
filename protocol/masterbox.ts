/** Master box: the debit masters as a kiosk with the `offline` grant keeps them on its disk (TRUTH section 14). */
import { type Static, Type } from 'typebox';
import { hexSchema, KioskNoSchema } from './ids.ts';

/**
 * Format: `sealed` is base64 of ciphertext ‖ tag 16, AES-256-GCM over the UTF-8 JSON text of `DebitMasters`, with
 * `nonce` (12 bytes) and, as additional data, the ASCII text of `masterBoxContext(kiosk, version)`. The key is the
 * kiosk's release key of that version, 32 bytes: the hub releases it at each hello, the kiosk holds it in RAM only, and
 * so a stolen disk holds no master.
 */
export const MasterBox = Type.Object({
  v: Type.Literal(1),
  /** The kiosk that it was sealed for; no other one's release key opens it. */
  kiosk: KioskNoSchema,
  /** Names the release key; goes up with the newest debit master inside. */
  version: Type.Integer({ minimum: 1, maximum: 255 }),
  nonce: hexSchema(12),
  sealed: Type.String({ pattern: '^[A-Za-z0-9+/]+={0,2}$', maxLength: 32_768 }),
});
export type MasterBox = Static<typeof MasterBox>;

/** What is inside: every debit master, each serving card key versions from its own up to the next one's. */
export const DebitMasters = Type.Object({
  v: Type.Literal(1),
  masters: Type.Array(Type.Object({ from: Type.Integer({ minimum: 0, maximum: 255 }), key: hexSchema(16) }), {
    minItems: 1,
    maxItems: 256,
  }),
});
export type DebitMasters = Static<typeof DebitMasters>;

/** What a box is bound to, ASCII: one kiosk's box cannot be passed off as another's, nor an old one as a newer. */
export function masterBoxContext(kiosk: number, version: number): string {
  return `simpul-1 debit masters of kiosk ${kiosk} version ${version}`;
}
