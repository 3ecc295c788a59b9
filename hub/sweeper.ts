/** Sweeper: asks the ledger now and then to make void what was held too long, by the hub's clock. */
import type { Edges } from './edges.ts';
import type { Ledger } from './store/ledger.ts';

/** A hold that is too old is never released either: the sweep only gives its money free. */
const SWEEP_MS = 10_000;

/** Sweeps until it is stopped; a sweep that failed is made up for by the next. Returns how to stop. */
export function startSweeper({ now, later, log }: Edges, ledger: Pick<Ledger, 'expire'>): () => void {
  let callOff = () => {};
  const sweep = () => {
    ledger.expire(now()).catch((err: unknown) => log.error({ err }, 'old holds could not be made void'));
    callOff = later(sweep, SWEEP_MS);
  };
  sweep();
  return () => callOff();
}
