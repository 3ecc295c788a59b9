/** Reload: moves money from a member's account into the purse of the card on a kiosk's reader (TRUTH section 14). */
import { hash, timingSafeEqual } from 'node:crypto';
import { KEY_NO } from '../../cards/layout.ts';
import { buildRecord, buildTmri, type Deed, parseTmri, proof } from '../../cards/record.ts';
import { type CreditDone, credit } from '../../cards/reload.ts';
import { previousTmri, transactionKeys } from '../../cards/tmac.ts';
import { type CardUid, HUB_KIOSK_NO, type KioskNo } from '../../protocol/ids.ts';
import { registered } from '../../protocol/limits.ts';
import { rupiah } from '../../protocol/money.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import type { RelayEnd, ReloadAsked } from '../../protocol/relay.ts';
import { BEACON_SECONDS, minuteOfSlot } from '../../protocol/status.ts';
import { judgeReload } from '../rules/reload.ts';
import { type Posting, type PostRequest, RELEASE_ORIGIN, RELOAD_ORIGIN } from '../store/ledger.ts';
import type { Card, Kiosk, Registry } from '../store/registry.ts';
import type { Vault } from '../vault.ts';
import { bookDrains, type DrainsDeps, learnFrom } from './drains.ts';
import { endOf, type Proven } from './healing.ts';
import { awaited, type Begin, type Begun, begun } from './relay.ts';
import { type Asked, type Carried, carry, counterOf, packAsked, reloadCertificate } from './transit.ts';

export interface ReloadDeps extends DrainsDeps {
  readonly vault: Pick<Vault, 'keyring' | 'tmacKey' | 'unwrap' | 'beacon' | 'receiptMac'>;
  readonly registry: Registry;
  readonly random: (bytes: number) => Uint8Array;
}

const CHALLENGE_BYTES = 16;
const UNKNOWN: RelayEnd = { done: 'unknown' };

const bytes = (hex: string): Uint8Array => Buffer.from(hex, 'hex');

/** The deed of this reload as the kiosk must have marked it: its own witness key, the beacon that it names. */
function marksOf({ vault }: ReloadDeps, kiosk: Kiosk, { uid, seq, amount, slot }: ReloadAsked) {
  const witness = vault.unwrap(kiosk.witness);
  if (witness === null) throw new Error(`the witness key of kiosk ${kiosk.name} does not open`);
  const minute = minuteOfSlot(slot);
  const deed: Deed = { kind: 'reload', amount: rupiah(amount), kioskNo: kiosk.no, kioskSeq: seq, minute };
  const full = proof(witness, bytes(uid), deed, vault.beacon(slot));
  return { record: buildRecord(deed, full), tmri: buildTmri(deed, full) };
}

/** Whether EncTMRI opens, under the counter that the reload would get, to the reader id of a kiosk we know. */
function readerKnown({ vault, registry }: ReloadDeps, card: Card, { before, encTmri }: ReloadAsked): boolean {
  const key = vault.tmacKey(card.issuer, card.uid, card.tmacKeyVersion);
  if (key === null) return false;
  const keys = transactionKeys(key, bytes(card.uid), counterOf(bytes(before)) + 1);
  const reader = parseTmri(previousTmri(keys, bytes(encTmri)));
  if (reader === null) return false;
  return reader.kioskNo === HUB_KIOSK_NO || registry.kioskByNo(reader.kioskNo as KioskNo) !== undefined;
}

/** The beacon slot is checked before anything is built from it: far from now no record could name its minute. */
const ageOf = (slot: number, at: number) => at / 1000 - slot * BEACON_SECONDS;

/** What the ledger is asked for, and what the card is asked to certify if it agrees. */
function draft(deps: ReloadDeps, kiosk: Kiosk, start: ReloadAsked, at: number) {
  const { registry } = deps;
  const card = registry.card(start.uid as CardUid);
  const amount = rupiah(start.amount);
  const verdict = judgeReload({
    amount,
    card: card === undefined ? null : { ...card, active: card.status === 'active' },
    outletOpen: registry.outlet(kiosk.outlet)?.open === true,
    sameKeys: start.keyVersion === card?.keyVersion && start.tmacKeyVersion === card.tmacKeyVersion,
    readerKnown: card !== undefined && readerKnown(deps, card, start),
    tmc: counterOf(bytes(start.before)),
    beaconAgeSeconds: ageOf(start.slot, at),
    licenceOf: registry.licence,
    limits: card === undefined ? registered : registry.limitsOf(card.member),
  });
  const [before, records, encTmri] = [bytes(start.before), bytes(start.records), bytes(start.encTmri)];
  const asked: Asked | null =
    'approve' in verdict
      ? { keyVersion: start.tmacKeyVersion, before, records, encTmri, ...marksOf(deps, kiosk, start) }
      : null;
  const request: PostRequest = {
    key: { origin: RELEASE_ORIGIN + kiosk.no, seq: start.seq },
    // Over the start alone: it may come again in another conversation.
    hash: hash('sha256', JSON.stringify(start), 'hex').slice(0, 32),
    at,
    verdict,
    slot: null,
    facts: { amount, card: card?.uid ?? null, issuer: card?.issuer ?? null, acquirer: null, outlet: null },
    evidence: asked && packAsked(asked),
  };
  return { card, request, asked };
}

