/** The vault's masters: card keys from them, and an issuer's own sealed for its cooperative to keep. */
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { type Diversifier, diversification, diversifier, TMAC_KEY_NO } from '../cards/diversify.ts';
import { hmac } from '../cards/hmac.ts';
import { type CardUid, CooperativeIdSchema } from '../protocol/ids.ts';
import { sealText, unsealText } from './sealedfile.ts';

const HOLDS = 'simpul-1 tmac masters';

const from = Type.Integer({ minimum: 0, maximum: 255 });
const key = Type.String({ pattern: '^[0-9a-f]{32}$' });

/** Stands where an issuer would, for masters that serve the cards of all. */
export const ALL_ISSUERS = '-';

/**
 * Card masters: `app`, `debit`, `spare` and `sun` serve all cooperatives, `tmac` and `credit` one each (TRUTH section
 * 14).
 */
export const Master = Type.Object({
  purpose: Type.Enum(['app', 'debit', 'spare', 'sun', 'tmac', 'credit']),
  /** Issuing cooperative, or `-` for all. */
  issuer: Type.String({ pattern: '^(-|[a-z][a-z0-9-]{0,15})$' }),
  /** Serves card key versions from this one up to the next row's. */
  from,
  key,
  check: Type.String({ pattern: '^[0-9a-f]{6}$' }),
});
export type Master = Static<typeof Master>;

const HandedOver = Type.Object({
  v: Type.Literal(1),
  issuer: CooperativeIdSchema,
  masters: Type.Array(Type.Object({ from, key }), { minItems: 1, maxItems: 256 }),
});
type HandedOver = Static<typeof HandedOver>;
const handedOverCheck = Compile(HandedOver);

/** First 3 bytes of HMAC-SHA-256 over a fixed text: tells two keys apart and says nothing else about them. */
export function keyCheck(key: string): string {
  const text = Buffer.from('simpul-1 key check');
  return Buffer.from(hmac(Buffer.from(key, 'hex'), text)).toString('hex', 0, 3);
}

type KeyFinder = (
  purpose: Master['purpose'],
  issuer: string,
  uid: CardUid,
  keyNo: number,
  keyVersion: number,
) => Uint8Array | null;

/** Finds a card's key, 16 bytes: the newest master that serves the version; null if none does. */
export function cardKeyFinder(masters: readonly Omit<Master, 'check'>[]): KeyFinder {
  const rows = new Map<string, { from: number; derive: Diversifier }[]>();
  for (const { purpose, issuer, from, key } of masters) {
    const name = `${purpose}/${issuer}`;
    const row = { from, derive: diversifier(Buffer.from(key, 'hex')) };
    rows.set(
      name,
      [...(rows.get(name) ?? []), row].sort((a, b) => b.from - a.from),
    );
  }
  return (purpose, issuer, uid, keyNo, keyVersion) => {
    const row = rows.get(`${purpose}/${issuer}`)?.find(({ from }) => from <= keyVersion);
    return row?.derive(diversification(Buffer.from(uid, 'hex'), keyNo, keyVersion)) ?? null;
  };
}

/**
 * The newest version that these masters serve, at least 1: a card gets it, for version 0 is the factory's.
 * @param masters those that have a say in one version
 */
export function newestVersion(masters: readonly Master[]): number {
  return Math.max(1, ...masters.map(({ from }) => from));
}

/** How an issuer's `tmac` masters are sealed for it. */
interface Sealing {
  readonly random: (bytes: number) => Uint8Array;
  /** The issuer's passphrase, not the vault's. */
  readonly passphrase: Uint8Array;
  /** scrypt's N; leave it out in production. */
  readonly cost?: number | undefined;
}

/** Seals the `tmac` masters of one issuer, all versions, for the issuer itself; null if it has none. */
export function sealMasters(masters: readonly Master[], issuer: string, sealing: Sealing): string | null {
  const own = masters.filter((row) => row.purpose === 'tmac' && row.issuer === issuer);
  if (own.length === 0) return null;
  const contents: HandedOver = { v: 1, issuer, masters: own.map(({ from, key }) => ({ from, key })) };
  return sealText(sealing.random, HOLDS, sealing.passphrase, JSON.stringify(contents), sealing.cost);
}

/** An issuer's own masters as a use: what verifies the certificates of its cards. */
export interface IssuerMasters {
  readonly issuer: string;
  /** TMAC key of a card, 16 bytes; null if no master serves this version. */
  tmacKey(uid: CardUid, keyVersion: number): Uint8Array | null;
}

export type OpenedMasters =
  | { readonly ok: true; readonly masters: IssuerMasters }
  | { readonly ok: false; readonly why: 'not-masters' | 'wrong-secret' };

/** Opens what `sealMasters` made. @param file the file's contents: not trusted. */
export function openMasters(file: string, passphrase: Uint8Array): OpenedMasters {
  const opened = unsealText(HOLDS, passphrase, file);
  if (!opened.ok) return { ok: false, why: opened.why === 'wrong-secret' ? 'wrong-secret' : 'not-masters' };
  const value: unknown = JSON.parse(opened.text);
  if (!handedOverCheck.Check(value)) return { ok: false, why: 'not-masters' };
  const { issuer } = value;
  const find = cardKeyFinder(value.masters.map((row) => ({ purpose: 'tmac', issuer, ...row })));
  return {
    ok: true,
    masters: { issuer, tmacKey: (uid, keyVersion) => find('tmac', issuer, uid, TMAC_KEY_NO, keyVersion) },
  };
}
