/** Card key: seals key 1 of an active card to a kiosk, within the kiosk's quota (TRUTH section 14). */
import { RETIRED_VERSION } from '../../cards/keyring.ts';
import { KEY_NO } from '../../cards/layout.ts';
import { cardKeyContext } from '../../protocol/cardkey.ts';
import type { CardUid, KioskNo } from '../../protocol/ids.ts';
import { KEY_CACHE } from '../../protocol/limits.ts';
import { seal } from '../../protocol/sealed.ts';
import type { Operation } from '../mqtt/router.ts';
import type { Card, Registry } from '../store/registry.ts';
import type { Vault } from '../vault.ts';

export interface CardKeyDeps {
  readonly vault: Pick<Vault, 'cardKey1'>;
  readonly registry: Pick<Registry, 'card' | 'chip' | 'openChanges'>;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}

const QUOTA_MS = KEY_CACHE.hours * 3_600_000;

/**
 * Counts the cards whose keys a kiosk was given within the last day; asking again for one of them is free.
 * Kept in memory: a restart of the hub forgives, which only the hub's operator can bring about.
 */
function makeQuota(now: () => number): (kiosk: KioskNo, uid: CardUid) => boolean {
  const given = new Map<KioskNo, Map<CardUid, number>>();
  return (kiosk, uid) => {
    const cards = given.get(kiosk) ?? new Map<CardUid, number>();
    given.set(kiosk, cards);
    for (const [card, at] of cards) {
      if (at > now() - QUOTA_MS) break;
      cards.delete(card);
    }
    if (cards.has(uid)) return true;
    if (cards.size >= KEY_CACHE.cards) return false;
    cards.set(uid, now());
    return true;
  };
}

/** The version to give: the last one proven, or the one the card tells if a change to it was begun and never proven. */
function held({ openChanges }: CardKeyDeps['registry'], { uid, keyVersion }: Card, told: number | undefined): number {
  const begun = told !== undefined && openChanges(uid).some(({ no, to }) => no === KEY_NO.debit && to === told);
  return begun ? told : keyVersion;
}

export function makeCardKey({ vault, registry, now }: CardKeyDeps): Operation<'cardkey'> {
  const withinQuota = makeQuota(now);
  return async ({ kiosk, body }) => {
    const card = registry.card(body.uid as CardUid);
    if (card === undefined) return { refusal: 'card-unknown', detail: `card ${body.uid} is not registered` };
    if (card.status !== 'active') return { refusal: 'card-blocked', detail: `card ${body.uid} is ${card.status}` };
    if (body.told === RETIRED_VERSION)
      return { refusal: 'card-blocked', detail: `card ${body.uid} tells that it ended` };
    // A tag has no key that a kiosk could use, and the tap finds out: what is given opens nothing and counts nothing.
    const tag = registry.chip(card.uid)?.profile === 'ntag424';
    if (!tag && !withinQuota(kiosk.no, card.uid)) {
      const detail = `more than ${KEY_CACHE.cards} new cards within ${KEY_CACHE.hours} hours`;
      return { refusal: 'key-quota', detail, alarm: 'key-quota' };
    }
    const { uid, issuer, tmacKeyVersion } = card;
    const keyVersion = held(registry, card, body.told);
    const box = await seal(kiosk.sealingKey, cardKeyContext(uid, keyVersion), vault.cardKey1(uid, keyVersion));
    const sealed = Buffer.from(box).toString('base64');
    return { body: JSON.stringify({ uid, keyVersion, tmacKeyVersion, issuer, sealed }) };
  };
}
