/** Purchase, judged: from the facts of an account sale to a verdict (TRUTH sections 2, 3 and 7). */
import type { CardUid, CooperativeId, KioskNo, MemberId } from '../../protocol/ids.ts';
import { FRESH_SECONDS, type LimitProfile, PAUSE_SECONDS } from '../../protocol/limits.ts';
import type { Outcome } from '../../protocol/receipt.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import { quoteTotal, type Tariff } from '../../protocol/tariffs.ts';
import { memberOf } from './accounts.ts';
import type { Guard, PurchaseFigures, Verdict } from './entries.ts';
import { isLicensed, type LicenceOf } from './licence.ts';
import { pinGuards } from './limits.ts';
import { type Earner, homesElsewhere, partsOf } from './payees.ts';

/** What the operation found out about the certificate; each part is true only if it was checked and held. */
export interface CertificateFacts {
  /** The card's MAC verifies over the command list under the card's key of the version named. */
  readonly valid: boolean;
  /** The command list is exactly the account list, and its record is of kind account. */
  readonly wellFormed: boolean;
  /** Amount in the card's record, in rupiah; null where no record could be read. */
  readonly recordAmount: bigint | null;
  /** Kiosk and seq of record, TMRI and request are the same, and the kiosk is the sender by TLS. */
  readonly sender: boolean;
  /**
   * Record and TMRI carry the proof that the sender's witness key makes for a beacon of the record's minute, or
   * for none.
   */
  readonly proven: boolean;
  /**
   * Seconds from the start of the proven beacon's ten seconds until now; null if the proof names no beacon of
   * this hub.
   */
  readonly beaconAgeSeconds: number | null;
}

export interface PurchaseFacts {
  /** Business date now, `YYYY-MM-DD` (Asia/Jakarta). */
  readonly date: string;
  /** As requested, in rupiah, above zero. */
  readonly amount: bigint;
  /** How many ride for it, each for the same fare; left out: one. */
  readonly passengers?: number | undefined;
  /** What the outlet asked, if the kiosk says so, in rupiah. */
  readonly price?: bigint | undefined;
  /** The kiosk of the session. */
  readonly kiosk: KioskNo;
  readonly card: {
    readonly uid: CardUid;
    readonly issuer: CooperativeId;
    readonly member: MemberId;
    readonly active: boolean;
  } | null;
  readonly outlet: (Earner & { readonly class: string; readonly open: boolean }) | null;
  readonly certificate: CertificateFacts;
  readonly tariffs: readonly Tariff[];
  /** The member's. */
  readonly limits: LimitProfile;
  /** The kiosk has verified the member's PIN for this sale. */
  readonly pinVerified: boolean;
  /** Net debit cap of the card's cooperative, in rupiah, and the sum at which its officers are warned. */
  readonly netDebitCap: bigint;
  readonly licenceOf: LicenceOf;
  readonly capAlert: bigint;
  /** Net debit cap of the outlet's, which owes where a payee lives elsewhere. */
  readonly acquirerCap?: bigint;
}

/** What any sale from an account is judged by once the card has proven itself. */
type SaleFacts = Omit<PurchaseFacts, 'certificate'>;

/** A sale with a tag that has proven its key to the hub (TRUTH section 14). */
export interface TagSaleFacts extends SaleFacts {
  /** Seconds from the start of the conversation until its proof. */
  readonly ageSeconds: number;
}

interface Check<Facts> {
  readonly refusal: Refusal;
  readonly outcome: Exclude<Outcome, 'approved'>;
  readonly fails: (facts: Facts) => boolean;
}

const stale = (age: number | null) =>
  // A beacon from the future can only mean that the hub's own clock went back; it would keep a tap usable too long.
  age === null || age > FRESH_SECONDS || age < 0;

const unknown: Check<SaleFacts> = {
  refusal: 'card-unknown',
  outcome: 'declined',
  fails: ({ card }) => card === null,
};

/** Whether the licences allow the sale, and what goes on from it to payees elsewhere. */
function licensed(card: { readonly issuer: CooperativeId }, outlet: Earner, licenceOf: LicenceOf): boolean {
  const { cooperative } = outlet;
  if (!isLicensed('purchase', licenceOf, card.issuer, cooperative)) return false;
  return (
    outlet.payees === undefined ||
    homesElsewhere(outlet).every((home) => isLicensed('payout', licenceOf, cooperative, home))
  );
}

