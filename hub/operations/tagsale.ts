/** Tag sale: a member pays with an NTAG 424, which proves itself to the hub through the kiosk (TRUTH section 14). */
import { createHash } from 'node:crypto';
import { proveTag, type TagProven } from '../../cards/tagpayment.ts';
import { businessDate } from '../../protocol/dates.ts';
import type { CardUid } from '../../protocol/ids.ts';
import { rupiah } from '../../protocol/money.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import type { RelayEnd, TagSale } from '../../protocol/relay.ts';
import type { Alarms } from '../alarms.ts';
import { judgeTagSale } from '../rules/purchase.ts';
import { packTagEvidence } from '../rules/tagevidence.ts';
import type { Ledger, PostRequest } from '../store/ledger.ts';
import type { Card, Kiosk, Registry } from '../store/registry.ts';
import type { Vault } from '../vault.ts';
import { capOf, classed } from './purchase.ts';
import { type Begin, type Begun, failed, type Refused } from './relay.ts';
import { rewardOf } from './reward.ts';

export interface TagSaleDeps {
  readonly vault: Pick<Vault, 'tagKeyring' | 'receiptMac'>;
  readonly ledger: Pick<Ledger, 'post' | 'standing'>;
  readonly registry: Registry;
  readonly alarms: Alarms;
  readonly random: (bytes: number) => Uint8Array;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}

/** One sale, as it was bound at the start of its conversation. */
interface Bound {
  readonly kiosk: Kiosk;
  readonly card: Card;
  readonly asked: TagSale;
  /** Names the request like the hash of a body: the challenge is another one at each tap, the sale is not. */
  readonly hash: string;
  /** Hub time of the start, milliseconds since 1970 UTC. */
  readonly startedAt: number;
}

const PAY = 1;
const REFUSED_MAX = 10_000;
const WRONG_KEY: RelayEnd = { done: null, failure: 'wrong-key', at: 'key 1' };

const hashOf = ({ deed, uid, seq, amount, passengers }: TagSale): string =>
  createHash('sha256').update(JSON.stringify({ deed, uid, seq, amount, passengers })).digest('hex').slice(0, 32);

/**
 * Versions of key 1 that a card refused at a kiosk. Each failed try brings a card closer to its lock, so none is tried
 * twice (CARDS section 3.9). Kept for each kiosk, so that one that lies harms only itself, and in memory only.
 */
function makeRefused() {
  const refused = new Map<string, Set<number>>();
  const name = ({ kiosk, card }: Pick<Bound, 'kiosk' | 'card'>) => `${kiosk.no} ${card.uid}`;
  return {
    has: (of: Pick<Bound, 'kiosk' | 'card'>, version: number) => refused.get(name(of))?.has(version) === true,
    add(of: Pick<Bound, 'kiosk' | 'card'>, version: number) {
      refused.set(name(of), (refused.get(name(of)) ?? new Set()).add(version));
      const [oldest] = refused.keys();
      if (refused.size > REFUSED_MAX && oldest !== undefined) refused.delete(oldest);
    },
  };
}

/** A decision as the end of a conversation. */
function decided(vault: TagSaleDeps['vault'], receipt: string): RelayEnd {
  return { done: 'tag-sale', receipt: JSON.parse(receipt) as Receipt, mac: vault.receiptMac(receipt) };
}

function differs({ alarms }: TagSaleDeps, { kiosk, asked }: Bound): Refused {
  const pair = `${kiosk.no}/${asked.seq}`;
  alarms.echo('body-differs', kiosk.name, `${pair}: the same request came with another body; nobody was paid`);
  return { refusal: 'body-differs', detail: `${pair} was decided for another body` };
}

