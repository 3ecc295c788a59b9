/** Who may say and hear what at the broker: decisions only, taken from a kiosk's name and a topic. */
import type { KioskName } from '../../protocol/ids.ts';
import { type Conversation, conversationOf, kioskFilters, stateTopic } from '../../protocol/topics.ts';

/** A certificate as the TLS layer verified it. */
export interface Identity {
  /** Common name of the certificate. */
  readonly name: string;
  /** Serial number, lower-case hex. */
  readonly serial: string;
}

/** What the registry knows of the kiosk that holds a name now. */
interface KnownKiosk {
  readonly serial: string;
  readonly revoked: boolean;
}

interface ConnectFacts {
  readonly clientId: string;
  readonly clean: boolean;
  readonly protocolVersion: number;
  /** Topic of the will and its quality, or null. */
  readonly will: { readonly topic: string; readonly qos: number } | null;
}

export type ConnectVerdict =
  | 'welcome'
  | 'name-differs'
  | 'kiosk-unknown'
  | 'serial-old'
  | 'revoked'
  | 'session-kept'
  | 'will-foreign'
  | 'protocol-old';

/**
 * Judges a CONNECT: client id = certificate name = kiosk, the certificate is the registry's current one, nothing
 * outlives the connection but a will at the kiosk's own state. Judged on every connect, resumed TLS sessions included.
 */
export function judgeConnect(connect: ConnectFacts, identity: Identity, known: KnownKiosk | undefined): ConnectVerdict {
  if (connect.clientId !== identity.name) return 'name-differs';
  if (known === undefined) return 'kiosk-unknown';
  if (known.revoked) return 'revoked';
  if (known.serial !== identity.serial) return 'serial-old';
  if (connect.protocolVersion !== 4) return 'protocol-old';
  if (!connect.clean) return 'session-kept';
  if (
    connect.will !== null &&
    (connect.will.topic !== stateTopic(identity.name as KioskName) || connect.will.qos > 1)
  ) {
    return 'will-foreign';
  }
  return 'welcome';
}

/** What becomes of a kiosk's publish. */
export type PublishVerdict =
  /** Answered by the router; aedes never routes it. */
  | { readonly kind: 'conversation'; readonly conversation: Conversation }
  | { readonly kind: 'state' }
  /** Routed nowhere; the socket stays. */
  | { readonly kind: 'refused'; readonly why: 'topic-foreign' | 'retain-foreign' | 'qos-foreign' };

/** Judges a publish: conversations at `up/`, retained state at `state`, quality 0 or 1, nothing else. */
export function judgePublish(
  kiosk: KioskName,
  packet: { readonly topic: string; readonly qos: number; readonly retain: boolean },
): PublishVerdict {
  const conversation = conversationOf(packet.topic, kiosk);
  if (conversation === null && packet.topic !== stateTopic(kiosk)) return { kind: 'refused', why: 'topic-foreign' };
  if (packet.qos > 1) return { kind: 'refused', why: 'qos-foreign' };
  if (conversation === null) return { kind: 'state' };
  if (packet.retain) return { kind: 'refused', why: 'retain-foreign' };
  return { kind: 'conversation', conversation };
}

/** Judges a subscription: the two filters of a kiosk to the letter, so that no wildcard can reach further. */
export function maySubscribe(kiosk: KioskName, filter: string): boolean {
  return kioskFilters(kiosk).includes(filter);
}

/** Judges a delivery: the second lock behind `maySubscribe`. */
export function mayHear(kiosk: KioskName, topic: string): boolean {
  return kioskFilters(kiosk).some((filter) => {
    const prefix = filter.slice(0, -1);
    return topic.startsWith(prefix) && !topic.slice(prefix.length).includes('/');
  });
}
