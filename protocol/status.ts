/** Status: retained birth and will of kiosks and hub, and the beacon that proves freshness (TRUTH section 3). */
import { type Static, Type } from 'typebox';
import { hexSchema } from './ids.ts';
import { BookNumber } from './tariffbook.ts';

/** Retained at `<kiosk>/state`; the will of the same session says offline. */
export const KioskState = Type.Object({
  /** Random per connection, the same in birth and will. */
  session: hexSchema(8),
  online: Type.Boolean(),
  software: Type.String({ maxLength: 32 }),
  /** Requests without a receipt. */
  waiting: Type.Integer({ minimum: 0 }),
  /** Kiosk clock, milliseconds since 1970 UTC: a claim, shown as skew, never trusted. */
  clock: Type.Integer(),
});
export type KioskState = Static<typeof KioskState>;

/** Retained at `hub/state`. */
export const HubState = Type.Object({
  session: hexSchema(8),
  online: Type.Boolean(),
  software: Type.String({ maxLength: 32 }),
});
export type HubState = Static<typeof HubState>;

/** Seconds one beacon is current. */
export const BEACON_SECONDS = 10;

/** Retained at `hub/beacon`: slot = ⌊Unix seconds / 10⌋, value = first 4 bytes of HMAC-SHA-256(hub secret, slot). */
export const Beacon = Type.Object({
  slot: Type.Integer({ minimum: 0, maximum: 2 ** 40 }),
  value: hexSchema(4),
  /** Number of the newest tariff book; left out where there is none. It proves nothing. */
  tariffs: Type.Optional(BookNumber),
});
export type Beacon = Static<typeof Beacon>;

/** Unix minutes at 2020-01-01 UTC, where the card record starts counting. */
export const RECORD_EPOCH_MINUTES = 26_297_280;

/** The record's minute of a beacon slot: minutes since 2020-01-01 UTC. */
export function minuteOfSlot(slot: number): number {
  return Math.floor(slot / 6) - RECORD_EPOCH_MINUTES;
}

/** The six beacon slots of a record's minute, oldest first. */
export function slotsOfMinute(minute: number): number[] {
  const first = (minute + RECORD_EPOCH_MINUTES) * 6;
  return [0, 1, 2, 3, 4, 5].map((offset) => first + offset);
}
