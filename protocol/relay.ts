/** Relay: the hub plays a card script through a kiosk, which passes bytes on and learns no key (TRUTH section 14). */
import { type Static, Type } from 'typebox';
import { CardUidSchema, hexSchema, KioskSeqSchema } from './ids.ts';
import { CARD_AMOUNT_MAX, Passengers, SaleAmount } from './money.ts';
import { Receipt } from './receipt.ts';

/** Names one conversation with one card: random, made by the kiosk, never used twice. */
const Talk = hexSchema(8);
/** ISO/IEC 7816-4 section 5.1: a short command has 4 to 261 bytes, a short response 2 to 258. */
const Command = Type.String({ pattern: '^([0-9a-f]{2}){4,261}$' });
/** Empty: none came, and whether the card obeyed is unknown. */
const Response = Type.String({ pattern: '^(([0-9a-f]{2}){2,258})?$' });
/** Commands that one answer may hold; the longest batch of a script is a reload's, five. */
const BATCH_MAX = 8;
/** Answers of a conversation; the longest script asks less than a hundred times. */
export const TURNS_MAX = 255;

const KeyVersion = Type.Integer({ minimum: 0, maximum: 255 });
/** Commands of a reload's batch that count in the session, which may not wrap. */
const RELOAD_COMMANDS = 4;

/** At an issuing kiosk: whatever this card needs. A prepared chip is made a member's, a card in use gets newer keys. */
const Service = Type.Object({ deed: Type.Literal('service'), uid: CardUidSchema });
/**
 * At a stall: a member pays from the account with an NTAG 424, whose key 1 only the hub has (TRUTH section 14). Amount,
 * seq and kiosk are bound here: what comes from the card later carries none. Asked again once it is decided, it is
 * answered with the decision.
 */
export const TagSale = Type.Object({
  deed: Type.Literal('tag-sale'),
  uid: CardUidSchema,
  seq: KioskSeqSchema,
  amount: SaleAmount,
  /** As in a purchase. */
  passengers: Type.Optional(Passengers),
  /** The card's own for key 1, not older than this conversation. */
  challenge: hexSchema(16),
});
export type TagSale = Static<typeof TagSale>;

/**
 * Loads the purse of a card whose transaction the kiosk has opened with key 1 (TRUTH section 14). Repeated to the byte
 * it asks what became of it.
 */
export const ReloadAsked = Type.Object({
  deed: Type.Literal('reload'),
  uid: CardUidSchema,
  seq: KioskSeqSchema,
  amount: SaleAmount,
  /** Beacon slot under which the kiosk has marked its deed. */
  slot: Type.Integer({ minimum: 0, maximum: 2 ** 40 }),
  /** Versions of the card's keys, and of its counter file's key, as the hub gave them. */
  keyVersion: KeyVersion,
  tmacKeyVersion: KeyVersion,
  /** File 0F as read: TMC (little-endian) ‖ TMV. */
  before: hexSchema(12),
  /** The last four records, oldest first. */
  records: hexSchema(64),
  /** The previous reader id, enciphered by the card. */
  encTmri: hexSchema(16),
  /** Transaction identifier and command counter of the session, which carry on under key 3. */
  ti: hexSchema(4),
  ctr: Type.Integer({ minimum: 0, maximum: 0xffff - RELOAD_COMMANDS }),
  /** The card's challenge for key 3. */
  challenge: hexSchema(16),
});
export type ReloadAsked = Static<typeof ReloadAsked>;

export const RelayStart = Type.Union([Service, ReloadAsked, TagSale]);
export type RelayStart = Static<typeof RelayStart>;

/**
 * Kiosk to hub. Turn 0 starts a conversation, each later turn gives the responses to the commands of the answer before,
 * in order; fewer than the commands, if one was lost or refused: nothing was sent after it.
 */
export const RelayRequest = Type.Union([
  Type.Object({ talk: Talk, turn: Type.Literal(0), start: RelayStart }),
  Type.Object({
    talk: Talk,
    turn: Type.Integer({ minimum: 1, maximum: TURNS_MAX }),
    responses: Type.Array(Response, { minItems: 1, maxItems: BATCH_MAX }),
  }),
]);
export type RelayRequest = Static<typeof RelayRequest>;

/** Why a conversation with a card ended early. */
export const CARD_FAILURES = [
  'lost',
  'garbled',
  'refused',
  'wrong-key',
  'delay',
  'not-ours',
  'short',
  'not-genuine',
  'not-prepared',
  'in-use',
  'other-version',
  'other-files',
] as const;
export type CardFailure = (typeof CARD_FAILURES)[number];

const CardNumber = Type.String({ pattern: '^[0-9]{4,19}$' });
/** Rupiah that came back from a card's purse. */
const Returned = Type.Integer({ minimum: 0, maximum: Number(CARD_AMOUNT_MAX) });

/** How the deed ended. */
export const RelayEnd = Type.Union([
  Type.Object({
    done: Type.Literal('personalise'),
    /** Printed on the card. */
    number: CardNumber,
    /** Whose card it is. */
    holder: Type.String({ minLength: 1, maxLength: 64 }),
    /** Cards that wait to be made after this one. */
    left: Type.Integer({ minimum: 0 }),
  }),
  /** Its keys are of the newest version now. */
  Type.Object({ done: Type.Literal('renewed'), number: CardNumber }),
  /** Nothing had to be done. */
  Type.Object({ done: Type.Literal('sound'), number: CardNumber }),
  /** The sale's decision, as for every sale of the account. */
  Type.Object({ done: Type.Literal('tag-sale'), receipt: Receipt, mac: hexSchema(16) }),
  /** A frozen card: what its purse held is back on the account. */
  Type.Object({ done: Type.Literal('drained'), number: CardNumber, amount: Returned }),
  /** A card that has ended: what its purse held since is back on the account, and its keys open nothing any more. */
  Type.Object({ done: Type.Literal('retired'), number: CardNumber, amount: Returned }),
  /** A reload's decision, or its end; voided: the money is back on the account. */
  Type.Object({ done: Type.Literal('reload'), receipt: Receipt, mac: hexSchema(16), voided: Type.Boolean() }),
  /** The money of a reload or a drain is being looked for ("sedang dicek"): the card's next tap tells where it went. */
  Type.Object({ done: Type.Literal('unknown') }),
  Type.Object({
    done: Type.Null(),
    failure: Type.Unsafe<CardFailure>(Type.Union(CARD_FAILURES.map((name) => Type.Literal(name)))),
    /** The command at which it ended, for the technician. */
    at: Type.String({ maxLength: 64 }),
  }),
]);
export type RelayEnd = Static<typeof RelayEnd>;

/** Hub to kiosk: commands to send to the card, or the end. `turn` is the request's. */
export const RelayAnswer = Type.Union([
  Type.Object({
    talk: Talk,
    turn: Type.Integer({ minimum: 0, maximum: TURNS_MAX }),
    commands: Type.Array(Command, { minItems: 1, maxItems: BATCH_MAX }),
  }),
  Type.Object({ talk: Talk, turn: Type.Integer({ minimum: 0, maximum: TURNS_MAX }), end: RelayEnd }),
]);
export type RelayAnswer = Static<typeof RelayAnswer>;
