/** A desk without wires: cards made, loaded, sold to, frozen and ended by the hub's own operations in this process. */
import { createHash, randomBytes } from 'node:crypto';
import { coveredCommands, account as saleFromAccount } from '../../cards/payment.ts';
import { buildRecord, buildTmri, type Deed, proof } from '../../cards/record.ts';
import { startReload } from '../../cards/reload.ts';
import { play } from '../../cards/script.ts';
import { makeCardKey } from '../../hub/operations/cardkey.ts';
import { makePurchase } from '../../hub/operations/purchase.ts';
import { makeRelay } from '../../hub/operations/relay.ts';
import { makeReload } from '../../hub/operations/reload.ts';
import { makeService } from '../../hub/operations/service.ts';
import { openTransit } from '../../hub/operations/transit.ts';
import type { CardStatus } from '../../hub/rules/lifecycle.ts';
import type { Hub } from '../../hub/serve.ts';
import type { Kiosk, Card as Known } from '../../hub/store/registry.ts';
import { tellCards } from '../../hub/tellcards.ts';
import type { PurchaseRequest } from '../../protocol/purchase.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import { BEACON_SECONDS, minuteOfSlot } from '../../protocol/status.ts';
import type { Card } from './card.ts';
import { hexUid, newChip, noTagSale, orderCard, prepareChip, relayed } from './cardstock.ts';
import { field, type Trouble } from './field.ts';
import { TAG_ADDRESS } from './tags.ts';
import { enrolKiosk, identityOf, makePlace, removePlace, startPlace } from './town.ts';

type End = Awaited<ReturnType<typeof relayed>>;
type Transmit = (apdu: Uint8Array) => Promise<Uint8Array>;

/** Beyond the pause between two sales, and the age of a beacon. */
const LATER_MS = 70_000;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** The hub's operations over its files, as a hub that has just started has them. */
async function operate(hub: Hub, now: () => number, alarms: string[]) {
  const versions = { newest: hub.vault.versions().keyVersion };
  const vault = { ...hub.vault, versions: () => ({ ...hub.vault.versions(), keyVersion: versions.newest }) };
  const raise = (kind: string) => void alarms.push(kind);
  const transit = await openTransit(hub.ledger);
  const parts = {
    ...hub,
    vault,
    transit,
    alarms: { raise, echo: raise },
    random: randomBytes,
    now,
    tagAddress: TAG_ADDRESS,
  };
  return {
    versions,
    relay: makeRelay({ service: makeService(parts), reload: makeReload(parts), 'tag-sale': noTagSale }),
    purchase: makePurchase(parts),
    cardKey: makeCardKey(parts),
  };
}

export type Desk = Awaited<ReturnType<typeof openDesk>>;

