/** Drains: each is proven by its certificate, now or when the card is seen again, and what it took is booked once. */
import { timingSafeEqual } from 'node:crypto';
import { coveredCommands } from '../../cards/payment.ts';
import { tmv, transactionInput, transactionKeys } from '../../cards/tmac.ts';
import { HUB_KIOSK_NO } from '../../protocol/ids.ts';
import { spellRupiah } from '../../protocol/money.ts';
import { purseOf } from '../rules/accounts.ts';
import { isVoid } from '../rules/drain.ts';
import { isLive } from '../rules/lifecycle.ts';
import type { Drain } from '../store/drains.ts';
import type { Ledger, PostRequest } from '../store/ledger.ts';
import type { Card, Registry } from '../store/registry.ts';
import { type HealingDeps, healReload, type Seen } from './healing.ts';
import { counterOf, unpackAsked } from './transit.ts';

export interface DrainsDeps extends HealingDeps {
  readonly registry: Pick<Registry, 'drainsOf' | 'judgeDrains' | 'bookDrain'>;
  readonly ledger: Pick<Ledger, 'post' | 'balances' | 'standing'>;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}

/** The transaction of a drain in the slot after TMC₀, as its card sees it. */
function seenIn({ evidence, amount, at }: Drain): Seen & { readonly record: Uint8Array } {
  const { keyVersion, before, records, record } = unpackAsked(evidence);
  return { keyVersion, tmc: counterOf(before) + 1, before, records, record, opening: amount, since: at };
}

/**
 * The certificate that a card gives for a drain, 8 bytes; null if no master serves its issuer.
 * @param drain all of it but what became of it
 */
export function drainCertificate(
  { vault }: Pick<DrainsDeps, 'vault'>,
  { issuer, uid }: Pick<Card, 'issuer' | 'uid'>,
  { amount, evidence }: Pick<Drain, 'amount' | 'evidence'>,
): Uint8Array | null {
  const asked = unpackAsked(evidence);
  const key = vault.tmacKey(issuer, uid, asked.keyVersion);
  if (key === null) return null;
  const keys = transactionKeys(key, Buffer.from(uid, 'hex'), counterOf(asked.before) + 1);
  return tmv(keys, transactionInput(coveredCommands(asked, { ...asked, opening: amount }, amount)));
}

/** Whether a counter file holds exactly what this drain would have left there: proof, whoever read it (TRUTH 2 c). */
function isShown(
  deps: DrainsDeps,
  card: Card,
  drain: Drain,
  { keyVersion, before }: Pick<Seen, 'keyVersion' | 'before'>,
) {
  const { tmc, keyVersion: of } = seenIn(drain);
  if (of !== keyVersion || counterOf(before) !== tmc) return false;
  const certificate = drainCertificate(deps, card, drain);
  return certificate !== null && timingSafeEqual(certificate, before.subarray(4));
}

const isOpen = ({ state }: Drain) => state === 'open';
const seqsOf = (drains: readonly Drain[]) => drains.map(({ seq }) => seq);

/** Notes as proven what the counter file shows of the card's drains, before its next transaction hides it. */
export function learnFrom(deps: DrainsDeps, card: Card, counter: Pick<Seen, 'keyVersion' | 'before'>): void {
  const shown = deps.registry
    .drainsOf(card.uid)
    .filter((drain) => isOpen(drain) && isShown(deps, card, drain, counter));
  if (shown.length > 0) deps.registry.judgeDrains(card.uid, { proven: seqsOf(shown), void: [] });
}

/**
 * Notes what a certified transaction of the card tells of its drains.
 * @param own seq of the drain that it is itself; null for another's
 */
export function learnAll(deps: DrainsDeps, where: string, card: Card, seen: Seen, own: number | null): void {
  const open = deps.registry.drainsOf(card.uid).filter(isOpen);
  const proven = open.filter((drain) => drain.seq === own || isShown(deps, card, drain, seen));
  const shown = Buffer.from(seen.records);
  const voided = open.filter((drain) => {
    const { keyVersion, tmc, record } = seenIn(drain);
    const holdsRecord = [0, 16, 32, 48].some((at) => shown.subarray(at, at + 16).equals(record));
    return !proven.includes(drain) && isVoid({ keyVersion, tmc: tmc - 1 }, { ...seen, holdsRecord });
  });
  deps.registry.judgeDrains(card.uid, { proven: seqsOf(proven), void: seqsOf(voided) });
  for (const { seq, amount } of deps.registry.drainsOf(card.uid).filter(isOpen)) {
    const what = `drain ${HUB_KIOSK_NO}/${seq} of card ${card.uid} over ${spellRupiah(amount)}`;
    deps.alarms.raise('drain-open', where, `${what} stays open: its tap at counter ${seen.tmc} does not tell`);
  }
}

function postOf({ seq, amount, evidence }: Drain, { uid, issuer, member }: Card, seen: Seen, at: number): PostRequest {
  return {
    key: { origin: HUB_KIOSK_NO, seq },
    hash: '',
    at,
    // An entry needs legs; that the purse was empty fills the slot all the same.
    verdict:
      amount === 0n
        ? { refuse: 'purse-empty', outcome: 'declined' }
        : { approve: { kind: 'drain', figures: { issuer, member, card: uid, amount } }, guards: [] },
    slot: { card: uid, keyVersion: seen.keyVersion, tmc: seen.tmc },
    facts: { amount, card: uid, issuer, acquirer: null, outlet: null },
    evidence,
  };
}

/** Why a proven drain cannot be booked now, in words; null once the ledger has it. */
async function book(deps: DrainsDeps, where: string, card: Card, drain: Drain): Promise<string | null> {
  const { ledger, now } = deps;
  const { seq, amount } = drain;
  const key = { origin: HUB_KIOSK_NO, seq };
  const known = await ledger.standing(key);
  let approved = known?.kind === 'drain';
  if (known === null) {
    const seen = seenIn(drain);
    // The reload that filled the purse first: the drain takes its money out again.
    await healReload(deps, where, card, seen, now());
    const [purse = 0n] = await ledger.balances([purseOf(card.issuer, card.uid)]);
    // A decision never changes: rather none than one that says no to what the card has certified.
    if (purse < amount) return `its purse in the books holds ${spellRupiah(purse)}`;
    const posting = await ledger.post(postOf(drain, card, seen, now()));
    approved = posting.kind === 'decided' && posting.receipt.includes('"outcome":"approved"');
  }
  return approved || amount === 0n ? null : 'the ledger declined it';
}

export interface Booked {
  /** Rupiah that came back to the account now. */
  readonly amount: bigint;
  /** Whether every proven drain of the card is booked. */
  readonly whole: boolean;
}

/** Books the card's proven drains, oldest first; what the books do not cover stays as it is, with an alarm. */
export async function bookDrains(deps: DrainsDeps, where: string, card: Card): Promise<Booked> {
  let amount = 0n;
  for (const drain of deps.registry.drainsOf(card.uid)) {
    if (drain.state !== 'proven') continue;
    const why = await book(deps, where, card, drain);
    if (why !== null) {
      const what = `drain ${HUB_KIOSK_NO}/${drain.seq} of card ${card.uid} over ${spellRupiah(drain.amount)}`;
      deps.alarms.raise('drain-open', where, `${what} is not booked: ${why}; the money is the member's`);
      return { amount, whole: false };
    }
    deps.registry.bookDrain(card.uid, drain.seq, !isLive(card.status));
    amount += drain.amount;
  }
  return { amount, whole: true };
}
