/** Mints account sales as tapped cards and kiosks make them, many at once, from the hub's live beacon. */
import { randomBytes } from 'node:crypto';
import { coveredCommands } from '../../../cards/payment.ts';
import { buildRecord, buildTmri, type Deed, proof } from '../../../cards/record.ts';
import { tmv, transactionInput, transactionKeys } from '../../../cards/tmac.ts';
import { hubPaths } from '../../../hub/config.ts';
import type { Card, Kiosk } from '../../../hub/store/registry.ts';
import { openRegistry } from '../../../hub/store/sqlite/registry.ts';
import { encodeAround } from '../../../protocol/envelope.ts';
import type { CooperativeId } from '../../../protocol/ids.ts';
import { type Beacon, minuteOfSlot } from '../../../protocol/status.ts';
import { upTopic } from '../../../protocol/topics.ts';
import { kioskName, openBenchVault } from './fleet.ts';
import { type LoadPacket, publishPacket } from './load.ts';
import { uidOf } from './members.ts';

/** The first sale after personalising. */
const TMC = 5;
/**
 * Sales of one card in a run, each at another kiosk, as the pause between two at the same one asks. The hub thus meets
 * a town that it knows: keys and cards are in its memory after each card's first sale, as they are after a morning.
 */
const SALES_A_CARD = 6;
/** One request in twenty is the one before once more. */
const REPEAT_EVERY = 20;
/** Every sale differs a little; the fee has all three parts (TRUTH section 7 allows Rp 500,000). */
const AMOUNT = 25_000;

export interface Mint {
  /** Packets of each kiosk, in order: `total` in all, or as many as there are cards. */
  readonly packets: (beacon: Beacon, total: number) => LoadPacket[][];
  /** A message of a sale, to be carried and not judged. */
  readonly example: () => string;
}

/** Prepares minting for the first `kiosks` kiosks of a fleet. */
export function openMint(directory: string, kiosks: number): Mint {
  const vault = openBenchVault(directory);
  const path = hubPaths(directory).registry;
  const registry = openRegistry({ path });
  const homes = registry.cooperatives().map(({ id }) => id);
  const sellers = Array.from({ length: kiosks }, (_, index) => {
    const kiosk = registry.kiosk(kioskName(index));
    const home = kiosk && registry.outlet(kiosk.outlet)?.cooperative;
    const witness = kiosk && vault.unwrap(kiosk.witness);
    if (kiosk === undefined || home === undefined || !witness) throw new Error('the fleet has fewer kiosks');
    return { kiosk, home, witness, topic: upTopic(kiosk.name, 'purchase') };
  });
  const pools = new Map<CooperativeId, Card[]>(homes.map((id) => [id, []]));
  for (let index = 0; ; index += 1) {
    const card = registry.card(uidOf(index));
    if (card === undefined) break;
    pools.get(card.issuer)?.push(card);
  }
  registry.close();
  const others = new Map(homes.map((home) => [home, homes.filter((id) => id !== home && pools.get(id)?.length)]));

  function body(seller: (typeof sellers)[number], card: Card, tmc: number, seq: number, beacon: Beacon): string {
    const uid = Buffer.from(card.uid, 'hex');
    const key = vault.tmacKey(card.issuer, card.uid, card.tmacKeyVersion);
    if (key === null) throw new Error(`no key for card ${card.uid}`);
    const amount = AMOUNT + (seq % 100) * 10;
    const kioskNo: Kiosk['no'] = seller.kiosk.no;
    const deed: Deed = {
      kind: 'account',
      amount: BigInt(amount),
      kioskNo,
      kioskSeq: seq,
      minute: minuteOfSlot(beacon.slot),
    };
    const signed = proof(seller.witness, uid, deed, Buffer.from(beacon.value, 'hex'));
    const order = { record: buildRecord(deed, signed), tmri: buildTmri(deed, signed) };
    const intent = { before: BEFORE, records: randomBytes(64), opening: 0n, encTmri: randomBytes(16) };
    const commands = coveredCommands(order, intent, 0n);
    const certificate = Buffer.from(tmv(transactionKeys(key, uid, tmc), transactionInput(commands))).toString('hex');
    const claim = {
      uid: card.uid,
      keyVersion: 1,
      tmc,
      tmv: certificate,
      commands,
      before: BEFORE.toString('hex'),
    };
    return JSON.stringify({ kiosk: kioskNo, seq, kind: 'account', amount, claim });
  }

  function example(): string {
    const [seller] = sellers;
    const card = [...pools.values()].flat()[0];
    if (seller === undefined || card === undefined) throw new Error('the fleet is empty');
    const text = body(seller, card, TMC, 1, { slot: Math.floor(Date.now() / 10_000), value: '00000000' });
    return encodeAround({ id: 'b-1', at: Date.now(), n: 1 }, text);
  }

  return {
    example,
    packets(beacon, total) {
      const decks = new Map(homes.map((home) => [home, openDeck(pools.get(home) ?? [], deckSize(total))]));
      const at = Date.now();
      const out: LoadPacket[][] = sellers.map(() => []);
      let made = 0;
      for (let round = 1; ; round += 1) {
        for (const [index, seller] of sellers.entries()) {
          const list = out[index] ?? [];
          const abroad = others.get(seller.home) ?? [];
          const issuer = abroad[(round + index) % abroad.length];
          if (issuer === undefined) throw new Error('the fleet has one cooperative');
          const next = decks.get(issuer)?.(index);
          if (next === undefined || made >= total) return out;
          const text = body(seller, next.card, TMC + next.sale, round, beacon);
          const push = (repeat: boolean) => {
            const n = list.length + 1;
            const payload = encodeAround({ id: `b-${n.toString(36)}`, at, n }, text);
            list.push({ bytes: publishPacket(seller.topic, payload, (n % 65_535) + 1), repeat });
            made += 1;
          };
          push(false);
          if ((round + index) % REPEAT_EVERY === 0) push(true);
        }
      }
    },
  };

  /** Cards of a cooperative that sell so many times in all: a lone kiosk may meet each card only once. */
  function deckSize(total: number): number {
    const sales = Math.min(kiosks, SALES_A_CARD);
    return Math.ceil(total / sales / homes.length);
  }
}

/** Deals cards in turn, each to a kiosk that had it not yet; undefined once all are used up. */
function openDeck(pool: readonly Card[], size: number): (kiosk: number) => { card: Card; sale: number } | undefined {
  const deck = pool.slice(0, size).map((card) => ({ card, kiosks: [] as number[] }));
  let next = 0;
  return (kiosk) => {
    for (let tries = 0; tries < deck.length; tries += 1) {
      const entry = deck[next % deck.length];
      next += 1;
      if (entry === undefined || entry.kiosks.length >= SALES_A_CARD || entry.kiosks.includes(kiosk)) continue;
      return { card: entry.card, sale: entry.kiosks.push(kiosk) - 1 };
    }
    return undefined;
  };
}

/** File 0F before the sale: counter 4, whose certificate the hub keeps as evidence only. */
const BEFORE = Buffer.from('040000000000000000000000', 'hex');
