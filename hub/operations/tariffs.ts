/** Tariffs: gives a kiosk the newest signed book, and notes which it holds since which sale (TRUTH section 10). */
import type { TariffsAnswer, TariffsRequest } from '../../protocol/tariffbook.ts';
import { DEFAULT_CLASS } from '../../protocol/tariffs.ts';
import type { Alarms } from '../alarms.ts';
import type { Operation, Reply } from '../mqtt/router.ts';
import type { Kiosk, Registry } from '../store/registry.ts';
import type { SignedBook } from '../store/tariffbooks.ts';

export interface TariffsDeps {
  readonly registry: Pick<
    Registry,
    'outlet' | 'tariffBook' | 'newestTariffBook' | 'heldTariffs' | 'acknowledgeTariffs'
  >;
  readonly alarms: Pick<Alarms, 'raise'>;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}

type Holding = Omit<TariffsRequest, 'holds'> & { readonly holds: NonNullable<TariffsRequest['holds']> };

/**
 * Notes what the kiosk holds, if that is news: the class must be the one the outlet has, since it too makes the price.
 * @returns why not, or null.
 */
function acknowledge({ registry, now }: TariffsDeps, kiosk: Kiosk, body: Holding, named: string): Reply | null {
  const { holds, from } = body;
  const before = registry.heldTariffs(kiosk.no);
  if (before !== null && (holds.book < before.book || from < before.from)) {
    const was = `book ${before.book} from sale ${before.from}`;
    const detail = `kiosk ${kiosk.name} held ${was}, and now says ${holds.book} from ${from}`;
    return { refusal: 'tariffs-gone-back', detail, alarm: 'tariffs-gone-back' };
  }
  const news = before === null || holds.book !== before.book || named !== before.class;
  if (news && body.class === named) {
    registry.acknowledgeTariffs(kiosk.no, { book: holds.book, class: named, from }, now());
  }
  return null;
}

const answer = (book: SignedBook | null, named: string): Reply => {
  const sent = book === null ? null : { text: book.text, signature: book.signature };
  return { body: JSON.stringify({ book: sent, class: named } satisfies TariffsAnswer) };
};

export function makeTariffs(deps: TariffsDeps): Operation<'tariffs'> {
  const { registry, alarms } = deps;
  return async ({ kiosk, body }) => {
    const { holds, refused } = body;
    const named = registry.outlet(kiosk.outlet)?.class ?? DEFAULT_CLASS;
    const newest = registry.newestTariffBook() ?? null;
    if (refused !== undefined) {
      const sent = newest === null ? 'a book that this hub has not' : `book ${newest.book}`;
      alarms.raise('tariffs-refused', kiosk.name, `kiosk ${kiosk.name} did not take ${sent}: ${refused}`);
    }
    if (holds === null) return answer(refused === undefined ? newest : null, named);
    const known = registry.tariffBook(holds.book);
    if (known?.signature !== holds.signature) {
      const detail = `kiosk ${kiosk.name} holds a book ${holds.book} that this hub never made`;
      // A newer one ends it.
      if (newest === null || newest.book <= holds.book || refused !== undefined) {
        return { refusal: 'tariffs-unknown', detail, alarm: 'tariffs-unknown' };
      }
      alarms.raise('tariffs-unknown', kiosk.name, detail);
      return answer(newest, named);
    }
    const back = acknowledge(deps, kiosk, { ...body, holds }, named);
    if (back !== null) return back;
    return answer(newest?.book === holds.book || refused !== undefined ? null : newest, named);
  };
}
