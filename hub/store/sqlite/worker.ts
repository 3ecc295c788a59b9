/** Worker: a thin host for the engine, so that waiting for the disk never holds up the event loop of the hub. */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { packAnswers, unpack } from './batch.ts';
import { type Engine, openEngine } from './engine.ts';
import type { Call, Reply, WorkerOrder } from './ledger.ts';

/** Answers one question; a bad question is the asker's fault and answered as such. */
function ask(engine: Engine, call: Exclude<Call, { do: 'apply' | 'close' }>): unknown {
  if (call.do === 'balances') return engine.balances(call.accounts);
  if (call.do === 'lines') return engine.lines(call.account, call.after, call.limit);
  if (call.do === 'standing') return engine.standing(call.key);
  if (call.do === 'openReloads') return engine.openReloads();
  if (call.do === 'openHold') return engine.openHold(call.key);
  if (call.do === 'ending') return engine.ending(call.key);
  if (call.do === 'holds') return engine.holds();
  if (call.do === 'disputes') return engine.disputes();
  if (call.do === 'float') return engine.float(call.outlet);
  return engine.alarms(call.limit);
}

type Apply = Extract<Call, { do: 'apply' }>;

/** The call and what has queued behind it: one commit's worth, and the next call that is no work or no longer fits. */
function gather(first: Apply, next: () => Call | undefined, max: number) {
  const applies = [first];
  let size = first.batch.works;
  let after = next();
  while (after?.do === 'apply' && size + after.batch.works <= max) {
    applies.push(after);
    size += after.batch.works;
    after = next();
  }
  return { applies, after };
}

function host({ path, batchMax, port }: WorkerOrder): void {
  const reply = (message: Reply) => port.postMessage(message);
  const engine = inWords(() => openEngine({ path }));
  const queued = () => receiveMessageOnPort(port)?.message as Call | undefined;

  function commit(applies: readonly Apply[]): void {
    // A throw ends this worker: after a failed write nobody can say what is on the disk until the file is opened again.
    const answers = inWords(() => engine.apply(applies.flatMap(({ batch }) => unpack(batch))));
    let from = 0;
    for (const { id, batch } of applies) {
      reply({ id, value: packAnswers(answers.slice(from, from + batch.works)) });
      from += batch.works;
    }
    engine.tidy();
  }

  /** Handles a call; returns one that was taken from the queue with it, if any. */
  function handle(call: Call): Call | undefined {
    if (call.do === 'apply') {
      const { applies, after } = gather(call, queued, batchMax);
      commit(applies);
      return after;
    }
    if (call.do === 'close') {
      engine.close();
      reply({ id: call.id, value: null });
      port.close();
      return undefined;
    }
    try {
      reply({ id: call.id, value: ask(engine, call) });
    } catch (error) {
      reply({ id: call.id, fault: error instanceof Error ? error.message : String(error) });
    }
    return undefined;
  }

  port.on('message', (call: Call) => {
    for (let next: Call | undefined = call; next !== undefined; ) next = handle(next);
  });
  reply({ id: 0, value: null });
}

/** A SQLite error loses its words on the way to the other thread; a plain one keeps them. */
function inWords<Value>(work: () => Value): Value {
  try {
    return work();
  } catch (error) {
    throw new Error(error instanceof Error ? error.message : String(error));
  }
}

host(workerData as WorkerOrder);
