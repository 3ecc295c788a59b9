/** Transfer: from one member's account to another's; see the messages for what a kiosk claims in them. */

import { businessDate } from '../../protocol/dates.ts';
import type { CardUid } from '../../protocol/ids.ts';
import { rupiah } from '../../protocol/money.ts';
import type { TransferRequest } from '../../protocol/transfer.ts';
import type { Operation } from '../mqtt/router.ts';
import { judgeTransfer } from '../rules/transfer.ts';
import { type PostRequest, TRANSFER_ORIGIN } from '../store/ledger.ts';
import type { Card, Kiosk } from '../store/registry.ts';
import { look, type OneStepDeps, told, unheard } from './onestep.ts';
import { capOf } from './purchase.ts';

type Asked = Extract<TransferRequest, { readonly ask: 'transfer' }>;

const party = ({ registry }: OneStepDeps, card: Card | undefined) =>
  card === undefined ? null : { ...card, active: card.status === 'active', limits: registry.limitsOf(card.member) };

function draft(deps: OneStepDeps, kiosk: Kiosk, hash: string, body: Asked): PostRequest {
  const { registry, now } = deps;
  const at = now();
  const card = registry.card(body.uid as CardUid);
  const receiver = registry.cardByNumber(body.to);
  const outlet = registry.outlet(kiosk.outlet);
  const amount = rupiah(body.amount);
  const issuer = card?.issuer ?? null;
  const verdict = judgeTransfer({
    date: businessDate(at),
    amount,
    card: party(deps, card),
    outlet: outlet ?? null,
    receiver: party(deps, receiver),
    tariffs: registry.tariffs(),
    licenceOf: registry.licence,
    holderOf: registry.holder,
    ...capOf(registry, card?.issuer),
  });
  return {
    key: { origin: TRANSFER_ORIGIN + kiosk.no, seq: body.seq },
    hash,
    at,
    verdict,
    slot: null,
    facts: { amount, card: card?.uid ?? null, issuer, acquirer: receiver?.issuer ?? null, outlet: outlet?.id ?? null },
    evidence: Buffer.from(JSON.stringify({ claimed: { to: body.to, pinVerified: body.pinVerified } })),
  };
}

export function makeTransfer(deps: OneStepDeps): Operation<'transfer'> {
  return ({ kiosk, hash, body }) => {
    if (kiosk.role !== 'counter') {
      const detail = 'members send money at counters only';
      return Promise.resolve({ refusal: 'not-allowed', detail, alarm: 'role-foreign' });
    }
    const refused = unheard(kiosk, 'transfer', body);
    if (refused !== null) return Promise.resolve(refused);
    if (body.ask === 'resolve') return look(deps, { origin: TRANSFER_ORIGIN + kiosk.no, seq: body.seq });
    return deps.ledger
      .post(draft(deps, kiosk, hash, body))
      .then((posting) => told(deps, kiosk, 'transfer', body.seq, posting));
  };
}
