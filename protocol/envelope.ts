/** The envelope around every message; the only encode and decode. */
import { type Static, type TSchema, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Refusal } from './refusals.ts';

/** The major version this code speaks. */
export const PROTOCOL_VERSION = 1;

/** Largest message either side accepts, in bytes. */
export const MESSAGE_BYTES_MAX = 16_384;

const Id = Type.String({ pattern: '^[A-Za-z0-9_-]{1,32}$' });

const envelopeOf = <Body extends TSchema>(body: Body) =>
  Type.Object({
    v: Type.Literal(PROTOCOL_VERSION),
    /** Unique per message and sender; answers name it in `replyTo`. */
    id: Id,
    /** The sender's clock, milliseconds since 1970 UTC. */
    at: Type.Integer(),
    /** Counts messages of this connection and direction from 1; a gap means a lost message. */
    n: Type.Integer({ minimum: 1 }),
    replyTo: Type.Optional(Id),
    body,
  });

/** What stands around a body. */
export interface Head {
  readonly id: string;
  readonly at: number;
  readonly n: number;
  readonly replyTo?: string | undefined;
}

/** A message as it is read. */
export interface Envelope<Body> extends Head {
  readonly body: Body;
}

/** A message kind: one compiled check for the envelope and its body. */
export interface MessageKind<Body> {
  readonly schema: TSchema;
  readonly check: (value: unknown) => boolean;
  /** Only carries the type. */
  readonly body?: Body;
}

/** Declares a message kind by the schema of its body. */
export function message<Body extends TSchema>(body: Body): MessageKind<Static<Body>> {
  const validator = Compile(envelopeOf(body));
  return { schema: body, check: (value) => validator.Check(value) };
}

export type Decoded<Body> =
  | { readonly ok: true; readonly message: Envelope<Body> }
  /** `id` is the sender's message id where it could be read, so that the refusal can name it. */
  | { readonly ok: false; readonly refusal: Refusal; readonly id: string | undefined };

/** JSON text of a message; fields in a fixed order. */
export function encode<Body>(envelope: Envelope<Body>): string {
  return encodeAround(envelope, JSON.stringify(envelope.body));
}

/** What `encode` writes before a body. Ids are of letters that need no escaping. */
function headText({ id, at, n, replyTo }: Head): string {
  const answers = replyTo === undefined ? '' : `,"replyTo":"${replyTo}"`;
  return `{"v":${PROTOCOL_VERSION},"id":"${id}","at":${at},"n":${n}${answers},"body":`;
}

/** JSON text of a message around a body that is JSON text already and must stay so to the byte. */
export function encodeAround(head: Head, body: string): string {
  return `${headText(head)}${body}}`;
}

/**
 * JSON text of the body of a message that was read from this text: as it stands there, if the message is written as
 * `encode` writes it and says nothing more, otherwise written anew. Two messages with the same text have the same body.
 * @throws RangeError if unknown fields nest beyond what can be written.
 */
export function bodyText(message: Envelope<unknown>, text: string): string {
  const head = headText(message);
  const fields = message.replyTo === undefined ? 5 : 6;
  const nothingElse = text.startsWith(head) && text.endsWith('}') && Object.keys(message).length === fields;
  return nothingElse ? text.slice(head.length, -1) : JSON.stringify(message.body);
}

/** Reads a message of a kind. Unknown fields are ignored, an unknown major version is refused. */
export function decode<Body>(kind: MessageKind<Body>, text: string): Decoded<Body> {
  if (text.length > MESSAGE_BYTES_MAX) return { ok: false, refusal: 'message-malformed', id: undefined };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, refusal: 'message-malformed', id: undefined };
  }
  if (kind.check(value)) return { ok: true, message: value as Envelope<Body> };
  const { v, id } = (value ?? {}) as { v?: unknown; id?: unknown };
  const known = typeof id === 'string' && /^[A-Za-z0-9_-]{1,32}$/.test(id) ? id : undefined;
  const otherMajor = typeof v === 'number' && v !== PROTOCOL_VERSION;
  return { ok: false, refusal: otherMajor ? 'version-unknown' : 'message-malformed', id: known };
}
