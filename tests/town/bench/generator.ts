/** The asking side, a process of its own: mints requests from the live beacon and asks them from many kiosks. */
import { readFileSync } from 'node:fs';
import { hubPaths } from '../../../hub/config.ts';
import type { Beacon } from '../../../protocol/status.ts';
import { BEACON_TOPIC, dnTopic, kioskFilters } from '../../../protocol/topics.ts';
import { kioskName, readPapers } from './fleet.ts';
import { type Load, type LoadKiosk, type LoadPacket, openLoad, publishPacket } from './load.ts';
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
}

/** What the parent says: mint, measure, warm up (the same without counting latencies), stop, or sum up and end. */
export type LoadWord = 'mint' | 'measure' | 'warm' | 'pause' | 'finish';

export interface LoadReport {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** First answers by outcome, of the whole run. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly repeats: number;
}

/** How an answer ended: approved, or its reason. */
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

interface Prepared {
  readonly load: Load;
  /** Mints from the newest beacon: a certificate is good for a minute, which joining a thousand kiosks can take. */
  readonly mint: () => Promise<void>;
}

async function prepare(order: LoadOrder): Promise<Prepared> {
  const { directory, port, secure, kiosks, echo, requests } = order;
  const ca = readFileSync(hubPaths(directory).ca, 'utf8');
  const papers = readPapers(directory);
  const mint = openMint(directory, echo ? 1 : kiosks);
  const fleet = Array.from({ length: kiosks }, (_, index): LoadKiosk => {
    const name = kioskName(index);
    const cert = papers.certificates[name];
    if (cert === undefined) throw new Error(`kiosk ${name} has no certificate`);
    const filters = echo ? [dnTopic(name, 'purchase')] : kioskFilters(name);
    return { name, filters, tls: secure ? { key: papers.key, cert } : null };
  });
  let beacon: Uint8Array = new Uint8Array();
  let come: () => void = () => undefined;
  const first = new Promise<void>((resolve) => {
    come = resolve;
  });
  const load = await openLoad({ port, ca }, fleet, (topic, payload) => {
    if (echo) return 'echo';
    if (topic === BEACON_TOPIC) {
      beacon = payload;
      come();
    }
    return topic.includes('/dn/') ? ending(payload) : null;
  });
  const newest = async () => {
    await first;
    return (JSON.parse(Buffer.from(beacon).toString()) as { body: Beacon }).body;
  };
  const mintAll = async () => {
    const packets = echo
      ? echoes(kiosks, mint.example(), (index) => dnTopic(kioskName(index), 'purchase'))
      : mint.packets(await newest(), requests);
    load.supply(packets);
  };
  return { load, mint: mintAll };
}

function sumUp(load: Load): LoadReport {
  const sorted = load.latencies();
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  return {
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    outcomes: Object.fromEntries(load.outcomes),
    repeats: load.repeats(),
  };
}

const { load, mint } = await prepare(JSON.parse(process.argv[2] ?? '') as LoadOrder);
process.on('message', async (word: LoadWord) => {
  if (word === 'measure' || word === 'warm') load.go(word === 'measure');
  else if (word === 'pause') process.send?.(await load.pause());
  else if (word === 'mint') {
    await mint();
    process.send?.('minted');
  } else {
    load.close();
    process.send?.(sumUp(load), () => process.disconnect());
  }
});
process.send?.('ready');
