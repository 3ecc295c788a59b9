/** Bill: inquires, and pays through hold, release and the biller's own word; nobody waits longer than patience. */
import type { BillerSaid, BillQuote, BillRequest } from '../../protocol/bill.ts';
import type { HoldSlip } from '../../protocol/cash.ts';
import { businessDate } from '../../protocol/dates.ts';
import type { CardUid, CooperativeId } from '../../protocol/ids.ts';
import { BILL_HOLD_SECONDS, registered } from '../../protocol/limits.ts';
import { CARD_AMOUNT_MAX, rupiah, toWire } from '../../protocol/money.ts';
import type { Billers, Offer } from '../billers/settings.ts';
import type { Edges } from '../edges.ts';
import type { Operation, Reply } from '../mqtt/router.ts';
import { adminOf, judgeAccountBill, judgeCashBill } from '../rules/bill.ts';
import { BILL_ORIGIN, type DecisionKey, type HoldAnswer, type Ledger, type PostRequest } from '../store/ledger.ts';
import type { Kiosk, Outlet } from '../store/registry.ts';
import { type BillSettling, claimOf, type ReleasedBill } from './billsettling.ts';
import { staff } from './cash.ts';
import { NOTHING, verifyClaim } from './certificate.ts';
import { capOf, type PurchaseDeps, sealReceipt } from './purchase.ts';
import { heal } from './taps.ts';

export interface BillDeps extends PurchaseDeps, Pick<Edges, 'later'> {
  readonly ledger: PurchaseDeps['ledger'] & Pick<Ledger, 'hold' | 'release' | 'settle' | 'openHold' | 'ending'>;
  readonly billers: Billers;
  readonly settling: Pick<BillSettling, 'pursue'>;
}

/** Longest wait of a payer for the biller's word; after it the bill is being checked. */
const PATIENCE_MS = 10_000;

type Pay = Extract<BillRequest, { readonly ask: 'pay' }>;
type Inquire = Extract<BillRequest, { readonly ask: 'inquire' }>;

const keyOf = (kiosk: Kiosk, seq: number): DecisionKey => ({ origin: BILL_ORIGIN + kiosk.no, seq });
const referenceOf = (kiosk: Kiosk, seq: number) => `${kiosk.no}-${seq}`;

/** What is sold at an outlet: what its own cooperative lists. */
const offerAt = ({ billers }: BillDeps, outlet: Outlet | undefined, product: string): Offer | null =>
  outlet === undefined ? null : billers.offer(outlet.cooperative, product);

async function inquire(deps: BillDeps, kiosk: Kiosk, body: Inquire): Promise<Reply> {
  const { product, customer } = body;
  const offer = offerAt(deps, deps.registry.outlet(kiosk.outlet), product);
  if (offer === null) return { refusal: 'product-unknown', detail: `nobody sells ${product} here` };
  const order = { reference: referenceOf(kiosk, body.seq), product, customer };
  const said = await offer.biller.inquire(order, body.amount === null ? null : rupiah(body.amount));
  if (said.kind === 'unsure') return { refusal: 'biller-silent', detail: `${offer.billerId}: ${said.why}` };
  if (said.kind === 'none') return { refusal: 'bill-none', detail: said.text };
  const admin = adminOf(offer.shares);
  const total = said.amount + admin;
  if (total > CARD_AMOUNT_MAX) return { refusal: 'bill-none', detail: 'the bill is larger than a card can certify' };
  const { aggregator, acquirer, issuer, platform } = offer.shares;
  const quote: BillQuote = {
    product,
    productName: offer.productName,
    customer,
    holder: said.holder,
    amount: toWire(said.amount),
    admin: toWire(admin),
    shares: {
      aggregator: toWire(aggregator),
      acquirer: toWire(acquirer),
      issuer: toWire(issuer),
      platform: toWire(platform),
    },
    total: toWire(total),
  };
  return { body: JSON.stringify({ quote }) };
}

interface Draft {
  readonly post: PostRequest;
  /** What this tap tells of other money of the card is posted first; null where there is nothing to wait for. */
  readonly healed: Promise<unknown> | null;
}

