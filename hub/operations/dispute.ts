/** Dispute: a member's cooperative takes up that a payment was not right, and two of its officers decide on it. */
import { createHash } from 'node:crypto';
import type { CooperativeId, MemberId } from '../../protocol/ids.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import { isPrintable } from '../printable.ts';
import type { ReturnFigures, ReturnKind } from '../rules/entries.ts';
import {
  type DecisionKey,
  DISPUTE_END_ORIGIN,
  DISPUTE_ORIGIN,
  type Ledger,
  type PostRequest,
  VOID_ORIGIN,
} from '../store/ledger.ts';
import type { Registry } from '../store/registry.ts';
import { findSale } from './refund.ts';

export interface DisputeDeps {
  readonly ledger: Pick<Ledger, 'post' | 'standing' | 'disputes'>;
  readonly registry: Pick<Registry, 'card' | 'putDisputeNote'>;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}

/** Days in which a dispute must be decided where the settings name no others. */
export const DISPUTE_DAYS = 14;
const DAY_MS = 86_400_000;
const REASON_MAX = 500;
const EVIDENCE_MAX = 10;
const REFERENCE_MAX = 120;
const NAME_MAX = 64;

interface Said {
  /** Key of the disputed payment: its kiosk's number and seq. */
  readonly payment: DecisionKey;
  /** In people's words, 1 to 500 characters. */
  readonly reason: string;
  /** References to what is kept elsewhere; at most 10 of 120 characters. */
  readonly evidence: readonly string[];
}

export interface Opening extends Said {
  /** An officer of the cooperative of the card, or the member whose card paid. */
  readonly by: { readonly officer: string; readonly cooperative: CooperativeId } | { readonly member: MemberId };
  /** Disputed, in rupiah. */
  readonly amount: bigint;
  /** What of it the member gets at once, in rupiah. */
  readonly provisional: bigint;
  /** Until it must be decided. */
  readonly days: number;
}

export interface Ruling extends Said {
  readonly word: 'won' | 'lost';
  /** Whose officers they are: the cooperative of the card. */
  readonly cooperative: CooperativeId;
  readonly officers: readonly string[];
}

export type DisputeAnswer =
  | {
      readonly ok: true;
      /** `origin/seq`: what the member may ask by. */
      readonly number: string;
      readonly amount: bigint;
      /** Hub time by which it is decided, milliseconds since 1970 UTC; null once it is. */
      readonly until: number | null;
    }
  | { readonly ok: false; readonly refuse: Refusal; readonly detail: string };

const refused = (refuse: Refusal, detail: string): DisputeAnswer => ({ ok: false, refuse, detail });

const nameOf = ({ origin, seq }: DecisionKey) => `${origin}/${seq}`;
const isText = (text: string, most: number) => text.trim() !== '' && text.length <= most && isPrintable(text);

/** What cannot be taken down as it was said, in words; null if all can. */
function saidFault({ payment, reason, evidence }: Said, names: readonly string[]): string | null {
  const { origin, seq } = payment;
  const fits = (value: number) => Number.isInteger(value) && value >= 1 && value < VOID_ORIGIN;
  if (!fits(origin) || !fits(seq)) return 'a payment is named by its kiosk’s number and its seq there';
  if (!isText(reason, REASON_MAX)) return `a reason has 1 to ${REASON_MAX} characters that can be printed`;
  if (evidence.length > EVIDENCE_MAX) return `at most ${EVIDENCE_MAX} references are kept with a step`;
  if (!evidence.every((one) => isText(one, REFERENCE_MAX))) return `a reference has 1 to ${REFERENCE_MAX} characters`;
  return names.every((name) => isText(name, NAME_MAX)) ? null : `a name has 1 to ${NAME_MAX} characters`;
}

