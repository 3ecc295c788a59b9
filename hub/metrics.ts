/** The hub's counters, and the page on which a monitoring system reads them. */
import { createServer, type Server } from 'node:http';
import { Counter, Gauge, Registry } from 'prom-client';

export interface HubMetrics {
  readonly registry: Registry;
  /** Answers by conversation and outcome. */
  readonly answers: Counter<'conversation' | 'outcome'>;
  /** Alarms by kind. */
  readonly alarms: Counter<'kind'>;
  /** Messages that never arrived, seen by a hole in a connection's numbers. */
  readonly gaps: Counter;
  /** Connections refused, by reason. */
  readonly refusedConnections: Counter<'why'>;
  readonly kiosksOnline: Gauge;
  /** Open holds, and the age of the oldest in seconds, by what they wait for: `held` or `released`. */
  readonly holds: Gauge<'state'>;
  readonly oldestHold: Gauge<'state'>;
}

/** Makes one hub's counters; each hub has its own, so that several can run in one process. */
export function makeMetrics(): HubMetrics {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    answers: new Counter({
      name: 'simpul_answers_total',
      help: 'Answers given to kiosks',
      labelNames: ['conversation', 'outcome'],
      registers,
    }),
    alarms: new Counter({ name: 'simpul_alarms_total', help: 'Alarms raised', labelNames: ['kind'], registers }),
    gaps: new Counter({ name: 'simpul_missing_messages_total', help: 'Messages missing in a connection', registers }),
    refusedConnections: new Counter({
      name: 'simpul_refused_connections_total',
      help: 'Connections refused',
      labelNames: ['why'],
      registers,
    }),
    kiosksOnline: new Gauge({ name: 'simpul_kiosks_online', help: 'Kiosks connected', registers }),
    holds: new Gauge({
      name: 'simpul_holds',
      help: 'Withdrawals and bills that wait',
      labelNames: ['state'],
      registers,
    }),
    oldestHold: new Gauge({
      name: 'simpul_oldest_hold_seconds',
      help: 'Age of the oldest withdrawal or bill that waits',
      labelNames: ['state'],
      registers,
    }),
  };
}

/** Serves the counters at `/metrics` on the loopback address. */
export async function serveMetrics(metrics: HubMetrics, port: number): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    metrics.registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  return server;
}