/** What both ways of paying know of the bill. */
function wanted(deps: BillDeps, outlet: Outlet | undefined, body: Pay) {
  const { registry } = deps;
  const offer = offerAt(deps, outlet, body.product);
  return {
    amount: rupiah(body.amount),
    admin: rupiah(body.admin),
    product: offer === null ? null : { biller: offer.billerId, shares: offer.shares },
    outlet: outlet ?? null,
    capOf: (id: CooperativeId) => capOf(registry, id),
  };
}

function draftAccount(deps: BillDeps, kiosk: Kiosk, hash: string, body: Extract<Pay, { from: 'account' }>): Draft {
  const { registry, vault } = deps;
  const at = deps.now();
  const card = registry.card(body.claim.uid as CardUid);
  const outlet = registry.outlet(kiosk.outlet);
  const verified = card === undefined ? NOTHING : verifyClaim(vault, card, { kiosk, seq: body.seq }, body.claim, at);
  const healed = card === undefined ? null : heal(deps, kiosk, card, body.claim, verified, at);
  const verdict = judgeAccountBill({
    ...wanted(deps, outlet, body),
    sale: {
      date: businessDate(at),
      kiosk: kiosk.no,
      card: card === undefined ? null : { ...card, active: card.status === 'active' },
      certificate: verified.facts,
      // Whatever they say: an unknown card is refused before.
      limits: card === undefined ? registered : registry.limitsOf(card.member),
      pinVerified: body.pinVerified === true,
      licenceOf: registry.licence,
    },
  });
  const amount = rupiah(body.amount) + rupiah(body.admin);
  const [issuer, acquirer] = [card?.issuer ?? null, outlet?.cooperative ?? null];
  const post: PostRequest = {
    key: keyOf(kiosk, body.seq),
    hash,
    at,
    verdict,
    slot: verified.slot,
    facts: { amount, card: card?.uid ?? null, issuer, acquirer, outlet: outlet?.id ?? null },
    evidence: verified.evidence,
  };
  return { post, healed };
}

function draftCash(deps: BillDeps, kiosk: Kiosk, hash: string, body: Extract<Pay, { from: 'cash' }>): Draft {
  const outlet = deps.registry.outlet(kiosk.outlet);
  const { teller, approver } = body;
  const verdict = judgeCashBill({
    ...wanted(deps, outlet, body),
    teller: staff(deps, teller),
    approver: staff(deps, approver),
  });
  const amount = rupiah(body.amount) + rupiah(body.admin);
  const cooperative = outlet?.cooperative ?? null;
  const post: PostRequest = {
    key: keyOf(kiosk, body.seq),
    hash,
    at: deps.now(),
    verdict,
    slot: null,
    facts: { amount, card: null, issuer: cooperative, acquirer: cooperative, outlet: outlet?.id ?? null },
    evidence: Buffer.from(JSON.stringify({ claimed: { teller, approver } })),
  };
  return { post, healed: null };
}

/** What is known under a key, without deciding anything. The hold first: it may end between the two questions. */
async function look({ ledger }: BillDeps, key: DecisionKey): Promise<HoldAnswer> {
  const slip = await ledger.openHold(key);
  if (slip !== null) return { kind: 'open', slip };
  const standing = await ledger.standing(key);
  if (standing === null) return { kind: 'absent' };
  return { kind: 'decided', receipt: standing.receipt, duplicate: true, voided: false };
}

/** Waits for the end of a bill, and no longer than patience. */
async function patient({ later }: BillDeps, ended: Promise<void>): Promise<void> {
  let callOff = () => {};
  const patience = new Promise<void>((resolve) => {
    callOff = later(resolve, PATIENCE_MS);
  });
  await Promise.race([ended, patience]);
  callOff();
}

