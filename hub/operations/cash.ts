/** Cash: deposits, and withdrawals in three steps, at counters; see the messages for what a kiosk claims in them. */
import type { CashRequest, HoldSlip } from '../../protocol/cash.ts';
import { businessDate } from '../../protocol/dates.ts';
import type { CardUid, CooperativeId } from '../../protocol/ids.ts';
import { counterLimits, registered } from '../../protocol/limits.ts';
import { rupiah } from '../../protocol/money.ts';
import type { Alarms } from '../alarms.ts';
import type { Operation, Reply } from '../mqtt/router.ts';
import { judgeCash, type Staff } from '../rules/cash.ts';
import type { Takings } from '../rules/payees.ts';
import { CASH_ORIGIN, type DecisionKey, type HoldAnswer, type Ledger, type PostRequest } from '../store/ledger.ts';
import type { Kiosk, Registry } from '../store/registry.ts';
import type { Vault } from '../vault.ts';
import { collect } from './collecting.ts';
import { capOf, sealReceipt } from './purchase.ts';

export interface CashDeps {
  readonly vault: Pick<Vault, 'receiptMac'>;
  readonly ledger: Pick<Ledger, 'post' | 'hold' | 'release' | 'settle' | 'standing' | 'openHold'>;
  readonly registry: Registry;
  readonly alarms: Alarms;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}

type Served = Extract<CashRequest, { readonly ask: 'deposit' | 'hold' }>;

/** Whose card the kiosk says was laid down. */
export function staff({ registry }: Pick<CashDeps, 'registry'>, uid: string | null): Staff | null {
  const card = uid === null ? undefined : registry.card(uid as CardUid);
  return card === undefined
    ? null
    : { member: card.member, cooperative: card.issuer, active: card.status === 'active' };
}

/** The takings that a `hold` names: null if nobody has such ones, undefined if it names none. */
function takingsOf({ registry }: CashDeps, body: Served): Takings | null | undefined {
  if (body.ask !== 'hold' || body.payee === undefined) return undefined;
  return registry.takings(body.payee.cooperative as CooperativeId, body.payee.name);
}

/** What the ledger is asked for. Who served is kept with it as the kiosk said it: a claim, no proof. */
function draft(deps: CashDeps, kiosk: Kiosk, hash: string, body: Served): PostRequest {
  const { registry, now } = deps;
  const at = now();
  const card = registry.card(body.uid as CardUid);
  const outlet = registry.outlet(kiosk.outlet);
  const amount = rupiah(body.amount);
  const { teller, approver } = body;
  const takings = takingsOf(deps, body);
  const verdict = judgeCash({
    kind: body.ask === 'deposit' ? 'deposit' : 'withdrawal',
    date: businessDate(at),
    amount,
    card: card === undefined ? null : { ...card, active: card.status === 'active' },
    outlet: outlet ?? null,
    teller: staff(deps, teller),
    approver: staff(deps, approver),
    takings,
    tariffs: registry.tariffs(),
    licenceOf: registry.licence,
    holderOf: registry.holder,
    limits: card === undefined ? registered : registry.limitsOf(card.member),
    netDebitCap: (id: CooperativeId) => capOf(registry, id).netDebitCap,
    capAlert: (id: CooperativeId) => capOf(registry, id).capAlert,
  });
  const [issuer, acquirer] = [takings?.cooperative ?? card?.issuer ?? null, outlet?.cooperative ?? null];
  return {
    key: { origin: CASH_ORIGIN + kiosk.no, seq: body.seq },
    hash,
    at,
    verdict,
    slot: null,
    facts: { amount, card: card?.uid ?? null, issuer, acquirer, outlet: outlet?.id ?? null },
    evidence: Buffer.from(JSON.stringify({ claimed: { teller, approver } })),
  };
}

/** What is known under a key, without deciding anything. The hold first: it may end between the two questions. */
async function look({ ledger }: CashDeps, key: DecisionKey): Promise<HoldAnswer> {
  const slip = await ledger.openHold(key);
  if (slip !== null) return { kind: 'open', slip };
  const standing = await ledger.standing(key);
  if (standing === null) return { kind: 'absent' };
  return { kind: 'decided', receipt: standing.receipt, duplicate: true, voided: false };
}

