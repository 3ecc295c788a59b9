/** Plays the till's conversations with a card and says what they came to. */

import { KEY_NO } from '../cards/layout.ts';
import { look } from '../cards/look.ts';
import { keyVersion } from '../cards/opening.ts';
import { account, type PaymentIntent } from '../cards/payment.ts';
import { type Failure, play } from '../cards/script.ts';
import type { KioskNo, KioskSeq } from '../protocol/ids.ts';
import { minuteOfSlot } from '../protocol/status.ts';
import type { CardKeys } from './cardkeys.ts';
import { OutboxFault } from './outbox.ts';
import type { Intent } from './rules/doubt.ts';
import type { CardTrouble, Effect, Looked, Paid, Present } from './rules/sale.ts';
import { payTag, type TagTapDeps } from './tagtap.ts';

export interface TapDeps extends TagTapDeps {
  readonly kiosk: KioskNo;
  readonly cardKeys: CardKeys;
  /** @throws OutboxFault; the commit is not sent then, and the hub not asked about a tag. */
  readonly journal: (seq: KioskSeq, intent: Intent | Pick<Intent, 'uid'>, amount: bigint) => void;
  readonly randomBytes: (length: number) => Uint8Array;
}

const CHALLENGE_BYTES = 16;

/** Plays the account sale, whichever kind of card lies there. Never rejects but for bugs. */
export async function pay(deps: TapDeps, effect: Effect & { type: 'pay' }): Promise<Paid> {
  const { sale, card, slot, beacon } = effect;
  const key = deps.cardKeys.find(card.uid);
  if (key === null) return { kind: 'no-key' };
  const deed = {
    kind: 'account',
    amount: sale.amount,
    kioskNo: deps.kiosk,
    kioskSeq: sale.seq,
    minute: minuteOfSlot(slot),
  } as const;
  const { record, tmri } = deps.cardKeys.sign(card.uid, deed, beacon);
  let intent: Intent | null = null;
  const journal = (seen: PaymentIntent): void => {
    const written = intentOf(card.uid, key.tmacKeyVersion, { record, tmri }, seen);
    deps.journal(sale.seq, written, sale.amount);
    // From here on the commit may be on its way to the card.
    intent = written;
  };
  const rndA = deps.randomBytes(CHALLENGE_BYTES);
  try {
    const script = account({ key1: key.key1, rndA, record, tmri, journal });
    const result = await play(script, (apdu) => deps.reader.transmit(card.presence, apdu));
    if (result.ok) return certified(intent, result);
    if (result.reason !== 'not-ours') return failed(intent, result);
    // It does not know the Light's name: a tag does not, and pays in its own way.
    const sold = await payTag(deps, effect);
    return 'reason' in sold ? trouble(sold) : sold;
  } catch (error) {
    if (error instanceof OutboxFault) return { kind: 'disk', why: error.message };
    throw error;
  }
}

function certified(intent: Intent | null, { tmc, tmv }: { tmc: number; tmv: Uint8Array }): Paid {
  if (intent === null) throw new Error('a card sale was certified before it was journaled');
  return { kind: 'committed', intent, certificate: { tmc, tmv: hex(tmv) } };
}

/** Once the commit was sent, anything but a proven answer is a doubt (TRUTH section 4). */
function failed(intent: Intent | null, failure: Failure): Paid {
  if (failure.outcome === 'not-executed') return trouble(failure);
  if (intent === null) throw new Error(`a card is in doubt before anything was journaled: ${failure.at}`);
  return { kind: 'doubt', intent };
}

/** Plays a look at a card in doubt. Never rejects but for bugs. */
export async function lookAt(deps: TapDeps, { card }: Effect & { type: 'look' }): Promise<Looked> {
  const key = deps.cardKeys.find(card.uid);
  if (key === null) return { kind: 'no-key' };
  const script = look({ key1: key.key1, rndA: deps.randomBytes(CHALLENGE_BYTES) });
  const result = await play(script, (apdu) => deps.reader.transmit(card.presence, apdu));
  if (!result.ok) return trouble(result);
  const { tmc, tmv } = counterOf(result.before);
  return { kind: 'seen', sight: { keyVersion: key.tmacKeyVersion, tmc, tmv, records: hex(result.records) } };
}

/** The version of key 1 that a card tells; null if it tells none. Never rejects but for bugs. */
export async function tellVersion({ reader }: Pick<TapDeps, 'reader'>, { presence }: Present): Promise<number | null> {
  const told = await play(keyVersion(KEY_NO.debit), (apdu) => reader.transmit(presence, apdu));
  return told.ok ? told.version : null;
}

/** A conversation that ended before anything was committed, as the till names it. */
export function trouble({ reason }: Failure): CardTrouble {
  switch (reason) {
    case 'lost':
    case 'garbled':
      return { kind: 'torn' };
    case 'not-ours':
      return { kind: 'foreign' };
    case 'refused':
    case 'wrong-key':
    case 'delay':
      return { kind: reason };
    // Only conversations that the account sale is not part of end so.
    case 'short':
    case 'not-genuine':
    case 'not-prepared':
    case 'in-use':
    case 'other-version':
    case 'other-files':
      return { kind: 'refused' };
  }
}

function intentOf(
  uid: string,
  keyVersion: number,
  ours: { record: Uint8Array; tmri: Uint8Array },
  seen: PaymentIntent,
): Intent {
  return {
    uid,
    keyVersion,
    ...counterOf(seen.before),
    records: hex(seen.records),
    opening: Number(seen.opening),
    record: hex(ours.record),
    tmri: hex(ours.tmri),
    encTmri: hex(seen.encTmri),
  };
}

/** File 0F: TMC, lowest byte first, then TMV. */
function counterOf(file: Uint8Array): { tmc: number; tmv: string } {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.length);
  return { tmc: bytes.readUInt32LE(0), tmv: bytes.subarray(4).toString('hex') };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
