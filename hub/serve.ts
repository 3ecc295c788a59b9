/** Serve: wires vault, registry, ledger, operations, router and broker into one running hub. */
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import type { KioskNo } from '../protocol/ids.ts';
import { makeAlarms } from './alarms.ts';
import { startBeacon } from './beacon.ts';
import { type Billers, openBillers } from './billers/settings.ts';
import { type HubConfig, hubPaths } from './config.ts';
import type { Edges } from './edges.ts';
import { startHoldWatch } from './holdwatch.ts';
import { type HubMetrics, makeMetrics, serveMetrics } from './metrics.ts';
import { type Broker, openBroker } from './mqtt/broker.ts';
import { makeRouter, type Operations } from './mqtt/router.ts';
import { makeBill } from './operations/bill.ts';
import { makeBillSettling } from './operations/billsettling.ts';
import { makeCardKey } from './operations/cardkey.ts';
import { makeCash } from './operations/cash.ts';
import { makeHello } from './operations/hello.ts';
import { makePayout } from './operations/payout.ts';
import { makePurchase } from './operations/purchase.ts';
import { makeRefund } from './operations/refund.ts';
import { makeRelay } from './operations/relay.ts';
import { makeReload } from './operations/reload.ts';
import { makeResolve } from './operations/resolve.ts';
import { makeService } from './operations/service.ts';
import { makeTagSale } from './operations/tagsale.ts';
import { makeTariffs } from './operations/tariffs.ts';
import { makeTransfer } from './operations/transfer.ts';
import { openTransit } from './operations/transit.ts';
import type { Ledger } from './store/ledger.ts';
import type { Registry } from './store/registry.ts';
import { holdAlone } from './store/sqlite/alone.ts';
import { openRegistry } from './store/sqlite/registry.ts';
import { startSweeper } from './sweeper.ts';
import { tagAddress } from './tagaddress.ts';
import { renewTariffBook } from './tariffbook.ts';
import { tellCards } from './tellcards.ts';
import { openVault, type Vault } from './vault.ts';

export const SOFTWARE = 'simpul-hub 0.1.0';

/** Said once at every start of a hub in mode `demo`. */
export const DEMO_NOTICE =
  'THIS HUB IS A DEMONSTRATION: no cooperative in it holds a licence by it, and it holds no real money';

/** What other processes wrote into the registry is seen after at most this long. */
const REFRESH_MS = 1000;
/** Longest wait for the goodbye to reach the kiosks. */
const GOODBYE_MS = 500;

export interface HubDeps extends Edges {
  /** The ledger's engine died: the hub answers nothing any more and must be started again. */
  readonly onFatal: (fault: Error) => void;
}

export interface HubOptions {
  readonly directory: string;
  readonly config: HubConfig;
  /** Opens the vault. */
  readonly secret: Uint8Array;
}

export interface Hub {
  /** Port of MQTT over TLS. */
  readonly port: number;
  readonly benchTcpPort: number | undefined;
  readonly metricsPort: number | undefined;
  readonly ledger: Ledger;
  readonly registry: Registry;
  readonly vault: Vault;
  readonly metrics: HubMetrics;
  /** Ends a kiosk's enrolment and closes its live connection. */
  revoke(no: KioskNo): void;
  close(): Promise<void>;
}

export type StartedHub = { readonly ok: true; readonly hub: Hub } | { readonly ok: false; readonly error: string };

/** Starts a hub on its data directory; the error says what to do. */
export async function startHub(deps: HubDeps, { directory, config, secret }: HubOptions): Promise<StartedHub> {
  const paths = hubPaths(directory);
  const closing: (() => unknown)[] = [];
  try {
    const letGo = holdAlone(paths.lock);
    if (letGo === null)
      return { ok: false, error: `a hub serves ${directory} already; stop it, or name another --data` };
    closing.unshift(letGo);
    // Behind the lock, because `simpul-hub keys` changes the vault under it: no hub goes on with the older one.
    const opened = openVault(deps, paths.vault, secret);
    if (!opened.ok) {
      letGo();
      return opened;
    }
    const registry = openRegistry({ path: paths.registry });
    closing.unshift(() => registry.close());
    if (registry.mode() === 'demo') deps.log.warn({ mode: 'demo' }, DEMO_NOTICE);
    const ledger = await deps.openLedger(paths.ledger, deps.onFatal);
    closing.unshift(() => ledger.close());
    // Before the first request: a card that was frozen while no hub ran must not pay.
    await tellCards(registry, ledger);
    const tls = {
      key: opened.vault.tlsKey,
      certificate: readFileSync(paths.certificate, 'utf8'),
      ca: readFileSync(paths.ca, 'utf8'),
    };
    const billers = openBillers(deps, directory, config.billers);
    return {
      ok: true,
      hub: await wire(deps, { config, tls, registry, ledger, vault: opened.vault, billers, closing }),
    };
  } catch (error) {
    for (const close of closing) await close();
    return { ok: false, error: startError(error as NodeJS.ErrnoException, config) };
  }
}

