/** Tariff books in SQLite: all of them in memory too, since every sale asks for the one its kiosk showed. */
import type Database from 'better-sqlite3';
import type { KioskNo } from '../../../protocol/ids.ts';
import { readBook } from '../../../protocol/tariffbook.ts';
import type { Tariff } from '../../../protocol/tariffs.ts';
import type { Shown, SignedBook, TariffBooks } from '../tariffbooks.ts';

interface Held extends SignedBook {
  readonly tariffs: readonly Tariff[];
}

interface AckRow extends Omit<Shown, 'tariffs'> {
  readonly kiosk: KioskNo;
}

const sql = {
  books: 'SELECT book, upto, text, signature FROM tariff_book ORDER BY book',
  acks: 'SELECT kiosk, book, class, first_seq AS "from" FROM tariff_ack ORDER BY id',
  putBook: 'INSERT INTO tariff_book (book, upto, text, signature, made) VALUES (?, ?, ?, ?, ?)',
  putAck: 'INSERT INTO tariff_ack (kiosk, book, class, first_seq, at) VALUES (?, ?, ?, ?, ?)',
} as const;

function held(book: SignedBook): Held {
  const read = readBook(book.text);
  if (read?.book !== book.book) throw new Error(`tariff book ${book.book} in the registry cannot be read`);
  return { ...book, tariffs: read.tariffs };
}

/** Only the hub that serves the directory writes here, so that what is in memory is what is on the disk. */
export function openTariffBooks(db: Database.Database): TariffBooks {
  const books = new Map((db.prepare(sql.books).all() as SignedBook[]).map((row) => [row.book, held(row)]));
  let newest = [...books.values()].at(-1);
  const shown = new Map<KioskNo, Shown[]>();

  function remember({ kiosk, ...ack }: AckRow): void {
    const book = books.get(ack.book);
    if (book === undefined) throw new Error(`no tariff book has the number ${ack.book}`);
    const before = shown.get(kiosk) ?? [];
    shown.set(kiosk, before);
    before.push({ ...ack, tariffs: book.tariffs });
  }

  for (const row of db.prepare(sql.acks).all() as AckRow[]) remember(row);
  const last = (kiosk: KioskNo) => shown.get(kiosk)?.at(-1) ?? null;

  return {
    tariffBook: (book) => books.get(book),
    newestTariffBook: () => newest,
    putTariffBook(book, at) {
      if (newest !== undefined && book.book <= newest.book) throw new RangeError(`tariff book ${book.book} is too low`);
      const fresh = held(book);
      db.prepare(sql.putBook).run(book.book, book.upto, book.text, book.signature, at);
      books.set(book.book, fresh);
      newest = fresh;
    },
    shownTariffs(kiosk, seq) {
      const all = shown.get(kiosk);
      if (all === undefined) return null;
      for (let at = all.length - 1; at >= 0; at--) {
        const one = all[at];
        if (one !== undefined && one.from <= seq) return one;
      }
      return null;
    },
    acknowledgeTariffs(kiosk, ack, at) {
      const before = last(kiosk);
      if (before !== null && (ack.book < before.book || ack.from < before.from)) {
        throw new RangeError(`kiosk ${kiosk} goes behind what it acknowledged`);
      }
      db.prepare(sql.putAck).run(kiosk, ack.book, ack.class, ack.from, at);
      remember({ kiosk, ...ack });
    },
    heldTariffs: last,
  };
}
