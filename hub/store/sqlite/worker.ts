/** Worker: a thin host for the engine, so that waiting for the disk never holds up the event loop of the hub. */
import { parentPort, workerData } from 'node:worker_threads';
import { packAnswers, unpack } from './batch.ts';
import { type Engine, openEngine } from './engine.ts';
import type { Call, Reply } from './ledger.ts';

/** Answers one question; a bad question is the asker's fault and answered as such. */
function ask(engine: Engine, call: Exclude<Call, { do: 'apply' | 'close' }>): unknown {
  if (call.do === 'balances') return engine.balances(call.accounts);
  if (call.do === 'lines') return engine.lines(call.account, call.after, call.limit);
  return engine.alarms(call.limit);
}

function host(port: NonNullable<typeof parentPort>): void {
  const reply = (message: Reply) => port.postMessage(message);
  const engine = openEngine({ path: (workerData as { path: string }).path });
  port.on('message', (call: Call) => {
    if (call.do === 'apply') {
      // A throw ends this worker: after a failed write nobody can say what is on the disk until the file is opened again.
      reply({ id: call.id, value: packAnswers(engine.apply(unpack(call.batch))) });
      engine.tidy();
    } else if (call.do === 'close') {
      engine.close();
      reply({ id: call.id, value: null });
      port.close();
    } else {
      try {
        reply({ id: call.id, value: ask(engine, call) });
      } catch (error) {
        reply({ id: call.id, fault: error instanceof Error ? error.message : String(error) });
      }
    }
  });
  reply({ id: 0, value: null });
}

if (parentPort !== null) host(parentPort);
