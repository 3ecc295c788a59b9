/** Terms of a tariff as officers and town files write them. */
import { type Static, type TObject, Type } from 'typebox';
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
} from '../protocol/tariffs.ts';

const exact = { additionalProperties: false };
const Amount = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Day = Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}$' });
const oneOf = <Name extends string>(names: readonly Name[]) => Type.Unsafe<Name>(Type.Enum([...names]));

/** Amounts are whole rupiah, dates `YYYY-MM-DD`; see `Tariff`. */
export const TariffTerms = {
  kind: oneOf<TariffKind>(TARIFF_KINDS),
  direction: Type.Optional(oneOf<Direction>(DIRECTIONS)),
  reach: oneOf<Reach>(REACHES),
  class: Type.Optional(OutletClassSchema),
  fixed: Amount,
  basisPoints: Type.Integer({ minimum: 0, maximum: 10_000 }),
  min: Amount,
  max: Amount,
  shares: Type.Array(
    Type.Object(
      { to: oneOf<FeeRole>(FEE_ROLES), weight: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }) },
      exact,
    ),
    { maxItems: FEE_ROLES.length },
  ),
  from: Day,
  until: Type.Optional(Day),
};
type Terms = Static<TObject<typeof TariffTerms>>;

/** The same terms with their amounts exact, and nothing beside them. */
export function termsOf(terms: Terms): Omit<Tariff, 'version'> {
  const { kind, direction, reach, class: named, basisPoints, shares, from, until } = terms;
  return {
    kind,
    ...(direction === undefined ? {} : { direction }),
    reach,
    ...(named === undefined ? {} : { class: named }),
    fixed: BigInt(terms.fixed),
    basisPoints,
    min: BigInt(terms.min),
    max: BigInt(terms.max),
    shares,
    from,
    ...(until === undefined ? {} : { until }),
  };
}
