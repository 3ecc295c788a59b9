/** The tariff book on the kiosk's disk: verified before it is written, written before it is acknowledged (TRUTH 10). */
import { verify } from 'node:crypto';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { type CooperativeId, type KioskNo, KioskNoSchema, KioskSeqSchema } from '../protocol/ids.ts';
import { BOOK_CONTEXT, readBook, type TariffsAnswer, type TariffsRequest } from '../protocol/tariffbook.ts';
import { OutletClassSchema } from '../protocol/tariffs.ts';
import { readIfThere, writePrivate } from './files.ts';
import { publicKeyOf } from './greeting.ts';
import type { Prices } from './rules/prices.ts';

/** Where the book lies. */
const tariffsPath = (dir: string): string => join(dir, 'tariffs.json');

const Kept = Type.Object({
  kiosk: KioskNoSchema,
  text: Type.String(),
  signature: Type.String(),
  class: OutletClassSchema,
  from: KioskSeqSchema,
});
type Kept = Static<typeof Kept>;
const check = Compile(Kept);

/** What the kiosk shows prices by. */
interface HeldTariffs extends Prices {
  /** First sale that book and class are for. */
  readonly from: number;
}

type Taken =
  /** On the disk; the hub is to be told. */
  | { readonly kind: 'kept' }
  | { readonly kind: 'nothing-new' }
  | { readonly kind: 'refused'; readonly why: NonNullable<TariffsRequest['refused']> };

export interface TariffShelf {
  held(): Prices | null;
  /** What to say to the hub: a question and an acknowledgement in one. @param next the kiosk's next sale. */
  ask(next: number, refused?: TariffsRequest['refused']): TariffsRequest;
  /**
   * Takes the hub's answer. A book that the hub did not sign, or older than the one held, changes nothing.
   * @throws the system's error if the disk refuses it: the book before stays.
   */
  take(answer: TariffsAnswer, next: number): Taken;
}

export interface TariffShelfDeps {
  readonly dir: string;
  readonly kiosk: KioskNo;
  /** Cooperative of the outlet. */
  readonly cooperative: CooperativeId;
  /** Public half of the hub's statement key, Ed25519, 32 bytes. */
  readonly statementKey: Uint8Array;
  readonly log: (what: string, detail: string) => void;
}

/** Opens the shelf. @throws the system's error if the disk cannot be read. */
export function openTariffShelf({ dir, kiosk, cooperative, statementKey, log }: TariffShelfDeps): TariffShelf {
  const path = tariffsPath(dir);
  const key = publicKeyOf(statementKey);
  const isSigned = (text: string, signature: string): boolean =>
    verify(null, Buffer.from(BOOK_CONTEXT + text), key, Buffer.from(signature, 'base64'));

  function read(): Kept | null {
    try {
      const value: unknown = JSON.parse(readIfThere(path) ?? 'null');
      if (value === null) return null;
      if (check.Check(value) && isSigned(value.text, value.signature)) return value.kiosk === kiosk ? value : null;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    log('tariffs refused', `${path} is not what the hub signed: the hub is asked for its book again`);
    return null;
  }

  function open(from: Kept | null): HeldTariffs | null {
    const book = from === null ? null : readBook(from.text);
    return from === null || book === null ? null : { ...book, cooperative, class: from.class, from: from.from };
  }

  let kept = read();
  let held = open(kept);

  function judge({ text, signature }: NonNullable<TariffsAnswer['book']>): Taken | null {
    if (!isSigned(text, signature)) return { kind: 'refused', why: 'forged' };
    const book = readBook(text);
    if (book === null) return { kind: 'refused', why: 'unreadable' };
    if (held === null || book.book > held.book) return null;
    return book.book === held.book && text === kept?.text ? null : { kind: 'refused', why: 'gone-back' };
  }

  return {
    held: () => held,
    ask(next, refused) {
      const holds = held === null || kept === null ? null : { book: held.book, signature: kept.signature };
      const known = { holds, class: held?.class ?? null, from: held?.from ?? next };
      return refused === undefined ? known : { ...known, refused };
    },
    take({ book, class: named }, next) {
      const refused = book === null ? null : judge(book);
      if (refused !== null) return refused;
      const signed = book ?? kept;
      if (signed === null) return { kind: 'nothing-new' };
      if (signed.text === kept?.text && named === kept.class) return { kind: 'nothing-new' };
      const fresh: Kept = { kiosk, text: signed.text, signature: signed.signature, class: named, from: next };
      const opened = open(fresh);
      if (opened === null) throw new Error('a book that was read cannot be read');
      writePrivate(path, `${JSON.stringify(fresh)}\n`);
      kept = fresh;
      held = opened;
      return { kind: 'kept' };
    },
  };
}
