/** Verifications a second: genuine certificates of many cards, beside AES over the same blocks and nothing else. */
import { createCipheriv, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { coveredCommands, account as playAccount, purchaseFromPurse } from '../../../cards/payment.ts';
import { buildRecord, buildTmri, type Deed, proof } from '../../../cards/record.ts';
import { play } from '../../../cards/script.ts';
import { tmv, transactionInput, transactionKeys } from '../../../cards/tmac.ts';
import { verifyClaim } from '../../../hub/operations/certificate.ts';
import type { Card as HubCard, Kiosk } from '../../../hub/store/registry.ts';
import { createVault, openVault, type Vault } from '../../../hub/vault.ts';
import type { Claim } from '../../../protocol/claim.ts';
import type { CooperativeId, KioskName, KioskNo, MemberId, OutletId } from '../../../protocol/ids.ts';
import { BEACON_SECONDS, minuteOfSlot } from '../../../protocol/status.ts';
import type { Card } from '../card.ts';
import { field } from '../field.ts';
import { readyCard } from '../ready.ts';
import { uidOf } from './members.ts';
import { median } from './runs.ts';

export interface VerifyPlan {
  /** Cards with one account sale and one purse sale each. */
  readonly cards: number;
  /** How often each case takes its turn; a turn is all cards `PASSES` times. */
  readonly rounds: number;
}

/**
 * `derived` is `verifyClaim` of account sales by a vault that was just opened: each card's key is derived from the
 * master; `kept` the same once the vault remembers the keys; `purse` the session keys and certificate of a purse sale's
 * list, the card's key at hand; `raw` five AES-CMACs worth of AES: the four behind a claim and one block more.
 */
type VerifyCase = 'derived' | 'kept' | 'purse' | 'raw';

/** The medians of all rounds. */
export interface VerifyRate {
  readonly perSecond: number;
  /** To `raw` of the same round, so that what the machine does beside them falls on both. */
  readonly ratio: number;
}

export type VerifyRates = Readonly<Record<VerifyCase, VerifyRate>>;

const ISSUER = 'pasar' as CooperativeId;
const KIOSK_NO = 9 as KioskNo;
const SEQ = 1;
const AMOUNT = 25_000n;
const PURSE = { value: 100_000, ceiling: 200_000 };
/** The cheapest derivation a vault may have: it is opened every turn. */
const VAULT_COST = 2 ** 10;
const BLOCK = 16;
/** Long enough that a turn clears up most of what it leaves behind itself. */
const PASSES = 4;

interface Sale {
  readonly card: HubCard;
  readonly claim: Claim;
  readonly purse: Claim;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

interface Site {
  readonly vault: Vault;
  readonly witness: Uint8Array;
  /** Milliseconds since 1970 UTC of all sales. */
  readonly at: number;
}

/** Has a card certify one sale, through scripts and secure messaging as at a kiosk. */
async function sell({ vault, witness, at }: Site, card: Card, kind: 'account' | 'purse'): Promise<Claim> {
  const { uid } = card.memory;
  const slot = Math.floor(at / 1000 / BEACON_SECONDS);
  const deed: Deed = { kind, amount: AMOUNT, kioskNo: KIOSK_NO, kioskSeq: SEQ, minute: minuteOfSlot(slot) };
  const signed = proof(witness, uid, deed, vault.beacon(slot));
  const marks = { record: buildRecord(deed, signed), tmri: buildTmri(deed, signed) };
  const key1 = card.memory.keys[1]?.key ?? new Uint8Array();
  const order = { key1, rndA: randomBytes(BLOCK), ...marks, journal: () => undefined };
  const reader = field(card);
  reader.insert();
  const script = kind === 'account' ? playAccount(order) : purchaseFromPurse({ ...order, amount: AMOUNT });
  const done = await play(script, reader.transmit);
  reader.remove();
  if (!done.ok) throw new Error(`a card did not certify a sale: ${done.reason} at ${done.at}`);
  const commands = coveredCommands(marks, done, kind === 'purse' ? AMOUNT : 0n);
  return { uid: hex(uid), keyVersion: 1, tmc: done.tmc, tmv: hex(done.tmv), commands, before: hex(done.before) };
}

async function makeSale(site: Site, index: number): Promise<Sale> {
  const uid = uidOf(index);
  const keys = site.vault.cardKeys(ISSUER, uid, { keyVersion: 1, tmacKeyVersion: 1 });
  if (keys === null) throw new Error(`no keys for cards of ${ISSUER}`);
  const card = readyCard({
    uid: Buffer.from(uid, 'hex'),
    keys: { ...keys, k2: randomBytes(BLOCK), k4: randomBytes(BLOCK) },
    personaliser: { witnessKey: site.witness, kioskNo: 1, kioskSeq: 1 },
    purse: PURSE,
    random: randomBytes,
  });
  const of = { issuer: ISSUER, member: `m-${index}` as MemberId, keyVersion: 1, tmacKeyVersion: 1 };
  return {
    card: { uid, number: String(index), ...of, status: 'active', made: null },
    claim: await sell(site, card, 'account'),
    purse: await sell(site, card, 'purse'),
  };
}

/** Seconds that all sales take once. @throws if any claim is found false */
function pass(sales: readonly Sale[], holds: (sale: Sale) => boolean): number {
  const from = performance.now();
  let held = 0;
  for (const sale of sales) if (holds(sale)) held += 1;
  const seconds = (performance.now() - from) / 1000;
  if (held !== sales.length) throw new Error(`${sales.length - held} genuine certificates were found false`);
  return seconds;
}

/** AES-CBC over a CMAC's blocks and the zero block that its subkeys come from, with the key made anew. */
function rawCmac(key: Uint8Array, blocks: Uint8Array): boolean {
  return createCipheriv('aes-128-cbc', key, blocks.subarray(0, BLOCK)).update(blocks).length === blocks.length;
}

/** Blocks of the diversified key, both session keys, the certificate, and one block. */
function rawBlocks(claim: Claim): Uint8Array[] {
  const lengths = [2 * BLOCK, BLOCK, BLOCK, transactionInput(claim.commands).length, BLOCK];
  return lengths.map((length) => randomBytes(BLOCK + length));
}

function opened(path: string, secret: Uint8Array): Vault {
  const answer = openVault({ random: randomBytes }, path, secret);
  if (!answer.ok) throw new Error(answer.error);
  return answer.vault;
}

/** Makes the cards, has them tapped, and verifies in turns. @param directory of the run, for the vault */
export async function measureVerify(directory: string, plan: VerifyPlan): Promise<VerifyRates> {
  const path = join(directory, 'verify-vault');
  const secret = randomBytes(32);
  await createVault({ random: randomBytes }, path, secret, [ISSUER], VAULT_COST);
  const site: Site = { vault: opened(path, secret), witness: randomBytes(32), at: Date.now() };
  const sales: Sale[] = [];
  for (let index = 0; index < plan.cards; index += 1) sales.push(await makeSale(site, index));
  const [first] = sales;
  if (first === undefined) throw new Error('a verification needs cards');

  const kiosk: Kiosk = {
    no: KIOSK_NO,
    name: 'bench-1' as KioskName,
    outlet: 'stall-1' as OutletId,
    serial: '01',
    role: 'stall',
    offline: false,
    sealingKey: site.vault.sealingKey,
    witness: site.vault.wrap(site.witness),
    revoked: false,
  };
  const sender = { kiosk, seq: SEQ };
  const account =
    (by: Vault) =>
    ({ card, claim }: Sale) =>
      verifyClaim(by, card, sender, claim, site.at).facts.proven;
  const blocks = rawBlocks(first.claim);
  const rawKey = randomBytes(BLOCK);
  const purseKeys = new Map(sales.map(({ card }) => [card.uid, site.vault.tmacKey(ISSUER, card.uid, 1)]));
  const purse = ({ card, purse: claim }: Sale) => {
    const keys = transactionKeys(purseKeys.get(card.uid) ?? new Uint8Array(), Buffer.from(card.uid, 'hex'), claim.tmc);
    return hex(tmv(keys, transactionInput(claim.commands))) === claim.tmv;
  };

  return inTurns(
    {
      derived: () => pass(sales, account(opened(path, secret))),
      kept: () => pass(sales, account(site.vault)),
      purse: () => pass(sales, purse),
      raw: () => pass(sales, () => blocks.every((one) => rawCmac(rawKey, one))),
    },
    plan,
  );
}

/** Node's own collector: no case is to clear up behind another. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

function inTurns(passes: Readonly<Record<VerifyCase, () => number>>, plan: VerifyPlan): VerifyRates {
  const collect = collector();
  const rate = (pass: () => number) => {
    collect();
    let seconds = 0;
    for (let at = 0; at < PASSES; at += 1) seconds += pass();
    return (PASSES * plan.cards) / seconds;
  };
  const rounds: Record<VerifyCase, number>[] = [];
  // The first round warms the machine and is not counted.
  for (let round = 0; round <= plan.rounds; round += 1) {
    const { derived, kept, purse, raw } = passes;
    const rates = { derived: rate(derived), kept: rate(kept), purse: rate(purse), raw: rate(raw) };
    if (round > 0) rounds.push(rates);
  }
  const of = (name: VerifyCase): VerifyRate => ({
    perSecond: median(rounds.map((rates) => rates[name])),
    ratio: median(rounds.map((rates) => rates[name] / rates.raw)),
  });
  return { derived: of('derived'), kept: of('kept'), purse: of('purse'), raw: of('raw') };
}
