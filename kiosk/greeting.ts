/** Greeting: a kiosk with open masters gets a card's key from the card's own word and the hub's signed statement. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { greet } from '../cards/greet.ts';
import { play } from '../cards/script.ts';
import {
  type CardStatement,
  readStatement,
  SIGNATURE_BYTES,
  STATEMENT_BYTES,
  STATEMENT_CONTEXT,
} from '../protocol/statement.ts';
import type { CardKeys } from './cardkeys.ts';
import type { Masters } from './masters.ts';
import type { Reader } from './reader.ts';

export interface GreetingDeps {
  readonly reader: Pick<Reader, 'transmit'>;
  readonly masters: Pick<Masters, 'key1'>;
  readonly cardKeys: Pick<CardKeys, 'hold' | 'mayTry' | 'refuse'>;
  /** Public half of the hub's statement key, Ed25519, 32 bytes. */
  readonly statementKey: Uint8Array;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly log: (what: string, detail: string) => void;
}

/** Whether the card's key is held now; if not, the hub is asked for it. */
export type Greeting = (card: { readonly uid: string; readonly presence: number }) => Promise<boolean>;

/** The hub's statement key from its public half, 32 bytes. */
export function publicKeyOf(raw: Uint8Array): KeyObject {
  const x = Buffer.from(raw).toString('base64url');
  return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } });
}

/** Checks a statement as it was read from a card, 117 bytes; null unless the hub signed it for this card. */
function checkStatement(key: KeyObject, uid: string, read: Uint8Array): CardStatement | null {
  const signed = read.subarray(0, STATEMENT_BYTES);
  const said = Buffer.concat([Buffer.from(STATEMENT_CONTEXT), signed]);
  if (!verify(null, said, key, read.subarray(STATEMENT_BYTES))) return null;
  const statement = readStatement(signed);
  return statement?.uid === uid ? statement : null;
}

/** Never rejects but for bugs. */
export function makeGreeting(deps: GreetingDeps): Greeting {
  const { reader, masters, cardKeys, statementKey, randomBytes, log } = deps;
  const key = publicKeyOf(statementKey);
  const refuse = (uid: string, tried: { readonly key1: Uint8Array; readonly keyVersion: number } | null): void => {
    if (tried === null) return;
    cardKeys.hold(uid, { ...tried, tmacKeyVersion: 0, issuer: '' });
    cardKeys.refuse(uid);
  };
  return async ({ uid, presence }) => {
    // Without masters nothing is asked of the card: each command costs the member time.
    if (masters.key1(uid, 1) === null) return false;
    let tried: { readonly key1: Uint8Array; readonly keyVersion: number } | null = null;
    const keyOf = (keyVersion: number) => {
      const key1 = masters.key1(uid, keyVersion);
      if (key1 === null || !cardKeys.mayTry(uid, key1)) return null;
      tried = { key1, keyVersion };
      return key1;
    };
    const script = greet({
      key1: keyOf,
      rndA: randomBytes(16),
      statement: STATEMENT_BYTES + SIGNATURE_BYTES,
    });
    const greeted = await play(script, (apdu) => reader.transmit(presence, apdu));
    if (!greeted.ok) {
      if (greeted.reason === 'wrong-key') refuse(uid, tried);
      log(`greeting failed: ${greeted.reason}`, greeted.at);
      return false;
    }
    const statement = checkStatement(key, uid, greeted.statement);
    if (statement === null) {
      log('a card has no statement of this hub', uid);
      return false;
    }
    const { key1, keyVersion } = greeted;
    const { tmacKeyVersion, issuer } = statement;
    return cardKeys.hold(uid, { key1, keyVersion, tmacKeyVersion, issuer }) === 'held';
  };
}
