/** Refund: finds the sale, has it judged who may give it back, posts, and answers the receipt that stands. */
import type { CardUid } from '../../protocol/ids.ts';
import { rupiah } from '../../protocol/money.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import type { RefundRequest } from '../../protocol/refund.ts';
import type { Alarms } from '../alarms.ts';
import type { Operation, Reply } from '../mqtt/router.ts';
import type { Staff } from '../rules/cash.ts';
import { judgeRefund, mayRefund, type Sale } from '../rules/refund.ts';
import { type DecisionKey, type Ledger, type PostRequest, REFUND_ORIGIN } from '../store/ledger.ts';
import type { Kiosk, Registry } from '../store/registry.ts';
import type { Vault } from '../vault.ts';
import { sealReceipt } from './purchase.ts';

export interface RefundDeps {
  readonly vault: Pick<Vault, 'receiptMac'>;
  readonly ledger: Pick<Ledger, 'post' | 'standing'>;
  readonly registry: Pick<Registry, 'card' | 'outlet' | 'cooperative'>;
  readonly alarms: Alarms;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}

type Asked = Extract<RefundRequest, { readonly ask: 'refund' }>;

/**
 * The sale that stands under a kiosk's number and seq, with whose card paid it; null if none was approved there.
 * What is read is final, so that it may be read before the post.
 */
export async function findSale(
  { ledger, registry }: { readonly ledger: Pick<Ledger, 'standing'>; readonly registry: Pick<Registry, 'card'> },
  key: DecisionKey,
): Promise<(Sale & { readonly receipt: Receipt }) | null> {
  const standing = await ledger.standing(key);
  if (standing?.kind !== 'purchase' && standing?.kind !== 'purse-sale') return null;
  const receipt = JSON.parse(standing.receipt) as Receipt;
  const { acquirer, outlet } = receipt as unknown as Sale;
  const card = receipt.card === null ? undefined : registry.card(receipt.card as CardUid);
  return card === undefined ? null : { key: `${key.origin}/${key.seq}`, card, acquirer, outlet, receipt };
}

function staff({ registry }: RefundDeps, uid: string): Staff | null {
  const card = registry.card(uid as CardUid);
  if (card === undefined) return null;
  return { member: card.member, cooperative: card.issuer, active: card.status === 'active' };
}

/** What the ledger is asked for; of a sale that is not this kiosk's to give back, the decision names nothing. */
async function draft(deps: RefundDeps, kiosk: Kiosk, hash: string, body: Asked): Promise<PostRequest> {
  const { registry, now } = deps;
  const { original, teller, reason } = body;
  const sale = await findSale(deps, { origin: original.kiosk, seq: original.seq });
  const outlet = registry.outlet(kiosk.outlet) ?? null;
  const amount = rupiah(body.amount);
  const role = kiosk.role === 'counter' ? 'counter' : 'stall';
  const netDebitCap = outlet === null ? 0n : (registry.cooperative(outlet.cooperative)?.netDebitCap ?? 0n);
  const facts = { role, outlet, sale, amount, teller: staff(deps, teller), netDebitCap } as const;
  const told = mayRefund(facts) ? sale : null;
  return {
    key: { origin: REFUND_ORIGIN + kiosk.no, seq: body.seq },
    hash,
    at: now(),
    verdict: judgeRefund(facts),
    slot: null,
    facts: {
      amount,
      card: told?.card.uid ?? null,
      issuer: told?.card.issuer ?? null,
      acquirer: outlet?.cooperative ?? null,
      outlet: told?.outlet ?? outlet?.id ?? null,
    },
    evidence: Buffer.from(JSON.stringify({ claimed: { teller, reason, original } })),
  };
}

async function resolve({ vault, ledger }: RefundDeps, key: DecisionKey): Promise<Reply> {
  const standing = await ledger.standing(key);
  return { body: standing === null ? '{"unknown":true}' : sealReceipt(vault, standing.receipt) };
}

async function refund(deps: RefundDeps, kiosk: Kiosk, hash: string, body: Asked): Promise<Reply> {
  const posting = await deps.ledger.post(await draft(deps, kiosk, hash, body));
  if (posting.kind === 'decided') return { body: sealReceipt(deps.vault, posting.receipt) };
  const pair = `${kiosk.no}/${body.seq}`;
  deps.alarms.echo('body-differs', kiosk.name, `refund ${pair} came with another body; nothing was moved`);
  return { refusal: 'body-differs', detail: `${pair} was decided for another body` };
}

export function makeRefund(deps: RefundDeps): Operation<'refund'> {
  return ({ kiosk, hash, body }) => {
    if (kiosk.role !== 'counter' && kiosk.role !== 'stall') {
      const detail = 'sales are given back at stalls and counters';
      return Promise.resolve({ refusal: 'not-allowed', detail, alarm: 'role-foreign' });
    }
    if (body.kiosk !== kiosk.no) {
      const detail = `refund of kiosk number ${body.kiosk}`;
      return Promise.resolve({ refusal: 'not-yours', detail, alarm: 'pair-foreign' });
    }
    if (body.ask === 'resolve') return resolve(deps, { origin: REFUND_ORIGIN + kiosk.no, seq: body.seq });
    return refund(deps, kiosk, hash, body);
  };
}