/** Whether this card, outlet and amount may pay. */
const mayPay: readonly Check<SaleFacts>[] = [
  { refusal: 'card-blocked', outcome: 'declined', fails: ({ card }) => card?.active !== true },
  { refusal: 'outlet-closed', outcome: 'declined', fails: ({ outlet }) => outlet?.open !== true },
  {
    refusal: 'not-licensed',
    outcome: 'declined',
    fails: ({ card, outlet, licenceOf }) => card !== null && outlet !== null && !licensed(card, outlet, licenceOf),
  },
  { refusal: 'pay-limit', outcome: 'declined', fails: ({ amount, limits }) => amount > limits.perTap },
  {
    refusal: 'pin-needed',
    outcome: 'declined',
    fails: ({ amount, limits, pinVerified }) => amount > limits.pinAbove && !pinVerified,
  },
];

/**
 * Checks in the order in which the first failure is the answer. First who speaks (is the card known, is it really the
 * card), then what was said (does it fit this request), then when; only then whether this card, outlet and amount may
 * pay: an unproven tap learns nothing about a member, and a late one is `expired` for good whatever else holds.
 */
const checks: readonly Check<PurchaseFacts>[] = [
  unknown,
  { refusal: 'certificate-invalid', outcome: 'declined', fails: ({ certificate }) => !certificate.valid },
  {
    refusal: 'certificate-malformed',
    outcome: 'declined',
    fails: ({ certificate, amount }) =>
      !certificate.wellFormed || certificate.recordAmount !== amount || !certificate.sender || !certificate.proven,
  },
  { refusal: 'expired', outcome: 'expired', fails: ({ certificate }) => stale(certificate.beaconAgeSeconds) },
  ...mayPay,
];

const tagChecks: readonly Check<TagSaleFacts>[] = [
  unknown,
  { refusal: 'expired', outcome: 'expired', fails: ({ ageSeconds }) => stale(ageSeconds) },
  ...mayPay,
];

/**
 * Judges an account sale. An approval still depends on its guards and on the bounds of the accounts, which the ledger
 * judges inside the post: funds, card status, pause, limits and cap are known for certain only there.
 */
export function judgePurchase(facts: PurchaseFacts): Verdict {
  return refusalOf(checks, facts) ?? approval(facts, {});
}

/** Judges a sale with a tag by the same limits, tariffs and guards, once its key is proven and not before. */
export function judgeTagSale(facts: TagSaleFacts): Verdict {
  return refusalOf(tagChecks, facts) ?? approval(facts, { authority: 'hub-relayed-session' });
}

function refusalOf<Facts>(checks: readonly Check<Facts>[], facts: Facts): Verdict | null {
  for (const { refusal, outcome, fails } of checks) if (fails(facts)) return { refuse: refusal, outcome };
  return null;
}

function approval(facts: SaleFacts, by: Pick<PurchaseFigures, 'authority'>): Verdict {
  const { card, outlet, amount, date, limits } = facts;
  if (card === null || outlet === null) throw new Error('the checks let an unknown card or outlet through');
  const { issuer, member, uid } = card;
  const acquirer = outlet.cooperative;
  const priced = { kind: 'purchase', issuer, acquirer, class: outlet.class, amount, date } as const;
  const quote = quoteTotal(facts.tariffs, priced, facts.price);
  // Charged by another tariff than the member was shown, the outlet would be paid another price than it asked.
  if (quote === null) return { refuse: 'tariff-differs', outcome: 'declined' };
  const { fee, shares } = quote;
  const price = quote.direction === 'member' ? amount - fee : amount;
  if (price % BigInt(facts.passengers ?? 1) !== 0n) return { refuse: 'fare-uneven', outcome: 'declined' };
  const guards: Guard[] = [
    { kind: 'card-active', card: uid },
    { kind: 'pause', card: uid, kiosk: facts.kiosk, seconds: PAUSE_SECONDS },
    ...pinGuards(uid, amount, limits, facts.pinVerified),
    { kind: 'spend', account: memberOf(issuer, member), amount, day: limits.perDay, month: limits.perMonth },
    { kind: 'cap', cooperative: issuer, max: facts.netDebitCap, alert: facts.capAlert },
  ];
  const figures = { issuer, member, acquirer, outlet: outlet.id, amount, fee, shares, ...by };
  const to = partsOf(outlet, amount - fee);
  if (to === undefined) return { approve: { kind: 'purchase', figures }, guards };
  // It owes a payee's cooperative at once what it is owed by the card's.
  const passesOn = issuer !== acquirer && to.some(({ account }) => account.cooperative !== acquirer);
  if (passesOn) guards.push({ kind: 'cap', cooperative: acquirer, max: facts.acquirerCap ?? 0n });
  return { approve: { kind: 'purchase', figures: { ...figures, to } }, guards };
}
