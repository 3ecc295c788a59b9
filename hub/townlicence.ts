/** What a town file says of licences: the hub's mode, each cooperative's switches, what is known of its members. */
import { type Static, Type } from 'typebox';
import type { CooperativeId, MemberId } from '../protocol/ids.ts';
import {
  DUE_DILIGENCE,
  HUB_MODES,
  type HubMode,
  type Licence,
  licenceFault,
  mayHold,
  NO_LICENCE,
  PLAIN_HOLDER,
} from './rules/licence.ts';
import type { Licences } from './store/licences.ts';

const exact = { additionalProperties: false };
const yesOrNo = Type.Optional(Type.Boolean());
const Profile = Type.Optional(Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' }));
const Mark = Type.Optional(Type.Union([Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }), Type.Null()]));

/** Of the town as a whole: what kind of hub it is for. */
export const TownLicence = Type.Object({ mode: Type.Enum([...HUB_MODES]) }, exact);

/** Level of due diligence of a member. */
export const Level = Type.Enum([...DUE_DILIGENCE]);

/** Of one cooperative: what is left out is off, or as the law has it. Marks for cash in rupiah, null for none. */
export const CooperativeLicence = Type.Object(
  {
    offUs: yesOrNo,
    purse: yesOrNo,
    deposits: yesOrNo,
    membersOnly: yesOrNo,
    dueDiligence: Type.Optional(Level),
    profiles: Type.Optional(Type.Object({ none: Profile, simple: Profile, full: Profile }, exact)),
    cashThreshold: Mark,
    cashNotice: Mark,
    floatReport: yesOrNo,
    retentionYears: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  },
  exact,
);
type CooperativeLicence = Static<typeof CooperativeLicence>;

interface Licensed {
  readonly licence?: Static<typeof TownLicence>;
  readonly cooperatives: readonly { readonly id: string; readonly licence?: CooperativeLicence }[];
  readonly members: readonly {
    readonly id: string;
    readonly cooperative: string;
    readonly level?: Static<typeof Level>;
    readonly public?: boolean;
  }[];
}

const mark = (value: number | null) => (value === null ? null : BigInt(value));

/** The parts of a licence that a town file names. */
function partsOf({ cashThreshold, cashNotice, profiles, ...rest }: CooperativeLicence): Partial<Licence> {
  return {
    ...rest,
    ...(profiles === undefined ? {} : { profiles: { ...NO_LICENCE.profiles, ...profiles } }),
    ...(cashThreshold === undefined ? {} : { cashThreshold: mark(cashThreshold) }),
    ...(cashNotice === undefined ? {} : { cashNotice: mark(cashNotice) }),
  };
}

/** What does not hold together in a town's licences, for a hub of this mode; null: the file's own, if it says one. */
export function licenceFaults(town: Licensed, mode: HubMode | null): string[] {
  const said = town.licence?.mode ?? null;
  const kind = mode ?? said;
  const differs = said !== null && mode !== null && said !== mode ? [`it is for a ${said} hub, not a ${mode} one`] : [];
  const licences = new Map(
    town.cooperatives.map(({ id, licence = {} }) => [id, { ...NO_LICENCE, ...partsOf(licence) }]),
  );
  const named = town.cooperatives.filter(({ licence }) => licence !== undefined);
  const idle = kind === 'demo' ? named.map(({ id }) => `${id} has a licence, and a demonstration knows none`) : [];
  const wrong = [...licences].flatMap(([id, licence]) => {
    const fault = licenceFault(licence);
    return fault === null ? [] : [`${id}: ${fault}`];
  });
  const outside = town.members.flatMap(({ id, cooperative, public: isPublic = false }) => {
    const licence = licences.get(cooperative);
    const held = kind !== 'licensed' || licence === undefined || mayHold(licence, { ...PLAIN_HOLDER, isPublic });
    return held ? [] : [`${id} is of the public, and ${cooperative} serves members only`];
  });
  return [...differs, ...idle, ...wrong, ...outside];
}

/** Writes down what kind of hub it is, and what the town file says of licences and members. @param at hub time, ms. */
export function settleLicences(town: Licensed, mode: HubMode, registry: Licences, at: number): void {
  registry.putMode(mode);
  const by = { at, officers: ['simpul-hub init'] };
  for (const { id, licence } of town.cooperatives) {
    if (licence !== undefined) registry.changeLicence(id as CooperativeId, partsOf(licence), by);
  }
  for (const { id, level = PLAIN_HOLDER.level, public: isPublic = PLAIN_HOLDER.isPublic } of town.members) {
    const plain = level === PLAIN_HOLDER.level && isPublic === PLAIN_HOLDER.isPublic;
    if (!plain) registry.changeHolder(id as MemberId, { level, isPublic }, by);
  }
}
