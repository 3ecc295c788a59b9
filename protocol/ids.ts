/** Names and numbers of things, branded so that one cannot stand for another, each with its one spelling. */
import { Type } from 'typebox';

declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** A cooperative's short name, for example `pasar`; the hub's own books are `platform`. */
export type CooperativeId = Branded<string, 'cooperative'>;
/** A member's id inside the hub, opaque: it says nothing about the person. */
export type MemberId = Branded<string, 'member'>;
/** An outlet's id: a stall, vehicle, shop or counter. */
export type OutletId = Branded<string, 'outlet'>;
/** A kiosk's name: MQTT client id and certificate common name. */
export type KioskName = Branded<string, 'kiosk-name'>;
/** A kiosk's number, new at each enrolment and never reused; below 2^24. */
export type KioskNo = Branded<number, 'kiosk-no'>;
/** A kiosk's own count of requests, below 2^24; with the kiosk's number it names one request for ever. */
export type KioskSeq = Branded<number, 'kiosk-seq'>;
/** A card's 7-byte UID as 14 lower-case hex digits. It names a card and proves nothing. */
export type CardUid = Branded<string, 'card-uid'>;

/** Kiosk numbers and sequence numbers have 24 bits on the card (TRUTH section 2). */
export const NUMBER24_MAX = 2 ** 24 - 1;

/** The hub's own number, for what it writes on cards itself; no kiosk is given it. */
export const HUB_KIOSK_NO = NUMBER24_MAX as KioskNo;

const slug = (longest: number) => Type.String({ pattern: `^[a-z][a-z0-9-]{0,${longest - 1}}$` });

export const CooperativeIdSchema = slug(16);
export const OutletIdSchema = slug(32);
export const MemberIdSchema = slug(32);
/** At most 23 characters: MQTT 3.1.1 section 3.1.3.1 promises no more for a client id. */
export const KioskNameSchema = slug(23);
export const KioskNoSchema = Type.Integer({ minimum: 1, maximum: NUMBER24_MAX });
export const KioskSeqSchema = Type.Integer({ minimum: 1, maximum: NUMBER24_MAX });
/** As printed on a card. */
export const CardNumberSchema = Type.String({ pattern: '^[0-9]{8,19}$' });
export const CardUidSchema = Type.String({ pattern: '^[0-9a-f]{14}$' });

/** The hub's own books among the cooperatives'. */
export const PLATFORM = 'platform' as CooperativeId;

/** Hex of exactly `bytes` bytes, lower case. */
export const hexSchema = (bytes: number) => Type.String({ pattern: `^[0-9a-f]{${bytes * 2}}$` });