function startError(error: NodeJS.ErrnoException, { host, port }: HubConfig): string {
  if (error.code === 'EADDRINUSE')
    return `${host}:${port} is in use; stop the other program or set another port in hub.json`;
  if (error.code === 'ENOENT') return `${error.path} is missing; run simpul-hub init, or restore it`;
  return `the hub did not start: ${error.message}; simpul-hub doctor says more`;
}

interface Parts {
  readonly config: HubConfig;
  readonly tls: { readonly key: Vault['tlsKey']; readonly certificate: string; readonly ca: string };
  readonly registry: Registry;
  readonly ledger: Ledger;
  readonly vault: Vault;
  readonly billers: Billers;
  /** What must be closed, last opened first. */
  readonly closing: (() => unknown)[];
}

async function wire(deps: HubDeps, parts: Parts): Promise<Hub> {
  const { config, tls, registry, ledger, vault, billers, closing } = parts;
  const { log, now } = deps;
  const metrics = makeMetrics();
  const alarms = makeAlarms({ now, write: (alarm) => ledger.alarm(alarm), metrics, log });
  const { random } = deps;
  const renew = () => renewTariffBook({ vault, registry, now, log });
  renew();
  const transit = await openTransit(ledger);
  const shared = { vault, registry, ledger, transit, alarms, now };
  const settling = makeBillSettling({ ...deps, ledger, billers });
  closing.unshift(() => settling.stop());
  const operations: Operations = {
    purchase: makePurchase(shared),
    resolve: makeResolve(shared),
    cardkey: makeCardKey(shared),
    hello: makeHello(shared),
    cash: makeCash(shared),
    bill: makeBill({ ...shared, billers, settling, later: deps.later }),
    tariffs: makeTariffs(shared),
    payout: makePayout(shared),
    transfer: makeTransfer(shared),
    refund: makeRefund(shared),
    relay: makeRelay({
      service: makeService({ ...shared, random, tagAddress: tagAddress(config.names) }),
      reload: makeReload({ ...shared, random }),
      'tag-sale': makeTagSale({ ...shared, random }),
    }),
  };
  const receive = makeRouter({ operations, alarm: alarms.raise, metrics, log, now });
  const { host, port, benchTcpPort } = config;
  const broker = await openBroker(
    { ...deps, registry, receive, alarm: alarms.raise, metrics },
    { host, port, tls, benchTcpPort },
  );
  closing.unshift(() => broker.close());
  const goodbye = startBeacon(
    { ...deps, vault, retain: broker.retain, tariffs: () => registry.newestTariffBook()?.book },
    SOFTWARE,
  );
  closing.unshift(() => Promise.race([goodbye(), new Promise<void>((resolve) => deps.later(resolve, GOODBYE_MS))]));
  closing.unshift(watchRegistry(deps, { registry, ledger, broker, renew }));
  closing.unshift(startSweeper(deps, ledger));
  closing.unshift(startHoldWatch({ ...deps, ledger, metrics, alarm: alarms.raise }));
  await settling.resume();
  const page = config.metricsPort === undefined ? undefined : await serveMetrics(metrics, config.metricsPort);
  closing.unshift(() => page?.close());
  if (benchTcpPort !== undefined)
    log.warn({ port: broker.benchTcpPort }, 'a listener WITHOUT TLS is open for measurements');
  return {
    port: broker.port,
    benchTcpPort: broker.benchTcpPort,
    metricsPort: (page?.address() as AddressInfo | undefined)?.port,
    ledger,
    registry,
    vault,
    metrics,
    revoke(no) {
      registry.revoke(no);
      dropEnded(registry, broker);
    },
    async close() {
      for (const close of closing.splice(0)) await close();
    },
  };
}

/** Closes the connections whose enrolment has ended or was replaced. */
function dropEnded(registry: Registry, broker: Broker): void {
  for (const [name, serial] of broker.online()) {
    const kiosk = registry.kiosk(name);
    if (kiosk === undefined || kiosk.revoked || kiosk.serial !== serial) broker.drop(name);
  }
}

interface Watched {
  readonly registry: Registry;
  readonly ledger: Ledger;
  readonly broker: Broker;
  /** Signs a new book if there are new tariffs. */
  readonly renew: () => void;
}

/** Takes up enrolments, revocations and cards that `simpul-hub sign` and others wrote; returns how to stop. */
function watchRegistry(deps: HubDeps, { registry, ledger, broker, renew }: Watched): () => void {
  let callOff = () => {};
  const failed = (error: unknown) => deps.log.error({ err: error }, 'the registry could not be read again');
  const look = () => {
    try {
      if (registry.refresh()) {
        dropEnded(registry, broker);
        renew();
        tellCards(registry, ledger).catch(failed);
      }
    } catch (error) {
      failed(error);
    }
    callOff = deps.later(look, REFRESH_MS);
  };
  callOff = deps.later(look, REFRESH_MS);
  return () => callOff();
}
