/** Two hundred cards from the box to their members, nearly all of them torn or killed on the way: all become ready. */
import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TMAC_KEY_NO } from '../../cards/diversify.ts';
import { MAKER_KEYS } from '../../cards/originality.ts';
import { type CardResult, prepareCard } from '../../hub/preparecards.ts';
import { type CardUid, type CooperativeId, HUB_KIOSK_NO, type MemberId, PLATFORM } from '../../protocol/ids.ts';
import { readStatement, STATEMENT_BYTES, STATEMENT_CONTEXT } from '../../protocol/statement.ts';
import { minuteOfSlot } from '../../protocol/status.ts';
import { chipFromBox } from '../hub/chips.ts';
import { hostCard } from '../town/cardhost.ts';
import { type Chance, chance } from '../town/chance.ts';
import { openEmulatedSlot } from '../town/emulatedslot.ts';
import { field, type Trouble } from '../town/field.ts';
import { type FieldDesk, openFieldDesk } from '../town/fielddesk.ts';
import { chipOf, FleetCard, Tears } from '../town/fleet.ts';
import { type HubProcess, hubProcess, steadyPort } from '../town/hubprocess.ts';
import { enrolIssuing } from '../town/issuing.ts';
import { ENDED, type KioskProcess, kioskProcess } from '../town/kioskprocess.ts';
import { ledgerFile } from '../town/ledgerfile.ts';
import { falseMaker } from '../town/maker.ts';
import { openPool, type Pcscd, type Pool } from '../town/pcscd.ts';
import { prepareOne } from '../town/prepareprocess.ts';
import { makePlace, openOffice, type Place, removePlace } from '../town/town.ts';
import { lay } from '../town/vpicc.ts';

const CARDS = 200;
/** Kiosks of their own at private pcscds, and what befalls the cards of each, in an order of the seed's. */
const KIOSKS = 4;
const AT_A_KIOSK = ['card killed', 'card killed', 'card killed', 'card killed', 'kiosk killed', 'kiosk killed'].concat([
  'torn',
  'torn',
  'torn',
  'torn',
]) as readonly ('card killed' | 'kiosk killed' | 'torn')[];
const DESKS = 3;
const HUB_KILLS = 4;
/** A card on its way gets more commands than this, wherever it stopped. */
const SURE = 12;
/** Tries until a card must be ready once nothing befalls it any more but the hub's own deaths. */
const TRIES = 12;
const ISSUERS = ['pasar', 'angkot', 'taksi', 'toko', 'kud'] as const;
const memberOf = (at: number) => `fleet-${at}` as MemberId;

let place: Place;
let hub: HubProcess;
let office: ReturnType<typeof openOffice>;
let pool: Pool;
const maker = falseMaker(1);
const slot = openEmulatedSlot();

beforeAll(async () => {
  place = await makePlace(undefined, await steadyPort());
  office = openOffice(place);
  hub = hubProcess(place);
  const { registry } = office;
  for (let at = 0; at < CARDS; at += 1) {
    const cooperative = (ISSUERS[at % ISSUERS.length] ?? 'pasar') as CooperativeId;
    registry.putMember({ id: memberOf(at), cooperative, name: `Anggota ${at}` });
  }
  registry.placeOrders(
    Array.from({ length: CARDS }, (_, at) => ({
      number: `9360${String(at).padStart(12, '0')}`,
      member: memberOf(at),
      batch: 'fleet',
      at: Date.now(),
    })),
  );
  [pool] = await Promise.all([openPool(KIOSKS), hub.start()]);
});
afterAll(async () => {
  await hub?.kill();
  await pool?.close();
  await slot.close();
  office?.close();
  if (place) removePlace(place);
});

/** Everything the journey needs, and what it counts. */
class Fleet {
  readonly cards: FleetCard[] = [];
  readonly desks: FieldDesk[] = [];
  /** Cards that the hub speaks with at this moment. */
  readonly inHand = new Set<FleetCard>();
  readonly chance: Chance;
  readonly preparing: Tears;
  readonly making: Tears;
  hubKills = 0;
  #commands = 0;
  readonly #deaths: number[];
  #dying: Promise<void> = Promise.resolve();