/** Opens a town with one issuing kiosk and one stall. Alarms are gathered by kind. */
export async function openDesk() {
  const place = await makePlace();
  let shift = 0;
  const now = () => Date.now() + shift;
  const alarms: string[] = [];
  let hub = await startPlace(place, { now });
  const identity = identityOf(await enrolKiosk(place, hub, 'lapak-1', 'stall-12'));
  const stall = hub.registry.kioskByNo(identity.kiosk) as Kiosk;
  const issuing: Kiosk = { ...stall, role: 'issuing' };
  let ops = await operate(hub, now, alarms);
  let seq = 0;

  const known = (card: Card): Known => {
    const found = hub.registry.card(hexUid(card));
    if (found === undefined) throw new Error('no such card');
    return found;
  };

  /** Record, reader id and proof of a deed at the stall, under a beacon of now. */
  function marks(card: Card, kind: Deed['kind'], amount: bigint) {
    seq += 1;
    const slot = Math.floor(now() / 1000 / BEACON_SECONDS);
    const deed: Deed = { kind, amount, kioskNo: stall.no, kioskSeq: seq, minute: minuteOfSlot(slot) };
    const full = proof(identity.witness, card.memory.uid, deed, hub.vault.beacon(slot));
    return { slot, seq, record: buildRecord(deed, full), tmri: buildTmri(deed, full) };
  }

  const key1 = (card: Card) => ({
    key1: hub.vault.cardKey1(hexUid(card), known(card).keyVersion),
    rndA: randomBytes(16),
  });

  async function laid<T>(card: Card, trouble: Trouble | undefined, run: (transmit: Transmit) => Promise<T>) {
    const reader = field(card);
    reader.insert(trouble);
    const done = await run(reader.transmit);
    reader.remove();
    return done;
  }

  async function become(card: Card, status: CardStatus): Promise<void> {
    hub.registry.putCard({ ...known(card), status });
    await tellCards(hub.registry, hub.ledger);
  }

  const serveBy = (card: Card, transmit: Transmit): Promise<End> =>
    relayed(ops.relay, issuing, { deed: 'service', uid: hexUid(card) }, transmit);
  const serve = (card: Card, trouble?: Trouble): Promise<End> =>
    laid(card, trouble, (transmit) => serveBy(card, transmit));

  return {
    place,
    alarms,
    get hub() {
      return hub;
    },
    stall,
    known,
    become,
    serve,
    serveBy,
    later: () => {
      shift += LATER_MS;
    },
    /** The vault has a newer version of the keys 0 to 4 from now on. */
    rotate: (version: number) => {
      ops.versions.newest = version;
    },
    /** A member's card, made and handed over. */
    async make(member: string): Promise<Card> {
      orderCard(hub, member);
      const card = newChip();
      await prepareChip(hub, card);
      await serve(card);
      await become(card, 'active');
      return card;
    },
    /** The hub is gone, and another one starts on its files. */
    async restart(): Promise<void> {
      await hub.close();
      hub = await startPlace(place, { now });
      ops = await operate(hub, now, alarms);
    },
    /** Loads the purse: seven commands of the stall, five of the hub. */
    load: (card: Card, amount: bigint, trouble?: Trouble): Promise<End | null> =>
      laid(card, trouble, async (transmit) => {
        const { slot, seq, tmri } = marks(card, 'reload', amount);
        const begun = await play(startReload({ ...key1(card), tmri }), transmit);
        if (!begun.ok) return null;
        const { before, records, encTmri, ti, ctr, challenge } = begun;
        const { keyVersion, tmacKeyVersion } = known(card);
        const bytes = { before: hex(before), records: hex(records), encTmri: hex(encTmri), ti: hex(ti) };
        const start = { deed: 'reload' as const, uid: hexUid(card), seq, amount: Number(amount), slot };
        const asked = { ...start, keyVersion, tmacKeyVersion, ...bytes, ctr, challenge: hex(challenge) };
        return relayed(ops.relay, stall, asked, transmit);
      }),
    /** Sells from the account in nine commands. @returns null if the card gave no certificate. */
    sell: (card: Card, amount: bigint, trouble?: Trouble): Promise<Receipt | null> =>
      laid(card, trouble, async (transmit) => {
        const { seq, ...marked } = marks(card, 'account', amount);
        const paid = await play(saleFromAccount({ ...key1(card), ...marked, journal: () => undefined }), transmit);
        if (!paid.ok) return null;
        const claim = {
          uid: hexUid(card),
          keyVersion: known(card).tmacKeyVersion,
          tmc: paid.tmc,
          tmv: hex(paid.tmv),
          commands: coveredCommands(marked, paid, 0n),
          before: hex(paid.before),
        };
        const body: PurchaseRequest = { kiosk: stall.no, seq, kind: 'account', amount: Number(amount), claim };
        const hash = createHash('sha256').update(JSON.stringify(body)).digest('hex').slice(0, 32);
        // The first answer is lost: what comes is the answer to the same request, said again.
        await ops.purchase({ kiosk: stall, body, hash });
        const reply = await ops.purchase({ kiosk: stall, body, hash });
        if (!('body' in reply)) throw new Error(`refused: ${reply.refusal}`);
        return (JSON.parse(reply.body) as { receipt: Receipt }).receipt;
      }),
    /** Asks for the card's key as a stall does. @param told the version of key 1 that the card tells */
    askKey: (card: Card, told: number) => ops.cardKey({ kiosk: stall, body: { uid: hexUid(card), told }, hash: '' }),
    /** Member's account, money on its way, purse: as the books have them; and what lies in the card. */
    async money(card: Card) {
      const { issuer, member, uid } = known(card);
      const owners = { member, 'in-transit': uid, purse: uid } as const;
      const accounts = (['member', 'in-transit', 'purse'] as const).map((kind) => {
        return { cooperative: issuer, kind, owner: owners[kind] };
      });
      const [account = 0n, transit = 0n, purse = 0n] = await hub.ledger.balances(accounts);
      const file = card.memory.files.get(0x03);
      return { account, transit, purse, card: BigInt(file?.kind === 'value' ? file.value : -1) };
    },
    async close(): Promise<void> {
      await hub.close();
      removePlace(place);
    },
  };
}
