/** Makes the signed book of tariffs whenever officers have added some. */
import type { Logger } from 'pino';
import { businessDate } from '../protocol/dates.ts';
import { minuteOf } from '../protocol/statement.ts';
import { BOOK_CHARS_MAX, writeBook } from '../protocol/tariffbook.ts';
import { stillCounts, type Tariff } from '../protocol/tariffs.ts';
import type { Registry } from './store/registry.ts';
import type { Vault } from './vault.ts';

export interface TariffBookDeps {
  readonly vault: Pick<Vault, 'signTariffs'>;
  readonly registry: Pick<Registry, 'tariffs' | 'newestTariffBook' | 'putTariffBook'>;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
  readonly log: Pick<Logger, 'error' | 'info'>;
}

/** The text of a book of these tariffs: those that can apply from this day on; what is over prices nothing any more. */
function bookText(book: number, tariffs: readonly Tariff[], date: string): string {
  return writeBook({ book, tariffs: tariffs.filter((tariff) => stillCounts(tariff, tariffs, date)) });
}

/** Whether these tariffs fit one book on this day. */
export function fitsBook(tariffs: readonly Tariff[], date: string): boolean {
  return bookText(2 ** 31 - 1, tariffs, date).length <= BOOK_CHARS_MAX;
}

/**
 * Signs a new book if there are tariffs that the newest does not know. Its number is the minute of its making, so that
 * a hub restored from an old copy goes on above the books that it has forgotten.
 */
export function renewTariffBook({ vault, registry, now, log }: TariffBookDeps): void {
  const tariffs = registry.tariffs();
  const upto = tariffs.reduce((most, { version }) => Math.max(most, version), 0);
  const newest = registry.newestTariffBook();
  if (upto <= (newest?.upto ?? 0)) return;
  const at = now();
  const date = businessDate(at);
  if (!fitsBook(tariffs, date)) {
    return void log.error({ upto }, 'the tariffs do not fit one book; kiosks keep the book before');
  }
  const book = Math.max((newest?.book ?? 0) + 1, minuteOf(at));
  const text = bookText(book, tariffs, date);
  registry.putTariffBook({ book, upto, text, signature: vault.signTariffs(text) }, at);
  log.info({ book, upto }, 'a new book of tariffs was signed');
}
