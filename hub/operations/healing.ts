/** Healing: what a valid claim tells of the card's reload that is still on its way, posted before the claim itself. */
import { timingSafeEqual } from 'node:crypto';
import { type Claim, readAccount } from '../../protocol/claim.ts';
import type { CardUid } from '../../protocol/ids.ts';
import type { Alarms } from '../alarms.ts';
import type { ReloadKind } from '../rules/entries.ts';
import { healing } from '../rules/reload.ts';
import { type Ledger, type PostRequest, RELEASE_ORIGIN, RELOAD_ORIGIN } from '../store/ledger.ts';
import type { Card, Kiosk } from '../store/registry.ts';
import type { Vault } from '../vault.ts';
import type { Verified } from './certificate.ts';
import { type Carried, counterOf, reloadCertificate, type Transit } from './transit.ts';

export interface HealingDeps {
  readonly vault: Pick<Vault, 'tmacKey'>;
  readonly ledger: Pick<Ledger, 'post'>;
  readonly transit: Transit;
  readonly alarms: Alarms;
}

/** A counter file's content that proves a reload, as evidence of its end. */
export interface Proven {
  readonly tmc: number;
  /** 8 bytes. */
  readonly tmv: Uint8Array;
  /** Purse balance before, in rupiah. */
  readonly opening: bigint;
}

const EVIDENCE_VERSION = 3;

/** Version 3 ‖ key version 1 ‖ TMC 4 ‖ opening 4 ‖ TMV 8, big-endian; the rest is evidence of the release. */
function packProven(keyVersion: number, { tmc, opening, tmv }: Proven): Uint8Array {
  const head = Buffer.alloc(10);
  head[0] = EVIDENCE_VERSION;
  head[1] = keyVersion;
  head.writeUInt32BE(tmc, 2);
  head.writeUInt32BE(Number(opening), 6);
  return Buffer.concat([head, tmv]);
}

/** The post that ends a reload. A proof fills its slot; a void's slot is filled by the claim that stands there. */
export function endOf(
  { key, card, issuer, amount, keyVersion }: Carried,
  member: Card['member'],
  kind: Exclude<ReloadKind, 'reload-release'>,
  proven: Proven | null,
  at: number,
): PostRequest {
  return {
    key: { origin: key.origin - RELEASE_ORIGIN + RELOAD_ORIGIN, seq: key.seq },
    hash: '',
    at,
    verdict: { approve: { kind, figures: { issuer, member, card, amount } }, guards: [] },
    slot: proven === null ? null : { card, keyVersion, tmc: proven.tmc },
    facts: { amount, card, issuer, acquirer: null, outlet: null },
    evidence: proven === null ? null : packProven(keyVersion, proven),
  };
}

/** What the claim's counter file, read before its own transaction, proves of the reload; null if nothing. */
function provenBy({ vault }: HealingDeps, reload: Carried, claim: Claim): Proven | null {
  const before = Buffer.from(claim.before, 'hex');
  const tmc = reload.tmc + 1;
  const parts = readAccount(claim.commands);
  // The claim in the next slot: its opening balance is the reload's closing one, under the card's certificate.
  if (parts === null || claim.tmc !== tmc + 1 || counterOf(before) !== tmc) return null;
  const opening = BigInt(parts.opening) - reload.amount;
  const key = vault.tmacKey(reload.issuer, reload.card, reload.keyVersion);
  if (key === null || opening < 0n) return null;
  const certificate = reloadCertificate(key, reload, opening);
  return timingSafeEqual(certificate, before.subarray(4)) ? { tmc, tmv: certificate, opening } : null;
}

/**
 * Posts the end of the card's open reload where this claim tells it; to be called before the claim is posted. Costs
 * nothing for cards without one. A claim that does not tell leaves the reload open, with an alarm where that is
 * strange.
 */
export function heal(deps: HealingDeps, kiosk: Kiosk, card: Card, claim: Claim, verified: Verified, at: number): void {
  const { transit, ledger, alarms } = deps;
  const reload = transit.of(card.uid as CardUid);
  if (reload === undefined || verified.slot === null) return;
  const proven = claim.keyVersion === reload.keyVersion ? provenBy(deps, reload, claim) : null;
  const age = verified.facts.beaconAgeSeconds;
  const { end, othersUpTo, strange } = healing(reload, {
    keyVersion: claim.keyVersion,
    tmc: claim.tmc,
    beaconAt: age === null ? null : at - age * 1000,
    showsReload: proven !== null,
  });
  const pair = `${reload.key.origin - RELEASE_ORIGIN}/${reload.key.seq}`;
  if (strange) {
    const detail = `reload ${pair} of card ${card.uid} stays open: its tap at counter ${claim.tmc} does not tell`;
    alarms.raise('reload-open', kiosk.name, detail);
  }
  if (othersUpTo !== reload.othersUpTo) transit.put({ ...reload, othersUpTo });
  if (end === null) return;
  ledger.post(endOf(reload, card.member, end, proven, at)).then(
    () => transit.end(reload),
    // Nothing is lost: the reload is still open here, and the next tap tells the same.
    (fault: unknown) => alarms.raise('reload-open', kiosk.name, `reload ${pair} could not be ended: ${fault}`),
  );
}
