/** Fee lines: what a sale costs whom, said before it is confirmed (DESIGN section 9). */
import { spellRupiah } from '../../protocol/money.ts';
import type { Quote } from '../../protocol/tariffs.ts';
import { priceOf } from './prices.ts';
import type { Till } from './sale.ts';
import type { Words } from './screens.ts';

/** A fee in words; `cards` says for which it is, ending in a colon, or nothing where it is for all. */
function feeWords({ direction, fee, total }: Quote, cards: Words): Words {
  const [cost, all] = [spellRupiah(fee), spellRupiah(total)];
  const words: Words =
    direction === 'member'
      ? { id: `bayar ${all}, biaya ${cost}`, en: `pay ${all}, fee ${cost}` }
      : { id: `biaya lapak ${cost}`, en: `the outlet pays ${cost}` };
  return { id: `${cards.id}${words.id}`, en: `${cards.en}${words.en}` };
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** The fees of an amount for cards of the outlet's cooperative and of others; nothing of a fee that is 0 or unknown. */
export function feeLines(till: Pick<Till, 'prices' | 'beacon'>, amount: bigint): Words[] {
  const own = priceOf(till, 'own', amount);
  const other = priceOf(till, 'other', amount);
  if (own === null || other === null) return [];
  if (own.fee === other.fee && own.total === other.total) {
    const { id, en } = feeWords(own, { id: '', en: '' });
    return own.fee === 0n ? [] : [{ id: capital(id), en: capital(en) }];
  }
  return [
    ...(own.fee === 0n ? [] : [feeWords(own, { id: 'Kartu koperasi ini: ', en: 'Cards of this cooperative: ' })]),
    ...(other.fee === 0n ? [] : [feeWords(other, { id: 'Kartu koperasi lain: ', en: 'Cards of others: ' })]),
  ];
}
