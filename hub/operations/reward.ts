/** Reward: what a sale asks the ledger for beside itself, decided in one commit with it; and points redeemed. */
import { businessDate } from '../../protocol/dates.ts';
import type { CardUid, CooperativeId, MemberId } from '../../protocol/ids.ts';
import { CAP_ALERT } from '../../protocol/limits.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import { budgetOf, memberOf, pointsOf } from '../rules/accounts.ts';
import type { Guard, Verdict } from '../rules/entries.ts';
import { type Rewarded, redeemFigures, rewardFor, rewardInstruction } from '../rules/incentives.ts';
import { isLicensed } from '../rules/licence.ts';
import { alertOf } from '../rules/limits.ts';
import { type DecisionKey, type Ledger, type PostRequest, REWARD_ORIGIN } from '../store/ledger.ts';
import type { Registry } from '../store/registry.ts';

type Known = Pick<Registry, 'incentives' | 'budgetMark' | 'cooperative' | 'licence'>;

/** The cooperative that gives pays within its cap like anybody else. */
function capGuard(registry: Pick<Registry, 'cooperative'>, cooperative: CooperativeId): Guard {
  const { netDebitCap: max, capAlert = CAP_ALERT } = registry.cooperative(cooperative) ?? { netDebitCap: 0n };
  return { kind: 'cap', cooperative, max, alert: alertOf(max, capAlert) };
}

/**
 * What follows a sale once it is approved: its reward, or nothing where no rule applies. It is decided in the commit of
 * the sale, so that neither a crash nor a retry loses or doubles it, and can be refused while the sale stands.
 * @param at hub time of the sale, milliseconds since 1970 UTC
 */
export function rewardOf(
  registry: Known,
  { origin, seq }: DecisionKey,
  at: number,
  verdict: Verdict,
  card: CardUid | null,
): readonly PostRequest[] | undefined {
  const rules = registry.incentives();
  if (rules.size === 0 || !('approve' in verdict) || verdict.approve.kind !== 'purchase') return undefined;
  const sale: Rewarded = { ...verdict.approve.figures, date: businessDate(at) };
  const reward = rewardFor(rules.values(), sale, registry.licence);
  if (reward === null) return undefined;
  const { rule, amount } = reward;
  const { cooperative, budget } = rule;
  const account = budgetOf(cooperative, budget);
  const guards: Guard[] = [{ kind: 'budget', account, low: registry.budgetMark(cooperative, budget) }];
  if (cooperative !== sale.issuer && rule.form === 'cashback') guards.push(capGuard(registry, cooperative));
  return [
    {
      key: { origin: REWARD_ORIGIN + origin, seq },
      hash: '',
      at,
      verdict: { approve: rewardInstruction(rule, sale, amount), guards },
      slot: null,
      facts: { amount, card, issuer: cooperative, acquirer: sale.acquirer, outlet: sale.outlet },
      evidence: Buffer.from(JSON.stringify({ incentive: rule.id })),
    },
  ];
}

export interface RedeemDeps {
  readonly ledger: Pick<Ledger, 'post' | 'balances'>;
  readonly registry: Pick<Registry, 'member' | 'cooperative' | 'licence' | 'limitsOf'>;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}

export interface Redeeming {
  readonly key: DecisionKey;
  /** Who gave the points. */
  readonly cooperative: CooperativeId;
  readonly member: MemberId;
  /** In rupiah; null: all that are there. */
  readonly amount: bigint | null;
  readonly officers: readonly string[];
}

export type Redeemed =
  | { readonly ok: true; readonly amount: bigint; readonly home: CooperativeId }
  | { readonly ok: false; readonly refusal: Refusal | 'member-unknown' };

/** Turns points into money in the member's account, at what they are worth: a rupiah each. */
export async function redeem({ ledger, registry, now }: RedeemDeps, asked: Redeeming): Promise<Redeemed> {
  const { key, cooperative, officers } = asked;
  const member = registry.member(asked.member);
  if (member === undefined) return { ok: false, refusal: 'member-unknown' };
  const home = member.cooperative;
  if (!isLicensed('redeem', registry.licence, cooperative, home)) return { ok: false, refusal: 'not-licensed' };
  const [from, to] = [pointsOf(cooperative, member.id), memberOf(home, member.id)];
  const [balance = 0n] = asked.amount === null ? await ledger.balances([from]) : [asked.amount];
  if (balance <= 0n) return { ok: false, refusal: 'insufficient-funds' };
  const guards: Guard[] = [
    { kind: 'room', account: to, amount: balance, max: registry.limitsOf(member.id).maxBalance },
    ...(home === cooperative ? [] : [capGuard(registry, cooperative)]),
  ];
  const posting = await ledger.post({
    key,
    hash: '',
    at: now(),
    verdict: { approve: { kind: 'redeem', figures: redeemFigures(from, to, balance) }, guards },
    slot: null,
    facts: { amount: balance, card: null, issuer: cooperative, acquirer: home, outlet: null },
    evidence: Buffer.from(JSON.stringify({ officers })),
  });
  if (posting.kind === 'body-differs') return { ok: false, refusal: 'body-differs' };
  const { outcome, reason } = JSON.parse(posting.receipt) as Receipt;
  if (outcome === 'approved') return { ok: true, amount: balance, home };
  return { ok: false, refusal: (reason ?? 'cancelled') as Refusal };
}
