/** A counter without screens: a kiosk's own line, keys, outbox and relay, and a field to lay emulated cards in. */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { makeCardKeys } from '../../kiosk/cardkeys.ts';
import { readConfig } from '../../kiosk/config.ts';
import { dialHub } from '../../kiosk/dial.ts';
import { type LinkEvent, openLink } from '../../kiosk/link.ts';
import { openOutbox } from '../../kiosk/outbox.ts';
import { makeRelay } from '../../kiosk/relay.ts';
import { askReload, type Reloaded, reload } from '../../kiosk/reload.ts';
import type { Relayed } from '../../kiosk/rules/relayed.ts';
import { requestOf } from '../../kiosk/rules/request.ts';
import { outboxPath } from '../../kiosk/start.ts';
import { pay } from '../../kiosk/tap.ts';
import type { KioskNo } from '../../protocol/ids.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import type { ReloadAsked } from '../../protocol/relay.ts';
import type { Card } from './card.ts';
import { type Field, field, type Trouble } from './field.ts';
import { identityOf } from './town.ts';

/** One thing that passed: a message of a conversation, or a command with its response. */
export type Passed =
  | { readonly what: 'up' | 'down'; readonly conversation: string; readonly at: number }
  | {
      readonly what: 'card';
      readonly sent: Uint8Array;
      readonly got: Uint8Array;
      readonly at: number;
      readonly ms: number;
    };

interface Beacon {
  readonly slot: number;
  /** 4 bytes as hex. */
  readonly value: string;
}

export interface Counter {
  readonly no: KioskNo;
  /** Everything that passed since it was emptied, in order. */
  readonly passed: Passed[];
  /** Every byte that went over the line inside TLS, both ways. */
  readonly line: Uint8Array[];
  /** Lays the card down, once its key is held. */
  lay(card: Card, trouble?: Trouble): Promise<void>;
  lift(): void;
  /** Loads the purse of the card that lies there. */
  reload(amount: bigint): Promise<Reloaded>;
  /** Reloads that the outbox holds open. */
  open(): readonly ReloadAsked[];
  ask(start: ReloadAsked): Promise<Reloaded>;
  /** Says a start again in a conversation of its own, with nobody to speak for. */
  repeat(start: ReloadAsked): Promise<Relayed>;
  /** Sells to the card that lies there, from its account. @returns null if the card was torn. */
  pay(amount: bigint): Promise<Receipt | null>;
  /** The first beacon heard that is later than this moment, milliseconds since 1970 UTC. */
  beaconAfter(at: number): Promise<void>;
  /** Resolves when the line is up. */
  online(): Promise<void>;
  close(): Promise<void>;
}

const PATIENCE_MS = 25_000;
const BEACON_MS = 10_000;
const PRESENCE = 1;
const NOBODY = 0;

/** What waits for something to be heard. */
class Ear {
  readonly #waiting = new Set<() => void>();

  heard(): void {
    for (const look of this.#waiting) look();
  }

  /** @throws when it does not come in time. */
  until<T>(what: string, find: () => T | null | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => end(() => reject(new Error(`waited in vain for ${what}`))), PATIENCE_MS);
      const end = (settle: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        settle();
      };
      const look = () => {
        const found = find();
        if (found !== null && found !== undefined) end(() => resolve(found));
      };
      this.#waiting.add(look);
      look();
    });
  }
}

/** Copies what passes through a stream, both ways. */
function tapped(stream: Duplex, into: Uint8Array[]): Duplex {
  const write = stream.write.bind(stream) as (chunk: Uint8Array, ...rest: unknown[]) => boolean;
  stream.write = ((chunk: Uint8Array, ...rest: unknown[]) => {
    into.push(Buffer.from(chunk));
    return write(chunk, ...rest);
  }) as typeof stream.write;
  stream.on('data', (chunk: Uint8Array) => void into.push(Buffer.from(chunk)));
  return stream;
}

/**
 * Opens a counter of a kiosk that was enrolled in `dir`.
 * @param port where it dials the hub
 * @param beacon what it takes for the latest beacon, instead of the one it has heard
 */
