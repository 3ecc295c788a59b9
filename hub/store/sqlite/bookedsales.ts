/** Booked sales: reads from a ledger file what was priced in a month, beside the hub or after it. */
import Database from 'better-sqlite3';
import type { CooperativeId, OutletId } from '../../../protocol/ids.ts';
import type { Receipt } from '../../../protocol/receipt.ts';
import { type FeeShare, isPricedKind, splitByWeight } from '../../../protocol/tariffs.ts';
import type { BookedSale } from '../../rules/simulation.ts';
import { VOID_ORIGIN } from '../ledger.ts';
import { keyNumber } from './decisions.ts';

/** A void stands this far above its sale. */
const ABOVE = keyNumber({ origin: VOID_ORIGIN, seq: 0 });

// A void is of the month in which it was booked, and priced as its sale was.
const SALES = `SELECT coalesce(sale.kind, entry.kind) AS kind, coalesce(sale.date, entry.date) AS date,
    entry.receipt, sale.receipt AS voided
  FROM entry LEFT JOIN entry sale ON entry.kind = 'void' AND sale.key = entry.key - ${ABOVE}
  WHERE entry.date BETWEEN ? AND ? AND entry.legs > 0`;

interface Row {
  readonly kind: string;
  readonly date: string;
  readonly receipt: string;
  /** Receipt of the sale that this is the void of. */
  readonly voided: string | null;
}

const sharesOf = (shares: Receipt['shares']): FeeShare[] =>
  shares.map(({ to, amount }) => ({ to: to as CooperativeId, amount: BigInt(amount) }));

/** A void's receipt does not say who gives back what of the fee: all of it, or what refunds before have left of it. */
function givenBack(fee: bigint, sale: Receipt): FeeShare[] {
  const shares = sharesOf(sale.shares);
  const parts = splitByWeight(
    fee,
    shares.map(({ amount }) => amount),
  );
  return shares.map(({ to }, at) => ({ to, amount: parts[at] ?? 0n }));
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
      const { kind, date, voided } = row;
      const { issuer, acquirer, outlet, amount, fee, shares } = JSON.parse(row.receipt) as Receipt;
      if (!isPricedKind(kind) || issuer === null || acquirer === null) continue;
      yield {
        kind,
        issuer: issuer as CooperativeId,
        acquirer: acquirer as CooperativeId,
        class: classOf(outlet as OutletId | null),
        amount: BigInt(amount),
        fee: BigInt(fee),
        shares: voided === null ? sharesOf(shares) : givenBack(BigInt(fee), JSON.parse(voided) as Receipt),
        date,
        voids: voided !== null,
      };
    }
  } finally {
    db.close();
  }
}