function draft({ registry, now }: TagSaleDeps, bound: Bound, keyVersion: number, proven: TagProven): PostRequest {
  const { kiosk, asked, hash, startedAt } = bound;
  const at = now();
  const amount = rupiah(asked.amount);
  // As it is now: a card that was frozen while it lay on the reader does not pay.
  const card = registry.card(bound.card.uid) ?? bound.card;
  const outlet = registry.outlet(kiosk.outlet);
  const { uid, issuer, member, status } = card;
  const shown = registry.shownTariffs(kiosk.no, asked.seq);
  const verdict = judgeTagSale({
    date: businessDate(at),
    amount,
    passengers: asked.passengers,
    kiosk: kiosk.no,
    card: { uid, issuer, member, active: status === 'active' },
    outlet: outlet === undefined ? null : classed(outlet, shown),
    ageSeconds: (at - startedAt) / 1000,
    tariffs: shown?.tariffs ?? registry.tariffs(),
    licenceOf: registry.licence,
    limits: registry.limitsOf(member),
    pinVerified: false,
    ...capOf(registry, issuer),
    acquirerCap: capOf(registry, outlet?.cooperative).netDebitCap,
  });
  const key = { origin: kiosk.no, seq: asked.seq };
  return {
    key,
    hash,
    at,
    verdict,
    slot: null,
    facts: {
      amount,
      card: uid,
      issuer,
      acquirer: outlet?.cooperative ?? null,
      outlet: outlet?.id ?? null,
      passengers: asked.passengers,
    },
    evidence: packTagEvidence({ keyVersion, kiosk: kiosk.no, seq: asked.seq, amount, ...proven.transcript }),
    follows: rewardOf(registry, key, at, verdict, uid),
  };
}

/**
 * Sells with a tag. Nothing is decided before the card has proven key 1 over a challenge that was made for this
 * conversation, and the decision is for what was bound at its start. A sale that is decided already is answered with
 * its decision before the card is asked anything; should that come about meanwhile, the ledger answers with it.
 */
export function makeTagSale(deps: TagSaleDeps): Begin<'tag-sale'> {
  const { registry, vault, ledger, random, now } = deps;
  const refused = makeRefused();

  function versionsOf({ uid, keyVersion }: Card): number[] {
    const begun = registry.openChanges(uid).filter(({ no }) => no === PAY);
    return [...new Set([registry.chip(uid)?.keyVersion ?? keyVersion, ...begun.map(({ to }) => to)])];
  }

  async function end(bound: Bound, keyVersion: number, proven: TagProven): Promise<RelayEnd | Refused> {
    const posting = await ledger.post(draft(deps, bound, keyVersion, proven));
    return posting.kind === 'decided' ? decided(vault, posting.receipt) : differs(deps, bound);
  }

  function talk(bound: Bound): Begun {
    const { card, kiosk, asked } = bound;
    let script: ReturnType<typeof proveTag> | null = null;
    let keyVersion = 0;

    function go(responses: readonly Uint8Array[] | null): ReturnType<Begun['next']> {
      if (script === null) throw new Error('a tag sale went on before it had begun');
      const turn = responses === null ? script.next() : script.next(responses);
      if (!turn.done) return turn.value;
      if (turn.value.ok) return end(bound, keyVersion, turn.value);
      if (turn.value.reason === 'wrong-key') refused.add(bound, keyVersion);
      return Promise.resolve(failed(turn.value));
    }

    async function open(): Promise<readonly Uint8Array[] | RelayEnd | Refused> {
      const standing = await ledger.standing({ origin: kiosk.no, seq: asked.seq });
      if (standing !== null) {
        const { hash } = JSON.parse(standing.receipt) as Receipt;
        return hash === '' || hash === bound.hash ? decided(vault, standing.receipt) : differs(deps, bound);
      }
      const version = versionsOf(card).find((version) => !refused.has(bound, version));
      const key = version === undefined ? null : vault.tagKeyring(card.issuer, card.uid)(PAY, version);
      if (version === undefined || key === null) return WRONG_KEY;
      keyVersion = version;
      script = proveTag({ key, rndA: random(16), challenge: Buffer.from(asked.challenge, 'hex') });
      return go(null);
    }

    return { next: (responses) => (script === null ? open() : go(responses)) };
  }

  return (kiosk, asked) => {
    if (kiosk.role !== 'stall') {
      const detail = `kiosk ${kiosk.name} sells nothing`;
      return { refusal: 'not-allowed', detail, alarm: 'role-foreign' };
    }
    const uid = asked.uid as CardUid;
    const card = registry.card(uid);
    if (card === undefined || registry.chip(uid)?.profile !== 'ntag424') {
      return { refusal: 'card-unknown', detail: `no tag ${uid} is registered` };
    }
    // Its keys may still be the factory's.
    if (card.status === 'personalising') return { refusal: 'card-blocked', detail: `card ${uid} is ${card.status}` };
    return talk({ kiosk, card, asked, hash: hashOf(asked), startedAt: now() });
  };
}
