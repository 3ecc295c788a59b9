/** Booked sales: reads from a ledger file what was priced in a month, beside the hub or after it. */
import Database from 'better-sqlite3';
import type { CooperativeId, OutletId } from '../../../protocol/ids.ts';
import type { Receipt } from '../../../protocol/receipt.ts';
import { isPricedKind } from '../../../protocol/tariffs.ts';
import type { BookedSale } from '../../rules/simulation.ts';
import { VOID_ORIGIN } from '../ledger.ts';
import { keyNumber } from './decisions.ts';

/** A void stands this far above its sale. */
const ABOVE = keyNumber({ origin: VOID_ORIGIN, seq: 0 });

// A void is of the month in which it was booked, and priced as its sale was.
const SALES = `SELECT coalesce(sale.kind, entry.kind) AS kind, coalesce(sale.date, entry.date) AS date,
    entry.receipt, entry.kind = 'void' AS voids
  FROM entry LEFT JOIN entry sale ON entry.kind = 'void' AND sale.key = entry.key - ${ABOVE}
  WHERE entry.date BETWEEN ? AND ? AND entry.legs > 0`;

interface Row {
  readonly kind: string;
  readonly date: string;
  readonly receipt: string;
  readonly voids: 0 | 1;
}

/**
 * Every payment of a business month that has a price, one after the other. Changes nothing; closes the file when it was
 * read to the end or given up.
 * @param month `YYYY-MM`.
 * @param classOf class of an outlet today; the books do not keep the one of then.
 * @throws if the file is no ledger.
 */
export function* bookedSales(
  path: string,
  month: string,
  classOf: (outlet: OutletId | null) => string,
): Generator<BookedSale> {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    for (const row of db.prepare(SALES).iterate(`${month}-01`, `${month}-31`) as IterableIterator<Row>) {
      const { kind, date, voids } = row;
      const { issuer, acquirer, outlet, amount, fee, shares } = JSON.parse(row.receipt) as Receipt;
      if (!isPricedKind(kind) || issuer === null || acquirer === null) continue;
      yield {
        kind,
        issuer: issuer as CooperativeId,
        acquirer: acquirer as CooperativeId,
        class: classOf(outlet as OutletId | null),
        amount: BigInt(amount),
        fee: BigInt(fee),
        shares: shares.map((share) => ({ to: share.to as CooperativeId, amount: BigInt(share.amount) })),
        date,
        voids: voids === 1,
      };
    }
  } finally {
    db.close();
  }
}
