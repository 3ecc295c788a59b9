/** A town: the cooperatives, members, cards, outlets and tariffs that a new hub starts with. */
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { CardUid, CooperativeId, MemberId, OutletId } from '../protocol/ids.ts';
import {
  CardNumberSchema,
  CardUidSchema,
  CooperativeIdSchema,
  MemberIdSchema,
  OutletIdSchema,
  PLATFORM,
} from '../protocol/ids.ts';
import { Rupiah } from '../protocol/money.ts';
import { BILLER, DEFAULT_CLASS, OutletClassSchema } from '../protocol/tariffs.ts';
import { PAYEES_MAX, type Payee, payeesFault, WEIGHT_MAX } from './rules/payees.ts';
import { HUB_ORIGIN, type Ledger } from './store/ledger.ts';
import type { Outlet, Registry } from './store/registry.ts';
import { TariffTerms, termsOf } from './tariffterms.ts';
import { tellCards } from './tellcards.ts';
import { CooperativeLicence, Level, licenceFaults, TownLicence } from './townlicence.ts';

const Name = Type.String({ minLength: 1, maxLength: 64 });
const exact = { additionalProperties: false };
const Amount = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

const weight = Type.Integer({ minimum: 1, maximum: WEIGHT_MAX });

/** A member is paid at home: where that is, the town's list of members says. */
const PayeeSchema = Type.Union([
  Type.Object({ to: Type.Literal('cooperative'), weight }, exact),
  Type.Object(
    {
      to: Type.Literal('payout'),
      name: Type.Optional(OutletIdSchema),
      owner: Type.Optional(MemberIdSchema),
      weight,
    },
    exact,
  ),
  Type.Object({ to: Type.Literal('member'), member: MemberIdSchema, weight }, exact),
]);

export const Town = Type.Object(
  {
    v: Type.Literal(1),
    name: Name,
    licence: Type.Optional(TownLicence),
    cooperatives: Type.Array(
      Type.Object(
        { id: CooperativeIdSchema, name: Name, netDebitCap: Rupiah, licence: Type.Optional(CooperativeLicence) },
        exact,
      ),
      { minItems: 1, maxItems: 256 },
    ),
    members: Type.Array(
      Type.Object(
        {
          id: MemberIdSchema,
          cooperative: CooperativeIdSchema,
          name: Name,
          balance: Amount,
          level: Type.Optional(Level),
          public: Type.Optional(Type.Boolean()),
        },
        exact,
      ),
    ),
    cards: Type.Array(Type.Object({ uid: CardUidSchema, number: CardNumberSchema, member: MemberIdSchema }, exact)),
    outlets: Type.Array(
      Type.Object(
        {
          id: OutletIdSchema,
          cooperative: CooperativeIdSchema,
          name: Name,
          class: Type.Optional(OutletClassSchema),
          owner: Type.Optional(MemberIdSchema),
          payees: Type.Optional(Type.Array(PayeeSchema, { minItems: 1, maxItems: PAYEES_MAX })),
        },
        exact,
      ),
    ),
    tariffs: Type.Array(Type.Object({ version: Type.Integer({ minimum: 1 }), ...TariffTerms }, exact)),
  },
  exact,
);
export type Town = Static<typeof Town>;
const check = Compile(Town);

export type ReadTown = { readonly ok: true; readonly town: Town } | { readonly ok: false; readonly error: string };

/** An outlet of the town as the registry is to hold it. */
function outletOf(outlet: Town['outlets'][number], home: Home): Outlet {
  const { id, cooperative, name, class: kind = DEFAULT_CLASS, owner, payees } = outlet;
  const named = payees?.map((payee): Payee => {
    if (payee.to !== 'member') return payee as Payee;
    const member = payee.member as MemberId;
    return { ...payee, member, cooperative: home.get(member) ?? ('' as CooperativeId) };
  });
  return {
    id: id as OutletId,
    cooperative: cooperative as CooperativeId,
    name,
    class: kind,
    open: true,
    ...(owner === undefined ? {} : { owner: owner as MemberId }),
    ...(named === undefined ? {} : { payees: named }),
  };
}

type Home = ReadonlyMap<string, CooperativeId>;
const homesOf = (town: Town): Home =>
  new Map(town.members.map(({ id, cooperative }) => [id, cooperative as CooperativeId]));

function loosePayees(town: Town): string[] {
  const home = homesOf(town);
  const outlets = town.outlets.map((outlet) => outletOf(outlet, home));
  return outlets.flatMap((outlet) => {
    const fault = payeesFault(outlet, { homeOf: (member) => home.get(member), others: outlets });
    return fault === null ? [] : [`outlet ${outlet.id}: ${fault}`];
  });
}

