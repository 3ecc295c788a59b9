/** Sign: answers a kiosk's enrolment request with a certificate, a number and an outlet. */
import { Compile } from 'typebox/compile';
import { type EnrolmentGrant, EnrolmentRequest, type KioskRole, witnessContext } from '../protocol/enrolment.ts';
import type { KioskName, OutletId } from '../protocol/ids.ts';
import { seal } from '../protocol/sealed.ts';
import { type CaDeps, type CsrFault, signKiosk } from './ca.ts';
import type { Registry } from './store/registry.ts';
import type { Vault } from './vault.ts';

const check = Compile(EnrolmentRequest);
const WITNESS_BYTES = 32;

const csrFaults: Readonly<Record<CsrFault, string>> = {
  'csr-unreadable': 'its certificate request cannot be read',
  'csr-signature': 'its certificate request is not signed by its own key',
  'csr-key-type': 'its key is not ECDSA P-256',
  'csr-name': 'its certificate request carries another name',
};

export interface SignDeps extends CaDeps {
  readonly vault: Vault;
  readonly registry: Registry;
  /** The CA's certificate, PEM. */
  readonly ca: string;
}

export type SignResult =
  | { readonly ok: true; readonly grant: EnrolmentGrant; readonly serial: string }
  | { readonly ok: false; readonly error: string };

/** What the kiosk will be for. */
export interface Duties {
  readonly role?: KioskRole | undefined;
  /** Whether it may hold the debit masters, sealed on its disk (TRUTH section 14). */
  readonly offline?: boolean | undefined;
}

const NEXT = 'make a new request on the kiosk and try again';

/**
 * Enrols a kiosk at an outlet. A name that was enrolled before gets a new number and certificate; the old ones end.
 * @param text the request file's contents: not trusted.
 */
export async function signRequest(
  deps: SignDeps,
  text: string,
  outletId: string,
  { role = 'stall', offline = false }: Duties = {},
): Promise<SignResult> {
  const { vault, registry, ca } = deps;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, error: `the request is not JSON; ${NEXT}` };
  }
  if (!check.Check(value)) return { ok: false, error: `the request does not fit the enrolment form; ${NEXT}` };
  const name = value.name as KioskName;
  const outlet = registry.outlet(outletId as OutletId);
  const home = outlet && registry.cooperative(outlet.cooperative);
  if (outlet === undefined || home === undefined) {
    return { ok: false, error: `outlet ${outletId} is not registered; name one that is` };
  }
  const witness = await vault.openSealed(witnessContext(name), Buffer.from(value.witness, 'base64'));
  if (witness?.length !== WITNESS_BYTES) {
    return {
      ok: false,
      error: `the witness key was not sealed to this hub for ${name}; copy this hub's card to the kiosk, then ${NEXT}`,
    };
  }
  const sealingKey = Buffer.from(value.sealingKey, 'base64');
  const usable = await seal(sealingKey, 'simpul-1 trial', Buffer.of(0)).then(
    () => true,
    () => false,
  );
  if (!usable)
    return { ok: false, error: `its sealing key is no point of P-256, so no card key would reach it; ${NEXT}` };
  const issued = await signKiosk(deps, vault.caKey, ca, name, value.csr);
  if (!issued.ok) return { ok: false, error: `the request was not signed: ${csrFaults[issued.fault]}; ${NEXT}` };
  const kiosk = registry.enrol({
    name,
    outlet: outlet.id,
    serial: issued.serial,
    sealingKey,
    witness: vault.wrap(witness),
    role,
    offline,
  });
  const place = { id: outlet.id, name: outlet.name, cooperative: home.id, cooperativeName: home.name };
  const { certificate } = issued;
  const statementKey = Buffer.from(vault.statementKey).toString('base64');
  const duties = { role, offline, statementKey };
  const grant: EnrolmentGrant = { v: 1, name, kiosk: kiosk.no, certificate, ca, ...duties, outlet: place };
  return { ok: true, grant, serial: issued.serial };
}
