/** Resolve: says what became of an account sale, and closes it for good where nothing was decided (TRUTH section 1). */
import type { Alarms } from '../alarms.ts';
import type { Operation } from '../mqtt/router.ts';
import type { Ledger } from '../store/ledger.ts';
import type { Vault } from '../vault.ts';
import { sealReceipt } from './purchase.ts';

export interface ResolveDeps {
  readonly vault: Pick<Vault, 'receiptMac'>;
  readonly ledger: Pick<Ledger, 'post' | 'cancel'>;
  readonly alarms: Alarms;
  readonly now: () => number;
}

const NO_FACTS = { amount: 0n, card: null, issuer: null, acquirer: null, outlet: null } as const;

export function makeResolve({ vault, ledger, alarms, now }: ResolveDeps): Operation<'resolve'> {
  return async ({ kiosk, body }) => {
    if (body.kiosk !== kiosk.no) {
      return { refusal: 'not-yours', detail: `question about kiosk number ${body.kiosk}`, alarm: 'pair-foreign' };
    }
    const key = { origin: kiosk.no, seq: body.seq };
    const at = now();
    const posting = await (body.ask === 'cancel'
      ? ledger.cancel(key, at)
      : ledger.post({
          key,
          hash: '',
          at,
          verdict: { refuse: 'cancelled', outcome: 'cancelled' },
          slot: null,
          facts: NO_FACTS,
          evidence: null,
        }));
    if (posting.kind === 'body-differs') {
      alarms.echo('body-differs', kiosk.name, `${key.origin}/${key.seq}: a question met another body`);
      return { refusal: 'body-differs', detail: `${key.origin}/${key.seq} was decided for another body` };
    }
    const sealed = sealReceipt(vault, posting.receipt);
    return { body: `${sealed.slice(0, -1)},"voided":${posting.voided}}` };
  };
}
