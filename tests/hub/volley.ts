/** Volleys: many messages of a kiosk in one write, and each answer as it came, to the byte. */
import mqtt from 'mqtt-packet';
import { encode } from '../../protocol/envelope.ts';
import type { PurchaseRequest } from '../../protocol/purchase.ts';
import type { ResolveRequest } from '../../protocol/resolve.ts';
import { type Door, join, read as parse, type Wire } from './wire.ts';
import type { TestKiosk } from './world.ts';

export type Said =
  | { readonly conversation: 'purchase'; readonly body: PurchaseRequest }
  | { readonly conversation: 'resolve'; readonly body: ResolveRequest };

/** An answer with its receipt, as text. */
export interface Heard {
  readonly receipt: string;
  readonly mac: string;
  /** Null where nobody asked: answers to purchases do not say it. */
  readonly voided: boolean | null;
}

/** One connection of a kiosk. */
export interface Line {
  /**
   * Says all in one write, and waits until `enough` of it are answered, or all of it.
   * @returns what became of each afterwards, by its place: an answer, or null while there is none.
   */
  volley(said: readonly Said[], enough?: number): Promise<() => (Heard | null)[]>;
  /** Resolves when the hub's end is gone; whatever it said has been heard by then. */
  gone(): Promise<void>;
  drop(): void;
}

const ANSWER = /"body":\{"receipt":(\{.*\}),"mac":"([0-9a-f]{32})"(?:,"voided":(true|false))?\}\}$/;

/** Reads an answer without parsing its receipt. @throws if it is a refusal or anything else. */
function heard(text: string): Heard {
  const [, receipt, mac, voided] = ANSWER.exec(text) ?? [];
  if (receipt === undefined || mac === undefined) throw new Error(`no decision came, but ${text}`);
  return { receipt, mac, voided: voided === undefined ? null : voided === 'true' };
}

/** Connects as a good kiosk does. */
export async function openLine(door: Door, kiosk: TestKiosk): Promise<Line> {
  const wire: Wire = await join(door, kiosk);
  let last = 0;
  const answers = new Map<string, string>();
  let read = 0;
  /** Takes up what has come since the last look. */
  const look = () => {
    for (const packet of wire.packets.slice(read)) {
      read += 1;
      const to = packet.cmd === 'publish' ? parse(packet).replyTo : undefined;
      if (packet.cmd === 'publish' && to !== undefined) answers.set(to, packet.payload.toString());
    }
    return answers;
  };
  return {
    async volley(said, enough = said.length) {
      const numbers = said.map((_, at) => last + 1 + at);
      last += said.length;
      const frames = said.map(({ conversation, body }, at) => {
        const n = numbers[at] ?? 0;
        const payload = encode({ id: `m${n}`, at: 0, n, body });
        const topic = `simpul/v1/${kiosk.name}/up/${conversation}`;
        return mqtt.generate({ cmd: 'publish', topic, payload, qos: 1, messageId: n, dup: false, retain: false });
      });
      wire.raw(Buffer.concat(frames));
      const mine = () => {
        const all = look();
        return numbers.map((n) => all.get(`m${n}`) ?? null);
      };
      if (enough > 0) await wire.find(() => mine().filter((text) => text !== null).length >= enough);
      return () => mine().map((text) => (text === null ? null : heard(text)));
    },
    gone: () => wire.gone(),
    drop: () => void wire.socket.destroy(),
  };
}
