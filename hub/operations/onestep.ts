/** One step: conversations where a kiosk asks once and is answered with the decision, now or whenever it asks again. */
import type { Alarms } from '../alarms.ts';
import type { Reply } from '../mqtt/router.ts';
import type { DecisionKey, Ledger, Posting } from '../store/ledger.ts';
import type { Kiosk, Registry } from '../store/registry.ts';
import type { Vault } from '../vault.ts';
import { sealReceipt } from './purchase.ts';

export interface OneStepDeps {
  readonly vault: Pick<Vault, 'receiptMac'>;
  readonly ledger: Pick<Ledger, 'post' | 'standing'>;
  readonly registry: Registry;
  readonly alarms: Alarms;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}

/** Nothing is asked of the ledger without the PIN: the kiosk may ask again once it was verified. */
const NO_PIN: Reply = { refusal: 'pin-needed', detail: 'the kiosk did not verify the PIN' };

/** Why a kiosk is not listened to; null if it is. @param what it asks for, in the operator's words. */
export function unheard(
  kiosk: Kiosk,
  what: string,
  body: { readonly kiosk: number; readonly ask: string; readonly pinVerified?: boolean },
): Reply | null {
  if (body.kiosk !== kiosk.no) {
    return { refusal: 'not-yours', detail: `${what} of kiosk number ${body.kiosk}`, alarm: 'pair-foreign' };
  }
  return body.ask !== 'resolve' && body.pinVerified !== true ? NO_PIN : null;
}

/** The answer to a post. */
export function told({ vault, alarms }: OneStepDeps, kiosk: Kiosk, what: string, seq: number, posting: Posting): Reply {
  if (posting.kind === 'decided') return { body: sealReceipt(vault, posting.receipt) };
  const pair = `${kiosk.no}/${seq}`;
  alarms.echo('body-differs', kiosk.name, `${what} ${pair} came with another body; nothing was moved`);
  return { refusal: 'body-differs', detail: `${pair} was decided for another body` };
}

/** What is known under a key, without deciding anything. */
export async function look({ vault, ledger }: OneStepDeps, key: DecisionKey): Promise<Reply> {
  const standing = await ledger.standing(key);
  return { body: standing === null ? '{"unknown":true}' : sealReceipt(vault, standing.receipt) };
}