function loose(town: Town): string[] {
  const cooperatives = new Set(town.cooperatives.map(({ id }) => id));
  const members = new Set(town.members.map(({ id }) => id));
  const twice = (what: string, keys: readonly string[]) =>
    keys.filter((key, at) => keys.indexOf(key) !== at).map((key) => `${what} ${key} appears twice`);
  return [
    ...[PLATFORM, BILLER]
      .filter((name) => cooperatives.has(name))
      .map((name) => `cooperative ${name} has a name that the hub's own tables use`),
    ...[...town.members, ...town.outlets]
      .filter(({ cooperative }) => !cooperatives.has(cooperative))
      .map(({ id, cooperative }) => `${id} names the unknown cooperative ${cooperative}`),
    ...town.cards
      .filter(({ member }) => !members.has(member))
      .map(({ uid, member }) => `card ${uid} names the unknown member ${member}`),
    ...twice(
      'cooperative',
      town.cooperatives.map(({ id }) => id),
    ),
    ...twice(
      'member',
      town.members.map(({ id }) => id),
    ),
    ...twice(
      'outlet',
      town.outlets.map(({ id }) => id),
    ),
    ...twice(
      'card',
      town.cards.map(({ uid }) => uid),
    ),
    ...twice(
      'card number',
      town.cards.map(({ number }) => number),
    ),
    ...loosePayees(town),
  ];
}

/** Checks a town file: its form, and that everything it names exists. */
export function parseTown(text: string, from: string): ReadTown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { ok: false, error: `${from} is not JSON: ${(error as Error).message}; correct it` };
  }
  if (!check.Check(value)) {
    const faults = [...check.Errors(value)]
      .slice(0, 8)
      .map(({ instancePath, message }) => `${instancePath || '/'} ${message}`);
    return { ok: false, error: `${from} does not fit: ${faults.join('; ')}; correct it` };
  }
  const faults = [...loose(value), ...licenceFaults(value, null)];
  if (faults.length > 0)
    return { ok: false, error: `${from} does not hold together: ${faults.slice(0, 8).join('; ')}` };
  return { ok: true, town: value };
}

/**
 * Registers a town in an empty registry and ledger, and posts its members' opening balances. @param now hub
 * time, ms.
 */
export async function settle(town: Town, registry: Registry, ledger: Ledger, now: () => number): Promise<void> {
  registry.putCooperative({ id: PLATFORM, name: 'Simpul', netDebitCap: 0n });
  for (const { id, name, netDebitCap } of town.cooperatives) {
    registry.putCooperative({ id: id as CooperativeId, name, netDebitCap: BigInt(netDebitCap) });
  }
  const home = homesOf(town);
  for (const { id, cooperative, name } of town.members) {
    registry.putMember({ id: id as MemberId, cooperative: cooperative as CooperativeId, name });
  }
  for (const outlet of town.outlets) registry.putOutlet(outletOf(outlet, home));
  for (const tariff of town.tariffs) registry.putTariff({ version: tariff.version, ...termsOf(tariff) });
  for (const { uid, number, member } of town.cards) {
    const issuer = home.get(member);
    if (issuer === undefined) throw new Error(`member ${member} was checked and is missing`);
    const versions = { keyVersion: 1, tmacKeyVersion: 1 };
    const card = { uid: uid as CardUid, number, issuer, member: member as MemberId, ...versions };
    registry.putChip({ uid: card.uid, profile: 'desfire-light', keyVersion: versions.keyVersion });
    registry.putCard({ ...card, status: 'active', made: null });
  }
  await tellCards(registry, ledger);
  await Promise.all(town.members.map((member, at) => openAccount(ledger, member, at + 1, now())));
}

async function openAccount(ledger: Ledger, member: Town['members'][number], seq: number, at: number): Promise<void> {
  if (member.balance === 0) return;
  const amount = BigInt(member.balance);
  const cooperative = member.cooperative as CooperativeId;
  const figures = { cooperative, member: member.id as MemberId, amount };
  const posting = await ledger.post({
    key: { origin: HUB_ORIGIN, seq },
    hash: '',
    at,
    verdict: { approve: { kind: 'opening', figures }, guards: [] },
    slot: null,
    facts: { amount, card: null, issuer: cooperative, acquirer: cooperative, outlet: null },
    evidence: null,
  });
  const opened = posting.kind === 'decided' && posting.receipt.includes('"outcome":"approved"');
  if (!opened) throw new Error(`the opening balance of ${member.id} was not booked`);
}
