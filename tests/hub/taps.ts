/** Taps: claims as a genuine card and an honest kiosk make them, built from the same keys. */
import { buildRecord, buildTmri, proof, type RecordKind } from '../../cards/record.ts';
import { tmv, transactionInput, transactionKeys } from '../../cards/tmac.ts';
import type { Hub } from '../../hub/serve.ts';
import type { CardCommand } from '../../protocol/claim.ts';
import type { CardUid, CooperativeId } from '../../protocol/ids.ts';
import type { PurchaseRequest } from '../../protocol/purchase.ts';
import { BEACON_SECONDS, minuteOfSlot } from '../../protocol/status.ts';
import type { TestKiosk } from './world.ts';

/** What cards and beacons are rebuilt from. */
type Keys = Pick<Hub, 'vault' | 'registry'>;

export interface Tap {
  readonly uid: string;
  readonly amount: number;
  readonly seq: number;
  readonly tmc: number;
  /** Milliseconds since 1970 UTC at which the beacon was current; null if the kiosk never had one. */
  readonly at: number | null;
  /** Of the record; account where none is given. */
  readonly kind?: RecordKind;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** The request that this tap ends in. */
export function tapRequest(
  hub: Keys,
  kiosk: TestKiosk,
  { uid, amount, seq, tmc, at, kind = 'account' }: Tap,
): PurchaseRequest {
  const card = hub.registry.card(uid as CardUid);
  const slot = at === null ? null : Math.floor(at / 1000 / BEACON_SECONDS);
  const kioskNo = kiosk.grant.kiosk;
  const minute = slot === null ? 0 : minuteOfSlot(slot);
  const deed = { kind, amount: BigInt(amount), kioskNo, kioskSeq: seq, minute };
  const uidBytes = Buffer.from(uid, 'hex');
  const full = proof(kiosk.witness, uidBytes, deed, slot === null ? new Uint8Array(4) : hub.vault.beacon(slot));
  const commands: CardCommand[] = [
    { ins: 'AB', file: 1, from: 0, count: 4, data: '00'.repeat(64) },
    { ins: '6C', file: 3, value: 0 },
    { ins: '8B', file: 1, offset: 0, data: hex(buildRecord(deed, full)) },
    { ins: 'C8', tmri: hex(buildTmri(deed, full)), encTmri: '11'.repeat(16) },
  ];
  return {
    kiosk: kioskNo,
    seq,
    kind: 'account',
    amount,
    claim: certify(hub, card?.issuer ?? 'pasar', uid, tmc, commands),
  };
}

/** Certifies any command list the way the card would. */
export function certify(hub: Keys, issuer: string, uid: string, tmc: number, commands: CardCommand[]) {
  const keyVersion = 1;
  const key = hub.vault.tmacKey(issuer as CooperativeId, uid as CardUid, keyVersion);
  if (key === null) throw new Error(`no key for issuer ${issuer}`);
  const keys = transactionKeys(key, Buffer.from(uid, 'hex'), tmc);
  return { uid, keyVersion, tmc, tmv: hex(tmv(keys, transactionInput(commands))), commands, before: '00'.repeat(12) };
}
