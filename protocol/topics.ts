/** THE table of topics: who speaks where, at which quality, what is said, and since which version. */
import { type Static, Type } from 'typebox';
import { BillAnswer, BillRequest } from './bill.ts';
import { CardKeyGrant, CardKeyRequest } from './cardkey.ts';
import { CashAnswer, CashRequest } from './cash.ts';
import { type MessageKind, message } from './envelope.ts';
import { HelloAnswer, HelloRequest } from './hello.ts';
import type { KioskName } from './ids.ts';
import { PayoutRequest } from './payout.ts';
import { PurchaseRequest } from './purchase.ts';
import { DecisionAnswer, RefusalSchema, SealedReceipt } from './receipt.ts';
import { RefundAnswer, RefundRequest } from './refund.ts';
import { RelayAnswer, RelayRequest } from './relay.ts';
import { ResolveAnswer, ResolveRequest } from './resolve.ts';
import { Beacon, HubState, KioskState } from './status.ts';
import { TariffsAnswer, TariffsRequest } from './tariffbook.ts';
import { TransferRequest } from './transfer.ts';

const ROOT = 'simpul/v1';

/** A message that got no decision: why, and what could not be read. The envelope's `replyTo` names it where known. */
export const RefusalNote = Type.Object({ code: RefusalSchema, detail: Type.String({ maxLength: 200 }) });
export type RefusalNote = Static<typeof RefusalNote>;

/** Conversations a kiosk starts at `<kiosk>/up/<name>` and the hub answers at `<kiosk>/dn/<name>`. */
export const conversations = {
  purchase: { up: message(PurchaseRequest), dn: message(SealedReceipt), qos: 1, since: 1 },
  resolve: { up: message(ResolveRequest), dn: message(ResolveAnswer), qos: 1, since: 1 },
  cardkey: { up: message(CardKeyRequest), dn: message(CardKeyGrant), qos: 1, since: 1 },
  hello: { up: message(HelloRequest), dn: message(HelloAnswer), qos: 1, since: 1 },
  cash: { up: message(CashRequest), dn: message(CashAnswer), qos: 1, since: 1 },
  bill: { up: message(BillRequest), dn: message(BillAnswer), qos: 1, since: 1 },
  tariffs: { up: message(TariffsRequest), dn: message(TariffsAnswer), qos: 1, since: 1 },
  payout: { up: message(PayoutRequest), dn: message(DecisionAnswer), qos: 1, since: 1 },
  transfer: { up: message(TransferRequest), dn: message(DecisionAnswer), qos: 1, since: 1 },
  refund: { up: message(RefundRequest), dn: message(RefundAnswer), qos: 1, since: 1 },
  relay: { up: message(RelayRequest), dn: message(RelayAnswer), qos: 1, since: 1 },
} as const;

/** Messages of one direction only. `<kiosk>/dn/refusal` answers what no conversation could. */
export const notices = {
  refusal: { speaker: 'hub', topic: 'dn/refusal', message: message(RefusalNote), qos: 1, retain: false, since: 1 },
  kioskState: { speaker: 'kiosk', topic: 'state', message: message(KioskState), qos: 1, retain: true, since: 1 },
  hubState: { speaker: 'hub', topic: 'hub/state', message: message(HubState), qos: 1, retain: true, since: 1 },
  beacon: { speaker: 'hub', topic: 'hub/beacon', message: message(Beacon), qos: 1, retain: true, since: 1 },
} as const;

export type Conversation = keyof typeof conversations;
export type UpBody<C extends Conversation> = (typeof conversations)[C]['up'] extends MessageKind<infer B> ? B : never;
export type DnBody<C extends Conversation> = (typeof conversations)[C]['dn'] extends MessageKind<infer B> ? B : never;

export const HUB_STATE_TOPIC = `${ROOT}/hub/state`;
export const BEACON_TOPIC = `${ROOT}/hub/beacon`;

/** Where a kiosk speaks in a conversation. */
export const upTopic = (kiosk: KioskName, conversation: Conversation) => `${ROOT}/${kiosk}/up/${conversation}`;
/** Where the hub answers a kiosk. */
export const dnTopic = (kiosk: KioskName, name: Conversation | 'refusal') => `${ROOT}/${kiosk}/dn/${name}`;
/** Where a kiosk's retained birth and will live. */
export const stateTopic = (kiosk: KioskName) => `${ROOT}/${kiosk}/state`;
/** The only filters a kiosk may subscribe to. */
export const kioskFilters = (kiosk: KioskName): readonly string[] => [`${ROOT}/${kiosk}/dn/+`, `${ROOT}/hub/+`];

/** Reads the conversation of an up topic of this kiosk; null for any other topic. */
export function conversationOf(topic: string, kiosk: KioskName): Conversation | null {
  const prefix = `${ROOT}/${kiosk}/up/`;
  if (!topic.startsWith(prefix)) return null;
  const name = topic.slice(prefix.length);
  return Object.hasOwn(conversations, name) ? (name as Conversation) : null;
}
