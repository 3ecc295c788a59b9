/** Payout: takings go to their owner's account; see the messages for what a kiosk claims in them. */

import { businessDate } from '../../protocol/dates.ts';
import type { CardUid, CooperativeId } from '../../protocol/ids.ts';
import { registered } from '../../protocol/limits.ts';
import { rupiah } from '../../protocol/money.ts';
import type { PayoutRequest } from '../../protocol/payout.ts';
import type { Operation, Reply } from '../mqtt/router.ts';
import { holdsTakings, type Takings } from '../rules/payees.ts';
import { judgePayout } from '../rules/payout.ts';
import { PAYOUT_ORIGIN, type PostRequest } from '../store/ledger.ts';
import type { Kiosk, Outlet } from '../store/registry.ts';
import { collect } from './collecting.ts';
import { look, type OneStepDeps, told, unheard } from './onestep.ts';
import { capOf } from './purchase.ts';

type Asked = Extract<PayoutRequest, { readonly ask: 'payout' }>;

interface At {
  readonly kiosk: Kiosk;
  readonly outlet: Outlet | undefined;
}

function draft(
  { registry, now }: OneStepDeps,
  { kiosk, outlet }: At,
  hash: string,
  body: Asked,
  takings: Takings | null,
): PostRequest {
  const card = registry.card(body.uid as CardUid);
  const amount = rupiah(body.amount);
  const at = now();
  const verdict = judgePayout({
    date: businessDate(at),
    tariffs: registry.tariffs(),
    amount,
    card: card === undefined ? null : { ...card, active: card.status === 'active' },
    outlet: outlet ?? null,
    takings,
    // Whatever they say: an unknown card is refused before.
    limits: card === undefined ? registered : registry.limitsOf(card.member),
    licenceOf: registry.licence,
    holderOf: registry.holder,
    ...capOf(registry, takings?.cooperative),
  });
  const [issuer, acquirer] = [takings?.cooperative ?? null, card?.issuer ?? null];
  return {
    key: { origin: PAYOUT_ORIGIN + kiosk.no, seq: body.seq },
    hash,
    at,
    verdict,
    slot: null,
    facts: { amount, card: card?.uid ?? null, issuer, acquirer, outlet: outlet?.id ?? null },
    evidence: Buffer.from(JSON.stringify({ claimed: { payee: body.payee, pinVerified: body.pinVerified } })),
  };
}

/** Asks for the payout, behind what the takings owe: both in this round, so that they are judged in this order. */
async function pay(deps: OneStepDeps, at: At, hash: string, body: Asked): Promise<Reply> {
  const { kiosk } = at;
  const { seq, payee } = body;
  const takings = deps.registry.takings(payee.cooperative as CooperativeId, payee.name);
  const request = draft(deps, at, hash, body, takings);
  const due = takings !== null && 'approve' in request.verdict;
  const collected = due ? collect(deps, takings, { kiosk: kiosk.no, seq, at: request.at }) : null;
  const [posting] = await Promise.all([deps.ledger.post(request), collected]);
  return told(deps, kiosk, 'payout', seq, posting);
}

/** At a counter of any cooperative, or where the takings are made. */
function mayAsk({ kiosk, outlet }: At, body: PayoutRequest): boolean {
  if (kiosk.role === 'counter') return true;
  if (kiosk.role !== 'stall' || outlet === undefined) return false;
  if (body.ask === 'resolve') return true;
  const { cooperative, name } = body.payee;
  return holdsTakings(outlet, { cooperative: cooperative as CooperativeId, name });
}

export function makePayout(deps: OneStepDeps): Operation<'payout'> {
  return ({ kiosk, hash, body }) => {
    const at = { kiosk, outlet: deps.registry.outlet(kiosk.outlet) };
    if (!mayAsk(at, body)) {
      const detail = 'takings are paid out at counters and at their own outlets';
      return Promise.resolve({ refusal: 'not-allowed', detail, alarm: 'role-foreign' });
    }
    const refused = unheard(kiosk, 'payout', body);
    if (refused !== null) return Promise.resolve(refused);
    if (body.ask === 'resolve') return look(deps, { origin: PAYOUT_ORIGIN + kiosk.no, seq: body.seq });
    return pay(deps, at, hash, body);
  };
}
