/** The tariff book: a town's whole table of tariffs, numbered and signed by the hub, as kiosks hold it (TRUTH 10). */
import { type Static, Type } from 'typebox';
import { KioskSeqSchema } from './ids.ts';
import {
  DIRECTIONS,
  type Direction,
  FEE_ROLES,
  type FeeRole,
  OutletClassSchema,
  REACHES,
  type Reach,
  TARIFF_KINDS,
  type Tariff,
  type TariffKind,
  tariffFault,
} from './tariffs.ts';

/** What is signed before a book's text, so that the key's signature over anything else is none over a book. */
export const BOOK_CONTEXT = 'simpul-1 tariff book\n';

/** Characters of the longest book: it must fit one message. */
export const BOOK_CHARS_MAX = 12_000;

/** Number of a book: higher than that of every book before it. */
export const BookNumber = Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 });

/** Ed25519 signature over `BOOK_CONTEXT` and the text, 64 bytes, base64. */
const Signature = Type.String({ pattern: '^[A-Za-z0-9+/]{86}==$' });

/**
 * Kiosk to hub at each connect, when the beacon names a newer book, and again when a new book is on the disk: that
 * acknowledges it.
 */
export const TariffsRequest = Type.Object({
  /** The book on the kiosk's disk, verified; null without one. */
  holds: Type.Union([Type.Object({ book: BookNumber, signature: Signature }), Type.Null()]),
  /** Class of the outlet as the kiosk was last told; null if it never was. */
  class: Type.Union([OutletClassSchema, Type.Null()]),
  /** First sale of the kiosk that book and class are for: its next when they came to its disk. */
  from: KioskSeqSchema,
  /** Why the book that the hub sent was not taken. */
  refused: Type.Optional(Type.Union([Type.Literal('forged'), Type.Literal('unreadable'), Type.Literal('gone-back')])),
});
export type TariffsRequest = Static<typeof TariffsRequest>;

/** Hub to kiosk. */
export const TariffsAnswer = Type.Object({
  /** The newest book; null if the kiosk holds it, or there is none. */
  book: Type.Union([
    Type.Object({ text: Type.String({ maxLength: BOOK_CHARS_MAX }), signature: Signature }),
    Type.Null(),
  ]),
  /** Class of the kiosk's outlet. */
  class: OutletClassSchema,
});
export type TariffsAnswer = Static<typeof TariffsAnswer>;

export interface TariffBook {
  readonly book: number;
  readonly tariffs: readonly Tariff[];
}

const NONE = '-';

function line(tariff: Tariff): string {
  const { version, kind, direction = 'merchant', reach, fixed, basisPoints, min, max, from } = tariff;
  const shares = tariff.shares.map(({ to, weight }) => `${to}:${weight}`).join(',');
  const terms = [version, kind, direction, reach, tariff.class ?? NONE, fixed, basisPoints, min, max];
  return [...terms, from, tariff.until ?? NONE, shares === '' ? NONE : shares].join(' ');
}

/**
 * Writes a book: `book NUMBER`, then a line for each tariff by version: version, kind, payer, reach, class, fixed part,
 * basis points, minimum, maximum, first day, last day, shares; `-` where there is none.
 */
export function writeBook({ book, tariffs }: TariffBook): string {
  return [`book ${book}`, ...tariffs.map(line)].join('\n');
}

const oneOf = <Name extends string>(names: readonly Name[], text: string | undefined): Name | null =>
  names.find((name) => name === text) ?? null;

function sharesOf(text: string): Tariff['shares'] | null {
  if (text === NONE) return [];
  const shares: { to: FeeRole; weight: number }[] = [];
  for (const part of text.split(',')) {
    const [, name, weight] = /^([a-z]+):(\d{1,16})$/.exec(part) ?? [];
    const to = oneOf(FEE_ROLES, name);
    if (to === null) return null;
    shares.push({ to, weight: Number(weight) });
  }
  return shares;
}

const NUMBER = /^\d{1,16}$/;

function tariffOf(text: string): Tariff | null {
  const [version, kind, direction, reach, named, ...rest] = text.split(' ');
  const [fixed = '', points = '', min = '', max = '', from = '', until = '', parts = '', more] = rest;
  if (more !== undefined || ![version ?? '', fixed, points, min, max].every((one) => NUMBER.test(one))) return null;
  const said = {
    kind: oneOf<TariffKind>(TARIFF_KINDS, kind),
    direction: oneOf<Direction>(DIRECTIONS, direction),
    reach: oneOf<Reach>(REACHES, reach),
    shares: sharesOf(parts),
  };
  if (said.kind === null || said.direction === null || said.reach === null || said.shares === null) return null;
  const tariff: Tariff = {
    version: Number(version),
    kind: said.kind,
    direction: said.direction,
    reach: said.reach,
    ...(named === NONE ? {} : { class: named ?? '' }),
    fixed: BigInt(fixed),
    basisPoints: Number(points),
    min: BigInt(min),
    max: BigInt(max),
    shares: said.shares,
    from,
    ...(until === NONE ? {} : { until }),
  };
  return tariffFault(tariff) === null ? tariff : null;
}

/**
 * Reads a book; its signature must have been checked.
 * @returns null unless it is written to the letter as `writeBook` does, versions rising, and can price any payment.
 */
export function readBook(text: string): TariffBook | null {
  if (text.length > BOOK_CHARS_MAX) return null;
  const [head = '', ...lines] = text.split('\n');
  const [, number] = /^book (\d{1,10})$/.exec(head) ?? [];
  const tariffs: Tariff[] = [];
  for (const one of lines) {
    const tariff = tariffOf(one);
    if (tariff === null || tariff.version <= (tariffs.at(-1)?.version ?? 0)) return null;
    tariffs.push(tariff);
  }
  const book = { book: Number(number), tariffs };
  return writeBook(book) === text ? book : null;
}