/** A `release` without the PIN asks nothing of the ledger: the hold waits on until it is too old. */
const NO_PIN: Reply = { refusal: 'pin-needed', detail: 'the kiosk did not verify the PIN' };

function step(deps: CashDeps, kiosk: Kiosk, hash: string, body: CashRequest): Promise<HoldAnswer> {
  const { ledger, now } = deps;
  const key = { origin: CASH_ORIGIN + kiosk.no, seq: body.seq };
  switch (body.ask) {
    case 'deposit':
      return ledger.post(draft(deps, kiosk, hash, body));
    case 'hold': {
      const request = draft(deps, kiosk, hash, body);
      const takings = takingsOf(deps, body) ?? null;
      const due = takings !== null && 'approve' in request.verdict;
      const collected = due ? collect(deps, takings, { kiosk: kiosk.no, seq: body.seq, at: request.at }) : null;
      const held = ledger.hold(request, request.at + counterLimits.holdSeconds * 1000);
      return Promise.all([held, collected]).then(([answer]) => answer);
    }
    case 'release':
      return ledger.release(key, now(), JSON.stringify({ claimed: { pinVerified: body.pinVerified } }));
    case 'paid':
      return ledger.settle({ key, word: 'post', at: now(), officers: null });
    case 'cancel':
      return ledger.settle({ key, word: 'void', at: now(), officers: null });
    case 'resolve':
      return look(deps, key);
  }
}

/** The answer of the ledger as the kiosk may act on it: a hold that did not move as asked is a refusal. */
function reply({ vault, alarms }: CashDeps, kiosk: Kiosk, { ask, seq }: CashRequest, answer: HoldAnswer): Reply {
  const pair = `${kiosk.no}/${seq}`;
  if (answer.kind === 'body-differs') {
    alarms.echo('body-differs', kiosk.name, `cash ${pair} came with another body; nothing was moved`);
    return { refusal: 'body-differs', detail: `${pair} was asked with another body` };
  }
  if (answer.kind === 'decided') {
    if (ask === 'paid' && !answer.receipt.includes('"outcome":"approved"')) {
      alarms.echo(
        'hold-ended',
        kiosk.name,
        `cash of ${pair} was handed out after its hold had ended; nothing was booked`,
      );
    }
    return { body: sealReceipt(vault, answer.receipt) };
  }
  if (answer.kind === 'absent') {
    if (ask === 'resolve') return { body: '{"unknown":true}' };
    return { refusal: 'hold-unknown', detail: `nothing is held under ${pair}`, alarm: 'hold-unknown' };
  }
  const { slip } = answer;
  const { state } = JSON.parse(slip) as HoldSlip;
  if (ask === 'cancel') return { refusal: 'hold-released', detail: `${pair} was released: the cash may be out` };
  if (ask === 'paid') {
    alarms.echo('hold-unreleased', kiosk.name, `cash of ${pair} was handed out before it was released`);
    return { refusal: 'hold-unreleased', detail: `${pair} is only ${state}` };
  }
  return { body: `{"hold":${slip},"mac":"${vault.receiptMac(slip)}"}` };
}

export function makeCash(deps: CashDeps): Operation<'cash'> {
  return ({ kiosk, hash, body }) => {
    if (kiosk.role !== 'counter') {
      const detail = 'cash goes over counters only';
      return Promise.resolve({ refusal: 'not-allowed', detail, alarm: 'role-foreign' });
    }
    if (body.kiosk !== kiosk.no) {
      const detail = `cash of kiosk number ${body.kiosk}`;
      return Promise.resolve({ refusal: 'not-yours', detail, alarm: 'pair-foreign' });
    }
    if (body.ask === 'release' && !body.pinVerified) return Promise.resolve(NO_PIN);
    return step(deps, kiosk, hash, body).then((answer) => reply(deps, kiosk, body, answer));
  };
}