/** A decision as the end of the conversation. */
function told({ vault }: ReloadDeps, receipt: string, voided = false): RelayEnd {
  return { done: 'reload', receipt: JSON.parse(receipt) as Receipt, mac: vault.receiptMac(receipt), voided };
}

/** What became of a reload that was begun before: never again a batch for it. */
async function became(deps: ReloadDeps, kiosk: Kiosk, seq: number, release: string): Promise<RelayEnd> {
  const { outcome } = JSON.parse(release) as Receipt;
  if (outcome !== 'approved') return told(deps, release);
  const end = await deps.ledger.standing({ origin: RELOAD_ORIGIN + kiosk.no, seq });
  return end === null ? UNKNOWN : told(deps, end.receipt, end.kind === 'reload-void');
}

/** The card's answers are all there and proven: what is left to check is the certificate over all of it. */
async function finish(deps: ReloadDeps, kiosk: Kiosk, card: Card, reload: Carried, done: CreditDone) {
  const { vault, ledger, transit, alarms, now } = deps;
  const key = vault.tmacKey(card.issuer, card.uid, reload.keyVersion);
  if (key === null || !timingSafeEqual(reloadCertificate(key, reload, done.opening), done.tmv)) {
    const pair = `${kiosk.no}/${reload.key.seq}`;
    alarms.raise('reload-open', kiosk.name, `reload ${pair} of card ${card.uid} was done under another certificate`);
    return UNKNOWN;
  }
  const proven: Proven = { tmc: done.tmc, tmv: done.tmv, opening: done.opening };
  const posting = await ledger.post(endOf(reload, card.member, 'reload', proven, now()));
  if (posting.kind !== 'decided') throw new Error('the end of a reload has no body to differ');
  transit.end(reload);
  return told(deps, posting.receipt);
}

/** The batch that adds the money, once; whatever is not proven in the end stays on its way (TRUTH section 6). */
function adding(deps: ReloadDeps, kiosk: Kiosk, card: Card, reload: Carried, start: ReloadAsked): Begun {
  const key3 = deps.vault.keyring(card.issuer, card.uid)(KEY_NO.credit, card.keyVersion);
  if (key3 === null) throw new Error(`no key serves cards of ${card.issuer} at version ${card.keyVersion}`);
  const { before, record } = reload.asked;
  const script = credit({
    key3,
    rndA: deps.random(CHALLENGE_BYTES),
    start: { before, ti: bytes(start.ti), ctr: start.ctr, challenge: bytes(start.challenge) },
    amount: reload.amount,
    record,
  });
  return begun(script, async (result) => (result.ok ? finish(deps, kiosk, card, reload, result) : UNKNOWN));
}

/** The counter file that the kiosk has read may be the last to show a drain: this reload's own commit hides it. */
async function learn(deps: ReloadDeps, kiosk: Kiosk, { uid, before, tmacKeyVersion }: ReloadAsked): Promise<void> {
  const card = deps.registry.card(uid as CardUid);
  if (card === undefined || deps.registry.drainsOf(card.uid).length === 0) return;
  learnFrom(deps, card, { keyVersion: tmacKeyVersion, before: bytes(before) });
  await bookDrains(deps, kiosk.name, card);
}

function release(deps: ReloadDeps, kiosk: Kiosk, start: ReloadAsked) {
  const { ledger, transit, alarms, now } = deps;
  const { card, request, asked } = draft(deps, kiosk, start, now());
  const pair = `${kiosk.no}/${start.seq}`;
  return ledger.post(request).then(async (posting: Posting): Promise<Begun | RelayEnd> => {
    if (posting.kind === 'body-differs') {
      alarms.echo('body-differs', kiosk.name, `reload ${pair} came with another body; nothing was moved`);
      return UNKNOWN;
    }
    const approved = posting.receipt.includes('"outcome":"approved"');
    if (posting.duplicate || !approved) return became(deps, kiosk, start.seq, posting.receipt);
    if (card === undefined || asked === null) throw new Error(`reload ${pair} was approved without a card`);
    const { key, at, evidence } = request;
    const reload = carry(
      { key, card: card.uid, issuer: card.issuer, amount: request.facts.amount, at, evidence, filled: [] },
      asked,
    );
    // In memory before the batch leaves: the card's next tap may be the very next message.
    transit.put(reload);
    return adding(deps, kiosk, card, reload, start);
  });
}

/**
 * Begins a reload: the release is durable before the batch goes out, and the batch goes out once. A start that comes
 * again, in another conversation or after a restart, is answered by what became of the first.
 */
export function makeReload(deps: ReloadDeps): Begin<'reload'> {
  return (kiosk, start) => awaited(learn(deps, kiosk, start).then(() => release(deps, kiosk, start)));
}
