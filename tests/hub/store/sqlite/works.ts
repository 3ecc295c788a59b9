/** What ledger tests ask of an engine, and what its answers read like. */
import type { Guard, ReloadKind, Verdict } from '../../../../hub/rules/entries.ts';
import {
  HUB_ORIGIN,
  type Posting,
  type PostRequest,
  RELEASE_ORIGIN,
  RELOAD_ORIGIN,
} from '../../../../hub/store/ledger.ts';
import type { Engine, Work } from '../../../../hub/store/sqlite/engine.ts';
import { type CardUid, type MemberId, PLATFORM } from '../../../../protocol/ids.ts';
import type { Receipt } from '../../../../protocol/receipt.ts';
import { A, CARD, I, KIOSK, MEMBER, NOON, OUTLET } from './town.ts';

export interface SaleChanges {
  readonly seq: number;
  readonly kiosk?: number;
  readonly amount?: bigint;
  readonly fee?: bigint;
  readonly at?: number;
  readonly card?: CardUid;
  readonly owner?: string;
  readonly hash?: string;
  readonly tmc?: number | null;
  readonly keyVersion?: number;
  readonly guards?: readonly Guard[];
  readonly refuse?: Exclude<Verdict, { approve: unknown }>;
}

/** An off-us sale; the fee is split between the three books as evenly as it goes. */
export function sale(changes: SaleChanges): PostRequest {
  const { seq, kiosk = KIOSK, amount = 50_000n, fee = 0n, at = NOON, card = CARD, owner = MEMBER } = changes;
  const { tmc = null, keyVersion = 1, guards = [], refuse } = changes;
  const part = fee / 3n;
  const shares = [
    { to: I, amount: part },
    { to: A, amount: part },
    { to: PLATFORM, amount: fee - 2n * part },
  ].filter((share) => share.amount > 0n);
  const figures = { issuer: I, member: owner as MemberId, acquirer: A, outlet: OUTLET, amount, fee, shares };
  return {
    key: { origin: kiosk, seq },
    hash: changes.hash ?? seq.toString(16).padStart(32, 'a'),
    at,
    verdict: refuse ?? { approve: { kind: 'purchase', figures }, guards },
    slot: tmc === null ? null : { card, keyVersion, tmc },
    facts: { amount, card, issuer: I, acquirer: A, outlet: OUTLET },
    evidence: Uint8Array.of(seq & 255, kiosk & 255),
  };
}

export const post = (request: PostRequest): Work => ({ do: 'post', request });
export const cancel = (seq: number, at = NOON, kiosk = KIOSK): Work => ({
  do: 'cancel',
  key: { origin: kiosk, seq },
  at,
});
export const putCard = (uid: CardUid = CARD, tmc = 4, keyVersion = 1): Work => ({
  do: 'card',
  card: { uid, status: 'active', keyVersion, tmc },
});

let openings = 0;

/** Gives a member money that lies at the bank. */
export function opening(amount: bigint, owner: string = MEMBER): Work {
  openings += 1;
  return post({
    key: { origin: HUB_ORIGIN, seq: openings },
    hash: '',
    at: NOON,
    verdict: {
      approve: { kind: 'opening', figures: { cooperative: I, member: owner as MemberId, amount } },
      guards: [],
    },
    slot: null,
    facts: { amount, card: null, issuer: I, acquirer: null, outlet: null },
    evidence: null,
  });
}

export interface ReloadChanges {
  readonly seq: number;
  readonly amount?: bigint;
  readonly at?: number;
  readonly owner?: string;
  readonly card?: CardUid;
  /** Slot of the end of a reload. */
  readonly tmc?: number | null;
  readonly guards?: readonly Guard[];
}

/** One step of a reload; a release is refused while another of the card is open, unless other guards are given. */
export function reload(kind: ReloadKind, changes: ReloadChanges): Work {
  const { seq, amount = 50_000n, at = NOON, owner = MEMBER, card = CARD, tmc = null } = changes;
  const idle = { kind: 'idle', account: { cooperative: I, kind: 'in-transit', owner: card } } as const;
  const guards = changes.guards ?? (kind === 'reload-release' ? [idle] : []);
  const figures = { issuer: I, member: owner as MemberId, card, amount };
  return post({
    key: { origin: (kind === 'reload-release' ? RELEASE_ORIGIN : RELOAD_ORIGIN) + KIOSK, seq },
    hash: kind === 'reload-release' ? seq.toString(16).padStart(32, 'e') : '',
    at,
    verdict: { approve: { kind, figures }, guards },
    slot: tmc === null ? null : { card, keyVersion: 1, tmc },
    facts: { amount, card, issuer: I, acquirer: null, outlet: null },
    evidence: kind === 'reload-release' ? Uint8Array.of(seq & 255) : null,
  });
}

/** What a decision reads like: outcome, or refusal, or what else was answered. */
export function word(answer: { readonly kind: string } | undefined): string {
  if (answer?.kind !== 'decided') return answer?.kind ?? 'nothing';
  const { outcome, reason } = receiptOf(answer as Posting);
  return outcome === 'approved' ? outcome : `${outcome}: ${reason}`;
}

export function receiptOf(answer: { readonly kind: string } | undefined): Receipt {
  if (answer?.kind !== 'decided') throw new Error(`no decision but ${answer?.kind}`);
  return JSON.parse((answer as Extract<Posting, { kind: 'decided' }>).receipt) as Receipt;
}

/** Applies one batch and reads each answer as a word. */
export const words = (engine: Engine, ...batch: Work[]): string[] => engine.apply(batch).map(word);
