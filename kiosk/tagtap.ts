/** Plays the till's part in a sale with an NTAG 424: fetches the card's challenge, and the hub does the rest. */
import { type Failure, play } from '../cards/script.ts';
import { startTagPayment } from '../cards/tagpayment.ts';
import type { KioskSeq } from '../protocol/ids.ts';
import { toWire } from '../protocol/money.ts';
import type { CardFailure } from '../protocol/relay.ts';
import type { Reader } from './reader.ts';
import type { Relay } from './relay.ts';
import type { Relayed } from './rules/relayed.ts';
import type { Effect, Paid } from './rules/sale.ts';

export interface TagTapDeps {
  readonly reader: Pick<Reader, 'transmit'>;
  readonly relay: Pick<Relay, 'talk'>;
  /** Writes down whose card it is, and what leaves its member, in rupiah. @throws OutboxFault; the hub is not asked. */
  readonly journal: (seq: KioskSeq, intent: { readonly uid: string }, amount: bigint) => void;
}

/**
 * Sells with a tag. Never rejects but for bugs and OutboxFault.
 * @returns what it came to, or how the card failed before the hub was asked.
 */
export async function payTag(deps: TagTapDeps, { sale, card }: Effect & { type: 'pay' }): Promise<Paid | Failure> {
  const { presence, uid } = card;
  const started = await play(startTagPayment(), (apdu) => deps.reader.transmit(presence, apdu));
  if (!started.ok) return started;
  const challenge = Buffer.from(started.challenge).toString('hex');
  deps.journal(sale.seq, { uid }, sale.amount);
  let proving = false;
  const asked = { deed: 'tag-sale', uid, seq: sale.seq, amount: toWire(sale.amount), challenge } as const;
  const relayed = await deps.relay.talk(presence, asked, () => {
    proving = true;
  });
  return outcome(relayed, uid, proving);
}

/**
 * What a conversation came to. Once the card was asked to prove itself the hub may decide, so that only the hub's own
 * word ends the sale: without it the sale is asked about. Before that nothing can have been decided.
 */
function outcome(relayed: Relayed, uid: string, proving: boolean): Paid {
  const unanswered = { kind: 'unanswered', uid, again: relayed.kind === 'gone' } as const;
  if (relayed.kind === 'ended') {
    const { end } = relayed;
    if (end.done === 'tag-sale') return { kind: 'decided', uid, sealed: { receipt: end.receipt, mac: end.mac } };
    if (end.done === null) return { kind: troubleOf(end.failure) };
    return proving ? unanswered : { kind: 'refused' };
  }
  if (proving) return unanswered;
  return relayed.kind === 'refused' ? { kind: 'turned-away', code: relayed.code } : { kind: 'no-key' };
}

function troubleOf(failure: CardFailure) {
  switch (failure) {
    case 'lost':
    case 'garbled':
      return 'torn';
    case 'delay':
      return 'delay';
    case 'wrong-key':
      return 'stopped';
    default:
      return 'refused';
  }
}
