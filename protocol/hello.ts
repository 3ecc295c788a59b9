/** Hello: a kiosk with the `offline` grant asks for the key of the masters on its disk (TRUTH section 14). */
import { type Static, Type } from 'typebox';
import { Point } from './enrolment.ts';
import { MasterBox } from './masterbox.ts';

/** Kiosk to hub at each connect. */
export const HelloRequest = Type.Object({
  /**
   * Public key made for this one answer: what was recorded on the way opens nothing later, not even with all that is
   * on the kiosk's disk.
   */
  key: Point,
  /** Version of the box on the disk; 0 without one. */
  box: Type.Integer({ minimum: 0, maximum: 255 }),
});
export type HelloRequest = Static<typeof HelloRequest>;

/** Hub to kiosk. */
export const HelloAnswer = Type.Object({
  version: Type.Integer({ minimum: 1, maximum: 255 }),
  /** Release key of that version, 32 bytes sealed to the request's key, base64; see `releaseContext`. */
  release: Type.String({ pattern: '^[A-Za-z0-9+/]{151}=$' }),
  /** The box, if the kiosk's is of another version. */
  box: Type.Union([MasterBox, Type.Null()]),
});
export type HelloAnswer = Static<typeof HelloAnswer>;

/** What the sealing of a release key is bound to. */
export function releaseContext(kiosk: number, version: number): string {
  return `simpul-1 release key of kiosk ${kiosk} version ${version}`;
}
