/** Purchase: gathers the facts of an account sale, has them judged, writes the decision, answers the receipt. */

import { businessDate } from '../../protocol/dates.ts';
import type { CardUid, CooperativeId, OutletId } from '../../protocol/ids.ts';
import { CAP_ALERT, KEYPAD_ROLES, registered } from '../../protocol/limits.ts';
import { rupiah } from '../../protocol/money.ts';
import type { PurchaseRequest } from '../../protocol/purchase.ts';
import type { Operation, Reply, Request } from '../mqtt/router.ts';
import { alertOf } from '../rules/limits.ts';
import { judgePurchase } from '../rules/purchase.ts';
import type { Posting, PostRequest } from '../store/ledger.ts';
import type { Card, Kiosk, Outlet, Registry } from '../store/registry.ts';
import type { Shown } from '../store/tariffbooks.ts';
import type { Vault } from '../vault.ts';
import { NOTHING, verifyClaim } from './certificate.ts';
import type { DrainsDeps } from './drains.ts';
import { rewardOf } from './reward.ts';
import { heal } from './taps.ts';

export interface PurchaseDeps extends DrainsDeps {
  readonly vault: Vault;
  readonly registry: Registry;
}

/** Wraps a stored receipt with its MAC, the receipt's text to the byte as it is stored. */
export function sealReceipt(vault: Pick<Vault, 'receiptMac'>, receipt: string): string {
  return `{"receipt":${receipt},"mac":"${vault.receiptMac(receipt)}"}`;
}

/** The net debit cap of a cooperative, and the sum at which its officers are warned; nothing of one that is unknown. */
export function capOf(registry: Pick<Registry, 'cooperative'>, id: CooperativeId | undefined) {
  const { netDebitCap, capAlert = CAP_ALERT } = (id && registry.cooperative(id)) || { netDebitCap: 0n };
  return { netDebitCap, capAlert: alertOf(netDebitCap, capAlert) };
}

interface Draft {
  readonly post: PostRequest;
  /** What this tap tells of other money of the card is posted first; null where there is nothing to wait for. */
  readonly healed: Promise<unknown> | null;
}

/** The outlet as the kiosk knew it: its class makes the price too. */
export function classed(outlet: Outlet, shown: Shown | null): Outlet {
  return shown === null || shown.class === outlet.class ? outlet : { ...outlet, class: shown.class };
}

/** The member may have seen another fee than is charged: what the kiosk acknowledged counts, not what it names. */
function tellOther(
  { alarms }: PurchaseDeps,
  kiosk: Kiosk,
  { seq, tariff }: PurchaseRequest,
  shown: Shown | null,
): void {
  const priced = shown === null ? 'what is in force' : `book ${shown.book}, which it acknowledged`;
  alarms.raise('tariff-other', kiosk.name, `${kiosk.no}/${seq} named tariff book ${tariff}; priced by ${priced}`);
}

/** Builds the post of a request: everything known outside the ledger's commit. */
function draft(deps: PurchaseDeps, request: Request<'purchase'>): Draft {
  const { registry, vault } = deps;
  const { kiosk, hash } = request;
  const body: PurchaseRequest = request.body;
  const at = deps.now();
  const card: Card | undefined = registry.card(body.claim.uid as CardUid);
  const outlet = registry.outlet(kiosk.outlet);
  const verified = card === undefined ? NOTHING : verifyClaim(vault, card, { kiosk, seq: body.seq }, body.claim, at);
  const healed = card === undefined ? null : heal(deps, kiosk, card, body.claim, verified, at);
  const amount = rupiah(body.amount);
  const shown = registry.shownTariffs(kiosk.no, body.seq);
  if (body.tariff !== undefined && body.tariff !== shown?.book) tellOther(deps, kiosk, body, shown);
  const verdict = judgePurchase({
    date: businessDate(at),
    amount,
    passengers: body.passengers,
    price: body.price === undefined ? undefined : rupiah(body.price),
    kiosk: kiosk.no,
    card:
      card === undefined
        ? null
        : { uid: card.uid, issuer: card.issuer, member: card.member, active: card.status === 'active' },
    outlet: outlet === undefined ? null : classed(outlet, shown),
    certificate: verified.facts,
    tariffs: shown?.tariffs ?? registry.tariffs(),
    licenceOf: registry.licence,
    // Whatever they say: an unknown card is refused before.
    limits: card === undefined ? registered : registry.limitsOf(card.member),
    pinVerified: body.pinVerified === true,
    ...capOf(registry, card?.issuer),
    acquirerCap: capOf(registry, outlet?.cooperative).netDebitCap,
  });
  const acquirer: CooperativeId | null = outlet?.cooperative ?? null;
  const outletId: OutletId | null = outlet?.id ?? null;
  const key = { origin: kiosk.no, seq: body.seq };
  const { passengers } = body;
  const post: PostRequest = {
    key,
    hash,
    at,
    verdict,
    slot: verified.slot,
    facts: { amount, card: card?.uid ?? null, issuer: card?.issuer ?? null, acquirer, outlet: outletId, passengers },
    evidence: verified.evidence,
    follows: rewardOf(registry, key, at, verdict, card?.uid ?? null),
  };
  return { post, healed };
}

function reply(deps: PurchaseDeps, kiosk: Kiosk, seq: number, posting: Posting): Reply {
  const pair = `${kiosk.no}/${seq}`;
  if (posting.kind === 'body-differs') {
    deps.alarms.echo('body-differs', kiosk.name, `${pair}: the same request came with another body; nobody was paid`);
    return { refusal: 'body-differs', detail: `${pair} was decided for another body` };
  }
  if (!posting.duplicate && posting.receipt.includes('"reason":"slot-taken"')) {
    deps.alarms.echo('slot-taken', kiosk.name, `${pair}: this tap was used before; nobody was paid`);
  }
  return { body: sealReceipt(deps.vault, posting.receipt) };
}

export function makePurchase(deps: PurchaseDeps): Operation<'purchase'> {
  // Not async: that would keep the whole request in memory until its commit.
  return (request) => {
    const { kiosk } = request;
    const { kiosk: no, seq, pinVerified } = request.body;
    if (no !== kiosk.no) {
      const detail = `request of kiosk number ${no}`;
      return Promise.resolve({ refusal: 'not-yours', detail, alarm: 'pair-foreign' });
    }
    if (pinVerified === true && !KEYPAD_ROLES.includes(kiosk.role)) {
      const detail = `kiosk ${kiosk.name} has no keypad, and so verified no PIN`;
      return Promise.resolve({ refusal: 'not-allowed', detail, alarm: 'role-foreign' });
    }
    const { post, healed } = draft(deps, request);
    const posted = healed === null ? deps.ledger.post(post) : healed.then(() => deps.ledger.post(post));
    return posted.then((posting) => reply(deps, kiosk, seq, posting));
  };
}
