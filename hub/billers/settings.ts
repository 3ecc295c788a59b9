/** Billers as `hub.json` lists them: where each is, whose deposit it draws on, what it sells, who earns what. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { BillNameSchema } from '../../protocol/bill.ts';
import { type CooperativeId, CooperativeIdSchema } from '../../protocol/ids.ts';
import type { Edges } from '../edges.ts';
import type { BillShares } from '../rules/bill.ts';
import { httpBiller } from './http.ts';
import type { Biller } from './port.ts';

const exact = { additionalProperties: false };
const Share = Type.Integer({ minimum: 0, maximum: 1_000_000 });

export const BillerSettings = Type.Object(
  {
    /** Also the owner of the account `biller-deposit`. */
    id: BillNameSchema,
    /** `https:`, or `http:` on this machine. */
    url: Type.String({ pattern: '^(https://[^\\s/]|http://(127\\.0\\.0\\.1|localhost)[:/])\\S{0,200}$' }),
    /** The cooperative whose deposit it draws on; what it sells is sold at this cooperative's outlets. */
    cooperative: CooperativeIdSchema,
    /** File with what the biller knows this hub by, sent as a bearer token; relative to the directory. */
    tokenFile: Type.Optional(Type.String({ minLength: 1 })),
    /** Seconds until an answer is given up as unsure; 10 where none are given. */
    timeoutSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 60 })),
    products: Type.Array(
      Type.Object(
        {
          id: BillNameSchema,
          name: Type.String({ minLength: 1, maxLength: 64 }),
          /** What the payer pays on top of each bill, by who earns it, in rupiah (TRUTH section 11). */
          admin: Type.Object({ aggregator: Share, acquirer: Share, issuer: Share, platform: Share }, exact),
        },
        exact,
      ),
      { minItems: 1, maxItems: 64 },
    ),
  },
  exact,
);
export type BillerSettings = Static<typeof BillerSettings>;

const TIMEOUT_SECONDS = 10;

/** What a cooperative sells of a biller, and the biller. */
export interface Offer {
  readonly biller: Biller;
  readonly billerId: string;
  readonly productName: string;
  readonly shares: BillShares;
}

export interface Billers {
  /** What this cooperative sells under a product's name. */
  offer(cooperative: CooperativeId, product: string): Offer | null;
  /** The biller of a bill that was asked for before, whatever is sold now. */
  biller(id: string): Biller | null;
}

/** The only characters that a header carries without anybody repeating them in an error. */
const TOKEN = /^[\x21-\x7e]{1,1024}$/;

/** Reads what the biller knows this hub by. @throws Error that never repeats it. */
function readToken(directory: string, id: string, file: string): string {
  let text: string;
  try {
    text = readFileSync(join(directory, file), 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const next = 'bring it back or correct tokenFile in hub.json';
    throw new Error(`biller ${id}: its token file ${file} cannot be read (${code}); ${next}`);
  }
  const token = text.trim();
  if (TOKEN.test(token)) return token;
  const what = 'must hold one line of ASCII letters, digits and signs without spaces';
  throw new Error(`biller ${id}: its token file ${file} ${what}; ask the biller for its token again`);
}

/** Secrets in an address end up in errors and other people's logs. @throws Error that never repeats it. */
function checkAddress(id: string, url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const alone = parsed !== null && parsed.username + parsed.password + parsed.search + parsed.hash === '';
  if (alone && !/[@?#]/.test(url)) return;
  const next = 'what it knows the hub by goes into a file that tokenFile names';
  throw new Error(`biller ${id}: its url must be an address and path alone, without name, password, ? or #; ${next}`);
}

function offersOf(biller: Biller, { id, cooperative, products }: BillerSettings): [string, Offer][] {
  return products.map((product) => {
    const { aggregator, acquirer, issuer, platform } = product.admin;
    const shares = {
      aggregator: BigInt(aggregator),
      acquirer: BigInt(acquirer),
      issuer: BigInt(issuer),
      platform: BigInt(platform),
    };
    return [`${cooperative}/${product.id}`, { biller, billerId: id, productName: product.name, shares }];
  });
}

/**
 * Opens the billers that a hub's settings list.
 * @throws Error, with what to correct, if a biller or a cooperative's product is listed twice, a token is not there or
 * none, or an address carries more than an address.
 */
export function openBillers(
  edges: Pick<Edges, 'later'>,
  directory: string,
  list: readonly BillerSettings[] = [],
): Billers {
  const billers = new Map<string, Biller>();
  const offers = new Map<string, Offer>();
  for (const settings of list) {
    const { id, url, timeoutSeconds = TIMEOUT_SECONDS, tokenFile } = settings;
    if (billers.has(id)) throw new Error(`hub.json lists biller ${id} twice; give each its own id`);
    checkAddress(id, url);
    const token = tokenFile === undefined ? null : readToken(directory, id, tokenFile);
    const biller = httpBiller(edges, { url, timeoutMs: timeoutSeconds * 1000, token });
    billers.set(id, biller);
    for (const [name, offer] of offersOf(biller, settings)) {
      if (offers.has(name)) throw new Error(`hub.json lists ${name} at two billers; leave it with one`);
      offers.set(name, offer);
    }
  }
  return {
    offer: (cooperative, product) => offers.get(`${cooperative}/${product}`) ?? null,
    biller: (id) => billers.get(id) ?? null,
  };
}