/** Hold, release, and only then the biller (TRUTH section 6); what is there already is taken up where it stands. */
async function pay(deps: BillDeps, kiosk: Kiosk, { post, healed }: Draft, body: Pay): Promise<HoldAnswer> {
  const { ledger, settling } = deps;
  if (healed !== null) await healed;
  const held = await ledger.hold(post, post.at + BILL_HOLD_SECONDS * 1000);
  if (held.kind !== 'open') return held;
  const slip = JSON.parse(held.slip) as HoldSlip;
  const { product, customer, amount } = body;
  const order = { reference: referenceOf(kiosk, body.seq), product, customer, amount: rupiah(amount) };
  const offer = offerAt(deps, deps.registry.outlet(kiosk.outlet), product);
  // Sold no more: what is held expires, what is released is settled by what was kept at the release.
  if (offer === null) return held;
  const at = deps.now();
  const biller = offer.billerId;
  const released = await ledger.release(post.key, at, claimOf({ biller, order }));
  if (released.kind !== 'open') return released;
  // Of the release that stands, which may be an earlier one.
  const since = (JSON.parse(released.slip) as HoldSlip).released ?? at;
  const bill: ReleasedBill = { key: post.key, released: since, biller, order };
  await patient(deps, settling.pursue(bill, slip.state === 'held'));
  return look(deps, post.key);
}

/** What the biller said at the end of a bill; null where officers, the clock or a rule ended it. */
async function said({ ledger }: BillDeps, key: DecisionKey): Promise<BillerSaid | null> {
  const answer = await ledger.ending(key);
  if (answer === null) return null;
  const { serial, text } = JSON.parse(answer) as BillerSaid;
  return { serial, text };
}

async function reply(deps: BillDeps, kiosk: Kiosk, { ask, seq }: BillRequest, answer: HoldAnswer): Promise<Reply> {
  const { vault, alarms } = deps;
  const pair = `${kiosk.no}/${seq}`;
  if (answer.kind === 'body-differs') {
    alarms.echo('body-differs', kiosk.name, `bill ${pair} came with another body; nothing was moved`);
    return { refusal: 'body-differs', detail: `${pair} was asked with another body` };
  }
  if (answer.kind === 'absent') return { body: '{"unknown":true}' };
  if (answer.kind === 'open') {
    if (ask === 'cancel') return { refusal: 'hold-released', detail: `${pair} was released: the bill may be paid` };
    return { body: `{"hold":${answer.slip},"mac":"${vault.receiptMac(answer.slip)}"}` };
  }
  if (!answer.duplicate && answer.receipt.includes('"reason":"slot-taken"')) {
    alarms.echo('slot-taken', kiosk.name, `bill ${pair}: this tap was used before; nobody was paid`);
  }
  const sealed = sealReceipt(vault, answer.receipt);
  return { body: `${sealed.slice(0, -1)},"said":${JSON.stringify(await said(deps, keyOf(kiosk, seq)))}}` };
}

function step(deps: BillDeps, kiosk: Kiosk, hash: string, body: Exclude<BillRequest, Inquire>): Promise<HoldAnswer> {
  const key = keyOf(kiosk, body.seq);
  if (body.ask === 'resolve') return look(deps, key);
  if (body.ask === 'cancel') return deps.ledger.settle({ key, word: 'void', at: deps.now(), officers: null });
  const draft = body.from === 'account' ? draftAccount(deps, kiosk, hash, body) : draftCash(deps, kiosk, hash, body);
  return pay(deps, kiosk, draft, body);
}

export function makeBill(deps: BillDeps): Operation<'bill'> {
  return ({ kiosk, hash, body }) => {
    if (kiosk.role !== 'counter' && kiosk.role !== 'bills') {
      const detail = 'bills are paid at counters and kiosks for bills only';
      return Promise.resolve({ refusal: 'not-allowed', detail, alarm: 'role-foreign' });
    }
    if (body.kiosk !== kiosk.no) {
      const detail = `bill of kiosk number ${body.kiosk}`;
      return Promise.resolve({ refusal: 'not-yours', detail, alarm: 'pair-foreign' });
    }
    if (body.ask === 'inquire') return inquire(deps, kiosk, body);
    return step(deps, kiosk, hash, body).then((answer) => reply(deps, kiosk, body, answer));
  };
}
