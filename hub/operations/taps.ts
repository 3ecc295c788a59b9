/** Taps: what a valid claim tells of money whose way was lost, settled before the claim itself is posted. */
import { type Claim, readAccount } from '../../protocol/claim.ts';
import type { Card, Kiosk } from '../store/registry.ts';
import type { Verified } from './certificate.ts';
import { bookDrains, type DrainsDeps, learnAll } from './drains.ts';
import { healReload, type Seen } from './healing.ts';

function seenIn(claim: Claim, { facts }: Verified, at: number): Seen | null {
  const parts = readAccount(claim.commands);
  if (parts === null) return null;
  const { keyVersion, tmc } = claim;
  const [before, records] = [Buffer.from(claim.before, 'hex'), Buffer.from(parts.records, 'hex')];
  const age = facts.beaconAgeSeconds;
  const since = age === null ? null : at - age * 1000;
  return { keyVersion, tmc, before, records, opening: BigInt(parts.opening), since };
}

async function healAll(deps: DrainsDeps, where: string, card: Card, seen: Seen, at: number): Promise<void> {
  learnAll(deps, where, card, seen, null);
  await bookDrains(deps, where, card);
  await healReload(deps, where, card, seen, at);
}

/**
 * Settles the card's open reload and drains as far as this claim tells. Costs nothing for cards without any.
 * @returns what to wait for before the claim is posted: the sale may need the money that comes back; null for nothing.
 */
export function heal(
  deps: DrainsDeps,
  { name }: Kiosk,
  card: Card,
  claim: Claim,
  verified: Verified,
  at: number,
): Promise<unknown> | null {
  if (verified.slot === null) return null;
  const drained = deps.registry.drainsOf(card.uid).length > 0;
  if (!drained && deps.transit.of(card.uid) === undefined) return null;
  const seen = seenIn(claim, verified, at);
  if (seen === null) return null;
  return drained ? healAll(deps, name, card, seen, at) : healReload(deps, name, card, seen, at);
}