  constructor(luck: Chance, commands: { readonly prepare: number; readonly make: number; readonly all: number }) {
    this.chance = luck;
    this.preparing = new Tears(luck, commands.prepare, true);
    this.making = new Tears(luck, commands.make);
    // One in each stretch of the journey, so that the last of them still finds cards in hand.
    const stretch = Math.floor(commands.all / (HUB_KILLS + 1));
    this.#deaths = Array.from({ length: HUB_KILLS }, (_, at) => at * stretch + 1 + luck.below(stretch));
  }

  /** After each command that a card executes in this process: now and then the hub dies there. */
  readonly told = (): void => {
    this.#commands += 1;
    if (this.#commands < (this.#deaths[this.hubKills] ?? Number.POSITIVE_INFINITY)) return;
    this.hubKills += 1;
    for (const card of this.inHand) card.hurts.push('hub killed');
    this.#dying = this.#dying.then(() => hub.kill()).then(() => hub.start());
    // Whoever awaits it hears of it.
    this.#dying.catch(() => undefined);
  };

  /** Who was spared because the hub died first is torn the next time, early enough that it is for certain. */
  trouble({ hurt }: FleetCard): Trouble {
    return hurt ? {} : { tear: { apdu: this.chance.below(SURE), when: 'after' } };
  }

  async settled(): Promise<void> {
    await this.#dying;
  }

  chip(): FleetCard {
    const card = chipOf(maker, this.told);
    this.cards.push(card);
    return card;
  }
}

/** At the vault's host, while the hub serves. */
async function prepareOnce(card: FleetCard, trouble?: Trouble): Promise<CardResult> {
  const { registry, vault } = office;
  const reader = field(card.card);
  reader.insert(trouble);
  const keyring = (uid: CardUid) => vault.keyring(PLATFORM, uid);
  const newest = vault.versions().keyVersion;
  const makers = { ...MAKER_KEYS, light: maker.publicKey };
  const deps = { registry, keyring, newest, now: Date.now, random: randomBytes, makers };
  const told = await prepareCard(deps, { uid: card.uid }, reader.transmit);
  reader.remove();
  return told;
}

/** Torn as long as there is a way that no chip was torn in yet. */
async function prepared(fleet: Fleet): Promise<FleetCard> {
  const card = fleet.chip();
  const { preparing } = fleet;
  if (preparing.waiting > 0) {
    const tear = preparing.draw();
    expect({ tear, ...(await prepareOnce(card, { tear })) }).toMatchObject({ result: 'again' });
    preparing.happened(tear);
    card.hurts.push('torn');
  }
  const { result } = await prepareOnce(card);
  expect(['prepared', 'already']).toContain(result);
  return card;
}

/** The one chip whose real signature is published, by the command itself: killed as it changes the key. */
async function preparedByCommand(fleet: Fleet): Promise<FleetCard> {
  const card = new FleetCard(chipFromBox(), fleet.told);
  fleet.cards.push(card);
  const first = prepareOne(place, slot);
  const at = 9;
  let count = 0;
  const killing = (apdu: Uint8Array) => {
    if (apdu[0] !== 0xff && count++ === at) first.kill();
    return card.card.process(apdu);
  };
  await lay({ memory: card.card.memory, reset: card.card.reset, process: killing }, await first.connect()).gone;
  expect((await first.end).code).toBeNull();
  card.hurts.push('vault host killed');
  const second = prepareOne(place, slot);
  await lay(card.card, await second.connect()).gone;
  expect(await second.end).toMatchObject({ code: 0 });
  return card;
}

/** Lays it down until it is ready. */
async function finishAtDesk(fleet: Fleet, desk: FieldDesk, card: FleetCard): Promise<void> {
  const told: string[] = [];
  for (let tried = 0; tried < TRIES; tried += 1) {
    fleet.inHand.add(card);
    const { ok, torn, why } = await desk.serve(card.card, fleet.trouble(card));
    fleet.inHand.delete(card);
    if (torn) card.hurts.push('torn');
    if (ok) return;
    told.push(why);
  }
  throw new Error(`${card.uid} is not ready after ${TRIES} tries: ${told.join('; ')}`);
}

async function makeAtDesk(fleet: Fleet, desk: FieldDesk, card: FleetCard): Promise<void> {
  const { making, chance: luck } = fleet;
  // Once, and now and then once more, on its way from where it stopped.
  const first = making.draw();
  for (const tear of luck.below(4) === 0 ? [first, making.any()] : [first]) {
    fleet.inHand.add(card);
    const { torn, ok } = await desk.serve(card.card, { tear });
    fleet.inHand.delete(card);
    if (torn) {
      // Only a conversation that begins at the beginning has all its commands.
      if (tear === first) making.happened(tear);
      card.hurts.push('torn');
    } else if (tear === first) making.again(tear);
    if (ok) return;
  }
  await finishAtDesk(fleet, desk, card);
}

/** One kiosk at its own pcscd, with cards in hand one after the other. */
class Station {
  readonly #kiosk: KioskProcess;
  readonly #pcscd: Pcscd;
  readonly #fleet: Fleet;
  readonly #image: string;

