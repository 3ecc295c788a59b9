/** Purchase, judged: from the facts of an account sale to a verdict (TRUTH sections 2, 3 and 7). */
import type { CardUid, CooperativeId, KioskNo, MemberId, OutletId } from '../../protocol/ids.ts';
import { FRESH_SECONDS, type NoPinLimits } from '../../protocol/limits.ts';
import type { Outcome } from '../../protocol/receipt.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import type { Guard, Verdict } from './entries.ts';
import { quote, type Tariff } from './tariffs.ts';

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
  /** The kiosk of the session. */
  readonly kiosk: KioskNo;
  readonly card: {
    readonly uid: CardUid;
    readonly issuer: CooperativeId;
    readonly member: MemberId;
    readonly active: boolean;
  } | null;
  readonly outlet: { readonly id: OutletId; readonly cooperative: CooperativeId; readonly open: boolean } | null;
  readonly certificate: CertificateFacts;
  readonly tariffs: readonly Tariff[];
  readonly limits: NoPinLimits;
  /** Net debit cap of the card's cooperative, in rupiah. */
  readonly netDebitCap: bigint;
}

interface Check {
  readonly refusal: Refusal;
  readonly outcome: Exclude<Outcome, 'approved'>;
  readonly fails: (facts: PurchaseFacts) => boolean;
}

const stale = (age: number | null) =>
  // A beacon from the future can only mean that the hub's own clock went back; it would keep a tap usable too long.
  age === null || age > FRESH_SECONDS || age < 0;

/**
 * Checks in the order in which the first failure is the answer. First who speaks (is the card known, is it really the
 * card), then what was said (does it fit this request), then when; only then whether this card, outlet and amount may
 * pay: an unproven tap learns nothing about a member, and a late one is `expired` for good whatever else holds.
 */
const checks: readonly Check[] = [
  { refusal: 'card-unknown', outcome: 'declined', fails: ({ card }) => card === null },
  { refusal: 'certificate-invalid', outcome: 'declined', fails: ({ certificate }) => !certificate.valid },
  {
    refusal: 'certificate-malformed',
    outcome: 'declined',
    fails: ({ certificate, amount }) =>
      !certificate.wellFormed || certificate.recordAmount !== amount || !certificate.sender || !certificate.proven,
  },
  { refusal: 'expired', outcome: 'expired', fails: ({ certificate }) => stale(certificate.beaconAgeSeconds) },
  { refusal: 'card-blocked', outcome: 'declined', fails: ({ card }) => card?.active !== true },
  { refusal: 'outlet-closed', outcome: 'declined', fails: ({ outlet }) => outlet?.open !== true },
  { refusal: 'tap-limit', outcome: 'declined', fails: ({ amount, limits }) => amount > limits.perTap },
];

/**
 * Judges an account sale. An approval still depends on its guards and on the bounds of the accounts, which the ledger
 * judges inside the post: funds, card status, pause, day and cap are known for certain only there.
 */
export function judgePurchase(facts: PurchaseFacts): Verdict {
  for (const { refusal, outcome, fails } of checks) if (fails(facts)) return { refuse: refusal, outcome };
  const { card, outlet, amount, date, limits } = facts;
  if (card === null || outlet === null) throw new Error('the checks let an unknown card or outlet through');
  const { issuer, member, uid } = card;
  const acquirer = outlet.cooperative;
  const { fee, shares } = quote(facts.tariffs, { kind: 'purchase', issuer, acquirer, amount, date });
  const guards: Guard[] = [
    { kind: 'card-active', card: uid },
    { kind: 'pause', card: uid, kiosk: facts.kiosk, seconds: limits.pauseSeconds },
    { kind: 'day', card: uid, amount, max: limits.perDay },
    { kind: 'cap', cooperative: issuer, max: facts.netDebitCap },
  ];
  const figures = { issuer, member, acquirer, outlet: outlet.id, amount, fee, shares };
  return { approve: { kind: 'purchase', figures }, guards };
}