export function openCounter(dir: string, port: number, beacon?: () => Beacon): Counter {
  const identity = identityOf(dir);
  const { kiosk: no, name, sealingKey, witness } = identity;
  const ear = new Ear();
  const [passed, line]: [Passed[], Uint8Array[]] = [[], []];
  let latest: Beacon | null = null;
  let up = false;
  let there: Field | null = null;
  let uid = '';
  const answers = new Map<string, LinkEvent>();
  const outbox = openOutbox({ path: outboxPath(dir), kiosk: no, now: Date.now });
  const cardKeys = makeCardKeys({ monotonic: () => performance.now(), sealingKey, witness });
  const wire = openLink(
    {
      dial: () => tapped(dialHub({ ...readConfig(dir).hub, port }, identity), line),
      timers: globalThis,
      random: Math.random,
      randomBytes,
      now: Date.now,
      waiting: () => outbox.waiting(),
      log: () => undefined,
    },
    { name, software: 'counter' },
  );
  const link: Pick<typeof wire, 'send'> = {
    send(conversation, body) {
      passed.push({ what: 'up', conversation, at: performance.now() });
      return wire.send(conversation, body);
    },
  };
  const reader = {
    async transmit(presence: number, sent: Uint8Array) {
      const at = performance.now();
      const got = (presence === PRESENCE && (await there?.transmit(sent))) || new Uint8Array();
      passed.push({ what: 'card', sent, got, at, ms: performance.now() - at });
      return got;
    },
  };
  const relay = makeRelay({ reader, link, randomBytes, timers: globalThis });

  wire.listen((event) => {
    if (event.type === 'up' || event.type === 'down') up = event.type === 'up';
    if (event.type === 'down') relay.cut();
    if (event.type === 'beacon') latest = { slot: event.slot, value: event.value };
    if (event.type === 'heard') {
      passed.push({ what: 'down', conversation: event.conversation, at: performance.now() });
      if (event.conversation === 'relay') relay.heard(event.body);
    }
    if (event.type === 'refusal' && !relay.refused(event.replyTo, event.code) && event.replyTo !== undefined) {
      answers.set(event.replyTo, event);
    }
    if (event.type === 'heard' && event.replyTo !== undefined) answers.set(event.replyTo, event);
    ear.heard();
  });

  async function answered<C extends 'cardkey' | 'purchase'>(conversation: C, body: Parameters<typeof wire.send<C>>[1]) {
    const id = await ear.until(`a line for ${conversation}`, () => link.send(conversation, body));
    const event = await ear.until(`the answer to ${conversation}`, () => answers.get(id));
    if (event.type !== 'heard') throw new Error(`refused: ${event.type === 'refusal' ? event.code : event.type}`);
    return event;
  }

  const current = () => beacon?.() ?? latest;
  const order = async (amount: bigint) => {
    const { slot, value } = await ear.until('a beacon', current);
    return { card: { presence: PRESENCE, uid }, amount, slot, beacon: value };
  };

  return {
    no,
    passed,
    line,
    async lay(card, trouble) {
      uid = Buffer.from(card.memory.uid).toString('hex');
      if (cardKeys.find(uid) === null) {
        const grant = await answered('cardkey', { uid });
        if (grant.conversation !== 'cardkey') throw new Error('no grant');
        await cardKeys.accept(grant.body);
      }
      there = field(card);
      there.insert(trouble);
    },
    lift: () => there?.remove(),
    reload: async (amount) => reload({ kiosk: no, reader, cardKeys, outbox, relay, randomBytes }, await order(amount)),
    open: () => outbox.openReloads(),
    ask: async (start) => askReload({ outbox, relay }, start, (await ear.until('a beacon', current)).slot),
    repeat: (start) => relay.talk(NOBODY, start, () => undefined),
    async pay(amount) {
      const { card, slot, beacon: value } = await order(amount);
      const seq = outbox.mint(amount, 'account');
      const sale = { seq, amount, price: amount, mode: 'account' as const, prices: null };
      const deps = { kiosk: no, reader, relay, cardKeys, journal: outbox.journal.bind(outbox), randomBytes };
      const paid = await pay(deps, { type: 'pay', sale, card, slot, beacon: value });
      if (paid.kind !== 'committed') return null;
      const event = await answered('purchase', requestOf(no, sale, paid.intent, paid.certificate));
      if (event.conversation !== 'purchase') throw new Error('no receipt');
      outbox.keep(sale.seq, event.body, false);
      return event.body.receipt;
    },
    beaconAfter: async (at) => {
      await ear.until('a later beacon', () => (latest !== null && latest.slot * BEACON_MS > at ? true : null));
    },
    online: async () => {
      await ear.until('the line', () => (up ? true : null));
    },
    async close() {
      await wire.close();
      outbox.end();
    },
  };
}