  constructor(fleet: Fleet, dir: string, pcscd: Pcscd) {
    this.#fleet = fleet;
    this.#pcscd = pcscd;
    this.#kiosk = kioskProcess(dir, pcscd);
    this.#image = join(dir, 'card-image');
  }

  start = (): Promise<void> => this.#kiosk.start();
  close = (): Promise<void> => this.#kiosk.kill();

  /** Lays it down in this process. @returns whether it was served, and whether the card left by the plan */
  async #serve(card: FleetCard, trouble: Trouble = {}): Promise<{ ok: boolean; torn: boolean; text: string }> {
    const from = this.#kiosk.shown.length;
    const offer = lay(card.card, await this.#pcscd.connect(), trouble);
    let torn = false;
    void offer.gone.then(() => {
      torn = true;
    });
    this.#fleet.inHand.add(card);
    const shown = await this.#kiosk.served(from);
    this.#fleet.inHand.delete(card);
    const left = torn;
    await offer.remove();
    await this.#kiosk.left();
    return { ...shown, torn: left };
  }

  async #torn(card: FleetCard): Promise<void> {
    const { making } = this.#fleet;
    const tear = making.draw();
    const { torn } = await this.#serve(card, { tear });
    if (torn) {
      making.happened(tear);
      card.hurts.push('torn');
    } else making.again(tear);
  }

  /** The card is a process, and that process dies at its command. */
  async #cardKilled(card: FleetCard): Promise<void> {
    const { making } = this.#fleet;
    const tear = making.draw();
    const from = this.#kiosk.shown.length;
    const hosted = await hostCard(this.#image, card.image(), this.#pcscd, { tear });
    this.#fleet.inHand.add(card);
    await this.#kiosk.served(from);
    this.#fleet.inHand.delete(card);
    const image = await hosted.take();
    card.become(image);
    await this.#kiosk.left();
    if (image.torn) {
      making.happened(tear);
      card.hurts.push('card killed');
    } else making.again(tear);
  }

