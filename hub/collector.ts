/** Collector: has V8 collect young garbage on the thread that made it. */
import { setFlagsFromString } from 'node:v8';

/**
 * A hub's garbage is short-lived: a request is forgotten once it is answered, so little is left to copy, and V8's
 * helper threads cost more in waking and waiting than they take over. Measured on two cores: a seventh less CPU an
 * authorisation. Old garbage is still marked beside the running program. For the whole process; both flags are read at
 * each collection.
 */
export function collectAlone(): void {
  setFlagsFromString('--no-parallel-scavenge');
  setFlagsFromString('--no-concurrent-array-buffer-sweeping');
}
