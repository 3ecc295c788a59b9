/** Card keys out of the vault's masters: each derived for one card and use, the masters never handed on. */
import { diversification, diversifier, TMAC_KEY_NO } from '../cards/diversify.ts';
import { KEY_NO, PICC_KEY_NO, TAG_KEY_NO } from '../cards/layout.ts';
import type { CardUid, CooperativeId } from '../protocol/ids.ts';
import type { Vault } from './vault.ts';
import { ALL_ISSUERS, cardKeyFinder, type Master, newestVersion } from './vaultmasters.ts';
import { rememberedKeys } from './vaultmemory.ts';

/**
 * Master that each key of a DESFire card comes from, by key number (TRUTH section 14). The card's own master key is the
 * hub's as key 0 is, and comes from the same master under a number of its own.
 */
const PURPOSES: Readonly<Record<number, 'app' | 'debit' | 'spare' | 'credit'>> = {
  [KEY_NO.app]: 'app',
  [KEY_NO.debit]: 'debit',
  [KEY_NO.spare2]: 'spare',
  [KEY_NO.credit]: 'credit',
  [KEY_NO.spare4]: 'spare',
  [PICC_KEY_NO]: 'app',
};

/**
 * What the common meta key is derived from, in place of a card's UID and version: no chip has this UID, whose first
 * byte is its maker's. Without a version, because a hub that is to open a tap does not know the card's yet: it tries
 * one meta key a master.
 */
const META_INPUT = diversification(new Uint8Array(7), TAG_KEY_NO.metaRead, 0);

type CardUses = Pick<
  Vault,
  | 'cardKey1'
  | 'tmacKey'
  | 'cardKeys'
  | 'keyring'
  | 'tagKeyring'
  | 'sunMetaKey'
  | 'sunMetaKeys'
  | 'sunFileKey'
  | 'versions'
>;

const isVersion = (version: number) => Number.isInteger(version) && version >= 1 && version <= 255;

/**
 * The uses of the card masters. Keys 2 and 4 open nothing and are "random per card" (TRUTH section 14): derived from a
 * master that never leaves the vault they are the same as random to everybody else, and need no list of them.
 */
export function cardUses(masters: readonly Master[]): CardUses {
  const cardKey = cardKeyFinder(masters);
  const must = (key: Uint8Array | null, purpose: Master['purpose'], version: number) => {
    if (key === null) throw new Error(`vault holds no ${purpose} master for card key version ${version}`);
    return key;
  };
  const tmacKey: Vault['tmacKey'] = (issuer, uid, version) => cardKey('tmac', issuer, uid, TMAC_KEY_NO, version);
  const numbered = (issuer: CooperativeId, uid: CardUid, version: number) => (no: number) => {
    const purpose = PURPOSES[no];
    if (purpose === undefined) return null;
    return cardKey(purpose, purpose === 'credit' ? issuer : ALL_ISSUERS, uid, no, version);
  };
  const sunMasters = masters.filter(({ purpose }) => purpose === 'sun').sort((a, b) => b.from - a.from);
  const metaKey = ({ key }: Master) => diversifier(Buffer.from(key, 'hex'))(META_INPUT);
  const sunMetaKey: Vault['sunMetaKey'] = (version) => {
    const serving = sunMasters.find(({ from }) => from <= version);
    return must(serving === undefined ? null : metaKey(serving), 'sun', version);
  };
  const sunFileKey: Vault['sunFileKey'] = (uid, version) =>
    must(cardKey('sun', ALL_ISSUERS, uid, TAG_KEY_NO.fileRead, version), 'sun', version);
  const tagKey = (issuer: CooperativeId, uid: CardUid, version: number) => (no: number) => {
    if (no === TAG_KEY_NO.pay) return cardKey('credit', issuer, uid, no, version);
    if (no === TAG_KEY_NO.fileRead) return sunFileKey(uid, version);
    if (no === TAG_KEY_NO.metaRead) return sunMetaKey(version);
    return no === TAG_KEY_NO.app || no === TAG_KEY_NO.spare4 ? numbered(issuer, uid, version)(no) : null;
  };
  return {
    cardKey1: (uid, version) => must(cardKey('debit', ALL_ISSUERS, uid, KEY_NO.debit, version), 'debit', version),
    tmacKey: rememberedKeys(tmacKey),
    cardKeys(issuer, uid, { keyVersion, tmacKeyVersion }) {
      const key = numbered(issuer, uid, keyVersion);
      const [app, debit, credit] = [key(KEY_NO.app), key(KEY_NO.debit), key(KEY_NO.credit)];
      const [spare2, spare4] = [key(KEY_NO.spare2), key(KEY_NO.spare4)];
      const tmac = tmacKey(issuer, uid, tmacKeyVersion);
      return app && debit && credit && spare2 && spare4 && tmac && { app, debit, credit, spare2, spare4, tmac };
    },
    keyring: (issuer, uid) => (no, version) => (isVersion(version) ? numbered(issuer, uid, version)(no) : null),
    tagKeyring: (issuer, uid) => (no, version) => (isVersion(version) ? tagKey(issuer, uid, version)(no) : null),
    sunMetaKey,
    sunMetaKeys: () => sunMasters.map(metaKey),
    sunFileKey,
    versions: () => newestVersions(masters),
  };
}

/** All keys of a card but the counter file's have one version, so that every master but `tmac` has a say in it. */
function newestVersions(masters: readonly Master[]): ReturnType<Vault['versions']> {
  const tmac = masters.filter(({ purpose }) => purpose === 'tmac');
  const issuers = [...new Set(tmac.map(({ issuer }) => issuer as CooperativeId))];
  return {
    keyVersion: newestVersion(masters.filter(({ purpose }) => purpose !== 'tmac')),
    tmacKeyVersions: new Map(issuers.map((id) => [id, newestVersion(tmac.filter(({ issuer }) => issuer === id))])),
  };
}
