/** Collecting: takings pay what they owe their cooperative before anything else leaves them. */
import { collection, type Takings } from '../rules/payees.ts';
import { COLLECT_ORIGIN, type Ledger, type Posting } from '../store/ledger.ts';

/** For what the takings are asked, and when, milliseconds since 1970 UTC. */
export interface CollectedFor {
  readonly kiosk: number;
  readonly seq: number;
  readonly at: number;
}

/**
 * Posts it under the seq of what follows, which must be asked for in the same round to be judged right behind it. Asked
 * again it stands as it was decided; takings that owe nothing are a refusal there, and nobody's trouble.
 */
export function collect(
  { ledger }: { readonly ledger: Pick<Ledger, 'post'> },
  takings: Takings,
  { kiosk, seq, at }: CollectedFor,
): Promise<Posting> {
  return ledger.post({
    key: { origin: COLLECT_ORIGIN + kiosk, seq },
    hash: '',
    at,
    verdict: { approve: collection(takings), guards: [] },
    slot: null,
    facts: { amount: 0n, card: null, issuer: takings.cooperative, acquirer: takings.cooperative, outlet: null },
    evidence: null,
  });
}