  /** The kiosk dies in the middle, and starts again in its directory. */
  async #kioskKilled(card: FleetCard): Promise<void> {
    const from = this.#kiosk.shown.length;
    const step = 1 + this.#fleet.chance.below(30);
    const offer = lay(card.card, await this.#pcscd.connect());
    await this.#kiosk.until(from, new RegExp(`langkah ${step}\\b|${ENDED.source}`, 'm'));
    await this.#kiosk.kill();
    if (!ENDED.test(this.#kiosk.shown.slice(from))) card.hurts.push('kiosk killed');
    await offer.remove();
    await this.#kiosk.start();
  }

  /** Cards are laid down at a kiosk that is ready for them. */
  async #ready(): Promise<void> {
    await this.#fleet.settled();
    await this.#kiosk.online();
  }

  async make(card: FleetCard, fate: (typeof AT_A_KIOSK)[number]): Promise<void> {
    await this.#ready();
    if (fate === 'torn') await this.#torn(card);
    else if (fate === 'card killed') await this.#cardKilled(card);
    else await this.#kioskKilled(card);
    const told: string[] = [];
    for (let tried = 0; tried < TRIES; tried += 1) {
      const { ok, torn, text } = await this.#serve(card, this.#fleet.trouble(card));
      if (ok) return;
      if (torn) card.hurts.push('torn');
      told.push(text);
      await this.#ready();
    }
    throw new Error(`${card.uid} is not ready: ${told.join('; ')}`);
  }
}

/** The first card of all is left alone: how many commands a whole conversation has, which all others are torn by. */
async function measured(luck: Chance): Promise<{ fleet: Fleet; card: FleetCard }> {
  const card = chipOf(maker, () => undefined);
  await prepareOnce(card);
  const prepare = card.card.commands;
  const desk = openFieldDesk(await enrolIssuing(place, office, 'meja-ukur'));
  expect(await desk.serve(card.card)).toMatchObject({ ok: true });
  await desk.close();
  const make = card.card.commands - prepare;
  const fleet = new Fleet(luck, { prepare, make, all: CARDS * 0.75 * (prepare + make) });
  fleet.cards.push(card);
  return { fleet, card };
}

async function journey(fleet: Fleet): Promise<void> {
  const published = await preparedByCommand(fleet);
  const left = { count: CARDS - 2 - KIOSKS * AT_A_KIOSK.length };
  const atKiosk = async (no: number) => {
    const { pcscd, release } = await pool.lease();
    const station = new Station(fleet, await enrolIssuing(place, office, `meja-kios-${no}`), pcscd);
    await station.start();
    for (const fate of fleet.chance.shuffled(AT_A_KIOSK)) await station.make(await prepared(fleet), fate);
    await station.close();
    release();
  };
  const atDesk = async (no: number) => {
    const desk = openFieldDesk(await enrolIssuing(place, office, `meja-${no}`));
    if (no === 0) await makeAtDesk(fleet, desk, published);
    while (left.count > 0) {
      left.count -= 1;
      await makeAtDesk(fleet, desk, await prepared(fleet));
    }
    await desk.close();
  };
  const all = <T>(count: number, run: (no: number) => Promise<T>) => Array.from({ length: count }, (_, no) => run(no));
  await Promise.all([...all(KIOSKS, atKiosk), ...all(DESKS, atDesk)]);
  await fleet.settled();
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
/** Rights and modes of TRUTH section 14, written out once more: not the client's table. */
const RIGHTS = { 0: '301f', 4: '301f', 31: '30ef', 1: '3011', 3: '301f', 15: '101f' } as const;
const MODES = { 0: 'mac', 4: 'mac', 31: 'plain', 1: 'full', 3: 'full', 15: 'mac' } as const;
const CEILING = 200_000;
/** Keys 0 that may be sent to one chip before one is proven. */
const PREPARE_TRIES = 4;
const ED25519_DER = Buffer.from('302a300506032b6570032100', 'hex');

function expectKeys({ uid, card: { memory } }: FleetCard): void {
  const bound = office.registry.card(uid);
  if (bound === undefined) throw new Error(`${uid} is no card`);
  // One that left before it took the first key 0 sent to it got another: see hub/preparecards.ts.
  const { keyVersion } = bound;
  expect(keyVersion).toBeLessThanOrEqual(1 + PREPARE_TRIES);
  const keys = office.vault.cardKeys(bound.issuer, uid, { keyVersion, tmacKeyVersion: 1 });
  expect(memory.keys.map(({ version }) => version)).toEqual(Array(5).fill(keyVersion));
  const { app, debit, spare2, credit, spare4, tmac } = keys ?? {};
  expect(memory.keys.map(({ key }) => hex(key))).toEqual(
    [app, debit, spare2, credit, spare4].map((key) => hex(key ?? new Uint8Array())),
  );
  const counter = memory.files.get(0x0f);
  expect(counter).toMatchObject({ kind: 'tmac', keyVersion: 1, tmc: 4 });
  expect(counter?.kind === 'tmac' && hex(counter.key)).toBe(hex(tmac ?? new Uint8Array()));
}

function expectRights({ card: { memory } }: FleetCard): void {
  const rights = [...memory.files].map(([no, file]) => [no, hex(Uint8Array.from(file.access))]);
  expect(Object.fromEntries(rights)).toEqual(RIGHTS);
  expect(Object.fromEntries([...memory.files].map(([no, { mode }]) => [no, mode]))).toEqual(MODES);
  expect(memory.files.get(0x03)).toMatchObject({ lower: 0, upper: CEILING, value: 0 });
}

function expectContents({ uid, card: { memory } }: FleetCard): void {
  const { vault, registry } = office;
  const bound = registry.card(uid);
  if (!bound?.made) throw new Error(`${uid} was not made here`);
  const { seq, slot: made, at } = bound.made;
  const marks = [0, 1, 2, 3].map((more) => {
    const numbers = { kioskNo: HUB_KIOSK_NO, kioskSeq: seq + more, minute: minuteOfSlot(made) };
    return vault.signDeed(uid, { kind: 'personalise', amount: 0n, ...numbers }, vault.beacon(made));
  });
  const records = memory.files.get(0x01);
  expect(records?.kind === 'cyclic' && records.records.map(hex)).toEqual(marks.map(({ record }) => hex(record)));
  const counter = memory.files.get(0x0f);
  expect(counter?.kind === 'tmac' && hex(counter.tmriPrev)).toBe(hex(marks[3]?.tmri ?? new Uint8Array()));
  const held = memory.files.get(0x00);
  const text = held?.kind === 'standard' ? held.content : new Uint8Array();
  const [statement, signature] = [text.slice(0, STATEMENT_BYTES), text.slice(STATEMENT_BYTES, STATEMENT_BYTES + 64)];
  const key = createPublicKey({
    key: Buffer.concat([ED25519_DER, vault.statementKey]),
    format: 'der',
    type: 'spki',
  });
  expect(verify(null, Buffer.concat([Buffer.from(STATEMENT_CONTEXT), statement]), key, signature)).toBe(true);
  const { number, issuer } = bound;
  expect(readStatement(statement)).toMatchObject({ uid, number, issuer, tmacKeyVersion: 1, ceiling: CEILING });
  expect(new Date(at).getTime()).toBeGreaterThan(0);
  const profile = memory.files.get(0x1f);
  expect(profile?.kind === 'standard' && hex(profile.content)).toBe(
    `0101${hex(Uint8Array.of(memory.keys[1]?.version ?? 0))}${'00'.repeat(29)}`,
  );
}

function expectBooks(cards: readonly FleetCard[]): void {
  const { registry } = office;
  const ledger = ledgerFile(place);
  const orders = registry.orders('fleet');
  expect(orders.map(({ uid }) => uid).filter((uid) => uid === null)).toEqual([]);
  expect(new Set(orders.map(({ uid }) => uid))).toEqual(new Set(cards.map(({ uid }) => uid)));
  const bound = cards.map(({ uid }) => registry.card(uid));
  expect(new Set(bound.map((card) => card?.number)).size).toBe(CARDS);
  const seqs = bound.flatMap((card) => [0, 1, 2, 3].map((more) => (card?.made?.seq ?? 0) + more));
  expect(new Set(seqs).size).toBe(4 * CARDS);
  expect(bound.filter((card) => card?.status !== 'ready')).toEqual([]);
  expect(registry.untold()).toEqual([]);
  for (const { uid } of cards) {
    expect(registry.openChanges(uid)).toEqual([]);
    expect(registry.keyHistory(uid).filter(({ no }) => no === TMAC_KEY_NO)).toMatchObject([{ from: 0, to: 1 }]);
    expect([uid, ledger.cardStatus(uid), ledger.cardCounter(uid)]).toEqual([uid, 'ready', 4]);
  }
  expect(ledger.faults()).toEqual([]);
}

test('200 cards are prepared and personalised, torn and killed at every command, and become ready', async () => {
  const luck = chance('200 cards');
  const { fleet, card } = await measured(luck);
  await journey(fleet);
  const { cards } = fleet;
  office.registry.refresh();
  expect(cards[0]).toBe(card);
  expect(new Set(cards.map(({ uid }) => uid)).size).toBe(CARDS);
  expect({ prepare: fleet.preparing.missed(), make: fleet.making.missed() }).toEqual({ prepare: [], make: [] });
  const of = (what: string) => cards.filter(({ hurts }) => hurts.some((each) => each === what)).length;
  const tally = {
    torn: of('torn'),
    card: of('card killed'),
    kiosk: of('kiosk killed'),
    hub: of('hub killed'),
  };
  const hurt = cards.filter((card) => card.hurt);
  const kills = `the hub was killed ${fleet.hubKills} times`;
  process.stdout.write(`200 cards, ${hurt.length} torn or killed: ${JSON.stringify(tally)}; ${kills}\n`);
  expect(hurt.length).toBeGreaterThanOrEqual(180);
  expect(fleet.hubKills).toBe(HUB_KILLS);
  for (const some of Object.values(tally)) expect(some).toBeGreaterThan(0);
  for (const each of cards) {
    expectKeys(each);
    expectRights(each);
    expectContents(each);
    expect([each.uid, each.card.denied, each.card.memory.failures]).toEqual([each.uid, 0, 0]);
  }
  expectBooks(cards);
}, 600_000);
