/** The asking side of a run, a process of its own: mints requests from the live beacon and asks them from many kiosks. */
import { readFileSync } from 'node:fs';
import { hubPaths } from '../../../hub/config.ts';
import { BEACON_TOPIC, dnTopic, kioskFilters } from '../../../protocol/topics.ts';
import { kioskName, readPapers } from './fleet.ts';
import { firstMessage, type LoadKiosk, type LoadPacket, publishPacket, runLoad } from './load.ts';
import { openMint } from './mint.ts';

export interface LoadOrder {
  /** The fleet as it was made; the hub serves a copy of it. */
  readonly directory: string;
  readonly port: number;
  readonly secure: boolean;
  readonly kiosks: number;
  readonly echo: boolean;
  /** Requests to mint at most. */
  readonly requests: number;
  readonly warmSeconds: number;
  readonly seconds: number;
}

export type Phase = 'measuring' | 'measured';

export interface LoadReport {
  readonly perSecond: number;
  readonly answered: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU of this process per answer. */
  readonly loadCpuUs: number;
  /** First answers by outcome, of the whole run. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly repeats: number;
}

/** How an answer ended: approved, or its reason; null for what is no answer. */
function ending(payload: Buffer): string {
  if (payload.includes('"outcome":"approved"')) return 'approved';
  const text = payload.toString();
  return /"(?:reason|code)":"([a-z-]+)"/.exec(text)?.[1] ?? text.slice(0, 200);
}

/** Echoes carry a purchase of the same size from a kiosk to itself. */
function echoes(kiosks: number, example: string, answerTopic: (index: number) => string): LoadPacket[][] {
  const count = 100_000;
  return Array.from({ length: kiosks }, (_, index) => {
    const bytes = publishPacket(answerTopic(index), example, 1);
    return Array<LoadPacket>(count).fill({ bytes, repeat: false });
  });
}

async function run(order: LoadOrder, phase: (phase: Phase) => void): Promise<LoadReport> {
  const { directory, port, secure, kiosks, echo, requests } = order;
  const ca = readFileSync(hubPaths(directory).ca, 'utf8');
  const papers = readPapers(directory);
  const mint = openMint(directory, echo ? 1 : kiosks);
  const kiosk = (index: number, packets: readonly LoadPacket[]): LoadKiosk => {
    const name = kioskName(index);
    const cert = papers.certificates[name];
    if (cert === undefined) throw new Error(`kiosk ${name} has no certificate`);
    const filters = echo ? [dnTopic(name, 'purchase')] : kioskFilters(name);
    return { name, filters, packets, tls: secure ? { key: papers.key, cert } : null };
  };
  const beacon = async () => {
    const text = await firstMessage({ port, ca }, kiosk(0, []), BEACON_TOPIC);
    return (JSON.parse(text) as { body: { slot: number; value: string } }).body;
  };
  const all = echo
    ? echoes(kiosks, mint.example(), (index) => dnTopic(kioskName(index), 'purchase'))
    : mint.packets(await beacon(), requests);
  const fleet = all.map((packets, index) => kiosk(index, packets));
  const answers = echo ? '' : '/dn/';
  const result = await runLoad({ ...order, ca, phase }, fleet, (topic, payload) =>
    echo ? 'echo' : topic.includes(answers) ? ending(payload) : null,
  );
  const at = (share: number) => result.latencies[Math.floor(result.latencies.length * share)] ?? Number.NaN;
  return {
    perSecond: result.answered / result.seconds,
    answered: result.answered,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    loadCpuUs: result.cpuUs,
    outcomes: Object.fromEntries(result.outcomes),
    repeats: result.repeats,
  };
}

const report = await run(JSON.parse(process.argv[2] ?? '') as LoadOrder, (phase) => process.send?.(phase));
process.send?.(report, () => process.disconnect());
