/** Worker: a thin host for the engine, so that waiting for the disk never holds up the event loop of the hub. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { type Engine, openEngine } from './engine.ts';
import type { Call, Reply, WorkerOrder } from './ledger.ts';
import { openWorks } from './wire.ts';

/** Answers one question; a bad question is the asker's fault and answered as such. */
function ask(engine: Engine, call: Exclude<Call, { do: 'apply' | 'close' }>): unknown {
  if (call.do === 'balances') return engine.balances(call.accounts);
  if (call.do === 'lines') return engine.lines(call.account, call.after, call.limit);
  return engine.alarms(call.limit);
}

type Apply = Extract<Call, { do: 'apply' }>;

/** The call and what work has queued behind it, one commit's worth; and the call after, if that is no work. */
function gather(
  first: Apply,
  next: () => Call | undefined,
  max: number,
): { applies: Apply[]; after: Call | undefined } {
  const applies = [first];
  let { size } = first;
  while (size < max) {
    const call = next();
    if (call?.do !== 'apply') return { applies, after: call };
    applies.push(call);
    size += call.size;
  }
  return { applies, after: undefined };
}

function host(port: NonNullable<typeof parentPort>): void {
  const { path, batchMax } = workerData as WorkerOrder;
  const reply = (message: Reply) => port.postMessage(message);
  const engine = openEngine({ path });
  const queued = () => receiveMessageOnPort(port)?.message as Call | undefined;

  function commit(applies: readonly Apply[]): void {
    // A throw ends this worker: after a failed write nobody can say what is on the disk until the file is opened again.
    const answers = engine.apply(applies.flatMap(({ works }) => openWorks(works)));
    let from = 0;
    for (const { id, size } of applies) {
      reply({ id, value: answers.slice(from, from + size) });
      from += size;
    }
    engine.tidy();
  }

  function handle(call: Call): void {
    if (call.do === 'apply') {
      const { applies, after } = gather(call, queued, batchMax);
      commit(applies);
      if (after !== undefined) handle(after);
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
  }

  port.on('message', handle);
  reply({ id: 0, value: null });
}

if (parentPort !== null) host(parentPort);
