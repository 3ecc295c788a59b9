/** Enrolment: what a kiosk asks when it joins, what the hub grants, and the card of the hub that technicians carry. */
import { type Static, Type } from 'typebox';
import { CooperativeIdSchema, KioskNameSchema, KioskNoSchema, OutletIdSchema } from './ids.ts';

const VERSION = Type.Literal(1);
const Pem = Type.String({ maxLength: 8192, pattern: '^-----BEGIN [A-Z ]+-----' });
/** An uncompressed P-256 point: 65 bytes, base64. */
export const Point = Type.String({ pattern: '^B[A-Za-z0-9+/]{86}=$' });

/** Made on the kiosk, where its private keys stay. */
export const EnrolmentRequest = Type.Object({
  v: VERSION,
  name: KioskNameSchema,
  /** PKCS #10 request for an ECDSA P-256 key; common name = `name`. */
  csr: Pem,
  /** Public key that the hub seals card keys to. */
  sealingKey: Point,
  /** Witness key (32 bytes) sealed to the hub's sealing key, base64; see `witnessContext`. */
  witness: Type.String({ pattern: '^[A-Za-z0-9+/]{151}=$' }),
});
export type EnrolmentRequest = Static<typeof EnrolmentRequest>;

/** What a kiosk may do: sell at a stall, make members' cards, serve a counter (cash, bills), or take bills alone. */
export const KIOSK_ROLES = ['stall', 'issuing', 'counter', 'bills'] as const;
export type KioskRole = (typeof KIOSK_ROLES)[number];

/** The hub's answer to an enrolment request. */
export const EnrolmentGrant = Type.Object({
  v: VERSION,
  name: KioskNameSchema,
  kiosk: KioskNoSchema,
  certificate: Pem,
  ca: Pem,
  role: Type.Unsafe<KioskRole>(Type.Union(KIOSK_ROLES.map((role) => Type.Literal(role)))),
  /** Whether it may hold the debit masters, sealed on its disk (TRUTH section 14). */
  offline: Type.Boolean(),
  /** Ed25519 public key under which the hub signs card statements: 32 bytes, base64. */
  statementKey: Type.String({ pattern: '^[A-Za-z0-9+/]{43}=$' }),
  outlet: Type.Object({
    id: OutletIdSchema,
    name: Type.String({ minLength: 1, maxLength: 64 }),
    cooperative: CooperativeIdSchema,
    cooperativeName: Type.String({ minLength: 1, maxLength: 64 }),
  }),
});
export type EnrolmentGrant = Static<typeof EnrolmentGrant>;

/** The hub card: what a kiosk must know of its hub before it can ask. Nothing in it is secret. */
export const HubCard = Type.Object({
  v: VERSION,
  ca: Pem,
  /** Public key that kiosks seal their witness keys to. */
  sealingKey: Point,
  host: Type.String({ minLength: 1, maxLength: 253 }),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
  /** Name that the hub's TLS certificate must carry. */
  serverName: Type.String({ minLength: 1, maxLength: 253 }),
});
export type HubCard = Static<typeof HubCard>;

/** What the sealing of a witness key is bound to, so that it cannot be passed off as another kiosk's. */
export function witnessContext(name: string): string {
  return `simpul-1 witness of ${name}`;
}