/** 32 hex digits over what was asked; the same words again are the same request. */
function hashOf(...parts: readonly unknown[]): string {
  const text = JSON.stringify(parts, (_, value) => (typeof value === 'bigint' ? value.toString() : value));
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

type Sale = NonNullable<Awaited<ReturnType<typeof findSale>>>;
type Step = Exclude<ReturnKind, 'refund'>;

interface Asked {
  readonly sale: Sale;
  readonly kind: Step;
  readonly key: DecisionKey;
  readonly hash: string;
  readonly at: number;
  readonly terms: Pick<ReturnFigures, 'amount' | 'authority' | 'provisional' | 'until'>;
}

function requestOf({ sale, kind, key, hash, at, terms }: Asked): PostRequest {
  const { issuer, member, uid } = sale.card;
  const account = { cooperative: issuer, kind: 'member', owner: member } as const;
  const figures: ReturnFigures = { original: sale.key, member: account, ...terms };
  return {
    key,
    hash,
    at,
    verdict: { approve: { kind, figures }, guards: [] },
    slot: null,
    facts: { amount: terms.amount, card: uid, issuer, acquirer: sale.acquirer, outlet: sale.outlet },
    // Words about people are not kept with entries, which outlive them; the hash names those that count.
    evidence: null,
  };
}

async function untilOf({ ledger }: DisputeDeps, payment: string): Promise<number | null> {
  const open = (await ledger.disputes()).find(({ key }) => nameOf(key) === payment);
  return open?.until ?? null;
}

/** The answer to what was posted; a step that had been taken otherwise before is none of this asker's. */
async function told(deps: DisputeDeps, request: PostRequest, { kind, sale }: Asked): Promise<DisputeAnswer> {
  const taken = kind === 'dispute' ? 'dispute-exists' : 'dispute-none';
  const posting = await deps.ledger.post(request);
  if (posting.kind === 'body-differs')
    return refused(taken, `${sale.key} was taken up or decided in other words before`);
  const { outcome, reason, amount } = JSON.parse(posting.receipt) as Receipt;
  if (outcome !== 'approved') return refused(reason ?? taken, `${sale.key}: nothing was moved`);
  const stands = (await deps.ledger.standing(request.key))?.kind;
  if (stands !== kind) return refused(taken, `${sale.key} has ended as ${stands}; that stands`);
  return { ok: true, number: sale.key, amount: BigInt(amount), until: await untilOf(deps, sale.key) };
}

const UNKNOWN = 'no such payment of this cooperative’s members';

/**
 * Takes up a dispute, for the cooperative of the card: what is disputed is laid out by it, in the member's hand or kept
 * ready, until it is decided, or until its term ends at that cooperative's cost (TRUTH section 9). Asked again in the
 * same words it answers the same. Of others' payments not even that they exist is said.
 */
export async function openDispute(deps: DisputeDeps, opening: Opening): Promise<DisputeAnswer> {
  const { payment, by, amount, provisional, days, reason, evidence } = opening;
  const names = 'member' in by ? [by.member] : [by.officer];
  const fault = saidFault(opening, names);
  if (fault !== null) return refused('message-malformed', fault);
  if (amount <= 0n || provisional < 0n || provisional > amount) {
    return refused('message-malformed', 'what the member gets at once is part of what is disputed');
  }
  if (!Number.isInteger(days) || days < 1 || days > 365) return refused('message-malformed', 'a term is 1 to 365 days');
  const sale = await findSale(deps, payment);
  const theirs = 'member' in by ? by.member === sale?.card.member : by.cooperative === sale?.card.issuer;
  if (sale === null || !theirs) return refused('payment-unknown', UNKNOWN);
  const at = deps.now();
  const hash = hashOf('dispute', sale.key, by, amount, provisional, reason, evidence);
  deps.registry.putDisputeNote({ payment: sale.key, hash, at, step: 'open', by: names, reason, evidence });
  const key = { origin: DISPUTE_ORIGIN + payment.origin, seq: payment.seq };
  const terms = { amount, provisional, until: String(at + days * DAY_MS), authority: 'rule' } as const;
  const asked: Asked = { sale, kind: 'dispute', key, hash, at, terms };
  return told(deps, requestOf(asked), asked);
}

/** Ends a dispute as two officers of the cooperative of the card decide. The first decision stands. */
export async function decideDispute(deps: DisputeDeps, ruling: Ruling): Promise<DisputeAnswer> {
  const { payment, word, cooperative, officers, reason, evidence } = ruling;
  const fault = saidFault(ruling, officers);
  if (fault !== null) return refused('message-malformed', fault);
  const [one, other, ...more] = officers.map((name) => name.trim().toLowerCase());
  if (other === undefined || more.length > 0 || one === other) {
    return refused('approval-needed', 'two officers decide, and they are two people');
  }
  const sale = await findSale(deps, payment);
  if (sale?.card.issuer !== cooperative) return refused('payment-unknown', UNKNOWN);
  const at = deps.now();
  const hash = hashOf(word, sale.key, officers, reason, evidence);
  deps.registry.putDisputeNote({ payment: sale.key, hash, at, step: word, by: officers, reason, evidence });
  const key = { origin: DISPUTE_END_ORIGIN + payment.origin, seq: payment.seq };
  // What is decided about is what the books have open: nobody says a sum here.
  const asked: Asked = {
    sale,
    kind: `dispute-${word}`,
    key,
    hash,
    at,
    terms: { amount: 0n, authority: 'two-officers' },
  };
  return told(deps, requestOf(asked), asked);
}
