/** Healing: what a card's later transaction tells of its reload that is still on its way, posted before all else. */
import { timingSafeEqual } from 'node:crypto';
import type { Alarms } from '../alarms.ts';
import type { ReloadKind } from '../rules/entries.ts';
import { healing } from '../rules/reload.ts';
import { type Ledger, type PostRequest, RELEASE_ORIGIN, RELOAD_ORIGIN } from '../store/ledger.ts';
import type { Card } from '../store/registry.ts';
import type { Vault } from '../vault.ts';
import { type Carried, counterOf, reloadCertificate, type Transit } from './transit.ts';

export interface HealingDeps {
  readonly vault: Pick<Vault, 'tmacKey'>;
  readonly ledger: Pick<Ledger, 'post'>;
  readonly transit: Transit;
  readonly alarms: Alarms;
}

/** A transaction of a card under its valid certificate, and what the card showed in it of those before. */
export interface Seen {
  /** Version of the counter file's key. */
  readonly keyVersion: number;
  /** The counter that it got. */
  readonly tmc: number;
  /** The counter file as read before it, outside its certificate: TMC (little-endian) ‖ TMV, 12 bytes. */
  readonly before: Uint8Array;
  /** Purse balance before, in rupiah. */
  readonly opening: bigint;
  /** The last four records before it, 64 bytes. */
  readonly records: Uint8Array;
  /** Its session began no earlier, milliseconds since 1970 UTC; null if nothing proves when. */
  readonly since: number | null;
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

/** What the counter file, read before this transaction, proves of the reload; null if nothing. */
function provenBy({ vault }: HealingDeps, reload: Carried, seen: Seen): Proven | null {
  const tmc = reload.tmc + 1;
  if (seen.keyVersion !== reload.keyVersion) return null;
  // The transaction in the next slot: its opening balance is the reload's closing one, under the card's certificate.
  if (seen.tmc !== tmc + 1 || counterOf(seen.before) !== tmc) return null;
  const opening = seen.opening - reload.amount;
  const key = vault.tmacKey(reload.issuer, reload.card, reload.keyVersion);
  if (key === null || opening < 0n) return null;
  const certificate = reloadCertificate(key, reload, opening);
  return timingSafeEqual(certificate, seen.before.subarray(4)) ? { tmc, tmv: certificate, opening } : null;
}

/**
 * Posts the end of the card's open reload where this transaction tells it. One that does not tell leaves it open, with
 * an alarm where that is strange.
 * @param where the kiosk's name, for the operator
 * @returns what resolves, and never rejects, once the end is on the disk; null if there is nothing to wait for.
 */
export function healReload(
  deps: HealingDeps,
  where: string,
  card: Card,
  seen: Seen,
  at: number,
): Promise<unknown> | null {
  const { transit, ledger, alarms } = deps;
  const reload = transit.of(card.uid);
  if (reload === undefined) return null;
  const proven = provenBy(deps, reload, seen);
  const { end, othersUpTo, strange } = healing(reload, {
    keyVersion: seen.keyVersion,
    tmc: seen.tmc,
    beaconAt: seen.since,
    showsReload: proven !== null,
  });
  const pair = `${reload.key.origin - RELEASE_ORIGIN}/${reload.key.seq}`;
  if (strange) {
    const detail = `reload ${pair} of card ${card.uid} stays open: its tap at counter ${seen.tmc} does not tell`;
    alarms.raise('reload-open', where, detail);
  }
  if (othersUpTo !== reload.othersUpTo) transit.put({ ...reload, othersUpTo });
  if (end === null) return null;
  // At once: what else is seen of the card meanwhile must not find it open.
  transit.end(reload);
  return ledger.post(endOf(reload, card.member, end, proven, at)).catch((fault: unknown) => {
    // Nothing is lost: the reload is open here again, and the next tap tells the same.
    transit.put(reload);
    alarms.raise('reload-open', where, `reload ${pair} could not be ended: ${fault}`);
  });
}
